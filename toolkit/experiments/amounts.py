"""How much each customer did of what a metric asks for, from a moment of the customer's own."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from toolkit.errors import MissingData, one_of
from toolkit.experiments.metrics import Metric, What
from toolkit.journeys.coverage import EXPORTS
from toolkit.journeys.sessions import session_starts
from toolkit.journeys.steps import Step, matches, steps_of
from toolkit.schema import TABLES
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part

ADDS = ("number", "whole", "money")  # kinds of columns that can be added up
PAUSE = duration("30min")  # a longer one ends a session
NEVER = np.iinfo(np.int64).max // 2  # the moment of customers without one


class Amount(NamedTuple):
    """Where a metric finds what it counts or adds up.

    Args:
        table: events or orders.
        step: what an event must be; None = any.
        column: what is added up; "" = rows are counted.
        currency: code of the currency it must be in; −1 = any.
        minor: minor units in a unit.
        sessions: whether sessions are counted.
    """

    table: str
    step: Step | None = None
    column: str = ""
    currency: int = -1
    minor: int = 1
    sessions: bool = False


def amount_of(data: Data, what: What) -> Amount:
    """Finds what a metric counts in a study.

    Raises:
        UsageError: there is nothing of that name, or it comes in several currencies.
        MissingData: it needs a table that the study lacks.

    Example:
        >>> import toolkit as tk
        >>> amount_of(tk.open_data(tk.make_data(50, rng=1)), "revenue").minor
        100
    """
    from babel.numbers import get_currency_precision

    if what == "sessions":
        return Amount("events", sessions=True)
    if not isinstance(what, str) or what in data.vocabulary("touchpoint"):
        return Amount("events", step=steps_of(data, [what])[0])
    kinds, (column, _, currency) = data.store.manifest["kinds"], what.partition(" ")
    there = {
        c: (name, kind) for name in ("events", "orders") for c, kind in kinds.get(name, {}).items() if kind in ADDS
    }
    there |= {"orders": ("orders", "")} if "orders" in kinds else {}
    if column not in there:
        if column == "orders" or column in TABLES["orders"]:
            raise MissingData(f"A metric by {column}", f"{column} in orders", EXPORTS["orders"][1])
        raise one_of("a metric's what", what, [*data.vocabulary("touchpoint"), "sessions", *there])
    table, kind = there[column]
    if kind != "money":
        return Amount(table, column=column if kind else "")
    currencies = data.vocabulary("currency", table) or (currency,)
    if currency not in currencies and (currency or len(currencies) > 1):
        raise one_of(f"the currency of {column}", currency, [f"{column} {word}" for word in currencies])
    minor = 10 ** get_currency_precision((currency or currencies[0]).upper())
    return Amount(table, column=column, minor=minor, currency=currencies.index(currency) if currency else -1)


class Rows(NamedTuple):
    """The rows that a metric counts or adds up.

    Args:
        customers: how many customers there are.
        owner: position of each row's customer.
        time: its moment, UTC µs.
        values: what is added up, in minor units; None = rows are counted.
        minor: minor units in a unit.
    """

    customers: int
    owner: np.ndarray
    time: np.ndarray
    values: np.ndarray | None
    minor: int

    def within(self, since: np.ndarray, until: np.ndarray) -> np.ndarray:
        """How much each customer did from a first to a last moment of their own (UTC µs): float64, 0 where nothing."""
        inside = (self.time >= since[self.owner]) & (self.time <= until[self.owner])
        weights = None if self.values is None else self.values[inside]
        return np.bincount(self.owner[inside], weights, minlength=self.customers) / self.minor


def rows_of(part: Part, amount: Amount) -> Rows:
    """Finds what a metric counts or adds up; purchases are orders neither cancelled nor paid back."""
    table = part.tables[amount.table]
    use = np.ones(len(table), bool)
    if amount.sessions:
        use = session_starts(table, PAUSE)
    elif amount.step:
        use = matches(part, amount.step)
    elif amount.table == "orders":
        use = table["revenue"] >= 0
        use &= table["cancelled"] != 1 if "cancelled" in table else True
    if amount.currency >= 0:
        use &= table["currency"] == amount.currency
    if amount.column:
        values = table[amount.column]
        use &= (values != UNKNOWN) & ~np.isnan(values)
    rows = np.flatnonzero(use)
    values = values[rows] if amount.column else None
    return Rows(len(part), table.customer[rows], table.time[rows], values, amount.minor)


class Asked(NamedTuple):
    """A metric made ready to be counted.

    Args:
        metric: the metric.
        found: what it counts; of a ratio above and below the line.
        window: µs from the exposure.
        cap: at what larger values are cut.
    """

    metric: Metric
    found: tuple[Amount, ...]
    window: int
    cap: float = math.inf

    @property
    def width(self) -> int:
        """How many variables it has of each customer."""
        return len(self.found) * (2 if self.metric.covariate else 1)

    @classmethod
    def of(cls, data: Data, metric: Metric, window: str) -> Asked:
        """Finds what the metric needs in a study; `window` where it has none of its own."""
        whats = (metric.what, metric.per) if metric.kind == "ratio" else (metric.what,)
        return cls(metric, tuple(amount_of(data, what) for what in whats), duration(metric.within or window))


def variables(part: Part, asked: Asked, since: np.ndarray) -> np.ndarray:
    """The variables of a metric: customers × (value, of a ratio its denominator, then both before the exposure).

    Args:
        part: some customers.
        asked: the metric.
        since: moment of each customer's exposure, UTC µs; `NEVER` = none.
    """
    times = [(since, since + asked.window)] + [(since - asked.window, since - 1)] * bool(asked.metric.covariate)
    rows = [rows_of(part, amount) for amount in asked.found]
    columns = [found.within(*time) for time in times for found in rows]
    return np.column_stack([column > 0 if asked.metric.kind == "share" else column for column in columns]).astype(float)
