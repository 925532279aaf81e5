"""Chains: which entry lets a customer get deepest through the steps of a funnel, and when each step was reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.funnels.ties import by_step, settle, tied
from toolkit.journeys.steps import Step
from toolkit.study.table import Columns, JourneyTable, Part

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Search:
    """What a chain may be.

    Attributes:
        steps: what each event must be, in order; at most 64.
        window: longest time from entry to a step, µs, inclusive.
        entry: "best" (the entry that gets deepest, then earliest done, then latest entered) or "first".
        ties: "favour" (events of one moment in the order that helps) or "file" (input order).
    """

    steps: tuple[Step, ...]
    window: int
    entry: str
    ties: str


def step_rows(part: Part, search: Search) -> JourneyTable:
    """The events that match a step.

    Returns:
        Columns: timestamp, row (in the events), steps (bit j set: matches step j), entry (may be one: in the period,
        and the first there of its customer when only that counts).
    """
    steps = _steps_met(part, search.steps)
    row = np.flatnonzero(steps)
    time, steps = part.table.time[row], steps[row]
    entry = (steps & 1).astype(bool) & part.anchored(time)
    columns = {"timestamp": time, "row": row, "steps": steps, "entry": entry}
    table = JourneyTable(np.searchsorted(row, part.table.offsets), Columns.of(columns))
    if search.entry == "first":
        entries = np.flatnonzero(entry)
        entry[entries[1:][np.diff(table.customer[entries]) == 0]] = False
    return table


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
    """Finds the chain that counts of each customer.

    Args:
        table: step rows.
        search: steps and rules.

    Returns:
        customers × steps int64: the event at which each step was reached, −1 = not reached.

    Method:
        One pass per step. For each row of a step the latest entry among the chains that reached the step before; later
        entries leave more of the window, so the latest is the best. Row indices ascend with the customers, so a running
        maximum of them serves all customers at once. Ties favoured: a moment's rows stand by step; where a row matches
        several steps that order is searched instead.
    """
    unsettled = np.zeros(len(table.sizes), bool)
    if search.ties == "favour":
        if (table["steps"] & (table["steps"] - 1)).any():
            unsettled = tied(table)
        else:
            table = by_step(table)
    found = _walk(table, *_best(table, search), len(search.steps))
    found[unsettled] = settle(table.of(unsettled), search.window, len(search.steps))
    return found


def _best(table: JourneyTable, search: Search) -> tuple[np.ndarray, np.ndarray]:
    """Per customer the entry (−1 = none) of the deepest, then earliest done, then latest entered chain; its depth."""
    time, low = table.time, table.offsets[:-1].astype(np.int32)
    start, depth = np.full(len(table.sizes), NOWHERE), np.zeros(len(table.sizes), np.int64)
    reached = entries = np.flatnonzero(table["entry"]).astype(np.int32)
    for step in range(len(search.steps)):
        if step:
            latest = np.full(len(table) + 1, NOWHERE, np.int32)  # one place on: a chain goes on at a later row
            latest[1:][reached] = entries
            rows = np.flatnonzero(table["steps"] & (1 << step))
            found = np.maximum.accumulate(latest)[rows]
            inside = found >= low[table.customer[rows]]
            inside &= time[rows] - time[found] <= search.window
            reached, entries = rows[inside], found[inside]
        owner = table.customer[reached][::-1]
        start[owner], depth[owner] = entries[::-1], step + 1  # the first row of each customer is written last
    return start, depth


def _walk(table: JourneyTable, start: np.ndarray, depth: np.ndarray, k: int) -> np.ndarray:
    """From each entry to the earliest row of each next step, as deep as is known to lead somewhere."""
    found = np.full((len(start), k), NOWHERE)
    going = np.flatnonzero(depth)
    at = start[going]
    found[going, 0] = table["row"][at]
    for step in range(1, k):
        on = depth[going] > step
        going, at = going[on], at[on]
        rows = np.flatnonzero(table["steps"] & (1 << step))
        at = rows[np.searchsorted(rows, at, side="right")]
        found[going, step] = table["row"][at]
    return found
