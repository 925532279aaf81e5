"""Each group against the rest: scipy's exact test, the house's intervals, laws, and false alarms among many groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.stats.rest import against_rest
from toolkit.stats.shares import newcombe, wilson

GROUPS = st.lists(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=6
)


@settings(max_examples=30)
@given(GROUPS)
def test_the_numbers_are_those_of_one_comparison_at_a_time(groups):
    from scipy.stats import fisher_exact

    count, n = np.array(groups).T
    found = against_rest([count], [n])
    for i, (done, all_) in enumerate(groups):
        rest = count.sum() - done, n.sum() - all_
        assert np.array_equal([found.low[i], found.high[i]], np.ravel(wilson([done], [all_])), equal_nan=True)
        pair = np.ravel(newcombe(*([value] for value in rest), [done], [all_]))
        assert np.allclose([found.diff_low[i], found.diff_high[i]], pair, equal_nan=True)
        if not all_ or not rest[1]:
            assert np.isnan(found.p[i])
            continue
        table = [[done, all_ - done], [rest[0], rest[1] - rest[0]]]
        tails = [fisher_exact(table, alternative=side)[1] for side in ("less", "greater")]
        assert found.p[i] == pytest.approx(min(1, 2 * min(tails)))


@given(GROUPS)
def test_counting_what_did_not_happen_mirrors_the_differences(groups):
    count, n = np.array(groups).T
    there, back = against_rest([count], [n]), against_rest([n - count], [n])
    assert np.allclose(there.diff, -back.diff, equal_nan=True) and np.allclose(there.p, back.p, equal_nan=True)
    assert np.allclose(there.diff_low, -back.diff_high, equal_nan=True, atol=1e-9)


def test_clusters_of_one_unit_each_give_nearly_what_independent_units_give():
    rng = np.random.default_rng(2)
    group = rng.integers(0, 3, 1_000)
    n = (group[:, None] == np.arange(3)).astype(int)
    count = n * (rng.random(1_000) < 0.3)[:, None]
    clustered, plain = against_rest(count, n), against_rest([count.sum(axis=0)], [n.sum(axis=0)])
    for name in ("rate", "low", "high", "diff", "diff_low", "diff_high"):
        assert getattr(clustered, name) == pytest.approx(getattr(plain, name), abs=0.004), name
    assert (clustered.p >= plain.p).all()


def test_units_that_always_agree_count_once():
    n = np.repeat([[40, 40]], 30, axis=0) * (np.arange(30)[:, None] % 2 == [0, 1])
    count = n * (np.arange(30)[:, None] < 16)
    clustered, plain = against_rest(count, n), against_rest([count.sum(axis=0)], [n.sum(axis=0)])
    assert (clustered.high - clustered.low > 4 * (plain.high - plain.low)).all()


def alarms(draw, runs):
    """In how many of the data sets Holm calls some group different though none is: the least p decides."""
    found = [against_rest(*draw()).p for _ in range(runs)]
    return np.mean([p.min() * len(p) < 0.05 for p in found])


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size", "rate"), [(60, 20, 0.05), (60, 100, 0.02), (20, 60, 0.5)])
def test_among_many_alike_groups_a_false_alarm_is_rare(groups, size, rate):
    rng = np.random.default_rng(groups + size)

    def draw():
        n = rng.poisson(size, (1, groups)) + 1
        return rng.binomial(n, rate), n

    assert alarms(draw, 400) <= 0.05


@pytest.mark.slow
def test_customers_who_come_again_and_again_raise_no_alarm():
    rng = np.random.default_rng(9)

    def draw():
        buys, bucket = rng.random(200) < 0.4, rng.integers(0, 1_024, 200)  # each always or never
        who, week = rng.integers(0, 200, 4_000), rng.integers(0, 40, 4_000)
        count, n = np.zeros((2, 1_024, 40))
        np.add.at(n, (bucket[who], week), 1)
        np.add.at(count, (bucket[who], week), buys[who])
        return count, n

    assert alarms(draw, 100) <= 0.05
