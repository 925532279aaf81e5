"""Funnels: published answers, who counts as pending, the ledger, groups, and the edges in one table."""

from dataclasses import replace

import numpy as np
import pytest

import toolkit as tk
from tests.journeys.made import MIN, clock, study
from toolkit.errors import MissingData, UsageError
from toolkit.stats.shares import wilson

HOUR, DAY = 60 * MIN, 24 * 60 * MIN
ABC = ["a", "b", "c"]


def so_far(result):
    return [row["n_customers"] for row in result.rows()]


def at(moments, names):
    return list(zip(clock(*moments), names, strict=True))


# published


def test_posthogs_times_to_convert():
    """Step 2 takes 6000 s on average and 7200 in the median; step 3 takes 5400 in both."""
    data = study(
        {
            "p1": at(["12:00", "13:00", "15:00"], ["sign up", "play movie", "buy"]),
            "p2": at(["14:00", "16:00"], ["sign up", "play movie"]),
            "p3": at(["14:00", "16:00", "17:00"], ["sign up", "play movie", "buy"]),
        }
    )
    result = tk.funnel(data, ["sign up", "play movie", "buy"], within="7d")
    since_before = [row for row in result.wait_rows() if row["since"] == "step before"]
    assert so_far(result) == [3, 3, 2]
    assert [(row["mean_seconds"], row["median_seconds"]) for row in since_before] == [(6000, 7200), (5400, 5400)]
    assert [row["median_seconds"] for row in result.rows()][1:] == [7200, 5400]


@pytest.mark.parametrize(("within", "reached", "mean"), [("14d", [3, 2], 600), ("5min", [3, 1], 300)])
def test_posthogs_window_is_inclusive_and_cuts_late_views(within, reached, mean):
    data = study(
        {
            "p1": at(["14:00", "14:05"], ["sign up", "view"]),
            "p2": at(["14:03"], ["sign up"]),
            "p3": at(["12:00", "12:15"], ["sign up", "view"]),
        }
    )
    result = tk.funnel(data, ["sign up", "view"], within=within)
    assert so_far(result) == reached and result.wait_rows()[0]["mean_seconds"] == mean


def test_posthogs_repeated_step_needs_another_event():
    data = study({"p": at(["13:01", "13:10", "13:10", "13:11"], "fppp")})
    assert so_far(tk.funnel(data, ["f", "p", "p"])) == [1, 1, 1]


def test_retentioneerings_funnel():
    data = study(
        {f"u{i}": [(n * MIN, word) for n, word in enumerate(word)] for i, word in enumerate(["abc", "ab", "a", "b"])}
    )
    assert so_far(tk.funnel(data, ABC)) == [3, 2, 1]


# censoring


FOUR = {
    "converted early": [(0, "a"), (DAY, "b")],
    "dropped": [(DAY, "a")],
    "converted late": [(19 * DAY, "a"), (20 * DAY, "b")],
    "pending": [(18 * DAY, "a")],
    "a stranger": [(2 * DAY, "c")],
}


def test_maturity_belongs_to_the_entry_and_never_to_the_outcome():
    result = tk.funnel(study(FOUR), ["a", "b"], within="7d")
    assert result.ledger == {"converted": 2, "dropped": 1, "pending": 1, "never entered": 1, "all": 5}
    assert result.headline["n_entered"] == 2 and result.headline["n_converted"] == 1  # the late ones are out, both
    assert tuple(result.interval()[:2]) == pytest.approx(tuple(map(float, wilson(1, 2))))


def test_an_old_entry_keeps_its_rate_when_a_young_one_does_better():
    data = study({"c": [(0, "a"), (19 * DAY, "a"), (20 * DAY, "b")]})
    result = tk.funnel(data, ["a", "b"], within="7d")
    assert result.ledger["converted"] == 1 and result.headline["n_converted"] == 0 and result.headline["n_entered"] == 1


@pytest.mark.parametrize(("entry", "pending"), [("best", 1), ("first", 0)])
def test_a_clock_that_never_restarts_leaves_nobody_pending_on_a_later_entry(entry, pending):
    data = study({"c": [(0, "a"), (20 * DAY, "a")], "d": [(0, "b")]})
    assert tk.funnel(data, ["a", "b"], rules=tk.FunnelRules(entry=entry)).ledger["pending"] == pending


def test_steps_may_follow_after_the_period_and_entries_may_not():
    data = study(FOUR).between("2026-01-01", "2026-01-02")
    result = tk.funnel(data, ["a", "b"], within="7d")
    assert result.ledger == {"converted": 1, "dropped": 0, "pending": 0, "never entered": 0, "all": 1}


def test_looking_back_from_an_earlier_day_makes_the_young_pending():
    result = tk.funnel(study(FOUR, as_of="2026-01-04"), ["a", "b"], within="7d")
    assert result.ledger["pending"] == 1 and np.isnan(result.headline["conversion_rate"])
    assert "whole window of 7d" in result.note and result.say() == [result.note]


def test_the_ledger_adds_up_for_every_rule(shop):
    for entry in ("best", "first"):
        for ties in ("favour", "file"):
            rules = tk.FunnelRules(entry=entry, ties=ties)
            result = tk.funnel(shop, ["product page", "cart", "purchase"], rules=rules, by="device")
            *parts, whole = result.ledger.values()
            assert sum(parts) == whole and min(parts) >= 0
            assert (
                result.counts.matured.sum(axis=0) <= result.counts.reached.sum(axis=0)
            ).all() and whole == shop.customers


def test_ties_that_decide_are_counted_and_named():
    data = study({"x": [(0, "b"), (0, "a")], "y": [(0, "a"), (0, "b")]})
    favour, file = (tk.funnel(data, ["a", "b"], rules=tk.FunnelRules(ties=ties)) for ties in ("favour", "file"))
    assert (so_far(favour), so_far(file)) == ([2, 2], [2, 1])
    assert favour.counts.tied == file.counts.tied == 1
    assert any("order of events of one moment" in note for note in favour.definition.notes)


# groups


def grouped(*sizes, end=40 * DAY):
    """Customers per device: (device, entered, converted)."""
    journeys = {"last": [(end, "z", sizes[0][0])]}
    for device, entered, converted in sizes:
        for i in range(entered):
            steps = [(i * MIN, "a", device), (i * MIN + HOUR, "b", "elsewhere")][: 1 + (i < converted)]
            journeys[f"{device} {i}"] = steps
    return journeys


def test_a_breakdown_takes_the_value_at_entry():
    result = tk.funnel(study(grouped(("mobile", 40, 10), ("desktop", 60, 30))), ["a", "b"], by="device")
    rows = {row["device"]: row for row in result.rows()}
    assert set(rows) == {"mobile", "desktop"} and rows["mobile"]["conversion_rate"] == 0.25
    assert rows["desktop"]["conversion_rate_diff"] == 0.25


def test_swapping_two_groups_flips_their_differences():
    ends = ("", "_low", "_high")
    first, second = (
        {
            row["device"]: [row[f"conversion_rate_diff{end}"] for end in ends]
            for row in tk.funnel(data, ["a", "b"], by="device").rows()
        }
        for data in (
            study(grouped(("mobile", 40, 10), ("desktop", 60, 30))),
            study(grouped(("mobile", 60, 30), ("desktop", 40, 10))),
        )
    )
    assert first["mobile"] == second["desktop"]
    assert first["mobile"] == pytest.approx([-first["desktop"][i] for i in (0, 2, 1)])


def test_small_groups_are_hidden_and_cannot_be_worked_out():
    data = study(grouped(("mobile", 40, 10), ("desktop", 60, 30), ("watch", 3, 1), ("fridge", 8, 2)), small_cells=5)
    rows = tk.funnel(data, ["a", "b"], by="device").rows()
    assert [row["device"] for row in rows] == ["desktop", "mobile", "(2 small groups together)"]
    assert rows[-1]["n_entered"] == 11 and rows[-1]["n_converted"] == 3


def test_customers_without_a_value_are_a_group_of_their_own():
    rows = tk.funnel(study(grouped(("mobile", 40, 10), (None, 20, 10))), ["a", "b"], by="device").rows()
    assert [(row["device"], row["n_entered"]) for row in rows] == [("mobile", 40), ("(unknown)", 20)]


def test_a_customers_own_attribute_divides_them_all(shop):
    result = tk.funnel(shop, ["product page", "cart"], by="gender")
    assert (result.counts.reached.sum(axis=0) == tk.funnel(shop, ["product page", "cart"]).counts.reached[0]).all()
    customers = shop.frame("customers").set_index("customer_id").gender.fillna("(unknown)")
    viewed = shop.frame("events").query("touchpoint == 'product page'").customer_id.unique()
    expected = customers.reindex(viewed).fillna("(unknown)").value_counts()
    names = [*result.words, "(unknown)"]
    assert {name: n for name, n in zip(names, result.counts.reached[:, 0], strict=True) if n} == expected.to_dict()


# edges


LATER = ("2030-01-01", "2030-02-01")
ONE_WAY = {"c": [(0, "a"), (MIN, "b")], "d": [(50 * DAY, "a")]}
EDGES = {
    "one event": ({"c": [(0, "a")], "d": [(0, "b")]}, ["a", "b"], {}, [1, 0]),
    "the same touchpoint twice, met once": ({"c": [(0, "a")]}, ["a", "a"], {}, [1, 0]),
    "nobody entered": ({"c": [(0, "b")], "d": [(0, "c"), (DAY, "a")]}, ["a", "b"], {}, [1, 0]),
    "a window larger than the data": (ONE_WAY, ["a", "b"], {"within": "520 weeks"}, [2, 1]),
    "a step of touchpoints of which one suffices": (ONE_WAY, ["a", ["a", "b"]], {}, [2, 1]),
    "the least window": (ONE_WAY, ["a", "b"], {"within": "0.000001s"}, [2, 0]),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    journeys, steps, settings, reached = EDGES[name]
    result = tk.funnel(study(journeys), steps, **settings)
    assert so_far(result) == reached
    *parts, whole = result.ledger.values()
    assert sum(parts) == whole == len(journeys)
    assert result.say() and str(result) and result._repr_html_()


def test_an_empty_period_says_so():
    result = tk.funnel(study(ONE_WAY).between(*LATER), ["a", "b"])
    assert so_far(result) == [0, 0] and result.say() == ["No customer entered in the period."]
    assert result.wait_rows()[0]["n_customers"] == 0 and np.isnan(result.wait_rows()[0]["mean_seconds"])


def test_an_empty_period_has_no_groups():
    data = study(grouped(("mobile", 4, 1))).between(*LATER)
    assert tk.funnel(data, ["a", "b"], by="device").rows() == []


def test_a_customer_with_orders_only_is_seen_by_the_purchase_they_made(till):
    import pandas as pd

    events = pd.DataFrame({"customer_id": ["x", "x"], "timestamp": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    orders = {"order_id": ["1"], "customer_id": ["y"], "timestamp": pd.to_datetime(["2026-01-01"])}
    orders = pd.DataFrame(orders | {"revenue": [10.0], "currency": ["DKK"]})
    tables = {"events": events.assign(touchpoint=["cart", "purchase"]), "orders": orders}
    result = tk.funnel(tk.open_data(tables, tz="UTC", small_cells=0), ["cart", "purchase"])
    assert result.counts.seen == 2 and result.ledger["never entered"] == 1


WRONG = {
    "unknown steps are all named, with the near miss": (
        ["cartt", "b", "purchas"],
        {},
        UsageError,
        "(?s)cart.*purchase",
    ),
    "one step": (["cart"], {}, UsageError, "2 to 64 steps.*here are 1"),
    "an empty step": (["cart", []], {}, UsageError, "asks for no touchpoint"),
    "a column nobody knows": (["cart", "purchase"], {"by": "gadget"}, UsageError, "gadget"),
    "a known column that did not come": (["cart", "purchase"], {"by": "campaign"}, MissingData, "campaign"),
    "no roles to be found": (None, {}, MissingData, "(?s)catalogue.*most frequent here: x, y"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_explained(name):
    steps, settings, error, sentence = WRONG[name]
    words = ["x", "y"] if steps is None else ["cart", "purchase", "b"]
    data = study({"c": [(i, word, "mobile") for i, word in enumerate(words)]})
    with pytest.raises(error, match=sentence):
        tk.funnel(data, steps, **settings)


def test_a_rule_that_does_not_exist_lists_those_that_do():
    with pytest.raises(UsageError, match=r"(?s)favor.*favour"):
        tk.FunnelRules(ties="favor")


def test_without_steps_the_catalogues_roles_are_taken(shop):
    assert [row["step"] for row in tk.funnel(shop).rows()] == ["product page", "cart", "checkout", "purchase"]


def test_the_small_cells_of_a_study_do_not_change_its_counts(shop):
    few, all_ = (tk.funnel(replace(shop, small_cells=n), ["cart", "purchase"], by="device").counts for n in (50, 0))
    assert (few.reached == all_.reached).all()
