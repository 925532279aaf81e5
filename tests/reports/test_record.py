"""What notebooks tell the report."""

import pytest

from tests.reports.made import HOSTILE, Shop, Steps
from toolkit.errors import UsageError
from toolkit.reports.record import about, in_short, provenance_lines, record


def told(shown, kind):
    return shown._repr_mimebundle_()[f"application/vnd.journey.{kind}+json"]


def test_a_result_is_recorded_by_its_headline():
    payload = told(record("conversion rate", Steps()), "record")
    assert payload == {
        "name": "conversion rate",
        "value": 524 / 12480,
        "low": 524 / 12480 * 0.92,
        "high": 524 / 12480 * 1.08,
        "n": 524,
        "kind": "rate",
        "currency": None,
        "note": "",
        "what": "",
    }


def test_a_row_is_named_by_its_cells_and_a_key_by_its_name():
    assert told(record("carts", Steps(), at={"step": "cart"}, of="n_customers"), "record") | {"note": ""} == {
        "name": "carts",
        "value": 2621,
        "low": None,
        "high": None,
        "n": None,
        "kind": "count",
        "currency": None,
        "note": "",
        "what": "",
    }
    with pytest.raises(UsageError, match="0 rows of Steps fit"):
        record("x", Steps(), at={"step": "crat"})
    with pytest.raises(UsageError, match="did you mean 'buy_rate'"):
        record("x", Steps(), of="by_rate")


def test_a_bare_number_needs_its_kind_said():
    assert told(record("orders", 5310, kind="count"), "record")["kind"] == "count"
    assert str(record("orders", 5310, kind="count")) == "orders: 5,310"
    assert told(record("orders", float("nan")), "record")["value"] is None
    with pytest.raises(UsageError, match="did you mean 'count'"):
        record("orders", 5310, kind="counts")
    with pytest.raises(UsageError, match="not str"):
        record("orders", "many")
    with pytest.raises(UsageError, match="nothing to choose from"):
        record("orders", {"step": "cart"})


def test_money_keeps_its_currency():
    shown = record("revenue", {"revenue_money": 1234.5, "currency": "DKK"})
    assert str(shown) == "revenue: 1,234 DKK" and told(shown, "record")["currency"] == "DKK"


def test_a_guard_of_a_result_reaches_the_front_page():
    notes = ("A window is cut short.", "Few customers.")
    assert told(record("rate", Steps(notes=notes)), "guard") == {
        "texts": ["A window is cut short.", "Few customers."],
        "where": "rate",
    }
    assert told(in_short(Steps(notes=notes), Steps(notes=notes)), "guard")["texts"] == list(notes)
    assert "application/vnd.journey.guard+json" not in record("rate", Steps())._repr_mimebundle_()


def test_in_short_reads_results_aloud_in_order_and_skips_what_has_nothing_to_say():
    sentences = told(in_short("First.", Steps(), "", Steps()), "in-short")["sentences"]
    assert [(one["text"][:5], one["rank"], one["measure"]) for one in sentences] == [
        ("First", 1, None),
        ("4.2% ", 2, "Conversion by checkout"),
    ]
    assert told(in_short(), "in-short") == {"sentences": []}


def test_everything_shown_is_escaped():
    for shown in (record(HOSTILE, 1), in_short(HOSTILE)):
        html = shown._repr_mimebundle_()["text/html"]
        assert "<script" not in html and "&lt;script&gt;" in html


def test_about_tells_provenance_and_says_when_a_zone_was_assumed():
    shown = about(Shop())
    assert told(shown, "about") == Shop().provenance()
    assert "rows: events 204,118 · orders 5,310 · responses 1,877" in str(shown)
    assert ("time zone", "UTC (assumed: none was given)") in provenance_lines({"tz": "UTC", "tz_assumed": True})
