"""Whether customers fell into the variants as planned (sample ratio mismatch)."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln
from scipy.stats import binomtest, chisquare

from toolkit.errors import UsageError

FLAG = 0.001  # a p below it: the split is not the planned one
FEW = 5  # expected in a variant, below which two variants are tested exactly


def srm_p(observed, weights) -> np.ndarray:
    """p-values of counts per variant against the planned split, looked at once.

    Args:
        observed: customers per variant along the last axis, variants with none included; any number of rows.
        weights: planned share of each variant, in any unit, > 0.

    Returns:
        One p per row, 0–1; NaN where a row is empty.

    Method:
        Chi-square of fit; exact binomial for two variants where fewer than five are expected in one (Kohavi, Tang
        and Xu 2020, ch. 21). Below 0.001 the split is not the planned one.

    Example:
        >>> srm_p([[821_588, 815_482], [0, 0]], [1, 1]).round(7)
        array([1.8e-06,     nan])
    """
    observed, share = np.asarray(observed, np.int64), _shares(weights)
    n = observed.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        p = np.array(chisquare(observed, n * share, axis=-1).pvalue)
    if len(share) == 2:
        for row in np.argwhere((n[..., 0] > 0) & ((n * share).min(axis=-1) < FEW)):
            p[tuple(row)] = binomtest(int(observed[*row, 0]), int(n[*row, 0]), share[0]).pvalue
    return p


def sequential_srm(counts, weights, concentration: float = 10_000) -> np.ndarray:
    """p-values of the split after each step, right however often one looks.

    Args:
        counts: customers who came in each step: steps × variants.
        weights: planned share of each variant, in any unit, > 0.
        concentration: how closely splits that differ are expected to lie around the plan.

    Returns:
        One p per step, falling: the chance that it ever falls below 0.001 under the planned split is at most 0.001.

    Method:
        1 / Bayes factor of a Dirichlet-multinomial split around the plan against the plan, smallest so far (Lindon and
        Malek 2022, arXiv:2011.03567); the default is that of Optimizely's ssrm.

    Example:
        >>> sequential_srm([[520, 480], [5_200, 4_800]], [1, 1]).round(3)
        array([0.975, 0.014])
    """
    seen, share = np.cumsum(np.asarray(counts, float), axis=0), _shares(weights)
    before = concentration * share
    gained = gammaln(before + seen) - gammaln(before)
    total = gammaln(concentration + seen.sum(axis=1)) - gammaln(concentration)
    log_bf = gained.sum(axis=1) - total - seen @ np.log(share)
    return np.minimum.accumulate(np.exp(-np.maximum(log_bf, 0)))


def _shares(weights) -> np.ndarray:
    weights = np.asarray(weights, float)
    if not (weights > 0).all():
        raise UsageError(f"The planned split is {weights.tolist()}; give each variant a share above 0.")
    return weights / weights.sum()
