import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from toolkit.errors import UsageError
from toolkit.results import Definition
from toolkit.stats.shares import compare_shares, newcombe, newcombe_p, share_of, wilson

arms = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.floats(0.5, 0.999)


def bounds(result, level=0.95):
    return pytest.approx(tuple(result.interval(level)[:2]), abs=6e-5)


# by hand


def test_a_share_is_its_count_over_its_n():
    share = share_of(3, 12)
    assert share.rate == 0.25
    assert share.rows() == [
        {"n_count": 3, "n": 12, "rate": 0.25, "rate_low": share.interval().low, "rate_high": share.interval().high}
    ]


def test_wilson_at_one_standard_error_is_solved_on_paper():
    level = 1 - 2 * norm.sf(1.0)  # z = 1: (p − x)² = x(1 − x)/n has the roots below for 1 of 2
    assert tuple(share_of(1, 2).interval(level)[:2]) == pytest.approx(
        (0.5 - math.sqrt(1 / 12), 0.5 + math.sqrt(1 / 12))
    )


def test_a_lift_is_treatment_minus_control():
    assert compare_shares(1, 10, 3, 10).diff == pytest.approx(0.2)


# by another


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_limits(count, n, low, high):
    """Newcombe 1998, Statistics in Medicine 17:857–872, table I, method 3."""
    assert (low, high) == bounds(share_of(count, n))


@pytest.mark.parametrize(
    ("treatment", "control", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_newcombes_difference_has_the_published_limits(treatment, control, low, high):
    """Newcombe 1998, Statistics in Medicine 17:873–890, table II, method 10."""
    assert np.ravel(newcombe(*control, *treatment)) == pytest.approx([low, high], abs=6e-5)


def test_a_lift_has_the_published_score_limits():
    """56/70 against 48/80, Miettinen and Nurminen; without their N/(N − 1) it would be .0533, .3377 (Mee)."""
    assert bounds(compare_shares(48, 80, 56, 70)) == (0.0528, 0.3382)


def test_cookie_cats_day_seven_retention_differs_and_day_one_hardly():
    """45,489 and 44,700 players; the pooled z-tests give .001554 and .0744."""
    day7 = compare_shares(8_502, 44_700, 8_279, 45_489)
    assert day7.p == pytest.approx(0.001554, rel=0.01) and day7.interval().high < 0
    day1 = compare_shares(round(0.4482 * 44_700), 44_700, round(0.4423 * 45_489), 45_489)
    assert day1.p == pytest.approx(0.0744, rel=0.05)


@given(arms, levels)
def test_one_wilson_interval_is_that_of_statsmodels(arm, level):
    assert share_of(*arm).interval(level)[:2] == proportion_confint(*arm, alpha=1 - level, method="wilson")


@given(st.lists(st.tuples(arms, arms), min_size=1, max_size=5), levels)
def test_many_at_once_equal_statsmodels_one_by_one(pairs, level):
    table = np.array([(*control, *treatment) for control, treatment in pairs])
    singly = [proportion_confint(*row[:2], alpha=1 - level, method="wilson") for row in table]
    np.testing.assert_array_equal(np.transpose(wilson(table[:, 0], table[:, 1], level)), singly)
    options = {"compare": "diff", "method": "newcomb", "alpha": 1 - level}
    singly = [confint_proportions_2indep(*row[2:], *row[:2], **options) for row in table]
    np.testing.assert_allclose(np.transpose(newcombe(*table.T, level=level)), singly, rtol=0, atol=1e-15)


# by a slow twin


def slow_wilson(count, n, z):
    """The values of x at which the score test of p = x is z standard errors away."""
    p = count / n

    def score(x):
        return (p - x) ** 2 - z**2 * x * (1 - x) / n

    inside = np.clip(p, 1e-12, 1 - 1e-12)  # p itself is a root where p is 0 or 1
    low = brentq(score, 0, inside, xtol=1e-15) if count else 0.0
    return low, brentq(score, inside, 1, xtol=1e-15) if count < n else 1.0


@given(arms, st.floats(0.5, 4))
def test_wilson_inverts_the_score_test(arm, z):
    low, high = share_of(*arm).interval(1 - 2 * norm.sf(z))[:2]
    assert (low, high) == pytest.approx(slow_wilson(*arm, z), abs=1e-9)


@given(arms, arms, st.floats(0.5, 4))
def test_newcombe_is_wilson_squared_and_added(control, treatment, z):
    (low_c, high_c), (low_t, high_t) = slow_wilson(*control, z), slow_wilson(*treatment, z)
    c, t = control[0] / control[1], treatment[0] / treatment[1]
    expected = t - c - math.hypot(t - low_t, high_c - c), t - c + math.hypot(high_t - t, c - low_c)
    found = np.ravel(newcombe(*control, *treatment, level=1 - 2 * norm.sf(z)))
    assert tuple(found) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=25)
@given(arms, arms)
def test_newcombes_p_is_where_brent_finds_the_interval_touching_zero(control, treatment):
    diff = treatment[0] / treatment[1] - control[0] / control[1]
    assume(diff != 0)

    def nearest_end(z):
        low, high = newcombe(*control, *treatment, level=1 - 2 * norm.sf(z))
        return float(low if diff > 0 else -high)

    assume(nearest_end(5.0) < 0)
    p = float(newcombe_p(*control, *treatment))
    assert p == pytest.approx(2 * norm.sf(brentq(nearest_end, 1e-9, 5.0, xtol=1e-12)), rel=1e-5)


# by law


@given(arms, arms, levels)
def test_p_interval_and_relative_interval_never_disagree(control, treatment, level):
    lift = compare_shares(*control, *treatment)
    assume(abs(lift.p - (1 - level)) > 1e-9)
    for low, high, _ in (lift.interval(level), lift.rel_interval(level)):
        assert (lift.p < 1 - level) == (low > 0 or high < 0)


@given(arms, arms, levels)
def test_newcombes_p_and_interval_never_disagree(control, treatment, level):
    (low, high), p = newcombe(*control, *treatment, level=level), newcombe_p(*control, *treatment)
    assume(abs(p - (1 - level)) > 1e-9)
    assert (p < 1 - level) == (low > 0 or high < 0)


@given(arms, arms)
def test_swapping_the_arms_mirrors_the_lift(control, treatment):
    one, other = compare_shares(*control, *treatment), compare_shares(*treatment, *control)
    assert one.diff == -other.diff
    assert tuple(one.interval()[:2]) == pytest.approx((-other.interval().high, -other.interval().low), abs=1e-9)
    assert one.p == pytest.approx(other.p, rel=1e-6)


@given(arms, arms)
def test_counting_the_other_outcome_mirrors_the_lift(control, treatment):
    (c, n_c), (t, n_t) = control, treatment
    other = compare_shares(n_c - c, n_c, n_t - t, n_t)
    assert compare_shares(*control, *treatment).p == pytest.approx(other.p, rel=1e-6, abs=1e-12)


@given(arms, st.integers(2, 5))
def test_more_customers_narrow_the_interval(arm, times):
    once, more = share_of(*arm).interval(), share_of(*(times * part for part in arm)).interval()
    assert more.high - more.low < once.high - once.low


@given(arms, levels)
def test_the_interval_holds_the_rate_and_stays_within_zero_and_one(arm, level):
    share = share_of(*arm)
    low, high, _ = share.interval(level)
    assert 0 <= low <= share.rate + 1e-12 and share.rate - 1e-12 <= high <= 1


@given(arms, arms)
def test_p_is_a_probability_and_one_only_without_a_difference(control, treatment):
    lift = compare_shares(*control, *treatment)
    assert 0 <= lift.p <= 1
    assert (abs(lift.diff) < 1e-12) == (lift.p > 1 - 1e-9)


# by calibration


@pytest.mark.slow
def test_wilson_covers_as_often_as_it_says():
    rng = np.random.default_rng(20)
    rate, n = rng.uniform(0.02, 0.98, 200_000), rng.integers(30, 400, 200_000)
    low, high = wilson(rng.binomial(n, rate), n)
    assert np.mean((low <= rate) & (rate <= high)) == pytest.approx(0.95, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(("n_c", "n_t"), [(100, 20), (400, 40), (500, 500)])
def test_newcombe_covers_as_often_as_it_says(n_c, n_t):
    """Wald covers .731 and .883 of the first two."""
    rng = np.random.default_rng(21)
    c, t = rng.uniform(0.05, 0.6, (2, 100_000))
    low, high = newcombe(rng.binomial(n_c, c), n_c, rng.binomial(n_t, t), n_t)
    assert np.mean((low <= t - c) & (t - c <= high)) == pytest.approx(0.95, abs=0.012)


@pytest.mark.slow
def test_newcombes_a_a_test_rejects_as_often_as_it_may():
    rng = np.random.default_rng(22)
    rate = rng.uniform(0.02, 0.5, 50_000)
    p = newcombe_p(rng.binomial(2_000, rate), 2_000, rng.binomial(2_000, rate), 2_000)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.004)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.02)


# at the edges


def test_without_anybody_a_share_is_unknown_and_says_why():
    share = share_of(0, 0)
    assert math.isnan(share.rate) and math.isnan(share.interval().low) and math.isnan(share.interval().high)
    assert share.note == "Nobody was counted (n is 0), so the share is unknown."
    assert share.say() == [share.note]


def test_an_empty_arm_makes_the_lift_unknown_and_says_which():
    lift = compare_shares(0, 0, 5, 10)
    assert all(math.isnan(value) for value in (lift.diff, lift.p, *lift.interval()[:2]))
    assert lift.note == "Nobody was counted in control (n is 0), so the difference is unknown."
    assert lift.say() == [lift.note]


def test_no_difference_is_p_one_and_the_interval_stands():
    lift = compare_shares(0, 20, 0, 10)
    assert lift.p == 1 and lift.interval().low < 0 < lift.interval().high
    assert math.isnan(lift.rel_diff) and "cannot be told from zero" in lift.note and len(lift.say()) == 1


def test_a_hopelessly_large_difference_keeps_newcombes_p_above_zero():
    assert 0 < newcombe_p(10, 10_000_000, 5_000_000, 10_000_000) < 1e-290


@pytest.mark.parametrize(
    ("counts", "few"), [((2, 100, 4, 100), True), ((97, 100, 99, 100), True), ((9, 99, 9, 99), False)]
)
def test_few_expected_in_a_cell_fire_the_guard(counts, few):
    assert ("Few in a group" in compare_shares(*counts).note) == few


def test_many_at_once_keep_unknown_what_is_unknown():
    low, high = wilson([0, math.nan, 1], [0, 10, 10])
    assert list(np.isnan(low)) == list(np.isnan(high)) == [True, True, False]
    assert list(np.isnan(newcombe_p([0, 1], [0, 10], [1, 1], 10))) == [True, False]
    assert wilson([], [])[0].shape == newcombe([], [], [], [])[0].shape == newcombe_p([], [], [], []).shape == (0,)
    assert newcombe(np.ones((2, 3)), 10, np.ones(3), 10)[0].shape == (2, 3)


@pytest.mark.parametrize(("count", "n"), [(11, 10), (-1, 10), (0, -1), (0.5, 10), (math.nan, 10), (1, math.inf)])
def test_counts_that_cannot_be_are_refused(count, n):
    with pytest.raises(UsageError):
        share_of(count, n)
    with pytest.raises(UsageError):
        compare_shares(1, 10, count, n)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, math.nan])
def test_a_level_that_cannot_be_is_refused(level):
    with pytest.raises(UsageError, match="give a rate between 0 and 1"):
        share_of(1, 10).interval(level)
    with pytest.raises(UsageError, match="level is"):
        compare_shares(1, 10, 1, 10).interval(level)


def test_wrong_counts_among_many_are_counted_and_the_first_is_shown():
    with pytest.raises(UsageError, match=r"2 of 3 counts lie outside 0 to n \(the first is 12 of 10\)"):
        wilson([1, 12, -1], 10)


def test_numbers_leave_as_python_floats():
    for row in (*share_of(np.int64(1), 2.0).rows(), *compare_shares(np.int64(1), 10, 2, 10).rows()):
        assert {type(value) for value in row.values()} <= {int, float}


def test_results_are_read_aloud_in_the_locale_of_their_card():
    card = Definition(measure="Purchase", unit="customers", locale="da")
    assert share_of(1_200, 24_000, definition=card).say() == [
        "Purchase: 5,0 % (1.200 of 24.000; 95 % interval 4,7–5,3)."
    ]
    assert compare_shares(120, 2_400, 156, 2_410, definition=card).say() == [
        "Purchase: 6,5 % against 5,0 % in control, a difference of +1,5 %-points (95 % interval 0,2–2,8; p = 0,028).",
        "Relative to control this is +29,5 % (95 % interval 2,8–63,1).",
    ]
    assert "p < 0,001" in compare_shares(120, 2_400, 256, 2_410, definition=card).say()[0]


def test_the_card_says_which_test_unless_the_caller_does():
    assert "Miettinen" in compare_shares(1, 10, 2, 10).definition.rules
    assert "Wilson" in share_of(1, 10).definition.rules
    assert share_of(1, 10, definition=Definition(measure="x", rules="mine")).definition.rules == "mine"


def test_a_lift_is_a_table_of_one_row():
    shown = str(compare_shares(48, 80, 56, 70))
    assert (
        "60.0 %" in shown and "+20.0 %-points  5.3–33.8" in shown and "+33.3 %  7.9–67.2" in shown and "0.008" in shown
    )
