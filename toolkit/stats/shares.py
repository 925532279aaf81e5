"""Shares of a whole, and the difference between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from toolkit.results import Definition, Interval, Result, show_interval, show_number
from toolkit.stats.checks import counts_within, outside, whole
from toolkit.stats.effects import FEW, ShareEffect
from toolkit.stats.lifts import Lift

WILSON = "Wilson's score interval (1927)"
SCORE = (
    "treatment minus control; score interval (Miettinen and Nurminen 1985), the relative one by the same statistic; "
    "p < 0.05 exactly when either 95 % interval leaves out 0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Result):
    """A share that keeps its counts and is asked for its interval; made by `share_of`.

    Args:
        count: units that did.
        n: units in all.
        definition: the card.

    Example:
        >>> print(share_of(81, 263))
        Share
        count    n               rate
        -----------------------------
           81  263  30.8 %  25.5–36.6
    """

    count: int
    n: int
    definition: Definition

    columns: ClassVar = {"n_count": "count"}

    @property
    def rate(self) -> float:
        """0–1; NaN when n is 0."""
        return self.count / self.n if self.n else math.nan

    def interval(self, level: float = 0.95) -> Interval:
        """The Wilson interval; NaN when n is 0."""
        low, high = wilson(self.count, self.n, level)
        return Interval(float(low), float(high), level)

    def rows(self) -> list[dict]:
        """One row: n_count, n, rate, rate_low, rate_high."""
        low, high, _ = self.interval()
        return [{"n_count": self.count, "n": self.n, "rate": self.rate, "rate_low": low, "rate_high": high}]

    def say(self) -> list[str]:
        """The share with its counts, or why it is unknown."""
        if not self.n:
            return [self.note]
        locale = self.definition.locale
        count, n = (show_number(value, "count", locale) for value in (self.count, self.n))
        rate = show_number(self.rate, "rate", locale)
        interval = show_interval(self.rate, self.interval(), "rate", locale)
        return [f"{self.definition.measure}: {rate} ({count} of {n}; 95 % interval {interval})."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLift(Lift):
    """Two shares and their difference, treatment minus control; made by `compare_shares`.

    Args:
        control: the share to compare with.
        treatment: the share of interest.
        definition: the card.

    Example:
        >>> lift = compare_shares(120, 2400, 156, 2410)
        >>> lift.interval().low > 0, lift.p < 0.05
        (True, True)
    """

    control: Share
    treatment: Share
    definition: Definition

    columns: ClassVar = {
        "n_control": "n in control",
        "n_treatment": "n in treatment",
        "control_rate": "control",
        "treatment_rate": "treatment",
        "rate_diff": "difference",
        "rate_rel": "relative",
    }
    kinds: ClassVar = ("rate", "points")
    names: ClassVar = ("_rate", "rate")

    @property
    def effect(self) -> ShareEffect:
        """The score statistic of the two shares."""
        return ShareEffect(self.control.count, self.control.n, self.treatment.count, self.treatment.n)


def share_of(count: int, n: int, *, definition: Definition | None = None) -> Share:
    """The share that `count` is of `n`.

    Args:
        count: units that did, 0 to n.
        n: units in all; with 0 the share is NaN and the note says why.
        definition: what is counted; a plain card when left out.

    Returns:
        The share: `.rate`, `.interval(level)`.

    Raises:
        UsageError: when a count is not a whole number from 0 to n.

    Method:
        Wilson's score interval (Wilson 1927, doi:10.1080/01621459.1927.10502953), by statsmodels.

    Example:
        >>> share = share_of(15, 148)
        >>> round(share.rate, 4), [round(bound, 4) for bound in share.interval()[:2]]
        (0.1014, [0.0624, 0.1605])
    """
    counts_within(count, n)
    count, n = whole("count", count), whole("n", n)
    card = definition or Definition(measure="Share")
    notes = () if n else ("Nobody was counted (n is 0), so the share is unknown.",)
    return Share(count=count, n=n, definition=replace(card, rules=card.rules or WILSON, notes=card.notes + notes))


def compare_shares(
    control_count: int, control_n: int, treatment_count: int, treatment_n: int, *, definition: Definition | None = None
) -> ShareLift:
    """The difference between two shares of separate groups, treatment minus control.

    Args:
        control_count: units of control that did.
        control_n: units of control; with 0 the difference is NaN and the note says why.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        definition: what is counted; a plain card when left out.

    Returns:
        The lift: `.diff`, `.interval(level)`, `.rel_diff`, `.rel_interval(level)`, `.p`.

    Raises:
        UsageError: when a count is not a whole number from 0 to its n.

    Method:
        Miettinen and Nurminen 1985 (doi:10.1002/sim.4780040211): the values that the score test does not reject, for
        the difference and for the ratio, so that p < 0.05 exactly when either 95 % interval leaves out no difference.

    Example:
        >>> lift = compare_shares(48, 80, 56, 70)
        >>> round(lift.diff, 4), [round(bound, 4) for bound in lift.interval()[:2]], round(lift.p, 4)
        (0.2, [0.0528, 0.3382], 0.0083)
    """
    control, treatment = share_of(control_count, control_n), share_of(treatment_count, treatment_n)
    card = definition or Definition(measure="Share")
    arms = {"control": control, "treatment": treatment}
    notes = [
        f"Nobody was counted in {name} (n is 0), so the difference is unknown." for name in arms if not arms[name].n
    ]
    lift = ShareLift(control=control, treatment=treatment, definition=card)
    if not notes:
        few = f"Few in a group: fewer than {FEW} expected on one side, so the interval is rough."
        notes = [few] * bool(lift.effect.few) + [str(lift.effect.reason)] * math.isnan(lift.rel_diff)
    return replace(lift, definition=replace(card, rules=card.rules or SCORE, notes=(*card.notes, *notes)))


def wilson(count, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score intervals of many shares at once.

    Args:
        count: units that did, array-like; NaN is unknown.
        n: units in all, array-like.
        level: 0–1.

    Returns:
        Lower and upper limits; NaN where n is 0 or unknown.

    Example:
        >>> low, high = wilson([0, 81, 0], [20, 263, 0])
        >>> low.round(4), high.round(4)
        (array([0.    , 0.2553,    nan]), array([0.1611, 0.3662,    nan]))
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(*counts_within(count, n), alpha=outside(level), method="wilson")
    return np.asarray(low), np.asarray(high)


def newcombe(control_count, control_n, treatment_count, treatment_n, level: float = 0.95):
    """Newcombe's intervals of many differences at once, treatment minus control.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.
        level: 0–1.

    Returns:
        Lower and upper limits; NaN where a group is empty or unknown.

    Example:
        >>> low, high = newcombe([48, 0], [80, 20], [56, 0], [70, 10])
        >>> low.round(4), high.round(4)
        (array([ 0.0524, -0.1611]), array([0.3339, 0.2775]))
    """
    counts = *counts_within(control_count, control_n), *counts_within(treatment_count, treatment_n)
    return _newcombe(*counts, outside(level))


def newcombe_p(control_count, control_n, treatment_count, treatment_n) -> np.ndarray:
    """The p-values that belong to Newcombe's intervals: the largest 1 − level whose interval still holds 0.

    Args:
        control_count: units of control that did, array-like; NaN is unknown.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.

    Returns:
        One p per comparison, 0–1; NaN where a group is empty or unknown.

    Example:
        >>> newcombe_p([48, 0], [80, 20], [56, 0], [70, 10]).round(4)
        array([0.0081, 1.    ])
    """
    from scipy.special import ndtr

    counts = *counts_within(control_count, control_n), *counts_within(treatment_count, treatment_n)
    unknown = np.isnan(sum(counts))
    least, most = np.zeros(unknown.shape), np.full(unknown.shape, 37.0)  # 37: beyond it ndtr is 0
    for _ in range(60):  # halves the bracket to the last bit
        middle = (least + most) / 2
        low, high = _newcombe(*counts, 2 * ndtr(-middle))
        seen = (low > 0) | (high < 0)
        least, most = np.where(seen, middle, least), np.where(seen, most, middle)
    return np.where(unknown, np.nan, 2 * ndtr(-most))


def _newcombe(control_count, control_n, treatment_count, treatment_n, tails) -> tuple[np.ndarray, np.ndarray]:
    from statsmodels.stats.proportion import confint_proportions_2indep

    arms = treatment_count, treatment_n, control_count, control_n
    low, high = confint_proportions_2indep(*arms, compare="diff", method="newcomb", alpha=tails)
    return np.asarray(low), np.asarray(high)
