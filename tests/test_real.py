"""Orders of a real shop, made canonical by the recipe of docs/data.md, through the real command line."""

import os
import re
import subprocess
import sys
from html import unescape
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.house import ROOT

RETAIL = ROOT.parent / "shared" / "real" / "online_retail_uci.parquet"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not RETAIL.is_file(), reason=f"../shared/real/{RETAIL.name} (UCI no. 352, CC BY 4.0) is not here"
    ),
]
LINES, WITH_CUSTOMER, CUSTOMERS, INVOICES, CANCELLED = 541_909, 406_829, 4_372, 25_900, 3_836


def canonical(folder):
    """The recipe for invoice lines as it stands in docs/data.md."""
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    recipe = next(code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "cancelled=" in code)
    assert recipe.count("\n") <= 3
    exec(recipe, {"pd": pd, "file": RETAIL, "folder": folder})


@pytest.fixture(scope="module")
def retail(tmp_path_factory):
    home = tmp_path_factory.mktemp("real")
    (home / "retail").mkdir()
    canonical(home / "retail")
    journey = [sys.executable, "-m", "toolkit.reports.cli", "report", "--data", "retail", "--tz", "Europe/London"]
    paths = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(home / "cache")}
    told = [*journey, "--currency", "GBP", "--locale", "en_GB", "--notebooks", str(ROOT / "notebooks")]
    done = subprocess.run(told, cwd=home, env=os.environ | paths, capture_output=True, text=True)
    folder = (home / done.stdout.strip()).parent
    pages = {path.stem: unescape(path.read_text(encoding="utf-8")) for path in folder.glob("*.html")}
    return SimpleNamespace(done=done, pages=pages, rows={name: rows_of(page) for name, page in pages.items()})


def rows_of(page):
    """The cells of every table row as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [[re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def n(number):
    return f"{number:,}"


def test_the_report_is_whole(retail):
    assert retail.done.returncode == 0, retail.done.stderr
    assert set(retail.pages) == {"index", *(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))}


def test_every_line_order_and_customer_is_counted(retail):
    rows = retail.rows["01-data"]
    there = {
        row[0]: row[2] for row in rows if len(row) == 4 and row[1].startswith("is there, 2010-12-01 to 2011-12-09")
    }
    assert there == {"orders": n(INVOICES), "order_lines": n(LINES)}
    assert next(row for row in rows if row[0] == "order_lines" and len(row) == 6) == [
        *("order_lines", n(LINES), n(WITH_CUSTOMER), "75.1 %", n(CUSTOMERS), "–")
    ]
    assert any(row[0] == "customers" and n(CUSTOMERS) in row[1] for row in retail.rows["index"])


def test_sales_are_drawn_by_month_and_december_is_no_fall(retail):
    months = [row for row in retail.rows["01-data"] if re.fullmatch(r"201[01]-\d\d", row[0])]
    assert len(months) == 13 and {row[4] for row in months} == {"GBP"}
    assert [row[0] for row in months if row[1] == "in part"] == ["2011-12"]
    figures = re.findall(r'<img[^>]+alt="Sales: ([^"]+)"', retail.pages["01-data"])
    assert len(figures) == 1 and f"{n(CANCELLED)} cancelled orders" in figures[0]


def test_the_money_is_pandas(retail):
    lines = pd.read_parquet(RETAIL)
    orders = lines.assign(revenue=lines.Quantity * lines.UnitPrice).groupby("InvoiceNo").revenue.sum()
    bought = orders[~orders.index.str.startswith("C") & (orders >= 0)]
    assert f"{n(len(bought))} orders of {bought.mean():,.2f} GBP on average" in retail.pages["index"]


def test_pages_say_what_is_missing_and_what_brings_it(retail):
    asked = {
        row[0]: (row[1], row[4]) for row in retail.rows["01-data"] if len(row) == 5 and row[1] in ("yes", "missing")
    }
    assert {name for name, (there, _) in asked.items() if there == "yes"} == {"orders", "order_lines", "customers"}
    assert asked["events"] == ("missing", "a web analytics, app or tag manager export, one row per event")
    assert asked["responses"] == ("missing", "the survey tool's answers, one row per answer")
    for name in ("03-touchpoints", "04-conversion"):
        said = re.findall(r'class="missing">(.*?)</p>', retail.pages[name])
        events = [gap for gap in said if "the study has no events. They come with a web analytics" in gap]
        assert len(events) >= 8 and all("They come with" in gap for gap in said)


def test_no_customer_of_the_shop_is_on_a_page(retail):
    ids = {str(int(number)) for number in pd.read_parquet(RETAIL, columns=["CustomerID"]).CustomerID.dropna().unique()}
    for name, page in retail.pages.items():
        text = re.sub(r"<style.*?</style>|<img[^>]+>|<[^>]+>", " ", page, flags=re.S)
        assert ids & set(re.findall(r"(?<![\d,.])\d{5}(?![\d,])", text)) == set(), name
