"""What check() says: the tables, then what needs a look, then what is good to know."""

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.study.made import events, findings, frame, opened, orders

SUSPECT = {
    "events": events(*[("a", f"2026-01-0{i}", word) for i, word in enumerate(["cart", "purchase", "zorp"], start=1)]),
    "orders": orders(("o1", "a", "2026-01-02", 9), ("o2", "b", "2026-01-05", -9)),
    "customers": frame("customer_id country", ("a", "DK"), ("b", "DK"), ("c", "SE")),
}


def test_tables_come_first_then_warnings_then_notes_each_in_the_order_of_the_tables():
    rows = opened(SUSPECT).check().rows()
    assert [(row["severity"], row["table"]) for row in rows] == [
        ("there", "events"), ("there", "customers"), ("there", "orders"), ("warning", "orders"),
        ("note", "events"), ("note", "customers"), ("note", "orders"),
    ]  # fmt: skip
    assert rows[0] == {
        "table": "events",
        "finding": "is there, 2026-01-01 to 2026-01-03",
        "n_rows": 3,
        "severity": "there",
    }


def test_what_needs_a_look_is_read_aloud_the_largest_first():
    check = opened(SUSPECT).check()
    (said,) = check.say()
    assert said.endswith("first of all that orders has 1 row of negative revenue; refunds, not purchases.")
    assert check.warnings == ["orders has 1 row of negative revenue; refunds, not purchases"]


def test_sound_data_is_said_to_be_sound():
    check = opened(events(("a", "2026-01-01", "cart"))).check()
    assert check.warnings == []
    assert "every row could be read" in check.say()[0]


@pytest.mark.parametrize(("same", "coarse"), [(3, True), (1, False)])
def test_a_coarse_clock_is_said_from_a_fifth_of_ties_on(same, coarse):
    rows = events(*[("a", f"2026-01-{max(i, same) + 1:02}", f"page {i}") for i in range(10)])
    said = [line for line in findings(opened(rows)) if "coarse" in line]
    assert said == (["events is coarse in time: 30.0 % stand at the moment of the one before"] if coarse else [])


def test_touchpoints_without_a_stage_are_named():
    assert any(
        "touchpoints the catalogue does not place in a stage (zorp)" in said for said in findings(opened(SUSPECT))
    )


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        (["1", "2"], "customers shares no customer_id with events (of 2); write the ids alike in both (007 is not 7)"),
        (["a", "2"], "customers has 1 of 2 customers who do not occur in events"),
        (["a"], None),
    ],
)
def test_how_far_the_ids_of_two_tables_meet_is_said(ids, line):
    said = findings(opened({"events": SUSPECT["events"], "customers": pd.DataFrame({"customer_id": ids})}))
    assert [s for s in said if s.startswith("customers")] == ([line] if line else [])


def test_ids_of_orders_are_compared_with_the_events_that_came_not_with_those_added():
    given = {"events": SUSPECT["events"], "orders": orders(("o1", "zz", "2026-01-02", 9))}
    assert any(said.startswith("orders shares no customer_id with events (of 1)") for said in findings(opened(given)))
    alone = opened({"orders": given["orders"], "customers": SUSPECT["customers"]})
    assert not any("customer_id" in said for said in findings(alone))


def test_the_tables_say_rows_columns_and_span():
    info = tk.open_data(SUSPECT, tz="Europe/Copenhagen").tables["orders"]
    assert (info.rows, info.first_at, info.last_at) == (2, "2026-01-02T00:00:00+01:00", "2026-01-05T00:00:00+01:00")
    assert {"order_id", "revenue", "currency"} <= set(info.columns)


def test_provenance_says_where_the_figures_come_from():
    found = opened(SUSPECT, as_of="2026-02-01").provenance()
    assert found["rows"] == {"events": 3, "customers": 3, "orders": 2}
    assert (found["customers"], found["observed_until"], found["tz_assumed"]) == (3, "2026-02-01T23:59:59+00:00", False)
    assert {"python", "duckdb", "numpy", "pandas", "journey-toolkit"} == set(found["versions"])


def test_a_row_that_repeats_is_said_once_whatever_its_table():
    twice = frame("timestamp instrument score customer_id", *[("2026-01-01", "nps", 9.0, "a")] * 2)
    said = findings(opened({"events": SUSPECT["events"], "responses": twice}))
    assert [line for line in said if "looking like" in line] == [
        "responses has 1 row looking like the one before (customer, moment, words); kept"
    ]
    lines = frame("order_id product quantity price", *[("o1", "pen", 1, 9)] * 2)
    assert not any("looking like" in line for line in findings(opened(SUSPECT | {"order_lines": lines})))


def test_findings_survive_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study").mkdir()
    for name, table in SUSPECT.items():
        table.to_csv(tmp_path / "study" / f"{name}.csv", index=False)
    first, second = opened(tmp_path / "study"), opened(tmp_path / "study")
    assert findings(first) == findings(second) == findings(opened(SUSPECT))
    assert np.isfinite([row["n_rows"] for row in second.check().rows()]).all()


def test_the_numbers_within_a_finding_are_written_in_the_readers_language():
    shop = frame(
        "customer_id timestamp touchpoint", *[("a", "2026-01-01", "cart")] * 1_234, (None, "2026-01-01", "cart")
    )
    [english], [danish] = (
        [
            row["finding"]
            for row in opened(shop, locale=locale).check().rows()
            if "without customer_id" in row["finding"]
        ]
        for locale in ("en", "da")
    )
    assert "has 1 row of 1,235 without customer_id (first at row 1,235)" in english
    assert "has 1 row of 1.235 without customer_id (first at row 1.235)" in danish
