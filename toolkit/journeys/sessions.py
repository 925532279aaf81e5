"""Sessions: a customer's events without a long pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Tally, by_bucket
from toolkit.journeys.coverage import need_events
from toolkit.results import Definition, Interval, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import JourneyTable, Part

OWN_PAGES = ("website", "product page", "blog and content")  # families of the catalogue
NEAR = 0.2  # gaps this close to the limit (as a share of it) show how much hangs on it


def own_pages(data: Data) -> list[str]:
    """Touchpoints that are pages of our own before the purchase is done: something more is expected there."""
    places = ((name, data.catalogue.place(name)) for name in data.vocabulary("touchpoint"))
    return [name for name, place in places if place and place.phase != "after" and place.family in OWN_PAGES]


def session_starts(table: JourneyTable, gap: int) -> np.ndarray:
    """Marks the first row of each session: a customer's first, or more than `gap` µs after the one before."""
    starts = table.first.copy()
    starts[1:] |= np.diff(table.time) > gap
    return starts


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts(Additive):
    """What sessions add up to.

    Attributes:
        per_bucket: 1,024 × 5 int64: customers with a session, sessions, those with one event; sessions that begin at an
            own page, those of them that bounce.
        events: int64 events in sessions.
        microseconds: int64 time from the first to the last event, of all sessions.
        near: int64 sessions with a pause within `NEAR` of the limit, in them or after them.
        lengths: tally of seconds per session.
        sizes: tally of events per session.
    """

    per_bucket: np.ndarray
    events: int
    microseconds: int
    near: int
    lengths: Tally
    sizes: Tally


def count_sessions(part: Part, *, gap: int, key: tuple[int, ...], own: tuple[int, ...]) -> SessionCounts:
    """Counts the sessions that begin in the period.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
        key: touchpoint codes that make any session engaged.
        own: touchpoint codes of pages of our own, where leaving at once is a loss.
    """
    table = part.table
    starts = np.flatnonzero(session_starts(table, gap))
    ends = np.append(starts[1:], len(table))
    kept = part.anchored(table.time[starts])
    near = _near_limit(table, starts, gap) & kept
    starts, ends = starts[kept], ends[kept]
    length, size = table.time[ends - 1] - table.time[starts], ends - starts
    alone, first = size == 1, table["touchpoint"][starts]
    begun = np.isin(first, own)
    kind = alone + 2 * begun + 4 * (alone & begun & ~np.isin(first, key))  # bits: single event, own page, bounce
    owner = table.customer[starts]
    bucket = part.bucket[owner]
    met = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    kinds = by_bucket(bucket, None, kind, 8)
    bits = [kinds[:, [k for k in range(8) if k & bit]].sum(axis=1) for bit in (1, 2, 4)]
    columns = (by_bucket(bucket[met])[:, 0], kinds.sum(axis=1), *bits)
    return SessionCounts(
        per_bucket=np.column_stack(columns),
        events=int(size.sum()),
        microseconds=int(length.sum()),
        near=int(near.sum()),
        lengths=Tally.of(np.zeros(len(length), np.int64), length / 1e6),
        sizes=Tally.of(np.zeros(len(size), np.int64), size),
    )


def _near_limit(table: JourneyTable, starts: np.ndarray, gap: int) -> np.ndarray:
    """Whether each session has, in it or after it, a pause that a slightly other limit would treat otherwise."""
    pauses, margin = np.diff(table.time), int(gap * NEAR)
    close = np.flatnonzero((pauses >= gap - margin) & (pauses <= gap + margin) & ~table.first[1:])
    near = np.zeros(len(starts), bool)
    near[np.searchsorted(starts, close, side="right") - 1] = True
    return near


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions(Result):
    """Sessions of a study; ask it for rates and intervals.

    Attributes:
        counts: what was counted.
        definition: the card.
    """

    counts: SessionCounts
    definition: Definition

    columns: ClassVar = {"median_seconds": "length (median)", "n_begun": "begun at own pages"}

    @property
    def n(self) -> int:
        """Sessions."""
        return int(self.counts.per_bucket[:, 1].sum())

    def rate(self, which: str = "bounce", level: float = 0.95) -> tuple[float, Interval]:
        """A share of sessions with its interval; sessions of one customer belong together.

        Args:
            which: "bounce" (of the sessions that begin at a page of our own, those of one event that is no purchase) or
                "single_event" (of all sessions, those of one event).
            level: of the interval, 0–1.
        """
        count, n = {"single_event": (2, 1), "bounce": (4, 3)}[which]
        rate, low, high = clustered_rate(self.counts.per_bucket[:, [count]], self.counts.per_bucket[:, [n]], level)
        return float(rate[0]), Interval(float(low[0]), float(high[0]), level)

    @property
    def headline(self) -> dict:
        """The bounce rate of sessions that begin at a page of our own."""
        rate, band = self.rate()
        begun = {"n_begun": int(self.counts.per_bucket[:, 3].sum())}
        named = {"bounce_rate": rate, "bounce_rate_low": band.low, "bounce_rate_high": band.high}
        return begun | named | {"what": "sessions that begin at a page of our own"}

    def rows(self) -> list[dict]:
        """One row: customers, sessions, events per session, time, and the two rates with intervals."""
        counts, n = self.counts, self.n
        customers = int(counts.per_bucket[:, 0].sum())
        single, band = self.rate("single_event")
        row = {
            "n_customers": customers,
            "n_sessions": n,
            "n_events": counts.events,
            "sessions_per_customer": n / customers if customers else float("nan"),
            "events_per_session": counts.events / n if n else float("nan"),
            "median_seconds": float(counts.lengths.quantile(0.5, groups=1)[0]),
            "single_event_rate": single,
            "single_event_rate_low": band.low,
            "single_event_rate_high": band.high,
            **self.headline,
            "near_gap_share": counts.near / n if n else float("nan"),
        }
        del row["what"]
        return [row]

    def say(self) -> list[str]:
        """How many sessions begin at our own pages, and how many of these are left at once."""
        if not self.n:
            return ["No session began in the period."]
        row, locale = self.rows()[0], self.definition.locale
        sessions, customers, begun = (
            show_number(row[key], "count", locale) for key in ("n_sessions", "n_customers", "n_begun")
        )
        if not row["n_begun"]:
            return [f"{customers} customers have {sessions} sessions; none begins at a page that we know as our own."]
        bounds = row["bounce_rate_low"], row["bounce_rate_high"]
        band = show_interval(row["bounce_rate"], bounds, "rate", locale)
        bounce = show_number(row["bounce_rate"], "rate", locale)
        own = f"{bounce} ({band}) of the {begun} sessions that begin at a page of our own are left at once."
        return [own, f"{customers} customers have {sessions} sessions in all, messages and deliveries among them."]


def sessions(data: Data, *, gap: str = "30min") -> Sessions:
    """Cuts each customer's events into sessions and counts them.

    Args:
        data: the study.
        gap: a longer pause begins a new session, such as "30min".

    Returns:
        One row: customers, sessions, the rates of one event and of bounces with intervals, and the share of sessions
        with a pause so near the gap that another gap would tell another story.

    Raises:
        MissingData: the study has no events.

    Example:
        >>> import toolkit as tk
        >>> tk.sessions(tk.open_data(tk.make_data(50, rng=1))).rows()[0]["n_customers"] <= 50
        True
    """
    need_events(data, "sessions")
    names = data.vocabulary("touchpoint")
    key, own = data.catalogue.names_with_role("purchase", names), own_pages(data)
    counts = run(data, count_sessions, gap=duration(gap), key=data.codes(key), own=data.codes(own))
    return Sessions(
        counts=counts,
        definition=data.definition(
            "Sessions",
            unit="session",
            population="sessions that began in the period",
            window=f"a pause of more than {gap} begins a new session",
            denominator="bounce: sessions that begin at a page of our own; single event, near gap: all sessions",
            rules="bounce: one event that is no purchase; single event: one event; length: first to last event, median "
            "of all sessions; near gap: a pause within 20 % of the limit. Intervals: 95 %, allowing for customers with "
            f"several sessions. Pages of our own: {', '.join(own) or 'none is known'}",
        ),
    )
