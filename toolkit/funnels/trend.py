"""The trend of a funnel: conversion by the day, week or month of entry, and which of them differ from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import ClassVar

import numpy as np

from toolkit.counts import BUCKETS, Additive, distinct_per_key
from toolkit.errors import UsageError, one_of
from toolkit.funnels.chains import NOWHERE, Search, chains, matured, step_rows, units
from toolkit.funnels.convert import said_cell
from toolkit.funnels.funnel import MOST_CELLS, _by_step
from toolkit.funnels.rules import FunnelRules, in_words, search_for
from toolkit.privacy import suppress
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.many import adjust
from toolkit.stats.rest import against_rest
from toolkit.study.clock import DAY, HOUR, moment_of, shown, spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Columns, JourneyTable, Part

NEXT = {
    "day": lambda day: day + timedelta(days=1),
    "week": lambda day: day + timedelta(days=7 - day.weekday()),
    "month": lambda day: (day.replace(day=1) + timedelta(days=32)).replace(day=1),
}
WHOLE, IN_PART, YOUNG = "whole", "in part", "young entries"
RATE = ("conversion_rate", "conversion_rate_low", "conversion_rate_high")
DIFF = ("conversion_rate_diff", "conversion_rate_diff_low", "conversion_rate_diff_high", "p_adjusted")
SURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendCounts(Additive):
    """What a trend adds up to; p periods, k steps. Units: customers or sessions, once per period; or attempts.

    Attributes:
        seen: int64 units with any event; attempts in all.
        reached: p × k int64 units that reached each step, all entries.
        matured: c × p × k, the same over entries that had the whole window; c = 1, or the 1,024 buckets where a
            customer may have several units in a period.
        pending: p int64 units not through whose latest entry still has time.
        customers: p int64 different customers with a matured entry.
    """

    seen: int
    reached: np.ndarray
    matured: np.ndarray
    pending: np.ndarray
    customers: np.ndarray


def count_trend(part: Part, *, search: Search, bounds: tuple[int, ...]) -> TrendCounts:
    """Counts chains of one partition by the period of their entry.

    Args:
        part: some customers.
        search: steps and rules.
        bounds: UTC µs at which each period begins, and after the last one where it ends.
    """
    edges, p, k = np.array(bounds), len(bounds) - 1, len(search.steps)
    rows = step_rows(part, search) if search.entry == "every" else _by_period(part, search, edges)
    found = chains(rows, search)
    ripe, young = matured(part, rows, search, found)
    waiting = found[young & (found[:, -1] == NOWHERE)]
    found, ripe = (some[some[:, 0] != NOWHERE] for some in (found, ripe))
    entered, early, late = (_period(edges, part.table.time[some[:, 0]]) for some in (found, ripe, waiting))
    owner, clusters = part.table.customer[ripe[:, 0]], BUCKETS if search.clustered else 1
    bucket = part.bucket[owner] if search.clustered else 0
    return TrendCounts(
        seen=len(found) if search.entry == "every" else _seen(part, search, edges),
        reached=_by_step(found, entered, p),
        matured=_by_step(ripe, bucket * p + early, clusters * p).reshape(clusters, p, k),
        pending=np.bincount(late, minlength=p),
        customers=distinct_per_key(owner, early, p),
    )


def _period(edges: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The number of the period of each moment: that in which its hour begins, or the next."""
    hours = np.arange(edges[0], edges[-1] + HOUR, HOUR)
    found = (np.searchsorted(edges, hours, side="right") - 1).astype(np.int32)[(time - edges[0]) // HOUR]
    return found + (time >= edges[found + 1])


def _runs(owner: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Where the rows of one customer in one period begin."""
    new = np.ones(len(owner), bool)
    new[1:] = (which[1:] != which[:-1]) | (owner[1:] != owner[:-1])
    return np.flatnonzero(new)


def _seen(part: Part, search: Search, edges: np.ndarray) -> int:
    """Units with any event, once for each period in which they have one."""
    starts, inside = units(part, search), part.anchored(part.table.time)
    owner = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return len(_runs(owner[inside], _period(edges, part.table.time[inside])))


def _by_period(part: Part, search: Search, edges: np.ndarray) -> JourneyTable:
    """Step rows once for each period in which a unit enters: from its first entry as far as the window reaches."""
    rows = step_rows(part, replace(search, entry="best"))
    entries = np.flatnonzero(rows["entry"])
    runs = _runs(owner := rows.customer[entries], _period(edges, rows.time[entries]))
    first, last = entries[runs], entries[np.append(runs[1:], len(entries))[: len(runs)] - 1]
    begin = np.flatnonzero(np.diff(rows.moment, prepend=0))[rows.moment[first] - 1]  # its moment may begin before it
    latest, end = rows.time[last] + search.window, last + 1
    going = np.append(rows.time, latest[:1])[end] <= latest
    end[going] = np.maximum(end[going], rows.last_before(owner[runs[going]], latest[going]) + 1)
    offsets = np.append(0, np.cumsum(end - begin))
    unit = np.repeat(np.arange(len(runs)), end - begin)
    place = np.arange(offsets[-1]) + (begin - offsets[:-1])[unit]
    columns = {name: rows[name][place] for name in rows.columns}
    own = (place >= first[unit]) & (place <= (first if search.entry == "first" else last)[unit])
    columns["entry"] = columns["entry"] & own
    return JourneyTable(offsets, Columns.of(columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelTrend(Result):
    """Conversion by period of entry.

    Attributes:
        counts: what was counted.
        steps: names of the steps.
        optional: numbers of the steps that may be missed.
        every: "day", "week" or "month".
        periods: first day of each period, ISO.
        observed: of each period "whole", "in part" or "young entries".
        small_cells: periods with matured entries of fewer customers are not shown.
        definition: the card.
    """

    counts: TrendCounts
    steps: tuple[str, ...]
    optional: tuple[int, ...]
    every: str
    periods: tuple[str, ...]
    observed: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "n_entered": "entered",
        "conversion_rate": "conversion",
        "conversion_rate_diff": "against the others",
    }

    @property
    def key(self) -> str:
        """The rows' name for the period."""
        return "month" if self.every == "month" else f"{self.every}_at"

    @property
    def followed(self) -> list[tuple[int, int]]:
        """The steps whose rates are compared: the first and the last, and where there are more, one after the other."""
        k = len(self.steps)
        before = [max((b for b in range(step) if b not in self.optional), default=0) for step in range(k)]
        return [(0, k - 1), *((before[step], step) for step in range(1, k) if k > 2)]

    @property
    def listed(self) -> np.ndarray:
        """Numbers of the periods that have matured entries, of enough customers."""
        there = np.flatnonzero(self.counts.customers)
        return there[~suppress(self.counts.customers[there], max(self.small_cells, 1))]

    def rate_rows(self) -> list[dict]:
        """One row per period listed and rate followed: n, rate with interval, difference from the other whole ones."""
        listed, followed, found = self.listed, self.followed, []
        whole = np.array([self.observed[i] == WHOLE for i in listed], bool)
        for steps in followed:
            n, reached = (self.counts.matured[:, listed, step] for step in steps)
            apart = np.full((4, len(listed)), np.nan)
            apart[:, whole] = against_rest(reached[:, whole], n[:, whole])[3:]
            found.append((n.sum(axis=0), reached.sum(axis=0), *against_rest(reached, n)[:3], *apart))
        values = np.array(found).reshape(len(followed), 9, len(listed))
        values[:, -1] = adjust(values[:, -1]).p
        return [
            {self.key: self.periods[i], "between": f"{self.steps[of]} to {self.steps[to]}"}
            | dict(zip(("n_matured", "n_converted"), map(int, values[pair, :2, j]), strict=True))
            | dict(zip((*RATE, *DIFF), map(float, values[pair, 2:, j]), strict=True))
            for j, i in enumerate(listed)
            for pair, (of, to) in enumerate(followed)
        ]

    def rows(self) -> list[dict]:
        """One row per period listed: entered, matured, converted, conversion against the others, which rates differ."""
        rates, size, rows = self.rate_rows(), len(self.followed), []
        for i in self.listed:
            mine, rates = rates[:size], rates[size:]
            row = {self.key: self.periods[i], "n_entered": int(self.counts.reached[i, 0])} | mine[0]
            differs = [f"{one['between']} {_side(one)}" for one in mine if one["p_adjusted"] < SURE]
            row |= {"differs": "; ".join(differs), "observed": self.observed[i]}
            rows.append({name: value for name, value in row.items() if name != "between"})
        return rows

    @property
    def headline(self) -> dict:
        """The conversion of the latest whole period listed; unknown where there is none."""
        rows, names = [row for row in self.rows() if row["observed"] == WHOLE], ("n_matured", "n_converted", *RATE)
        last = rows[-1] if rows else dict.fromkeys((self.key, *names), float("nan"))
        what = f"{self.steps[0]} to {self.steps[-1]}, {self.every} of {last[self.key]}"
        return {name: last[name] for name in names} | {"what": what}

    @property
    def ledger(self) -> dict[str, int]:
        """Converted, dropped, pending and never entered; together all units seen."""
        entered, converted = (int(self.counts.reached[:, step].sum()) for step in (0, -1))
        pending = int(self.counts.pending.sum())
        known = {"converted": converted, "dropped": entered - converted - pending, "pending": pending}
        return known | {"never entered": self.counts.seen - entered, "all": self.counts.seen}

    def say(self) -> list[str]:
        """How many periods differ and which does most clearly; how many are not judged."""
        rates, locale, every = self.rate_rows(), self.definition.locale, self.every
        if not rates:
            return [self.note]
        judged = sum(self.observed[i] == WHOLE for i in self.listed)
        apart = [row for row in rates if row["p_adjusted"] < SURE]
        differ = len({row[self.key] for row in apart})
        n, whole, rest = (show_number(n, "count", locale) for n in (differ, judged, len(self.listed) - judged))
        chance = f"{every}s {'differ' if differ > 1 else 'differs'} from the others by more than chance allows."
        said = [f"{n if differ else 'None'} of {whole} whole {chance}"]
        if judged < 2:
            said = [f"Fewer than two whole {every}s have matured entries, so none can be compared with the others."]
        if apart:
            row = min(apart, key=lambda row: (row["p_adjusted"], -abs(row[DIFF[0]])))
            when, rate, n, diff = (said_cell(row, key, locale) for key in (self.key, RATE[0], "n_matured", DIFF[0]))
            went = f"{rate} of {n} {self.definition.unit}s went from {row['between']}, {diff} against the others."
            said.append(f"The {every} of {when} differs most clearly: {went}")
        if judged < len(self.listed):
            said.append(f"Not judged, because observed in part or with entries younger than the window: {rest}.")
        return said


def _side(row: dict) -> str:
    return "lower" if row[DIFF[0]] < 0 else "higher"


def funnel_trend(
    data: Data,
    steps: Sequence | None = None,
    *,
    within: str = "7d",
    every: str = "week",
    rules: FunnelRules | None = None,
) -> FunnelTrend:
    """Conversion by day, week or month of entry, and which of them differ from the rest.

    Args:
        data: the study; `between` sets the period of the entry.
        steps: as in `tk.funnel`.
        within: longest time from entry to the last step, inclusive, such as "7d".
        every: "day", "week" (ISO, from Monday) or "month", in the study's time zone.
        rules: as in `tk.funnel`; the entry is chosen within each period, in which a customer counts once.

    Returns:
        One row per period with matured entries: conversion with interval, its difference from all other whole periods,
        and which rates (whole or step by step) differ. Periods observed in part, or with entries younger than the
        window, are marked and not judged. `rate_rows()` has every rate.

    Raises:
        MissingData: no steps were given and the catalogue finds none.
        UsageError: as in `tk.funnel`; or `every` is something else, or makes too many periods.

    Method:
        Each period holds what `tk.funnel` finds between its ends: a customer counts in each period in which they enter,
        so that neither the first nor the last periods are special. Wilson's and Newcombe's intervals; Fisher's exact p,
        adjusted by Holm over all periods and rates. Sessions and attempts: clustered by customer.

    Example:
        >>> import toolkit as tk
        >>> trend = tk.funnel_trend(tk.open_data(tk.make_data(300, rng=1)), ["cart", "purchase"], every="month")
        >>> trend.rows()[-1]["observed"]
        'young entries'
    """
    if every not in NEXT:
        raise one_of("every", every, NEXT)
    rules = rules or FunnelRules()
    search, names = search_for(data, steps, within, rules)
    periods, bounds = _periods(data, every)
    if len(periods) * len(names) > MOST_CELLS:
        raise UsageError(
            f"There are {len(periods):,} {every}s; take a coarser one, or a shorter period with between()."
        )
    result = FunnelTrend(
        counts=run(data, count_trend, search=search, bounds=bounds),
        steps=names,
        optional=search.optional,
        every=every,
        periods=periods,
        observed=_observed(data, bounds, search.window),
        small_cells=data.small_cells,
        definition=Definition(measure=""),
    )
    return replace(result, definition=_card(data, result, within, rules, search))


def _periods(data: Data, every: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The first day of each period in which an entry may lie, and the moments at which they begin and the last ends."""
    first, last = _span(data)
    day = date.fromisoformat(shown(first, data.zone)[:10])
    days = [day - timedelta(days={"day": 0, "week": day.weekday(), "month": day.day - 1}[every])]
    while (following := moment_of(NEXT[every](days[-1]).isoformat(), data.zone)) <= last:
        days.append(NEXT[every](days[-1]))
    labels = tuple(day.isoformat()[: 7 if every == "month" else 10] for day in days)
    return labels, (*(moment_of(day.isoformat(), data.zone) for day in days), following)


def _span(data: Data) -> tuple[int, int]:
    """The first and the last moment at which an entry may lie."""
    low, high = data.view.period
    return max(low, data.store.manifest["tables"]["events"]["low"] or 0), min(high - 1, data.observed_until)


def _observed(data: Data, bounds: tuple[int, ...], window: int) -> tuple[str, ...]:
    """Of each period whether it was observed whole; the day on which the data begin counts as whole."""
    first, last = _span(data)
    latest = data.observed_until - window
    return tuple(
        YOUNG if end - 1 > latest else IN_PART if begin + DAY <= first or end > last + 1 else WHOLE
        for begin, end in pairwise(bounds)
    )


def _card(data: Data, trend: FunnelTrend, within: str, rules: FunnelRules, search: Search) -> Definition:
    each, every = rules.counted, trend.every
    once = "" if each == "attempt" else f", once in each {every} in which they enter"
    n = sum(trend.observed[i] == WHOLE for i in trend.listed) * len(trend.followed)
    family = f"Holm over {show_number(n, 'count', data.locale)} comparisons with the other whole {every}s"
    how = "Wilson and Newcombe" + ", clustered by customer" * search.clustered
    return data.definition(
        f"Conversion by {every}{rules.short}",
        unit=each,
        population=f"{each}s whose entry lies in the period{once}; rates: entries that had the whole window (matured)",
        window=f"{spelled(within)} from entry, inclusive; steps may fall after the {every} and the period",
        denominator=f"matured entries of the {every}; step by step: those at the step before",
        rules=f"{in_words(rules, search)}. Intervals: {how}, 95 %, not adjusted; p: Fisher's exact test, {family}",
        notes=_guards(data, trend, within, each),
    )


def _guards(data: Data, trend: FunnelTrend, within: str, each: str) -> tuple[str, ...]:
    entered, matured = trend.counts.reached[:, 0] > 0, trend.counts.matured[:, :, 0].sum(axis=0) > 0
    if not entered.any():
        return (f"No {each} entered in the period.",)
    said = {f"without an entry that had the whole window of {within} are absent": (entered & ~matured).sum()}
    said |= {"of too few customers are not shown": matured.sum() - len(trend.listed)}
    every = trend.every.capitalize()
    return tuple(f"{every}s {why}: {show_number(int(n), 'count', data.locale)}." for why, n in said.items() if n)
