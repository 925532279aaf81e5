"""Every way to hand in the same data gives the same counts."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.study.made import all_counts, events, findings, frame, opened, orders, touched
from tests.study.test_law import same
from toolkit.errors import UsageError
from toolkit.study.engine import parts

IDS = ["007", "O'Neil", 'say "hi"', "Søren; Ærø", "#12", "a,b", "🦊"]
MOMENTS = pd.date_range("2026-01-01", periods=70, freq="7h13min")
EVENTS = events(*[(IDS[i * 5 % 7], at, ("cart", "product page", "purchase")[i % 3]) for i, at in enumerate(MOMENTS)])
EVENTS["channel"] = np.where(EVENTS.index % 4 == 0, None, "web")
ORDERS = orders(*[(f"o{i}", IDS[i % 7], MOMENTS[i * 3], i + 0.25) for i in range(20)])
TABLES = {"events": EVENTS, "orders": ORDERS}


def text(table, **how):
    return table.to_csv(index=False, **how)


def lines(table):
    rows = table.astype({"timestamp": str}).to_dict("records")
    return "\n".join(json.dumps({k: v for k, v in row.items() if v == v}) for row in rows)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())


def parquet(folder):
    for name, table in TABLES.items():
        table.to_parquet(folder / f"{name}.parquet")


def comma(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.csv", text(table))


def semicolon_and_decimal_comma(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.csv", text(table, sep=";", decimal=","))


def tab_gzipped(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.tsv.gz", text(table, sep="\t"))


def byte_order_mark_and_windows_lines(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.csv", "\ufeff" + text(table, lineterminator="\r\n"))


def json_lines(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.jsonl", lines(table))


def json_lines_gzipped(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.ndjson.gz", lines(table))


def json_list(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.json", "[" + lines(table).replace("\n", ",") + "]")


def parts_of_different_kinds(folder):
    write(folder / "events" / "1.csv", text(EVENTS[:20]))
    write(folder / "events" / "2.csv.gz", text(EVENTS[20:40], sep=";"))
    write(folder / "events" / "deeper" / "3.jsonl", lines(EVENTS[40:]))
    write(folder / "events" / "_SUCCESS.json", "")
    write(folder / "orders.csv", text(ORDERS))


def parts_of_parquet(folder):
    (folder / "events").mkdir()
    EVENTS[:20].to_parquet(folder / "events" / "1.parquet")
    EVENTS[20:].to_parquet(folder / "events" / "2.parquet")
    ORDERS.to_parquet(folder / "orders.parquet")


def columns_in_other_case(folder):
    for name, table in TABLES.items():
        write(folder / f"{name}.csv", text(table.rename(columns=str.upper)))


FOLDERS = [
    parquet, comma, semicolon_and_decimal_comma, tab_gzipped, byte_order_mark_and_windows_lines, json_lines,
    json_lines_gzipped, json_list, parts_of_different_kinds, parts_of_parquet, columns_in_other_case,
]  # fmt: skip
FRAMES = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "pyarrow": lambda table: pa.Table.from_pandas(table),
    "nanoseconds": lambda table: table.astype({"timestamp": "datetime64[ns]"}),
    "aware": lambda table: table.assign(timestamp=table["timestamp"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")),
    "aware nanoseconds": lambda table: table.assign(
        timestamp=table["timestamp"].astype("datetime64[ns]").dt.tz_localize("UTC")
    ),
    "words as categories": lambda table: table.astype({"customer_id": "category"}),
    "money as decimals": lambda table: pa.Table.from_pandas(table).cast(
        pa.schema(
            [
                (f.name, pa.decimal128(12, 2) if f.name == "revenue" else f.type)
                for f in pa.Table.from_pandas(table).schema
            ]
        )
    ),
    "moments as text": lambda table: table.assign(timestamp=table["timestamp"].astype(str)),
}


@pytest.fixture(scope="module")
def expected():
    return all_counts(opened(TABLES))


@pytest.mark.parametrize("write_it", FOLDERS, ids=lambda f: f.__name__)
def test_any_folder_of_the_same_tables_gives_the_same_counts(tmp_path, expected, write_it):
    write_it(tmp_path)
    found = all_counts(opened(tmp_path, cache=False))
    assert {name: same(counts, found[name]) for name, counts in expected.items()} == dict.fromkeys(expected, True)


@pytest.mark.parametrize("kind", FRAMES)
def test_any_kind_of_frame_gives_the_same_counts(expected, kind):
    found = all_counts(opened({name: FRAMES[kind](table) for name, table in TABLES.items()}))
    assert {name: same(counts, found[name]) for name, counts in expected.items()} == dict.fromkeys(expected, True)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_one_file_of_events_is_enough_whatever_its_name(tmp_path, ending):
    file = tmp_path / f"export 1.{ending}"
    EVENTS.to_parquet(file) if ending == "parquet" else write(file, text(EVENTS) if ending == "csv" else lines(EVENTS))
    data = opened(file, cache=False)
    assert data.name == "export 1"
    assert same(all_counts(data)["sessions"], all_counts(opened(EVENTS))["sessions"])


def test_purchases_follow_from_orders_where_only_orders_came(tmp_path):
    write(tmp_path / "shop.csv", text(ORDERS))
    for source in (tmp_path / "shop.csv", ORDERS, pl.from_pandas(ORDERS), {"orders": ORDERS}):
        data = opened(source, cache=False)
        assert touched(data) == {"purchase": 20}
        assert "events did not come; purchases follow from orders" in findings(data)
        assert "orders" in data.tables
        assert "events" not in data.tables


def test_orders_without_a_currency_take_the_one_that_is_given(tmp_path):
    write(tmp_path / "shop.csv", text(ORDERS.drop(columns="currency")))
    data = opened(tmp_path / "shop.csv", currency="eur", cache=False)
    assert data.vocabulary("currency", "orders") == ("EUR",)
    with pytest.raises(UsageError, match=r"There is no currency 'EURO'. Give its three-letter code"):
        opened(tmp_path / "shop.csv", currency="EURO", cache=False)


def test_a_given_currency_fills_only_the_gaps():
    some = ORDERS.assign(currency=[None, "sek"] * 10)
    data = opened(some, currency="DKK")
    assert data.vocabulary("currency", "orders") == ("DKK", "SEK")
    assert findings(data, ("warning",)) == []


def test_columns_are_renamed_in_files_and_frames(tmp_path):
    theirs = EVENTS.rename(columns={"customer_id": "visitor", "timestamp": "When it was", "touchpoint": 'the "page"'})
    ours = {"visitor": "customer_id", "When it was": "timestamp", 'the "page"': "touchpoint"}
    write(tmp_path / "log.csv", text(theirs))
    for source in (theirs, tmp_path / "log.csv", {"events": theirs}):
        assert touched(opened(source, columns=ours, cache=False)) == touched(opened(EVENTS))


def test_any_folder_name_will_do(tmp_path, monkeypatch):
    odd = tmp_path / "O'Neil [2026] *? 🦊"
    monkeypatch.setenv("JOURNEY_CACHE", str(odd / "cache"))
    write(odd / "events.csv", text(EVENTS))
    write(odd / "orders.jsonl", lines(ORDERS))
    data = opened(odd)
    assert data.store.folder.is_relative_to(odd)
    assert [len(data.frame(name)) for name in TABLES] == [70, 20]


def test_text_that_is_not_marked_as_text_is_read_as_text(tmp_path):
    table = pa.Table.from_pandas(EVENTS, preserve_index=False)
    binary = table.set_column(0, "customer_id", table["customer_id"].cast(pa.binary()))
    pq.write_table(binary, tmp_path / "events.parquet")
    assert same(all_counts(opened(tmp_path, cache=False))["sessions"], all_counts(opened(EVENTS))["sessions"])


def test_unknown_columns_are_kept():
    more = EVENTS.assign(mood="good", weight=1.5, seen=True, tags=[["a"]] * len(EVENTS))
    data = opened(more)
    assert data.vocabulary("mood") == ("good",)
    assert {"mood", "weight", "seen", "tags"} <= set(data.frame("events"))


RESERVED = ["row", "customer", "Customer", "pos", "time", "hash", "tables", "offsets", "known"]


STRANGE = ["a/b", "../x", "price (kr.)", 'say "hi"', "it's", "æøå", "select", "x" * 300, " "]


@pytest.mark.parametrize("name", [*RESERVED, *STRANGE])
def test_a_further_column_may_be_called_anything(name):
    kept = name + "_" if name in RESERVED else name
    tables = {"events": EVENTS.assign(**{name: "word"}), "customers": frame("customer_id", *[(i,) for i in IDS])}
    tables["customers"][name] = 1.5
    data = opened(tables)
    assert data.vocabulary(kept) == ("word",)
    assert touched(data.only(**{kept: "word"})) == touched(data)
    assert data.frame("events")[kept].tolist() == ["word"] * 70
    assert next(parts(data)).attributes[kept].tolist() == [1.5] * 7
    assert any("a word we need ourselves" in said for said in findings(data)) == (name in RESERVED)


def test_parts_may_disagree_about_a_columns_type(tmp_path):
    (tmp_path / "events").mkdir()
    events((7, "2026-01-01", "cart")).to_parquet(tmp_path / "events" / "1.parquet")
    events(("007", pd.Timestamp("2026-01-02"), "cart")).to_parquet(tmp_path / "events" / "2.parquet")
    data = opened(tmp_path, cache=False)
    assert sorted(data.store.ids.to_pylist()) == ["007", "7"]
    assert data.tables["events"].last_at == "2026-01-02T00:00:00+00:00"


@pytest.mark.parametrize("form", ["json", "struct"])
def test_known_properties_become_columns(form):
    facts = [{"load_ms": 120.5, "error": "declined", "other": 1}, {"load_ms": None, "error": "", "other": 2}, None]
    given = facts if form == "struct" else [fact and json.dumps(fact) for fact in facts]
    data = opened(events(*[("a", f"2026-01-0{i}", "cart") for i in (1, 2, 3)]).assign(properties=given))
    assert data.vocabulary("error") == ("declined",)
    assert data.frame("events")["load_ms"].tolist()[0] == 120.5
    assert "properties" in data.frame("events")


def test_order_lines_take_customer_time_and_currency_from_their_order():
    lines_ = frame(
        "order_id product quantity price customer_id timestamp",
        ("o1", "pen", 2, 9, "?", "?"),
        ("o99", "ink", 1, 5, "?", "?"),
    )
    data = opened({"events": EVENTS, "orders": ORDERS, "order_lines": lines_})
    assert data.frame("order_lines")[["customer_id", "currency"]].to_numpy().tolist() == [["O'Neil", "DKK"]]
    assert "order_lines has 1 row whose order is missing; left out" in findings(data)
    alone = opened({"events": EVENTS, "order_lines": lines_})
    assert "order_lines came without orders and could not be used" in findings(alone)


def test_words_beyond_the_limits_stand_together_or_stay_in_the_source(monkeypatch):
    from toolkit.study import encode

    monkeypatch.setattr(encode, "MOST_TOUCHPOINTS", 3)
    monkeypatch.setattr(encode, "MOST_WORDS", 20)
    many = events(*[("a", at, f"page {i % 7 if i > 9 else 0}") for i, at in enumerate(MOMENTS)])
    data = opened(many.assign(note=[f"note {i}" for i in range(70)], campaign=[None, "x"] * 35))
    assert data.vocabulary("touchpoint") == ("(others)", "page 0", "page 3")
    assert touched(data)["(others)"] == 43
    assert data.vocabulary("campaign") == ("x",)
    assert data.vocabulary("note") == ()
    assert "note" in data.frame("events")
    assert any("different touchpoints; the rarer ones stand together as (others)" in said for said in findings(data))
    assert any(
        'different values in note; it stays in the source, see frame("events")' in said for said in findings(data)
    )
