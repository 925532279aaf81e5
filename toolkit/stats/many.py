"""Many tests at once: p-values that stay honest together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.errors import UsageError, one_of


class Adjusted(NamedTuple):
    """Adjusted p-values, and how many tests they were adjusted for.

    Example:
        >>> adjust([0.01, 0.04]).family
        2
    """

    p: np.ndarray
    family: int


def adjust(p_values, method: str = "holm") -> Adjusted:
    """Adjust p-values for being many.

    Args:
        p_values: array-like of any shape, 0–1; NaN (a test that was impossible) stays NaN and does not count.
        method: "holm" (no false alarm among all tests; for verdicts) or "bh" (few among those reported; for
            exploring).

    Returns:
        `p`, adjusted, in the shape given; `family`, the number of tests that counted.

    Raises:
        UsageError: when a p-value lies outside 0–1, or the method is unknown.

    Method:
        Holm 1979 (Scandinavian Journal of Statistics 6:65–70); Benjamini and Hochberg 1995
        (doi:10.1111/j.2517-6161.1995.tb02031.x), by scipy.

    Example:
        >>> adjust([0.01, float("nan"), 0.04, 0.03])
        Adjusted(p=array([0.03,  nan, 0.06, 0.06]), family=3)
    """
    if method not in METHODS:
        raise one_of("method", method, METHODS)
    p = np.array(p_values, float)
    if np.any((p < 0) | (p > 1)):
        raise UsageError(f"p_values run from {np.nanmin(p):g} to {np.nanmax(p):g}; give probabilities, 0 to 1.")
    known = ~np.isnan(p)
    if known.any():
        p[known] = METHODS[method](p[known])
    return Adjusted(p, int(known.sum()))


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, kind="stable")  # written here because statsmodels collects garbage at every call: 0.1 s
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def _bh(p: np.ndarray) -> np.ndarray:
    from scipy.stats import false_discovery_control

    return false_discovery_control(p)


METHODS = {"holm": _holm, "bh": _bh}
