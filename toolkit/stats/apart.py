"""How far apart two estimates are when each comes with an interval, whoever they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from toolkit.counts import Tally
from toolkit.stats.checks import outside

Estimate = Callable[[float], tuple]
FURTHEST = 6.0  # standard errors beyond which p is not told apart: 2e-9


class Apart(NamedTuple):
    """Differences with intervals and p-values.

    Example:
        >>> Apart(0.2, 0.1, 0.3, 0.001).diff
        0.2
    """

    diff: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def mean_over_clusters(total, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means per unit with intervals, where units come in clusters.

    Args:
        total: clusters × groups, sums.
        n: the same shape, units; many clusters may be empty.
        level: 0–1.

    Returns:
        mean, low and high per group; bounds are NaN where the filled clusters show no spread.

    Method:
        The ratio of two sums over clusters, linearised (Cochran 1977, Sampling Techniques, 6.4), Student's t.

    Example:
        >>> mean, low, high = mean_over_clusters([[2.0], [4.0], [6.0]], [[1], [1], [1]])
        >>> float(mean[0]), round(float(high[0]), 2)
        (4.0, 8.97)
    """
    from scipy.stats import t

    total, n = np.asarray(total, float), np.asarray(n, float)
    filled = (n > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(axis=0) / np.where(filled > 0, n.sum(axis=0), np.nan)
        spread = (residuals(total, n) ** 2).sum(axis=0) * filled / (filled - 1)
        margin = t.isf(outside(level) / 2, np.maximum(filled - 1, 1)) * np.sqrt(spread) / n.sum(axis=0)
    margin = np.where(margin > 0, margin, np.nan)
    return mean, mean - margin, mean + margin


def residuals(total, n) -> np.ndarray:
    """What each cluster adds to a ratio beyond its share: total − ratio · n; 0 where a group has no units.

    Example:
        >>> residuals([[1.0], [3.0]], [[1], [1]]).ravel()
        array([-1.,  1.])
    """
    total, n = np.asarray(total, float), np.asarray(n, float)
    return total - total.sum(axis=0) / np.maximum(n.sum(axis=0), 1) * n


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How two ratios go together over the same clusters, from their residuals; 0 where one has no spread.

    Example:
        >>> correlation(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]))
        array([1.])
    """
    size = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return (one * other).sum(axis=0) / np.where(size > 0, size, np.inf)


def median_of(tally: Tally, groups: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Medians with intervals.

    Args:
        tally: values by group.
        groups: how many groups there are.
        level: 0–1.

    Returns:
        median, low and high per group; bounds are NaN below six values, which are too few for a median's interval.

    Method:
        Order statistics at the ranks that a binomial count leaves, normal limits (Conover 1999, Practical Nonparametric
        Statistics, 3.2).

    Example:
        >>> found = median_of(Tally.of(np.zeros(100, int), np.arange(100.0)), 1)
        >>> [round(float(end[0]), 1) for end in found]
        [49.5, 39.8, 59.2]
    """
    from scipy.special import ndtri

    n = tally.n(groups=groups)
    reach = -ndtri(outside(level) / 2) / 2 / np.sqrt(np.maximum(n, 1))
    ends = (tally.quantile(np.clip(0.5 + side * reach, 0, 1), groups=groups) for side in (-1, 1))
    return tally.quantile(0.5, groups=groups), *(np.where(n > 5, end, np.nan) for end in ends)


def apart(one: Estimate, other: Estimate, shared=0.0, level: float = 0.95) -> Apart:
    """The differences of estimates, first minus second, from the intervals of each.

    Args:
        one: level → value, low and high, each an array.
        other: the same of what is compared with.
        shared: correlation of the two estimates, −1 to 1; 0 for separate customers.
        level: of the interval of the difference, 0–1.

    Returns:
        Difference, its interval, and p: the largest 1 − level whose interval still holds 0; NaN where a bound is.

    Method:
        Variance estimates recovered from the limits (Zou 2007, doi:10.1037/1082-989X.12.4.399); with Wilson's limits
        and `shared` 0 it is Newcombe's method 10.

    Example:
        >>> from toolkit.stats.shares import wilson
        >>> found = apart(lambda level: (0.8, *wilson(56, 70, level)), lambda level: (0.6, *wilson(48, 80, level)))
        >>> [round(float(end), 4) for end in (found.low, found.high, found.p)]
        [0.0524, 0.3339, 0.0081]
    """
    from scipy.special import ndtr, ndtri

    diff, low, high = _difference(one(level), other(level), shared)
    z = np.sort(np.append(FURTHEST * np.linspace(0.01, 1, 30) ** 1.5, -ndtri(outside(level) / 2)))
    ends = [_difference(one(at), other(at), shared) for at in 1 - 2 * ndtr(-z)]
    left = np.array([np.where(diff > 0, low, -high) for _, low, high in ends])  # how far 0 lies outside, falling in z
    after = np.where((left <= 0).any(axis=0), (left <= 0).argmax(axis=0), len(z) - 1)
    before = np.maximum(after - 1, 0)
    at_after, at_before = (np.take_along_axis(left, i[None], 0)[0] for i in (after, before))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip(at_before / np.where(after > before, at_before - at_after, np.inf), 0, 1)
    p = 2 * ndtr(-(z[before] + share * (z[after] - z[before])))
    return Apart(diff, low, high, np.where(np.isnan(low + high), np.nan, np.where(diff == 0, 1.0, p)))


def _difference(one: tuple, other: tuple, shared) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (a, a_low, a_high), (b, b_low, b_high) = ((np.asarray(end, float) for end in ends) for ends in (one, other))
    below, above = (
        np.sqrt(np.maximum(x**2 - 2 * shared * x * y + y**2, 0))
        for x, y in ((a - a_low, b_high - b), (a_high - a, b - b_low))
    )
    return a - b, a - b - below, a - b + above
