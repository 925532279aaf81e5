"""What customers met between the entry of a funnel and its outcome, counted so that like can be set against like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.counts import Additive
from toolkit.funnels.chains import Search, chains, step_rows
from toolkit.funnels.ways import NOWHERE
from toolkit.study.table import Part

LENGTHS = np.append(np.arange(1, 12), 12 * 2 ** (np.arange(22) / 3)).astype(int)  # events at which customers compare
TIMES = np.append(0.5 ** np.arange(12, 0, -1), 1 - 0.5 ** np.arange(2, 9))  # bins: short near both ends of the window


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationCounts(Additive):
    """What associations add up to; v words, s strata (events on the way so far × time of the last of them); all int64.

    Attributes:
        seen: customers with any event in the period.
        young: entrants whose window is not over.
        early: entrants compared whose entry lies less than a window after the log's first event.
        people: 2 entrants compared: who did not convert, who did.
        met: 2 × v of these by what they met on the way.
        after: steps between the first and the last × v of these who met it only once they had reached the step.
        waited: milliseconds from entry to conversion in all.
        alike: 2 × s customers with so many events on the way behind them: who did not convert before the next, who did.
        alike_met: 2 × s × v of these by what they had met.
    """

    seen: int
    young: int
    early: int
    people: np.ndarray
    met: np.ndarray
    after: np.ndarray
    waited: int
    alike: np.ndarray
    alike_met: np.ndarray


def count_associations(part: Part, *, search: Search, by: str, watch: str, began: int) -> AssociationCounts:
    """Counts what customers met strictly between the entry and the outcome, or the end of the window.

    Args:
        part: some customers.
        search: steps and rules of the funnel; its own steps are not looked at.
        by: events column whose words are compared.
        watch: "alike" – customers compare after every event on the way (past eleven after some); "window" – once, after
            the last of them.
        began: first moment of the log, UTC µs.
    """
    table, v = part.table, len(part.words(by))
    steps = step_rows(part, search)
    found = chains(steps, search)
    entered, won = (found[:, step] != NOWHERE for step in (0, -1))
    start, wait = np.zeros(len(part), np.int64), np.zeros(len(part), np.int64)
    start[entered] = table.time[found[entered, 0]]
    compared = entered & (start <= part.observed_until - search.window)
    won, wait[compared] = won & compared, search.window
    wait[won] = table.time[found[won, -1]] - start[won]
    elapsed = table.time - start[table.customer]
    inside = (elapsed > 0) & (elapsed < wait[table.customer])
    inside[steps["row"]] = False
    rows = np.flatnonzero(inside)
    owner, code = table.customer[rows], table[by][rows].astype(np.int64)
    first = _first_met(owner, code, v)
    looks = _looks(owner, elapsed[rows] / search.window, won, watch)
    alike, alike_met = _alike(owner, code, first, looks, v)
    return AssociationCounts(
        seen=int((table.per_customer(part.anchored(table.time)) > 0).sum()),
        young=int((entered & ~compared).sum()),
        early=int((compared & (start < began + search.window)).sum()),
        people=np.array([(compared & ~won).sum(), won.sum()]),
        met=np.bincount(code[first] + v * won[owner[first]], minlength=2 * v).reshape(2, v),
        after=_after(table.time, rows[first], owner[first], code[first], found[:, 1:-1], v),
        waited=int((wait[won] // 1000).sum()),
        alike=alike,
        alike_met=alike_met,
    )


def _first_met(owner: np.ndarray, code: np.ndarray, v: int) -> np.ndarray:
    """The events on the way at which their owner meets a known word for the first time, ascending."""
    key = np.sort((owner * np.int64(v + 1) + code + 1) * len(owner) + np.arange(len(owner)))
    word, event = np.divmod(key, max(len(owner), 1))
    first = np.sort(event[np.append(True, word[1:] != word[:-1])[: len(word)]])
    return first[code[first] >= 0]


def _after(time: np.ndarray, event: np.ndarray, owner: np.ndarray, code: np.ndarray, found: np.ndarray, v: int):
    """Steps × words: how many met the word first after the step."""
    late = [
        (found[owner, step] != NOWHERE) & (time[event] > time[found[owner, step]]) for step in range(found.shape[1])
    ]
    return np.array([np.bincount(code[some], minlength=v) for some in late], np.int64).reshape(-1, v)


def _looks(owner: np.ndarray, passed: np.ndarray, won: np.ndarray, watch: str) -> tuple[np.ndarray, np.ndarray]:
    """The events after which their owner is compared; the stratum of each, in the upper half if they convert next."""
    n = np.bincount(owner, minlength=len(won))
    number = np.arange(1, len(owner) + 1) - (np.cumsum(n) - n)[owner]
    length = np.searchsorted(LENGTHS, number, side="right") - 1
    looked, converts, time = number == n[owner], won[owner], np.zeros(len(owner), np.int64)
    if watch == "alike":
        converts = converts & (n[owner] < np.append(LENGTHS[1:], np.iinfo(np.int64).max)[length])
        looked, time = number == LENGTHS[length], np.searchsorted(TIMES, passed)
    at = np.flatnonzero(looked)
    return at, (converts * len(LENGTHS) + length)[at] * (len(TIMES) + 1) + time[at]


def _alike(owner: np.ndarray, code: np.ndarray, first: np.ndarray, looks: tuple, v: int) -> tuple:
    """Customers by stratum, and by stratum and each word that they had met by then."""
    (at, stratum), size = looks, 2 * len(LENGTHS) * (len(TIMES) + 1)
    begin, end = np.searchsorted(at, first), np.searchsorted(owner[at], owner[first], side="right")
    times = end - begin  # the looks at its owner that come after the event
    seen = np.repeat(begin - np.cumsum(times) + times, times) + np.arange(times.sum())
    met = np.bincount(stratum[seen] * v + np.repeat(code[first], times), minlength=size * v)
    return np.bincount(stratum, minlength=size).reshape(2, -1), met.reshape(2, -1, v)
