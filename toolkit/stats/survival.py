"""How long until something happens, when not everybody was watched until it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toolkit.errors import UsageError
from toolkit.stats.checks import outside

EQUAL = 1e-12  # a product of shares may miss the share it equals by a rounding


class Time(NamedTuple):
    """A time with its interval; what the data do not reach is NaN, and a `high` they do not bound is infinite.

    Example:
        >>> Time(23.0, 13.0, float("inf")).low
        13.0
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Survival:
    """The share still waiting over time, by Kaplan and Meier; made by `kaplan_meier`.

    Attributes:
        time: the distinct times, ascending.
        events: to how many it happened at each.
        at_risk: how many were watched and still waiting just before each.

    Example:
        >>> kaplan_meier([1, 2, 3], [1, 0, 1], [0, 1, 0]).surviving.round(3).tolist()
        [0.667, 0.667, 0.0]
    """

    time: np.ndarray
    events: np.ndarray
    at_risk: np.ndarray

    @property
    def n(self) -> int:
        """How many were watched."""
        return int(self.at_risk[0]) if len(self.at_risk) else 0

    @property
    def note(self) -> str:
        """Why nothing can be said; empty when something can."""
        if not self.n:
            return "Nobody was watched, so nothing is known of the time it takes."
        return "" if self.events.any() else f"It happened to none of the {self.n:,} watched, so no time is known."

    @property
    def surviving(self) -> np.ndarray:
        """Share still waiting after each time."""
        return np.cumprod(1 - self.events / self.at_risk)

    def band(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Pointwise limits of the share still waiting, on the log-log scale.

        Args:
            level: 0–1.

        Returns:
            Lower and upper limits at each time; NaN before the first event, and where nobody is left.

        Method:
            Greenwood's variance; Kalbfleisch and Prentice 2002, The Statistical Analysis of Failure Time Data, 1.4.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(self.surviving)
            wide = np.exp(_z(level) * np.sqrt(self._greenwood()) / -log)
            return np.exp(log * wide), np.exp(log / wide)

    def at(self, moments, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The share still waiting after given times, its limits, and how many were at risk there.

        Args:
            moments: times, ≥ 0.
            level: 0–1.

        Returns:
            share, low, high, number at risk; the share is NaN beyond the last time anyone was watched.
        """
        moments = np.asarray(moments, float)
        found = np.searchsorted(self.time, moments, side="right")
        share, low, high = (
            np.append(start, values)[found]
            for start, values in zip((1.0, np.nan, np.nan), (self.surviving, *self.band(level)), strict=True)
        )
        beyond = (moments > self.time.max(initial=-1)) & (share > 0)
        left = np.append(self.at_risk, 0)[np.searchsorted(self.time, moments)]
        return np.where(beyond, np.nan, share), np.where(beyond, np.nan, low), np.where(beyond, np.nan, high), left

    def quantile(self, q: float, level: float = 0.95) -> Time:
        """The time by which it has happened to a share q of all.

        Args:
            q: share, 0–1.
            level: 0–1.

        Returns:
            The first time at which at most 1 − q still wait; NaN when that is not reached. Its interval holds the times
            at which the band holds 1 − q.

        Method:
            Brookmeyer and Crowley 1982 (doi:10.2307/2530286), on the log-log scale.
        """
        return self._crossing(*(curve <= 1 - q + EQUAL for curve in (self.surviving, *self.band(level))))

    def quantile_among(self, q: float, level: float = 0.95) -> Time:
        """The time by which it has happened to a share q of those to whom it happens within the time watched.

        Args:
            q: share, 0–1.
            level: 0–1.

        Returns:
            The first time at which the share it happened to is q of that share at the end; NaN without events.

        Method:
            F(t) / F(end), its variance by the delta method from Greenwood's, its limits on the logit scale.
        """
        waiting, spread, end = self.surviving, self._greenwood(), len(self.time) - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (1 - waiting) / (1 - waiting[end:])
            both = 2 * share * waiting * waiting[end:] * spread
            last = share**2 * np.nan_to_num(waiting[end:] ** 2 * spread[end:])
            error = np.sqrt(np.maximum(waiting**2 * spread + last - both, 0)) / (1 - waiting[end:])
            odds, wide = share / (1 - share), np.exp(_z(level) * error / (share * (1 - share)))
            limits = [np.where(share < 1, some / (1 + some), share) for some in (odds * wide, odds / wide)]
        return self._crossing(*(curve >= q - EQUAL for curve in (share, *limits)))

    def _greenwood(self) -> np.ndarray:
        """Variance of the logarithm of the share still waiting; infinite where nobody is left."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.cumsum(self.events / (self.at_risk * (self.at_risk - self.events)))

    def _crossing(self, *passed: np.ndarray) -> Time:
        """The first times at which the estimate and its two limits have passed, if they ever do."""
        never = (np.nan, np.nan, np.inf if self.events.any() else np.nan)
        return Time(*(float(self.time[p.argmax()]) if p.any() else n for p, n in zip(passed, never, strict=True)))


def kaplan_meier(time, events, censored) -> Survival:
    """Kaplan and Meier's estimate from counts: who waited how long, and until it happened or until nobody watched.

    Args:
        time: times, finite and ≥ 0, in any order; a time may stand several times.
        events: to how many it happened at each.
        censored: how many were watched up to each and no longer; of one time, events come first.

    Returns:
        The curve: `.surviving`, `.band(level)`, `.at(moments)`, `.quantile(q)`, `.quantile_among(q)`.

    Raises:
        UsageError: a time or a count is negative or not finite.

    Method:
        Kaplan and Meier 1958 (doi:10.1080/01621459.1958.10501452). statsmodels' SurvfuncRight gives the same from
        rows; from counts (`freq_weights`) it leaves a factor out of its standard error, so it is not used.

    Example:
        >>> curve = kaplan_meier([6, 7, 9, 10], [3, 1, 0, 1], [1, 0, 1, 14])
        >>> curve.surviving.round(4).tolist()
        [0.8571, 0.8067, 0.8067, 0.7529]
    """
    time, events, censored = (np.asarray(values, float) for values in (time, events, censored))
    wrong = ~(np.isfinite(time) & (time >= 0) & (events >= 0) & (censored >= 0))
    if wrong.any():
        raise UsageError(
            f"{wrong.sum()} of {wrong.size} times or counts are negative or not finite (the first is number "
            f"{int(wrong.argmax()) + 1}); give times of 0 or more with how many they hold for."
        )
    held = events + censored > 0
    time, place = np.unique(time[held], return_inverse=True)
    events, left = (np.bincount(place, some[held], len(time)) for some in (events, events + censored))
    return Survival(time, events, left[::-1].cumsum()[::-1])


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - outside(level) / 2))
