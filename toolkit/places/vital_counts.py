"""The units behind the figures that touchpoints live by: occasions, events, answers, orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.counts import Additive, Tally, by_bucket
from toolkit.journeys.scales import share_of_scale
from toolkit.journeys.sessions import session_starts
from toolkit.study.clock import DAY
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part

WEEK = 7 * DAY
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Asked:
    """One figure of one family, in the codes of a study.

    Attributes:
        how: what the units are: "met" (customers), "bounce" (sessions), "follow" (occasions), "property" (events), or
            rows of "feedback", "responses", "orders".
        codes: touchpoints of the occasions or rows; empty = all rows.
        to: touchpoints looked for.
        within: how long they are looked for, µs.
        part: what of it: "" (share or mean), "rest", "wait", "before", "count", "median".
        column: property, or what is taken of a row.
        limit: values under (negative: over) it count as yes; NaN = the value itself.
        devices: codes of the devices of the occasions; empty = any.
        currency: code of the currency of the orders.
        by: column of feedback in which the codes are looked up.
    """

    how: str
    codes: tuple[int, ...] = ()
    to: tuple[int, ...] = ()
    within: int = 0
    part: str = ""
    column: str = ""
    limit: tuple[str, float] = ("", 0.0)
    devices: tuple[int, ...] = ()
    currency: int = -1
    by: str = "touchpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalCounts(Additive):
    """What figures add up to; f figures.

    Attributes:
        n: 1,024 × f int64 units with a value.
        total: 1,024 × f float64 sum of the values.
        customers: f int64 customers with a unit.
        young: f int64 units that have not had their whole time.
        values: tally of the values of figures that are medians.
    """

    n: np.ndarray
    total: np.ndarray
    customers: np.ndarray
    young: np.ndarray
    values: Tally


def count_vitals(part: Part, *, asked: Sequence[Asked]) -> VitalCounts:
    """Counts the units of each figure that belong to the period.

    Args:
        part: some customers.
        asked: the figures.
    """
    n, total, customers, young, tallied = [], [], [], [], [(NONE, NONE.astype(float))]
    for figure, ask in enumerate(asked):
        owner, value, old = UNITS[ask.how](part, ask)
        known = old & ~np.isnan(value)
        bucket = part.bucket[owner[known]]
        n.append(by_bucket(bucket)[:, 0])
        total.append(by_bucket(bucket, value[known])[:, 0])
        customers.append(int((np.diff(np.sort(owner[known])) != 0).sum() + known.any()))
        young.append(int((~old).sum()))
        if ask.part in ("wait", "median"):
            tallied.append((np.full(known.sum(), figure), value[known]))
    return VitalCounts(
        n=np.column_stack(n),
        total=np.column_stack(total),
        customers=np.array(customers),
        young=np.array(young),
        values=Tally.of(*(np.concatenate(some) for some in zip(*tallied, strict=True))),
    )


def _among(codes: np.ndarray, wanted: Sequence[int], size: int) -> np.ndarray:
    found = np.zeros(size + 1, bool)  # an unknown word, −1, finds the last place
    found[list(wanted)] = True
    return found[codes]


def _follows(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Occasions, whether (or after how long) they were followed, and whether they had the whole time."""
    table, size = part.table, len(part.words("touchpoint"))
    rows = np.flatnonzero(_among(table["touchpoint"], ask.codes, size))
    to = np.flatnonzero(_among(table["touchpoint"], ask.to, size))
    owner, time = table.customer[rows], table.time[rows]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (owner[1:] != owner[:-1]) | (np.diff(time) > ask.within)
    fresh |= ask.part == "before"  # every conversion looks back
    fresh &= part.anchored(time)
    if ask.devices:
        fresh &= np.isin(table["device"][rows], ask.devices)
    rows, owner, time = rows[fresh], owner[fresh], time[fresh]
    back = ask.part == "before"
    place = np.searchsorted(to, rows) - 1 if back else np.searchsorted(to, rows, side="right")
    there = (place >= 0) & (place < len(to))
    found = np.append(to, 0)[np.where(there, place, len(to))]
    wait = np.abs(table.time[found] - time) if len(rows) else NONE
    followed = there & (table.customer[found] == owner) & (wait <= ask.within) if len(rows) else NONE.astype(bool)
    value = np.where(followed, wait / 1e6, np.nan) if ask.part == "wait" else followed.astype(float)
    if ask.part == "rest":
        value = 1 - value
    return owner, value, (time <= part.observed_until - ask.within) | back


def _property(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = part.table
    rows = _among(table["touchpoint"], ask.codes, len(part.words("touchpoint"))) & part.anchored(table.time)
    if not ask.column:
        return table.customer[rows], np.ones(rows.sum()), np.ones(rows.sum(), bool)
    value = table[ask.column][rows]
    if value.dtype.kind == "i":  # a word: there or not
        value = np.where(value >= 0, 1.0, np.nan)
    way, limit = ask.limit
    if way:
        value = np.where(np.isnan(value), np.nan, value < limit if way == "under" else value > limit)
    return table.customer[rows], value, np.ones(len(value), bool)


def _feedback(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = part.tables["feedback"]
    rows = _at(part, "feedback", ask) & part.anchored(table.time)
    time, old = table.time[rows], np.ones(rows.sum(), bool)
    if ask.column == "rating":
        return table.customer[rows], table["rating"][rows], old
    reply = table["resolved_at" if ask.column == "resolve" else "first_reply_at"][rows]
    seen = (reply != UNKNOWN) & (reply <= part.observed_until)
    if ask.column == "replied":
        value = (seen & (reply - time <= WEEK)).astype(float)
        return table.customer[rows], value, time <= part.observed_until - WEEK
    return table.customer[rows], np.where(seen, (reply - time) / 1e6, np.nan), old


def _at(part: Part, name: str, ask: Asked) -> np.ndarray:
    """Rows of a table that are about the touchpoints; all where none is named."""
    table = part.tables[name]
    return _among(table[ask.by], ask.codes, len(part.words(ask.by, name))) if ask.codes else np.ones(len(table), bool)


def _responses(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table, instruments = part.tables["responses"], part.words("instrument", "responses")
    mine = _among(
        table["instrument"], [i for i, name in enumerate(instruments) if name == ask.column], len(instruments)
    )
    rows = _at(part, "responses", ask) & mine & part.anchored(table.time)
    score = table["score"][rows]
    if ask.column == "nps":
        score = 100.0 * ((score >= 9).astype(float) - (score <= 6))
    elif ask.column == "csat":
        share = share_of_scale(part)[rows]
        score = np.where(np.isnan(share), np.nan, share >= 0.75)
    return table.customer[rows], score, np.ones(len(score), bool)


def _orders(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = part.tables["orders"]
    called_off = table["cancelled"] == 1 if "cancelled" in table else np.zeros(len(table), bool)
    rows = part.anchored(table.time) & ~called_off
    owner, time, old = table.customer[rows], table.time[rows], np.ones(rows.sum(), bool)
    if ask.column == "revenue":
        money = table["revenue"][rows]
        sold = (money != UNKNOWN) & (money >= 0) & (table["currency"][rows] == ask.currency)
        return owner, np.where(sold, money, np.nan), old
    if ask.column == "several":
        return owner, np.where(np.isnan(table["items"][rows]), np.nan, table["items"][rows] > 1), old
    delivered = table["delivered_at"][rows]
    there = (delivered != UNKNOWN) & (delivered <= part.observed_until)
    if ask.column == "delivery":
        return owner, np.where(there, (delivered - time) / 1e6, np.nan), old
    promised = table["promised_at"][rows]
    return owner, np.where(there & (promised != UNKNOWN), delivered <= promised, np.nan), old


def _met(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everyone seen in the period, and whether they met one of the touchpoints."""
    table, inside = part.table, part.anchored(part.table.time)
    met = table.per_customer(_among(table["touchpoint"], ask.codes, len(part.words("touchpoint"))) & inside) > 0
    seen = np.flatnonzero(table.per_customer(inside) > 0)
    return seen, met[seen].astype(float), np.ones(len(seen), bool)


def _begun(part: Part, ask: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sessions that begin with one of the touchpoints, and whether they end there, no conversion reached."""
    table, size = part.table, len(part.words("touchpoint"))
    starts = np.flatnonzero(session_starts(table, ask.within))
    alone = np.diff(np.append(starts, len(table))) == 1
    first = table["touchpoint"][starts]
    mine = _among(first, ask.codes, size) & part.anchored(table.time[starts])
    left = alone & ~_among(first, ask.to, size)
    return table.customer[starts[mine]], left[mine].astype(float), np.ones(mine.sum(), bool)


UNITS = {
    "met": _met,
    "bounce": _begun,
    "follow": _follows,
    "property": _property,
    "feedback": _feedback,
    "responses": _responses,
    "orders": _orders,
}
