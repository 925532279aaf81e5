"""Odds ratios from counts: of one table, and of many tables that are each compared within themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.stats.checks import counts_within, outside

HALF = 0.5  # added to each cell, so that an empty one leaves the ratio finite (Haldane 1956, Anscombe 1956)


class Odds(NamedTuple):
    """Odds ratios with interval and p; NaN where the counts cannot tell."""

    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def odds_ratio(both, met, converted, n, level: float = 0.95) -> Odds:
    """The odds ratio of each fourfold table, one half added to every cell.

    Args:
        both: units that met it and converted, array-like of any shape.
        met: units that met it.
        converted: units that converted.
        n: all units.
        level: 0–1.

    Returns:
        Ratio, interval and p, which inverts the interval; NaN where everyone, or nobody, met it or converted.

    Raises:
        UsageError: a part is larger than its whole.

    Method:
        log OR ± z √Σ 1/(cell + ½) (Gart 1966, doi:10.1093/biomet/53.3-4.485).

    Example:
        >>> odds = odds_ratio([30], [50], [40], [100])
        >>> odds.ratio.round(2), odds.low.round(2), odds.high.round(2)
        (array([5.74]), array([2.38]), array([13.83]))
    """
    a, b, c, d = cells = _cells(both, met, converted, n)
    tells = a * d + b * c > 0
    a, b, c, d = cells + HALF
    return _odds(np.where(tells, a * d / (b * c), np.nan), 1 / a + 1 / b + 1 / c + 1 / d, level)


def pooled_odds(both, met, converted, n, level: float = 0.95) -> Odds:
    """One odds ratio from many fourfold tables: only units of the same stratum are compared.

    Args:
        both: units that met it and converted, strata × tables.
        met: units that met it.
        converted: units that converted.
        n: all units.
        level: 0–1.

    Returns:
        One ratio per table with interval and p, which inverts the interval; NaN where no stratum can tell.

    Method:
        Mantel and Haenszel 1959 (doi:10.1093/jnci/22.4.719), with one more stratum of ½ in every cell, so that the
        ratio stays finite; variance of its logarithm by Robins, Breslow and Greenland 1986 (doi:10.2307/2531052), good
        for few large and for many small strata.

    Example:
        >>> odds = pooled_odds([[30], [5]], [[50], [10]], [[40], [20]], [[100], [60]])
        >>> odds.ratio.round(2), odds.low.round(2), odds.high.round(2)
        (array([4.46]), array([2.15]), array([9.25]))
    """
    a, b, c, d = cells = _cells(both, met, converted, n)
    tells = (a * d + b * c).sum(axis=0) > 0
    a, b, c, d = np.concatenate([cells, np.full((4, 1, *a.shape[1:]), HALF)], axis=1)
    n = np.maximum(a + b + c + d, 1)
    r, s, agree, differ = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    up, down = r.sum(axis=0), s.sum(axis=0)
    variance = (agree * r).sum(axis=0) / up**2 + (differ * s).sum(axis=0) / down**2
    variance = (variance + (agree * s + differ * r).sum(axis=0) / (up * down)) / 2
    return _odds(np.where(tells, up / down, np.nan), variance, level)


def _cells(both, met, converted, n) -> np.ndarray:
    """4 × …: met and converted, met only, converted only, neither."""
    both, met, converted, n = np.broadcast_arrays(*(np.asarray(x, float) for x in (both, met, converted, n)))
    counts_within(both, met), counts_within(converted - both, n - met)
    return np.array([both, met - both, converted - both, n - met - converted + both])


def _odds(ratio: np.ndarray, variance: np.ndarray, level: float) -> Odds:
    """Interval and p of a ratio from the variance of its logarithm."""
    from scipy.special import ndtr, ndtri

    error = np.sqrt(variance)
    wide = np.exp(-ndtri(outside(level) / 2) * error)
    return Odds(ratio, ratio / wide, ratio * wide, 2 * ndtr(-np.abs(np.log(ratio)) / error))
