"""The recipe of docs/data.md makes a study of a real shop's export of order lines."""

import pandas as pd
import pytest

import toolkit as tk
from tests.house import ROOT
from tests.intake.test_data_page import recipe
from tests.study.made import findings

RETAIL = ROOT.parent / "shared" / "real" / "online_retail_uci.parquet"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    if not RETAIL.is_file():
        pytest.skip("the real data set (../shared/real/online_retail_uci.parquet) is not there")
    folder = tmp_path_factory.mktemp("shop")
    exec(compile(recipe(), "docs/data.md", "exec"), {"pd": pd, "file": RETAIL, "folder": folder})
    return tk.open_data(folder, tz="Europe/London", currency="GBP", cache=False)


def test_every_line_and_customer_of_the_real_shop_is_there(shop):
    lines = shop.frame("order_lines")
    assert (len(lines), int(lines["customer_id"].notna().sum()), shop.customers) == (541_909, 406_829, 4_372)
    assert shop.tables["orders"].rows == 25_900
    assert lines["customer_id"].dropna().str.fullmatch(r"\d{5}").all()


def test_cancellations_of_the_real_shop_are_no_purchases(shop):
    orders = shop.frame("orders")
    cancelled = orders["order_id"].str.startswith("C")
    assert (orders["cancelled"] == cancelled).all()
    sales = tk.sales(shop)
    kept = orders[~cancelled & (orders["revenue"] >= 0)]
    assert sum(row["n_orders"] for row in sales.rows()) == len(kept) == 22_062
    assert sum(row["revenue_money"] for row in sales.rows()) == pytest.approx(
        kept["revenue"].sum(), abs=0.005 * len(kept)
    )
    assert shop.vocabulary("touchpoint") == ("purchase",)


def test_what_the_real_shop_lacks_is_said(shop):
    said = findings(shop)
    assert any(
        text.startswith("orders has 3,710 rows of 25,900 without customer_id (first at row 44)") for text in said
    )
    assert "orders has 2 rows of negative revenue; refunds, not purchases" in said
    assert "orders came with customer_id as a number with decimals (7.0); whole numbers were restored" in said
    assert "events did not come; purchases follow from orders" in said
