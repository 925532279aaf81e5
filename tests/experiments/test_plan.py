"""The plan: customers by hand, baselines by pandas, looks that count, and settings that must not change."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import study
from toolkit.errors import MissingData, UsageError
from toolkit.experiments.amounts import Asked
from toolkit.experiments.traffic import count_traffic
from toolkit.stats.power import Comparison
from toolkit.stats.sequential import always_valid_crit, inflation, obf_boundaries, spend
from toolkit.study.clock import DAY
from toolkit.study.engine import run

PURCHASE, REVENUE = tk.share("purchase"), tk.mean("revenue")
CONTACT = tk.share("support email").lower_is_better().guardrail(margin=0.1)
FAMILY = [PURCHASE, REVENUE.secondary(), CONTACT]
NUMBERS = [0.031, (50, 130, 0.5), 0.1]


def planned(metrics=PURCHASE, baseline=0.031, mde_rel=0.1, power=0.8, **rules):
    return tk.plan_experiment(metrics, baseline, mde_rel=mde_rel, power=power, rules=tk.PlanRules(**rules))


# from numbers


def test_a_share_needs_what_the_formula_says_of_every_variant():
    plan = planned()
    assert plan.planned_n == math.ceil(2 * Comparison(mean=0.031).n(0.1))
    [row] = plan.rows()
    assert row["mde_rel"] == pytest.approx(0.1) and math.isnan(row["two_weeks_rel"])


def test_r_agrees_through_the_front_door():
    """R: power.prop.test(p1 = .02, p2 = .03, power = .8) → 3825.15 in each group."""
    assert planned(PURCHASE, 0.02, mde_rel=0.5).planned_n == 7_651


def test_uneven_variants_are_planned_for_the_smallest_and_share_the_level():
    plan = planned(weights={"control": 6, "a": 3, "b": 1})
    one = Comparison(mean=0.031, split=1 / 6, level=1 - 0.05 / 2)
    assert plan.planned_n == math.ceil(one.n(0.1) * 10 / 6)


def test_several_metrics_share_level_and_power():
    plan = planned(FAMILY, NUMBERS)
    first = Comparison(mean=0.031).n(0.1, 0.9)
    guard = Comparison(mean=0.1, null=0.1).n(0, 0.9)
    assert [plan.need(metric) for metric in plan.metrics] == pytest.approx([2 * first, plan.planned_n, 2 * guard])
    assert plan.planned_n == math.ceil(2 * max(first, guard))
    two = planned([PURCHASE, tk.share("cart")], [0.031, 0.1])
    assert two.need(two.metrics[0]) == pytest.approx(2 * Comparison(mean=0.031, level=0.975).n(0.1))


def test_a_covariate_saves_its_share_clusters_and_looks_cost_theirs():
    bare = planned(REVENUE, (50, 130)).planned_n
    assert planned(REVENUE, (50, 130, 0.5)).planned_n == pytest.approx(0.75 * bare, rel=1e-4)
    assert planned(REVENUE, (50, 130), clusters=1.95).planned_n == pytest.approx(1.95 * bare, rel=1e-4)
    assert planned(REVENUE, (50, 130), looks=5).planned_n == pytest.approx(inflation(5) * bare, rel=1e-4)
    assert planned(REVENUE, (50, 130), looks=0).planned_n == pytest.approx(inflation(0) * bare, rel=1e-4)


def test_less_may_be_better():
    plan = planned(tk.share("support email").lower_is_better(), 0.1)
    assert plan.planned_n == math.ceil(2 * Comparison(mean=0.1).n(-0.1))
    assert plan.rows()[0]["mde_rel"] == pytest.approx(-0.1)


@given(st.floats(0.01, 0.4), st.floats(0.03, 0.5), st.sampled_from([0, 1, 3]), st.floats(0.5, 0.95))
def test_the_planned_customers_show_the_effect_planned_for(rate, mde_rel, looks, power):
    plan = planned(PURCHASE, rate, mde_rel, power, looks=looks)
    assert plan.mde(plan.metrics[0], plan.planned_n) == pytest.approx(mde_rel, rel=0.01)
    assert plan.chance(plan.metrics[0], plan.planned_n, mde_rel) == pytest.approx(power, abs=0.01)


def test_traffic_gives_whole_weeks_and_what_two_weeks_would_show():
    plan = planned(per_day=3_000)
    assert plan.weeks == math.ceil(math.ceil(plan.planned_n / 3_000) / 7)
    assert plan.rows()[0]["two_weeks_rel"] == pytest.approx(Comparison(mean=0.031).mde(21_000))
    assert len(plan.say()) == 3 and "takes 5 weeks, the last outcome 14d later" in plan.say()[1]
    assert "more than a year" in planned(per_day=10).say()[1] and len(planned().say()) == 1


@pytest.mark.parametrize(
    ("metrics", "baseline", "rules", "sentence"),
    [
        (REVENUE, 0.5, {}, "revenue per customer: only a share is planned from one number"),
        (PURCHASE, 0.0, {}, "Nothing can be planned from mean 0"),
        (PURCHASE.secondary(), 0.1, {}, "or no metric decides"),
        (PURCHASE, 0.99, {}, r"A share of 0.99 cannot change by \+10%"),
        (PURCHASE, 0.1, {"weights": {"control": 1}}, "give two variants or more"),
        (PURCHASE, 0.1, {"weights": {"control": 1, "b": 0}}, "each a share above 0"),
        (PURCHASE, 0.1, {"level": 95}, "level is 95"),
        (PURCHASE, 0.1, {"looks": 1.5}, "looks is 1.5"),
        (PURCHASE, 0.1, {"window": "soon"}, "'soon' is no length of time"),
    ],
)
def test_what_cannot_be_planned_is_said(metrics, baseline, rules, sentence):
    with pytest.raises(UsageError, match=sentence):
        planned(metrics, baseline, **rules)


def test_metrics_say_what_is_wrong_with_them_all_at_once():
    with pytest.raises(UsageError) as error:
        tk.mean("revenue", covariate="after", winsorise=2)
    assert error.value.problems == (
        "covariate is 'after'; choose one of '', 'before'.",
        "winsorise is 2; give a share, 0–1.",
    )


def test_metrics_are_named_by_what_they_count():
    names = [tk.share(["cart", "checkout"]).name, tk.mean({"touchpoint": "cart", "device": "mobile"}).name]
    assert names == ["cart / checkout", "cart · device mobile per customer"]


# the plan as text, and its looks


def test_a_plan_travels_as_json():
    plan = planned(FAMILY, NUMBERS, looks=4, weights={"control": 1, "a": 2}, exposed=["cart", "checkout"])
    assert tk.Plan.from_json(plan.to_json()) == plan
    looked = plan.look("2026-03-08", 20_000).look("2026-03-15", 41_000)
    assert tk.Plan.from_json(looked.to_json()) == looked


def test_a_look_spends_level_and_the_same_day_again_spends_nothing():
    plan = planned(looks=4)
    first = plan.look("2026-03-08", 30_000)
    again = first.look("2026-03-08T23:00", 30_100)
    assert again == first and again.spent == pytest.approx(float(spend(30_000 / plan.planned_n)))
    second = first.look("2026-03-15", 60_000)
    at = np.array([30_000, 60_000]) / plan.planned_n
    assert second.crit() == pytest.approx(obf_boundaries(at)[-1])
    assert second.crit(0.9) == pytest.approx(obf_boundaries(at, 0.9)[-1]) and second.crit(0.9) < second.crit()
    assert second.p(second.crit()) == pytest.approx(0.05, abs=1e-5)
    assert "Look 2 of 4, as of 2026-03-15, at 60,000 customers" in second.say()[1]


def test_one_planned_look_taken_early_is_judged_as_an_early_look():
    plan = planned()
    assert plan.look("2026-03-08", plan.planned_n // 2).crit() > 2.9
    assert plan.look("2026-03-08", plan.planned_n).crit() == pytest.approx(1.959964, abs=1e-4)


def test_any_time_plans_need_no_count_of_looks():
    plan = planned(looks=0).look("2026-03-08", 10_000).look("2026-03-09", 10_500)
    assert plan.crit() == pytest.approx(always_valid_crit(10_500, plan.planned_n))
    assert plan.p(plan.crit()) == pytest.approx(0.05) and math.isnan(plan.spent)
    assert "Look 2, as of 2026-03-09" in plan.say()[1]


def test_before_anyone_has_an_outcome_nothing_is_looked_at():
    for looks in (0, 3):
        plan = planned(looks=looks)
        assert plan.look("2026-03-08", 0) == plan and plan.p(9.0) == pytest.approx(1)
        assert plan.crit() > 100


def test_looks_go_forward_only_on_days_that_are():
    plan = planned(looks=4).look("2026-03-08", 30_000)
    with pytest.raises(UsageError, match="as_of is 2026-03-01, before the last look on 2026-03-08"):
        plan.look("2026-03-01", 20_000)
    with pytest.raises(UsageError, match="'soon' is no date"):
        plan.look("soon", 30_000)
    with pytest.raises(UsageError, match="n is -1"):
        plan.look("2026-03-15", -1)


def test_a_plan_may_change_until_its_first_look():
    plan = planned(FAMILY, NUMBERS)
    assert replace(plan, planned_n=9).planned_n == 9


CHANGES = {
    "metric 3 support email margin was 0.1, is 0.2": lambda held: held["metrics"][2].update(margin=0.2),
    "metric 2 revenue per customer role was 'secondary', is 'primary'": lambda held: held["metrics"][1].update(
        role="primary"
    ),
    "metric 3 support email kind was 'share', is None": lambda held: held["metrics"].pop(),
    "weights treatment was 1, is 3": lambda held: held["rules"]["weights"].update(treatment=3),
    "weights b was None, is 1": lambda held: held["rules"]["weights"].update(b=1),
    "looks was 4, is 0": lambda held: held["rules"].update(looks=0),
    "level was 0.95, is 0.9": lambda held: held["rules"].update(level=0.9),
    "planned_n was": lambda held: held.update(planned_n=9),
    "mde_rel was 0.1, is 0.2": lambda held: held.update(mde_rel=0.2),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_after_the_first_look_is_refused_and_named(what):
    held = json.loads(planned(FAMILY, NUMBERS, looks=4).look("2026-03-08", 20_000).to_json())
    CHANGES[what](held)
    with pytest.raises(UsageError, match="changed after its first look, on 2026-03-08") as error:
        tk.Plan.from_json(json.dumps(held))
    assert what in str(error.value)


def test_all_changes_are_named_in_one_error():
    plan = planned(FAMILY, NUMBERS, looks=4).look("2026-03-08", 20_000)
    with pytest.raises(UsageError, match=r"mde_rel was 0.1, is 0.3; planned_n was \d+, is 9\. Put it back"):
        replace(plan, mde_rel=0.3, planned_n=9)


# from a study

BY_EVENTS = (
    tk.share("checkout", covariate="before"),
    tk.mean("sessions", within="7d"),
    tk.mean({"touchpoint": "product page", "device": "mobile"}),
    tk.mean("load_ms"),
)
BY_ORDERS = (
    tk.mean("revenue", covariate="before"),
    tk.ratio("revenue", "orders", covariate="before"),
    tk.share("orders", within="3d"),
)


def met(data):
    """The first cart of every customer in the last eight weeks before the last known outcome, by pandas."""
    frame = data.frame("events")
    until = pd.Timestamp(data.observed_until, unit="us", tz="UTC").tz_convert(data.tz)
    begin = (until - pd.Timedelta(70, "D")).ceil("D")
    carts = frame[(frame.touchpoint == "cart") & (frame.timestamp >= begin) & (frame.timestamp < until.floor("D"))]
    first = carts.groupby("customer_id").timestamp.min()
    return begin, until, first, first[first <= until - pd.Timedelta(14, "D")]


def totals(rows, since, low, high, values=None):
    """Per customer the rows, or their values, of the time from low to high days after the customer's moment."""
    at = (rows.timestamp - rows.customer_id.map(since)).dt.total_seconds() / 86_400
    values = pd.Series(1, index=rows.index) if values is None else values
    return values[(at >= low) & (at <= high)].groupby(rows.customer_id).sum().reindex(since.index, fill_value=0)


def check(data, metrics, expected):
    plan = planned(metrics, data, 0.1, exposed="cart")
    for metric, (value, sd, correlation) in zip(plan.metrics, expected, strict=True):
        assert metric.baseline[:2] == pytest.approx([value, sd], rel=1e-9), metric.name
        assert metric.baseline[2] == pytest.approx(correlation, abs=1e-9), metric.name


def test_baselines_of_events_are_what_pandas_finds(shop, events):
    ripe = met(shop)[3]
    pause = events.groupby("customer_id").timestamp.diff()
    starts = events[pause.isna() | (pause > pd.Timedelta("30min"))]
    pages = events[(events.touchpoint == "product page") & (events.device == "mobile")]
    done = events[events.touchpoint == "checkout"]
    after, before = totals(done, ripe, 0, 14) > 0, totals(done, ripe, -14, -1e-9) > 0
    means = (
        totals(starts, ripe, 0, 7),
        totals(pages, ripe, 0, 14),
        totals(events, ripe, 0, 14, events.load_ms.fillna(0)),
    )
    first = after.mean(), 0, abs(np.corrcoef(after, before)[0, 1])
    check(shop, BY_EVENTS, [first, *((values.mean(), values.std(), 0) for values in means)])


def test_baselines_of_orders_are_what_pandas_finds(till):
    ripe, orders = met(till)[3], till.frame("orders")
    sold = orders[~orders.cancelled & (orders.revenue >= 0)]
    revenue, before = (totals(sold, ripe, *days, sold.revenue) for days in ((0, 14), (-14, -1e-9)))
    n_orders = totals(sold, ripe, 0, 14)
    rest = revenue - revenue.sum() / n_orders.sum() * n_orders
    mean = revenue.mean(), revenue.std(), abs(np.corrcoef(revenue, before)[0, 1])
    known = np.column_stack([np.ones(len(ripe)), before, totals(sold, ripe, -14, -1e-9)])
    fitted = known @ np.linalg.lstsq(known, rest)[0]
    ratio = revenue.sum() / n_orders.sum(), rest.std() / n_orders.mean(), np.corrcoef(rest, fitted)[0, 1]
    check(till, BY_ORDERS, [mean, ratio, ((totals(sold, ripe, 0, 3) > 0).mean(), 0, 0)])


def test_arrivals_are_the_first_meetings_day_by_day(till):
    begin, until, first, _ = met(till)
    days = pd.date_range(begin, until.floor("D") - pd.Timedelta(1, "D"), freq="D")
    expected = first.dt.floor("D").value_counts().reindex(days, fill_value=0)
    assert planned(PURCHASE, till, exposed="cart").arrivals == expected.tolist()


def test_the_period_asked_for_decides_what_is_measured(till):
    april = till.between("2026-04-01", "2026-05-01")
    plan, frame = planned(PURCHASE, april), april.frame("events")
    first = frame.groupby("customer_id").timestamp.min()
    assert len(plan.arrivals) == 30 and sum(plan.arrivals) == len(first)


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_counts_the_same(till, partitions):
    asked = tuple(Asked.of(till, metric, "14d") for metric in BY_EVENTS + BY_ORDERS)
    days = till.observed_until - np.arange(60, -1, -10) * DAY
    settings = {"exposed": None, "asked": asked, "days": days}
    whole, parts = (run(till, count_traffic, partitions=n, **settings) for n in (1, partitions))
    assert whole.arrivals.tolist() == parts.arrivals.tolist()
    assert (whole.sums.total == parts.sums.total).all() and (whole.sums.cross == parts.sums.cross).all()


def test_a_study_that_is_too_small_says_so():
    short = study({"a": [(0, "cart", "mobile")], "b": [(60, "cart", "mobile")]})
    with pytest.raises(UsageError, match="no whole day to plan from"):
        planned(tk.share("cart"), short)
    long = study({"a": [(i * DAY, "cart", "mobile") for i in range(40)]})
    with pytest.raises(UsageError, match="cart cannot be planned from this data: 1 customers were watched"):
        planned(tk.share("cart"), long)
    with pytest.raises(MissingData, match="no revenue in orders"):
        planned(REVENUE, long)


def test_what_a_study_cannot_measure_is_said(till):
    with pytest.raises(UsageError, match="quantile is planned from numbers only"):
        planned(tk.quantile("revenue", 0.9), till)
    with pytest.raises(UsageError, match=r"a metric's what is 'revenu' \(did you mean 'revenue'\?\)"):
        planned(tk.mean("revenu"), till)


def test_several_currencies_are_not_added_up():
    rows = [("o1", "a", 100, "DKK"), ("o2", "b", 80, "DKK"), ("o3", "a", 900, "SEK")]
    orders = pd.DataFrame(rows, columns=["order_id", "customer_id", "revenue", "currency"])
    orders["timestamp"] = pd.to_datetime("2026-01-01T12:00") + pd.to_timedelta([0, 2, 1], "D")
    events = pd.DataFrame({"customer_id": list("abc") * 20, "touchpoint": "cart"})
    events["timestamp"] = pd.to_datetime("2026-01-01") + pd.to_timedelta(range(60), "D")
    data = tk.open_data({"events": events, "orders": orders}, tz="UTC", small_cells=0).between("2026-01-01", "")
    with pytest.raises(UsageError, match=r"the currency of revenue is ''.*'revenue DKK', 'revenue SEK'"):
        planned(REVENUE, data)
    [krone] = planned(tk.mean("revenue DKK"), data).metrics
    assert krone.baseline[0] == pytest.approx(180 / 3)


# drawn


def test_the_figure_shows_the_chances_of_the_plan():
    import matplotlib.pyplot as plt

    plan = planned(per_day=3_000)
    ax = tk.plot(plan)
    x, y = ax.lines[0].get_data()
    assert y == pytest.approx([plan.chance(plan.metrics[0], plan.planned_n, size) for size in x])
    assert ax.lines[2].get_data() == (pytest.approx([0.1], rel=1e-4), pytest.approx([0.8]))
    plt.close()
    for other in (planned(), planned(CONTACT, 0.1, per_day=500), planned(PURCHASE, 0.7, mde_rel=0.3)):
        assert tk.show(other).png
