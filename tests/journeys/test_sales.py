"""Sales: a twin in pandas, refunds and cancellations, months, and no orders at all."""

import pandas as pd
import pytest

import toolkit as tk
from tests.journeys.made import study
from toolkit.errors import MissingData

DAYS = ["2026-01-05", "2026-02-05", "2026-01-31T23:30", "2026-02-02", "2026-02-01", "2026-02-03", "2026-02-09"]
ORDERS = pd.DataFrame(
    {
        "order_id": list("abcdefg"),
        "customer_id": ["x", "x", "y", "y", None, "z", "z"],
        "timestamp": pd.to_datetime(pd.Series(DAYS), format="ISO8601"),
        "revenue": [10.0, 20.0, 30.1, -5.0, 40.0, None, 7.5],
        "currency": ["DKK"] * 6 + ["SEK"],
        "cancelled": [False, True, False, False, False, False, False],
    }
)


@pytest.mark.parametrize("period", [("1990-01-01", "2990-01-01"), ("2025-11-01", "2026-02-01")])
def test_pandas_adds_up_the_same_months(till, period):
    orders = till.between(*period).frame("orders")
    sold = orders[~orders.cancelled & (orders.revenue >= 0)]
    month = sold.timestamp.dt.strftime("%Y-%m").rename("month")
    expected = sold.groupby(month).agg(
        n_orders=("order_id", "size"), n_customers=("customer_id", "nunique"), revenue_money=("revenue", "sum")
    )
    expected["order_money"] = expected.revenue_money / expected.n_orders
    result = tk.sales(till.between(*period))
    found = pd.DataFrame(result.rows()).set_index("month")
    pd.testing.assert_frame_equal(found[expected.columns], expected)
    assert ((found.order_money_low < found.order_money) & (found.order_money < found.order_money_high)).all()
    times = sold.customer_id.value_counts()
    assert (result.counts.buyers, result.counts.repeaters) == (len(times), (times > 1).sum())
    assert result.counts.cancelled == orders.cancelled.sum()


def test_refunds_cancellations_and_unknown_amounts_are_no_purchases():
    result = tk.sales(tk.open_data({"orders": ORDERS}, tz="UTC", small_cells=0))
    rows = [(row["month"], row["currency"], row["n_orders"], row["revenue_money"]) for row in result.rows()]
    assert rows == [("2026-01", "DKK", 2, 40.1), ("2026-02", "DKK", 1, 40.0), ("2026-02", "SEK", 1, 7.5)]
    assert [row["n_customers"] for row in result.rows()] == [2, 0, 1]
    counts = result.counts
    assert (counts.cancelled, counts.refunds, counts.buyers, counts.repeaters) == (1, 1, 3, 0)


def test_months_are_those_of_the_studys_zone():
    result = tk.sales(
        tk.open_data(
            {"orders": ORDERS.assign(timestamp=ORDERS.timestamp.dt.tz_localize("UTC"))}, tz="Europe/Copenhagen"
        )
    )
    assert [row["month"] for row in result.rows()][:2] == ["2026-01", "2026-02"]
    assert result.rows()[0]["n_orders"] == 1  # half past eleven on the last evening of January is February there


def test_a_month_is_partial_where_observation_begins_or_ends_within_it(till):
    observed = [row["observed"] for row in tk.sales(till.between("2025-11-10", "2026-02-01")).rows()]
    assert observed == ["in part", "whole", "whole"]


def test_no_order_in_the_period_is_said(till):
    empty = tk.sales(till.between("2030-01-01", "2030-02-01"))
    assert empty.rows() == [] and empty.say() == ["No order falls in the period."]


def test_without_orders_the_export_that_would_bring_them_is_named():
    with pytest.raises(MissingData, match="order export"):
        tk.sales(study({"c": [(0, "page")]}))
