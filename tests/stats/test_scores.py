"""The score statistic: published limits, statsmodels, a twin by maximum likelihood, coherence on every small table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, norm
from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

from toolkit.errors import UsageError
from toolkit.stats.scores import Z95, score_interval, score_p, score_ratio, score_ratio_z, score_z

test_proportions_2indep.__test__ = False  # it is statsmodels', and no test of ours

counts = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
inner = st.integers(2, 3_000).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))


# by hand


def test_the_test_of_no_difference_is_the_pooled_z_test_with_n_minus_one():
    pooled = 104 / 150
    error = math.sqrt(pooled * (1 - pooled) * (1 / 80 + 1 / 70) * 150 / 149)
    assert score_z(48, 80, 56, 70) == pytest.approx(0.2 / error, rel=1e-12)
    assert score_p(48, 80, 56, 70) == pytest.approx(2 * norm.sf(0.2 / error), rel=1e-12)


# by another


def test_the_published_limits():
    """56/70 against 48/80: Miettinen and Nurminen, in Newcombe 1998 (Statistics in Medicine 17:873–890)."""
    assert np.ravel(score_interval(48, 80, 56, 70)) == pytest.approx([0.0528, 0.3382], abs=6e-5)


def test_cookie_cats_day_seven_retention():
    """45,489 and 44,700 players; the pooled z-test gives .001554, here with N/(N − 1) in the variance."""
    assert score_p(8_502, 44_700, 8_279, 45_489) == pytest.approx(0.001554, abs=1e-6)


@given(inner, inner, st.floats(0.5, 0.999))
def test_the_ratio_has_statsmodels_limits(control, treatment, level):
    options = {"compare": "ratio", "method": "score", "correction": True, "alpha": 1 - level}
    found = np.ravel(score_ratio(*control, *treatment, z=norm.ppf(0.5 + level / 2)))
    try:
        witness = confint_proportions_2indep(*treatment, *control, **options)
    except (ValueError, RuntimeError):  # its search brackets no root
        return
    assert found == pytest.approx(witness, rel=1e-4)  # its search stops early; the next test does not


@given(inner, inner, st.floats(0.5, 4))
def test_at_the_limits_the_statistic_is_the_critical_value(control, treatment, z):
    ends = (*score_interval(*control, *treatment, z), *score_ratio(*control, *treatment, z))
    found = [*(score_z(*control, *treatment, end) for end in ends[:2])]
    found += [score_ratio_z(*control, *treatment, end) for end in ends[2:]]
    assert found == pytest.approx([z, -z, z, -z], rel=1e-5)


@given(inner, inner, st.floats(0.3, 3))
def test_the_statistics_are_those_of_statsmodels(control, treatment, ratio):
    """Of the difference only at 0: elsewhere statsmodels 0.15 takes a wrong root (its issue 10269)."""
    options = {"method": "score", "correction": True}
    ratio_z = test_proportions_2indep(*treatment, *control, value=ratio, compare="ratio", **options).statistic
    assert score_ratio_z(*control, *treatment, ratio) == pytest.approx(ratio_z, rel=1e-6, abs=1e-9)
    diff_z = test_proportions_2indep(*treatment, *control, value=0, compare="diff", **options).statistic
    assert score_z(*control, *treatment) == pytest.approx(diff_z, rel=1e-6, abs=1e-9)


# by a slow twin


def slope_of_likelihood(p, control, treatment, diff):
    """d/dp of the log-likelihood of control at p and of treatment at p + diff."""
    (x, n), (y, m), q = control, treatment, p + diff
    return x / p - (n - x) / (1 - p) + y / q - (m - y) / (1 - q)


@given(inner, inner, st.floats(-0.7, 0.7))
def test_a_likelihood_search_finds_the_same_difference_statistic(control, treatment, diff):
    low, high = max(0.0, -diff), min(1.0, 1 - diff)
    edge = 1e-13
    p = brentq(slope_of_likelihood, low + edge, high - edge, (control, treatment, diff), xtol=1e-16)
    (x, n), (y, m) = control, treatment
    variance = ((p + diff) * (1 - p - diff) / m + p * (1 - p) / n) * (n + m) / (n + m - 1)
    expected = (y / m - x / n - diff) / math.sqrt(variance)
    assert score_z(*control, *treatment, diff) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("x", [1, 3, 40])
def test_a_share_of_a_few_in_a_hundred_million_loses_no_digits(x):
    n, rate = 10**8, 2 * x / 10**8
    expected = 2 * x / n / math.sqrt(rate * (1 - rate) * 2 / n * 2 * n / (2 * n - 1))
    assert score_z(x, n, 3 * x, n) == pytest.approx(expected, rel=1e-9)
    assert score_ratio_z(x, n, 3 * x, n) == pytest.approx(expected, rel=1e-12)


# by law


def grid(n, m):
    x, y = np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij")
    return x, n, y, m


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 9), (7, 7), (10, 20), (30, 30), (60, 13), (5, 100)])
@pytest.mark.parametrize("z", [0.6745, Z95, 3.0352])
def test_on_every_table_p_difference_and_ratio_agree(n, m, z):
    table = grid(n, m)
    beyond = np.abs(score_z(*table)) > z
    (low, high), (least, most) = score_interval(*table, z), score_ratio(*table, z)
    np.testing.assert_array_equal(beyond, (low > 0) | (high < 0))
    clear = np.abs(np.abs(score_z(*table)) - z) > 1e-9
    np.testing.assert_array_equal(beyond[clear], ((least > 1) | (most < 1))[clear])
    assert np.all(low <= high) and np.all(least <= most)


@pytest.mark.parametrize(("n", "m"), [(2, 9), (7, 7), (13, 40)])
def test_on_every_table_the_interval_holds_what_the_test_does_not_reject(n, m):
    table = grid(n, m)
    low, high = score_interval(*table)
    for diff in np.linspace(-0.99, 0.99, 67):
        held = np.abs(score_z(*table, diff)) <= Z95
        clear = np.minimum(np.abs(diff - low), np.abs(diff - high)) > 1e-9
        np.testing.assert_array_equal(held[clear], ((low < diff) & (diff < high))[clear])


@given(counts, counts)
def test_swapping_the_arms_mirrors_the_difference_and_inverts_the_ratio(control, treatment):
    (low, high), (least, most) = score_interval(*control, *treatment), score_ratio(*control, *treatment)
    other, turned = score_interval(*treatment, *control), score_ratio(*treatment, *control)
    assert (low, high) == pytest.approx((-other[1], -other[0]), abs=1e-9)
    with np.errstate(divide="ignore"):
        assert (least, most) == pytest.approx((1 / turned[1], 1 / turned[0]), rel=1e-6)


@given(counts, counts)
def test_counting_those_who_did_not_mirrors_the_difference(control, treatment):
    (x, n), (y, m) = control, treatment
    low, high = score_interval(*control, *treatment)
    other = score_interval(n - x, n, m - y, m)
    assert (low, high) == pytest.approx((-other[1], -other[0]), abs=1e-9)


@given(inner, inner, st.integers(2, 5))
def test_every_unit_twice_narrows_the_interval(control, treatment, times):
    once = score_interval(*control, *treatment)
    more = score_interval(*(times * count for count in (*control, *treatment)))
    assert more[1] - more[0] < once[1] - once[0]


# by calibration


def exactly(n, m, rate, lift, flag):
    """The chance of a flag over all tables that can occur."""
    x, y = (np.arange(binom.ppf(1e-9, k, p), binom.isf(1e-9, k, p) + 1) for k, p in ((n, rate), (m, rate * lift)))
    weights = np.outer(binom.pmf(x, n, rate), binom.pmf(y, m, rate * lift))
    return (weights * flag(x[:, None], n, y[None, :], m)).sum() / weights.sum()


@pytest.mark.parametrize(("n", "m"), [(1, 1), (9, 1), (1, 9)])
@pytest.mark.parametrize("rate", [0.01, 0.3])
@pytest.mark.parametrize("expected", [5, 8, 20, 100])
def test_from_five_expected_on_false_alarms_and_coverage_miss_by_less_than_a_point(n, m, rate, expected):
    n, m = round(n * expected / rate), round(m * expected / rate)
    assert 0.04 < exactly(n, m, rate, 1.0, lambda *table: np.abs(score_z(*table)) > Z95) < 0.06
    for lift in (1.0, 1.2):
        diff, ratio = rate * (lift - 1), lift
        held = exactly(n, m, rate, lift, lambda *table, diff=diff: np.abs(score_z(*table, diff)) <= Z95)
        also = exactly(n, m, rate, lift, lambda *table, ratio=ratio: np.abs(score_ratio_z(*table, ratio)) <= Z95)
        assert 0.94 < held < 0.96 and 0.94 < also < 0.96


# at the edges


@pytest.mark.parametrize(
    ("table", "p", "interval", "ratio"),
    [
        ((0, 20, 0, 10), 1.0, (-0.1658, 0.2844), (0.0, math.inf)),
        ((20, 20, 10, 10), 1.0, (-0.2844, 0.1658), (0.7156, 1.1987)),
        ((0, 20, 10, 10), 0.0, (0.7156, 1.0), (6.0328, math.inf)),
    ],
)
def test_what_is_uneventful_or_extreme_keeps_p_and_intervals(table, p, interval, ratio):
    assert score_p(*table) == pytest.approx(p, abs=1e-6)
    assert np.ravel(score_interval(*table)) == pytest.approx(interval, abs=1e-4)
    assert np.ravel(score_ratio(*table)) == pytest.approx(ratio, abs=1e-4)


def test_an_empty_group_is_unknown_among_others_that_are_not():
    table = [48, 0, math.nan], [80, 0, 10], [56, 1, 1], [70, 10, 10]
    for found in (
        score_z(*table),
        score_ratio_z(*table),
        score_p(*table),
        *score_interval(*table),
        *score_ratio(*table),
    ):
        assert list(np.isnan(found)) == [False, True, True]


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="1 of 1 counts lie outside 0 to n"):
        score_interval(3, 2, 1, 10)


def test_a_critical_value_may_differ_by_comparison():
    low, high = score_interval(48, 80, 56, 70, np.array([Z95, 3.0352]))
    assert low[0] == score_interval(48, 80, 56, 70)[0] and low[1] < low[0] and high[1] > high[0]
