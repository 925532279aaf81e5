import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import MissingData, UsageError
from toolkit.journeys.division import count_division
from toolkit.study.engine import run


@pytest.fixture(scope="module")
def data():
    return tk.open_data(tk.make_data(1_500, rng=3))


def test_the_groups_are_those_pandas_counts(data):
    expected = data.frame("customers").groupby("country").size().to_dict()
    assert {row["country"]: row["n_customers"] for row in tk.division(data, "country").rows()} == expected


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same_counts(data, partitions):
    whole, parts = (run(data, count_division, attribute="country", partitions=n) for n in (1, partitions))
    assert whole.customers.tolist() == parts.customers.tolist()


def test_groups_too_small_to_show_are_left_out():
    customers = pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(20)], "country": ["DK"] * 12 + ["SE"] * 6 + ["NO"] * 2}
    )
    events = pd.DataFrame({"customer_id": ["c0"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
    rows = tk.division(tk.open_data({"customers": customers, "events": events}), "country").rows()
    assert [row["country"] for row in rows] == ["DK"]


def test_an_unknown_attribute_lists_those_there_are(data):
    with pytest.raises(UsageError, match="did you mean 'country'"):
        tk.division(data, "contry")


def test_without_a_customers_table_the_export_is_named():
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
    with pytest.raises(MissingData, match="customer export"):
        tk.division(tk.open_data(events), "country")
