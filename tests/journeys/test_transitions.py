"""Transitions: by hand, a twin in pandas, the ledger, and small cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import MIN, part, study
from toolkit.counts import EXACT_LIMIT
from toolkit.journeys.transitions import END, START, count_transitions

KEYS = ("from", "to", "n_transitions", "n_customers")


def walked(*names):
    return [(i * 10 * MIN, name) for i, name in enumerate(names)]


def test_three_journeys_are_counted_by_hand():
    data = study({"x": walked("a", "b", "b"), "y": walked("a", "b"), "z": walked("b")})
    rows = {(row["from"], row["to"]): row for row in tk.transitions(data).rows()}
    assert {pair: (row["n_transitions"], row["n_customers"]) for pair, row in rows.items()} == {
        (START, "a"): (2, 2),
        ("a", "b"): (2, 2),
        ("b", "b"): (1, 1),
        ("b", END): (3, 3),
        (START, "b"): (1, 1),
    }
    assert rows["a", "b"]["median_seconds"] == 600 and np.isnan(rows[START, "a"]["median_seconds"])
    assert rows["b", END]["out_share"] == 3 / 4 and rows["b", "b"]["in_share"] == 1 / 4
    assert rows["b", "b"]["again"] and not rows["a", "b"]["again"]


def pandas_transitions(events, period, gap):
    """Pairs with their counts, and the seconds between, by shifting the column of touchpoints."""
    same = events.customer_id == events.customer_id.shift()
    new = ~same if gap is None else ~same | (events.timestamp.diff() > pd.Timedelta(gap))
    group = new.cumsum()
    begin = events.timestamp.groupby(group).transform("first")
    inside = (begin >= period[0]) & (begin < period[1])
    rows = events[inside].assign(run=group[inside])
    before = rows.groupby("run").touchpoint.shift().fillna(START)
    pairs = pd.DataFrame({"from": before, "to": rows.touchpoint, "customer": rows.customer_id})
    pairs["wait"] = rows.groupby("run").timestamp.diff().dt.total_seconds()
    last = rows.groupby("run").tail(1)
    ends = pd.DataFrame({"from": last.touchpoint, "to": END, "customer": last.customer_id, "wait": np.nan})
    return (
        pd.concat([pairs, ends])
        .groupby(["from", "to"])
        .agg(
            n_transitions=("customer", "size"),
            n_customers=("customer", "nunique"),
            median_seconds=("wait", "median"),
            p95_seconds=("wait", lambda wait: wait.quantile(0.95)),
        )
    )


@pytest.mark.parametrize("gap", [None, "30min"])
@pytest.mark.parametrize("period", [("1990-01-01", "2990-01-01"), ("2025-11-01", "2026-02-01")])
def test_pandas_finds_the_same_transitions(shop, events, period, gap):
    expected = pandas_transitions(events, [pd.Timestamp(day, tz="Europe/Copenhagen") for day in period], gap)
    result = tk.transitions(shop.between(*period), within=gap)
    assert result.counts.waits.exact and len(result.counts.waits.values) < EXACT_LIMIT
    found = pd.DataFrame(result.rows()).set_index(["from", "to"]).sort_index()[expected.columns]
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9)


def test_what_is_hidden_and_what_is_shown_are_all(shop):
    from dataclasses import replace

    few = tk.transitions(replace(shop, small_cells=30))
    ledger = few.ledger
    assert ledger["shown"] + ledger["hidden"] == ledger["all"] == tk.transitions(shop).counts.pairs.sum()
    assert ledger["hidden"] > 0 and min(row["n_customers"] for row in few.rows()) >= 30
    assert sum(row["n_transitions"] for row in few.rows()) == ledger["shown"]


journeys_ = st.lists(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from("abc")), max_size=9), min_size=1, max_size=6
)


@given(journeys_, st.sampled_from([None, 5, 30]))
def test_every_journey_starts_once_and_ends_once(journeys, gap):
    whole = part([[(t, word, None) for t, word in events] for events in journeys], list("abc"))
    counts = count_transitions(whole, gap=gap)
    assert (counts.pairs.sum(axis=0)[:-1] == counts.pairs.sum(axis=1)[:-1]).all()  # what reaches a place leaves it
    assert counts.pairs[-1].sum() == counts.pairs[:, -1].sum()
    assert counts.passing == sum(bool(events) for events in journeys)
    assert counts.waits.counts.sum() == counts.pairs[:-1, :-1].sum()
    assert (counts.customers <= counts.pairs).all() and counts.customers.max(initial=0) <= counts.passing


def test_nothing_in_the_period_gives_no_rows():
    assert tk.transitions(study({"c": walked("a", "b")}).between("2030-01-01", "2030-02-01")).rows() == []
