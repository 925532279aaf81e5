"""A finding: figures with intervals, each with the limit beyond which it matters, and the verdict that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.errors import MissingData
from toolkit.shown import show_interval, show_number

SEEN, NOT_SEEN, CANNOT_TELL = "seen", "not seen", "cannot tell"
LEVEL = 0.95
PLAIN = 2  # an effect of so many limits would be plain; where it is ruled out, nothing is seen


def level_of(family: int) -> float:
    """The level at which chance takes any of so many intervals beyond its limit in 5 % of studies at most.

    A limit is passed on one side only, so two intervals of 95 % do already (Bonferroni).

    Example:
        >>> level_of(2), level_of(10)
        (0.95, 0.99)
    """
    return 1 - 2 * (1 - LEVEL) / max(family, 2)


def why(gap: MissingData) -> tuple[str, str]:
    """What the study lacks as a sentence, and the export that brings it.

    Example:
        >>> why(MissingData("sales", "orders", "the shop's order export"))
        ('The study has no orders.', "the shop's order export")
    """
    lacks, _, source = str(gap).partition(": ")[2].partition(" They come with ")
    return lacks[:1].upper() + lacks[1:], source.rstrip(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a pitfall.

    Attributes:
        what: in words.
        value, low, high: with its interval.
        limit: beyond it the figure matters: above, or below where it is negative.
        n: units behind it.
        kind: as `show_number` takes it.
    """

    what: str
    value: float
    low: float
    high: float
    limit: float
    n: int
    kind: str = "rate"

    @classmethod
    def of(cls, what: str, ends, limit: float, n: int, kind: str = "rate") -> Figure:
        """From value, low and high, numbers or arrays of one."""
        value, low, high = (float(np.ravel(end)[0]) for end in ends)
        return cls(what=what, value=value, low=low, high=high, limit=limit, n=int(n), kind=kind)

    @property
    def _ends(self) -> tuple[float, float]:
        """How often the limit fits into what is sure, and into what may be."""
        ends = (self.low, self.high) if self.limit > 0 else (self.high, self.low)
        return ends[0] / self.limit, ends[1] / self.limit

    @property
    def beyond(self) -> float:
        """How often the limit fits into what is sure: above 1 the whole interval lies beyond it."""
        return self._ends[0]

    @property
    def at_most(self) -> float:
        """How often the limit fits into what may be."""
        return self._ends[1]

    @property
    def short(self) -> bool:
        """Whether it may be short of the limit, and all that may be is short of what would be plain."""
        return self.beyond <= 1 and self.at_most <= PLAIN

    @property
    def times(self) -> float:
        """How many times as much data would tell, were the value to stay where it is."""
        value, (low, high) = self.value / self.limit, self._ends
        room = PLAIN - value if value <= 1 else value - 1
        return ((high - low) / 2 / max(room, 1e-9)) ** 2

    @property
    def band(self) -> tuple[float, float]:
        """The interval; unknown where the figure is a plain count."""
        return (self.low, self.high) if self.low < self.high else (math.nan, math.nan)

    def said(self, locale: str) -> str:
        """The figure with its interval, in words."""
        band = show_interval(self.value, self.band, self.kind, locale)
        return f"{self.what}: {show_number(self.value, self.kind, locale)}" + (f" ({band})" if band else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one pitfall.

    Attributes:
        figures: those that decide, the most telling first.
        together: whether all figures must lie beyond their limits; else one is enough.
        evidence: what else is known, a sentence.
        missing: the export that would bring what is not known.
    """

    figures: tuple[Figure, ...] = ()
    together: bool = False
    evidence: str = ""
    missing: str = ""

    @property
    def verdict(self) -> str:
        """Seen: a whole interval lies beyond its limit. Not seen: none reaches what would be plain. Else untold."""
        worse, fine = [f.beyond > 1 for f in self.figures], [f.short for f in self.figures]
        seen, not_seen = (all(worse), any(fine)) if self.together else (any(worse), all(fine))
        if self.figures and seen and not (self.together and self.missing):
            return SEEN
        return NOT_SEEN if self.figures and not_seen and (self.together or not self.missing) else CANNOT_TELL

    @property
    def leading(self) -> Figure | None:
        """The figure the verdict rests on: the first that is seen, else the one that may lie farthest out."""
        first = self.figures if self.together else [figure for figure in self.figures if figure.beyond > 1]
        if self.together or self.verdict == SEEN:
            return next(iter(first), None)
        return max(self.figures, key=lambda f: np.nan_to_num(f.at_most, nan=-math.inf), default=None)

    @property
    def would_tell(self) -> str:
        """What would turn "cannot tell" into a verdict."""
        if self.verdict != CANNOT_TELL or self.missing or not self.figures:
            return self.missing if self.verdict == CANNOT_TELL else ""
        times = max(
            (figure.times for figure in self.figures if not (figure.beyond > 1 or figure.short)), default=math.nan
        )
        return f"about {math.ceil(times)} times as much data" if 1 <= times < 100 else "many times as much data"
