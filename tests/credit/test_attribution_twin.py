"""Attribution equals a twin in plain Python, on random journeys with ties, periods and an end of observation."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tests.credit.attribution_twin import (
    BUY,
    CHANNELS,
    CURRENCIES,
    EVER,
    KINDS,
    TOUCH,
    UNTOLD,
    Asking,
    asked_of,
    credit_of,
    part,
)
from toolkit.credit.count import AttributionCounts, count_attribution
from toolkit.credit.result import estimate
from toolkit.credit.rules import SHARED, shapley

S = 1_000_000
K = UNTOLD + 1
MANY = 1_200
CLOCKS = {"coarse": 4, "middling": 15, "fine": 4_000}  # how many different moments: the fewer, the more ties


def some_journeys(rng, moments, most=9):
    """Random journeys in input order of no order at all; some are empty."""
    sizes = rng.integers(0, most + 1, MANY)
    n = sizes.sum()
    columns = [
        (rng.integers(0, moments, n) * S).tolist(),
        rng.choice(KINDS, n, p=[0.25, 0.6, 0.15]).tolist(),
        rng.choice([*CHANNELS, None], n).tolist(),
        [None if one < 0 else one for one in rng.integers(-200, 5_000, n).tolist()],
        rng.choice([*CURRENCIES, None], n).tolist(),
    ]
    rows, ends = list(zip(*columns, strict=True)), np.cumsum(sizes)
    return [rows[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def same(counts, told):
    """Every number of the counts is the twin's."""
    credits = np.zeros((1024, 4, K + 1, len(SHARED)))
    for (bucket, label, rule), conversions in told.credits.items():
        credits[bucket, 0, label, list(SHARED).index(rule)] = conversions
    places = {"DKK": 1, "EUR": 2, None: 3}
    for (bucket, currency, label, rule), value in told.values.items():
        credits[bucket, places[currency], label, list(SHARED).index(rule)] = value
    np.testing.assert_allclose(counts.credits, credits, rtol=1e-9, atol=1e-9)
    moves, row, column = np.zeros((1024, K + 1, K + 2), int), {"start": K}, {"bought": K, "lost": K + 1}
    for (bucket, before, after), n in told.moves.items():
        moves[bucket, row.get(before, before), column.get(after, after)] = n
    assert np.array_equal(counts.moves, moves)
    assert counts.customers.tolist() == [len(told.customers[label]) for label in range(K + 1)]
    assert counts.journeys.tolist() == [told.journeys[name] for name in ("touched", "bare", "failed", "pending")]


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_counts_are_the_twins(clock):
    moments = CLOCKS[clock]
    journeys = some_journeys(np.random.default_rng(moments), moments)
    for window in (1, moments // 3, 2 * moments):
        asking = Asking(window * S, half_life=max(moments // 4, 1) * S, ends=0.3, until=3 * moments * S)
        same(count_attribution(part(journeys, until=asking.until), asked=asked_of(asking)), credit_of(journeys, asking))


@pytest.mark.parametrize("period", [EVER, (5 * S, 12 * S), (12 * S, 19 * S), (30 * S, 40 * S)])
@pytest.mark.parametrize("until", [1 << 62, 19 * S, 11 * S, -1])
def test_periods_and_the_end_of_observation_are_the_twins(period, until):
    journeys = some_journeys(np.random.default_rng(6), 20)
    asking = Asking(5 * S, period=period, until=until, half_life=2 * S)
    whole = part(journeys, period=period, until=until)
    same(count_attribution(whole, asked=asked_of(asking)), credit_of(journeys, asking))


def test_shapleys_closed_form_is_the_enumerated_game():
    journeys = some_journeys(np.random.default_rng(7), 30)
    asking = Asking(20 * S, until=90 * S)
    counts, told = count_attribution(part(journeys, until=90 * S), asked=asked_of(asking)), credit_of(journeys, asking)
    labels, groups = [str(label) for label in range(K)], {}
    for size in range(1, 1 << K):
        group = frozenset(label for label in range(K) if size >> label & 1)
        groups[tuple(str(label) for label in group)] = sum(bool(one) and one <= group for one in told.sets)
    found = shapley(groups)
    expected = counts.credits.sum(axis=0)[0, :K, list(SHARED).index("shapley")]
    np.testing.assert_allclose([found[label] for label in labels], expected, rtol=1e-9)


EVENT = st.tuples(
    st.integers(0, 40).map(lambda t: t * S),
    st.sampled_from([BUY, TOUCH, TOUCH]),
    st.sampled_from([*CHANNELS, None]),
    st.integers(0, 900),
    st.sampled_from([*CURRENCIES, None]),
)
JOURNEYS = st.lists(st.lists(EVENT, max_size=9), min_size=1, max_size=6)
ASKING = st.builds(
    lambda window, until, half: Asking(window * S, until=until * S, half_life=half * S),
    st.integers(1, 30),
    st.integers(0, 60),
    st.sampled_from([1, 7]),
)


def total(counts):
    """Credits and values by all rules, Markov's included, over all channels."""
    found = estimate(counts, np.eye(K + 1))[0].sum(axis=1)
    return found[0], found[1:]


@settings(max_examples=60)
@drawn(JOURNEYS, ASKING)
def test_the_credits_of_every_rule_sum_to_the_conversions_and_to_their_value(journeys, asking):
    counts = count_attribution(part(journeys, until=asking.until), asked=asked_of(asking))
    sold = [event for events in journeys for event in events if event[1] == BUY and event[0] <= asking.until]
    worth = [sum(event[3] for event in sold if event[4] == currency) for currency in (*CURRENCIES, None)]
    credit, money = total(counts)
    markov = credit[-1]  # unknown where no journey that converted is old enough
    np.testing.assert_allclose(credit[:-1], len(sold), atol=1e-9)
    np.testing.assert_allclose(money[:, :-1], np.tile(worth, (len(SHARED), 1)).T, atol=1e-6)
    if not np.isnan(markov):
        assert markov == pytest.approx(len(sold))
        np.testing.assert_allclose(money[:, -1], worth, atol=1e-6)
    assert np.isnan(markov) == bool(counts.journeys[0] and not counts.moves[:, :, K].sum())


@settings(max_examples=60)
@drawn(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(CHANNELS), st.booleans()), min_size=1, max_size=20))
def test_where_every_journey_has_one_touch_all_rules_agree(touches):
    journeys = [
        [(at * S, TOUCH, channel, None, None)] + [((at + 1) * S, BUY, None, 5, "DKK")] * bought
        for at, channel, bought in touches
    ]
    counts = count_attribution(part(journeys, until=99 * S), asked=asked_of(Asking(30 * S)))
    credit = estimate(counts, np.eye(K + 1))[0, 0]
    np.testing.assert_allclose(credit, np.tile(credit[:, :1], (1, len(SHARED) + 1)), atol=1e-9)


@settings(max_examples=40)
@drawn(JOURNEYS, ASKING)
def test_customers_counted_apart_add_up_to_customers_counted_together(journeys, asking):
    asked = asked_of(asking)
    apart = [[events if low <= i < high else [] for i, events in enumerate(journeys)] for low, high in CUTS]
    counts = [count_attribution(part(some, until=asking.until), asked=asked) for some in (*apart, [])]
    together, whole = AttributionCounts.sum(counts), count_attribution(part(journeys, until=asking.until), asked=asked)
    for name in ("credits", "moves", "customers", "journeys", "unpriced", "tied"):
        assert np.array_equal(getattr(together, name), getattr(whole, name)), name


CUTS = ((0, 2), (2, 3), (3, 99))


@settings(max_examples=40)
@drawn(st.lists(st.lists(EVENT, max_size=9, unique_by=lambda e: e[0]), min_size=1, max_size=5), st.randoms())
def test_the_order_of_rows_of_different_moments_does_not_matter(journeys, random):
    shuffled = [random.sample(events, len(events)) for events in journeys]
    one, other = (count_attribution(part(some), asked=asked_of(Asking(9 * S))) for some in (journeys, shuffled))
    assert np.array_equal(one.credits, other.credits) and np.array_equal(one.moves, other.moves)


def test_a_touch_of_the_conversions_own_moment_is_before_it_wherever_it_stands():
    sold, touch = (5 * S, BUY, None, 10, "DKK"), (5 * S, TOUCH, "ads", None, None)
    for events, tied in (([sold, touch], 1), ([touch, sold], 0)):
        counts = count_attribution(part([events]), asked=asked_of(Asking(S)))
        assert counts.credits.sum(axis=0)[0, 0].tolist() == [1] * len(SHARED) and counts.tied == tied


def test_a_very_old_touch_still_leaves_time_decay_something_to_share():
    far = [(0, TOUCH, "ads", None, None), (S, TOUCH, "mail", None, None), (90 * 86_400 * S, BUY, None, 1, "DKK")]
    asking = Asking(100 * 86_400 * S, half_life=S)
    decay = count_attribution(part([far]), asked=asked_of(asking)).credits.sum(axis=0)[
        0, :, list(SHARED).index("decay")
    ]
    np.testing.assert_allclose(decay, [1 / 3, 2 / 3, 0, 0, 0])
