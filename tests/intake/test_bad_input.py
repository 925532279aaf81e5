"""Bad input: one clear sentence, or one line in check(), and nothing half-written."""

import gzip
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import toolkit as tk
from tests.study.made import events, findings, frame, opened, orders, touched
from toolkit.errors import DataError, ToolkitError, UsageError

GOOD = "customer_id,timestamp,touchpoint\na,2026-01-01,cart\nb,2026-01-02,cart\n"
ORDERS = "order_id,timestamp,revenue,currency,customer_id\no1,2026-01-01,5,DKK,a\n"
MANY = "customer_id,timestamp,touchpoint\n" + "".join(f"c{i},2026-01-01 10:{i:02},cart\n" for i in range(50))


def parquet_bytes(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


WHOLE = parquet_bytes(pa.Table.from_pandas(pd.concat([events(*[(f"c{i}", "2026-01-01", "cart") for i in range(500)])])))
DAMAGED = WHOLE[:40] + b"\xff" * 400 + WHOLE[440:]
TWICE = parquet_bytes(
    pa.Table.from_arrays([pa.array(["a"])] * 4, names=["customer_id", "timestamp", "touchpoint", "Touchpoint"])
)
ALL_BUT_ONE = [(f"o{i}", "a", f"2026-01-{i + 1:02}", np.inf if i == 3 else i) for i in range(30)]

FATAL = {  # name: ({file: content}, sentence)
    "a column is missing": ({"events.csv": GOOD.replace("timestamp", "event_time")},
        r"events lacks 'timestamp' \(did you mean 'event_time'\?\); its columns are customer_id, event_time, "
        r"touchpoint\. "
        r'Rename with columns=\{"event_time": "timestamp"\}, on the command line --column event_time=timestamp\.'),
    "a column has another language's name": ({"events.csv": GOOD.replace("customer_id", "kunde")},
        r"events lacks 'customer_id'; its columns are kunde, timestamp, touchpoint\. Rename with columns="),
    "a column has a word of ours": ({"events.csv": GOOD.replace("timestamp", "time")},
        r"events lacks 'timestamp' \(did you mean 'time'\?\); its columns are customer_id, time, touchpoint\."),
    "currency is missing": ({"orders.csv": ORDERS.replace("currency", "coin")},
        r"orders lacks 'currency'.*or give currency="),
    "most moments cannot be read": ({"events.csv": GOOD.replace("2026-01-0", "1/5/202")},
        r"events has 2 rows of 2 whose timestamp is no moment \(first at row 1: '1/5/2021'\)\. Write moments as"),
    "a required column is empty": ({"events.csv": GOOD.replace("cart", "")},
        r"events has 2 rows of 2 without touchpoint \(first at row 1\)\. Fill it in, or name the right column"),
    "revenue is text": ({"orders.csv": ORDERS.replace(",5,", ",five,")},
        r"orders has 1 row of 1 whose revenue is no number \(first at row 1: 'five'\)\. Write numbers as 1234\.5\."),
    "an empty file": ({"events.csv": ""}, r"events\.csv is empty \(0 bytes\)\. Export it again, or remove it\."),
    "an empty line": ({"events.csv": "\n\n"}, r"events\.csv begins with an empty line\. Export it again"),
    "a header only": ({"events.csv": GOOD[:33], "orders.csv": ORDERS[:48]},
        r"There are no events and no orders: the tables have a header"),
    "a text in cp1252": ({"events.csv": GOOD.replace("cart", "læg i kurv").encode("cp1252")},
        r"events\.csv is not UTF-8 at line 2\. Save it as UTF-8 \(in Excel: CSV UTF-8\), or convert it with iconv\."),
    "a header in cp1252": ({"events.csv": GOOD.replace("touchpoint", "sæson").encode("cp1252")},
        r"events\.csv is not UTF-8"),
    "a text in UTF-16": ({"events.csv": GOOD.encode("utf-16")}, r"events\.csv is not UTF-8"),
    "a text in UTF-16 without a mark": ({"events.csv": GOOD.encode("utf-16-le")}, r"events\.csv is not UTF-8"),
    "JSON lines in cp1252": ({"events.jsonl": '{"customer_id":"æ"}'.encode("cp1252")}, r"events\.jsonl is not UTF-8"),
    "broken JSON": ({"events.jsonl": '{"customer_id":"a"\n'},
        r"events\.jsonl cannot be read: Malformed JSON.*Export it again"),
    "a folder without tables": ({"notes.txt": "x"},
        r"study holds neither events nor orders \(found: notes\.txt\)\. Name the files after the tables"),
    "an empty folder": ({}, r"study holds neither events nor orders \(found: nothing\)"),
    "only customers": ({"customers.csv": "customer_id\na\n"},
        r"study holds neither events nor orders \(found: customers\)"),
    "a Parquet file of 0 bytes": ({"events.parquet": b""}, r"events\.parquet is empty \(0 bytes\)"),
    "half a Parquet file": ({"events.parquet": WHOLE[: len(WHOLE) // 2]},
        r"events\.parquet cannot be read: .*Export it again"),
    "a damaged Parquet file": ({"events.parquet": DAMAGED}, r"The tables cannot be read: .*Export them again"),
    "a text called Parquet": ({"events.parquet": GOOD}, r"events\.parquet cannot be read: .*Export it again"),
    "a gzip file that is none": ({"events.csv.gz": GOOD}, r"events\.csv\.gz cannot be read: .*gzip"),
    "half a gzip file": ({"events.csv.gz": gzip.compress(MANY.encode() * 99)[:300]}, r"events\.csv\.gz cannot be read"),
    "a row too long": ({"events.csv": GOOD.replace("b,", "b,c,")},
        r"events\.csv cannot be read at line 3: Expected Number of Columns: 3 Found: 4\. Export it again, or"),
    "a row too short": ({"events.csv": MANY + "c,2026-01-01\n"},
        r"events\.csv cannot be read at line 52: Expected Number of Columns: 3 Found: 2"),
    "a quote never closed": ({"events.csv": GOOD + 'c,2026-01-01,"cart\n'},
        r"events\.csv cannot be read at line 4: Value with unterminated quote"),
    "two kinds of line ending": ({"events.csv": GOOD.replace("\n", "\r\n", 1)},
        r"events\.csv mixes line endings of Windows and Unix"),
    "a title above the header": ({"events.csv": "Report\n" + GOOD},
        r"events\.csv cannot be read at line 2: Expected Number of Columns"),
    "two columns of one name": ({"events.csv": GOOD.replace("touchpoint", "timestamp")},
        r"events\.csv has columns of the same name \('timestamp' and 'timestamp'\)\. Rename one\."),
    "two columns alike in Parquet": ({"events.parquet": TWICE},
        r"events\.parquet has columns of the same name \('touchpoint' and 'Touchpoint'\)"),
    "two files of one table": ({"events.csv": GOOD, "events.parquet": WHOLE},
        r"study has events twice \(events\.parquet, events\.csv\)\. Keep one, or put the parts in events/\."),
    "a file and a folder of one table": ({"events.csv": GOOD, "events/1.csv": GOOD},
        r"study has events twice \(events\.csv, events/\)"),
    "an id kept for us": ({"events.csv": GOOD.replace("a,", "\ue000a,", 1)},
        r"The ids of 1 customer begin with the character U\+E000, which is kept for rows without a customer\."),
}  # fmt: skip

LINES = {  # name: (tables or text of events.csv, line in check(), events that stay)
    "an event twice": (GOOD + "a,2026-01-01,cart\n",
        "events has 1 row looking like the one before (customer, moment, words); kept", 3),
    "an event in the future": (GOOD + "a,2199-01-01,cart\n",
        "events has 1 row in the future; left out (give as_of= to look further)", 2),
    "no customer here and there": (GOOD + ",2026-01-01,cart\n",
        "events has 1 row of 3 without customer_id (first at row 3); left out", 2),
    "no touchpoint here and there": (GOOD + "a,2026-01-01,\n",
        "events has 1 row of 3 without touchpoint (first at row 3); left out", 2),
    "one moment of many": (MANY + "a,soon,cart\n",
        "events has 1 row of 51 whose timestamp is no moment (first at row 51: 'soon'); left out. Write", 50),
    "negative revenue": ({"orders": orders(("o1", "a", "2026-01-01", -5), ("o2", "a", "2026-01-01", 5))},
        "orders has 1 row of negative revenue; refunds, not purchases", 1),
    "revenue that is no number": ({"orders": orders(*ALL_BUT_ONE)},
        "orders has 1 row of 30 whose revenue is no number (first at row 4: 'inf'); left out.", 29),
    "a discount that is no number": ({"orders": orders(("o1", "a", "2026-01-01", 5)).assign(discount="lots")},
        "orders has 1 row of 1 whose discount is no number (first at row 1: 'lots'); unknown there.", 1),
    "a decimal comma": ({"orders": orders(("o1", "a", "2026-01-01", "1.234,50"))},
        "orders writes revenue with a decimal comma (1.234,50); read so", 1),
    "a currency nobody knows": ({"orders": orders(("o1", "a", "2026-01-01", 5)).assign(currency="EURO")},
        "orders has 1 row in a currency nobody knows ('EURO'); write DKK, EUR …", 1),
    "an order twice": ({"orders": orders(*[("o1", "a", "2026-01-01", 5)] * 2)},
        "orders has 1 row with the order_id of an earlier row; the first of each kept", 1),
    "cancelled is neither yes nor no": ({"orders": orders(("o1", "a", "2026-01-01", 5)).assign(cancelled="perhaps")},
        "orders has 1 row of 1 whose cancelled is neither yes nor no (first at row 1: 'perhaps'); read as no.", 1),
    "a score beyond the scale": ({"events": events(("a", "2026-01-01", "cart")),
        "responses": frame("timestamp instrument score", ("2026-01-01", "nps", 11), ("2026-01-01", "nps", 10))},
        "responses has 1 row whose score is above 10 (such as 11.0)", 1),
    "an instrument nobody knows": ({"events": events(("a", "2026-01-01", "cart")),
        "responses": frame("timestamp instrument score", ("2026-01-01", "NPS ", 9))},
        "responses has 1 row whose instrument is none of nps, csat, ces (such as 'NPS ')", 1),
    "a negative cost": ({"events": events(("a", "2026-01-01", "cart")),
        "campaigns": frame("date channel campaign cost currency", ("2026-01-01", "ads", "x", -1, "DKK"))},
        "campaigns has 1 row whose cost is below 0 (such as -1.0)", 1),
    "ids of two kinds": ({"events": events((7, "2026-01-01", "cart")),
        "orders": orders(("o1", "007", "2026-01-01", 5))},
        "orders shares no customer_id with events (of 1); write the ids alike in both (007 is not 7)", 2),
    "customers never seen": ({"events": events(("a", "2026-01-01", "cart")),
        "customers": frame("customer_id", ("a",), ("b",), ("c",))},
        "customers has 2 of 3 customers who do not occur in events", 1),
}  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own; afterwards it holds whole stores only."""
    monkeypatch.setenv("JOURNEY_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "journey-toolkit"
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_dir() and path.name != "journey-toolkit"]
    assert all((path / "manifest.json").is_file() for path in left)


def written(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(("files", "sentence"), FATAL.values(), ids=FATAL)
def test_unusable_input_is_refused_in_one_sentence(cache, tmp_path, files, sentence):
    with pytest.raises(DataError, match=sentence) as error:
        opened(written(tmp_path / "study", files))
    assert len(error.value.problems) == 1
    assert str(tmp_path) not in str(error.value).replace(str(cache), "")
    assert not list(cache.glob("store-*"))


@pytest.mark.parametrize(("given", "line", "stay"), LINES.values(), ids=LINES)
def test_doubtful_input_is_one_line_of_check(cache, tmp_path, given, line, stay):
    source = written(tmp_path / "study", {"events.csv": given}) if isinstance(given, str) else given
    data = opened(source)
    assert len([said for said in findings(data) if said.startswith(line)]) == 1
    assert sum(touched(data).values()) == stay


@pytest.mark.parametrize("name", ["a column is missing", "a text in cp1252", "half a Parquet file", "an empty file"])
def test_a_single_bad_file_is_refused_like_a_folder(cache, tmp_path, name):
    ((file, content),) = FATAL[name][0].items()
    written(tmp_path, {file.replace("events", "x" if "cp1252" in name else "events"): content})
    with pytest.raises(DataError, match=r"Rename with|not UTF-8|cannot be read|is empty"):
        opened(next(path for path in tmp_path.iterdir() if path.is_file()))


def test_all_problems_of_all_tables_come_at_once(cache, tmp_path):
    files = {
        "events.csv": GOOD.replace("timestamp", "when"),
        "orders.csv": ORDERS.replace("revenue", "total"),
        "customers.parquet": b"",
    }
    with pytest.raises(DataError, match="3 problems") as error:
        opened(written(tmp_path / "study", files))
    assert [problem.split()[0] for problem in error.value.problems] == ["customers.parquet", "events", "orders"]


def test_the_row_of_a_folder_of_parts_is_named_with_its_part(cache, tmp_path):
    parts = {"events/1.csv": MANY, "events/2.csv": MANY + "x,soon,cart\n"}
    data = opened(written(tmp_path / "study", parts))
    assert any("first at row 51 of part 2: 'soon'" in said for said in findings(data))


def test_two_columns_renamed_to_one_are_refused():
    with pytest.raises(DataError, match=r"events has both 'who' and 'customer_id' for customer_id\. Rename only one"):
        opened(events(("a", "2026-01-01", "cart")).assign(who="b"), columns={"who": "customer_id"})


@pytest.mark.parametrize("id_", ["O'Neil", 'say "hi"', "🦊" * 3, "x" * 10_000, "007", "a\nb", "%_", "\\", " lead"])
def test_any_id_stays_what_it_is(id_):
    data = opened(events((id_, "2026-01-01", "cart"), ("other", "2026-01-01", "cart")))
    assert id_ in data.store.ids.to_pylist()
    assert data.segment({id_: "x"}, "x").customers == 1
    assert id_ in data.frame("events")["customer_id"].tolist()


@pytest.mark.parametrize("word", ["O'Neil", 'say "hi"', "🦊", "x" * 10_000, "a\nb", "null", "<script>"])
def test_any_touchpoint_stays_what_it_is(word):
    data = opened(events(("a", "2026-01-01", word), ("a", "2026-01-02", "cart")))
    assert touched(data) == {word: 1, "cart": 1}
    assert touched(data.only(touchpoint=word))[word] == 1
    assert len(data.only(touchpoint=word).frame("events")) == 1


def test_english_thousands_are_not_taken_for_a_decimal_comma():
    with pytest.raises(DataError, match=r"whose revenue is no number \(first at row 2: '1,234\.50'\)"):
        opened({"orders": orders(("o1", "a", "2026-01-01", "19.95"), ("o2", "a", "2026-01-01", "1,234.50"))})


def test_money_too_large_to_hold_is_unknown_and_does_not_stop_the_study():
    data = opened({"orders": orders(("o1", "a", "2026-01-01", 1e300), ("o2", "a", "2026-01-02", 5.0))})
    assert touched(data) == {"purchase": 2}
    assert tk.sales(data).rows()[0]["n_orders"] == 1


def test_minor_units_follow_the_currency():
    given = orders(("o1", "a", "2026-01-01", 500), ("o2", "a", "2026-01-02", 19.99), ("o3", "a", "2026-01-03", 1.234))
    data = opened(given.assign(currency=["JPY", "EUR", "KWD"]))
    assert sorted(row["revenue_money"] for row in tk.sales(data).rows()) == [1.234, 19.99, 500.0]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(cache, tmp_path):
    folder = written(tmp_path / "study", {"events.csv": GOOD})
    (folder / "events.csv").chmod(0)
    with pytest.raises(DataError, match=r"events\.csv may not be read"):
        opened(folder)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("no/such/folder", "There is no file or folder 'no/such/folder'. Give the folder that holds the tables."),
        ({"event": None}, "table is 'event' (did you mean 'events'?); choose one of 'events', 'customers'"),
        ({"events": [1, 2]}, "events is a list; give a pandas, polars or pyarrow table, a file or a folder."),
        ({}, "The mapping holds neither events nor orders (found: nothing)"),
        (frame("a b", (1, 2)), "The frame is neither events (customer_id, timestamp, touchpoint) nor orders"),
        (
            events((1, "2026-01-01", "x"), ("b", "2026-01-01", "x")),
            "the frame cannot be read: Conversion failed for column customer_id",
        ),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(source, sentence):
    with pytest.raises(ToolkitError) as error:
        opened(source)
    assert sentence in str(error.value)
    assert isinstance(error.value, DataError | UsageError)
