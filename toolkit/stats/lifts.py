"""What a comparison of two groups shows, whether of shares or of means."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import partial
from typing import ClassVar

from toolkit.results import Interval, Result, show_interval, show_number
from toolkit.stats.effects import Effect, ShareEffect


class Lift(Result):
    """Two groups and their difference, treatment minus control; `effect` answers what is asked."""

    __slots__ = ()
    kinds: ClassVar[tuple[str, str]]  # how a value and a difference are shown
    names: ClassVar[tuple[str, str]]  # how the key of a value ends, and that of a difference begins

    @property
    @abstractmethod
    def effect(self) -> Effect | ShareEffect:
        """The statistic behind every answer."""

    @property
    def diff(self) -> float:
        """Treatment minus control; NaN when it is unknown."""
        return float(self.effect.diff)

    @property
    def rel_diff(self) -> float:
        """The difference as a share of the size of control; NaN where control cannot be told from zero."""
        return float(self.effect.rel)

    @property
    def p(self) -> float:
        """Two-sided p of no difference; NaN when nothing can be compared."""
        return float(self.effect.p)

    def interval(self, level: float = 0.95) -> Interval:
        """The interval of the difference; NaN when nothing can be compared."""
        return Interval(*map(float, self.effect.interval(level)), level)

    def rel_interval(self, level: float = 0.95) -> Interval:
        """The interval of the relative difference; it leaves out 0 exactly when that of the difference does."""
        return Interval(*map(float, self.effect.rel_interval(level)), level)

    def rows(self) -> list[dict]:
        """One row: n and value of both, difference and relative difference with their intervals, p."""
        (ending, name), effect = self.names, self.effect
        row = {"n_control": self.control.n, "n_treatment": self.treatment.n}
        row |= {f"control{ending}": float(effect.control), f"treatment{ending}": float(effect.treatment)}
        for key, value, (low, high, _) in (
            (f"{name}_diff", self.diff, self.interval()),
            (f"{name}_rel", self.rel_diff, self.rel_interval()),
        ):
            row |= {key: value, f"{key}_low": low, f"{key}_high": high}
        return [row | {"p": self.p}]

    def say(self) -> list[str]:
        """The difference with its interval and, where it is known, the relative one; or why it is unknown."""
        if math.isnan(self.p):
            return [self.note]
        show = partial(show_number, locale=self.definition.locale)
        between = partial(show_interval, locale=self.definition.locale)
        value, diff = self.kinds
        treatment, control = (show(float(mean), value) for mean in (self.effect.treatment, self.effect.control))
        said = [
            f"{self.definition.measure}: {treatment} against {control} in control, a difference of "
            f"{show(self.diff, diff)} (95 % interval {between(self.diff, self.interval(), diff)}; "
            f"p {'' if self.p < 0.001 else '= '}{show(self.p, 'p')})."
        ]
        if math.isnan(self.rel_diff):
            return said
        rel = between(self.rel_diff, self.rel_interval(), "rel")
        return [*said, f"Relative to control this is {show(self.rel_diff, 'rel')} (95 % interval {rel})."]
