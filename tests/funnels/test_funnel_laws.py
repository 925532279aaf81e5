"""Laws of the funnel, and its calibration: what censoring does to the tempting rate and not to ours."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.funnels.twin import Asked, step
from tests.journeys.made import part
from toolkit.funnels.chains import Search
from toolkit.funnels.funnel import count_funnel
from toolkit.funnels.result import Funnel
from toolkit.funnels.rules import FunnelRules
from toolkit.results import Definition
from toolkit.stats.shares import newcombe, wilson

TOUCHPOINTS = "abc"
STEPS = st.lists(st.sets(st.integers(0, 2), min_size=1, max_size=2).map(tuple), min_size=2, max_size=4)
KINDS = {"ties": st.sampled_from(["favour", "file"]), "order": st.sampled_from(["ordered", "strict", "any"])}
KINDS |= {"exclude": st.sampled_from([(), (step(2),)]), "gap": st.sampled_from([0, 9])}
SINGLE = st.fixed_dictionaries(KINDS | {"entry": st.sampled_from(["best", "first"])})
RULES = st.fixed_dictionaries(KINDS | {"entry": st.sampled_from(["best", "first", "every"])})
EVENT = st.tuples(st.integers(0, 60), st.sampled_from(TOUCHPOINTS), st.sampled_from(["desktop", "mobile", None]))
JOURNEYS = st.lists(st.lists(EVENT, max_size=9), min_size=1, max_size=5)
DISTINCT = st.lists(st.lists(EVENT, max_size=9, unique_by=lambda event: event[0]), min_size=1, max_size=5)


def count(journeys, steps, window, rules, **facts):
    search = Search(tuple(step(*codes) for codes in steps), window, **rules)
    return count_funnel(part(journeys, TOUCHPOINTS, **facts), search=search, by="device")


def at_least(counts):
    """Units that reached each step."""
    return counts.reached.sum(axis=0)


def equal(one, other):
    for name in ("seen", "reached", "matured", "pending", "tied", "waited", "customers"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(one.by_bucket.sum(axis=0), other.by_bucket.sum(axis=0))
    assert np.array_equal(one.waits.values, other.waits.values)
    assert np.array_equal(one.waits.counts, other.waits.counts)


@given(DISTINCT, STEPS, st.integers(0, 70), RULES, st.randoms(use_true_random=False))
def test_the_order_of_rows_of_different_moments_does_not_matter(journeys, steps, window, rules, random):
    shuffled = [random.sample(events, len(events)) for events in journeys]
    equal(count(journeys, steps, window, rules, until=50), count(shuffled, steps, window, rules, until=50))


@given(JOURNEYS, STEPS, st.integers(0, 20), RULES)
def test_events_after_the_window_and_the_period_change_nothing(journeys, steps, window, rules):
    longer = [[*events, (80 + window, "b", "mobile")] for events in journeys if events]
    before = count([events for events in journeys if events], steps, window, rules, period=(0, 61))
    equal(before, count(longer, steps, window, rules, period=(0, 61)))


@given(JOURNEYS, STEPS, st.integers(0, 40), st.integers(0, 30), SINGLE)
def test_a_wider_window_never_lowers_a_count(journeys, steps, window, more, rules):
    narrow, wide = (at_least(count(journeys, steps, w, rules)) for w in (window, window + more))
    assert (wide >= narrow).all()


@given(JOURNEYS, STEPS, st.integers(0, 60), SINGLE, st.integers(0, 70))
def test_the_best_entry_is_never_worse_than_the_first_nor_favour_than_file(journeys, steps, window, rules, until):
    best = count(journeys, steps, window, rules | {"entry": "best"}, until=until)
    mine = count(journeys, steps, window, rules, until=until)
    assert (at_least(best) >= at_least(mine)).all()
    favour = count(journeys, steps, window, rules | {"ties": "favour"}, until=until)
    assert (at_least(favour) >= at_least(mine)).all()
    assert (at_least(mine)[1:] <= at_least(mine)[:-1]).all()
    assert (mine.pending <= mine.reached[:, 0] - mine.reached[:, -1]).all()
    assert (mine.matured.sum(axis=0)[0] <= at_least(mine)[0]).all()


@given(JOURNEYS, STEPS, st.integers(0, 60), SINGLE)
def test_what_is_asked_for_more_is_reached_by_fewer(journeys, steps, window, rules):
    def reached(steps=steps, **changed):
        return at_least(count(journeys, steps, window, rules | {"entry": "best", "order": "ordered"} | changed))

    mine = reached()
    assert (reached(order="strict") <= mine).all()
    assert (reached(exclude=(step(2),)) <= reached(exclude=())).all()
    assert reached(order="any")[-1] >= mine[-1]
    if len(steps) > 2:
        assert mine[-1] <= reached(optional=(1,))[-1] <= reached([steps[0], *steps[2:]])[-1]


@given(JOURNEYS, STEPS, st.integers(0, 60), SINGLE)
def test_who_converts_within_a_session_converts_without_its_bounds(journeys, steps, window, rules):
    within = count(journeys, steps, window, rules | {"gap": 9, "entry": "best"})
    bound = (within.by_bucket[:, :, -1].sum(axis=1) > 0).sum()  # each customer has a bucket of its own
    assert bound <= at_least(count(journeys, steps, window, rules | {"gap": 0, "entry": "best"}))[-1]


@given(JOURNEYS, STEPS, st.integers(0, 60), RULES, st.integers(0, 60))
def test_the_attempts_of_two_periods_in_a_row_are_those_of_both(journeys, steps, window, rules, cut):
    counts = [
        count(journeys, steps, window, rules | {"entry": "every"}, period=period, until=50)
        for period in ((0, cut), (cut, 61), (0, 61))
    ]
    for name in ("seen", "reached", "matured", "pending"):
        assert np.array_equal(getattr(counts[0], name) + getattr(counts[1], name), getattr(counts[2], name))


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
    counts = count(journeys, ((0,), (1,)), WINDOW, {}, until=END)
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


def attempts_of(rng, customers=250):
    """Customers of whom each converts with a chance of their own, at each of one to nine attempts."""
    sizes = rng.integers(1, 10, customers)
    chance, mobile = (np.repeat(some, sizes) for some in (rng.beta(0.6, 1.4, customers), rng.random(customers)))
    won, mobile = (rng.random(len(some)) < some for some in (chance, mobile))
    number = np.arange(len(won)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = [
        [(100 * i, "a", device), (100 * i + 1, "b", device)][: 1 + w]
        for i, w, device in zip(
            number.tolist(), won.tolist(), np.where(mobile, "mobile", "desktop").tolist(), strict=True
        )
    ]
    ends = np.cumsum(sizes).tolist()
    return [list(chain.from_iterable(rows[low:high])) for low, high in pairwise([0, *ends])]


@pytest.mark.slow
def test_the_clustered_interval_of_every_attempt_covers_and_the_plain_one_does_not():
    """Of 95 % intervals, of a rate and of the difference between groups of which a customer may be in both."""
    rng, covered, plain, apart = np.random.default_rng(4), [], [], []
    for _ in range(400):
        counts = count(attempts_of(rng), ((0,), (1,)), 10, {"entry": "every"})
        shown = {"counts": counts, "other": counts, "other_entry": "", "whole": None, "optional": (), "unit": "attempt"}
        shown |= {"steps": ("a", "b"), "words": ("desktop", "mobile"), "small_cells": 0}
        result = Funnel(**shown, by="device", definition=Definition(measure="Funnel"))
        low, high, _ = result.interval()
        covered.append(low <= 0.3 <= high)
        low, high = wilson(counts.reached[:, 1].sum(), counts.reached[:, 0].sum())
        plain.append(low <= 0.3 <= high)
        mine, rest = result._sizes()  # rows() would find p too, which takes longer
        low, high = newcombe(*rest, *mine)
        apart.append(low[0] <= 0 <= high[0])
    assert 0.925 <= np.mean(covered) <= 0.975
    assert np.mean(plain) < 0.85
    assert 0.925 <= np.mean(apart) <= 0.99


def test_the_twin_and_the_house_read_the_same_defaults():
    rules, asked, search = FunnelRules(), Asked(((),), 0), Search((), 0)
    for name in ("entry", "ties", "order", "exclude", "optional"):
        assert getattr(rules, name) == getattr(asked, name) == getattr(search, name)
    assert rules.unit == "customer" and asked.gap == search.gap == 0
