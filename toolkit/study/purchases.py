"""Purchases seen twice: events told by the website, orders told by the shop. The shop's orders are the truth."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.study.clock import DAY
from toolkit.study.normal import Finding, Normal
from toolkit.study.sources import named, quoted

ADDED_ROW = 1 << 62  # input row of an event made from an order: after all others of its moment
NO_ORDER = "purchase without order"
CANCELLED = "cancelled purchase"


def with_orders(con, events: Normal | None, orders: Normal, purchase_names: Sequence[str]) -> Normal:
    """Events in which every order is one purchase, and no purchase is without its order.

    An order and a purchase event of one customer within a day are the same purchase, paired in order of time. An order
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
        con.execute("create temp table pairs as select null::bigint as event, row as shop from shop").fetchall()
    elif purchase_names:
        _shop(con, orders)
        _pair(con, events, purchase_names)
    else:
        _shop(con, orders)
        con.execute("create temp table pairs as select null::bigint as event, row as shop from shop").fetchall()
    _report(con, events)
    return _merged(events, orders, name)


def _shop(con, orders: Normal) -> None:
    """The orders of customers with an id; negative revenue is a refund and no purchase."""
    cancelled = "coalesce(cancelled, false)" if "cancelled" in orders.kinds else "false"
    con.execute(
        f"create temp table shop as select row, customer, timestamp, {cancelled} as cancelled "
        f"from ({orders.sql}) where customer::varchar not like chr(57344) || '%' and revenue >= 0"
    ).fetchall()


def _pair(con, events: Normal, purchase_names: Sequence[str]) -> None:
    """Pairs neighbours in time of different kind, at most a day apart, left to right."""
    names = ", ".join(quoted(name) for name in purchase_names)
    con.execute(
        f"""create temp table pairs as
        with seen as (
          select customer, timestamp, row as event, null::bigint as shop, 0 as kind
          from ({events.sql}) where touchpoint in ({names}) and timestamp between
            (select min(timestamp) - {DAY} from shop) and (select max(timestamp) + {DAY} from shop)
          union all select customer, timestamp, null, row, 1 from shop
        ), near as (
          select *, coalesce(kind <> lag(kind) over w and timestamp - lag(timestamp) over w <= {DAY}, false) as joins
          from seen window w as (partition by customer order by timestamp, kind, coalesce(event, shop))
        ), runs as (
          select *, sum((not joins)::int) over (partition by customer order by timestamp, kind, coalesce(event, shop)
            rows unbounded preceding) as run from near
        ), placed as (
          select *, (row_number() over (partition by customer, run order by timestamp, kind, coalesce(event, shop)) - 1)
            // 2 as pair from runs
        )
        select max(event) as event, max(shop) as shop from placed group by customer, run, pair"""
    ).fetchall()


def _report(con, events: Normal) -> None:
    lost, extra, off = con.execute(
        """select count(*) filter (event is null),
        count(*) filter (shop is null and exists(from shop)),
        count(*) filter (cancelled) from pairs left join shop on shop = shop.row"""
    ).fetchall()[0]
    if events.sql and lost:
        text = f"lacks a purchase event for {lost:,} orders; a purchase was added for each"
        events.findings.append(Finding("events", text, lost))
    if extra:
        text = f'has {extra:,} purchase events without an order; they stand as "{NO_ORDER}" and are no purchases'
        events.findings.append(Finding("events", text, extra))
    if off:
        text = f'has {off:,} purchases whose order was cancelled; they stand as "{CANCELLED}"'
        events.findings.append(Finding("events", text, off, "note"))


def _merged(events: Normal, orders: Normal, name: str) -> Normal:
    """The events' select with the pairs applied, and the unseen orders added."""
    carried = {"value": "revenue", "currency": "currency", "channel": "channel"}
    kinds = dict(events.kinds)
    if not events.sql:
        kinds |= {to: orders.kinds[of] for to, of in carried.items() if of in orders.kinds}
    columns = [column for column in kinds if column not in ("timestamp", "touchpoint")]
    given = {to: named(of) for to, of in carried.items() if of in orders.kinds}
    called = f"case when shop.cancelled then {quoted(CANCELLED)} else {quoted(name)} end"
    made = "".join(f", {'o.' + given[c] if c in given else 'null'} as {named(c)}" for c in columns)
    added = (
        f"select {ADDED_ROW} + o.row as row, o.customer, o.timestamp, {called} as touchpoint{made} "
        f"from ({orders.sql}) o join pairs on pairs.shop = o.row and pairs.event is null join shop on shop.row = o.row"
    )
    if not events.sql:
        return _result(events, added, kinds)
    kept = "".join(f", e.{named(c)}" for c in columns)
    truth = (
        f"case when pairs.event is null then e.touchpoint when pairs.shop is null then {quoted(NO_ORDER)} "
        f"when shop.cancelled then {quoted(CANCELLED)} else e.touchpoint end"
    )
    seen = (
        f"select e.row, e.customer, e.timestamp, {truth} as touchpoint{kept} from ({events.sql}) e "
        "left join pairs on pairs.event = e.row left join shop on shop.row = pairs.shop"
    )
    return _result(events, f"{seen} union all {added}", kinds)


def _result(events: Normal, sql: str, kinds: dict[str, str]) -> Normal:
    return Normal("events", sql, kinds, events.rows, events.used, events.assumed_tz, events.findings)
