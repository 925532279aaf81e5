"""Means of two groups and the difference between them, absolute and relative."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from toolkit.errors import UsageError
from toolkit.results import Definition
from toolkit.stats.checks import whole
from toolkit.stats.effects import Effect
from toolkit.stats.lifts import Lift

WELCH = "treatment minus control; Welch's t (unequal variances); relative difference by Fieller's interval (1954)"


class Moments(NamedTuple):
    """What a comparison of means needs to know of a group.

    Args:
        n: units.
        mean: their mean.
        sd: their standard deviation, divided by n − 1.

    Example:
        >>> Moments(n=10, mean=0.75, sd=1.789010)
        Moments(n=10, mean=0.75, sd=1.78901)
    """

    n: int
    mean: float
    sd: float

    @property
    def error(self) -> float:
        """The variance of the mean; NaN below two units."""
        return self.sd * self.sd / self.n if self.n > 1 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLift(Lift):
    """Two means and their difference, treatment minus control; made by `compare_means`.

    Args:
        control: the group to compare with.
        treatment: the group of interest.
        definition: the card.

    Example:
        >>> lift = compare_means(Moments(400, 10.0, 3.0), Moments(410, 10.9, 3.1))
        >>> print(lift.say()[0])
        Mean: 10.9 against 10 in control, a difference of +0.9 (95 % interval 0.4793–1.3207; p < 0.001).
    """

    control: Moments
    treatment: Moments
    definition: Definition

    columns: ClassVar = {
        "n_control": "n in control",
        "n_treatment": "n in treatment",
        "mean_diff": "difference",
        "mean_rel": "relative",
    }
    kinds: ClassVar = ("number", "diff")
    names: ClassVar = ("", "mean")

    @property
    def effect(self) -> Effect:
        """Welch's test of the two means."""
        c, t = self.control, self.treatment
        return Effect(c.mean, t.mean, c.n, t.n, c.error, t.error, c.n - 1, t.n - 1)

    @property
    def df(self) -> float:
        """Welch's degrees of freedom; NaN when there is no spread."""
        return float(self.effect.df)


def compare_means(control, treatment, *, definition: Definition | None = None) -> MeanLift:
    """The difference between the means of two separate groups, treatment minus control.

    Args:
        control: the values, one per unit (array-like), or their Moments.
        treatment: the same of the other group.
        definition: what is measured; a plain card when left out.

    Returns:
        The lift: `.diff`, `.interval(level)`, `.rel_diff`, `.rel_interval(level)`, `.p`.

    Raises:
        UsageError: when a value is missing or not finite.

    Method:
        Welch 1947 (doi:10.1093/biomet/34.1-2.28) for the difference; Fieller 1954
        (doi:10.1111/j.2517-6161.1954.tb00159.x) for the relative one, with the same t, so that p < 0.05 exactly
        when either 95 % interval leaves out 0.

    Example:
        >>> lift = compare_means([1.1, 2.3, 1.9, 2.2], [2.4, 3.1, 2.9, 3.3])
        >>> round(lift.diff, 3), [round(bound, 2) for bound in lift.interval()[:2]], round(lift.p, 3)
        (1.05, [0.21, 1.89], 0.023)
    """
    control, treatment = _moments("control", control), _moments("treatment", treatment)
    card = definition or Definition(measure="Mean")
    lift = MeanLift(control=control, treatment=treatment, definition=replace(card, rules=card.rules or WELCH))
    return replace(lift, definition=replace(lift.definition, notes=(*card.notes, *_guards(lift))))


def _moments(what: str, group) -> Moments:
    if isinstance(group, Moments):
        if not (group.n < 2 or (math.isfinite(group.mean) and 0 <= group.sd < math.inf)):
            raise UsageError(f"{what} is {group}; give a finite mean and a standard deviation of 0 or more.")
        return Moments(whole(f"n of {what}", group.n), float(group.mean), float(group.sd))
    values = np.asarray(group, float).ravel()
    if wrong := int(np.sum(~np.isfinite(values))):
        raise UsageError(
            f"{what} has {wrong} of {values.size} values that are missing or not finite; leave those units out, or "
            "give them the value they stand for, such as 0 for no purchase."
        )
    mean = float(values.mean()) if values.size else math.nan
    return Moments(values.size, mean, float(values.std(ddof=1)) if values.size > 1 else math.nan)


def _guards(lift: MeanLift) -> list[str]:
    groups = {"control": lift.control, "treatment": lift.treatment}
    if small := [f"{name} has {group.n}" for name, group in groups.items() if group.n < 2]:
        return [f"A mean needs two values for its spread, but {' and '.join(small)}, so nothing can be compared."]
    return [reason] if (reason := str(lift.effect.reason)) else []
