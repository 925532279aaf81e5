"""Transitions: from one touchpoint to the next, with a start before the first and an end after the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Tally, distinct_per_key
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import session_starts
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

START, END = "(start)", "(end)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionCounts(Additive):
    """What transitions add up to; v touchpoints, row v is the start, column v the end.

    Attributes:
        pairs: (v + 1) × (v + 1) int64, how often.
        customers: the same shape, by how many different customers.
        waits: tally of seconds between, group = row × (v + 1) + column; no start, no end.
        passing: int64 customers.
    """

    pairs: np.ndarray
    customers: np.ndarray
    waits: Tally
    passing: int


def count_transitions(part: Part, *, gap: int | None) -> TransitionCounts:
    """Counts consecutive touchpoints of one customer, or of one session, that begin in the period.

    Args:
        part: some customers.
        gap: longest pause within a session, µs; None takes whole journeys.
    """
    table, v = part.table, len(part.words("touchpoint"))
    first = table.first if gap is None else session_starts(table, gap)
    starts = np.flatnonzero(first)
    runs, begun = np.diff(starts, append=len(table)), part.anchored(table.time[starts])
    seen, ends = np.repeat(begun, runs), (starts + runs)[begun] - 1
    code = table["touchpoint"].astype(np.int32)
    before = np.append(np.int32(v), code[:-1])[: len(code)]
    before[starts] = v
    key, inner = (before * (v + 1) + code)[seen], ~first[seen]
    leaving, owner, size = code[ends] * (v + 1) + v, table.customer, (v + 1) * (v + 1)
    pairs = np.bincount(key, minlength=size) + np.bincount(leaving, minlength=size)
    customers = distinct_per_key(owner[seen], key, size) + distinct_per_key(owner[ends], leaving, size)
    return TransitionCounts(
        pairs=pairs.reshape(v + 1, v + 1),
        customers=customers.reshape(v + 1, v + 1),
        waits=Tally.of(key[inner], np.diff(table.time, prepend=0)[seen][inner] / 1e6),
        passing=int(np.count_nonzero(np.bincount(owner[ends]))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions(Result):
    """How customers move from touchpoint to touchpoint.

    Attributes:
        counts: what was counted.
        names: touchpoints, in the order of the counts.
        unit: "journey" or "session".
        small_cells: transitions of fewer customers are left out of the rows.
        definition: the card.
    """

    counts: TransitionCounts
    names: tuple[str, ...]
    unit: str
    small_cells: int
    definition: Definition

    shown_rows: ClassVar = 15

    def rows(self) -> list[dict]:
        """One row per transition, most frequent first: from, to, how often, customers, shares out and in, waits."""
        pairs, v = self.counts.pairs, len(self.names)
        shown = np.argwhere((pairs > 0) & (self.counts.customers >= max(self.small_cells, 1)))
        quantiles = [self.counts.waits.quantile(q, groups=(v + 1) ** 2) for q in (0.5, 0.95)]
        out, into = pairs.sum(axis=1), pairs.sum(axis=0)
        rows = [
            {
                "from": START if i == v else self.names[i],
                "to": END if j == v else self.names[j],
                "n_transitions": int(pairs[i, j]),
                "n_customers": int(self.counts.customers[i, j]),
                "out_share": float(pairs[i, j] / out[i]),
                "in_share": float(pairs[i, j] / into[j]),
                "median_seconds": float(quantiles[0][i * (v + 1) + j]),
                "p95_seconds": float(quantiles[1][i * (v + 1) + j]),
                "again": bool(i == j),
            }
            for i, j in shown
        ]
        return sorted(rows, key=lambda row: (-row["n_transitions"], row["from"], row["to"]))

    @property
    def ledger(self) -> dict[str, int]:
        """Transitions shown, and those hidden because too few customers made them; together all."""
        hidden = self.counts.pairs[self.counts.customers < max(self.small_cells, 1)].sum()
        return {
            "shown": int(self.counts.pairs.sum() - hidden),
            "hidden": int(hidden),
            "all": int(self.counts.pairs.sum()),
        }

    def say(self) -> list[str]:
        """The most frequent way on, and where journeys end."""
        rows, locale = self.rows(), self.definition.locale
        ways = [row for row in rows if row["from"] != START and row["to"] != END and not row["again"]]
        ends = [row for row in rows if row["to"] == END]
        said = []
        if ways:
            way = ways[0]
            share, n = show_number(way["out_share"], "rate", locale), show_number(way["n_transitions"], "count", locale)
            said.append(
                f"The most frequent step within {self.unit}s is from {way['from']} to {way['to']}: {n} times, {share} "
                f"of what follows {way['from']}."
            )
        if ends:
            share = show_number(ends[0]["in_share"], "rate", locale)
            said.append(f"{share} of the {self.unit}s end at {ends[0]['from']}, more than anywhere else.")
        return said


def transitions(data: Data, *, within: str | None = None) -> Transitions:
    """Counts which touchpoint follows which.

    Args:
        data: the study.
        within: longest pause within a session, such as "30min": transitions then stay within sessions. Left out: whole
            journeys.

    Returns:
        One row per transition that enough customers made: how often, share of what leaves `from` and of what reaches
        `to`, and the median and 95th percentile of the seconds between.

    Raises:
        MissingData: the study has no events.

    Example:
        >>> import toolkit as tk
        >>> tk.transitions(tk.open_data(tk.make_data(50, rng=1), small_cells=0)).rows()[0]["n_transitions"] > 0
        True
    """
    need_events(data, "what follows what")
    return Transitions(
        counts=run(data, count_transitions, gap=duration(within) if within else None),
        names=data.vocabulary("touchpoint"),
        unit="session" if within else "journey",
        small_cells=data.small_cells,
        definition=data.definition(
            "Transitions within sessions" if within else "Transitions",
            unit="transition",
            population=f"{'sessions' if within else 'journeys'} that began in the period",
            window=f"a pause of more than {within} ends a session" if within else "the whole journey",
            denominator="share out: all that leave the touchpoint; share in: all that reach it",
            rules=f"{START} and {END} are counted as transitions and have no waiting time; transitions of fewer than "
            f"{data.small_cells} customers are not listed",
        ),
    )
