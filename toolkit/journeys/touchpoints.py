"""The touchpoint inventory: where customers meet us, how often, and what they do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, by_bucket, distinct_per_key
from toolkit.errors import several
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import own_pages, session_starts
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.shares import wilson
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

NOT_PLACED = "(not placed)"
FEW = "(met by too few customers to be shown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchpointCounts(Additive):
    """What touchpoints add up to; v touchpoints.

    Attributes:
        events: v int64 events in the period.
        customers: v int64 different customers.
        sessions: v int64 different sessions.
        entries: 1,024 × v int64 sessions that begin here.
        bounces: 1,024 × v int64 of these, of one event that is no conversion.
        beginners: v int64 different customers with a session that begins here.
        met: 2 × v int64 customers who met it: those who did not convert, those who did (before they did).
        people: 2 int64 customers who did not convert, who did.
        channels: v × c int64 events by channel.
        stages: v × s int64 events by the data's own stage.
        load: 1,024 × v float64 load time in ms; loads: how many were measured.
    """

    events: np.ndarray
    customers: np.ndarray
    sessions: np.ndarray
    entries: np.ndarray
    bounces: np.ndarray
    beginners: np.ndarray
    met: np.ndarray
    people: np.ndarray
    channels: np.ndarray
    stages: np.ndarray
    load: np.ndarray
    loads: np.ndarray


def count_touchpoints(part: Part, *, gap: int, key: Sequence[int]) -> TouchpointCounts:
    """Counts the events of the period by touchpoint.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
        key: touchpoint codes that are the conversion.
    """
    table, v = part.table, len(part.words("touchpoint"))
    code, owner, inside = table["touchpoint"].astype(np.int64), table.customer, part.anchored(table.time)
    starts = session_starts(table, gap)
    session = np.cumsum(starts) - 1
    done = np.full(len(part), np.iinfo(np.int64).max)
    sold = np.flatnonzero(np.isin(code, key) & inside)[::-1]
    done[owner[sold]] = table.time[sold]
    converted = done < np.iinfo(np.int64).max
    before = inside & (table.time <= done[owner])
    met = distinct_per_key(owner[before], code[before] + v * converted[owner[before]], 2 * v)
    present = table.per_customer(inside) > 0
    return TouchpointCounts(
        events=np.bincount(code[inside], minlength=v),
        customers=distinct_per_key(owner[inside], code[inside], v),
        sessions=distinct_per_key(session[inside], code[inside], v),
        **_entries(part, starts, code, key),
        met=met.reshape(2, v),
        people=np.array([(present & ~converted).sum(), (present & converted).sum()]),
        channels=_crossed(part, "channel", code, inside),
        stages=_crossed(part, "stage", code, inside),
        **_load(part, code, inside),
    )


def _entries(part: Part, starts: np.ndarray, code: np.ndarray, key: Sequence[int]) -> dict[str, np.ndarray]:
    """Sessions by the touchpoint they begin with, and those left at once."""
    table, v = part.table, len(part.words("touchpoint"))
    first = np.flatnonzero(starts)
    ends = np.append(first[1:], len(table))
    alone = (ends - first == 1) & ~np.isin(code[first], key)
    mine = part.anchored(table.time[first])
    bucket = part.bucket[table.customer[first]]
    left = mine & alone
    return {
        "entries": by_bucket(bucket[mine], None, code[first][mine], v),
        "bounces": by_bucket(bucket[left], None, code[first][left], v),
        "beginners": distinct_per_key(table.customer[first][mine], code[first][mine], v),
    }


def _crossed(part: Part, column: str, code: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Events by touchpoint and another column, unknown left out."""
    v, size = len(part.words("touchpoint")), len(part.words(column))
    if not size:
        return np.zeros((v, 0), np.int64)
    other = part.table[column]
    both = inside & (other >= 0)
    return np.bincount(code[both] * size + other[both], minlength=v * size).reshape(v, size)


def _load(part: Part, code: np.ndarray, inside: np.ndarray) -> dict[str, np.ndarray]:
    v = len(part.words("touchpoint"))
    if "load_ms" not in part.table:
        return {"load": np.zeros((1024, v)), "loads": np.zeros(v, np.int64)}
    value = part.table["load_ms"]
    known = inside & ~np.isnan(value)
    bucket = part.bucket[part.table.customer[known]]
    return {"load": by_bucket(bucket, value[known], code[known], v), "loads": np.bincount(code[known], minlength=v)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Touchpoints(Result):
    """The inventory of touchpoints.

    Attributes:
        counts: what was counted.
        names: touchpoints, in the order of the counts.
        stages: stage of each, "" where neither the data nor the catalogue gives one.
        channels: names of the channels.
        goal: touchpoints that are the conversion.
        own: touchpoints that are pages of our own, where leaving at once is a loss.
        small_cells: touchpoints met by fewer customers are not listed.
        definition: the card.
    """

    counts: TouchpointCounts
    names: tuple[str, ...]
    stages: tuple[str, ...]
    channels: tuple[str, ...]
    goal: tuple[str, ...]
    own: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "n_customers": "customers",
        "reach_share": "of all",
        "n_begun": "begin here",
        "converting_share": "of converting",
        "other_share": "of others",
        "load_seconds": "load (mean)",
        "channel": "main channel",
    }

    def rows(self) -> list[dict]:
        """One row per touchpoint, widest reach first.

        Columns: customers who met it and their share of all, events, sessions with it and sessions that begin with it,
        bounce rate of the latter, share of converting and of other customers who met it, mean load time, stage, and the
        channel of most of its events.
        """
        counts, people = self.counts, self.counts.people
        shares = {"bounce_rate": self._bounce(), "converting_share": self._met(1), "other_share": self._met(0)}
        rows = []
        for i in np.flatnonzero(counts.customers >= max(self.small_cells, 1)):
            name = self.names[i]
            row = {"touchpoint": name, "n_customers": int(counts.customers[i])}
            row |= {"reach_share": float(counts.customers[i] / people.sum()), "n_events": int(counts.events[i])}
            row |= {"n_sessions": int(counts.sessions[i]), "n_begun": int(counts.entries[:, i].sum())}
            for key, values in shares.items():
                row |= {f"{key}{end}": float(v[i]) for end, v in zip(("", "_low", "_high"), values, strict=True)}
            if counts.loads.any():
                mean = counts.load[:, i].sum() / counts.loads[i] / 1000 if counts.loads[i] else np.nan
                row["load_seconds"] = float(mean)
            rows.append(row | {"stage": self.stages[i] or NOT_PLACED, "channel": self._channel(i)})
        return sorted(rows, key=lambda row: (-row["n_customers"], row["touchpoint"]))

    def _bounce(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounce rate by touchpoint, where enough customers begin; sessions of a customer belong together."""
        rates = clustered_rate(self.counts.bounces, self.counts.entries)
        enough = self.counts.beginners >= max(self.small_cells, 1)
        return tuple(np.where(enough, values, np.nan) for values in rates)

    def _met(self, who: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of the customers who did (1) or did not (0) convert that met each touchpoint; few are not shown."""
        met, people = self.counts.met[who], int(self.counts.people[who])
        shown = (people >= max(self.small_cells, 1)) & ((met == 0) | (met >= self.small_cells))
        low, high = wilson(met, np.full(len(met), people))
        return tuple(np.where(shown, values, np.nan) for values in (met / max(people, 1), low, high))

    def _channel(self, i: int) -> str:
        by_channel = self.counts.channels[i]
        return self.channels[int(by_channel.argmax())] if by_channel.sum() else ""

    @property
    def coverage(self) -> float:
        """Share of the events whose touchpoint has a stage."""
        placed = np.array([bool(stage) for stage in self.stages], bool)
        total = self.counts.events.sum()
        return float(self.counts.events[placed].sum() / total) if total else float("nan")

    @property
    def ledger(self) -> dict[str, int]:
        """Events shown and events of touchpoints that too few customers met; together all."""
        hidden = self.counts.events[self.counts.customers < max(self.small_cells, 1)].sum()
        return {
            "shown": int(self.counts.events.sum() - hidden),
            "hidden": int(hidden),
            "all": int(self.counts.events.sum()),
        }

    def say(self) -> list[str]:
        """How many touchpoints, the widest reach, and how much of it has a stage."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No touchpoint was met by enough customers in the period."]
        top = rows[0]
        share = show_number(top["reach_share"], "rate", locale)
        n = show_number(int(self.counts.people.sum()), "count", locale)
        many = f"{len(rows)} touchpoint{'s' * (len(rows) > 1)}"
        said = [f"Customers meet us at {many}; {top['touchpoint']} reaches most: {share} of {n}."]
        left = [row for row in rows if row["bounce_rate"] == row["bounce_rate"] and row["touchpoint"] in self.own]
        if left:
            worst = max(left, key=lambda row: row["bounce_rate_low"])
            bounds = worst["bounce_rate_low"], worst["bounce_rate_high"]
            rate, band = (
                show_number(worst["bounce_rate"], "rate", locale),
                show_interval(worst["bounce_rate"], bounds, "rate", locale),
            )
            said.append(
                f"Of the sessions that begin at a page of our own, those at {worst['touchpoint']} are left at once "
                f"most often: {rate} ({band})."
            )
        return [*said, f"{show_number(self.coverage, 'rate', locale)} of the events have a stage."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages(Result):
    """How touchpoints and events divide over the stages.

    Attributes:
        events: events of each touchpoint, by stage.
        definition: the card.
    """

    events: dict[str, list[int]]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per stage, most events first: touchpoints, events, share of events."""
        total = max(sum(map(sum, self.events.values())), 1)
        rows = [
            {"stage": stage, "n_touchpoints": len(some), "n_events": sum(some), "event_share": sum(some) / total}
            for stage, some in self.events.items()
        ]
        return sorted(rows, key=lambda row: -row["n_events"])

    def say(self) -> list[str]:
        """The stage with most events."""
        rows = self.rows()
        share = show_number(rows[0]["event_share"], "rate", self.definition.locale) if rows else ""
        return [f"{share} of the events belong to {rows[0]['stage']}."] if rows else []


def touchpoints(data: Data, *, goal: Sequence[str] | None = None, gap: str = "30min") -> Touchpoints:
    """Every touchpoint with its stage, volume, reach, sessions and bounce, and who met it.

    Args:
        data: the study.
        goal: touchpoints that are the conversion; the catalogue's purchases when left out.
        gap: longest pause within a session.

    Returns:
        One row per touchpoint that enough customers met. The two shares compare customers who converted (up to their
        first conversion) with those who did not; they are no effect: longer journeys meet more of everything.

    Raises:
        MissingData: the study has no events.

    Example:
        >>> import toolkit as tk
        >>> rows = tk.touchpoints(tk.open_data(tk.make_data(200, rng=1))).rows()
        >>> rows[0]["n_customers"] >= rows[-1]["n_customers"]
        True
    """
    need_events(data, "touchpoints")
    names = data.vocabulary("touchpoint")
    goal = several(goal) if goal else data.catalogue.names_with_role("purchase", names)
    counts = run(data, count_touchpoints, gap=duration(gap), key=data.codes(goal))
    card = data.definition(
        "Touchpoints",
        unit="customer, session or event as named",
        population="events in the period",
        window=f"a pause of more than {gap} begins a new session",
        denominator="reach: customers with an event; bounce: sessions that begin here; shares: customers who converted "
        f"({', '.join(goal) or 'no conversion is known'}), up to their first conversion, and customers who did not",
        rules="bounce: one event that is no conversion. Intervals: Wilson, 95 %, for bounce allowing for customers "
        "with several sessions. The shares are no effect: who converts is watched up to that moment only, and who "
        "stays longer meets more of everything. Load: mean",
    )
    return Touchpoints(
        counts=counts,
        names=names,
        stages=_stages(data, counts),
        channels=data.vocabulary("channel"),
        goal=tuple(goal),
        own=tuple(own_pages(data)),
        small_cells=data.small_cells,
        definition=card,
    )


def stages(inventory: Touchpoints) -> Stages:
    """How touchpoints and their events spread over the stages.

    Args:
        inventory: what `touchpoints` found.

    Returns:
        One row per stage, those the catalogue does not place apart.

    Example:
        >>> import toolkit as tk
        >>> tk.stages(tk.touchpoints(tk.open_data(tk.make_data(50, rng=1)))).definition.measure
        'Stages'
    """
    placed: dict[str, list[int]] = {}
    for row in inventory.rows():
        placed.setdefault(row["stage"], []).append(row["n_events"])
    if hidden := inventory.ledger["hidden"]:
        placed[FEW] = [hidden]
    card = replace(inventory.definition, measure="Stages", denominator="events", rules="")
    return Stages(events=placed, definition=card)


def _stages(data: Data, counts: TouchpointCounts) -> tuple[str, ...]:
    """Stage of each touchpoint: the data's own where it has one, else the catalogue's."""
    own, names = data.vocabulary("stage"), data.vocabulary("touchpoint")
    return tuple(
        own[int(counts.stages[i].argmax())] if own and counts.stages[i].any() else data.catalogue.stage_of(name)
        for i, name in enumerate(names)
    )
