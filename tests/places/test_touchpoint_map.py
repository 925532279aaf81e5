"""The touchpoint map: parts in journeys as a slow twin finds them; rows that agree with the other views."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import EVER, MIN, part
from toolkit.places.touchpoint_map import MapCounts, count_map
from toolkit.study.engine import run

TOUCHPOINTS = ("a", "b", "page", "buy")
BRING, GOAL, WINDOW = (0, 1), (3,), 40 * MIN
event = st.tuples(st.integers(0, 8).map(lambda n: n * 10 * MIN), st.sampled_from(TOUCHPOINTS), st.just("desktop"))
journeys = st.lists(st.lists(event, max_size=9), min_size=1, max_size=5)


def counted(people, period=EVER):
    about = np.array([-1])
    return count_map(part(people, TOUCHPOINTS, period=period), goal=GOAL, bring=BRING, window=WINDOW, about=about)


def twin(people, period):
    parts, with_it, customers = np.zeros((3, 4), int), np.zeros(4, int), np.zeros(4, int)
    for events in people:
        path, mine = [], set()
        for time, name, _ in sorted(events, key=lambda e: e[0]):
            if name in "ab":
                path.append((time, TOUCHPOINTS.index(name)))
            if name == "buy":
                near = [code for moment, code in path if time - moment <= WINDOW]
                path = []
                if near and period[0] <= time < period[1]:
                    parts[0, near[0]] += 1
                    parts[2, near[-1]] += 1
                    for code in set(near[1:-1]):
                        parts[1, code] += 1
                    for code in set(near):
                        with_it[code] += 1
                    mine |= set(near)
        for code in mine:
            customers[code] += 1
    return parts, with_it, customers


@given(journeys, st.sampled_from([EVER, (20 * MIN, 60 * MIN)]))
def test_a_slow_twin_agrees_on_who_opens_and_who_closes(people, period):
    counts = counted(people, period)
    for found, expected in zip((counts.parts, counts.journeys, counts.customers), twin(people, period), strict=True):
        assert np.array_equal(found, expected)


@given(journeys, journeys)
def test_counts_add(some, others):
    added, whole = MapCounts.sum([counted(some), counted([[]]), counted(others)]), counted([*some, [], *others])
    assert np.array_equal(added.parts, whole.parts) and added.converted == whole.converted


@pytest.fixture(scope="module")
def found(till):
    return tk.touchpoint_map(till)


def test_partitions_give_the_same(till):
    names = till.vocabulary("touchpoint")
    about = np.array([*(names.index(word) for word in till.vocabulary("touchpoint", "responses")), -1])
    settings = {"goal": till.codes(["purchase"]), "bring": till.codes(["newsletter"]), "about": about}
    whole, split = (run(till, count_map, window=30 * 1440 * MIN, partitions=n, **settings) for n in (1, 64))
    assert all(np.array_equal(getattr(whole, f), getattr(split, f)) for f in MapCounts.__dataclass_fields__)


def test_satisfaction_is_the_mean_of_the_answers_that_name_the_touchpoint(till, found):
    answers = till.frame("responses")
    low, high = (answers["scale"].str.split("-").str[i].astype(float) for i in (0, 1))
    answers["share"] = (answers["score"] - low) / (high - low)
    rows = {row["touchpoint"]: row for row in found.rows()}
    for name, some in answers.dropna(subset="touchpoint").groupby("touchpoint"):
        if some["customer_id"].nunique() >= 1 and name in rows:
            assert rows[name]["felt_share"] == pytest.approx(some["share"].mean()), name
            assert rows[name]["felt_share_low"] <= rows[name]["felt_share"] <= rows[name]["felt_share_high"]


def test_an_answer_without_a_touchpoint_belongs_to_the_last_event_of_the_day_before():
    at = pd.to_datetime(["2026-01-01 10:00", "2026-01-01 12:00", "2026-01-05 10:00"], utc=True)
    events = pd.DataFrame({"customer_id": "a", "timestamp": at, "touchpoint": ["chat", "cart", "chat"]})
    asked = pd.to_datetime(["2026-01-01 11:00", "2026-01-02 11:00", "2026-01-04 11:00"], utc=True)
    answers = pd.DataFrame({"customer_id": "a", "timestamp": asked, "instrument": "csat", "score": [5.0, 3.0, 1.0]})
    data = tk.open_data({"events": events, "responses": answers}, small_cells=0, as_of="2026-01-06")
    felt = {row["touchpoint"]: row["felt_share"] for row in tk.touchpoint_map(data).rows()}
    assert felt == {"chat": 1.0, "cart": 0.5}


def test_rows_agree_with_the_inventory_and_the_associations(till, found):
    inventory = {row["touchpoint"]: row for row in tk.touchpoints(till).rows()}
    odds = {row["touchpoint"]: row["odds_ratio"] for row in tk.associations(till).rows()}
    for row in found.rows():
        assert row["n_customers"] == inventory[row["touchpoint"]]["n_customers"]
        assert row["reach_share_low"] <= row["reach_share"] <= row["reach_share_high"]
        if row["touchpoint"] in odds:
            assert row["odds_ratio"] == pytest.approx(odds[row["touchpoint"]], nan_ok=True)


def test_without_a_known_funnel_the_map_says_what_it_cannot_compare():
    events = pd.DataFrame({"customer_id": list("abcdef"), "timestamp": "2026-01-01", "touchpoint": "zorp"})
    found = tk.touchpoint_map(tk.open_data(events, tz="UTC"))
    assert found.goes_with is None and "no touchpoint is compared" in found.note
    assert found.rows()[0]["stage"] == "(not placed)"
