"""Rates whose units come in clusters: sessions of one customer are alike, so they count for less."""

from __future__ import annotations

import numpy as np

from toolkit.stats.shares import wilson


def clustered_rate(count, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates with intervals that allow for clusters.

    Args:
        count: clusters × groups, units that did.
        n: the same shape, units; many clusters may be empty.
        level: 0–1.

    Returns:
        rate, low and high per group; NaN where a group has no units.

    Method:
        Wilson's interval at the effective sample size n / deff; deff is the variance of the ratio over clusters
        (linearised; Cochran 1977, Sampling Techniques, 6.4) over the binomial variance, at least 1 (Korn and
        Graubard 1998, Survey Methodology 24:193–201, with Wilson in place of Clopper–Pearson). At a rate of 0 or 1 no
        variance is seen, and the filled clusters count as units.

    Example:
        >>> rate, low, high = clustered_rate([[8], [0], [1]], [[8], [9], [10]])
        >>> bool(low[0] < 0.1 and high[0] > 0.8)
        True
    """
    rate, size = effective(count, n)
    known = size > 0
    low, high = np.full(rate.shape, np.nan), np.full(rate.shape, np.nan)
    low[known], high[known] = wilson((rate * size)[known], size[known], level)
    return rate, low, high


def effective(count, n) -> tuple[np.ndarray, np.ndarray]:
    """Rates of clustered units, and how many independent units would tell as much.

    Args:
        count: clusters × groups, units that did.
        n: the same shape, units.

    Returns:
        Rate per group, NaN where it has no units; effective sample size n / deff, as `clustered_rate` explains it.

    Example:
        >>> [round(float(value[0]), 2) for value in effective([[8], [0], [1]], [[8], [9], [10]])]
        [0.33, 2.52]
    """
    count, n = np.asarray(count, float), np.asarray(n, float)
    total, filled = n.sum(axis=0), (n > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = count.sum(axis=0) / np.where(total > 0, total, np.nan)
        spread = ((count - rate * n) ** 2).sum(axis=0) * filled / np.maximum(filled - 1, 1) / total**2
        binomial = rate * (1 - rate) / total
        deff = np.where(binomial > 0, np.maximum(spread / binomial, 1), np.maximum(total / filled, 1))
        return rate, total / deff
