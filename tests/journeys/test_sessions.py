"""Sessions: the published example, a twin in pandas, periods, and what is near the limit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import MIN, clock, part, study
from toolkit.counts import by_bucket
from toolkit.journeys.sessions import count_sessions, own_pages

GAP = pd.Timedelta("30min")


def only_row(data, **settings):
    [row] = tk.sessions(data, **settings).rows()
    return row


def test_mixpanels_example_has_two_sessions_of_ten_and_thirty_five_minutes():
    times = clock("13:00", "13:10", "13:50", "14:10", "14:25")
    counts = tk.sessions(study({"c": [(t, "page") for t in times]})).counts
    assert counts.lengths.values.tolist() == [600.0, 2100.0] and counts.lengths.counts.tolist() == [1, 1]
    assert counts.microseconds == 45 * MIN


def test_without_a_cut_at_midnight_mixpanels_second_example_is_one_session():
    times = [23 * 60 * MIN + 30 * MIN, 23 * 60 * MIN + 50 * MIN, (24 * 60 + 5) * MIN, (24 * 60 + 10) * MIN]
    assert tk.sessions(study({"c": [(t, "page") for t in times]})).counts.lengths.values.tolist() == [2400.0]


@pytest.mark.parametrize(("pause", "sessions"), [(30 * MIN, 1), (30 * MIN + 1, 2)])
def test_only_a_pause_longer_than_the_gap_begins_a_session(pause, sessions):
    assert only_row(study({"c": [(0, "page"), (pause, "page")]}))["n_sessions"] == sessions


def test_a_bounce_is_one_event_and_no_purchase_of_a_session_that_begins_at_an_own_page():
    page = "product page"
    data = study({"a": [(0, page)], "b": [(0, "purchase")], "c": [(0, page), (1, page)], "d": [(0, "newsletter")]})
    row = only_row(data)
    assert row["n_begun"] == 2 and row["bounce_rate"] == 1 / 2
    assert row["single_event_rate"] == 3 / 4


def test_by_ga4s_rule_ten_seconds_a_second_view_or_a_purchase_engage():
    page, second = "product page", 1_000_000
    shop = {
        "one view": [(0, page)],
        "two views": [(0, page), (second, "home page")],
        "just under": [(0, "search ad"), (10 * second - 1, page)],
        "ten seconds": [(0, "search ad"), (10 * second, page)],
        "a purchase": [(0, page), (second, "purchase")],
        "no view": [(0, "newsletter")],
    }
    row = only_row(study(shop))
    assert row["n_viewed"] == 5 and row["ga4_bounce_rate"] == 2 / 5
    assert row["ga4_bounce_rate_low"] < 2 / 5 < row["ga4_bounce_rate_high"]
    assert "40.0 %" in tk.sessions(study(shop)).say()[1]


@pytest.mark.parametrize(("pause", "near"), [(23, 0), (24, 1), (36, 0.5), (37, 0)])
def test_sessions_with_a_pause_within_a_fifth_of_the_gap_are_named(pause, near):
    """At 36 minutes the pause lies behind the first of two sessions."""
    assert only_row(study({"c": [(0, "page"), (pause * MIN, "page")]}))["near_gap_share"] == near


def test_pauses_outside_the_period_are_not_counted():
    data = study({"c": [(0, "page"), (25 * MIN, "page"), (3000 * MIN, "page")]}).between("2026-01-02", "2026-01-04")
    assert only_row(data)["near_gap_share"] == 0


@pytest.mark.parametrize("period", [None, ("2025-11-01", "2026-02-01")])
def test_pandas_counts_the_same_sessions(shop, events, period):
    new = (events.customer_id != events.customer_id.shift()) | (events.timestamp.diff() > GAP)
    rows = events.assign(session=new.cumsum(), purchase=events.touchpoint == "purchase")
    rows["view"] = events.touchpoint.isin([*own_pages(shop), "cart", "checkout"])
    each = rows.groupby("session").agg(
        customer=("customer_id", "first"),
        begin=("timestamp", "first"),
        end=("timestamp", "last"),
        n=("touchpoint", "size"),
        sold=("purchase", "any"),
        first=("touchpoint", "first"),
        views=("view", "sum"),
    )
    if period:
        begin, end = (pd.Timestamp(day, tz="Europe/Copenhagen") for day in period)
        each = each[(each.begin >= begin) & (each.begin < end)]
    row = only_row(shop.between(*period) if period else shop)
    assert row["n_sessions"] == len(each) and row["n_events"] == each.n.sum()
    assert row["n_customers"] == each.customer.nunique()
    assert row["single_event_rate"] == pytest.approx((each.n == 1).mean())
    begun = each[each["first"].isin(own_pages(shop))]
    assert row["n_begun"] == len(begun) > 0
    assert row["bounce_rate"] == pytest.approx(((begun.n == 1) & ~begun.sold).mean())
    idle = (each.views == 1) & (each.end - each.begin < pd.Timedelta("10s")) & ~each.sold
    assert row["n_viewed"] == (each.views > 0).sum()
    assert row["ga4_bounce_rate"] == pytest.approx(idle.sum() / (each.views > 0).sum())
    assert row["median_seconds"] == pytest.approx((each.end - each.begin).dt.total_seconds().median(), rel=1e-9)


def test_customers_and_sessions_stand_in_their_customers_bucket():
    journeys = [[(0, "page", None), (100 * MIN, "page", None)], [], [(0, "page", None)]]
    per_bucket = count_sessions(part(journeys, ["page"]), gap=30 * MIN, key=(), own=(0,)).per_bucket
    assert (per_bucket[:, 0] == by_bucket(np.array([0, 2]))[:, 0]).all()
    assert per_bucket[:3].tolist() == [[1, 2, 2, 2, 2], [0] * 5, [1] * 5]


@given(st.lists(st.lists(st.integers(0, 200), max_size=8), min_size=1, max_size=5), st.integers(1, 100))
def test_a_longer_gap_never_gives_more_sessions_and_all_events_are_in_one(journeys, gap):
    whole = part([[(t, "page", None) for t in times] for times in journeys], ["page"])
    short, long = (count_sessions(whole, gap=g, key=(), own=(0,)) for g in (gap, gap + 7))
    assert long.per_bucket[:, 1].sum() <= short.per_bucket[:, 1].sum()
    assert short.events == long.events == sum(map(len, journeys))
    assert (short.sizes.values * short.sizes.counts).sum() == short.events


def test_no_session_in_the_period_is_said():
    empty = tk.sessions(study({"c": [(0, "page")]}).between("2030-01-01", "2030-02-01"))
    assert empty.say() == ["No session began in the period."]
    assert np.isnan(empty.rows()[0]["bounce_rate"])
