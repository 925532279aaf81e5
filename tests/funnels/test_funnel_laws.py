"""Laws of the funnel, and its calibration: what censoring does to the tempting rate and not to ours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.funnels.twin import Asked, step
from tests.journeys.made import part
from toolkit.funnels.chains import Search
from toolkit.funnels.funnel import count_funnel
from toolkit.funnels.rules import FunnelRules
from toolkit.stats.shares import wilson

TOUCHPOINTS = "abc"
STEPS = st.lists(st.sets(st.integers(0, 2), min_size=1, max_size=2).map(tuple), min_size=2, max_size=4)
RULES = st.builds(FunnelRules, entry=st.sampled_from(["best", "first"]), ties=st.sampled_from(["favour", "file"]))
EVENT = st.tuples(st.integers(0, 60), st.sampled_from(TOUCHPOINTS), st.sampled_from(["desktop", "mobile", None]))
JOURNEYS = st.lists(st.lists(EVENT, max_size=9), min_size=1, max_size=5)
DISTINCT = st.lists(st.lists(EVENT, max_size=9, unique_by=lambda event: event[0]), min_size=1, max_size=5)


def count(journeys, steps, window, rules, **facts):
    search = Search(tuple(step(*codes) for codes in steps), window, rules.entry, rules.ties)
    return count_funnel(part(journeys, TOUCHPOINTS, **facts), search=search, by="device")


def at_least(counts):
    """Customers who reached each step."""
    return counts.reached.sum(axis=0)


def equal(one, other):
    for name in ("seen", "reached", "matured", "pending", "tied", "waited"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(one.waits.values, other.waits.values)
    assert np.array_equal(one.waits.counts, other.waits.counts)


@given(DISTINCT, STEPS, st.integers(0, 70), RULES, st.randoms(use_true_random=False))
def test_the_order_of_rows_of_different_moments_does_not_matter(journeys, steps, window, rules, random):
    shuffled = [random.sample(events, len(events)) for events in journeys]
    equal(count(journeys, steps, window, rules, until=50), count(shuffled, steps, window, rules, until=50))


@given(JOURNEYS, STEPS, st.integers(0, 20), RULES)
def test_events_after_the_window_and_the_period_change_nothing(journeys, steps, window, rules):
    longer = [[*events, (60 + window + 1, "b", "mobile")] for events in journeys if events]
    before = count([events for events in journeys if events], steps, window, rules, period=(0, 61))
    equal(before, count(longer, steps, window, rules, period=(0, 61)))


@given(JOURNEYS, STEPS, st.integers(0, 40), st.integers(0, 30), RULES)
def test_a_wider_window_never_lowers_a_count(journeys, steps, window, more, rules):
    narrow, wide = (at_least(count(journeys, steps, w, rules)) for w in (window, window + more))
    assert (wide >= narrow).all()


@given(JOURNEYS, STEPS, st.integers(0, 60), RULES, st.integers(0, 70))
def test_the_best_entry_is_never_worse_than_the_first_nor_favour_than_file(journeys, steps, window, rules, until):
    best = count(journeys, steps, window, FunnelRules(entry="best", ties=rules.ties), until=until)
    mine = count(journeys, steps, window, rules, until=until)
    assert (at_least(best) >= at_least(mine)).all()
    favour = count(journeys, steps, window, FunnelRules(entry=rules.entry, ties="favour"), until=until)
    assert (at_least(favour) >= at_least(mine)).all()
    assert (at_least(mine)[1:] <= at_least(mine)[:-1]).all()
    assert (mine.pending <= mine.reached[:, 0] - mine.reached[:, -1]).all()
    assert (mine.matured[:, 0] <= mine.reached[:, 0]).all()


@settings(max_examples=40)
@given(st.lists(st.lists(EVENT, max_size=6), min_size=2, max_size=6), STEPS, st.integers(0, 60), RULES)
def test_customers_counted_apart_add_up_to_customers_counted_together(journeys, steps, window, rules):
    apart = [count(some, steps, window, rules, until=40) for some in (journeys[:1], [], journeys[1:])]
    equal(type(apart[0]).sum(apart), count(journeys, steps, window, rules, until=40))


TRUTH, WINDOW, END = 0.147, 1_000, 3_000


def one_study(rng, customers=400):
    """Customers who come more and more often until the end; those who convert take their time within the window."""
    entry = (END * np.sqrt(rng.random(customers))).astype(int)
    wait = (WINDOW * rng.beta(2, 1.5, customers)).astype(int)
    converts = rng.random(customers) < TRUTH
    journeys = [
        [(int(t), "a", None), (int(t + w), "b", None)] if c else [(int(t), "a", None)]
        for t, w, c in zip(entry, wait, converts, strict=True)
    ]
    counts = count(journeys, ((0,), (1,)), WINDOW, FunnelRules(), until=END)
    return counts.reached.sum(axis=0), counts.matured.sum(axis=0), int(counts.pending.sum())


@pytest.mark.slow
def test_under_censoring_the_matured_rate_is_right_and_the_tempting_one_is_not():
    rng = np.random.default_rng(11)
    tempting, ours, covered = [], [], []
    for _ in range(1_000):
        reached, matured, pending = one_study(rng)
        tempting.append(reached[1] / (reached[0] - pending))
        ours.append(matured[1] / matured[0])
        low, high = wilson(matured[1], matured[0])
        covered.append(low <= TRUTH <= high)
    assert np.mean(ours) == pytest.approx(TRUTH, abs=0.004)
    assert np.mean(tempting) > 1.3 * TRUTH
    assert 0.935 <= np.mean(covered) <= 0.965


def test_the_twin_and_the_house_read_the_same_defaults():
    rules, asked = FunnelRules(), Asked(((),), 0)
    assert (rules.entry, rules.ties) == (asked.entry, asked.ties)
