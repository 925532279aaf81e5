"""Means of two groups and the difference between them, absolute and relative."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from toolkit.errors import UsageError
from toolkit.results import Definition, Interval, Result, show_interval, show_number
from toolkit.stats.checks import outside, whole

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
class MeanLift(Result):
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

    @property
    def diff(self) -> float:
        """Treatment minus control."""
        return self.treatment.mean - self.control.mean

    @property
    def rel_diff(self) -> float:
        """The difference as a share of the size of control's mean; NaN where it has no 95 % interval."""
        return math.nan if math.isnan(self.rel_interval().low) else self.diff / abs(self.control.mean)

    @property
    def df(self) -> float:
        """Welch's degrees of freedom; NaN when there is no spread."""
        control, treatment = self.control.error, self.treatment.error
        if not control + treatment > 0:
            return math.nan
        part = control / (control + treatment)
        return 1 / (part**2 / (self.control.n - 1) + (1 - part) ** 2 / (self.treatment.n - 1))

    @property
    def p(self) -> float:
        """Two-sided p of Welch's test; NaN when there is no spread to judge by."""
        from scipy.stats import t

        return float(2 * t.sf(abs(self.diff) / self._error(), self.df)) if self.df > 0 else math.nan

    def interval(self, level: float = 0.95) -> Interval:
        """Welch's interval of the difference; NaN when there is no spread to judge by."""
        margin = self._times(level) * self._error()
        return Interval(self.diff - margin, self.diff + margin, level)

    def rel_interval(self, level: float = 0.95) -> Interval:
        """Fieller's interval of the relative difference; NaN when control's mean may be zero at this level."""
        control, times = self.control.mean, self._times(level)
        sure = control**2 - times**2 * self.control.error
        if not sure > 0:
            return Interval(math.nan, math.nan, level)
        middle = control * self.diff + times**2 * self.control.error
        root = times * math.sqrt(self.treatment.error * sure + self.control.error * self.treatment.mean**2)
        low, high = (middle - root) / sure, (middle + root) / sure
        return Interval(low, high, level) if control > 0 else Interval(-high, -low, level)

    def rows(self) -> list[dict]:
        """One row: n and mean of both, mean_diff and mean_rel with their intervals, p."""
        diff, rel = self.interval(), self.rel_interval()
        return [
            {
                "n_control": self.control.n,
                "n_treatment": self.treatment.n,
                "control": self.control.mean,
                "treatment": self.treatment.mean,
                "mean_diff": self.diff,
                "mean_diff_low": diff.low,
                "mean_diff_high": diff.high,
                "mean_rel": self.rel_diff,
                "mean_rel_low": rel.low,
                "mean_rel_high": rel.high,
                "p": self.p,
            }
        ]

    def say(self) -> list[str]:
        """The difference with its interval and, where it is known, the relative one; or why it is unknown."""
        if math.isnan(self.p):
            return [self.note]
        show = partial(show_number, locale=self.definition.locale)
        between = partial(show_interval, locale=self.definition.locale)
        said = [
            f"{self.definition.measure}: {show(self.treatment.mean)} against {show(self.control.mean)} in control, "
            f"a difference of {show(self.diff, 'diff')} (95 % interval "
            f"{between(self.diff, self.interval(), 'diff')}; p {'' if self.p < 0.001 else '= '}{show(self.p, 'p')})."
        ]
        if math.isnan(self.rel_diff):
            return said
        rel = between(self.rel_diff, self.rel_interval(), "rel")
        return [*said, f"Relative to control this is {show(self.rel_diff, 'rel')} (95 % interval {rel})."]

    def _error(self) -> float:
        return math.sqrt(self.control.error + self.treatment.error)

    def _times(self, level: float) -> float:
        from scipy.stats import t

        return float(t.isf(outside(level) / 2, self.df))


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
    if math.isnan(lift.p):
        return ["All values within each group are the same, so there is no spread to judge the difference by."]
    if math.isnan(lift.rel_interval().low):
        return ["The mean of control cannot be told from zero, so no relative difference is reported."]
    return []
