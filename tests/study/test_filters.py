"""What filters mean: between is about anchors, only about events, segment about customers, as_of about the study."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.study.made import all_counts, events, findings, frame, opened, orders, touched
from tests.study.test_law import same
from toolkit.errors import DataError, UsageError

JOURNEYS = events(
    ("a", "2026-01-30 23:00", "cart"),
    ("a", "2026-02-01 01:00", "purchase"),  # follow-up after the month
    ("b", "2026-01-10", "cart"),
    ("c", "2026-01-31 23:50", "cart"),
    ("c", "2026-02-01 00:05", "cart"),  # a session that began in January
    ("d", "2026-02-03", "purchase"),
)


@pytest.fixture
def data():
    return opened(JOURNEYS)


def test_between_sets_the_anchor_and_leaves_history_and_follow_up_visible(data):
    january = data.between("2026-01-01", "2026-02-01")
    rows = tk.funnel(january, ["cart", "purchase"], within="3d").rows()
    assert [row["n_customers"] for row in rows] == [3, 1]
    assert tk.sessions(january).rows()[0]["n_sessions"] == 3
    assert tk.sessions(data).rows()[0]["n_sessions"] == 5


def test_an_old_month_keeps_its_rate_when_newer_data_comes():
    later = pd.concat([JOURNEYS, events(("e", "2026-03-09", "cart"), ("b", "2026-03-10", "purchase"))])
    rates = [
        tk.funnel(opened(given).between("2026-01-01", "2026-02-01"), ["cart", "purchase"], within="1d").rows()
        for given in (JOURNEYS, later)
    ]
    assert [row["n_customers"] for row in rates[0]] == [row["n_customers"] for row in rates[1]] == [3, 0]


def test_the_months_of_a_year_are_the_year(data):
    months = ["2026-01-01", "2026-02-01", "2026-03-01"]
    parts = [tk.sessions(data.between(*pair)).rows()[0]["n_sessions"] for pair in pairwise(months)]
    assert sum(parts) == tk.sessions(data.between(months[0], months[-1])).rows()[0]["n_sessions"]


def test_a_period_is_in_the_studys_zone():
    data = tk.open_data(events(("a", "2026-01-31 23:30+00:00", "cart")), tz="Europe/Copenhagen", small_cells=0)
    assert tk.sessions(data.between("2026-02-01", "2026-03-01")).rows()[0]["n_sessions"] == 1


def test_an_empty_period_is_refused(data):
    with pytest.raises(UsageError, match="The period 2026-02-01 to 2026-02-01 is empty"):
        data.between("2026-02-01", "2026-02-01")


def test_only_removes_events_and_says_what_is_seen_through(data):
    carts = data.only(touchpoint="cart")
    assert touched(carts) == {"cart": 4, "purchase": 0}
    assert tk.sessions(carts).definition.seen_through == "touchpoint = cart only"
    assert carts.customers == data.customers
    assert touched(data)["purchase"] == 2


def test_only_twice_keeps_what_both_keep(data):
    assert touched(data.only(touchpoint=["cart", "purchase"]).only(touchpoint="purchase")) == {"cart": 0, "purchase": 2}


def test_only_names_what_there_is(data):
    with pytest.raises(UsageError, match=r"touchpoint is 'card'.*did you mean 'cart'"):
        data.only(touchpoint="card")
    with pytest.raises(UsageError, match="events column is 'page'"):
        data.only(page="cart")


@pytest.mark.parametrize("as_series", [False, True])
def test_a_segment_takes_whole_customers_and_says_so(data, as_series):
    labels = {"a": "new", "c": "new", "b": "old", "d": None, "elsewhere": "new"}
    new = data.segment(pd.Series(labels) if as_series else labels, "new")
    assert new.customers == 2
    assert touched(new) == {"cart": 3, "purchase": 1}
    assert new.definition("x").seen_through == "customers of new only"
    assert new.frame("events")["customer_id"].unique().tolist() == ["a", "c"]


def test_a_segment_of_a_segment_is_in_both(data):
    one = data.segment({"a": "x", "b": "x", "c": "y"}, "x")
    assert one.segment({"a": "p", "c": "p"}, "p").customers == 1


def test_segments_that_meet_nobody_are_refused(data):
    with pytest.raises(DataError, match="None of the 1 customers of segment is in this study"):
        data.segment({"zz": "x"}, "x")
    with pytest.raises(UsageError, match="segment is 'z'; choose one of 'x'"):
        data.segment({"a": "x"}, "z")
    with pytest.raises(UsageError, match="there is nothing to choose from"):
        data.segment({}, "x")


def test_labels_are_for_groups_not_for_single_customers(data):
    with pytest.raises(UsageError, match=r"segment has 40,000 different labels; give at most 32,000\."):
        data.segment({str(i): str(i) for i in range(40_000)}, "1")


def test_labels_become_an_attribute_to_break_down_by(data):
    labelled = data.labelled("kind", {"a": "x", "b": "y"})
    rows = tk.funnel(labelled, ["cart", "purchase"], within="27h", by="kind").rows()
    assert {row["kind"]: row["n_entered"] for row in rows} == {"x": 1, "y": 1, "(unknown)": 1}
    assert labelled.vocabulary("kind", "customers") == ("x", "y")
    assert labelled.labelled("other", {"c": "z"}).vocabulary("kind", "customers") == ("x", "y")


@given(st.integers(0, 58))
@settings(max_examples=8)
def test_as_of_is_the_same_as_cutting_the_input(minutes):
    moments = pd.date_range("2026-01-01", periods=60, freq="1min")
    rows = [(i * 7 % 11, at, "abc"[i % 3]) for i, at in enumerate(moments)]
    rows[:3] = [(i, moments[0], "abc"[i]) for i in range(3)]  # all words occur
    until = moments[minutes].isoformat()
    seen = opened(events(*rows), as_of=until)
    cut = opened(events(*[row for row in rows if row[1] <= moments[minutes]]), as_of=until)
    one, other = all_counts(seen), all_counts(cut)
    assert {name: same(one[name], other[name]) for name in ("transitions", "funnel", "touchpoints")} == dict.fromkeys(
        ("transitions", "funnel", "touchpoints"), True
    )
    assert len(seen.frame("events")) == len(cut.frame("events"))


def test_as_of_names_the_end_of_a_day_and_belongs_to_the_study(data):
    early = opened(JOURNEYS, as_of="2026-01-31")
    assert touched(early) == {"cart": 3, "purchase": 0}
    assert early.only(touchpoint="cart").observed_until == early.segment({"a": "x"}, "x").observed_until
    assert early.between("2026-01-01", "2026-01-05").observed_until == early.observed_until
    assert data.observed_until == pd.Timestamp("2026-02-03").value // 1_000


def test_quiet_days_before_as_of_are_said():
    assert any(
        "days before as_of; the days between count as quiet" in said
        for said in findings(opened(JOURNEYS, as_of="2026-06-01"))
    )


def test_a_frame_follows_the_view():
    people = frame("customer_id country joined_at", ("a", "DK", "2025-01-01"), ("b", "SE", None), ("q", "DK", None))
    bought = orders(("o1", "a", "2026-02-01 01:00", 9), ("o2", None, "2026-02-02", 5))
    lines = frame("order_id product quantity price", ("o1", "pen", 1, 9), ("o2", "ink", 1, 5))
    data = tk.open_data(
        {"events": JOURNEYS, "customers": people, "orders": bought, "order_lines": lines},
        tz="Europe/Copenhagen",
        small_cells=0,
    )
    assert len(data.frame("customers")) == 3
    assert data.frame("orders")["customer_id"].isna().tolist() == [False, True]
    assert data.frame("order_lines")["customer_id"].tolist()[0] == "a"
    january = data.between("2026-01-01", "2026-02-01")
    assert (len(january.frame("events")), len(january.frame("orders")), len(january.frame("customers"))) == (3, 0, 3)
    assert data.only(touchpoint="cart").frame("events")["touchpoint"].unique().tolist() == ["cart"]
    mine = data.segment({"a": "x"}, "x")
    assert [len(mine.frame(name)) for name in ("events", "customers", "orders", "order_lines")] == [2, 1, 1, 1]
    assert str(data.frame("events")["timestamp"].dtype) == "datetime64[us, Europe/Copenhagen]"
    assert opened(JOURNEYS, as_of="2026-01-15").frame("events")["customer_id"].tolist() == ["b"]


def test_a_frame_of_a_table_that_is_not_there_names_those_that_are(data):
    with pytest.raises(UsageError, match="table is 'orders'; choose one of 'events'"):
        data.frame("orders")


def test_moments_keep_their_microseconds_in_a_frame():
    at = np.datetime64("2026-01-01T00:00:00.123457", "us")
    assert opened(events(("a", at, "cart"))).frame("events")["timestamp"].dt.microsecond.tolist() == [123457]
