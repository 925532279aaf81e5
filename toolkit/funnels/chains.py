"""Chains: which entry lets a unit get deepest through the steps of a funnel, and when each step was reached."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from toolkit.funnels.ties import by_step, settle
from toolkit.funnels.ways import NOWHERE, places_of, searched
from toolkit.journeys.sessions import session_starts
from toolkit.journeys.steps import Step, matches
from toolkit.study.table import Columns, JourneyTable, Part


@dataclass(frozen=True, slots=True)
class Search:
    """What a chain may be.

    Attributes:
        steps: what each event must be; at most 64.
        window: longest time from entry to a step, µs, inclusive.
        entry: "best" (the entry that gets deepest, then earliest done, then latest entered), "first", or "every" (each
            attempt counts; a new one opens only after conversion, time-out or exclusion of the one before).
        ties: "favour" (events of one moment in the order that helps) or "file" (input order).
        order: "ordered" (others may lie between), "strict" (nothing between) or "any".
        gap: pause that begins a new session, µs, where the unit is the session; 0 = the unit is the customer.
        exclude: events that end an attempt, and are no steps.
        optional: numbers of the steps that may be missed.
    """

    steps: tuple[Step, ...]
    window: int
    entry: str = "best"
    ties: str = "favour"
    order: str = "ordered"
    gap: int = 0
    exclude: tuple[Step, ...] = ()
    optional: tuple[int, ...] = ()

    @property
    def clustered(self) -> bool:
        """Whether a customer may have several units: sessions or attempts."""
        return self.gap > 0 or self.entry == "every"

    @property
    def ways(self) -> list[tuple[int, ...]]:
        """The numbers of the steps to take: with each choice of the optional ones, those that take most first."""
        choices = product((True, False), repeat=len(self.optional))
        taken = [dict(zip(self.optional, choice, strict=True)) for choice in choices]
        return [tuple(step for step in range(len(self.steps)) if choice.get(step, True)) for choice in taken]


def step_rows(part: Part, search: Search) -> JourneyTable:
    """The events that can make or end a chain.

    Returns:
        One range of rows per unit: the customers, or the sessions in order. Columns: timestamp, row (in the events),
        steps (bit j set: is step j), entry (may be one: in the period, and the first there of its unit when only that
        counts), inside (in the period), excluded.
    """
    events, steps = part.table, _steps_met(part, search.steps)
    excluded = np.zeros(len(events), bool)
    for step in search.exclude:
        excluded |= matches(part, step)
    steps[excluded] = 0
    if search.order == "strict":
        row = np.arange(len(events))
    else:
        row = np.flatnonzero(steps | excluded if search.exclude else steps)
    time, steps, excluded = events.time[row], steps[row], excluded[row]
    inside = part.anchored(time)
    entry = (steps if search.order == "any" else steps & 1).astype(bool)
    if search.entry != "every":
        entry &= inside
    columns = {"timestamp": time, "row": row, "steps": steps, "entry": entry, "inside": inside, "excluded": excluded}
    table = JourneyTable(np.searchsorted(row, units(part, search)), Columns.of(columns))
    if search.entry == "first":
        entries = np.flatnonzero(entry)
        entry[entries[1:][np.diff(table.customer[entries]) == 0]] = False
    return table


def units(part: Part, search: Search) -> np.ndarray:
    """Where each unit's events begin, and after the last one where they end (int64)."""
    if not search.gap:
        return part.table.offsets
    return np.append(np.flatnonzero(session_starts(part.table, search.gap)), len(part.table))


def _steps_met(part: Part, steps: tuple[Step, ...]) -> np.ndarray:
    """Which steps each event is, as bits: by touchpoint all at once, then the few that ask for more."""
    bits = np.zeros(len(part.words("touchpoint")) + 1, np.min_scalar_type((1 << len(steps)) - 1))
    for number, step in enumerate(steps):
        where = slice(None) if step.touchpoints is None else list(step.touchpoints)
        bits[where] |= bits.dtype.type(1 << number)
    met = bits[part.table["touchpoint"]]  # an unknown touchpoint, −1, finds the last entry: no step that names one
    for number, step in enumerate(steps):
        if step.further:
            bit = met.dtype.type(1 << number)
            rows = np.flatnonzero(met & bit)
            holds = np.all([condition.holds(part, rows) for condition in step.further], axis=0)
            met[rows[~holds]] ^= bit
    return met


def chains(table: JourneyTable, search: Search) -> np.ndarray:
    """Finds the chains that count.

    Args:
        table: step rows.
        search: steps and rules.

    Returns:
        units × steps int64: the event at which each step was reached, −1 = not reached (or missed, where it may be);
        with entry "every" one row per attempt that began in the period. In any order the columns are the first, second
        … step that was reached, whichever.

    Method:
        The best entry of ordered steps takes one pass per step: for each row of a step the latest entry among the
        chains that reached the step before; later entries leave more of the window, so the latest is the best. Row
        indices ascend with the units, so a running maximum of them serves all at once. Under the other rules the chain
        of every entry is followed from step to step, all entries at once. Ties favoured: a moment's rows stand by
        step; where a row matches several steps, or nothing may lie between, the order is searched instead.
    """
    alone = searched(table, search)
    if search.ties == "favour" and search.order == "ordered" and not alone.any():
        table = by_step(table)
    places = places_of(table, search)
    unit, rows = table.customer[places[:, 0]], np.where(places >= 0, table["row"][places], NOWHERE)
    rest = settle(table.of(alone), search)
    if search.entry == "every":
        return np.concatenate([rows[table["inside"][places[:, 0]] & ~alone[unit]], rest])
    found = np.full((len(table.sizes), len(search.steps)), NOWHERE)
    found[unit], found[alone] = rows, rest
    return found


def matured(part: Part, rows: JourneyTable, search: Search, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chains over entries that had the whole window, and whose chains are of a unit with an entry that had not.

    Args:
        part: the customers.
        rows: their step rows.
        search: steps and rules.
        found: their chains.
    """
    latest = part.observed_until - search.window
    if search.entry == "every":
        young = part.table.time[found[:, 0]] > latest
        return found[~young], young
    early = rows["entry"] & (rows.time > latest)
    young = rows.per_customer(early) > 0
    if not young.any():
        return found, young
    ripe, again = found.copy(), rows.of(young)
    again["entry"][again.time > latest] = False
    ripe[young] = chains(again, search)
    return ripe, young
