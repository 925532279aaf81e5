"""The score statistic of two shares: one test, whose p, difference and ratio intervals cannot disagree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolkit.stats.checks import counts_within

HALVINGS = 60  # of a bracket, to the last bit
WIDEST = 40.0  # natural logarithm of a ratio beyond any
Z95 = 1.959963984540054  # of a 95 % interval


def score_z(control_count, control_n, treatment_count, treatment_n, diff=0.0) -> np.ndarray:
    """How many standard errors two shares lie from a stated difference, treatment minus control.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        diff: the difference to test against, −1 to 1.

    Returns:
        Positive where the shares differ by more; NaN where a group is empty or unknown.

    Method:
        Miettinen and Nurminen 1985 (doi:10.1002/sim.4780040211): the standard error is that at the stated difference.
        With no unit that did, or none that did not, nothing differs and the statistic of no difference is 0.

    Example:
        >>> score_z([48, 0], [80, 20], [56, 0], [70, 10]).round(4)
        array([2.6413, 0.    ])
    """
    return _of_difference(*_arms(control_count, control_n, treatment_count, treatment_n), np.asarray(diff, float))


def score_ratio_z(control_count, control_n, treatment_count, treatment_n, ratio=1.0) -> np.ndarray:
    """How many standard errors two shares lie from a stated ratio, treatment over control.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        ratio: the ratio to test against, > 0.

    Returns:
        Positive where the ratio is larger; NaN where a group is empty or unknown.

    Method:
        Koopman 1984 (doi:10.2307/2531405) with the variance of Miettinen and Nurminen 1985; at a ratio of 1 it is the
        test of no difference.

    Example:
        >>> score_ratio_z([48], [80], [56], [70], ratio=0.99).round(4)
        array([2.7293])
    """
    return _of_ratio(*_arms(control_count, control_n, treatment_count, treatment_n), np.asarray(ratio, float))


def score_p(control_count, control_n, treatment_count, treatment_n) -> np.ndarray:
    """p-values of no difference between two shares, two-sided; NaN where a group is empty.

    Method:
        `score_z` of no difference, normal.

    Example:
        >>> score_p([48, 0], [80, 20], [56, 0], [70, 10]).round(4)
        array([0.0083, 1.    ])
    """
    from scipy.special import ndtr

    return 2 * ndtr(-np.abs(score_z(control_count, control_n, treatment_count, treatment_n)))


def score_interval(control_count, control_n, treatment_count, treatment_n, z=Z95) -> tuple[np.ndarray, np.ndarray]:
    """Score intervals of many differences at once, treatment minus control.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        z: the critical value, > 0, array-like: that of a level, or of a sequential test.

    Returns:
        Lower and upper limits; NaN where a group is empty or unknown.

    Method:
        The differences from which `score_z` is no further than z, found by halving. No difference is tried first, so
        p and interval agree to the last bit.

    Example:
        >>> low, high = score_interval([48, 0], [80, 20], [56, 0], [70, 10])
        >>> low.round(4), high.round(4)
        (array([ 0.0528, -0.1658]), array([0.3382, 0.2844]))
    """
    arms = _arms(control_count, control_n, treatment_count, treatment_n)
    estimate = arms[2] / arms[3] - arms[0] / arms[1]
    return tuple(_edge(lambda d: _of_difference(*arms, d), estimate, end, z) for end in (-1.0, 1.0))


def score_ratio(control_count, control_n, treatment_count, treatment_n, z=Z95) -> tuple[np.ndarray, np.ndarray]:
    """Score intervals of many ratios at once, treatment over control.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        z: the critical value, > 0, array-like.

    Returns:
        Lower and upper limits; the upper one is infinite where nobody of control did, NaN where a group is empty.

    Method:
        The ratios from which `score_ratio_z` is no further than z; at a ratio of 1 it is the test of no difference, so
        both intervals leave out their null together.

    Example:
        >>> low, high = score_ratio(48, 80, 56, 70)
        >>> float(low.round(4)), float(high.round(4))
        (1.079, 1.6721)
    """
    arms = _arms(control_count, control_n, treatment_count, treatment_n)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log((arms[2] / arms[3]) / (arms[0] / arms[1]))
    start = np.clip(np.nan_to_num(estimate, nan=0.0), -WIDEST, WIDEST)
    low, high = (_edge(lambda t: _of_ratio(*arms, np.exp(t)), start, end, z) for end in (-WIDEST, WIDEST))
    low, high = np.where(low <= -WIDEST, 0.0, np.exp(low)), np.where(high >= WIDEST, np.inf, np.exp(high))
    unknown = np.isnan(sum(arms))
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _arms(control_count, control_n, treatment_count, treatment_n) -> tuple[np.ndarray, ...]:
    counts = *counts_within(control_count, control_n), *counts_within(treatment_count, treatment_n)
    unknown = np.isnan(sum(counts))
    return tuple(np.where(unknown, np.nan, count) for count in counts)


def _edge(statistic: Callable, inside: np.ndarray, end: float, z) -> np.ndarray:
    """Where |statistic| passes z between the estimate and an end; the end itself where it does not."""
    beyond = np.full(inside.shape, end)
    never = ~(np.abs(statistic(beyond)) > z)
    middle = np.clip(0.0, np.minimum(inside, end), np.maximum(inside, end))
    for _ in range(HALVINGS):
        kept = ~(np.abs(statistic(middle)) > z)
        inside, beyond = np.where(kept, middle, inside), np.where(kept, beyond, middle)
        middle = (inside + beyond) / 2
    return np.where(never & ~np.isnan(inside), end, middle)


def _of_difference(x_c, n_c, x_t, n_t, diff) -> np.ndarray:
    """Both shares at their likeliest that differ by diff: the middle root of a cubic."""
    n, x = n_c + n_t, x_c + x_t
    a = (n_t + 2 * n_c) * diff - n - x
    b = (n_c * diff - n - 2 * x_c) * diff + x
    c = x_c * diff * (1 - diff)
    third = a / (3 * n)
    p = np.sqrt(np.maximum(third**2 - b / (3 * n), 0))
    q = third**3 - a * b / (6 * n**2) + c / (2 * n)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(q < 0, -p, p)
        control = 2 * p * np.cos((np.pi + np.arccos(np.clip(q / p**3, -1, 1))) / 3) - third
        control = np.where(p == 0, -third, control)
        for _ in range(4):  # the cosine loses digits where a share is tiny
            step = (((n * control + a) * control + b) * control + c) / ((3 * n * control + 2 * a) * control + b)
            control = control - np.where(np.isfinite(step), step, 0)
    control = np.clip(control, np.maximum(0, -diff), np.minimum(1, 1 - diff))
    return _statistic(x_t / n_t - x_c / n_c - diff, control, control + diff, n_c, n_t)


def _of_ratio(x_c, n_c, x_t, n_t, ratio) -> np.ndarray:
    """Both shares at their likeliest whose ratio is ratio: the smaller root of a quadratic."""
    a, b, c = (n_c + n_t) * ratio, n_t * ratio + x_t + n_c + x_c * ratio, x_c + x_t
    control = 2 * c / (b + np.sqrt(np.maximum(b**2 - 4 * a * c, 0)))
    control = np.clip(control, 0, np.minimum(1, 1 / ratio))
    return _statistic(x_t / n_t - ratio * x_c / n_c, control, ratio * control, n_c, n_t, ratio)


def _statistic(difference, control, treatment, n_c, n_t, ratio=1.0) -> np.ndarray:
    n = n_c + n_t
    variance = (treatment * (1 - treatment) / n_t + ratio**2 * control * (1 - control) / n_c) * n / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = difference / np.sqrt(np.maximum(variance, 0))
    return np.where(np.abs(difference) < 1e-15, 0.0, found)
