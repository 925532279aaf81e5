"""The read-out: planted truths, numbers of others, answers that cannot contradict each other, alarms by chance."""

from dataclasses import replace
from math import isnan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

import toolkit as tk
from tests.experiments.trials import opened, twin, world
from tests.studies import SAMPLES
from toolkit.errors import MissingData, UsageError
from toolkit.experiments.exposed import count_exposed
from toolkit.experiments.readout import effect_of
from toolkit.experiments.verdict import EARLY, INVALID, LOSS, MIXED, NONE, WIN, Regime, decide, judged, line
from toolkit.stats.effects import Effect, ShareEffect
from toolkit.study.attempt import Missing
from toolkit.study.engine import run

BUY, SPENT = tk.share("buy"), tk.mean("points")
ASKS = tk.share("ask").lower_is_better().guardrail(margin=0.1)
GREY = '<div style="opacity:.5">'
EVEN = {"control": 1, "treatment": 1}
CHANGES = [BUY, SPENT, ASKS, tk.mean("points").guardrail(margin=0.2), tk.share("see").secondary()]


def planned(looks, n=5_000, **settings):
    plan = tk.plan_experiment(tk.share("buy"), 0.3, mde_rel=0.1, rules=tk.PlanRules(looks=looks, **settings))
    return replace(plan, planned_n=n)


def verdict(effects, metrics, plan=None, n=1_000, valid=True):
    regime = Regime(plan)
    pairs = zip(metrics, effects, strict=True)
    lines = judged([line(metric, "treatment", effect, regime) for metric, effect in pairs], regime)
    return decide(lines, regime, n, EVEN, valid), lines


@pytest.fixture(scope="module")
def samples():
    return tk.open_data(SAMPLES)


def test_free_shipping_wins_and_its_planted_lift_lies_in_the_interval(samples):
    found = tk.readout(samples, "free-shipping", metrics=tk.share("purchase", within="28d"))
    (row,) = found.rows()
    assert row["diff_low"] < 0.07639 < row["diff_high"] and row["finding"] == "better"
    assert (
        found.say()[0].startswith("free-shipping: WIN. In treatment purchase is ")
        and found.headline["lift_rel_low"] > 0
    )
    assert "check how it is recorded" in found.paragraph() and "customers with purchase a month" in found.paragraph()


def test_the_new_checkout_is_invalid_and_its_estimates_are_kept_in_grey(samples):
    found = tk.readout(samples, "new-checkout")
    assert found.say()[0].startswith("new-checkout: INVALID. ") and isnan(found.headline["lift_rel"])
    assert {row["finding"] for row in found.rows()} == {"not valid"} and found.rows()[0]["diff"] > 0
    html = found._repr_html_()
    assert html.index("INVALID") < html.index('class="guard"') < html.index(GREY) < html.index("<table")
    assert GREY not in tk.readout(samples, "free-shipping")._repr_html_()


def test_the_holdout_shows_no_difference(samples):
    found = tk.readout(samples, "retargeting-holdout")
    assert {row["finding"] for row in found.rows()} == {"open"}
    assert found.say()[0].startswith("retargeting-holdout: TOO EARLY (") and "more than a year" in found.say()[0]


def test_a_covariate_narrows_the_interval_only_where_it_explains_something(samples):
    ends = [
        tk.readout(samples, "free-shipping", metrics=tk.mean("sessions", covariate=c)).rows()[0] for c in ("", "before")
    ]
    plain, freed = (row["diff_high"] - row["diff_low"] for row in ends)
    assert freed < plain * 1.001


@pytest.mark.parametrize("seed", range(2))
def test_the_figures_are_those_of_other_tools_on_the_customers_of_a_slow_twin(seed):
    data = opened(world(seed))
    people = [one for one in twin(data)[0] if not one["young"]]
    metrics = [tk.share("buy", within="5d"), tk.mean("points", within="5d"), tk.ratio("revenue", "orders", within="5d")]
    rows = tk.readout(data, "trial", metrics=metrics, weights={"base": 1, "new": 1}).rows()
    arms = [[one for one in people if one["variant"] == name] for name in ("base", "new")]
    did = [(int(sum(one["after"][0][0] for one in arm)), len(arm)) for arm in arms]
    shares = tk.compare_shares(*did[0], *did[1])
    expected = [(shares.diff, *shares.interval()[:2], *shares.rel_interval()[:2], shares.p)]
    points = [[one["after"][1][0] for one in arm] for arm in arms]
    welch = ttest_ind(points[1], points[0], equal_var=False)
    expected.append((np.mean(points[1]) - np.mean(points[0]), *welch.confidence_interval(), None, None, welch.pvalue))
    paid = [np.array([one["after"][2] for one in arm]) for arm in arms]
    ratios = [arm[:, 0].sum() / arm[:, 1].sum() for arm in paid]
    freed = [r + (arm[:, 0] - r * arm[:, 1]) / arm[:, 1].mean() for r, arm in zip(ratios, paid, strict=True)]
    welch = ttest_ind(freed[1], freed[0], equal_var=False)
    expected.append((ratios[1] - ratios[0], *welch.confidence_interval(), None, None, welch.pvalue))
    names = ("diff", "diff_low", "diff_high", "lift_rel_low", "lift_rel_high", "p")
    for row, values in zip(rows, expected, strict=True):
        assert row["n_customers"] == len(people)
        for name, value in zip(names, values, strict=True):
            assert value is None or row[name] == pytest.approx(value, rel=1e-8)


def test_any_partitioning_gives_the_same_effects_to_the_last_bit(samples):
    found = tk.readout(samples, "free-shipping").check
    parted = replace(found, counts=run(samples, count_exposed, partitions=7, asked=found.trial))
    for m in range(len(found.trial.metrics)):
        assert str(effect_of(found, m, 1)) == str(effect_of(parted, m, 1))


def test_the_order_of_rows_and_the_name_of_control_change_nothing_but_the_sign():
    tables = world(3)
    mixed = {name: table.sample(frac=1, random_state=1) for name, table in tables.items()}
    mixed["exposures"] = tables["exposures"]
    asked = {"metrics": tk.mean("points", within="5d")}
    row, same = (
        tk.readout(opened(t), "trial", weights={"base": 1, "new": 1}, **asked).rows()[0] for t in (tables, mixed)
    )
    assert row["p"] == pytest.approx(same["p"], rel=1e-9)
    (turned,) = tk.readout(opened(tables), "trial", weights={"new": 1, "base": 1}, **asked).rows()
    assert (turned["diff_low"], turned["p"]) == pytest.approx((-row["diff_high"], row["p"]), rel=1e-9)


def test_several_variants_are_each_compared_with_control_and_adjusted_together():
    found = tk.readout(opened(world(1)), "trial", metrics=tk.share("buy", within="5d"))
    rows = found.rows()
    assert [row["variant"] for row in rows] == ["new", "third"] and len(found.verdicts) == 2
    assert [row["p_adjusted"] for row in rows] == pytest.approx(tk.adjust([row["p"] for row in rows]).p.tolist())
    assert found.ledger["shown"] == sum(n for n in (found.check.counts.exposed.sum(), -found.check.counts.young))


numbers = st.integers(20, 3_000)


@st.composite
def effects(draw):
    """A random share or mean, sometimes with a covariance, sometimes hardly there."""
    n_c, n_t = draw(numbers), draw(numbers)
    if draw(st.booleans()):
        return ShareEffect(draw(st.integers(0, n_c)), n_c, draw(st.integers(0, n_t)), n_t)
    values = [draw(st.floats(-2, 20)) for _ in range(2)]
    variances = [draw(st.floats(0.01, 3)) for _ in range(2)]
    cov = draw(st.floats(-0.9, 0.9)) * min(variances)
    return Effect(*values, n_c, n_t, *variances, n_c - 1, n_t - 1, cov)


@settings(max_examples=25)
@given(st.lists(effects(), min_size=len(CHANGES), max_size=len(CHANGES)), st.sampled_from([None, 0, 1, 4]), numbers)
def test_p_intervals_findings_and_verdict_never_contradict_each_other(found, looks, n):
    plan = None if looks is None else planned(looks).look("2026-03-01", n)
    judgement, lines = verdict(found, CHANGES, plan, n)
    for one in lines:
        level, sign = 1 - (plan.rules.level if plan else 0.95), one.metric.sign
        sure, apart = one.p < level, one.diff.low > 0 or one.diff.high < 0
        if one.metric.role == "guardrail":
            margin = -sign * one.metric.margin
            inside = sign * (one.rel.low if sign > 0 else one.rel.high) > sign * margin
            assert isnan(one.rel.low) or float(one.effect.control) < 0 or sure == inside == (one.finding == "kept")
            continue
        assert sure == apart and one.p <= one.p_adjusted + 1e-15
        assert isnan(one.rel.low) or apart == (one.rel.low > 0 or one.rel.high < 0)
        assert one.finding == "open" or (one.p_adjusted < level and apart)
        assert one.finding != "better" or min(one.diff.low * sign, one.diff.high * sign) > 0
    findings = {one.finding for one in lines if one.metric.role == "primary"}
    guards = {one.finding for one in lines if one.metric.role == "guardrail"}
    assert judgement.word != WIN or (findings <= {"better", "open"} and "better" in findings and guards == {"kept"})
    assert judgement.word != LOSS or ("worse" in findings and "better" not in findings)
    assert judgement.word not in (NONE, EARLY) or findings == {"open"} or plan is not None
    if judgement.word == NONE and not isnan(judgement.bound):
        low, high = judgement.lead.rel[:2]
        assert -judgement.bound <= low <= 0 <= high <= judgement.bound


SURE, NULL, BAD = (
    ShareEffect(200, 1_000, 300, 1_000),
    ShareEffect(300, 1_000, 300, 1_000),
    ShareEffect(300, 1_000, 200, 1_000),
)
EXACT = ShareEffect(300_000, 10**6, 300_000, 10**6)
CASES = [
    ("a primary metric better", [SURE], [BUY], WIN),
    ("worse", [BAD], [BUY], LOSS),
    ("better, but less would be", [SURE], [BUY.lower_is_better()], LOSS),
    ("nothing seen, and little could be", [NULL], [BUY], EARLY),
    ("nothing seen, and even little would be", [EXACT], [BUY], NONE),
    ("one better, one worse", [SURE, BAD], [BUY, tk.share("see")], MIXED),
    ("better, the guardrail kept", [SURE, EXACT], [BUY, ASKS], WIN),
    ("better, the guardrail open", [SURE, NULL], [BUY, ASKS], MIXED),
    ("better, the guardrail worse", [SURE, SURE], [BUY, ASKS], MIXED),
    ("nothing, the guardrail worse", [NULL, SURE], [BUY, ASKS], MIXED),
    ("a secondary metric alone decides nothing", [NULL, SURE], [BUY, tk.share("see").secondary()], EARLY),
    ("nobody", [ShareEffect(0, 0, 0, 0)], [BUY], EARLY),
]


@pytest.mark.parametrize(("effects", "metrics", "word"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_verdict_on(effects, metrics, word):
    assert verdict(effects, metrics)[0].word == word
    assert verdict(effects, metrics, valid=False)[0].word == INVALID


def test_a_share_has_the_published_score_interval():
    (one,) = verdict([ShareEffect(48, 80, 56, 70)], [BUY])[1]
    assert [round(end, 4) for end in one.diff[:2]] == [0.0528, 0.3382]
    assert one.belief[0] == pytest.approx(0.996, abs=0.002)


def test_a_guardrail_is_judged_by_the_interval_of_twice_its_level():
    (one,) = verdict([ShareEffect(3_000, 10_000, 3_060, 10_000)], [ASKS])[1]
    assert one.diff.level == pytest.approx(0.9) and one.finding == "kept" and one.rel.high < 0.1
    assert one.p == pytest.approx(float(ShareEffect(3_000, 10_000, 3_060, 10_000).p_below(0.1)))


def test_planned_looks_widen_the_interval_to_the_plans_critical_value():
    plan = planned(4).look("2026-03-01", 2_000)
    effect = Effect(10.0, 10.9, 1_000, 1_000, 0.05, 0.05, 999, 999)
    (one,) = verdict([effect], [SPENT], plan)[1]
    assert one.diff.high - 0.9 == pytest.approx(plan.crit() * float(effect.se)) and plan.crit() > 3
    assert one.p == pytest.approx(plan.p(float(effect.z))) and one.finding == "open"


def test_the_only_planned_look_is_not_taken_early_nor_any_before_a_hundred_did():
    once, anytime = (planned(looks).look("2026-03-01", 2_000) for looks in (1, 0))
    assert verdict([SURE], [BUY], once, 2_000)[0][:1] + verdict([SURE], [BUY], once, 2_000)[0][3:4] == (EARLY, 3_000)
    assert verdict([SURE], [BUY], planned(1).look("2026-03-01", 5_000), 5_000)[0].word == WIN
    assert verdict([SURE], [BUY], anytime, 2_000)[0].word == WIN
    assert verdict([ShareEffect(10, 1_000, 99, 1_000)], [BUY], anytime, 2_000)[0].word == EARLY


def test_a_plan_is_read_with_its_looks_and_running_it_again_spends_nothing(samples):
    goal = tk.share("purchase")
    plan = tk.plan_experiment(goal, 0.2, mde_rel=0.3, rules=tk.PlanRules(looks=4))
    found = tk.readout(samples, "free-shipping", plan=plan)
    again = tk.readout(samples, "free-shipping", plan=tk.Plan.from_json(found.plan.to_json()))
    assert len(found.plan.taken) == 1 and again.plan.taken == found.plan.taken and again.say() == found.say()
    assert f"of {plan.planned_n:,} planned customers; look 1 of 4" in found.paragraph()
    with pytest.raises(UsageError, match="The plan names metrics and weights"):
        tk.readout(samples, "free-shipping", plan=plan, metrics=goal)


def test_what_is_too_small_is_not_shown_and_what_is_missing_is_said(samples):
    few = tk.open_data(world(2, customers=8), tz="UTC", small_cells=20)
    found = tk.readout(few, "trial", metrics=tk.share("buy"))
    assert found.rows() == [] and found.say()[0].startswith("trial: TOO EARLY. Too few customers")
    assert isinstance(tk.show(found), Missing)
    with pytest.raises(MissingData, match="it has "):
        tk.readout(samples, "no such")
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["zorp"]})
    assert isinstance(tk.attempt(tk.readout, tk.open_data(events), "trial"), Missing)


def test_customers_labelled_by_chance_seldom_win_or_lose():
    rng, runs, alarms = np.random.default_rng(8), 100, 0
    spent = np.where(rng.random(1_200) < 0.3, rng.lognormal(3, 1, 1_200), 0)
    for _ in range(runs):
        mine = rng.permutation(1_200) < 600
        arms = spent[~mine], spent[mine]
        share = ShareEffect(int((arms[0] > 0).sum()), 600, int((arms[1] > 0).sum()), 600)
        values = [(arm.mean(), arm.var(ddof=1) / 600) for arm in arms]
        mean = Effect(values[0][0], values[1][0], 600, 600, values[0][1], values[1][1], 599, 599)
        alarms += verdict([share, mean], [BUY, SPENT])[0].word in (WIN, LOSS)
    assert alarms / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5
    assert alarms > 0


def test_the_next_plan_is_judged_as_the_readout_is_or_says_what_is_missing(samples):
    plan, read = tk.plan_next(samples, mde_rel=0.2), tk.readout(samples, "free-shipping")
    assert [metric.name for metric in plan.metrics] == [row["metric"] for row in read.rows()]
    with pytest.raises(MissingData, match="a longer time"):
        tk.plan_next(samples.between("2030-01-01", "2030-02-01"))
