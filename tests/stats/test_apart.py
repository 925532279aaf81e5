"""Differences of estimates with intervals: Newcombe's and Student's as special cases, overlap, calibration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from toolkit.counts import Tally
from toolkit.stats.apart import apart, correlation, mean_over_clusters, median_of, residuals
from toolkit.stats.shares import newcombe, newcombe_p, wilson


def share(count, n):
    return lambda level: (np.asarray(count) / np.asarray(n), *wilson(count, n, level))


@given(st.integers(1, 60), st.integers(1, 60), st.data())
@settings(max_examples=40)
def test_shares_of_separate_customers_differ_as_newcombe_says(n, m, data):
    x, y = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    found = apart(share([y], [m]), share([x], [n]))
    low, high = newcombe(x, n, y, m)
    assert [float(found.low[0]), float(found.high[0])] == pytest.approx([float(low), float(high)], abs=1e-9)
    p = float(newcombe_p(x, n, y, m))
    if not np.isclose(y / m, x / n):
        assert found.p[0] == pytest.approx(p, rel=0.03, abs=1e-4)
    assert (found.p[0] < 0.05) == (p < 0.05) or abs(p - 0.05) < 1e-3


@given(st.integers(1, 60), st.integers(1, 60), st.data())
@settings(max_examples=40)
def test_the_other_way_round_the_difference_is_its_mirror(n, m, data):
    one, two = (share([data.draw(st.integers(0, k))], [k]) for k in (n, m))
    there, back = apart(one, two, 0.3), apart(two, one, 0.3)
    assert np.concatenate(there[:3]) == pytest.approx(-np.concatenate([back.diff, back.high, back.low]))
    assert there.p == pytest.approx(back.p)


def test_with_one_unit_a_cluster_the_mean_is_students():
    values = np.random.default_rng(2).normal(3, 2, 40)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    mean, low, high = mean_over_clusters(values[:, None], np.ones((40, 1)), 0.9)
    assert [mean[0], low[0], high[0]] == pytest.approx([values.mean(), *expected])


def test_clusters_without_units_do_not_count_and_no_spread_gives_no_interval():
    total, n = np.array([[2.0, 1.0], [4.0, 1.0], [0.0, 0.0]]), np.array([[1, 1], [1, 1], [0, 0]])
    mean, low, high = mean_over_clusters(total, n)
    assert mean.tolist() == [3, 1] and np.isnan(low[1]) and np.isnan(high[1])
    assert [low[0], high[0]] == pytest.approx([3 - 12.706, 3 + 12.706], abs=1e-3)  # t with one degree of freedom


def test_a_group_of_nobody_is_unknown_and_compares_to_unknown():
    nobody = mean_over_clusters(np.zeros((5, 1)), np.zeros((5, 1)))
    assert np.isnan(nobody).all()
    assert np.isnan(apart(lambda level: nobody, share([1], [2])).p).all()


def test_the_ends_of_a_median_stand_at_the_binomials_ranks():
    tally = Tally.of(np.zeros(101, int), np.arange(101.0))
    _, low, high = median_of(tally, 2)
    covered = stats.binom.cdf(high[0] - 1, 101, 0.5) - stats.binom.cdf(low[0] - 1, 101, 0.5)
    assert covered == pytest.approx(0.95, abs=0.02)
    assert np.isnan(low[1]) and np.isnan(median_of(Tally.of(np.zeros(5, int), np.arange(5.0)), 1)[1][0])


def test_customers_in_both_groups_make_the_difference_surer():
    rng = np.random.default_rng(4)
    count = rng.binomial(10, 0.4, (1024, 1))
    n = np.full((1024, 1), 10)
    shared = correlation(residuals(count, n), residuals(count, n))
    assert shared == pytest.approx(1)
    alone, paired = (apart(share(count.sum(0), n.sum(0)), share(count.sum(0), n.sum(0)), s) for s in (0.0, shared))
    assert paired.high - paired.low == pytest.approx(0, abs=1e-3) and alone.high > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_the_interval_holds_the_true_difference_in_95_of_100_studies(overlap):
    rng, held, customers = np.random.default_rng(8), 0, 900
    for _ in range(250):
        in_one = rng.random(customers) < 0.6
        in_two = np.where(rng.random(customers) < overlap, in_one, rng.random(customers) < 0.6)
        habit = rng.beta(1, 2, customers)  # who did once does again
        did = [rng.random(customers) < habit for _ in range(2)]
        bucket = rng.integers(0, 1024, customers)
        counts = [
            [np.bincount(bucket, weights=w, minlength=1024)[:, None] for w in (done & seen, seen)]
            for done, seen in zip(did, (in_one, in_two), strict=True)
        ]
        shared = correlation(*(residuals(*pair) for pair in counts))
        found = apart(*(share(x.sum(0), n.sum(0)) for x, n in counts), shared)
        held += found.low[0] <= 0 <= found.high[0]
    assert 0.915 <= held / 250 <= 0.985
