"""Exits: at which touchpoints sessions end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, by_bucket, distinct_per_key
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import OWN_PAGES, session_starts
from toolkit.paths.common import UNKNOWN, rate_of
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

ON_THE_WAY = (*OWN_PAGES, "checkout")  # families of the catalogue: before the purchase an exit is a loss there


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCounts(Additive):
    """What exits add up to; v touchpoints, the last one unknown.

    Attributes:
        visits: 1,024 × (v + 1) int64 events that were watched for longer than the gap.
        exits: the same of those at which a session ended.
        customers: v + 1 int64 different customers with such an event.
        pending: int64 events after which it is not known yet.
    """

    visits: np.ndarray
    exits: np.ndarray
    customers: np.ndarray
    pending: int


def count_exits(part: Part, *, gap: int) -> ExitCounts:
    """Counts the events of the sessions that begin in the period, and those that are a session's last.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
    """
    table, size = part.table, len(part.words("touchpoint")) + 1
    starts = session_starts(table, gap)
    begun = np.flatnonzero(starts)
    inside = np.repeat(part.anchored(table.time[begun]), np.diff(begun, append=len(table)))
    over = inside & (table.time <= part.observed_until - gap)
    last = np.append(starts[1:], True)[: len(table)] & over
    code, bucket = table["touchpoint"].astype(np.int64), part.bucket[table.customer]
    code[code < 0] = size - 1
    return ExitCounts(
        visits=by_bucket(bucket[over], None, code[over], size),
        exits=by_bucket(bucket[last], None, code[last], size),
        customers=distinct_per_key(table.customer[over], code[over], size),
        pending=int((inside & ~over).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits(Result):
    """Where sessions end.

    Attributes:
        counts: what was counted.
        names: touchpoints, in the order of the counts.
        on_the_way: names of touchpoints at which an exit is a loss.
        small_cells: touchpoints of fewer customers are not listed.
        definition: the card.
    """

    counts: ExitCounts
    names: tuple[str, ...]
    on_the_way: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {"end_share": "of all ends"}

    def rows(self) -> list[dict]:
        """One row per touchpoint, most exits first: visits, customers, exits, share of all ends, exit rate."""
        visits, exits = self.counts.visits.sum(axis=0), self.counts.exits.sum(axis=0)
        rates = np.array(clustered_rate(self.counts.exits, self.counts.visits))
        rows = []
        for i in np.flatnonzero(self._shown):
            row = {"touchpoint": [*self.names, UNKNOWN][i], "n_visits": int(visits[i])}
            row |= {"n_customers": int(self.counts.customers[i]), "n_exits": int(exits[i])}
            row["end_share"] = float(exits[i] / max(exits.sum(), 1))
            rows.append(
                row | dict(zip(("exit_rate", "exit_rate_low", "exit_rate_high"), rates[:, i].tolist(), strict=True))
            )
        return sorted(rows, key=lambda row: (-row["n_exits"], row["touchpoint"]))

    @property
    def _shown(self) -> np.ndarray:
        return self.counts.customers >= max(self.small_cells, 1)

    @property
    def ledger(self) -> dict[str, int]:
        """Visits listed, those of touchpoints that too few customers met, and those not known yet; together all."""
        visits = self.counts.visits.sum(axis=0)
        parts = {"shown": int(visits[self._shown].sum()), "other": int(visits[~self._shown].sum())}
        parts["pending"] = self.counts.pending
        return parts | {"all": sum(parts.values())}

    def say(self) -> list[str]:
        """Where most sessions end, and where on the way to a purchase an exit is most likely."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No touchpoint was met by enough customers."]
        share = show_number(rows[0]["end_share"], "rate", locale)
        said = [f"{share} of the sessions end at {rows[0]['touchpoint']}, more than anywhere else."]
        losses = [row for row in rows if row["touchpoint"] in self.on_the_way]
        if losses:
            row = max(losses, key=lambda row: row["exit_rate_low"])
            n, rate = show_number(row["n_visits"], "count", locale), rate_of(row, "exit_rate", locale)
            where = f"On the way to a purchase an exit is most likely at {row['touchpoint']}"
            said.append(f"{where}: {rate} of its {n} visits are the last of their session.")
        return said


def exits(data: Data, *, within: str = "30min") -> Exits:
    """At which touchpoints sessions end, and how often a visit to each is the last one.

    Args:
        data: the study.
        within: longest pause within a session, such as "30min" or "7d".

    Returns:
        One row per touchpoint that enough customers met: visits, exits, its share of all ends of sessions, and the exit
        rate (exits of visits) with an interval that allows for customers with many visits.

    Raises:
        MissingData: the study has no events.

    Example:
        >>> import toolkit as tk
        >>> rows = tk.exits(tk.open_data(tk.make_data(200, rng=1))).rows()
        >>> rows[0]["n_exits"] >= rows[-1]["n_exits"]
        True
    """
    need_events(data, "exits")
    names = data.vocabulary("touchpoint")
    places = [(name, data.catalogue.place(name)) for name in names]
    way = [n for n, at in places if at and at.family in ON_THE_WAY and at.phase != "after" and at.role != "purchase"]
    return Exits(
        counts=run(data, count_exits, gap=duration(within)),
        names=names,
        on_the_way=tuple(way),
        small_cells=data.small_cells,
        definition=data.definition(
            "Exits",
            unit="visit: one event at the touchpoint",
            population="visits of sessions that began in the period",
            window=f"a pause of more than {within} ends a session; visits watched for less are pending",
            denominator="exit rate: visits to the touchpoint; of all ends: sessions that ended",
            rules="an end is no loss by itself: messages and deliveries end most of the sessions they begin. "
            "Intervals: 95 %, allowing for customers with several visits",
        ),
    )
