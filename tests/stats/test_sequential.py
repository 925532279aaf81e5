"""Several looks: Jennison and Turnbull's tables, confseq's tests, error rates by simulation."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from toolkit.stats.sequential import (
    always_valid_crit,
    always_valid_p,
    chance_to_cross,
    inflation,
    obf_boundaries,
    repeated_p,
    spend,
)

levels = st.floats(0.8, 0.999)


def even(looks):
    return np.arange(1, looks + 1) / looks


# by another


@pytest.mark.parametrize(("looks", "c"), [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)])
def test_pococks_constants_spend_five_percent(looks, c):
    """Jennison and Turnbull 2000, table 2.1."""
    assert chance_to_cross([c] * looks, even(looks))[-1] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(("looks", "c"), [(2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)])
def test_obrien_and_flemings_constants_spend_five_percent(looks, c):
    """Jennison and Turnbull 2000, table 2.3."""
    assert chance_to_cross(c / np.sqrt(even(looks)), even(looks))[-1] == pytest.approx(0.05, abs=1e-4)


def test_boundaries_of_five_even_looks():
    """Lan and DeMets; the values that R's ldbounds and gsDesign give."""
    assert obf_boundaries(even(5)) == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)


def test_published_inflation():
    assert [inflation(5), inflation(5, power=0.9)] == pytest.approx([1.025, 1.023], abs=5e-4)
    assert inflation(1, 0.99, 0.9) == 1


def test_three_looks_by_the_normal_distribution_of_all_three():
    at, crits, drift = np.array([0.3, 0.5, 1.0]), np.array([2.6, 2.4, 2.1]), 1.5
    cov = np.sqrt(np.minimum.outer(at, at) / np.maximum.outer(at, at))
    never = multivariate_normal(drift * np.sqrt(at), cov, seed=1).cdf(crits, lower_limit=-crits)
    assert chance_to_cross(crits, at, drift)[-1] == pytest.approx(1 - never, abs=1e-5)


def test_always_valid_values_are_confseqs():
    """confseq: best_rho(100, .05) = 12.60056, two-sided boundary at v = 100: 30.35209."""
    assert 100 / (-2 * np.log(0.05) + np.log1p(-2 * np.log(0.05))) == pytest.approx(12.60056, abs=5e-6)
    assert always_valid_crit(100, 100) * 10 == pytest.approx(30.35209, abs=5e-6)


def test_always_valid_values_depend_on_the_share_of_the_planned_customers_only():
    shares = np.array([0.1, 0.25, 0.5, 1, 2, 10])
    for planned in (1, 1_000, 3e7):
        assert always_valid_crit(shares * planned, planned) == pytest.approx(
            [3.86, 3.26, 3.08, 3.0352, 3.06, 3.24], abs=5e-3
        )


# by law


def test_spending_is_none_at_first_and_all_in_the_end():
    assert spend([1e-9, 1, 3], 0.9).tolist() == pytest.approx([0, 0.1, 0.1])


@given(st.lists(st.floats(0.01, 1.3), min_size=1, max_size=6, unique=True).map(sorted), levels)
def test_boundaries_spend_exactly_what_may_be_spent(at, level):
    assume(min(np.diff([0, *at])) > 0.01)
    crits = obf_boundaries(at, level)
    kept = np.isfinite(crits)
    assert chance_to_cross(crits, at)[kept] == pytest.approx(spend(at, level)[kept], abs=1e-6)


def test_one_look_at_the_end_is_the_ordinary_test():
    assert obf_boundaries([1.0]) == pytest.approx([1.959964], abs=1e-6)
    assert obf_boundaries([1.4]) == pytest.approx([1.959964], abs=1e-6)


def test_a_look_without_news_and_looks_after_the_end_spend_nothing():
    assert obf_boundaries([0.5, 0.5, 1.0])[[0, 1]].tolist() == [obf_boundaries([0.5])[0]] * 2
    assert obf_boundaries([0.5, 0.4, 1.0]) == pytest.approx(obf_boundaries([0.5, 0.5, 1.0]))
    assert obf_boundaries([0.7, 1.2, 1.5])[2] == np.inf
    assert obf_boundaries([0.0, 0.01]).tolist() == [np.inf, np.inf]


@settings(max_examples=30)
@given(st.floats(0, 6), st.integers(1, 4), levels)
def test_the_repeated_p_lies_below_one_minus_level_when_z_exceeds_its_boundary(z, look, level):
    at = even(4)[:look]
    crit = obf_boundaries(at, level)[-1]
    assume(abs(z - crit) > 1e-4)
    assert (repeated_p(z, at) < 1 - level) == (z > crit) == (repeated_p(-z, at) < 1 - level)


def test_the_repeated_p_of_one_look_is_the_ordinary_p():
    for z in (0.0, 0.3, 1.96, 4.0):
        assert repeated_p(z, [1.0]) == pytest.approx(2 * norm.sf(z), rel=1e-4)


@given(st.floats(0, 8), st.floats(0.01, 20), levels)
def test_the_always_valid_p_lies_below_one_minus_level_when_z_exceeds_its_value(z, at, level):
    crit = always_valid_crit(at * 1_000, 1_000, level)
    assume(abs(z - crit) > 1e-9)
    assert (always_valid_p([z], [at * 1_000], 1_000, level)[0] < 1 - level) == (z > crit)


# by calibration


def paths(trials, customers, looks, draw, seed=1):
    """z of the difference of two even arms after each look, of experiments without an effect."""
    rng, n = np.random.default_rng(seed), customers // looks // 2
    sums = [
        np.cumsum(
            [
                [x.sum(axis=1, dtype=float), (x**2).sum(axis=1, dtype=float)]
                for x in (draw(rng, (trials, n)) for _ in range(looks))
            ],
            axis=0,
        )
        for _ in range(2)
    ]
    at = np.arange(1, looks + 1)[:, None] * n
    means, variances = zip(*((s[:, 0] / at, (s[:, 1] - s[:, 0] ** 2 / at) / (at - 1)) for s in sums), strict=True)
    apart, error = means[1] - means[0], np.sqrt(sum(variances) / at)
    return np.divide(apart, error, out=np.zeros_like(apart), where=error > 0)


def test_five_planned_looks_reject_five_percent_in_all_without_an_effect():
    z = paths(30_000, 1_000, 5, lambda rng, size: rng.standard_normal(size, np.float32))
    rejected = (np.abs(z) > obf_boundaries(even(5))[:, None]).any(axis=0).mean()
    assert rejected == pytest.approx(0.05, abs=0.005)


def test_uneven_looks_and_an_overrun_reject_five_percent_in_all():
    at = np.array([0.15, 0.5, 0.55, 0.9, 1.25])
    steps = np.random.default_rng(2).normal(size=(200_000, 5)) * np.sqrt(np.diff(at, prepend=0))
    z = steps.cumsum(axis=1) / np.sqrt(at)
    assert (np.abs(z) > obf_boundaries(at)).any(axis=1).mean() == pytest.approx(0.05, abs=0.002)


def test_planned_looks_with_the_customers_they_ask_for_have_their_power():
    at, ncp = even(5), np.sqrt(inflation(5)) * (1.959964 + 0.841621)
    steps = np.random.default_rng(3).normal(size=(100_000, 5)) * np.sqrt(0.2) + ncp * 0.2
    z = steps.cumsum(axis=1) / np.sqrt(at)
    assert (np.abs(z) > obf_boundaries(at)).any(axis=1).mean() == pytest.approx(0.8, abs=0.005)


DRAWS = {
    "normal": lambda rng, size: rng.standard_normal(size, np.float32),
    "shares of 5 %": lambda rng, size: (rng.random(size, np.float32) < 0.05).astype(np.float32),
    "lognormal revenue": lambda rng, size: np.exp(rng.standard_normal(size, np.float32)),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_looking_after_every_hundred_customers_rejects_at_most_five_percent(kind):
    z, crit = paths(1_500, 10_000, 100, DRAWS[kind]), always_valid_crit(even(100), 1)
    assert (np.abs(z) > crit[:, None]).any(axis=0).mean() <= 0.05
    assert (np.abs(z) > 1.96).any(axis=0).mean() > 0.25  # what the same looks do without it


@pytest.mark.slow
@pytest.mark.parametrize("kind", DRAWS)
def test_looking_after_every_hundred_customers_at_length(kind):
    crit, crossed = always_valid_crit(even(100), 1), []
    for seed in range(10):
        z = paths(2_000, 10_000, 100, DRAWS[kind], seed=seed)
        crossed.append((np.abs(z) > crit[:, None]).any(axis=0).mean())
    assert 0.002 < np.mean(crossed) <= 0.05, crossed


def test_looking_any_time_with_the_customers_it_asks_for_has_its_power():
    at, ncp = even(25), np.sqrt(inflation(0)) * (1.959964 + 0.841621)
    steps = np.random.default_rng(5).normal(size=(50_000, 25)) * np.sqrt(1 / 25) + ncp / 25
    z = steps.cumsum(axis=1) / np.sqrt(at)
    assert (np.abs(z) > always_valid_crit(at, 1)).any(axis=1).mean() == pytest.approx(0.8, abs=0.01)
