"""Moments of a visit after which something good or bad may follow, and whether it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.journeys.sessions import own_pages, session_starts
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.table import Part

SLOW = 3.0  # seconds; the limit the field sets for a page
FINISHED, LEFT, WAITED = "checkouts finished", "visits left at once", f"pages slower than {SLOW:g} s"


class Asked(NamedTuple):
    """Touchpoint codes by what they are, and the longest pause within a session in µs."""

    own: tuple[int, ...]
    checkout: tuple[int, ...]
    purchase: tuple[int, ...]
    gap: int

    @classmethod
    def of(cls, data: Data, gap: str) -> Asked:
        """What the catalogue says of the study's touchpoints."""
        names = data.vocabulary("touchpoint")
        roles = (data.codes(data.catalogue.names_with_role(role, names)) for role in ("checkout", "purchase"))
        return cls(data.codes(own_pages(data)), *roles, duration(gap))


def outcomes(part: Part, asked: Asked) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows of the period's events and what became of each, by the name of the measure.

    Returns:
        "checkouts finished": the first checkout of a session, and whether a purchase follows in it (sessions that had
        time to end). "visits left at once": the first event of a session that begins at a page of our own, and whether
        it is the only one. "pages slower than 3 s": events with a load time.
    """
    table, code = part.table, part.table["touchpoint"]
    starts = session_starts(table, asked.gap)
    session = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    alone = np.diff(np.append(first, len(table))) == 1
    bought = np.full(len(first), np.iinfo(np.int64).min)
    sold = np.flatnonzero(np.isin(code, asked.purchase))
    bought[session[sold]] = table.time[sold]  # of several the last stays
    begun = np.flatnonzero(np.isin(code, asked.checkout))
    begun = begun[np.diff(session[begun], prepend=-1) > 0]
    begun = begun[table.time[begun] + asked.gap <= part.observed_until]
    mine = np.isin(code[first], asked.own)
    load = table["load_ms"] if "load_ms" in table else np.full(len(table), np.nan)
    timed = np.flatnonzero(~np.isnan(load))
    found = {
        FINISHED: (begun, bought[session[begun]] >= table.time[begun]),
        LEFT: (first[mine], alone[mine]),
        WAITED: (timed, load[timed] > 1000 * SLOW),
    }
    kept = {name: part.anchored(table.time[rows]) for name, (rows, _) in found.items()}
    return {name: (rows[kept[name]], did[kept[name]]) for name, (rows, did) in found.items()}
