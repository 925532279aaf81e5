"""Activity: events and customers day by day, and the days without any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from toolkit.counts import Additive, distinct_per_key
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.clock import moment_of, shown
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCounts(Additive):
    """Events and different customers of each day (int64)."""

    events: np.ndarray
    customers: np.ndarray


def count_activity(part: Part, *, days: np.ndarray) -> ActivityCounts:
    """Counts the events of the period by day.

    Args:
        part: some customers.
        days: first moment of each day and of the day after the last, UTC µs.
    """
    table = part.table
    inside = part.anchored(table.time) & (table.time >= days[0]) & (table.time < days[-1])
    day = np.searchsorted(days, table.time[inside], side="right") - 1
    n = len(days) - 1
    return ActivityCounts(
        events=np.bincount(day, minlength=n), customers=distinct_per_key(table.customer[inside], day, n)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity(Result):
    """Activity by day.

    Attributes:
        counts: what was counted.
        days: the days, ISO.
        definition: the card.
    """

    counts: ActivityCounts
    days: tuple[str, ...]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per day: events and customers."""
        numbers = zip(self.days, self.counts.events.tolist(), self.counts.customers.tolist(), strict=True)
        return [{"day": day, "n_events": events, "n_customers": customers} for day, events, customers in numbers]

    @property
    def silent(self) -> list[str]:
        """Days without any event, the first and the last day left out."""
        return [day for day, n in zip(self.days[1:-1], self.counts.events[1:-1], strict=True) if n == 0]

    def say(self) -> list[str]:
        """Events per day, and the gaps."""
        locale, events = self.definition.locale, self.counts.events
        n, days = show_number(int(events.sum()), "count", locale), show_number(len(self.days), "count", locale)
        typical = show_number(float(np.median(events)), "count", locale)
        said = [f"{n} events on {days} days, {typical} on a typical day."]
        if not self.silent:
            return [*said, "No day is without events."]
        listed = ", ".join(self.silent[:3]) + (" …" if len(self.silent) > 3 else "")
        return [
            *said,
            f"{show_number(len(self.silent), 'count', locale)} days have no event ({listed}): is an export missing?",
        ]


def activity(data: Data) -> Activity:
    """Events and customers by day, so that gaps and jumps in the data are seen before they mislead.

    Args:
        data: the study.

    Returns:
        One row per day of the study's time zone, from the first to the last event seen.

    Example:
        >>> import toolkit as tk
        >>> tk.activity(tk.open_data(tk.make_data(50, rng=1))).rows()[0]["n_events"] > 0
        True
    """
    facts, (start, end) = data.store.manifest["tables"]["events"], data.view.period
    first, last = max(facts["low"], start), min(data.observed_until, end - 1)
    low, high = (date.fromisoformat(shown(moment, data.zone)[:10]) for moment in (first, max(first, last)))
    days = [(low + timedelta(days=i)).isoformat() for i in range((high - low).days + 2)]
    edges = np.array([moment_of(day, data.zone) for day in days])
    card = data.definition("Activity by day", unit="event, customer", population="events in the period")
    return Activity(counts=run(data, count_activity, days=edges), days=tuple(days[:-1]), definition=card)
