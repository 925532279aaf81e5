"""Exposures and outcomes: a slow twin on random experiments, any partitioning, winsorising, and what is missing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.experiments.trials import METRICS, START, opened, twin, world
from tests.study.test_law import same
from toolkit.errors import MissingData, UsageError
from toolkit.experiments.exposed import (
    BEFORE,
    EARLY,
    ONE,
    PER,
    PER_BEFORE,
    PER_SQUARE,
    SQUARE,
    STEPS,
    VALUE,
    count_exposed,
    counted,
    trial_of,
)
from toolkit.study.engine import run

PLANNED = {"base": 1, "new": 1}
PLAN = tk.PlanRules(weights=PLANNED, window="5d")
SEEDS = range(4)


def asked(data, metrics=METRICS, **settings):
    plan = tk.plan_experiment(tk.share("buy"), 0.1, mde_rel=0.1, rules=PLAN)
    return trial_of(data, "trial", plan, metrics=metrics, **settings)


def by_places(one, m):
    """The variables of a customer of the twin, by place, and 1."""
    (value, per), (before, per_before), (early, _) = (one[name][m] for name in ("after", "before", "early"))
    early = 0.0 if METRICS[m].kind == "ratio" else early
    found = {VALUE: value, PER: per, BEFORE: before, PER_BEFORE: per_before, EARLY: early}
    found |= {SQUARE: value**2, PER_SQUARE: per**2, ONE: 1.0}
    return np.array([found[place] for place in range(ONE + 1)])


@pytest.mark.parametrize("period", [(None, None), (START + pd.Timedelta(days=3), START + pd.Timedelta(days=9))])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_twin_counts_the_same(seed, period):
    whole = opened(world(seed))
    data = whole.between(*map(str, period)) if period[0] else whole
    counts, trial = counted(data, asked(data, by="device"))
    people, out = twin(whole, period=period)
    arms = {name: i for i, name in enumerate(PLANNED)}
    assert {name: getattr(counts, name) for name in out} == out
    assert counts.silent == sum(one["silent"] for one in people) and counts.young == sum(o["young"] for o in people)
    days = Counter((one["day"], one["variant"]) for one in people)
    assert counts.exposed.tolist() == [[days[day, variant] for variant in arms] for day in trial.days]
    near = [[sum(one[f"near {end} n"][m] > 0 for one in people) for end in ("before", "after")] for m in range(3)]
    assert near == counts.near.tolist()
    sums, steps = counts.sums(trial), trial.steps[-1] + 1
    words = [*data.vocabulary("device"), "(unknown)"]
    ripe = [one for one in people if not one["young"]]
    places = [(trial.steps[trial.days.index(one["day"])], steps + words.index(one["device"])) for one in ripe]
    for m in range(3):
        expected = np.zeros((trial.groups, 2, ONE + 1, ONE + 1))
        for one, slots in zip(ripe, places, strict=True):
            values = by_places(one, m)
            for slot in slots:
                expected[slot, arms[one["variant"]]] += values[:, None] * values
        np.testing.assert_allclose(sums.total[:, m, :, :SQUARE], expected[..., :SQUARE, ONE], rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(sums.cross[:, m, :, :SQUARE, :SQUARE], expected[..., :SQUARE, :SQUARE], 1e-10, 1e-9)
        needed = expected[..., : PER + 1, SQUARE:ONE]
        np.testing.assert_allclose(sums.cross[:, m, :, : PER + 1, SQUARE:], needed, rtol=1e-10, atol=1e-9)
        held = np.sort([one["after"][m][0] for one in ripe])
        tally = counts.values
        mine = np.repeat(tally.values, tally.counts)[np.repeat(tally.groups // 2 == m, tally.counts)]
        assert METRICS[m].kind == "share" or np.sort(mine) == pytest.approx(np.sort(np.maximum(held, 0)))
    assert sums.n[:, 0].tolist() == [
        [
            sum(slot in slots and one["variant"] == name for one, slots in zip(ripe, places, strict=True))
            for name in arms
        ]
        for slot in range(trial.groups)
    ]


@pytest.fixture(scope="module")
def large():
    return opened(world(99, customers=600))


@pytest.fixture(scope="module")
def everyone(large):
    return twin(large)[0]


@pytest.mark.parametrize("partitions", [2, 7, 64, 1024])
@pytest.mark.parametrize("by", ["", "country"])
def test_any_partitioning_gives_the_same_to_the_last_bit(large, partitions, by):
    trial = asked(large, by=by)
    whole, parts = (run(large, count_exposed, asked=trial, partitions=n) for n in (1, partitions))
    assert same(whole, parts) and same(whole.sums(trial), parts.sums(trial))
    assert whole.exposed.sum() > 250 and whole.values.exact


def test_neither_the_order_of_rows_nor_empty_customers_matter():
    tables = world(7)
    more = pd.DataFrame({"customer_id": [f"quiet {i}" for i in range(40)], "country": "NO"})
    others = {name: table.iloc[::-1] for name, table in tables.items() if name != "customers"}
    others["customers"] = pd.concat([tables["customers"], more])
    one, two = (opened(some) for some in (tables, others))
    counts, again = (counted(data, asked(data, METRICS[:1]))[0] for data in (one, two))
    assert same(counts.exposed, again.exposed) and (counts.young, counts.near.tolist()) == (
        again.young,
        again.near.tolist(),
    )
    assert counts.sums(asked(one, METRICS[:1])).total.tolist() == again.sums(asked(two, METRICS[:1])).total.tolist()


def test_words_of_customers_and_of_events_at_the_exposure_divide_all(large, everyone):
    trial = asked(large)
    counts, _ = counted(large, trial)
    country = large.frame("customers").set_index("customer_id").country
    assert dict(trial.attributes) == {"device": "events", "country": "customers"}
    start, found = 0, {}
    for column, table in trial.attributes:
        for word in (*large.vocabulary(column, table), "(unknown)"):
            found[column, word] = int(counts.words[start].sum())
            start += 1
    devices = Counter(one["device"] for one in everyone)
    assert {word: n for (column, word), n in found.items() if column == "device"} == devices
    assert sum(n for (column, _), n in found.items() if column == "country") == len(everyone)
    assert set(country.dropna()) == {word for column, word in found if column == "country"} - {"(unknown)"}


@pytest.mark.parametrize("metric", [tk.mean("revenue", covariate="before"), tk.ratio("revenue", "orders")])
def test_values_are_cut_at_a_quantile_of_those_above_0_pooled_over_the_variants(large, everyone, metric):
    counts, trial = counted(large, asked(large, [METRICS[0], replace(metric, winsorise=0.9)]))
    ripe = [one for one in everyone if not one["young"]]
    values, before = (np.array([one[name][2][0] for one in ripe]) for name in ("after", "before"))
    cap = np.quantile(values[values > 0], 0.9)
    sums = counts.sums(trial)
    assert trial.metrics[1].cap == pytest.approx(cap) and trial.metrics[0].cap == np.inf
    assert sums.total[:, 1, :, VALUE].sum() == pytest.approx(np.minimum(values, cap).sum())
    assert sums.total[:, 1, :, BEFORE].sum() == pytest.approx(np.minimum(before, cap).sum())
    assert counts.values.values.max() == pytest.approx(cap)


def test_long_experiments_are_told_in_at_most_28_steps_of_whole_days(large):
    exposures = pd.DataFrame({"customer_id": range(100), "exposed_at": START + pd.to_timedelta(range(100), unit="D")})
    exposures = exposures.assign(experiment_id="trial", variant=["base", "new"] * 50)
    events = pd.DataFrame({"customer_id": [1], "timestamp": [START + pd.Timedelta(days=120)], "touchpoint": "buy"})
    data = tk.open_data({"events": events, "exposures": exposures}, tz="UTC", small_cells=0)
    trial = trial_of(data, "trial", metrics=tk.share("buy"))
    assert len(trial.days) == 100 and trial.groups == 25 <= STEPS and set(np.bincount(trial.steps)) == {4}
    counts, _ = counted(data, trial)
    assert counts.sums(trial).n[:, 0].sum(axis=1).tolist() == [4.0] * 25
    zoned = tk.open_data({"events": events, "exposures": exposures}, tz="Asia/Tokyo", small_cells=0)
    assert trial_of(zoned, "trial").days == trial.days  # nine in the morning there


def test_an_attribute_may_have_a_dot_in_its_name():
    tables = world(3)
    tables["customers"]["region.code"] = "north"
    assert dict(trial_of(opened(tables), "trial", by="region.code").attributes)["region.code"] == "customers"


def test_left_out_the_variants_that_occur_are_planned_alike_and_control_is_first():
    tables = world(3)
    tables["exposures"].variant = tables["exposures"].variant.replace({"third": "Control"})
    assert trial_of(opened(tables), "trial").weights == {"Control": 1, "base": 1, "new": 1}
    assert trial_of(opened(world(3)), "trial").weights == {"base": 1, "new": 1, "third": 1}


def test_a_planned_variant_that_nobody_was_given_has_no_customers():
    data = opened(world(3))
    counts, trial = counted(data, trial_of(data, "trial", {"base": 1, "nobody": 1}))
    assert counts.exposed.sum(axis=0)[1] == 0 < counts.exposed.sum(axis=0)[0] and trial.variants[1] == -1
    assert counts.other > 0


def test_what_is_missing_is_said_and_what_is_wrong_is_refused():
    data = opened(world(3))
    with pytest.raises(MissingData, match="no experiment 'tryal' in exposures; it has another, trial"):
        trial_of(data, "tryal")
    with pytest.raises(MissingData, match="exposures of it to any variant in the period"):
        trial_of(data.between("2026-08-01", "2026-09-01"), "trial")
    with pytest.raises(UsageError, match=r"planned variant is 'bace' .did you mean 'base'"):
        trial_of(data, "trial", {"bace": 1, "knew": 1})
    with pytest.raises(UsageError, match=r"by is 'divice' .did you mean 'device'"):
        trial_of(data, "trial", by="divice")
    with pytest.raises(MissingData, match="the study has no exposures"):
        trial_of(tk.open_data(world(3)["events"]), "trial")
    tables = world(3)
    tables["exposures"] = tables["exposures"].query("variant == 'base'")
    with pytest.raises(MissingData, match="exposures of it to a second variant"):
        trial_of(opened(tables), "trial")
