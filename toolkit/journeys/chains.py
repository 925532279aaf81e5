"""Chains: which entry lets a customer get deepest through the steps of a funnel, and when each step was reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.journeys.ties import settle
from toolkit.study.table import JourneyTable

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Search:
    """What a chain may be.

    Attributes:
        steps: table rows that match each step, ascending.
        window: longest time from entry to a step, µs, inclusive.
        entry: "best" (the entry that gets deepest, then earliest done, then latest entered) or "first".
        ties: "favour" (events of one moment in the order that helps) or "file" (input order).
    """

    steps: tuple[np.ndarray, ...]
    window: int
    entry: str
    ties: str


def chains(table: JourneyTable, search: Search, allowed: np.ndarray) -> np.ndarray:
    """Finds the chain that counts of each customer.

    Args:
        table: events.
        search: steps and rules.
        allowed: rows of the first step that may be an entry, ascending.

    Returns:
        customers × steps int64: the table row at which each step was reached, −1 = not reached.

    Method:
        One pass per step. For each row of a step the latest entry among the chains that reached the step before; later
        entries leave more of the window, so the latest is the best. Row indices ascend with the customers, so a running
        maximum of them is searched without looking at customers.
    """
    rows = np.sort(np.concatenate(search.steps))
    overlap = bool((np.diff(rows) == 0).any())
    freely = search.ties == "favour" and not overlap  # distinct steps: a moment's events may simply be taken together
    rank = table.moment if freely else np.arange(len(table))
    start = _first(table, allowed) if search.entry == "first" else _best(table, search, allowed, rank, freely)
    found = _follow(table, search, start, rank, freely)
    if overlap and search.ties == "favour":
        found = settle(table, search, allowed, found)
    return found


def _first(table: JourneyTable, allowed: np.ndarray) -> np.ndarray:
    """Per customer the first allowed entry, −1 = none."""
    start = np.full(len(table.sizes), NOWHERE)
    start[table.customer[allowed[::-1]]] = allowed[::-1]
    return start


def _best(table: JourneyTable, search: Search, allowed: np.ndarray, rank: np.ndarray, freely: bool) -> np.ndarray:
    """Per customer the entry of the deepest, then earliest completed, then latest entered chain; −1 = none."""
    start = _first(table, allowed)
    before, entries = allowed, allowed
    for rows in search.steps[1:]:
        if not len(before):
            break
        latest = np.maximum.accumulate(entries)
        last = np.searchsorted(rank[before], rank[rows], side="right" if freely else "left") - 1
        found = np.where(last >= 0, latest[last], NOWHERE)
        reached = found >= table.offsets[table.customer[rows]]
        reached[reached] = table.time[rows[reached]] - table.time[found[reached]] <= search.window
        before, entries = rows[reached], found[reached]
        start[table.customer[before[::-1]]] = entries[::-1]  # the first row of each customer is written last
    return start


def _follow(table: JourneyTable, search: Search, start: np.ndarray, rank: np.ndarray, freely: bool) -> np.ndarray:
    """Walks from each entry to the earliest row of each next step, within the window."""
    found = np.full((len(start), len(search.steps)), NOWHERE)
    found[:, 0] = start
    going = np.flatnonzero(start >= 0)
    for step, rows in enumerate(search.steps[1:], start=1):
        place = np.searchsorted(rank[rows], rank[found[going, step - 1]], side="left" if freely else "right")
        at = np.append(rows, len(table))[place]
        inside = at < table.offsets[going + 1]
        inside[inside] = table.time[at[inside]] - table.time[start[going[inside]]] <= search.window
        going = going[inside]
        found[going, step] = at[inside]
    return found


def moments_shared(table: JourneyTable, steps: tuple[np.ndarray, ...]) -> bool:
    """Whether two rows of the steps stand at one moment of a customer, so that ties can matter."""
    rows = np.unique(np.concatenate(steps))
    return bool((np.diff(table.moment[rows]) == 0).any())
