"""The rules that keep the law true: hash, order, partitions, slices, money, float sums, empty ranges, own units."""

import hashlib
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.study.made import all_counts, events, findings, frame, opened, orders, touched
from toolkit.counts import BUCKETS
from toolkit.errors import UsageError
from toolkit.study import engine

IDS = [
    "007",
    "7",
    "plain",
    "Søren Ærø",
    "O'Neil",
    'say "hi"',
    "🦊🦊",
    "#12",
    "a,b;c",
    " spaced ",
    "x" * 10_000,
    "名前",
    "-1",
]


def same(one, other):
    """Whether two counts objects agree to the last bit."""
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return one == other


def stored(data):
    """Ids and hashes, in the order of the store."""
    store = data.store
    return store.ids.to_pylist(), store.read("hash", "u8", 0, store.manifest["positions"]).tolist()


@pytest.fixture(scope="module")
def shop():
    """A shop with customers who never had an event, rows without a customer, load times, and two currencies."""
    made = tk.make_data(400, rng=5)
    quiet = frame("customer_id", *[(f"quiet {i}",) for i in range(90)])
    given = {name: made[name].to_pandas() for name in ("events", "orders", "responses")}
    given["customers"] = pd.concat([made["customers"].to_pandas(), quiet])
    given["orders"].loc[::7, "currency"] = "JPY"
    return tk.open_data(given, tz="Europe/Copenhagen", small_cells=0)


def test_the_hash_is_the_md5_that_python_computes():
    ids, hashes = stored(opened(events(*[(id_, "2026-01-01", "cart") for id_ in IDS])))
    assert sorted(ids) == sorted(IDS)
    assert hashes == [int(hashlib.md5(id_.encode()).hexdigest()[:16], 16) for id_ in ids]


def test_whole_numbers_hash_like_their_text():
    numbers = [7, -3, 2**40, 0]
    as_numbers = opened(events(*[(n, "2026-01-01", "cart") for n in numbers]))
    assert stored(as_numbers) == stored(opened(events(*[(str(n), "2026-01-01", "cart") for n in numbers])))


def test_customers_stand_by_hash_and_buckets_are_its_top_ten_bits(shop):
    _, hashes = stored(shop)
    assert hashes == sorted(hashes)
    starts = shop.store.bucket_starts
    assert (starts[0], starts[-1], len(starts)) == (0, len(hashes), BUCKETS + 1)
    assert all(
        hashes[i] >> 54 == bucket for bucket in range(BUCKETS) for i in range(starts[bucket], starts[bucket + 1])
    )


def test_events_stand_by_time_and_then_by_input_row():
    rows = [
        ("a", "2026-01-02", "two"),
        ("a", "2026-01-01", "one"),
        ("b", "2026-01-01", "x"),
        ("a", "2026-01-02", "three"),
    ]
    part = next(engine.parts(opened(events(*rows))))
    words = [part.words("touchpoint")[code] for code in part.table["touchpoint"]]
    assert sorted([words[:3], words[3:]] if words[3:] == ["x"] else [words[1:], words[:1]]) == [
        ["one", "two", "three"],
        ["x"],
    ]


@pytest.mark.parametrize("partitions", [7, 64, 1_024])
def test_any_number_of_partitions_gives_the_same_counts_to_the_last_bit(shop, partitions):
    whole, parts = all_counts(shop), all_counts(shop, partitions)
    assert {name: same(counts, parts[name]) for name, counts in whole.items()} == dict.fromkeys(whole, True)
    assert whole["touchpoints"].load.sum() > 0
    assert whole["sales"].revenue.dtype == np.int64


def test_any_size_of_slice_gives_the_same_counts(shop, monkeypatch):
    whole = all_counts(shop)
    monkeypatch.setattr(engine, "SLICE", 50)
    assert len(list(engine.parts(shop))) > 90
    sliced = all_counts(shop)
    assert {name: same(counts, sliced[name]) for name, counts in whole.items()} == dict.fromkeys(whole, True)


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 5), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=40
    )
)
@settings(max_examples=12)
def test_a_handful_of_customers_in_mostly_empty_partitions_gives_the_same(rows):
    moments = pd.Timestamp("2026-01-01") + pd.to_timedelta([hour for _, hour, _ in rows], unit="h")
    data = opened(events(*[(who, at, what) for (who, _, what), at in zip(rows, moments, strict=True)]))
    whole, parts = all_counts(data), all_counts(data, 64)
    assert all(same(counts, parts[name]) for name, counts in whole.items())


@given(st.randoms())
@settings(max_examples=8)
def test_the_order_of_input_rows_with_distinct_moments_does_not_matter(random):
    moments = pd.date_range("2026-01-01", periods=60, freq="17min")
    rows = [(i * 7 % 11, at, "abc"[i % 3]) for i, at in enumerate(moments)]
    straight = all_counts(opened(events(*rows)))
    random.shuffle(rows)
    shuffled = all_counts(opened(events(*rows)))
    assert all(same(counts, shuffled[name]) for name, counts in straight.items())


def test_renaming_customers_changes_no_count():
    rows = [
        (i * 7 % 11, at, "abc"[i % 3]) for i, at in enumerate(pd.date_range("2026-01-01", periods=60, freq="17min"))
    ]
    one, other = all_counts(opened(events(*rows))), all_counts(opened(events(*[(f"x{i}", *rest) for i, *rest in rows])))
    assert same(one["transitions"], other["transitions"])
    assert same(one["funnel"], other["funnel"])
    assert one["sessions"].per_bucket.sum(axis=0).tolist() == other["sessions"].per_bucket.sum(axis=0).tolist()


def test_partitions_are_from_one_to_the_buckets(shop):
    for wrong in (0, BUCKETS + 1):
        with pytest.raises(UsageError, match=r"partitions is .*; give a whole number from 1 to 1,024"):
            list(engine.parts(shop, wrong))


def test_collect_gives_rows_in_the_order_of_the_study(shop):
    def sizes(part):
        return {"hash": part.hashes, "events": part.table.sizes}

    one, many = engine.collect(shop, sizes), engine.collect(shop, sizes, partitions=64)
    assert one["hash"].tolist() == many["hash"].tolist() == stored(shop)[1]
    assert one["events"].tolist() == many["events"].tolist()


def test_events_without_a_customer_are_left_out_and_counted():
    data = opened(events(("a", "2026-01-01", "cart"), (None, "2026-01-02", "cart"), ("", "2026-01-03", "cart")))
    assert touched(data) == {"cart": 1}
    assert "events has 2 rows of 3 without customer_id (first at row 2); left out" in findings(data)


def test_rows_of_other_tables_without_a_customer_are_units_and_no_customers():
    answers = frame(
        "timestamp instrument score customer_id", *[("2026-01-01", "nps", 9, None)] * 3, ("2026-01-01", "nps", 2, "a")
    )
    bought = orders(("o1", None, "2026-01-01", 5), ("o2", None, "2026-01-01", 5))
    data = opened({"events": events(("a", "2026-01-01", "cart")), "responses": answers, "orders": bought})
    part = next(engine.parts(data))
    assert (data.customers, len(part), int(part.known.sum())) == (1, 6, 1)
    assert part.tables["responses"].sizes.max() == 1
    assert touched(data) == {"cart": 1}
    assert any(
        "orders has 2 rows of 2 without customer_id" in said and "unit of its own" in said for said in findings(data)
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_ids_that_pandas_turned_into_7_0_are_restored(tmp_path, as_text):
    given = {
        "events": events((7, "2026-01-01", "cart"), (8, "2026-01-01", "cart")),
        "responses": frame(
            "timestamp instrument score customer_id", ("2026-01-02", "nps", 9, 7.0), ("2026-01-02", "nps", 9, None)
        ),
    }
    if as_text:
        for name, table in given.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
    data = opened(tmp_path if as_text else given, cache=False)
    assert sorted(id_ for id_ in stored(data)[0] if id_[0] in "78") == ["7", "8"]
    assert "responses came with customer_id as a number with decimals (7.0); whole numbers were restored" in findings(
        data
    )


def test_007_is_not_7():
    data = opened(events(("007", "2026-01-01", "cart"), ("7", "2026-01-01", "cart")))
    assert (data.customers, sorted(stored(data)[0])) == (2, ["007", "7"])


def test_numbers_in_one_table_and_text_in_another_are_compared_as_text():
    people = frame("customer_id country", ("007", "DK"), ("7", "SE"))
    data = opened({"events": events((7, "2026-01-01", "cart")), "customers": people})
    part = next(engine.parts(data))
    country = dict(zip(stored(data)[0], part.attributes["country"].tolist(), strict=True))
    assert {id_: data.vocabulary("country", "customers")[code] for id_, code in country.items()} == {
        "007": "DK",
        "7": "SE",
    }


def test_an_attribute_that_is_not_known_is_minus_one_or_nan():
    people = frame("customer_id country age", ("a", "DK", 33))
    data = opened({"events": events(("a", "2026-01-01", "cart"), ("b", "2026-01-01", "cart")), "customers": people})
    part = next(engine.parts(data))
    at = stored(data)[0].index("b")
    assert part.attributes["country"][at] == -1
    assert np.isnan(part.attributes["age"][at])
