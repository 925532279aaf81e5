"""What an analyst with messy files tripped over once."""

import pandas as pd

import toolkit as tk

EVENTS = "customer_id,timestamp,touchpoint\n" + "".join(f"c{i},2026-01-0{1 + i % 9} 10:00,cart\n" for i in range(20))


def findings(data):
    return " ".join(row["finding"] for row in data.check().rows())


def test_a_file_that_bears_no_tables_name_is_named(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "orders_2026.csv").write_text("order_id\n1\n")
    rows = tk.open_data(tmp_path, cache=False).check().rows()
    assert [row["table"] for row in rows if "not read" in row["finding"]] == ["orders_2026.csv"]


def test_a_table_with_a_header_only_is_said(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "orders.csv").write_text("order_id,timestamp,revenue,currency\n")
    assert "a header and no rows" in findings(tk.open_data(tmp_path, cache=False))


def test_amounts_that_may_be_in_thousands_are_questioned(tmp_path):
    head = "order_id,timestamp,revenue,customer_id\n"
    for name, amounts in (("points", ("1.234", "2.500")), ("decimals", ("1.23", "2.5"))):
        rows = "".join(f"{i},2026-01-05,{amount},c{i}\n" for i, amount in enumerate(amounts))
        (tmp_path / f"{name}.csv").write_text(head + rows)
    said = {name: findings(tk.open_data(tmp_path / f"{name}.csv", currency="DKK")) for name in ("points", "decimals")}
    assert "marks thousands" in said["points"] and "marks thousands" not in said["decimals"]


def test_purchases_that_orders_added_do_not_make_the_tables_meet():
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
    orders = {"order_id": ["1", "2"], "timestamp": ["2026-01-02"] * 2, "revenue": [1.0, 2.0], "customer_id": ["a", "z"]}
    data = tk.open_data({"events": events, "orders": pd.DataFrame(orders)}, currency="DKK")
    [row] = [row for row in tk.identities(data).rows() if row["table"] == "orders"]
    assert row["met_share"] == 0.5


def test_groups_of_few_are_hidden_while_their_entries_are_young_too():
    rows = [(f"c{i}", "2026-01-01", "cart", "mobile") for i in range(9)] + [("z", "2026-01-20", "cart", "a@b.dk")]
    events = pd.DataFrame(rows, columns=["customer_id", "timestamp", "touchpoint", "device"])
    data = tk.open_data(pd.concat([events, events.assign(touchpoint="purchase")]))
    assert [row["device"] for row in tk.funnel(data, ["cart", "purchase"], by="device").rows()] == ["mobile"]


def test_what_is_given_adds_to_the_columns_of_study_toml(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS.replace("customer_id", "uid").replace("touchpoint", "what"))
    (tmp_path / "study.toml").write_text('[columns]\nuid = "customer_id"\n')
    assert tk.open_data(tmp_path, columns={"what": "touchpoint"}, cache=False).customers == 20
