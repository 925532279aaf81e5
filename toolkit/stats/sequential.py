"""Looking more than once: critical values for planned looks, and for looking at any time."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from toolkit.stats.checks import outside

NODES = 200  # of the recursion
FAR = 8.0  # standard errors beyond which there is no chance left
SAME = 2e-4  # fractions closer than this are one look
DENSE = 25  # looks that stand for looking at any time


def spend(fraction, level: float = 0.95) -> np.ndarray:
    """How much of 1 − level may be spent by each fraction of the planned customers.

    Args:
        fraction: customers so far over customers planned, > 0; array-like. From 1 on all is spent.
        level: 0–1.

    Method:
        Lan and DeMets 1983 (doi:10.1093/biomet/70.3.659): 4(1 − Φ(z / √t)) with z at 1 − α/4, like O'Brien and Fleming.

    Example:
        >>> spend([0.2, 0.6, 1.0, 1.3]).round(5)
        array([0.     , 0.00762, 0.05   , 0.05   ])
    """
    return 4 * ndtr(ndtri(outside(level) / 4) / np.sqrt(np.clip(fraction, None, 1)))


def obf_boundaries(fractions, level: float = 0.95) -> np.ndarray:
    """Critical values of z for planned looks, so that all of them together err no more often than one test would.

    Args:
        fractions: customers at each look over customers planned, in the order of the looks, > 0. A look without news
            keeps the value of the one before; after a look at 1 or more nothing is left to spend.
        level: 0–1.

    Returns:
        One |z| per look; inf where nothing may be spent.

    Method:
        What `spend` allows, by the recursion of Armitage, McPherson and Rowe 1969 (doi:10.2307/2343787): the standard
        error shrinks by customers, and what they add is independent of what was seen.

    Example:
        >>> obf_boundaries([0.2, 0.4, 0.6, 0.8, 1.0]).round(3).tolist()
        [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    found, walk, spent, crit = [], _Walk(), 0.0, math.inf
    for fraction in np.maximum.accumulate(np.asarray(fractions, float)):
        if fraction - walk.at > SAME:
            due, crit = float(spend(fraction, level)) - spent, math.inf
            if due > max(walk.crossing(fraction, FAR), 1e-15):
                crit, spent = brentq(lambda c, w=walk, t=fraction, due=due: w.crossing(t, c) - due, 0, FAR), spent + due
            walk = walk.to(fraction, crit)
        found.append(crit)
    return np.array(found)


def repeated_p(z: float, fractions) -> float:
    """The p of the last of several planned looks: the largest 1 − level at which |z| stays within its boundary.

    Args:
        z: estimate over its standard error, at the last look.
        fractions: as for `obf_boundaries`.

    Returns:
        0–1; below 1 − level exactly when |z| exceeds the boundary at that level.

    Example:
        >>> round(repeated_p(2.290, [0.2, 0.4, 0.6, 0.8]), 3)
        0.05
    """

    def gap(log_p: float) -> float:
        return abs(z) - min(obf_boundaries(fractions, 1 - math.exp(log_p))[-1], 99.0)

    low, high = -30.0, -1e-9
    return math.exp(brentq(gap, low, high, xtol=1e-6)) if gap(low) < 0 < gap(high) else float(gap(low) < 0)


def chance_to_cross(crits, fractions, drift: float = 0.0) -> np.ndarray:
    """The chance that |z| has exceeded its critical value by each look.

    Args:
        crits: critical value of |z| at each look.
        fractions: customers at each look over customers planned, ascending.
        drift: mean of z at fraction 1.

    Example:
        >>> chance_to_cross([2.413] * 5, [0.2, 0.4, 0.6, 0.8, 1.0])[-1].round(3)
        np.float64(0.05)
    """
    walk, crossed = _Walk(drift), []
    for crit, fraction in zip(crits, fractions, strict=True):
        crossed.append(walk.crossing(fraction, crit))
        walk = walk.to(fraction, crit)
    return np.cumsum(crossed)


@lru_cache(maxsize=64)
def inflation(looks: int, level: float = 0.95, power: float = 0.8) -> float:
    """How many more customers a test needs when it is looked at several times, by the same power.

    Args:
        looks: planned looks, the same number of customers apart; 0 = at any time.
        level: 0–1.
        power: 0–1, the chance to have seen the effect by the last look.

    Example:
        >>> round(inflation(5), 3), round(inflation(5, power=0.9), 3)
        (1.025, 1.023)
    """
    if looks == 1:
        return 1.0
    once = ndtri(1 - outside(level) / 2) + ndtri(power)
    fractions = np.arange(1, (looks or DENSE) + 1) / (looks or DENSE)
    crits = obf_boundaries(fractions, level) if looks else always_valid_crit(fractions, 1, level)
    drift = brentq(lambda drift: chance_to_cross(crits, fractions, drift)[-1] - power, 0, 3 * once)
    return float(drift / once) ** 2


def always_valid_crit(n, planned_n: float, level: float = 0.95) -> np.ndarray:
    """The critical value of |z| that holds however often, and whenever, one looks.

    Args:
        n: customers so far, all variants together, > 0; array-like.
        planned_n: customers at which it shall be sharpest; chosen before the first look.
        level: 0–1.

    Method:
        √((n + ρ)/n · ln((n + ρ)/(ρα²))), ρ from `planned_n` (Waudby-Smith and others 2024, arXiv:2103.06476,
        eq. 9; Howard and others 2021, doi:10.1214/20-AOS1991, eq. 14).

    Example:
        >>> always_valid_crit([1_000, 5_000, 10_000, 100_000], 10_000).round(2).tolist()
        [3.86, 3.08, 3.04, 3.24]
    """
    n, rho = np.asarray(n, float), _rho(planned_n, level)
    return np.sqrt((n + rho) / n * np.log((n + rho) / (rho * outside(level) ** 2)))


def always_valid_p(z, n, planned_n: float, level: float = 0.95) -> np.ndarray:
    """p-values that hold however often one looks: the smallest so far, below 1 − level once |z| exceeded its value.

    Args:
        z: estimate over its standard error at each look, in the order of the looks along the last axis.
        n: customers at each look.
        planned_n: as for `always_valid_crit`.
        level: 0–1.

    Example:
        >>> always_valid_p([1.0, 3.2, 2.0], [5_000, 10_000, 12_000], 10_000).round(3).tolist()
        [1.0, 0.032, 0.032]
    """
    n, rho = np.asarray(n, float), _rho(planned_n, level)
    p = np.sqrt((n + rho) / rho) * np.exp(-n * np.square(z) / (2 * (n + rho)))
    return np.minimum.accumulate(np.minimum(p, 1), axis=-1)


def _rho(planned_n: float, level: float) -> float:
    log = -2 * math.log(outside(level))
    return planned_n / (log + math.log1p(log))


class _Walk(NamedTuple):
    """Where a sum of independent increments may be that has not crossed yet."""

    drift: float = 0.0
    at: float = 0.0
    places: np.ndarray = np.zeros(1)
    chances: np.ndarray = np.ones(1)

    def crossing(self, fraction: float, crit: float) -> float:
        """The chance to lie beyond the critical value at the next look."""
        step, edge = fraction - self.at, crit * math.sqrt(fraction)
        mean, width = self.places + self.drift * step, math.sqrt(step)
        return float(self.chances @ (ndtr((mean - edge) / width) + ndtr((-mean - edge) / width)))

    def to(self, fraction: float, crit: float) -> _Walk:
        """What is left within the critical value at the next look."""
        nodes, weights = _gauss()
        step = fraction - self.at
        edge = min(crit * math.sqrt(fraction), FAR * math.sqrt(fraction) + abs(self.drift) * fraction)
        apart = edge * nodes[:, None] - self.places - self.drift * step
        density = np.exp(-(apart**2) / (2 * step)) @ self.chances / math.sqrt(2 * math.pi * step)
        return _Walk(self.drift, fraction, edge * nodes, edge * weights * density)


@lru_cache(maxsize=1)
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(NODES)
