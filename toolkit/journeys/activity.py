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
    """Events, or orders, and different customers of each day (int64)."""

    rows: np.ndarray
    customers: np.ndarray


def count_activity(part: Part, *, days: np.ndarray, what: str) -> ActivityCounts:
    """Counts the rows of the period by day.

    Args:
        part: some customers.
        days: first moment of each day and of the day after the last, UTC µs.
        what: the table, events or orders.
    """
    table = part.table if what == "events" else part.tables[what]
    inside = part.anchored(table.time) & (table.time >= days[0]) & (table.time < days[-1])
    day = np.searchsorted(days, table.time[inside], side="right") - 1
    n = len(days) - 1
    owner = table.customer[inside]
    named = part.known[owner]
    return ActivityCounts(rows=np.bincount(day, minlength=n), customers=distinct_per_key(owner[named], day[named], n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity(Result):
    """Activity by day.

    Attributes:
        counts: what was counted.
        days: the days, ISO.
        what: the table counted, events or orders.
        definition: the card.
    """

    counts: ActivityCounts
    days: tuple[str, ...]
    what: str
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per day: events (where there are none: orders) and customers with an id."""
        numbers = zip(self.days, self.counts.rows.tolist(), self.counts.customers.tolist(), strict=True)
        return [{"day": day, f"n_{self.what}": n, "n_customers": customers} for day, n, customers in numbers]

    @property
    def silent(self) -> list[str]:
        """Days without any row, the first and the last day left out."""
        return [day for day, n in zip(self.days[1:-1], self.counts.rows[1:-1], strict=True) if n == 0]

    def say(self) -> list[str]:
        """Rows per day, and the gaps."""
        locale, rows = self.definition.locale, self.counts.rows
        n, days = show_number(int(rows.sum()), "count", locale), show_number(len(self.days), "count", locale)
        typical = show_number(float(np.median(rows)), "count", locale)
        if not rows.sum():
            return [f"There are no {self.what} in the period."]
        said = [f"{n} {self.what} in {days} days, {typical} on a typical day."]
        if not self.silent:
            return [*said, f"No day is without {self.what}."]
        listed = ", ".join(self.silent[:3]) + (" …" if len(self.silent) > 3 else "")
        gaps = show_number(len(self.silent), "count", locale)
        return [*said, f"{gaps} days have no {self.what} ({listed}): is an export missing?"]


def activity(data: Data) -> Activity:
    """Events and customers by day, so that gaps and jumps in the data are seen before they mislead.

    Args:
        data: the study.

    Returns:
        One row per day of the study's time zone, from the first to the last event; of orders, where no events came.

    Example:
        >>> import toolkit as tk
        >>> tk.activity(tk.open_data(tk.make_data(50, rng=1))).rows()[0]["n_events"] > 0
        True
    """
    what = "orders" if "events" not in data.tables and "orders" in data.tables else "events"
    facts, (start, end) = data.store.manifest["tables"][what], data.view.period
    first, last = max(facts["low"], start), min(data.observed_until, end - 1)
    low, high = (date.fromisoformat(shown(moment, data.zone)[:10]) for moment in (first, max(first, last)))
    days = [(low + timedelta(days=i)).isoformat() for i in range((high - low).days + 2)]
    edges = np.array([moment_of(day, data.zone) for day in days])
    card = data.definition("Activity by day", unit=f"{what[:-1]}, customer", population=f"{what} in the period")
    counts = run(data, count_activity, days=edges, what=what)
    return Activity(counts=counts, days=tuple(days[:-1]), what=what, definition=card)
