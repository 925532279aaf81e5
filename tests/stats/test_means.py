import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t, ttest_ind, ttest_ind_from_stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from toolkit.errors import UsageError
from toolkit.results import Definition
from toolkit.stats.means import Moments, compare_means

SLEEP = (  # Student 1908, extra hours of sleep; R's data set `sleep`
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
groups = st.builds(
    Moments, n=st.integers(2, 5_000), mean=st.floats(-1e4, 1e4), sd=st.floats(0.01, 1e4, allow_subnormal=False)
)
samples = st.lists(st.integers(-1_000, 1_000).map(lambda x: x / 8), min_size=3, max_size=30)


# by hand


def test_two_and_two_values_are_solved_on_paper():
    lift = compare_means([1.0, 3.0], [4.0, 6.0])  # variances 2 and 2: error √2, df 2, t = 3/√2
    assert lift.diff == 3 and lift.df == pytest.approx(2)
    assert lift.p == pytest.approx(1 - 3 / math.sqrt(13))  # with df 2: p = 1 − t/√(t² + 2)


# by another


def test_welch_gives_what_r_gives_for_sleep():
    """R: t.test(extra ~ group, sleep) → df = 17.776, p = 0.07939, interval −3.3654832, 0.2054832."""
    lift = compare_means(SLEEP[1], SLEEP[0])
    assert lift.df == pytest.approx(17.776, abs=5e-4)
    assert lift.p == pytest.approx(0.07939, abs=5e-6)
    assert tuple(lift.interval()[:2]) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


@given(groups, groups)
def test_welch_equals_scipy(control, treatment):
    lift = compare_means(control, treatment)
    order = (treatment.mean, treatment.sd, treatment.n, control.mean, control.sd, control.n)
    assert lift.p == pytest.approx(ttest_ind_from_stats(*order, equal_var=False).pvalue, rel=1e-9)


@given(samples, samples, st.floats(0.5, 0.999))
def test_arrays_give_what_scipy_and_statsmodels_give(control, treatment, level):
    assume(len(set(control)) > 1 and len(set(treatment)) > 1)
    lift = compare_means(np.array(control), treatment)
    test = ttest_ind(treatment, control, equal_var=False)
    assert lift.p == pytest.approx(test.pvalue, rel=1e-7)
    assert tuple(lift.interval(level)[:2]) == pytest.approx(tuple(test.confidence_interval(level)), rel=1e-7, abs=1e-9)
    witness = CompareMeans(DescrStatsW(treatment), DescrStatsW(control)).tconfint_diff(1 - level, usevar="unequal")
    assert tuple(lift.interval(level)[:2]) == pytest.approx(witness, rel=1e-7, abs=1e-9)


# by a slow twin


@given(groups, groups)
def test_fieller_inverts_the_test_of_every_ratio(control, treatment):
    lift = compare_means(control, treatment)
    low, high, _ = lift.rel_interval()
    assume(not math.isnan(low) and high - low < 1e3)
    times, sign = t.isf(0.025, lift.df), math.copysign(1, control.mean)

    def beyond(ratio):
        error = math.hypot(treatment.sd / math.sqrt(treatment.n), ratio * control.sd / math.sqrt(control.n))
        return abs(treatment.mean - ratio * control.mean) - times * error

    middle = treatment.mean / control.mean
    ends = sorted(sign * (brentq(beyond, middle, middle + side * 1e5, xtol=1e-12) - 1) for side in (-1, 1))
    assert (low, high) == pytest.approx(tuple(ends), rel=1e-5, abs=1e-6)


# by law


@given(groups, groups)
def test_p_interval_and_relative_interval_never_disagree(control, treatment):
    lift = compare_means(control, treatment)
    low, high, _ = lift.interval()
    assume(abs(lift.p - 0.05) > 1e-6)
    assert (lift.p < 0.05) == (low > 0 or high < 0)
    low, high, _ = lift.rel_interval()
    if not math.isnan(low):
        assert (lift.p < 0.05) == (low > 0 or high < 0)


@given(groups, groups)
def test_swapping_the_arms_mirrors_the_lift(control, treatment):
    one, other = compare_means(control, treatment), compare_means(treatment, control)
    assert one.diff == -other.diff and one.p == pytest.approx(other.p)
    assert tuple(one.interval()[:2]) == pytest.approx((-other.interval().high, -other.interval().low))


@given(groups, groups, st.sampled_from([0.01, 100.0, 7.46]))
def test_another_currency_leaves_p_and_the_relative_lift(control, treatment, rate):
    one = compare_means(control, treatment)
    other = compare_means(*(Moments(arm.n, arm.mean * rate, arm.sd * rate) for arm in (control, treatment)))
    assert one.p == pytest.approx(other.p, rel=1e-6)
    assume(not math.isnan(one.rel_diff) and one.rel_interval().high < 1e4)
    assert (one.rel_diff, *one.rel_interval()) == pytest.approx((other.rel_diff, *other.rel_interval()), rel=1e-5)


@given(groups, groups, st.integers(2, 9))
def test_more_customers_narrow_the_interval(control, treatment, times):
    more = compare_means(*(arm._replace(n=arm.n * times) for arm in (control, treatment))).interval()
    once = compare_means(control, treatment).interval()
    assert more.high - more.low < once.high - once.low


@given(samples, samples, st.randoms(use_true_random=False))
def test_the_order_of_customers_does_not_matter(control, treatment, shuffled):
    one = compare_means(control, treatment)
    shuffled.shuffle(control)
    assert compare_means(control, treatment).diff == pytest.approx(one.diff, abs=1e-9)


def test_better_is_better_below_zero_too():
    lift = compare_means(Moments(500, -10.0, 2.0), Moments(500, -9.0, 2.0))
    assert lift.rel_diff == pytest.approx(0.1)
    assert 0 < lift.rel_interval().low < 0.1 < lift.rel_interval().high


# by calibration


def simulated(rng, n, mean, sd):
    return Moments(n, rng.normal(mean, sd / math.sqrt(n)), sd * math.sqrt(rng.chisquare(n - 1) / (n - 1)))


@pytest.mark.slow
def test_intervals_cover_and_a_a_tests_reject_as_often_as_they_say():
    rng = np.random.default_rng(23)
    lifts = [compare_means(simulated(rng, 40, 10, 4), simulated(rng, 15, 10, 9)) for _ in range(6_000)]
    assert np.mean([lift.p < 0.05 for lift in lifts]) == pytest.approx(0.05, abs=0.009)
    assert np.mean([lift.interval(0.8).low <= 0 <= lift.interval(0.8).high for lift in lifts]) == pytest.approx(
        0.8, abs=0.016
    )


@pytest.mark.slow
def test_fieller_covers_a_true_relative_lift_as_often_as_it_says():
    rng = np.random.default_rng(24)
    intervals = [
        compare_means(simulated(rng, 200, 10, 20), simulated(rng, 150, 12, 15)).rel_interval() for _ in range(6_000)
    ]
    assert np.mean([not (low > 0.2 or high < 0.2) for low, high, _ in intervals]) == pytest.approx(0.95, abs=0.009)


# at the edges


@pytest.mark.parametrize(
    ("control", "treatment", "note"),
    [
        ([], [1.0, 2.0], "control has 0"),
        ([1.0, 2.0], [1.0], "treatment has 1"),
        ([], [1.0], "control has 0 and treatment has 1"),
        ([1.0, 1.0], [2.0, 2.0], "no spread"),
        (Moments(1, 3.0, math.nan), Moments(2, 3.0, 1.0), "control has 1"),
        (Moments(0, math.nan, math.nan), Moments(2, 3.0, 1.0), "control has 0"),
    ],
)
def test_what_cannot_be_compared_is_unknown_and_says_why(control, treatment, note):
    lift = compare_means(control, treatment)
    assert all(map(math.isnan, (lift.p, lift.rel_diff, *lift.interval()[:2], *lift.rel_interval()[:2])))
    assert note in lift.note and lift.say() == [lift.note]


def test_a_control_near_zero_has_no_relative_lift_and_says_so():
    lift = compare_means([-1.0, 1.0, 0.5], [2.0, 2.1, 2.2])
    assert math.isnan(lift.rel_diff) and math.isnan(lift.rel_interval().high)
    assert "cannot be told from zero" in lift.note and len(lift.say()) == 1 and not math.isnan(lift.p)


def test_one_constant_group_is_still_compared():
    lift = compare_means([1.0, 1.0, 1.0], [2.0, 2.5, 3.0])
    assert lift.df == pytest.approx(2) and lift.p < 0.1 and lift.rel_interval().low < 1.5 < lift.rel_interval().high


@pytest.mark.parametrize("hole", [math.nan, math.inf, None])
def test_missing_values_are_refused_and_counted(hole):
    with pytest.raises(UsageError, match="treatment has 2 of 3 values that are missing or not finite"):
        compare_means([1.0, 2.0], [1.0, hole, hole])


@pytest.mark.parametrize(
    "group", [Moments(10, math.nan, 1.0), Moments(10, 1.0, -1.0), Moments(10, 1.0, math.nan), Moments(10.5, 1.0, 1.0)]
)
def test_moments_that_cannot_be_are_refused(group):
    with pytest.raises(UsageError, match="control"):
        compare_means(group, [1.0, 2.0])


def test_a_level_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match="level is 95"):
        compare_means(*SLEEP).interval(95)


def test_numbers_leave_as_python_floats():
    group = Moments(np.int64(10), np.float64(1.0), np.float64(2.0))
    for control in (group, np.arange(5)):
        (row,) = compare_means(control, group).rows()
        assert {type(value) for value in row.values()} <= {int, float}


def test_the_result_is_read_aloud_in_the_locale_of_its_card():
    lift = compare_means(
        Moments(400, 10.5, 3.0), Moments(410, 11.4, 3.1), definition=Definition(measure="Spend", locale="da")
    )
    assert lift.say() == [
        "Spend: 11,4 against 10,5 in control, a difference of +0,9 (95 % interval 0,4793–1,3207; p < 0,001).",
        "Relative to control this is +8,6 % (95 % interval 4,5–12,8).",
    ]
    assert "Welch" in lift.definition.rules and "p = 0.0" in compare_means(*SLEEP[::-1]).say()[0]
