"""Two groups of customers compared: the groups are the largest, and the difference is that of their maps."""

import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import MissingData, UsageError


def test_the_two_largest_groups_are_compared_as_two_maps_would_be(till):
    countries = till.frame("customers").set_index("customer_id")["country"]
    first, second = countries.value_counts().index[:2]
    one, other = (tk.journey_map(till.segment(countries, word)) for word in (first, second))
    found, expected = tk.compare_maps(till, "country"), one.against(other)
    assert found.names == expected.names == (f"customers of {first} only", f"customers of {second} only")
    assert repr(found.rows()) == repr(expected.rows())


def test_a_label_of_ones_own_divides_customers_too_also_within_a_segment(till):
    ids = till.store.ids.to_pylist()
    labels = {customer: "even" if int(customer[1:]) % 2 == 0 else "odd" for customer in ids if customer[0] == "c"}
    countries = till.frame("customers").set_index("customer_id")["country"]
    found = tk.compare_maps(till.segment(countries, "DK").labelled("half", labels), "half")
    assert {name.split(" ")[-2] for name in found.names} == {"even", "odd"}
    assert max(row["n_this"] for row in found.rows()) < (countries == "DK").sum()


def test_without_two_groups_it_is_said_what_is_missing(till):
    events = pd.DataFrame({"customer_id": list("abcdef"), "timestamp": "2026-01-01", "touchpoint": "cart"})
    with pytest.raises(MissingData, match="customers with country"):
        tk.compare_maps(tk.open_data(events, tz="UTC"), "country")
    everyone = dict.fromkeys(till.store.ids.to_pylist(), "all")
    with pytest.raises(MissingData, match="two groups by kind"):
        tk.compare_maps(till.labelled("kind", everyone), "kind")
    with pytest.raises(UsageError, match="countri"):
        tk.compare_maps(till, "countri")
