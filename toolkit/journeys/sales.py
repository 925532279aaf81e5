"""Sales: orders, customers and revenue by month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, by_bucket, distinct_per_key, resample
from toolkit.errors import MissingData
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.shares import share_of
from toolkit.study.clock import DAY, moment_of, shown
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesCounts(Additive):
    """What orders add up to; m months times currencies.

    Attributes:
        orders: 1,024 × m int64 orders that are purchases.
        revenue: 1,024 × m int64 minor units.
        customers: m int64 different customers with an id.
        buyers, repeaters: int64 customers with an id who bought, and who bought again.
        cancelled, refunds: int64 orders called off; orders of negative revenue.
    """

    orders: np.ndarray
    revenue: np.ndarray
    customers: np.ndarray
    buyers: int
    repeaters: int
    cancelled: int
    refunds: int


def count_sales(part: Part, *, months: np.ndarray) -> SalesCounts:
    """Counts the orders of the period.

    Args:
        part: some customers.
        months: first moment of each month, UTC µs, ascending.
    """
    table, currencies = part.tables["orders"], max(len(part.words("currency", "orders")), 1)
    inside = part.anchored(table.time)
    revenue = table["revenue"]
    called_off = table["cancelled"] == 1 if "cancelled" in table else np.zeros(len(table), bool)
    refund = (revenue < 0) & ~called_off
    sold = inside & ~called_off & ~refund & (revenue != UNKNOWN)
    month = np.searchsorted(months, table.time[sold], side="right") - 1
    group = month * currencies + np.maximum(table["currency"][sold], 0)
    size = len(months) * currencies
    bucket, owner = part.bucket[table.customer[sold]], table.customer[sold]
    named = part.known[owner]
    bought = table.per_customer(sold)[part.known]
    return SalesCounts(
        orders=by_bucket(bucket, None, group, size),
        revenue=by_bucket(bucket, revenue[sold], group, size),
        customers=distinct_per_key(owner[named], group[named], size),
        buyers=int((bought > 0).sum()),
        repeaters=int((bought > 1).sum()),
        cancelled=int((called_off & inside).sum()),
        refunds=int((refund & inside).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales(Result):
    """Orders by month.

    Attributes:
        counts: what was counted.
        months: first day of each month, ISO.
        partial: whether a month was observed in part only.
        currencies: currency codes.
        minor: minor units in a unit of each currency.
        definition: the card.
    """

    counts: SalesCounts
    months: tuple[str, ...]
    partial: tuple[bool, ...]
    currencies: tuple[str, ...]
    minor: tuple[int, ...]
    definition: Definition

    columns: ClassVar = {"order_money": "order value", "repeat_rate": "bought again"}

    def rows(self) -> list[dict]:
        """One row per month and currency with orders: orders, customers, revenue, mean order value with interval."""
        orders, revenue = self.counts.orders.sum(axis=0), self.counts.revenue.sum(axis=0)
        draws = resample(np.stack([self.counts.revenue, self.counts.orders], axis=1), 1_000, rng=1)
        rows = []
        for group in np.flatnonzero(orders):
            month, currency = divmod(int(group), len(self.currencies))
            low, high = _spread(draws[:, :, group], self.minor[currency])
            rows.append(
                {
                    "month": self.months[month][:7],
                    "observed": "in part" if self.partial[month] else "whole",
                    "n_orders": int(orders[group]),
                    "n_customers": int(self.counts.customers[group]),
                    "currency": self.currencies[currency],
                    "revenue_money": float(revenue[group] / self.minor[currency]),
                    "order_money": float(revenue[group] / orders[group] / self.minor[currency]),
                    "order_money_low": low,
                    "order_money_high": high,
                }
            )
        return rows

    @property
    def headline(self) -> dict:
        """Mean order value over the period, in the currency with most orders."""
        per_currency = self.counts.orders.reshape(1024, -1, len(self.currencies)).sum(axis=1)
        money = self.counts.revenue.reshape(1024, -1, len(self.currencies)).sum(axis=1)
        best = int(per_currency.sum(axis=0).argmax())
        n, minor = int(per_currency[:, best].sum()), self.minor[best]
        draws = resample(np.stack([money[:, best], per_currency[:, best]], axis=1), 1_000, rng=1)
        low, high = _spread(draws, minor)
        value = float(money[:, best].sum() / n / minor) if n else float("nan")
        return {
            "n_orders": n,
            "order_money": value,
            "order_money_low": low,
            "order_money_high": high,
            "currency": self.currencies[best],
            "what": "mean value of an order",
        }

    @property
    def repeat(self):
        """Share of buyers with an id who bought more than once in the period."""
        return share_of(self.counts.repeaters, self.counts.buyers)

    def say(self) -> list[str]:
        """Orders and their mean value; how many bought again."""
        row, locale = self.headline, self.definition.locale
        if not row["n_orders"]:
            return ["No order falls in the period."]
        n, value = show_number(row["n_orders"], "count", locale), show_number(row["order_money"], "money", locale)
        band = show_interval(row["order_money"], (row["order_money_low"], row["order_money_high"]), "money", locale)
        said = [f"{n} orders of {value} {row['currency']} on average ({band})."]
        if self.counts.buyers:
            again = self.repeat
            rate, spread = (
                show_number(again.rate, "rate", locale),
                show_interval(again.rate, again.interval(), "rate", locale),
            )
            buyers = show_number(self.counts.buyers, "count", locale)
            said.append(f"{rate} ({spread}) of the {buyers} customers who bought did so more than once.")
        left = [(self.counts.cancelled, "cancelled orders"), (self.counts.refunds, "refunds")]
        out = [f"{show_number(n, 'count', locale)} {what}" for n, what in left if n]
        return [*said, f"Left out: {' and '.join(out)}."] if out else said


def _spread(draws: np.ndarray, minor: int) -> tuple[float, float]:
    """95 % bootstrap interval of revenue per order."""
    means = draws[:, 0] / np.where(draws[:, 1] > 0, draws[:, 1], np.nan)
    if np.isnan(means).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(means, [0.025, 0.975]) / minor
    return float(low), float(high)


def sales(data: Data) -> Sales:
    """Orders, customers, revenue and mean order value by month.

    Args:
        data: the study; `between` sets the period of the orders.

    Returns:
        One row per month and currency. Cancelled orders and refunds (negative revenue) are no purchases and are
        counted apart; orders without a customer count as orders, not as customers.

    Raises:
        MissingData: the study has no orders.

    Method:
        Mean order value is a ratio of sums; its interval resamples customers in 1,024 groups (1,000 replicates).

    Example:
        >>> import toolkit as tk
        >>> tk.sales(tk.open_data(tk.make_data(200, rng=1))).rows()[0]["currency"]
        'DKK'
    """
    from babel.numbers import get_currency_precision

    facts = data.store.manifest["tables"].get("orders")
    if not facts or not facts["rows"]:
        raise MissingData("sales", "orders", "the shop's order export (one row per order)")
    first, last = (
        max(facts["low"], data.view.period[0]),
        min(facts["high"], data.view.period[1] - 1, data.observed_until),
    )
    days, starts = _months(data, first, last)
    counts = run(data, count_sales, months=np.array(starts[:-1]))
    currencies = data.vocabulary("currency", "orders")
    seen_from, seen_to = max(facts["low"], data.view.period[0]), min(data.view.period[1] - 1, data.observed_until)
    return Sales(
        counts=counts,
        months=tuple(days[:-1]),
        partial=tuple(a + DAY <= seen_from or b - DAY > seen_to for a, b in pairwise(starts)),
        currencies=currencies,
        minor=tuple(10 ** get_currency_precision(currency.upper()) for currency in currencies),
        definition=data.definition(
            "Sales",
            unit="order",
            population="orders placed in the period, neither cancelled nor refunds",
            denominator="order value: orders; bought again: customers with an id who bought",
            rules="months of the study's time zone. Intervals: 95 %, customers resampled in 1024 groups",
        ),
    )


def _months(data: Data, first: int, last: int) -> tuple[list[str], list[int]]:
    """The months from the first to the last moment and one more: first days, and their first moments."""
    day = datetime.fromisoformat(shown(first, data.zone)).date().replace(day=1)
    days = [day]
    while moment_of(days[-1].isoformat(), data.zone) <= last:
        year, month = divmod(days[-1].year * 12 + days[-1].month, 12)
        days.append(date(year, month + 1, 1))
    return [d.isoformat() for d in days], [moment_of(d.isoformat(), data.zone) for d in days]
