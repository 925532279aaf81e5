"""Effects from sums: published answers, scipy and statsmodels, laws over random arms, what is left out and why."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import brentq
from scipy.stats import norm, skew, t, ttest_ind_from_stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

from tests.stats.test_means import SLEEP
from toolkit.counts import EXACT_LIMIT, Tally
from toolkit.stats.arms import Sums, adjusted_effect, mean_effect, quantile_effect, ratio_effect, skewness
from toolkit.stats.effects import NOTES, Effect, ShareEffect

units = hnp.arrays(float, st.tuples(st.integers(3, 30), st.just(2)), elements=st.integers(0, 999).map(lambda x: x / 8))
pairs = st.tuples(units, units)
numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
errors = st.floats(1e-3, 1e3)
sizes = st.integers(2, 10_000)
effects = st.builds(
    lambda c, t, v, w, n, m: Effect(c, t, n, m, v, w, n - 1, m - 1), numbers, numbers, errors, errors, sizes, sizes
)
counts = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
shares = st.builds(lambda c, t: ShareEffect(*c, *t), counts, counts)


def both(values):
    return [Sums.of(arm) for arm in values]


def drawn(n, m, seed, covariates=1):
    """Two arms: metric, below the line, covariates; with different slopes."""
    rng = np.random.default_rng(seed)
    made = []
    for size, slope in ((n, 1.5), (m, 2.0)):
        x = rng.gamma(2.0, 2.0, (size, covariates))
        below = 1 + rng.poisson(2 + 0.3 * x[:, 0])
        made.append(np.column_stack([slope * x.sum(axis=1) + below + rng.normal(5, 2, size), below, x]))
    return made


# by hand


def test_sums_of_two_units_are_added_on_paper():
    sums = Sums.of([[1.0, 2.0]]) + Sums.of([[3.0, 5.0]])
    assert sums.n == 2 and sums.total.tolist() == [4, 7] and sums.cross.tolist() == [[10, 17], [17, 29]]
    assert sums.pick(1).total.tolist() == [7] and sums.pick(1, 0).cross.tolist() == [[29, 17], [17, 10]]


def test_a_ratio_of_sums_is_linearised_on_paper():
    """R = 6/4; residuals 2 − 1.5 and 4 − 1.5 · 3 over the mean 2: ±.25, variance .125, of the ratio .0625."""
    effect = ratio_effect(*both([[[2, 1], [4, 3]], [[1, 1], [3, 1]]]))
    assert (effect.control, effect.var_c, effect.treatment, effect.var_t) == (1.5, 0.0625, 2.0, 1.0)


# by another


def test_welch_gives_what_r_gives_for_sleep():
    """R: t.test(extra ~ group, sleep) → t = −1.8608, df = 17.776, p = .07939, interval −3.3654832, .2054832."""
    effect = mean_effect(*both([np.array(group)[:, None] for group in SLEEP[::-1]]))
    assert (effect.z, effect.df) == pytest.approx((-1.8608, 17.776), abs=5e-4)
    assert effect.p == pytest.approx(0.07939, abs=5e-6)
    assert effect.interval() == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


@given(pairs)
def test_means_are_compared_as_scipy_and_statsmodels_do(values):
    control, treatment = (arm[:, 0] for arm in values)
    assume(np.ptp(control) + np.ptp(treatment) > 0)
    effect = mean_effect(*both(values))
    found = ttest_ind_from_stats(
        *(treatment.mean(), treatment.std(ddof=1), len(treatment)),
        *(control.mean(), control.std(ddof=1), len(control)),
        equal_var=False,
    )
    assert (effect.z, effect.p) == pytest.approx(tuple(found), rel=1e-7, abs=1e-9)
    witness = CompareMeans(DescrStatsW(treatment), DescrStatsW(control)).tconfint_diff(usevar="unequal")
    assert effect.interval() == pytest.approx(witness, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(400, 400), (60, 900)])
def test_a_ratio_has_the_robust_error_of_a_weighted_regression(n, m):
    """WLS of y/d on the arm, weights d: HC0 is the delta method but for n/(n − 1) in each arm."""
    values = drawn(n, m, seed=1)
    effect = ratio_effect(*both(values))
    y, d = (np.concatenate([arm[:, i] for arm in values]) for i in (0, 1))
    arm = np.repeat([0.0, 1.0], [n, m])
    fitted = sm.WLS(y / d, np.column_stack([1 - arm, arm]), weights=d).fit(cov_type="HC0")
    assert (effect.control, effect.treatment) == pytest.approx(tuple(fitted.params), rel=1e-12)
    corrected = np.diag(fitted.cov_params()) * [n / (n - 1), m / (m - 1)]
    assert (effect.var_c, effect.var_t) == pytest.approx(tuple(corrected), rel=1e-9)


@pytest.mark.parametrize("covariates", [1, 3])
@pytest.mark.parametrize(("n", "m"), [(4_000, 4_000), (900, 8_000)])
def test_covariates_work_as_lins_regression_with_the_variance_of_their_mean(n, m, covariates):
    """OLS of y on arm × centred covariates, HC2, plus δ'Σδ/n."""
    values = drawn(n, m, seed=2, covariates=covariates)
    effect = adjusted_effect(*(sums.pick(0, *range(2, 2 + covariates)) for sums in both(values)))
    y, x = np.concatenate([arm[:, 0] for arm in values]), np.concatenate([arm[:, 2:] for arm in values])
    arm, x = np.repeat([0.0, 1.0], [n, m])[:, None], x - x.mean(axis=0)
    fitted = sm.OLS(y, np.hstack([np.ones_like(arm), arm, x, arm * x])).fit(cov_type="HC2")
    delta = fitted.params[2 + covariates :]
    error = math.sqrt(fitted.cov_params()[1, 1] + delta @ np.atleast_2d(np.cov(x.T)) @ delta / (n + m))
    assert effect.diff == pytest.approx(fitted.params[1], rel=1e-9)
    assert effect.control == pytest.approx(fitted.params[0], rel=1e-9)
    assert effect.se == pytest.approx(error, rel=0.02)  # HC2 lets the spread vary with x


@pytest.mark.parametrize("correlation", [0.3, 0.7, 0.95])
def test_a_covariate_saves_the_share_of_variance_it_explains(correlation):
    rng = np.random.default_rng(13)
    x = rng.normal(0, 1, (2, 20_000))
    arms = both(np.stack([correlation * x + math.sqrt(1 - correlation**2) * rng.normal(size=x.shape), x], axis=-1))
    saved = 1 - (adjusted_effect(*arms).se / mean_effect(*arms).se) ** 2
    assert saved == pytest.approx(correlation**2, abs=0.02)


def test_a_ratio_with_covariates_is_its_linear_form_adjusted():
    values = drawn(3_000, 2_000, seed=3)
    effect = adjusted_effect(*both(values), ratio=True)
    linear = [
        np.column_stack([(arm[:, 0] - ratio * arm[:, 1]) / arm[:, 1].mean() + ratio, arm[:, 2]])
        for arm, ratio in ((arm, arm[:, 0].sum() / arm[:, 1].sum()) for arm in values)
    ]
    witness = adjusted_effect(*both(linear))
    assert (effect.diff, effect.se, effect.df) == pytest.approx((witness.diff, witness.se, witness.df), rel=1e-9)
    assert effect.se < ratio_effect(*both(values)).se


def test_equivalence_is_that_of_statsmodels():
    control, treatment = (arm[:, 0] for arm in drawn(80, 60, seed=4))
    found = ttost_ind(treatment, control, -3.0, 3.0, usevar="unequal")[0]
    assert mean_effect(*both([control[:, None], treatment[:, None]])).p_within(3.0, rel=False) == pytest.approx(found)


def test_the_error_of_a_median_is_that_of_the_normal_formula():
    rng = np.random.default_rng(5)
    arms = rng.normal(100, 10, (2, 20_000))
    effect = quantile_effect(*(Tally.of(np.zeros(20_000, int), arm) for arm in arms), 0.5)
    assert effect.control == np.median(arms[0]) and effect.treatment == np.median(arms[1])
    expected = math.sqrt(2 * 0.25 / 20_000) / norm.pdf(0) * 10
    assert effect.se == pytest.approx(expected, rel=0.05)


def test_skewness_is_that_of_scipy():
    values = np.random.default_rng(6).lognormal(0, 1, (2, 500))
    found = skewness(Sums.of(np.stack([values, values**2], axis=-1)))
    assert found == pytest.approx(skew(values, axis=1), rel=1e-9)


def test_the_skewness_of_a_ratio_is_that_of_its_linear_form():
    y, d = drawn(300, 10, seed=6)[0][:, :2].T
    found = skewness(Sums.of(np.column_stack([y, d, y**2, d**2])), ratio=True)
    assert found == pytest.approx(skew(y - y.sum() / d.sum() * d), rel=1e-9)
    assert np.isnan(skewness(Sums.of(np.column_stack([d, d, d**2, d**2])), ratio=True))


# by a slow twin


@given(effects, st.floats(0.1, 2))
def test_the_relative_limits_are_the_ratios_at_which_the_test_turns(effect, share):
    """With a covariance that is a share of the largest possible one, as covariates bring it."""
    cov = min(share, 0.9) * math.sqrt(effect.var_c * effect.var_t)
    effect = Effect(*(getattr(effect, name) for name in effect.__slots__[:8]), cov=cov)
    low, high = effect.rel_interval()
    assume(not math.isnan(low) and high - low < 1e3)
    times, sign = t.isf(0.025, effect.df), math.copysign(1, effect.control)

    def beyond(ratio):
        error = math.sqrt(effect.var_t + ratio**2 * effect.var_c - 2 * ratio * cov)
        return abs(effect.treatment - ratio * effect.control) - times * error

    middle = effect.treatment / effect.control
    ends = sorted(sign * (brentq(beyond, middle, middle + side * 1e5, xtol=1e-12) - 1) for side in (-1, 1))
    assert (low, high) == pytest.approx(ends, rel=1e-5, abs=1e-6)


# by law


@given(st.one_of(effects, shares), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_p_interval_and_relative_interval_leave_out_nothing_together(effect, level):
    assume(abs(effect.p - (1 - level)) > 1e-9)
    significant = effect.p < 1 - level
    for low, high in (effect.interval(level), effect.rel_interval(level)):
        if not np.isnan(low):
            assert significant == (low > 0 or high < 0)


@given(st.one_of(effects, shares), st.floats(1.0, 5.0))
def test_a_sequential_critical_value_decides_all_three_alike(effect, crit):
    assume(abs(abs(effect.z) - crit) > 1e-9)
    for low, high in (effect.interval(crit=crit), effect.rel_interval(crit=crit)):
        if not np.isnan(low):
            assert (abs(effect.z) > crit) == (low > 0 or high < 0)


@given(st.one_of(effects, shares), st.sampled_from([-0.2, -0.01, 0.05, 0.3]))
def test_a_margin_is_met_exactly_when_the_limit_at_the_margin_says_so(effect, margin):
    assume(effect.control > 0)
    above, below = effect.p_above(margin), effect.p_below(margin)
    assert above + below == pytest.approx(1, abs=1e-9)
    assume(min(abs(above - 0.05), abs(below - 0.05)) > 1e-9)
    low, high = effect.rel_interval(0.9, margin=margin)
    if not np.isnan(low):
        assert (above < 0.05) == (low > margin) and (below < 0.05) == (high < margin)


@given(st.one_of(effects, shares), st.floats(0.01, 0.5))
def test_equivalence_is_an_interval_within_the_margins(effect, margin):
    p = effect.p_within(margin, rel=False)
    low, high = effect.interval(0.9)
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (-margin < low and high < margin)


@given(pairs)
def test_swapping_the_arms_mirrors_everything(values):
    assume(min(np.ptp(arm[:, 0]) for arm in values) > 0 and min(arm[:, 1].sum() for arm in values) > 0)
    for found in (mean_effect, ratio_effect):
        one, other = found(*both(values)), found(*both(values[::-1]))
        assert one.diff == -other.diff and one.p == pytest.approx(other.p, nan_ok=True)
        low, high = other.interval()
        assert one.interval() == pytest.approx((-high, -low), nan_ok=True)


@given(pairs, st.sampled_from([0.01, 7.46, 100.0]))
def test_another_currency_leaves_p_and_the_relative_lift(values, rate):
    assume(min(np.ptp(arm[:, 0]) for arm in values) > 0)
    one, other = mean_effect(*both(values)), mean_effect(*both([arm * rate for arm in values]))
    assert one.p == pytest.approx(other.p, rel=1e-6)
    assert one.rel_interval() == pytest.approx(other.rel_interval(), rel=1e-5, abs=1e-9, nan_ok=True)


@given(pairs)
def test_everything_twice_within_its_unit_leaves_a_ratio_and_its_error(values):
    """Rows that come twice do no harm once each unit has one total; as units of their own they shrink the error."""
    assume(min(arm[:, 1].sum() for arm in values) > 0)
    once, twice = ratio_effect(*both(values)), ratio_effect(*both([2 * arm for arm in values]))
    assume(not np.isnan(once.se))
    assert (twice.diff, twice.se, twice.p) == pytest.approx((once.diff, once.se, once.p), rel=1e-6, abs=1e-12)
    fooled = ratio_effect(*(sums + sums for sums in both(values)))
    assert fooled.se < 0.85 * once.se


@given(units, st.integers(1, 5), st.integers(0, 99))
def test_any_pieces_add_up_to_the_whole(values, pieces, seed):
    whole = Sums.of(values)
    places = np.random.default_rng(seed).integers(0, pieces, len(values))
    parts = Sums.sum([Sums.of(values[places == piece]) for piece in range(pieces)])
    for name in ("n", "total", "cross"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)


def test_many_experiments_at_once_are_each_of_them():
    rng = np.random.default_rng(7)
    control, treatment = rng.gamma(2, 2, (5, 3, 80, 3)) + 1, rng.gamma(2, 2, (5, 3, 60, 3)) + 1
    asked = (mean_effect, ratio_effect, adjusted_effect, lambda c, t: adjusted_effect(c, t, ratio=True))
    for found in asked:
        many = found(Sums.of(control), Sums.of(treatment))
        one = found(Sums.of(control)[2, 1], Sums.of(treatment[2, 1]))
        for name in ("diff", "rel", "se", "df", "p"):
            np.testing.assert_allclose(getattr(many, name)[2, 1], getattr(one, name), rtol=1e-9)
        assert many.rel_interval()[0].shape == many.reason.shape == (5, 3)


# at the edges


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6 + 0.1])
def test_a_constant_covariate_is_dropped_with_a_note_and_gives_exactly_the_raw_result(value):
    values = [np.column_stack([arm[:, 0], np.full(len(arm), value)]) for arm in drawn(300, 200, seed=8)]
    raw, adjusted = mean_effect(*both(values)), adjusted_effect(*both(values))
    for name in ("control", "treatment", "var_c", "var_t", "df", "se", "p"):
        assert getattr(raw, name) == getattr(adjusted, name)
    assert adjusted.reason == NOTES["dropped"] and raw.reason == ""


def test_a_mean_far_from_zero_loses_few_digits():
    values = np.random.default_rng(14).normal(0, 1, (2, 1_000, 1))
    far, near = mean_effect(*both(values + 1e5)), mean_effect(*both(values))
    assert far.se == pytest.approx(near.se, rel=1e-5) and far.diff == pytest.approx(near.diff, abs=1e-9)


def test_of_two_covariates_only_the_constant_one_is_dropped():
    values = drawn(300, 200, seed=9)
    more = [np.column_stack([arm[:, [0, 2]], np.full(len(arm), 3.0)]) for arm in values]
    alone, two = adjusted_effect(*(sums.pick(0, 1) for sums in both(more))), adjusted_effect(*both(more))
    assert (two.diff, two.se, two.df) == pytest.approx((alone.diff, alone.se, alone.df), rel=1e-12)
    assert two.reason == NOTES["dropped"] and alone.reason == ""


def test_a_covariate_given_twice_counts_once():
    values = [arm[:, [0, 2]] for arm in drawn(300, 200, seed=10)]
    once, twice = adjusted_effect(*both(values)), adjusted_effect(*both([arm[:, [0, 1, 1]] for arm in values]))
    assert (twice.diff, twice.se, twice.df) == pytest.approx((once.diff, once.se, once.df), rel=1e-9)


def test_below_fifty_in_an_arm_covariates_wait():
    values = [arm[:, [0, 2]] for arm in drawn(49, 500, seed=11)]
    raw, adjusted = mean_effect(*both(values)), adjusted_effect(*both(values))
    assert (raw.diff, raw.se) == (adjusted.diff, adjusted.se) and "fewer than 50" in str(adjusted.reason)
    assert adjusted_effect(*both([arm[:, [0, 2]] for arm in drawn(50, 500, seed=11)])).reason == ""


def test_a_covariate_that_explains_everything_leaves_nothing_to_judge_by():
    x = np.random.default_rng(12).normal(0, 1, (2, 200, 1))
    effect = adjusted_effect(*both(np.concatenate([3 * x + 1, x], axis=-1)))
    assert np.isnan(effect.p) and effect.reason == NOTES["alike"]


@pytest.mark.parametrize(
    ("control", "treatment", "note"),
    [
        ([[1.0, 1.0]], [[1.0, 1.0], [2.0, 1.0]], "single"),
        (np.empty((0, 2)), [[1.0, 1.0], [2.0, 1.0]], "single"),
        ([[0.1, 1.0]] * 3, [[0.1, 1.0]] * 7, "alike"),
        ([[0.0, 0.0]] * 3, [[2.0, 1.0], [3.0, 1.0]], "undivided"),
        ([[-1.0, 1.0], [1.0, 1.0], [0.5, 1.0]], [[2.0, 1.0], [2.1, 1.0], [2.2, 1.0]], "zero"),
    ],
)
def test_what_is_impossible_is_unknown_and_says_why(control, treatment, note):
    effect = ratio_effect(*both([control, treatment]))
    assert effect.reason == NOTES[note] and np.isnan(effect.rel)
    assert np.isnan(effect.rel_interval()).all()
    assert np.isnan([effect.p, *effect.interval(), effect.p_above(-0.01)]).all() == (note != "zero")


def test_a_negative_control_turns_no_sign():
    effect = Effect(-10.0, -9.0, 500, 500, 0.01, 0.01, 499, 499)
    low, high = effect.rel_interval()
    assert effect.rel == pytest.approx(0.1) and 0 < low < 0.1 < high
    assert effect.p_above(-0.01) < 0.001 and effect.p_below(0.2) < 0.001 and effect.p_above(0.09) > 0.05


def test_shares_that_are_uneventful_have_p_one_and_an_interval_and_no_relative_lift():
    effect = ShareEffect([0, 0, 5], [20, 0, 20], [0, 3, 9], [10, 10, 20])
    assert effect.p[0] == 1 and effect.interval()[0][0] < 0 < effect.interval()[1][0]
    assert list(np.isnan(effect.p)) == [False, True, False] and list(np.isnan(effect.rel)) == [True, True, False]
    assert list(effect.reason) == [NOTES["zero"], NOTES["empty"], ""] and list(effect.few) == [True, True, False]


def test_a_quantile_too_far_out_is_unknown_and_says_so():
    arms = [Tally.of(np.zeros(40, int), np.arange(40.0) + shift) for shift in (0, 1)]
    assert quantile_effect(*arms, 0.99).reason.item() == NOTES["far"]
    assert quantile_effect(*arms, 0.5).reason.item() == NOTES["rough"]
    more = [Tally.of(np.zeros(300, int), np.arange(300.0) + shift) for shift in (100, 101)]
    assert quantile_effect(*more, 0.5).reason.item() == "" and quantile_effect(*more, 0.6).rough.item()
    assert (
        quantile_effect(*(Tally.of(np.zeros(40, int), np.ones(40)) for _ in "ct"), 0.5).reason.item() == NOTES["alike"]
    )


def test_clusters_widen_a_quantile_by_the_error_they_bring():
    arms = [Tally.of(np.zeros(900, int), np.arange(900.0) + shift) for shift in (0, 9)]
    alone = quantile_effect(*arms, 0.5)
    wider = quantile_effect(*arms, 0.5, errors=[[2 * 0.5 / 30], [2 * 0.5 / 30]])
    assert wider.se == pytest.approx(2 * alone.se, rel=0.01)


def test_a_quantile_known_by_its_bin_only_owns_to_it():
    values = 100 + np.arange(EXACT_LIMIT * 2) / 1e6  # all in one bin
    arms = [Tally.of(np.zeros(len(values), int), values + shift) for shift in (0.0, 0.01)]
    assert not arms[0].exact and quantile_effect(*arms, 0.5).se > 0.05
