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
ENGAGED = 10_000_000  # µs; a session this long is engaged by GA4's rule
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
        viewed: 1,024 × 2 int64: sessions with the view of a page, those of them that are not engaged by GA4's rule.
        events: int64 events in sessions.
        microseconds: int64 time from the first to the last event, of all sessions.
        near: int64 sessions with a pause within `NEAR` of the limit, in them or after them.
        lengths: tally of seconds per session.
        sizes: tally of events per session.
    """

    per_bucket: np.ndarray
    viewed: np.ndarray
    events: int
    microseconds: int
    near: int
    lengths: Tally
    sizes: Tally


def count_sessions(
    part: Part, *, gap: int, key: tuple[int, ...], own: tuple[int, ...], views: tuple[int, ...] = ()
) -> SessionCounts:
    """Counts the sessions that begin in the period.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
        key: touchpoint codes that make any session engaged.
        own: touchpoint codes of pages of our own, where leaving at once is a loss.
        views: touchpoint codes that are the view of a page.
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
    seen, sold = (_met(table, codes, starts, ends) for codes in (views, key))
    idle = (seen == 1) & (length < ENGAGED) & (sold == 0)
    owner = table.customer[starts]
    bucket = part.bucket[owner]
    met = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    kinds = by_bucket(bucket, None, kind, 8)
    bits = [kinds[:, [k for k in range(8) if k & bit]].sum(axis=1) for bit in (1, 2, 4)]
    columns = (by_bucket(bucket[met])[:, 0], kinds.sum(axis=1), *bits)
    return SessionCounts(
        per_bucket=np.column_stack(columns),
        viewed=np.column_stack([by_bucket(bucket[some])[:, 0] for some in (seen > 0, idle)]),
        events=int(size.sum()),
        microseconds=int(length.sum()),
        near=int(near.sum()),
        lengths=Tally.of(np.zeros(len(length), np.int64), length / 1e6),
        sizes=Tally.of(np.zeros(len(size), np.int64), size),
    )


def _met(table: JourneyTable, codes: tuple[int, ...], starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many events of each session are at some touchpoints."""
    running = np.append(np.int32(0), np.cumsum(np.isin(table["touchpoint"], codes), dtype=np.int32))
    return running[ends] - running[starts]


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

    columns: ClassVar = {
        "median_seconds": "length (median)",
        "n_begun": "begun at own pages",
        "n_viewed": "with a page view",
        "ga4_bounce_rate": "bounce by GA4's rule",
    }
    aside: ClassVar = ("n_events", "sessions_per_customer", "single_event_rate", "near_gap_share")

    @property
    def n(self) -> int:
        """Sessions."""
        return int(self.counts.per_bucket[:, 1].sum())

    def rate(self, which: str = "bounce", level: float = 0.95) -> tuple[float, Interval]:
        """A share of sessions with its interval; sessions of one customer belong together.

        Args:
            which: "bounce" (of the sessions that begin at a page of our own, those of one event that is no purchase),
                "single_event" (of all sessions, those of one event) or "ga4" (of the sessions with a page view, those
                of one view, under ten seconds and without a purchase).
            level: of the interval, 0–1.
        """
        counts = self.counts
        columns = {"single_event": counts.per_bucket[:, [2, 1]], "bounce": counts.per_bucket[:, [4, 3]]}
        both = (columns | {"ga4": counts.viewed[:, ::-1]})[which]
        rate, low, high = clustered_rate(both[:, [0]], both[:, [1]], level)
        return float(rate[0]), Interval(float(low[0]), float(high[0]), level)

    @property
    def headline(self) -> dict:
        """The bounce rate of sessions that begin at a page of our own."""
        rate, band = self.rate()
        begun = {"n_begun": int(self.counts.per_bucket[:, 3].sum())}
        named = {"bounce_rate": rate, "bounce_rate_low": band.low, "bounce_rate_high": band.high}
        return begun | named | {"what": "sessions that begin at a page of our own"}

    def rows(self) -> list[dict]:
        """One row: customers, sessions, events per session, time, and the three rates with intervals."""
        counts, n = self.counts, self.n
        customers = int(counts.per_bucket[:, 0].sum())
        (single, band), (idle, limits) = self.rate("single_event"), self.rate("ga4")
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
            "n_viewed": int(counts.viewed[:, 0].sum()),
            "ga4_bounce_rate": idle,
            "ga4_bounce_rate_low": limits.low,
            "ga4_bounce_rate_high": limits.high,
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
        rates = {}
        for key in ("bounce_rate", "ga4_bounce_rate"):
            band = show_interval(row[key], (row[f"{key}_low"], row[f"{key}_high"]), "rate", locale)
            rates[key] = f"{show_number(row[key], 'rate', locale)} ({band})"
        own = f"{rates['bounce_rate']} of the {begun} sessions that begin at a page of our own are left at once."
        viewed = show_number(row["n_viewed"], "count", locale)
        idle = f"By GA4's rule {rates['ga4_bounce_rate']} of the {viewed} sessions with a page view bounce."
        return [
            own,
            idle,
            f"{customers} customers have {sessions} sessions in all, messages and deliveries among them.",
        ]


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
    views = [*own, *(name for role in ("cart", "checkout") for name in data.catalogue.names_with_role(role, names))]
    codes = {"key": data.codes(key), "own": data.codes(own), "views": data.codes(views)}
    counts = run(data, count_sessions, gap=duration(gap), **codes)
    return Sessions(
        counts=counts,
        definition=data.definition(
            "Sessions",
            unit="session",
            population="sessions that began in the period",
            window=f"a pause of more than {gap} begins a new session",
            denominator="bounce: sessions that begin at a page of our own; by GA4's rule: sessions with a page view "
            "(our own pages, cart, checkout); single event, near gap: all sessions",
            rules="bounce: one event that is no purchase; by GA4's rule: one page view, under 10 seconds, no purchase; "
            "single event: one event; length: first to last event, median of all sessions; near gap: a pause within "
            "20 % of the limit. Intervals: 95 %, allowing for customers with "
            f"several sessions. Pages of our own: {', '.join(own) or 'none is known'}",
        ),
    )
