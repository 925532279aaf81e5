"""What results say aloud: only what holds, with its interval, and nothing about too few."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toolkit as tk
from tests.journeys.made import MIN, study

DAY = 24 * 60 * MIN
SAMPLES = Path(__file__).parents[2] / "data/samples/webshop"


@pytest.fixture(scope="module")
def samples():
    return tk.open_data(SAMPLES)


def test_of_all_means_everyone_seen_in_the_period(samples):
    spring = samples.between("2026-03-01", "2026-06-01")
    reach = {row["touchpoint"]: row["reach_share"] for row in tk.touchpoints(spring).rows()}
    steps = tk.funnel(spring, ["product page", "purchase"]).rows()
    assert steps[0]["of_all_share"] == pytest.approx(reach["product page"])


def test_a_group_that_differs_by_one_entry_rule_only_is_no_finding(samples):
    said = tk.funnel(samples, by="device").say()[0]
    other = tk.funnel(samples, by="device", rules=tk.FunnelRules(entry="first"))
    assert min(row["p_adjusted"] for row in other.rows()) > 0.05 and "do not build on it" in said


def test_rules_that_contradict_each_other_are_said_to():
    by_depth = {"best": [[60, 40], [90, 10], [0, 0]], "first": [[90, 10], [60, 40], [0, 0]]}
    shop = {f"c{i}": [(0, "a", "mobile" if i % 2 else "desktop"), (MIN, "b", "mobile")] for i in range(20)}
    made = tk.funnel(study(shop), ["a", "b"], by="device")
    best, first = (replace(made.counts, matured=np.array(table)) for table in by_depth.values())
    assert replace(made, counts=best, other=first).say()[0].endswith("the rules contradict each other.")


def test_the_other_entry_rules_rate_is_the_one_it_gives(samples):
    best, first = tk.funnel(samples), tk.funnel(samples, rules=tk.FunnelRules(entry="first"))
    [sentence] = [text for text in best.say() if "quote the rule" in text]
    assert f"{first.headline['conversion_rate']:.1%}".replace("%", " %") in sentence


def test_a_loss_that_chance_could_have_put_second_is_named_too(samples):
    [sentence] = [text for text in tk.funnel(samples).say() if "largest loss" in text]
    assert len(re.findall(r"\(\d", sentence)) == 2


def test_many_sessions_of_one_customer_do_not_make_a_bounce_rate():
    one = [(day * DAY, "home page") for day in range(6)]
    others = {f"c{i}": [(0, "product page"), (MIN, "home page")] for i in range(9)}
    rows = {row["touchpoint"]: row for row in tk.touchpoints(study({"a": one} | others, small_cells=5)).rows()}
    assert rows["home page"]["n_begun"] == 6 and np.isnan(rows["home page"]["bounce_rate"])
    assert rows["product page"]["bounce_rate"] == 0


def test_a_stage_of_a_touchpoint_that_few_met_is_not_listed():
    shop = {f"c{i}": [(0, "product page")] for i in range(9)} | {"a": [(0, "webinar")]}
    stages = tk.stages(tk.touchpoints(study(shop, small_cells=5))).rows()
    assert [row["stage"] for row in stages] == ["purchase", "(met by too few customers to be shown)"]
