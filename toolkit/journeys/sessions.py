"""Sessions: a customer's events without a long pause."""

from __future__ import annotations

from dataclasses import dataclass

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

NEAR = 0.2  # gaps this close to the limit (as a share of it) show how much hangs on it


def session_starts(table: JourneyTable, gap: int) -> np.ndarray:
    """Marks the first row of each session: a customer's first, or more than `gap` µs after the one before."""
    starts = table.first.copy()
    starts[1:] |= np.diff(table.time) > gap
    return starts


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts(Additive):
    """What sessions add up to.

    Attributes:
        per_bucket: 1,024 × 4 int64: customers with a session, sessions, those with one event, those not engaged.
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


def count_sessions(part: Part, *, gap: int, key: tuple[int, ...]) -> SessionCounts:
    """Counts the sessions that begin in the period.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
        key: touchpoint codes that make any session engaged.
    """
    table = part.table
    starts = np.flatnonzero(session_starts(table, gap))
    ends = np.append(starts[1:], len(table))
    kept = part.anchored(table.time[starts])
    near = _near_limit(table, starts, gap) & kept
    starts, ends = starts[kept], ends[kept]
    length, size = table.time[ends - 1] - table.time[starts], ends - starts
    alone = size == 1
    kind = alone.astype(np.int64) + (alone & ~np.isin(table["touchpoint"][starts], key))  # 1 single event, 2 bounce too
    owner = table.customer[starts]
    bucket = part.bucket[owner]
    met = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    kinds = by_bucket(bucket, None, kind, 3)
    columns = (by_bucket(bucket[met])[:, 0], kinds.sum(axis=1), kinds[:, 1] + kinds[:, 2], kinds[:, 2])
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

    @property
    def n(self) -> int:
        """Sessions."""
        return int(self.counts.per_bucket[:, 1].sum())

    def rate(self, which: str = "ga4", level: float = 0.95) -> tuple[float, Interval]:
        """Share of sessions that bounce, with its interval; sessions of one customer belong together.

        Args:
            which: "single_event" (one event) or "ga4" (under ten seconds, one event, no key event).
            level: of the interval, 0–1.
        """
        column = {"single_event": 2, "ga4": 3}[which]
        per_bucket = self.counts.per_bucket
        rate, low, high = clustered_rate(per_bucket[:, [column]], per_bucket[:, [1]], level)
        return float(rate[0]), Interval(float(low[0]), float(high[0]), level)

    def rows(self) -> list[dict]:
        """One row: sessions, customers, events, per session and per customer, bounce rates with intervals."""
        counts, n = self.counts, self.n
        customers = int(counts.per_bucket[:, 0].sum())
        (one_rate, one), (rate, ga4) = self.rate("single_event"), self.rate("ga4")
        return [
            {
                "n_sessions": n,
                "n_customers": customers,
                "n_events": counts.events,
                "sessions_per_customer": n / customers if customers else float("nan"),
                "events_per_session": counts.events / n if n else float("nan"),
                "median_seconds": float(counts.lengths.quantile(0.5, groups=1)[0]),
                "bounce_rate": rate,
                "bounce_rate_low": ga4.low,
                "bounce_rate_high": ga4.high,
                "single_event_rate": one_rate,
                "single_event_rate_low": one.low,
                "single_event_rate_high": one.high,
                "near_gap_share": counts.near / n if n else float("nan"),
            }
        ]

    def say(self) -> list[str]:
        """Sessions per customer, and how many end at once."""
        if not self.n:
            return ["No session began in the period."]
        row, locale = self.rows()[0], self.definition.locale
        sessions, customers = (show_number(row[k], "count", locale) for k in ("n_sessions", "n_customers"))
        bounce = show_number(row["bounce_rate"], "rate", locale)
        band = show_interval(row["bounce_rate"], (row["bounce_rate_low"], row["bounce_rate_high"]), "rate", locale)
        return [
            f"{customers} customers came in {sessions} sessions; {bounce} ({band}) of the sessions were left at once."
        ]


def sessions(data: Data, *, gap: str = "30min") -> Sessions:
    """Cuts each customer's events into sessions and counts them.

    Args:
        data: the study.
        gap: a longer pause begins a new session, such as "30min".

    Returns:
        One row: sessions, customers, bounce rates by both definitions with intervals, and the share of sessions with a
        pause so near the gap that another gap would tell another story.

    Raises:
        MissingData: the study has no events.

    Example:
        >>> import toolkit as tk
        >>> tk.sessions(tk.open_data(tk.make_data(50, rng=1))).rows()[0]["n_customers"] <= 50
        True
    """
    need_events(data, "sessions")
    key = data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint"))
    counts = run(data, count_sessions, gap=duration(gap), key=data.codes(key))
    return Sessions(
        counts=counts,
        definition=data.definition(
            "Sessions",
            unit="session",
            population="sessions that began in the period",
            window=f"a pause of more than {gap} begins a new session",
            denominator="bounce: all sessions",
            rules="bounce: under ten seconds, one event, no purchase (GA4); single event: one event. "
            "Intervals: 95 %, allowing for customers with several sessions",
        ),
    )
