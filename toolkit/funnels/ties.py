"""Events of one moment: put in the order of the steps, or, where a step returns later (a → b → a), searched."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from toolkit.study.table import Columns, JourneyTable


def same_moment(table: JourneyTable) -> np.ndarray:
    """Whether each row but the first stands at the same moment of the same customer as the row before."""
    return (np.diff(table.time) == 0) & ~table.first[1:]


def tied(table: JourneyTable) -> np.ndarray:
    """Whether each customer has several rows at one moment."""
    found = np.zeros(len(table.sizes), bool)
    found[table.customer[1:][same_moment(table)]] = True
    return found


def by_step(table: JourneyTable) -> JourneyTable:
    """The step rows with those of one moment in the order of their steps, then of the file; its last entry counts."""
    same = same_moment(table)
    if not same.any():
        return table
    moved = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    order = np.arange(len(table))
    order[moved] = moved[np.lexsort((table["steps"][moved], np.insert(np.cumsum(~same), 0, 0)[moved]))]
    columns = {name: table[name][order] for name in table.columns}
    columns["entry"][:-1] &= ~(same & columns["entry"][1:])
    return JourneyTable(table.offsets, Columns.of(columns))


def settle(table: JourneyTable, window: int, k: int) -> np.ndarray:
    """The chains that count when a row may serve several steps, customer by customer.

    Args:
        table: step rows of the customers.
        window: longest time from entry to a step, µs, inclusive.
        k: how many steps.

    Returns:
        customers × k int64 event rows, −1 = not reached: deepest, then earliest done, then latest entered.
    """
    found = np.full((len(table.sizes), k), -1)
    for customer, (low, high) in enumerate(zip(table.offsets[:-1], table.offsets[1:], strict=True)):
        time, steps = table.time[low:high].tolist(), table["steps"][low:high].tolist()
        may_enter = table["entry"][low:high].tolist()
        moments = [list(rows) for _, rows in groupby(range(len(time)), key=time.__getitem__)]
        entry = _entry(moments, time, steps, may_enter, window, k)
        if entry >= 0:
            near = [rows for rows in moments if time[entry] <= time[rows[0]] <= time[entry] + window]
            chain = _chain(entry, near, steps, k)
            found[customer, : len(chain)] = table["row"][low:high][chain]
    return found


def _entry(moments: list[list[int]], time: list, steps: list, may_enter: list, window: int, k: int) -> int:
    """The entry that gets deepest, then is earliest done, then is latest; −1 = none."""
    latest = [-1] * (k + 1)  # by depth, the latest entry that got so far: it has most of the window left
    best = (0, 0, -1)
    for rows in moments:
        now, chains = time[rows[0]], []
        for depth, entry in enumerate(latest):
            if entry >= 0 and now - time[entry] <= window:
                chains.append((depth + len(_next_steps(rows, steps, range(depth, k))), entry))
        new = {steps[row]: row for row in rows if may_enter[row]}  # of rows that serve the same steps the latest
        chains += [(len(_chain(entry, [rows], steps, k)), entry) for entry in new.values()]
        for depth, entry in chains:
            latest[depth] = max(latest[depth], entry)
            best = max(best, (depth, -now, entry))
    return best[2]


def _chain(entry: int, moments: list[list[int]], steps: list[int], k: int) -> list[int]:
    """From one entry as deep as possible, each moment giving as many of the next steps as it can."""
    chain = [entry]
    for moment in moments:
        chain += _next_steps([row for row in moment if row != entry], steps, range(len(chain), k))
    return chain


def _next_steps(free: list[int], steps: list[int], wanted: range) -> list[int]:
    """Rows of one moment for the next steps, one each, for as many as can be served (augmenting paths)."""
    serves: dict[int, int] = {}

    def place(step: int, tried: set[int]) -> bool:
        for row in free:
            if steps[row] >> step & 1 and row not in tried:
                tried.add(row)
                if row not in serves or place(serves[row], tried):
                    serves[row] = step
                    return True
        return False

    for step in wanted:
        if not place(step, set()):
            break
    return sorted(serves, key=serves.get)
