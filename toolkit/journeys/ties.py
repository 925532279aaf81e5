"""Events of one moment when a step returns later (a → b → a): their order is searched, customer by customer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from toolkit.journeys.chains import Search
    from toolkit.study.table import JourneyTable


def settle(table: JourneyTable, search: Search, allowed: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Finds again the chains of customers with several step rows at one moment, in the order that helps them.

    Args:
        table: events.
        search: steps and rules.
        allowed: rows that may be an entry.
        found: chains in input order.

    Returns:
        The chains, with these customers' replaced.
    """
    rows = np.unique(np.concatenate(search.steps))
    tied = rows[1:][np.diff(table.moment[rows]) == 0]
    found = found.copy()
    for customer in np.unique(table.customer[tied]):
        low, high = table.offsets[customer], table.offsets[customer + 1]
        mine = rows[(rows >= low) & (rows < high)]
        entries = allowed[(allowed >= low) & (allowed < high)]
        found[customer] = _chain(table, search, mine, entries)
    return found


def _chain(table: JourneyTable, search: Search, rows: np.ndarray, entries: np.ndarray) -> list[int]:
    """The chain that counts among all entries: deepest, then earliest completed, then latest entered."""
    wanted = [set(step.tolist()) for step in search.steps]
    moments = np.split(rows, np.flatnonzero(np.diff(table.moment[rows])) + 1)
    tries = [
        _walk(table, search, wanted, moments, entry) for entry in (entries[:1] if search.entry == "first" else entries)
    ]
    if not tries:
        return [-1] * len(wanted)

    def merit(chain: list[int]) -> tuple:
        depth = sum(row >= 0 for row in chain)
        return depth, -table.time[chain[depth - 1]], chain[0]

    return max(tries, key=merit)


def _walk(table: JourneyTable, search: Search, wanted: list[set], moments: list, entry: int) -> list[int]:
    """From one entry, the earliest row of each step, taking each row once."""
    chains = {1: [int(entry)]}
    for moment in moments:
        if not table.time[entry] <= table.time[moment[0]] <= table.time[entry] + search.window:
            continue
        for depth, chain in sorted(chains.items()):
            free = [int(row) for row in moment if row not in chain]
            for longer in _extended(chain, free, wanted):
                chains.setdefault(len(longer), longer)
    deepest = chains[max(chains)]
    return deepest + [-1] * (len(wanted) - len(deepest))


def _extended(chain: list[int], free: list[int], wanted: list[set]) -> list[list[int]]:
    """The chain with one, two … further steps taken from the free rows of a moment."""
    found, left = [], Counter(free)
    for step in wanted[len(chain) :]:
        row = next((row for row in free if left[row] and row in step), None)
        if row is None:
            break
        left[row] -= 1
        chain = [*chain, row]
        found.append(chain)
    return found
