"""The trend: each period is the funnel between its ends; the calendar; the planted incident; false alarms."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.funnels.twin import Asked, funnel_of, step
from tests.journeys.made import EVER, MIN, part, study
from toolkit.errors import UsageError
from toolkit.funnels.chains import Search
from toolkit.funnels.trend import count_trend
from toolkit.study.engine import run

HOUR, DAY = 60 * MIN, 24 * 60 * MIN
WEEK = 7 * DAY
SAMPLES = Path(__file__).parents[2] / "data/samples/webshop"

# a twin

TICK = HOUR // 4  # periods are an hour or longer, and may begin within one
EVENT = st.tuples(st.integers(0, 60).map(TICK.__mul__), st.sampled_from("abc"), st.just("mobile"))
JOURNEYS = st.lists(st.lists(EVENT, max_size=8), min_size=1, max_size=6)
SHARED, APART = (("a",), ("b",), ("a", "c")), (("a",), ("b",), ("c",))  # in any order no event may be two steps
BOUNDS = tuple(TICK * tick for tick in (0, 9, 14, 35, 50, 71))
ASKED = st.builds(
    Asked,
    steps=st.just(SHARED),
    window=st.integers(0, 30).map(TICK.__mul__),
    entry=st.sampled_from(["best", "first", "every"]),
    ties=st.sampled_from(["favour", "file"]),
    order=st.sampled_from(["ordered", "strict", "any"]),
    gap=st.sampled_from([0, 0, 4 * TICK]),
    period=st.sampled_from([(0, 71 * TICK), (5 * TICK, 40 * TICK)]),
    until=st.integers(20, 70).map(TICK.__mul__),
).map(lambda asked: replace(asked, steps=APART) if asked.order == "any" else asked)


def counted(journeys, asked):
    whole = part(journeys, "abc", period=asked.period, until=asked.until)
    return count_trend(whole, search=asked.search("abc"), bounds=BOUNDS)


@given(JOURNEYS, ASKED)
def test_each_period_is_the_twins_funnel_between_its_ends(journeys, asked):
    mine = counted(journeys, asked)
    assert mine.matured.shape == (1_024 if asked.gap or asked.entry == "every" else 1, 5, 3)
    seen = 0
    for i, (begin, end) in enumerate(pairwise(BOUNDS)):
        between = max(begin, asked.period[0]), min(end, asked.period[1])
        told = funnel_of(journeys, replace(asked, period=between)) if between[0] < between[1] else funnel_of([], asked)
        seen += told.seen
        for table, counter in ((mine.reached, told.reached), (mine.matured.sum(axis=0), told.matured)):
            assert {("mobile", k): n for k, n in enumerate(table[i].tolist()) if n} == counter
        assert mine.pending[i] == told.pending.total()
    assert mine.seen == seen


@given(JOURNEYS, JOURNEYS, ASKED)
def test_customers_counted_apart_add_up_to_customers_counted_together(some, others, asked):
    whole = counted(some + others, asked)
    apart = type(whole).sum([counted(journeys, asked) for journeys in (some, [], others)])
    assert whole.seen == apart.seen
    for name in ("reached", "pending", "customers"):
        assert (getattr(whole, name) == getattr(apart, name)).all()
    assert (whole.matured.sum(axis=0) == apart.matured.sum(axis=0)).all()  # these customers' buckets are their places


@pytest.mark.parametrize("rules", [tk.FunnelRules(), tk.FunnelRules(entry="first"), tk.FunnelRules(unit="session")])
def test_each_week_is_the_funnel_of_that_week(shop, rules):
    steps = ["product page", "cart", "purchase"]
    trend = tk.funnel_trend(shop, steps, within="3d", rules=rules)
    ends = [*trend.periods[1:], "2027-01-01"]
    for i in (0, 20, 31, len(ends) - 1):
        week = tk.funnel(shop.between(trend.periods[i], ends[i]), steps, within="3d", rules=rules)
        assert trend.counts.reached[i].tolist() == week.counts.reached.sum(axis=0).tolist()
        assert trend.counts.matured[:, i].sum(axis=0).tolist() == week.counts.matured.sum(axis=0).tolist()
        assert trend.counts.pending[i] == week.counts.pending.sum()


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same_counts(shop, partitions):
    bounds = tuple(range(1_751_000_000_000_000, 1_790_000_000_000_000, WEEK))
    settings = {"search": Search((step(0), step(1)), DAY, gap=30 * MIN), "bounds": bounds}
    whole, parts = (run(shop, count_trend, partitions=n, **settings) for n in (1, partitions))
    for name in ("seen", "reached", "matured", "pending", "customers"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name


# periods


def weekly(*weeks, start=4 * DAY, **settings):
    """Customers by week from Monday 5 January 2026: (entered, converted) each; one event long after."""
    journeys = {"last": [(start + len(weeks) * WEEK + 8 * DAY, "z")]}
    for week, (entered, converted) in enumerate(weeks):
        for i in range(entered):
            at = start + week * WEEK + i * HOUR
            journeys[f"{week} {i}"] = [(at, "a"), (at + MIN, "b")][: 1 + (i < converted)]
    return study(journeys, **settings)


def test_weeks_are_counted_by_hand():
    trend = tk.funnel_trend(weekly((10, 5), (0, 0), (20, 2)), ["a", "b"])
    rows = [(row["week_at"], row["n_entered"], row["n_converted"], row["conversion_rate"]) for row in trend.rows()]
    assert rows == [("2026-01-05", 10, 5, 0.5), ("2026-01-19", 20, 2, 0.1)]
    assert [round(row["conversion_rate_diff"], 12) for row in trend.rows()] == [0.4, -0.4]
    assert trend.ledger == {"converted": 7, "dropped": 23, "pending": 0, "never entered": 1, "all": 31}
    assert trend.headline["conversion_rate"] == 0.1 and trend.headline["what"] == "a to b, week of 2026-01-19"


def test_a_customer_counts_in_each_week_of_entry():
    data = study({"c": [(4 * DAY, "a"), (5 * DAY, "a"), (11 * DAY, "a"), (12 * DAY, "b")], "d": [(30 * DAY, "z")]})
    trend = tk.funnel_trend(data, ["a", "b"], within="10d")
    assert trend.counts.reached.sum(axis=0).tolist() == [2, 2]
    by_first = tk.funnel_trend(data, ["a", "b"], within="7d", rules=tk.FunnelRules(entry="first"))
    assert by_first.counts.reached.sum(axis=0).tolist() == [2, 1]


def test_weeks_not_observed_whole_are_marked_and_not_judged():
    data = weekly(*[(40, 20)] * 6, start=5 * DAY, as_of="2026-02-10T20:00")
    trend = tk.funnel_trend(data, ["a", "b"], within="14d")
    observed = {row["week_at"]: row["observed"] for row in trend.rows()}
    assert list(observed.values()) == ["in part", "whole", "whole", "young entries"]
    assert [np.isnan(row["p_adjusted"]) for row in trend.rows()] == [True, False, False, True]
    assert "are absent: 2" in trend.note and "not judged" in trend.say()[-1].lower()
    *parts, whole = trend.ledger.values()
    assert sum(parts) == whole and trend.ledger["pending"] > 0
    within_week = tk.funnel_trend(data.between("2026-01-07", "2026-01-24"), ["a", "b"])
    assert [row["observed"] for row in within_week.rows()] == ["in part", "whole", "in part"]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("day", ["2026-03-28", "2026-03-29", "2026-03-30"]),
        ("week", ["2026-03-23", "2026-03-30"]),
        ("month", ["2026-03"]),
    ],
)
def test_periods_begin_at_local_midnight_also_when_the_clock_is_put_forward(every, expected):
    moments = ["2026-03-28T23:59", "2026-03-29T00:00", "2026-03-29T23:59", "2026-03-30T00:00", "2026-05-01T12:00"]
    import pandas as pd

    at = pd.to_datetime(moments).tz_localize("Europe/Copenhagen")
    events = pd.DataFrame({"customer_id": list("abcde"), "timestamp": at, "touchpoint": ["x", "x", "x", "x", "y"]})
    data = tk.open_data({"events": events}, tz="Europe/Copenhagen", small_cells=0)
    trend = tk.funnel_trend(data, ["x", "y"], within="1d", every=every)
    assert [row[trend.key] for row in trend.rows()] == expected
    sizes = {"day": [1, 2, 1], "week": [3, 1], "month": [4]}
    assert [row["n_entered"] for row in trend.rows()] == sizes[every]


def test_weeks_of_few_customers_are_not_shown():
    trend = tk.funnel_trend(weekly((40, 20), (3, 1), (9, 4), (50, 25), small_cells=5), ["a", "b"])
    assert [row["n_entered"] for row in trend.rows()] == [40, 50] and "too few customers are not shown: 2" in trend.note


# what differs


def named(trend):
    return [row[trend.key] for row in trend.rows() if row["differs"]]


def test_a_step_that_breaks_is_found_where_it_breaks():
    journeys = {"last": [(80 * DAY, "z")]}
    for week in range(8):
        for i in range(100):
            at = 4 * DAY + week * WEEK + i * HOUR
            got = 1 + (i % 4 == 0) + (i % 4 == 0 and (i % 8 == 0 or week != 5))
            journeys[f"{week} {i}"] = [(at + j, word) for j, word in enumerate("abc")][:got]
    trend = tk.funnel_trend(study(journeys), ["a", "b", "c"])
    assert named(trend) == ["2026-02-09"] and trend.rows()[5]["differs"] == "b to c lower"
    assert "24 comparisons" in trend.definition.rules and "from b to c" in trend.say()[1]
    row = next(row for row in trend.rate_rows() if row["between"] == "b to c" and row["week_at"] == "2026-02-09")
    assert (row["n_matured"], row["n_converted"]) == (25, 13) and row["conversion_rate_diff_high"] < 0


@pytest.mark.parametrize("unit", ["session", "customer"])
def test_the_payment_incident_of_the_samples_is_found_and_nothing_else(unit):
    planted = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))["planted"]["payment incident"]
    truth = planted["expected"]["during"] - planted["expected"]["otherwise"]
    rules = tk.FunnelRules(unit=unit)
    trend = tk.funnel_trend(tk.open_data(SAMPLES), ["checkout", "purchase"], within="1d", rules=rules)
    weeks = {"2026-03-09", "2026-03-16"}
    assert planted["window"] == ["2026-03-09", "2026-03-23"]
    assert named(trend) and set(named(trend)) <= weeks
    rows = [row for row in trend.rows() if row["week_at"] in weeks]
    assert all(row["conversion_rate_diff_low"] <= truth <= row["conversion_rate_diff_high"] for row in rows)
    assert all(row["conversion_rate_diff_high"] < 0 for row in rows) and len(rows) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_in_a_world_without_effects_no_week_differs(seed):
    data = tk.open_data(tk.make_data(4_000, rng=seed, truth=tk.Truth.nothing()), tz="Europe/Copenhagen")
    for rules in (tk.FunnelRules(), tk.FunnelRules(unit="session")):
        assert named(tk.funnel_trend(data, ["checkout", "purchase"], within="1d", rules=rules)) == []


@pytest.mark.slow
def test_when_nothing_changes_at_most_one_data_set_in_twenty_names_a_week():
    """Customers who come back, more and more of them; each visit converts a few of them within the window."""
    card = tk.funnel_trend(weekly((5, 2), (5, 2)), ["a", "b"])
    rng, alarms, weeks, runs = np.random.default_rng(12), 0, 26, 120
    bounds = tuple(range(0, (weeks + 1) * WEEK, WEEK))
    observed = tuple(["whole"] * (weeks - 1) + ["young entries"])
    for _ in range(runs):
        n = 500
        visits = rng.geometric(0.35, n)
        begin = np.repeat(bounds[-1] * np.sqrt(rng.random(n)), visits)
        entry = (begin + rng.exponential(10 * DAY, len(begin)) * (rng.random(len(begin)) < 0.7)).astype(np.int64)
        converts, wait = rng.random(len(entry)) < 0.15, (WEEK * rng.random(len(entry))).astype(np.int64)
        journeys, owner = [[] for _ in range(n)], np.repeat(np.arange(n), visits)
        for who, at, yes, late in zip(owner.tolist(), entry.tolist(), converts, wait.tolist(), strict=True):
            journeys[who] += [(at, "a", None), (at + late, "b", None)] if yes else [(at, "a", None)]
        whole = part(journeys, "ab", period=EVER, until=bounds[-1] - 1)
        counts = count_trend(whole, search=Search((step(0), step(1)), WEEK), bounds=bounds)
        trend = replace(card, counts=counts, observed=observed, periods=tuple(map(str, range(weeks))))
        alarms += any(row["p_adjusted"] < 0.05 for row in trend.rate_rows())
    assert alarms / runs <= 0.05


# the figure, and wrong use


def test_the_figure_marks_what_differs_and_hollows_what_is_not_judged():
    data = weekly((40, 20), (40, 20), (60, 3), (40, 21), (40, 19), (40, 20))
    trend = tk.funnel_trend(data, ["a", "b"], within="3d")
    axes = tk.plot(trend)
    full, hollow, apart = axes.collections[-3:]
    assert [len(marks.get_offsets()) for marks in (full, hollow, apart)] == [5, 0, 1]
    assert apart.get_offsets()[0][1] == trend.rows()[2]["conversion_rate"]
    young = tk.plot(tk.funnel_trend(data, ["a", "b"], within="14d")).collections[-2]
    assert len(young.get_offsets()) == 1 and young.get_facecolor().tolist() == [[1, 1, 1, 1]]


EDGES = {
    "nobody entered": ({"c": [(0, "b")], "d": [(50 * DAY, "a")]}, "No customer entered"),
    "one week": ({f"c{i}": [(4 * DAY + i, "a")] for i in range(9)} | {"d": [(30 * DAY, "z")]}, "Fewer than two whole"),
    "all young": ({f"c{i}": [(i * MIN, "a")] for i in range(9)} | {"d": [(DAY, "b")]}, "are absent: 1"),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    journeys, sentence = EDGES[name]
    data = study(journeys)
    data = data.between("2026-01-02", "2026-01-10") if name == "nobody entered" else data
    trend = tk.funnel_trend(data, ["a", "b"] if "b" in str(journeys) else ["a", "z"])
    *parts, whole = trend.ledger.values()
    assert sum(parts) == whole and sentence in " ".join([*trend.say(), trend.note])
    assert str(trend) and trend._repr_html_() and tk.show(trend)


def test_wrong_use_is_explained():
    data = weekly((5, 2))
    with pytest.raises(UsageError, match=r"(?s)'fortnight'.*'day', 'week', 'month'"):
        tk.funnel_trend(data, ["a", "b"], every="fortnight")
    long = study({"c": [(-3_000 * DAY, "a"), (0, "b")]})
    with pytest.raises(UsageError, match="There are 3,001 days"):
        tk.funnel_trend(long, ["a", "b"], every="day")
