"""Purchases seen twice: events told by the website, orders told by the shop. The shop's orders are the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.intake.finding import Finding, counted, many
from toolkit.intake.normal import Normal
from toolkit.intake.sources import named, quoted
from toolkit.shown import safe_text
from toolkit.study.clock import DAY

NONE = -1
CLOSE = DAY // 288  # five minutes: an order and its event may not tell quite the same moment
MOST = 0.8  # share from which a touchpoint comes with the orders, and the orders with it
ADDED_ROW = 1 << 62  # input row of an event made from an order: after all others of its moment
FROM_ORDER = "from_order"  # column of events: whether an order, and no event that came, tells of it
NO_ORDER = "purchase without order"
CANCELLED = "cancelled purchase"


def with_orders(con, events: Normal | None, orders: Normal, purchase_names: Sequence[str]) -> Normal:
    """Events in which every order is one purchase, and no purchase is without its order.

    An order and a purchase event of one customer within a day are the same purchase; neighbours in time first. An order
    nobody saw becomes an event; a purchase event without an order (while orders were kept) is shown under its own
    name, and one whose order was cancelled under another, so that neither counts as a purchase.

    Args:
        con: DuckDB connection.
        events: the events, or None where only orders came.
        orders: the orders.
        purchase_names: what the events call a purchase; the first is the name that new events get.

    Returns:
        The events to use.
    """
    name = purchase_names[0] if purchase_names else "purchase"
    if events is None:
        events = Normal("events", "", {"timestamp": "moment", "touchpoint": "word"})
        events.findings.append(Finding("events", "did not come; purchases follow from orders", 0, "note"))
    _shop(con, orders)
    _pair(con, events, purchase_names)
    _report(con, events, purchase_names)
    return _merged(events, orders, name)


def _shop(con, orders: Normal) -> None:
    """The orders of customers with an id; negative revenue is a refund and no purchase."""
    cancelled = "coalesce(cancelled, false)" if "cancelled" in orders.kinds else "false"
    con.execute(
        f"create temp table shop as select row, customer, timestamp, {cancelled} as cancelled "
        f"from ({orders.sql}) where customer::varchar not like chr(57344) || '%' and revenue >= 0"
    ).fetchall()
    refund = f"revenue < 0 and not {cancelled}"
    refunds = con.execute(f"select count(*) filter ({refund}) from ({orders.sql})").fetchall()[0][0]
    if refunds:
        text = f"has {many(refunds, 'row')} of negative revenue; refunds, not purchases"
        orders.findings.append(Finding("orders", text, refunds))


def _pair(con, events: Normal, purchase_names: Sequence[str]) -> None:
    """Writes the table `pairs`: purchase event and order of each purchase, null where one of them is missing."""
    import pyarrow as pa

    if not (events.sql and purchase_names):
        con.execute("create temp table pairs as select null::bigint as event, row as shop from shop").fetchall()
        return
    names, span = ", ".join(quoted(name) for name in purchase_names), "(select {}(timestamp) {} {} from shop)"
    low, high = span.format("min", "-", DAY), span.format("max", "+", DAY)
    seen = (
        "select customer, timestamp, null::bigint as event, row as shop from shop union all "
        f"select customer, timestamp, row, null from ({events.sql}) "
        f"where touchpoint in ({names}) and timestamp between {low} and {high}"
    )
    rows = con.sql(
        f"select dense_rank() over (order by customer) as customer, timestamp, coalesce(event, shop) as row, "
        f"event is not null as seen from ({seen}) order by customer, timestamp, not seen, row"
    ).to_arrow_table()
    event, shop = neighbours(*(rows.column(name).to_numpy() for name in ("customer", "timestamp", "row", "seen")))
    found = pa.table({"event": pa.array(event, mask=event < 0), "shop": pa.array(shop, mask=shop < 0)})
    con.register("found", found)
    con.execute("create temp table pairs as select * from found").fetchall()
    con.unregister("found")


def neighbours(customer: np.ndarray, time: np.ndarray, row: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pairs events and orders that stand next to each other, at most a day apart, until none is left to pair.

    Args:
        customer: number of each row's customer, ascending.
        time: UTC µs, ascending within a customer.
        row: input row, of the events or of the orders.
        seen: whether the row is an event.

    Returns:
        Input row of the event and of the order of each purchase; −1 where there is none.

    Example:
        >>> neighbours(np.array([1, 1, 1]), np.array([5, 6, 7]), np.array([0, 8, 9]), np.array([True, False, False]))
        (array([ 0, -1]), array([8, 9]))
    """
    events, orders = [], []
    while True:
        joins = (np.diff(customer) == 0) & (seen[1:] != seen[:-1]) & (np.diff(time) <= DAY)
        number = np.arange(len(joins))
        run = number - np.maximum.accumulate(np.where(np.append(False, ~joins[:-1])[: len(joins)], number, 0))
        first = np.flatnonzero(joins & (run % 2 == 0))  # of a chain of neighbours: first with second, third with fourth
        if not len(first):
            break
        events.append(np.where(seen[first], row[first], row[first + 1]))
        orders.append(np.where(seen[first], row[first + 1], row[first]))
        left = np.ones(len(row), bool)
        left[first] = left[first + 1] = False
        customer, time, row, seen = (column[left] for column in (customer, time, row, seen))
    events.append(np.where(seen, row, NONE))
    orders.append(np.where(seen, NONE, row))
    return np.concatenate(events), np.concatenate(orders)


def _report(con, events: Normal, purchase_names: Sequence[str]) -> None:
    lost, extra, off = con.execute(
        """select count(*) filter (event is null and not cancelled),
        count(*) filter (shop is null and exists(from shop)),
        count(*) filter (cancelled) from pairs left join shop on shop = shop.row"""
    ).fetchall()[0]
    if events.sql and lost:
        text = f"lacks a purchase event for {many(lost, 'order')}; added{_alike(con, events, purchase_names, lost)}"
        events.findings.append(Finding("events", text, lost))
    if extra:
        text = f'has {many(extra, "purchase event")} without an order; shown as "{NO_ORDER}", no purchase'
        events.findings.append(Finding("events", text, extra))
    if off:
        text = f'has {many(off, "purchase")} whose order was cancelled; shown as "{CANCELLED}"'
        events.findings.append(Finding("events", text, off, "note"))


def _alike(con, events: Normal, purchase_names: Sequence[str], lost: int) -> str:
    """A touchpoint that comes with nearly all of the orders without an event, and hardly ever without one."""
    if lost <= con.execute("select count(*) / 2 from shop").fetchall()[0][0]:
        return ""
    other = f"touchpoint not in ({', '.join(map(quoted, ['', *purchase_names]))})"
    found = con.execute(
        f"""with told as (select customer, timestamp, touchpoint from ({events.sql}) where {other}),
        lone as (select shop.* from shop join pairs on pairs.shop = shop.row where event is null and not cancelled),
        near as (select touchpoint, count(distinct lone.row) as met from told join lone on told.customer = lone.customer
        and abs(told.timestamp - lone.timestamp) <= {CLOSE} group by touchpoint)
        select touchpoint, met from near join (select touchpoint, count(*) as n from told group by touchpoint)
        using (touchpoint) where met >= {MOST} * {lost} and met >= {MOST} * n order by met desc, touchpoint limit 1"""
    ).fetchall()
    if not found:
        return ""
    name, met = found[0]
    told = f"{safe_text(name, 40)!r} comes with {counted(met)} of them"
    return f'. {told}: if it is the purchase, say so in a catalogue.toml (family = "checkout", role = "purchase")'


def _merged(events: Normal, orders: Normal, name: str) -> Normal:
    """The events' select with the pairs applied, and the unseen orders added."""
    carried = {"value": "revenue", "currency": "currency", "channel": "channel"}
    kinds = dict(events.kinds)
    if not events.sql:
        kinds |= {to: orders.kinds[of] for to, of in carried.items() if of in orders.kinds}
    columns = [column for column in kinds if column not in ("timestamp", "touchpoint")]
    kinds[FROM_ORDER] = "flag"
    given = {to: named(of) for to, of in carried.items() if of in orders.kinds}
    called = f"case when shop.cancelled then {quoted(CANCELLED)} else {quoted(name)} end"
    made = "".join(f", {'o.' + given[c] if c in given else 'null'} as {named(c)}" for c in columns)
    added = (
        f"select {ADDED_ROW} + o.row as row, o.customer, o.timestamp, {called} as touchpoint{made}, "
        f"true as {FROM_ORDER} from ({orders.sql}) o join pairs on pairs.shop = o.row and pairs.event is null "
        "join shop on shop.row = o.row"
    )
    if not events.sql:
        return _result(events, added, kinds)
    kept = "".join(f", e.{named(c)}" for c in columns)
    truth = (
        f"case when pairs.event is null then e.touchpoint when pairs.shop is null then {quoted(NO_ORDER)} "
        f"when shop.cancelled then {quoted(CANCELLED)} else e.touchpoint end"
    )
    seen = (
        f"select e.row, e.customer, e.timestamp, {truth} as touchpoint{kept}, false as {FROM_ORDER} "
        f"from ({events.sql}) e left join pairs on pairs.event = e.row left join shop on shop.row = pairs.shop"
    )
    return _result(events, f"{seen} union all {added}", kinds)


def _result(events: Normal, sql: str, kinds: dict[str, str]) -> Normal:
    return Normal("events", sql, kinds, events.rows, events.assumed_tz, events.findings)
