"""Splits: published answers, scipy's Dirichlet-multinomial as witness, false alarms by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, dirichlet_multinomial, multinomial

from toolkit.errors import UsageError
from toolkit.stats.split import FLAG, sequential_srm, srm_p

steps = st.lists(st.tuples(*[st.integers(0, 400)] * 3), min_size=1, max_size=12).map(np.array)


def test_published_splits():
    """Kohavi, Tang and Xu 2020, ch. 21; the Cookie Cats experiment."""
    assert srm_p([821_588, 815_482], [1, 1]) == pytest.approx(1.8e-6, abs=5e-8)
    assert srm_p([44_700, 45_489], [1, 1]) == pytest.approx(0.008608, abs=5e-7)


def test_many_rows_at_once_are_the_same_as_one_by_one():
    rows = [[500, 560], [3, 9], [0, 0], [0, 40], [10_000, 0]]
    expected = [float(srm_p(row, [1, 2])) for row in rows]
    assert srm_p(rows, [1, 2]) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(expected[2]) and expected[4] == 0


def test_few_customers_in_two_variants_are_tested_exactly():
    assert srm_p([0, 9], [1, 1]) == pytest.approx(2 * 0.5**9)
    assert srm_p([1, 40], [1, 9]) == pytest.approx(binomtest(1, 41, 0.1).pvalue)


def test_a_variant_that_nobody_got_counts():
    assert srm_p([1_000, 1_000, 0], [10, 10, 1]) < 1e-20


@pytest.mark.parametrize("weights", [[1, 0], [1, -1], [1, float("nan")]])
def test_a_split_without_shares_is_refused(weights):
    with pytest.raises(UsageError, match="give each variant a share above 0"):
        srm_p([1, 1], weights)


@given(steps, st.integers(1, 50_000))
def test_the_bayes_factor_is_scipys_dirichlet_multinomial_against_its_multinomial(counts, concentration):
    share = np.array([0.5, 0.3, 0.2])
    seen = counts.cumsum(axis=0)
    seen, n = seen[seen.sum(axis=1) > 0], seen.sum(axis=1)
    against = dirichlet_multinomial.logpmf(seen, concentration * share, n[n > 0])
    log_bf = against - multinomial.logpmf(seen, n[n > 0], share)
    expected = np.minimum(1, np.exp(-np.maximum.accumulate(np.append(0, log_bf))))[1:]
    assert sequential_srm(counts, [5, 3, 2], concentration)[n > 0] == pytest.approx(expected, rel=1e-5)


@given(steps)
def test_smaller_steps_end_below_or_at_the_same_p(counts):
    """Only the sums matter; more looks can only find a smaller p on the way."""
    fine, coarse = sequential_srm(counts, [1, 1, 1]), sequential_srm(counts.sum(axis=0, keepdims=True), [1, 1, 1])
    assert fine[-1] <= coarse[-1] * (1 + 1e-9) and (np.diff(fine) <= 0).all()


def alarms(share, *, trials, days, daily, flag):
    """The share of experiments planned 50 : 50 that are ever flagged, looked at after each day."""
    control = np.random.default_rng(4).binomial(daily, share, (trials, days))
    counts = np.stack([control, daily - control], axis=-1)
    return np.mean([sequential_srm(one, [1, 1])[-1] < flag for one in counts])


def test_false_alarms_of_daily_looks_stay_below_the_flag():
    assert alarms(0.5, trials=8_000, days=40, daily=1_000, flag=FLAG) <= FLAG + 3 * (FLAG / 8_000) ** 0.5
    assert alarms(0.5, trials=2_000, days=40, daily=1_000, flag=0.05) <= 0.05 + 3 * (0.0475 / 2_000) ** 0.5


def test_a_split_of_52_to_48_is_found():
    assert alarms(0.52, trials=200, days=40, daily=1_000, flag=FLAG) > 0.99
