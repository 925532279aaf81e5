"""Power: R and statsmodels as witnesses, inverse laws, and what a simulation finds."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm, t
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from toolkit.errors import UsageError
from toolkit.stats.power import Comparison, design_effect

splits, powers, levels = st.floats(0.05, 10), st.floats(0.3, 0.99), st.floats(0.8, 0.99)
shares = st.builds(Comparison, mean=st.floats(0.005, 0.6), split=splits, level=levels, factor=st.floats(0.2, 4))
means = st.builds(Comparison, mean=st.floats(0.1, 50), sd=st.floats(0.1, 90), split=splits, level=levels)


# by another


def test_shares_need_what_r_says():
    """R: power.prop.test(p1 = .02, p2 = .03, power = .8); power.prop.test(p1 = .5, p2 = .75, power = .9)."""
    assert Comparison(mean=0.02).n(0.5) == pytest.approx(3825.15, abs=5e-3)
    assert Comparison(mean=0.5).n(0.5, 0.9) == pytest.approx(76.70692, abs=1e-5)


def test_means_need_what_r_says():
    """R: power.t.test(n = 20, delta = 1, sd = 1); power.t.test(power = .9, delta = 1, sd = 1)."""
    assert Comparison(mean=4, sd=1).power(20, 0.25) == pytest.approx(0.8689528, abs=5e-8)
    assert Comparison(mean=4, sd=1).n(0.25, 0.9) == pytest.approx(22.02110, abs=1e-5)


@given(st.floats(0.01, 0.4), st.floats(0.05, 0.9), splits, powers)
def test_shares_of_uneven_arms_need_what_statsmodels_says(share, rel, split, power):
    one = Comparison(mean=share, split=split)
    expected = samplesize_proportions_2indep_onetail(share * rel, share, power, 1 / split, 0.05, 0, "two-sided") / split
    assume(expected > 2 * (1 + 1 / split))
    assert one.n(rel, power) == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.1, 1.5), st.floats(0.5, 0.99))
def test_means_of_even_arms_need_what_statsmodels_says(size, power):
    expected = TTestIndPower().solve_power(size, power=power, alpha=0.05)
    assume(expected > 4)
    assert Comparison(mean=1, sd=1).n(size, power) == pytest.approx(expected, rel=1e-3)  # it counts the far tail too


@given(st.floats(0.005, 0.2), st.floats(0.02, 0.3), splits)
def test_non_inferiority_needs_what_its_formula_says(margin, share, split):
    """(z + z)² (σ²/κ + (1 − Δ)² σ²) / (Δ μ)²; of means the same with Student's t, a little more."""
    sd = math.sqrt(share * (1 - share))
    formula = (norm.ppf(0.95) + norm.ppf(0.8)) ** 2 * sd**2 * (1 / split + (1 - margin) ** 2) / (margin * share) ** 2
    assume(formula > 1_000 * max(1, 1 / split))
    assert Comparison(mean=share, null=-margin, split=split).n(0) == pytest.approx(formula, rel=1e-6)
    assert Comparison(mean=share, sd=sd, null=-margin, split=split).n(0) == pytest.approx(formula, rel=0.01)


# by law


@given(st.one_of(shares, means), st.floats(0.02, 0.6), powers, st.sampled_from([1, -1]))
def test_customers_power_and_smallest_effect_are_inverse(one, rel, power, sign):
    n = one.n(sign * rel, power)
    assume(n > one.n(sign * 0.61, power))
    assert one.power(n, sign * rel) == pytest.approx(power, abs=1e-6)
    assert one.mde(n, power, sign) == pytest.approx(sign * rel, rel=1e-5)


@given(st.floats(0.01, 0.5), splits, st.floats(0.01, 0.3), powers, st.sampled_from([1, -1]))
def test_customers_and_the_smallest_margin_ruled_out_are_inverse(share, split, margin, power, sign):
    one = Comparison(mean=share, split=split, null=sign * margin)
    assert one.mde(one.n(0, power), power) == pytest.approx(sign * margin, rel=1e-5)


@given(st.one_of(shares, means), st.floats(1.01, 5), st.floats(0.05, 0.5))
def test_a_factor_multiplies_the_customers(one, factor, rel):
    n = one.n(rel)
    assume(n > one.n(0.6))
    more = Comparison(mean=one.mean, sd=one.sd, split=one.split, level=one.level, factor=one.factor * factor)
    assert more.n(rel) == pytest.approx(factor * n, rel=1e-6)


@given(st.one_of(shares, means), st.floats(50, 1e6))
def test_without_an_effect_the_power_is_half_of_what_may_err(one, n):
    assume(n > 5 * one.factor * max(1, 1 / one.split))
    assert one.power(n, 0) == pytest.approx((1 - one.level) / 2, abs=1e-6)


@pytest.mark.parametrize("null", [0.02, -0.02])
def test_at_the_margin_the_power_is_what_may_err(null):
    for one in (Comparison(mean=0.1, null=null), Comparison(mean=5, sd=9, null=null, split=0.3)):
        assert one.power(5_000, null) == pytest.approx(0.05, abs=1e-6)


# edges


def test_what_cannot_be_seen_is_unknown():
    assert math.isnan(Comparison(mean=0.02).n(0.0))
    assert math.isnan(Comparison(mean=0.5).mde(5)) and math.isnan(Comparison(mean=5, sd=3).mde(1.5))
    assert math.isnan(Comparison(mean=5, sd=3).mde(0)) and Comparison(mean=5, sd=3).mde(3) > 1


@pytest.mark.parametrize(
    "wrong", [{"mean": 0}, {"mean": 1.2}, {"mean": float("nan")}, {"mean": 1, "sd": -1}, {"mean": 0.1, "split": 0}]
)
def test_what_cannot_be_planned_from_is_refused(wrong):
    with pytest.raises(UsageError, match="Nothing can be planned from mean"):
        Comparison(**wrong)


def test_a_share_cannot_exceed_one():
    with pytest.raises(UsageError, match=r"A share of 0.7 cannot change by \+50%"):
        Comparison(mean=0.7).n(0.5)


def test_clusters_of_uneven_size_need_more():
    """Eldridge, Ashby and Kerry 2006: with even clusters 1 + (m − 1) ICC."""
    assert design_effect(20, 0.05) == pytest.approx(1.95) and design_effect(1, 0.4) == 1
    assert design_effect(20, 0.05, cv=0.5) == pytest.approx(1 + (1.25 * 20 - 1) * 0.05)


# by calibration


def test_a_simulation_finds_the_planned_power_of_shares():
    one, rng = Comparison(mean=0.1, split=0.5), np.random.default_rng(1)
    n = math.ceil(one.n(0.3))
    c, t_ = rng.binomial(n, 0.1, 50_000), rng.binomial(n // 2, 0.13, 50_000)
    pooled = (c + t_) / (n + n // 2)
    z = (t_ / (n // 2) - c / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / (n // 2)))
    assert (np.abs(z) > 1.959964).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("null", "rel"), [(0, 0.5), (-0.4, 0), (0.4, 0)])
def test_a_simulation_finds_the_planned_power_of_means(null, rel):
    one, rng = Comparison(mean=2, sd=2, split=2, null=null), np.random.default_rng(2)
    n = math.ceil(one.n(rel))
    control, treatment = rng.normal(2, 2, (20_000, n)), rng.normal(2 * (1 + rel), 2, (20_000, 2 * n))
    v_c, v_t = (1 + null) ** 2 * control.var(axis=1, ddof=1) / n, treatment.var(axis=1, ddof=1) / (2 * n)
    df = (v_c + v_t) ** 2 / (v_c**2 / (n - 1) + v_t**2 / (2 * n - 1))
    beyond = (treatment.mean(axis=1) - (1 + null) * control.mean(axis=1)) / np.sqrt(v_c + v_t)
    seen = beyond * (-1 if null > 0 else 1) > t.isf(0.05 if null else 0.025, df)
    assert seen.mean() == pytest.approx(0.8, abs=0.012)
