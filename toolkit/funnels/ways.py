"""The ways through the steps: from entries to chains, all units at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolkit.funnels.ties import tied
from toolkit.study.table import JourneyTable

if TYPE_CHECKING:
    from toolkit.funnels.chains import Search

NOWHERE = -1


def searched(table: JourneyTable, search: Search) -> np.ndarray:
    """Units whose rows must be tried one by one: a row may serve several steps, or what stands beside it matters."""
    steps = table["steps"]
    if search.ties == "favour" and search.order != "any" and (search.order == "strict" or (steps & (steps - 1)).any()):
        return tied(table)
    return np.zeros(len(table.sizes), bool)


def places_of(table: JourneyTable, search: Search) -> np.ndarray:
    """The places of the chains that count, found all at once; units without an entry have none."""
    low, high = _reach(table, search)
    if search.order == "ordered" and search.entry == "best":
        return _from_each(table, _best(table, search, low), high, search)
    at = np.flatnonzero(table["entry"])
    if search.order == "any" and search.ties == "favour":  # the first of each moment has the others after it
        at = at[np.diff(table.moment[at], prepend=0) != 0]
    places = _from_each(table, at, high, search)
    if search.entry == "best":
        return places[_deepest(table, places, search)]
    return places if search.entry == "first" else places[_attempts(table, places, high, search)]


def _reach(table: JourneyTable, search: Search) -> tuple[np.ndarray, np.ndarray]:
    """Per row the first row that may be its entry, and, were it one, the first row out of its reach."""
    low, high = (np.repeat(ends.astype(np.int32), table.sizes) for ends in (table.offsets[:-1], table.offsets[1:]))
    if not search.exclude:
        return low, high
    n, out = len(table), table["excluded"]
    first = last = np.arange(n)
    if search.ties == "favour":  # what shares a moment with an excluded event stands on the side that helps
        first, last = (np.searchsorted(table.moment, table.moment, side=side) for side in ("left", "right"))
        begins, ends = first, last
    else:
        begins, ends = first + 1, last
    before = np.maximum.accumulate(np.append(0, np.where(out, begins, 0)))
    after = np.minimum.accumulate(np.append(np.where(out, ends, n), n)[::-1])[::-1]
    return np.maximum(low, before[first]), np.minimum(high, after[last])


def _best(table: JourneyTable, search: Search, low: np.ndarray) -> np.ndarray:
    """The entry of each unit whose ordered chain is deepest, then earliest done, then latest entered."""
    time, start = table.time, np.full(len(table.sizes), NOWHERE)
    entries = np.flatnonzero(table["entry"]).astype(np.int32)
    before = [(entries, entries)]  # rows of the steps that may come just before, and the latest entry that got there
    for step in range(len(search.steps)):
        reached = entries
        if step:
            latest = np.full(len(table) + 1, NOWHERE, np.int32)  # one place on: a chain goes on at a later row
            for rows, entry in before:
                latest[1:][rows] = entry if len(before) == 1 else np.maximum(latest[1:][rows], entry)
            rows = np.flatnonzero(table["steps"] & (1 << step))
            entry = np.maximum.accumulate(latest)[rows]
            inside = entry >= low[rows]
            inside &= time[rows] - time[entry] <= search.window
            reached, entries = rows[inside], entry[inside]
            before = [*(before if step in search.optional else []), (reached, entries)]
        start[table.customer[reached][::-1]] = entries[::-1]  # the first row of each unit is written last
    return start[start != NOWHERE]


def _from_each(table: JourneyTable, at: np.ndarray, high: np.ndarray, search: Search) -> np.ndarray:
    """From each entry the chain that is deepest, then earliest done, then misses fewest steps."""
    if search.order == "any":
        return _any_order(table, at, high, search)
    first, *others = (_along(table, at, high, search, way) for way in search.ways)
    for chain in others:
        better = np.zeros(len(at), bool)
        for mine, best in zip(*(_merit(table, some, search)[::-1] for some in (chain, first)), strict=True):
            better = (mine > best) | (mine == best) & better
        first[better] = chain[better]
    return first


def _merit(table: JourneyTable, chain: np.ndarray, search: Search) -> list[np.ndarray]:
    """What chains are compared by: the last step reached, how early it was done, how many steps were taken."""
    there = chain >= 0
    depth = there.shape[1] - np.argmax(there[:, ::-1], axis=1)
    done = chain[np.arange(len(chain)), depth - 1]
    return [depth, -(table.time[done] if search.ties == "favour" else done), there.sum(axis=1)]


def _along(table: JourneyTable, at: np.ndarray, high: np.ndarray, search: Search, way: tuple[int, ...]) -> np.ndarray:
    """From each entry to the earliest row of each next step of the way, as long as they lie within reach."""
    found = np.full((len(at), len(search.steps)), NOWHERE)
    found[:, 0] = at
    going, stop, start, steps = np.arange(len(at)), high[at], table.time[at], table["steps"]
    for step in way[1:]:
        if search.order == "strict":
            at = at + 1
            on = at < stop
            on[on] = (steps[at[on]] & (1 << step)) != 0
        else:
            rows = np.flatnonzero(steps & (1 << step))
            at = np.append(rows, len(table))[np.searchsorted(rows, at, side="right")]
            on = at < stop
        on[on] = table.time[at[on]] - start[on] <= search.window
        going, at, stop, start = going[on], at[on], stop[on], start[on]
        found[going, step] = at
    return found


def _any_order(table: JourneyTable, at: np.ndarray, high: np.ndarray, search: Search) -> np.ndarray:
    """From each entry the first row of each step within reach, in order of time; steps alike take different rows."""
    n, asked = len(table), [step.conditions for step in search.steps]
    found = np.full((len(at), len(asked)), n)
    for step, conditions in enumerate(asked):
        rows = np.append(np.flatnonzero(table["steps"] & (1 << step)), n)
        on = rows[np.minimum(np.searchsorted(rows, at) + asked[:step].count(conditions), len(rows) - 1)]
        inside = on < high[at]
        inside[inside] = table.time[on[inside]] - table.time[at[inside]] <= search.window
        found[inside, step] = on[inside]
    found.sort(axis=1)
    found[found == n] = NOWHERE
    return found


def _deepest(table: JourneyTable, places: np.ndarray, search: Search) -> np.ndarray:
    """Of each unit the chain that is deepest, then earliest done, then latest entered."""
    kept, unit = np.arange(len(places)), table.customer[places[:, 0]]
    for merit in _merit(table, places, search)[:2]:
        firsts = np.flatnonzero(np.diff(unit[kept], prepend=-1))
        most = np.maximum.reduceat(merit[kept], firsts) if len(firsts) else firsts
        kept = kept[merit[kept] == np.repeat(most, np.diff(firsts, append=len(kept)))]
    return kept[np.diff(unit[kept], append=-1) != 0]


def _attempts(table: JourneyTable, places: np.ndarray, high: np.ndarray, search: Search) -> np.ndarray:
    """Of the chains of all entries those that are attempts: each opens after the one before has ended."""
    at, end = places[:, 0], places.max(axis=1) + 1
    unit = table.customer[at]
    if search.order != "strict":  # there whatever comes next ends an attempt
        over = table.last_before(unit, table.time[at] + search.window) + 1
        end = np.where(places[:, -1] >= 0, end, np.minimum(high[at], over))
    following = np.searchsorted(at, end)
    following[np.append(unit, -1)[following] != unit] = len(at)
    taken, now = np.zeros(len(at) + 1, bool), np.flatnonzero(np.diff(unit, prepend=-1))
    while len(now):
        taken[now] = True
        now = following[now]
        now = now[now < len(at)]
    return taken[:-1]
