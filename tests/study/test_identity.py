"""Events without a customer find one by their device, by the rule that was chosen and no other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk

SEEN = [  # customer, hour, device
    (None, 10, "d1"),
    ("a", 11, "d1"),
    (None, 12, "d1"),
    ("b", 13, "d1"),
    (None, 14, "d1"),
    (None, 15, "d2"),
    (None, 16, None),
    ("c", 17, None),
]
WHO = {
    (None, ()): ["a", "b", "c"],
    ("live", ()): ["device d1", "a", "a", "b", "b", "device d2", "c"],
    ("replay", ()): ["a", "a", "a", "b", "b", "device d2", "c"],
    ("replay", ("a",)): ["device d1", "device d1", "device d1", "b", "b", "device d2", "c"],
    ("live", ("c",)): ["device d1", "a", "a", "b", "b", "device d2"],
    (None, ("a",)): ["device d1", "b", "c"],
}


def opened(rows, **settings):
    customers, hours, devices = zip(*rows, strict=True)
    moments = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    events = pd.DataFrame({"customer_id": customers, "timestamp": moments, "device_id": devices, "touchpoint": "cart"})
    return tk.open_data(events.astype({"customer_id": "str", "device_id": "str"}), small_cells=0, **settings)


def customers_of(data):
    return data.frame("events")["customer_id"].tolist()


@pytest.mark.parametrize(("rule", "forget"), WHO, ids=str)
def test_the_rule_says_whose_events_they_are(rule, forget):
    assert customers_of(opened(SEEN, identity=rule, forget=forget)) == WHO[rule, forget]


def test_the_study_says_how_many_events_were_given_and_which_devices_are_shared():
    said = [row["finding"] for row in opened(SEEN, identity="replay").check().rows()]
    assert "had 3 rows without customer_id that got one by the device (replay)" in said
    assert "has 1 device of 2 that several customers used" in said


def test_a_forgotten_customer_is_nobody_in_every_table():
    moments = pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True)
    events = pd.DataFrame({"customer_id": ["a", "b"], "timestamp": moments, "touchpoint": "cart", "device_id": "d"})
    orders = pd.DataFrame({"order_id": [1, 2], "customer_id": ["a", "b"], "timestamp": moments, "revenue": 10.0})
    customers = pd.DataFrame({"customer_id": ["a", "b"], "gender": ["female", "male"]})
    tables = {"events": events, "orders": orders.assign(currency="DKK"), "customers": customers}
    data = tk.open_data(tables, forget=["a"], tz="UTC")
    ids = data.store.ids.to_pylist()
    assert "a" not in ids and "b" in ids and "device d" in ids
    assert data.frame("orders")["customer_id"].isna().tolist() == [True, False]


def test_settings_beside_the_tables_count_unless_told_otherwise(tmp_path):
    frame = pd.DataFrame(SEEN, columns=["customer_id", "timestamp", "device_id"]).assign(touchpoint="cart")
    frame["timestamp"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["timestamp"], unit="h")
    frame.to_csv(tmp_path / "events.csv", index=False)
    (tmp_path / "study.toml").write_text('tz = "UTC"\nidentity = "live"\n')
    assert "device d1" in customers_of(tk.open_data(tmp_path, cache=False))
    assert customers_of(tk.open_data(tmp_path, cache=False, identity="")) == ["a", "b", "c"]


def test_another_rule_is_refused_with_every_option():
    with pytest.raises(ValueError, match=r"live.*replay"):
        opened(SEEN, identity="guess")


person = st.sampled_from([None, None, "a", "b", "c"])
event = st.tuples(person, st.integers(0, 6), st.sampled_from(["d1", "d2", None]))


@given(st.lists(event, min_size=1, max_size=14), st.sampled_from(["live", "replay"]))
def test_a_slow_twin_agrees_ties_included(events, rule):
    events = [("c", 0, None), *events]
    order = sorted(range(len(events)), key=lambda i: (events[i][1], i))
    expected = {}
    for place, i in enumerate(order):
        who, _, device = events[i]
        before = [events[j][0] for j in order[:place] if events[j][2] == device and events[j][0]]
        after = [events[j][0] for j in order[place + 1 :] if events[j][2] == device and events[j][0]]
        found = [who] if who else before[-1:] or (after[:1] if rule == "replay" else []) or [f"device {device}"]
        if who or device:
            expected[i] = found[0]
    assert customers_of(opened(events, identity=rule)) == [expected[i] for i in sorted(expected)]


def test_without_nameless_events_the_rule_changes_nothing():
    shop = tk.make_data(200, rng=2)
    counts = [tk.sessions(tk.open_data(shop, tz="UTC", identity=rule)).counts for rule in ("", "replay")]
    assert np.array_equal(counts[0].sizes.counts, counts[1].sizes.counts)


def test_one_name_to_be_forgotten_is_one_customer_and_not_its_letters():
    rows = [("ab", 10, "d"), ("a", 11, "d"), ("b", 12, "d")]
    assert customers_of(opened(rows, forget="ab")) == ["device d", "a", "b"]


@pytest.mark.parametrize(("forget", "said"), [(["c", "zz"], ["names 1 customer of 2 whom no table has"]), (["c"], [])])
def test_a_customer_to_be_forgotten_whom_no_table_has_is_counted_and_not_named(forget, said):
    found = [row["finding"] for row in opened(SEEN, forget=forget).check().rows() if row["table"] == "forget"]
    assert [text.split(";")[0] for text in found] == said


def test_a_name_to_be_forgotten_need_not_be_a_number_where_ids_are():
    moments = pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True)
    shop = pd.DataFrame({"customer_id": [7, 8], "timestamp": moments, "touchpoint": "cart"})
    assert tk.open_data(shop, forget=["7", "kunde 9"], small_cells=0).store.ids.to_pylist() == ["8"]
