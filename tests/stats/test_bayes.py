"""The Bayesian second opinion: Evan Miller's closed form, integrals as twins, swapping."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, norm

from toolkit.stats.bayes import believe_lift, believe_shares

arms = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_published_beliefs():
    belief = believe_shares(100, 10_000, 120, 10_000)
    assert belief.chance == pytest.approx(0.9120125, abs=5e-8)
    assert belief.gain == pytest.approx(0.00205978, abs=5e-9) and belief.loss == pytest.approx(6.01809e-5, rel=1e-6)


@given(arms, arms)
def test_shares_are_what_drawing_them_on_a_fine_grid_gives(control, treatment):
    """Twin: both posteriors as 4,000 equally likely values."""
    at = (np.arange(4_000) + 0.5) / 4_000
    c, t = (beta(x + 1, n - x + 1).ppf(at) for x, n in (control, treatment))
    below = np.searchsorted(c, t) / len(at)
    sums = np.append(0, np.cumsum(c))[np.searchsorted(c, t)] / len(at)
    gain = (t * below - sums).mean()
    belief = believe_shares(*control, *treatment)
    assert belief.chance == pytest.approx(below.mean(), abs=2e-3)
    assert belief.gain == pytest.approx(gain, abs=1e-3)


@given(arms, arms)
def test_swapping_the_variants_swaps_gain_and_loss(control, treatment):
    there, back = believe_shares(*control, *treatment), believe_shares(*treatment, *control)
    assert there.chance + back.chance == pytest.approx(1)
    assert (there.gain, there.loss) == pytest.approx((back.loss, back.gain), abs=1e-9)


@given(arms, arms)
def test_gain_less_loss_is_the_difference_of_the_posterior_means(control, treatment):
    belief = believe_shares(*control, *treatment)
    (x, n), (y, m) = control, treatment
    assert belief.gain - belief.loss == pytest.approx((y + 1) / (m + 2) - (x + 1) / (n + 2), abs=1e-9)


def test_nobody_counted_leaves_the_prior():
    belief = believe_shares(0, 0, 0, 0)
    assert (belief.chance, belief.gain, belief.loss) == pytest.approx((1 / 2, 1 / 6, 1 / 6))


@given(st.floats(-0.5, 0.5), st.floats(0.001, 0.3), st.floats(0.01, 0.3))
def test_lifts_are_what_integration_gives(lift, se, prior_sd):
    belief, precision = believe_lift(lift, se, prior_sd), 1 / se**2 + 1 / prior_sd**2
    mean, sd = lift / se**2 / precision, precision**-0.5
    gain = quad(lambda x: x * norm.pdf(x, mean, sd), 0, max(0, mean) + 12 * sd, points=[max(mean, 0)])[0]
    assert belief.chance == pytest.approx(norm.sf(0, mean, sd), abs=1e-9)
    assert belief.gain == pytest.approx(gain, abs=1e-7)
    assert belief.gain - belief.loss == pytest.approx(mean, abs=1e-9)


def test_a_wide_prior_leaves_the_estimate_alone_and_a_narrow_one_draws_it_to_none():
    assert believe_lift(0.05, 0.03, 100).chance == pytest.approx(norm.cdf(0.05 / 0.03), abs=1e-4)
    assert believe_lift(0.05, 0.03, 0.001).gain < 0.001
    assert math.isclose(believe_lift(0.0, 0.03).chance, 0.5)
