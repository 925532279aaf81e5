"""Guards: each fires on what it guards against and is silent without; false alarms by simulation; real data."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.experiments.trials import METRICS, START, opened, world
from tests.house import ROOT
from toolkit.experiments.exposed import counted, trial_of
from toolkit.experiments.guards import OF_METRICS, VETO, WARN, Seen, compared, split, split_at_any_time, split_by_day

COOKIES = ROOT.parent / "shared" / "real" / "cookie_cats.csv"
SAMPLES = ROOT / "data" / "samples" / "webshop"
BUY, SPEND = tk.share("buy", within="4d"), tk.mean("points", within="4d")


def days(numbers):
    return START + pd.to_timedelta(numbers, unit="D")


def made(variant, day=0.0, events=(), small_cells=0, as_of=40, **more):
    """A study of customers 0 …: variant and day of exposure of each; events as (customer, day, touchpoint, points)."""
    customers = np.arange(len(variant))
    given = pd.DataFrame(
        {"customer_id": customers, "variant": variant, "exposed_at": days(np.zeros(len(variant)) + day)}
    )
    seen = pd.DataFrame([(0, -30.0, "look", np.nan), *events], columns=["customer_id", "at", "touchpoint", "points"])
    seen = seen.assign(timestamp=days(seen.pop("at").to_numpy(float)))
    tables = {"exposures": given.assign(experiment_id="trial"), "events": seen} | more
    return opened(tables, small_cells=small_cells, as_of=str(days(as_of)))


def halves(n):
    return np.array(["control", "treatment"])[np.arange(n) % 2]


def guards(data, metrics=(), **settings):
    return tk.check_split(data, "trial", metrics=metrics, **settings).guards


def seen_with(exposed, words=None):
    """A study as its guards see it, with other numbers of customers by day."""
    data = made(halves(4))
    trial = trial_of(data, "trial")
    counts, _ = counted(data, trial)
    exposed = np.asarray(exposed)
    counts = replace(counts, exposed=exposed, words=np.zeros((0, 2), int) if words is None else words)
    names = tuple(str(START.date() + pd.Timedelta(days=i)) for i in range(len(exposed)))
    return Seen(data, trial._replace(days=names), counts, counts.sums(trial))


# the split


def test_a_published_mismatch_is_vetoed():
    """Kohavi, Tang and Xu 2020, ch. 21."""
    guard = split(seen_with([[821_588, 815_482]]))
    assert guard.verdict == VETO and guard.p == pytest.approx(1.8e-6, rel=0.03) and "821,588" in guard.text


def test_the_day_on_which_it_broke_is_named():
    exposed = np.full((20, 2), 5_000)
    exposed[12:, 1] = 4_000
    seen = seen_with(exposed)
    assert [guard(seen).verdict for guard in (split, split_at_any_time, split_by_day)] == [VETO] * 3
    assert split_at_any_time(seen).text == "Off since 2026-03-14."
    named = split_by_day(seen).text
    assert "2026-03-13 (control 55.6 %, treatment 44.4 %)" in named and named.endswith("and 5 more.")


def test_one_odd_day_in_a_sound_split_is_a_warning():
    exposed = np.full((30, 2), 50_000)
    exposed[3] += 800, -800
    seen = seen_with(exposed)
    assert (split(seen).verdict, split_by_day(seen).verdict) == ("ok", WARN)


def test_a_variant_that_nobody_got_and_one_that_was_not_planned_are_seen():
    found = guards(made(np.array(["control"] * 30 + ["green"] * 3)), planned={"control": 1, "treatment": 1})
    assert found["split"].verdict == VETO and "treatment 0" in found["split"].text
    assert found["other variants"][:3] == (WARN, "3 of 33 customers had a variant not compared; left out.", 3)


def test_an_uneven_plan_is_kept_to():
    data = made(np.repeat(["control", "treatment"], [900, 100]))
    assert guards(data)["split"].verdict == VETO
    assert guards(data, planned={"control": 9, "treatment": 1})["split"].p == 1


def test_the_group_in_which_it_is_off_is_named_and_small_groups_are_not():
    lost = np.arange(1_000) % 4 == 1
    countries = pd.DataFrame({"customer_id": range(1_000), "country": np.where(lost, "SE", "DK")})
    variant = np.where(lost, "control", halves(1_000))
    guard = guards(made(variant, customers=countries))["split by group"]
    assert guard.verdict == VETO and guard.text.startswith("Off most in country SE (control 100.0 %, treatment 0.0 %)")
    few = countries[lost].head(9).assign(country="NO")
    few = pd.concat([few, countries[~countries.customer_id.isin(few.customer_id)].assign(country="DK")])
    assert "NO" not in guards(made(variant, customers=few, small_cells=10))["split by group"].text


# what the data must keep to


@pytest.mark.parametrize(("crossed", "verdict"), [(2, "ok"), (3, VETO)])
def test_more_than_a_hundredth_in_two_variants_is_a_veto(crossed, verdict):
    data = made(halves(200 + crossed))
    tables = {name: data.frame(name) for name in ("events", "exposures")}
    again = tables["exposures"].iloc[:crossed]
    again = again.assign(
        variant=np.where(again.variant == "control", "treatment", "control"), exposed_at=days([9] * crossed)
    )
    tables["exposures"] = pd.concat([tables["exposures"], again])
    result = tk.check_split(opened(tables), "trial")
    assert result.guards["several variants"].verdict == verdict and result.guards["several variants"].n == crossed
    assert result.ledger == {"shown": 200, "pending": 0, "excluded": crossed, "other": 0, "all": 200 + crossed}


def test_rows_that_come_twice_change_no_count_and_are_told():
    tables = world(5)
    twice = tables | {"exposures": pd.concat([tables["exposures"]] * 2)}
    one, two = (
        tk.check_split(opened(some), "trial", {"base": 1, "new": 1}, metrics=METRICS) for some in (tables, twice)
    )
    assert one.counts.exposed.tolist() == two.counts.exposed.tolist()
    assert one.counts.sums(one.trial).cross.tolist() == two.counts.sums(two.trial).cross.tolist()
    assert two.guards["duplicates"].verdict == WARN and two.guards["duplicates"].n >= one.counts.rows
    assert guards(made(halves(40)))["duplicates"].verdict == "ok"


def test_exposures_without_a_variant_are_left_out_and_counted():
    data = made(np.where(np.arange(50) < 5, None, halves(50)))
    guard = guards(data)["missing values"]
    assert (guard.verdict, guard.n) == (WARN, 5) and guard.text.startswith("5 of 50 exposures lack")


def test_customers_without_any_event_are_told():
    events = [(i, 1.0, "look", np.nan) for i in range(40)]
    assert guards(made(halves(60), events=events))["without events"].verdict == "ok"
    assert guards(made(halves(90), events=events))["without events"][::2] == (WARN, 50)


@pytest.mark.parametrize(("span", "verdict"), [(3, WARN), (7, "ok"), (10, WARN), (14, "ok"), (31, "ok")])
def test_whole_weeks_are_asked_for_until_there_are_four(span, verdict):
    guard = guards(made(halves(62), day=np.arange(62) % span))["weekdays"]
    assert (guard.verdict, guard.n) == (verdict, span)


def test_the_young_are_left_out_of_all_metrics_and_counted():
    data = made(halves(100), day=np.arange(100) % 20, as_of=18, events=[(i, 5.0, "buy", 1.0) for i in range(100)])
    result = tk.check_split(data, "trial", metrics=[BUY, tk.mean("points", within="10d")])
    assert result.guards["young exposures"].verdict == WARN and result.ledger["pending"] == 50
    assert result.counts.sums(result.trial).n.sum(axis=(0, 2)).tolist() == [45, 45]  # those of day 19 lie in the future
    assert result.guards["weekdays"].n == 8


# outcomes


def acts(who, day, touchpoint="buy", points=1.0):
    """Events of customers at days of their own."""
    return [
        (int(i), float(at), touchpoint, float(points))
        for i, at in zip(who, np.broadcast_to(day, len(who)), strict=True)
    ]


TREATED, CONTROL = np.arange(1, 600, 2), np.arange(0, 600, 2)


def test_an_outcome_recorded_before_its_exposure_is_a_warning():
    early = made(halves(600), day=10, events=acts(range(100), 10 - 0.01) + acts(range(100, 130), 10.01))
    guard = guards(early, [BUY])["exposure after outcome"]
    assert (guard.verdict, guard.n) == (
        WARN,
        100,
    ) and "100 customers in the half hour before the exposure, 30" in guard.text
    at_once = made(halves(600), day=10, events=acts(range(100), 10))  # at the moment of the exposure is after it
    assert guards(at_once, [BUY])["exposure after outcome"][:3:2] == ("ok", 0)
    assert guards(made(halves(600)), [tk.share("look")])["exposure after outcome"].verdict == "cannot tell"


@pytest.mark.parametrize("metric", [BUY, SPEND, tk.ratio("points", "look", within="4d")])
def test_variants_unlike_before_the_exposure_are_a_veto(metric):
    usual = acts(range(600), 8, "look", 2.0) + acts(range(0, 600, 3), 9)
    more = acts(TREATED[:90], 9.5) + acts(TREATED[:90], 9.6, "buy", 9.0)
    alike, unlike = (
        guards(made(halves(600), day=10, events=e), [metric])["balance before"] for e in (usual, usual + more)
    )
    assert alike.verdict == "ok" and alike.p > 0.05
    assert unlike.verdict == VETO and unlike.p < 0.001 and unlike.text.startswith(metric.name)
    later = guards(made(halves(600), day=10, events=usual + [(i, at + 2, *rest) for i, at, *rest in more]), [metric])
    assert later["balance before"].verdict == "ok"  # what comes after the exposure is no imbalance


def test_a_lift_that_only_the_first_customers_show_is_a_warning():
    day = np.arange(600) // 60
    base = acts(range(0, 600, 5), day[::5] + 0.5) + acts(range(1, 600, 10), day[1::10] + 0.5)
    new = acts(TREATED[:150], day[TREATED[:150]] + 1)
    found = guards(made(halves(600), day=day, events=base + new), [BUY, SPEND])
    assert found["novelty"].verdict == WARN and "+" in found["novelty"].text and found["fading"].verdict == "ok"
    steady = acts(TREATED[::2], day[TREATED[::2]] + 1)
    assert guards(made(halves(600), day=day, events=base + steady), [BUY])["novelty"].verdict == "ok"


def test_what_is_won_first_and_lost_later_is_a_warning():
    soon, later = acts(TREATED[:150], 11, points=3.0), acts(CONTROL[:150], 13, points=3.0)
    base = acts(range(0, 600, 4), 11) + acts(range(1, 600, 4), 13)
    guard = guards(made(halves(600), day=10, events=base + soon + later), [SPEND])["fading"]
    assert guard.verdict == WARN and guard.p < 0.01
    assert guard.text == "Lift of points per customer in the first half of the window and in the second: +1, -1."
    assert guards(made(halves(600), day=10, events=base + soon), [SPEND, BUY])["fading"].verdict == "ok"


def test_a_sum_held_by_few_is_a_warning_and_nobody_is_told_alone():
    points = np.random.default_rng(3).normal(20, 3, 1_200).clip(0)
    events = [(i, 11.0, "buy", p) for i, p in enumerate(points)]
    whale = [(1, 12.0, "buy", 9_000.0)]
    calm, wild = (
        guards(made(halves(1_200), day=10, events=e, small_cells=1), [SPEND])["outliers"]
        for e in (events, events + whale)
    )
    assert calm.verdict == "ok" and wild.verdict == WARN
    share = (points[1] + 9_000) / (9_000 + points[1::2].sum())
    assert "the top 1 hold: control 0.2" in wild.text and f"treatment {100 * share:.1f} %" in wild.text
    shy = guards(made(halves(1_200), day=10, events=events + whale, small_cells=5), [SPEND])["outliers"]
    assert "that the top 5 hold" in shy.text


def test_shares_of_few_conversions_are_a_warning():
    few, enough = (made(halves(600), day=10, events=acts(range(n), 11)) for n in (6, 40))
    assert guards(few, [BUY])["few conversions"].verdict == WARN
    assert guards(enough, [BUY])["few conversions"][:2] == ("ok", "buy: control 20, treatment 20 customers.")
    assert (
        "under 5"
        in guards(made(halves(600), day=10, events=acts(range(6), 11), small_cells=5), [BUY])["few conversions"].text
    )


def test_several_variants_are_each_set_against_control():
    variant = np.array(["control", "blue", "green"])[np.arange(900) % 3]
    events = acts(range(0, 900, 2), 9) + acts(range(2, 900, 3), 9.5, points=5.0)
    found = guards(made(variant, day=10, events=events), [SPEND])
    assert found["split"].p == 1 and found["balance before"].verdict == VETO
    assert found["balance before"].text.endswith("control 0.5, blue 0.5, green 5.5.")


def test_where_nothing_can_be_told_the_guards_say_so_and_nothing_breaks():
    for variant in (halves(2), halves(3), halves(40)):
        for as_of in (0.5, 40):
            data = made(variant, as_of=as_of, events=[(0, -20.0, "buy", 1.0)])
            found = guards(data, [BUY, SPEND, tk.ratio("points", "buy", within="4d")])
            told = {name: found[name].verdict for name in (guard.__name__.replace("_", " ") for guard in OF_METRICS)}
            assert {"outliers", "exposure after outcome"} <= {name for name in told if told[name] == "cannot tell"}
            assert VETO not in told.values() and found["split"].verdict == "ok"


def test_guards_of_outcomes_need_metrics_and_a_plan_brings_its_own():
    data = made(halves(60), events=acts(range(30), 1))
    assert "balance before" not in guards(data) and len(guards(data)) == 10
    plan = tk.plan_experiment(BUY, 0.1, mde_rel=0.1, rules=tk.PlanRules(weights={"control": 2, "treatment": 1}))
    result = tk.check_split(data, "trial", plan)
    assert len(result.guards) == 17 and "planned control 66.7 %, treatment 33.3 %" in result.guards["split"].text
    assert result.definition.window == "4 days from the exposure"


@pytest.mark.parametrize("seed", range(3))
def test_variants_in_the_other_order_are_seen_alike(seed):
    data = opened(world(seed, customers=200))
    one, two = (guards(data, METRICS, planned=dict.fromkeys(names, 1)) for names in (("base", "new"), ("new", "base")))
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].verdict == two[name].verdict and one[name].p == pytest.approx(two[name].p, nan_ok=True), name


def test_the_worst_stands_first_and_the_veto_is_a_note():
    result = tk.check_split(made(np.repeat(["control", "treatment"], [300, 180]), day=np.arange(480) % 3), "trial")
    assert [row["verdict"] for row in result.rows()][:2] == [VETO, VETO] and result.invalid
    assert result.say()[0] == "INVALID: the variants cannot be compared." and "control 300" in result.note
    events = acts(range(400), 1)
    sound = tk.check_split(made(halves(400), day=np.arange(400) % 7, events=events), "trial")
    assert not sound.invalid and sound.note == "" and sound.say()[1] == sound.guards["split"].text


# on data


def test_the_samples_experiments_are_told_apart():
    data = tk.open_data(SAMPLES, tz="Europe/Copenhagen")
    metrics = [tk.share("purchase"), tk.mean("revenue", covariate="before"), tk.ratio("revenue", "orders")]
    found = {
        name: tk.check_split(data, name, {"control": 1, "treatment": 1}, metrics=metrics)
        for name in ("free-shipping", "new-checkout", "retargeting-holdout")
    }
    assert [result.invalid for result in found.values()] == [False, True, False]
    broken = found["new-checkout"].guards["split by group"]
    assert broken.verdict == VETO and broken.text.startswith("Off most in device mobile (control 69.3 %")


@pytest.mark.skipif(not COOKIES.is_file(), reason=f"../shared/real/{COOKIES.name} is not here")
def test_a_real_game_its_split_and_the_player_with_49_854_rounds():
    """90,189 players of Cookie Cats, a published teaching set: chi-square p .008608, day 1 p .0744, day 7 p .00155."""
    players = pd.read_csv(COOKIES)
    since = pd.Timestamp("2026-01-01 12:00", tz="UTC")
    given = pd.DataFrame({"experiment_id": "gate", "customer_id": players.userid, "variant": players.version})
    played = players[players.sum_gamerounds > 0]
    rounds = pd.DataFrame({"customer_id": played.userid, "timestamp": since, "touchpoint": "play"})
    back = [
        pd.DataFrame({"customer_id": players.userid[players[f"retention_{day}"]]}).assign(
            timestamp=since + pd.Timedelta(days=day), touchpoint=f"back on day {day}"
        )
        for day in (1, 7)
    ]
    events = pd.concat([rounds.assign(rounds=played.sum_gamerounds.astype(float)), *back])
    data = opened({"exposures": given.assign(exposed_at=since), "events": events}, as_of="2026-02-01", small_cells=1)
    result = tk.check_split(
        data, "gate", metrics=[tk.share("back on day 1"), tk.share("back on day 7"), tk.mean("rounds")]
    )
    assert result.guards["split"].verdict == WARN and result.guards["split"].p == pytest.approx(0.008608, abs=5e-7)
    assert result.counts.exposed.tolist() == [[44_700, 45_489]] and result.counts.values.values.max() == 49_854
    assert (
        result.guards["outliers"].verdict == WARN
        and "top 1 hold: gate_30 2.1 %, gate_40 0.11 %" in result.guards["outliers"].text
    )
    sums = result.counts.sums(result.trial)[0]
    p = [float(compared(asked.metric, sums[m]).p[0]) for m, asked in enumerate(result.trial.metrics[:2])]
    assert p == pytest.approx([0.0744, 0.001554], abs=5e-5)


def test_the_figure_draws_the_shares_day_by_day():
    result = tk.check_split(made(halves(400), day=np.arange(400) % 9, small_cells=60), "trial")
    rows = [row for row in result.by_day() if row["variant"] == "treatment"]
    assert len(rows) == 8 and rows[0]["n_customers"] == 90 and rows[-1]["variant_share"] == 0.5  # 45 on the first day
    [line] = [one for one in tk.plot(result).get_lines() if one.get_label().startswith("treatment")]
    assert line.get_ydata().tolist() == [row["variant_share"] for row in rows]
    assert (
        tk.show(tk.check_split(made(halves(8), small_cells=60), "trial")).say()[0].startswith("The split by day cannot")
    )
    plt.close("all")


# false alarms


@pytest.mark.slow
def test_a_sound_split_is_vetoed_no_more_often_than_said():
    rng, some, p = np.random.default_rng(11), seen_with(np.ones((14, 2), int)), []
    for _ in range(1_500):
        size = rng.integers(20, 400, 14)
        control = rng.binomial(size, 0.5)
        seen = some._replace(counts=replace(some.counts, exposed=np.column_stack([control, size - control])))
        p.append([guard(seen).p for guard in (split, split_at_any_time, split_by_day)])
    once, any_time, by_day = np.mean(np.array(p) < 0.05, axis=0)
    assert 0.038 < once < 0.062 and any_time < 0.05 and 0.038 < by_day < 0.062
    assert np.sum(np.array(p) < 0.001, axis=0).max() <= 6


@pytest.mark.slow
def test_guards_of_outcomes_are_silent_where_variants_are_alike():
    """80 experiments without any effect, over one shop's customers."""
    shop, rng = tk.make_data(3_000, rng=2), np.random.default_rng(5)
    customers, low = shop["customers"]["customer_id"].to_numpy(), pd.Timestamp("2025-11-01", tz="UTC")
    given = pd.concat(
        pd.DataFrame(
            {"customer_id": customers, "variant": rng.choice(["control", "treatment"], len(customers))}
        ).assign(
            experiment_id=f"e{i}",
            exposed_at=low + pd.to_timedelta(rng.integers(0, 56 * 86_400, len(customers)), unit="s"),
        )
        for i in range(80)
    )
    data = tk.open_data({**shop, "exposures": given}, tz="UTC")
    metrics = [tk.share("purchase"), tk.mean("revenue"), tk.ratio("sessions", "product page")]
    found = [tk.check_split(data, f"e{i}", metrics=metrics).guards for i in range(80)]
    p = {
        name: np.array([one[name].p for one in found])
        for name in ("balance before", "novelty", "fading", "split by group")
    }
    assert {name: float(np.mean(each < 0.05)) for name, each in p.items() if np.mean(each < 0.05) > 0.13} == {}
    assert sum(guard.verdict == VETO for one in found for guard in one.values()) <= 1
