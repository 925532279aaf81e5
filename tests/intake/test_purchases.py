"""Purchase events and orders: matched within a day, the orders being the truth. Cases by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.study.made import events, findings, frame, opened, orders, touched
from toolkit.intake.purchases import CANCELLED, NO_ORDER, neighbours

DAY = 86_400_000_000
CASES = [  # what, purchase events (day and time in January), orders, events by name afterwards
    ("seen by both", ["05 10:00"], ["05 10:02"], {"purchase": 1}),
    ("the order comes first", ["05 10:02"], ["05 10:00"], {"purchase": 1}),
    ("the event was lost", [], ["05 10:00"], {"purchase": 1}),
    ("no order", ["03 10:00", "05 10:00"], ["05 10:00", "01 10:00"], {"purchase": 2, NO_ORDER: 1}),
    ("two the same day", ["05 10:00", "05 18:00"], ["05 10:01", "05 18:01"], {"purchase": 2}),
    ("two the same day, written in the evening", ["05 10:00", "05 18:00"], ["05 20:00", "05 20:00"], {"purchase": 2}),
    ("two the same day, the first event lost", ["05 18:00"], ["05 10:00", "05 18:01"], {"purchase": 2}),
    ("two the same day, one order", ["05 10:00", "05 18:00"], ["05 10:01"], {"purchase": 1, NO_ORDER: 1}),
    ("a day apart to the minute", ["05 10:00"], ["06 10:00"], {"purchase": 1}),
    ("a minute more than a day", ["05 10:00"], ["06 10:01", "04 09:59"], {"purchase": 2, NO_ORDER: 1}),
    ("over midnight", ["05 23:59"], ["06 00:01"], {"purchase": 1}),
    ("before the orders begin", ["01 10:00", "08 10:00"], ["08 10:00"], {"purchase": 2}),
    ("after the orders end", ["08 10:00", "20 10:00"], ["08 10:00"], {"purchase": 2}),
    ("one a day, the first without order", ["04 10:00", "05 10:00", "06 10:00"],
     ["03 01:00", "05 12:00", "06 12:00"], {"purchase": 3, NO_ORDER: 1}),
]  # fmt: skip


def at(moments):
    return [f"2026-01-{moment}" for moment in moments]


def shop(bought, told, **columns):
    rows = [("a", "2026-01-01 00:00", "cart")] + [("a", moment, "purchase") for moment in at(bought)]
    ordered = orders(*[(f"o{i}", "a", moment, 100) for i, moment in enumerate(at(told))])
    return opened({"events": events(*rows), "orders": ordered.assign(**columns)})


def only_some(counts):
    return {name: n for name, n in counts.items() if n and name != "cart"}


@pytest.mark.parametrize(("bought", "told", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_purchases_and_orders_are_matched(bought, told, expected):
    assert only_some(touched(shop(bought, told))) == expected


def test_another_customers_order_is_no_match():
    given = {"events": events(("a", "2026-01-05", "purchase")), "orders": orders(("o1", "b", "2026-01-05", 9))}
    assert only_some(touched(opened(given))) == {"purchase": 1, NO_ORDER: 1}


def test_a_cancelled_order_is_no_purchase_whether_seen_or_not():
    data = shop(["05 10:00"], ["05 10:00", "06 12:00"], cancelled=[True, True])
    assert only_some(touched(data)) == {CANCELLED: 2}
    assert any(
        f'events has 2 purchases whose order was cancelled; shown as "{CANCELLED}"' in said for said in findings(data)
    )
    assert not any("lacks a purchase event" in said for said in findings(data))


def test_a_refund_is_no_purchase_and_is_said():
    data = shop(["05 10:00"], ["05 10:00", "09 10:00"], revenue=[100, -100])
    assert only_some(touched(data)) == {"purchase": 1}
    assert "orders has 1 row of negative revenue; refunds, not purchases" in findings(data)


def test_orders_without_a_customer_bring_no_event():
    given = {"events": events(("a", "2026-01-05", "cart")), "orders": orders(("o1", None, "2026-01-05", 9))}
    assert touched(opened(given)) == {"cart": 1}


def test_what_was_lost_and_what_was_extra_is_reported():
    said = findings(shop(["03 10:00", "05 10:00"], ["05 10:00", "01 10:00", "08 01:00"]))
    assert "events lacks a purchase event for 2 orders; added" in said
    assert f'events has 1 purchase event without an order; shown as "{NO_ORDER}", no purchase' in said


def test_an_added_purchase_carries_money_channel_and_the_touchpoints_own_name():
    given = {
        "events": frame(
            "customer_id timestamp touchpoint value currency channel",
            ("b", "2026-01-01", "Order completed", 5, "DKK", "web"),
        ),
        "orders": orders(("o1", "a", "2026-01-01 12:00", 99.5)).assign(channel="shop"),
    }
    data = opened(given)
    assert data.vocabulary("touchpoint") == ("Order completed", NO_ORDER)
    assert data.vocabulary("channel") == ("shop", "web")
    assert tk.sessions(data).rows()[0]["n_customers"] == 2


def test_the_same_order_twice_is_one_order():
    data = opened({"orders": orders(("o1", "a", "2026-01-05", 9), ("o1", "a", "2026-01-05", 9))})
    assert touched(data) == {"purchase": 1}
    assert "orders has 1 row with the order_id of an earlier row; the first of each kept" in findings(data)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 6), st.booleans()), max_size=14))
def test_every_event_and_order_is_in_one_pair_and_nothing_that_could_be_paired_is_left(rows):
    rows = sorted((who, day * DAY // 2, not seen, i) for i, (who, day, seen) in enumerate(rows))
    who, time, shop_, row = (np.array([r[i] for r in rows], np.int64) for i in range(4))
    event, order = neighbours(who, time, row, shop_ == 0)
    assert sorted([*event[event >= 0], *order[order >= 0]]) == sorted(row.tolist())
    when = dict(zip(row.tolist(), zip(who, time, strict=True), strict=True))
    for one, other in zip(event, order, strict=True):
        if one >= 0 and other >= 0:
            assert when[one][0] == when[other][0]
            assert abs(when[one][1] - when[other][1]) <= DAY
    left = [[when[r] for r in side[alone].tolist()] for side, alone in ((event, order < 0), (order, event < 0))]
    assert not any(a[0] == b[0] and abs(a[1] - b[1]) <= DAY for a in left[0] for b in left[1])


@pytest.mark.parametrize(("hour", "told"), [(10, True), (15, False)])
def test_what_may_be_the_purchase_under_a_name_nobody_knows_is_pointed_out(hour, told):
    seen = [(f"c{i}", f"2026-01-02 {hour}:0{i}", "zorp") for i in range(5)]
    told_of = [(f"o{i}", f"c{i}", f"2026-01-02 10:0{i}", 9) for i in range(5)]
    said = findings(opened({"events": events(*seen), "orders": orders(*told_of)}))
    [line] = [line for line in said if "lacks a purchase event for 5 orders" in line]
    assert ("'zorp' comes with 5 of them: if it is the purchase, say so in a catalogue.toml" in line) == told
