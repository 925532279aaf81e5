"""Events of one moment: put in the order of the steps, or, where that is not enough, tried unit by unit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from toolkit.study.table import Columns, JourneyTable

if TYPE_CHECKING:
    from toolkit.funnels.chains import Search


def same_moment(table: JourneyTable) -> np.ndarray:
    """Whether each row but the first stands at the same moment of the same unit as the row before."""
    return (np.diff(table.time) == 0) & ~table.first[1:]


def tied(table: JourneyTable) -> np.ndarray:
    """Whether each unit has a row of a step and another row at one moment."""
    found, steps = np.zeros(len(table.sizes), bool), table["steps"]
    found[table.customer[1:][same_moment(table) & ((steps[1:] | steps[:-1]) != 0)]] = True
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


def settle(table: JourneyTable, search: Search) -> np.ndarray:
    """The chains that count where ties are favoured, unit by unit and entry by entry.

    Args:
        table: step rows of the units.
        search: steps and rules.

    Returns:
        As `chains` gives them: one row per unit, or per attempt.
    """
    found = []
    for low, high in pairwise(table.offsets.tolist()):
        unit = _Unit(table, low, high, search)
        some = unit.attempts() if search.entry == "every" else [unit.best()]
        found += [[low + row if row >= 0 else -1 for row in chain] for chain in some]
    places = np.array(found, np.int64).reshape(-1, len(search.steps))
    return np.where(places >= 0, table["row"][places], -1)


class _Unit:
    """The rows of one customer or session as lists."""

    def __init__(self, table: JourneyTable, low: int, high: int, search: Search):
        names = ("timestamp", "steps", "entry", "inside", "excluded")
        self.time, self.steps, self.entry, self.inside, self.out = (table[name][low:high].tolist() for name in names)
        self.search, self.k, self.ways = search, len(search.steps), search.ways
        self.moments = [list(rows) for _, rows in groupby(range(high - low), key=self.time.__getitem__)]
        self.moment = [number for number, rows in enumerate(self.moments) for _ in rows]

    def best(self) -> list[int]:
        """The chain that counts: deepest, then earliest done, then latest entered."""
        if self.search.order == "strict":
            entries = [row for row, may in enumerate(self.entry) if may]
        else:
            entries = {max(self._latest(way) for way in self.ways)[2]} - {-1}
        return max(map(self._chain, entries), key=self._merit, default=[-1] * self.k)

    def attempts(self) -> list[list[int]]:
        """The chains of all attempts that began in the period; a moment that ends one opens no other."""
        found, end = [], 0
        for rows in self.moments:
            if entries := [row for row in rows if self.entry[row] and rows[0] >= end]:
                chain = max(map(self._chain, entries), key=self._merit)
                found += [chain] if self.inside[rows[0]] else []
                over = chain[-1] >= 0 or self.search.order == "strict"
                end = max(chain) + 1 if over else self._stop(chain[0])
        return found

    def _merit(self, chain: list[int]) -> tuple:
        """What chains are compared by: the last step reached, how early, how late the entry."""
        depth = max(step for step, row in enumerate(chain) if row >= 0)
        return depth, -self.time[chain[depth]], chain[0]

    def _stop(self, entry: int) -> int:
        """The first row out of an entry's reach."""
        start = self.time[entry]
        for row in range(entry + 1, len(self.time)):
            if self.time[row] - start > self.search.window:
                return row
            if self.out[row] and self.time[row] > start:  # what shares its moment stands on the side that helps
                return self.moments[self.moment[row]][-1] + 1
        return len(self.time)

    def _chain(self, entry: int) -> list[int]:
        """From one entry the chain that is deepest, then earliest done, then misses fewest steps."""
        stop = self._stop(entry)
        own, *later = [rows for rows in self.moments[self.moment[entry] :] if rows[0] < stop]
        chains = (chain for way in self.ways for chain in self._along(entry, own, later, way))
        return max(chains, key=lambda chain: (*self._merit(chain)[:2], sum(row >= 0 for row in chain)))

    def _along(self, entry: int, own: list[int], later: list[list[int]], way: tuple[int, ...]) -> Iterator[list[int]]:
        """The chains of a way, each moment giving as many of the next steps as it can."""
        strict = self.search.order == "strict"
        most = _next_steps([row for row in own if row != entry], self.steps, way[1:])
        for n in range(len(most), -1 if strict else len(most) - 1, -1):  # the entry's moment may hold others before it
            rows = [entry, *most[:n]]
            for moment in later:
                more = _next_steps(moment, self.steps, way[len(rows) :])
                rows += more
                if len(rows) == len(way) or (strict and len(more) < len(moment)):
                    break
            chain = dict(zip(way, rows, strict=False))
            yield [chain.get(step, -1) for step in range(self.k)]

    def _latest(self, way: tuple[int, ...]) -> tuple[int, int, int]:
        """Of the chains of a way the last step reached, how early, and the entry; −1 = none."""
        latest = [-1] * (len(way) + 1)  # by depth, the latest entry that got so far: it has most of the window left
        best = (-1, 0, -1)
        for rows in self.moments:
            now, chains = self.time[rows[0]], []
            for depth, entry in enumerate(latest):
                if entry >= 0 and now - self.time[entry] <= self.search.window:
                    chains.append((depth + len(_next_steps(rows, self.steps, way[depth:])), entry))
            for entry in {self.steps[row]: row for row in rows if self.entry[row]}.values():  # the last of those alike
                chains.append((1 + len(_next_steps([r for r in rows if r != entry], self.steps, way[1:])), entry))
            best = max([best, *((way[depth - 1], -now, entry) for depth, entry in chains)])
            if any(self.out[row] for row in rows):  # chains that began before it end here
                latest = [-1] * (len(way) + 1)
                chains = [(depth, entry) for depth, entry in chains if entry >= rows[0]]
            for depth, entry in chains:
                latest[depth] = max(latest[depth], entry)
        return best


def _next_steps(free: list[int], steps: list[int], wanted: tuple[int, ...]) -> list[int]:
    """Rows of one moment for the next steps, one each, for as many as can be served (augmenting paths)."""
    serves: dict[int, int] = {}
    for step in wanted:
        if not _place(step, free, steps, serves, set()):
            break
    return sorted(serves, key=serves.get)


def _place(step: int, free: list[int], steps: list[int], serves: dict[int, int], tried: set[int]) -> bool:
    """Finds a row for a step, moving rows that serve others where that helps."""
    for row in free:
        if steps[row] >> step & 1 and row not in tried:
            tried.add(row)
            if row not in serves or _place(serves[row], free, steps, serves, tried):
                serves[row] = step
                return True
    return False
