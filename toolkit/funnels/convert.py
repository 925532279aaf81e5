"""Time to convert: how the share that converted grows with the time since entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Tally
from toolkit.errors import UsageError, need_a
from toolkit.funnels.chains import NOWHERE, Search, chains, step_rows
from toolkit.funnels.funnel import _can_divide, _groups
from toolkit.funnels.result import UNKNOWN
from toolkit.funnels.rules import FunnelRules, in_words, search_for
from toolkit.privacy import suppress
from toolkit.results import Definition, Result
from toolkit.shown import cell_parts, show_number
from toolkit.stats.survival import Survival, Time, kaplan_meier
from toolkit.study.clock import spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

HOW = (
    "The clock runs from the first entry whatever came of it and never restarts. Kaplan–Meier over all entries, each "
    "for as long as it was watched; late entries are taken to be like early ones. Intervals: 95 %, pointwise, on the "
    "log-log scale (shares) and the logit scale (quartiles)"
)
QUARTILES = {"quarter": 0.25, "half": 0.5, "three_quarters": 0.75}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToConvertCounts(Additive):
    """How long customers took from their first entry, or were watched without converting; g groups, the last: unknown.

    Attributes:
        seen: int64 customers with any event in the period.
        spent: tally of seconds; group 2g: to conversion, 2g + 1: watched without, of those without the whole window.
        through: g int64 customers who had the whole window and did not convert.
    """

    seen: int
    spent: Tally
    through: np.ndarray


def count_time_to_convert(part: Part, *, search: Search, by: str | None) -> TimeToConvertCounts:
    """Counts times of one partition.

    Args:
        part: some customers.
        search: steps and rules, entry "first".
        by: events column (its value at entry) or customer attribute; None = one group.
    """
    events, found = part.table, chains(step_rows(part, search), search)
    entered = found[:, 0] != NOWHERE
    first, last = found[entered, 0], found[entered, -1]
    group_of, groups = _groups(part, by)
    group, done = group_of(first), last != NOWHERE
    spent = np.where(done, events.time[last], part.observed_until) - events.time[first]
    through = ~done & (spent >= search.window)
    return TimeToConvertCounts(
        seen=int((events.per_customer(part.anchored(events.time)) > 0).sum()),
        spent=Tally.of((2 * group + ~done)[~through], spent[~through] / 1e6),
        through=np.bincount(group[through], minlength=groups),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToConvert(Result):
    """The share that converted by the time since entry.

    Attributes:
        counts: what was counted.
        steps: names of the steps.
        window: seconds from entry within which a conversion counts.
        by: what it is broken down by, or None.
        words: names of the groups; the counts have one group more, the unknown.
        small_cells: groups of fewer customers are not shown.
        definition: the card.
    """

    counts: TimeToConvertCounts
    steps: tuple[str, ...]
    window: float
    by: str | None
    words: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "converted_share": "convert",
        "quarter_seconds": "a quarter of these within",
        "half_seconds": "half within",
        "three_quarters_seconds": "three quarters within",
    }

    def curve(self, group: int | None = None) -> Survival:
        """The share that has not converted yet, by seconds since entry.

        Args:
            group: number of the group; all together when left out.
        """
        spent, mine = self.counts.spent, slice(None) if group is None else self.counts.spent.groups // 2 == group
        without, n = spent.groups[mine] % 2, spent.counts[mine]
        through = self.counts.through[slice(None) if group is None else [group]].sum()
        time = np.minimum(spent.values[mine], self.window)  # the middle of a bin may lie beyond
        events, censored = n * (1 - without), n * without
        return kaplan_meier(np.append(time, self.window), np.append(events, 0), np.append(censored, through))

    def curves(self) -> dict[str, Survival]:
        """The curve of each group large enough to be shown, largest first; without `by` one that has no name."""
        if self.by is None:
            return {"": curve} if (curve := self.curve()).n else {}
        curves = [self.curve(group) for group in range(len(self.words) + 1)]
        n = np.array([curve.n for curve in curves])
        there = np.flatnonzero(n)
        shown = there[~suppress(n[there], max(self.small_cells, 1))]
        names = [*self.words, UNKNOWN]
        return {names[group]: curves[group] for group in sorted(shown, key=lambda group: (-n[group], group))}

    def rows(self) -> list[dict]:
        """One row per group (or one): customers, the share that converts within the window, and how soon these do."""
        return [({self.by: name} if self.by else {}) | _row(curve) for name, curve in self.curves().items()]

    def quartile_rows(self) -> list[dict]:
        """One row per group and quartile: seconds since entry, of those who convert within the window and of all."""
        return [
            ({self.by: name} if self.by else {})
            | {"share": share}
            | _time("of_converting_seconds", curve.quantile_among(share))
            | _time("of_entered_seconds", curve.quantile(share))
            for name, curve in self.curves().items()
            for share in QUARTILES.values()
        ]

    @property
    def headline(self) -> dict:
        """The share that converts within the window, and how soon; all groups together."""
        return _row(self.curve()) | {"what": f"{self.steps[0]} to {self.steps[-1]}, from the first entry"}

    @property
    def ledger(self) -> dict[str, int]:
        """Converted, dropped, pending and never entered; together everyone seen."""
        curve, dropped = self.curve(), int(self.counts.through.sum())
        converted = int(curve.events.sum())
        pending = curve.n - converted - dropped
        known = {"converted": converted, "dropped": dropped, "pending": pending}
        return known | {"never entered": self.counts.seen - curve.n, "all": self.counts.seen}

    def say(self) -> list[str]:
        """How many convert and how soon, in the two largest groups where there are any; how many are still watched."""
        curve, locale, said = self.curve(), self.definition.locale, []
        if not curve.events.any():
            return [self.note]
        within = show_number(float(curve.time[-1]), "seconds", locale)
        for row in self.rows()[:2]:
            share, n, half = (said_cell(row, key, locale) for key in ("converted_share", "n_entered", "half_seconds"))
            said.append(
                f"{f'With {self.by} {row[self.by]}, ' if self.by else ''}{share} of {n} customers convert within "
                f"{within} of their first entry; half of those who do, do so within {half}."
            )
        if pending := self.ledger["pending"]:
            n = show_number(pending, "count", locale)
            said.append(
                f"{n} customers have part of the window still ahead; each counts for as long as it was watched."
            )
        return said


def said_cell(row: dict, key: str, locale: str) -> str:
    """A cell of a row with its interval, as it is said aloud.

    Example:
        >>> said_cell({"x_rate": 0.5, "x_rate_low": 0.4, "x_rate_high": 0.6}, "x_rate", "en")
        '50.0 % (40.0–60.0)'
    """
    value, band = cell_parts(row, key, locale, "UTC")
    return f"{value} ({band})" if band else value


def _row(curve: Survival) -> dict:
    share, low, high, _ = curve.at([curve.time.max(initial=0)])
    converted = {"converted_share": float(1 - share[0])}
    converted |= {"converted_share_low": float(1 - high[0]), "converted_share_high": float(1 - low[0])}
    times = [_time(f"{name}_seconds", curve.quantile_among(share)) for name, share in QUARTILES.items()]
    return {"n_entered": curve.n, "n_converted": int(curve.events.sum())} | converted | times[0] | times[1] | times[2]


def _time(name: str, time: Time) -> dict[str, float]:
    return {name: time.value, f"{name}_low": time.low, f"{name}_high": time.high}


def time_to_convert(
    data: Data,
    steps: Sequence | None = None,
    *,
    within: str = "30d",
    by: str | None = None,
    rules: FunnelRules | None = None,
) -> TimeToConvert:
    """How the share of customers that converted grows with the time since they entered.

    Args:
        data: the study; `between` sets the period of the entry.
        steps: as in `tk.funnel`.
        within: longest time from entry to the last step, inclusive, such as "30d".
        by: events column, taken at entry, or customer attribute to break down by.
        rules: as in `tk.funnel`; the entry is always the first one in the period, the unit the customer.

    Returns:
        One row, or one per group: the share that converts within the window, and the times by which a quarter, a half
        and three quarters of these have converted, with intervals. `.curve()` is the whole curve.

    Raises:
        MissingData: no steps were given and the catalogue finds none.
        UsageError: a step does not occur, nothing to break down by of that name, or sessions as the unit.

    Method:
        Kaplan and Meier 1958 over all entries: who has not converted counts for as long as they were watched, at most
        the window. The clock runs from the first entry: one chosen by what came of it would let the outcome decide how
        long a customer is watched. Band on the log-log scale.

    Example:
        >>> import toolkit as tk
        >>> result = tk.time_to_convert(tk.open_data(tk.make_data(200, rng=1)), ["cart", "purchase"])
        >>> result.rows()[0]["n_entered"] == result.ledger["all"] - result.ledger["never entered"]
        True
    """
    need_a("rules", rules := rules or FunnelRules(), FunnelRules)
    rules = replace(rules, entry="first")
    search, names = search_for(data, steps, within, rules)
    if search.gap:
        raise UsageError(
            "The time to convert is a customer's; leave unit='session' out, or take the waits of tk.funnel."
        )
    _can_divide(data, by)
    counts = run(data, count_time_to_convert, search=search, by=by)
    result = TimeToConvert(
        counts=counts,
        steps=names,
        window=search.window / 1e6,
        by=by,
        words=() if by is None else (data.vocabulary(by, "customers") or data.vocabulary(by)),
        small_cells=data.small_cells,
        definition=data.definition(
            f"Time to convert{f' by {by}' if by else ''}",
            unit="customer",
            population="customers whose first entry lies in the period, those still watched included",
            window=f"{spelled(within)} from the first entry, inclusive; steps may fall after the period",
            denominator="customers who entered; quartiles: those who convert within the window",
            rules=f"{in_words(rules, search)}. {HOW}",
        ),
    )
    return replace(result, definition=replace(result.definition, notes=_guards(result, within)))


def _guards(result: TimeToConvert, within: str) -> tuple[str, ...]:
    curve = result.curve()
    if not curve.n:
        return ("No customer entered in the period.",)
    longest = curve.time[-1]
    if longest == result.window or not curve.surviving[-1]:
        return (curve.note,) if curve.note else ()
    shown = show_number(longest, "seconds", result.definition.locale)
    return (f"Nobody was watched for the whole {within}: the curve ends after {shown}.", *filter(None, [curve.note]))
