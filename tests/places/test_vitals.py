"""The figures touchpoints live by: a slow twin agrees on what follows what, and the tables' figures are the tables'."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import EVER, MIN, part
from toolkit.catalogue import Catalogue
from toolkit.places.vital_counts import Asked, VitalCounts, count_vitals
from toolkit.places.vitals import recipes
from toolkit.study.engine import run

TOUCHPOINTS = ("a", "b", "c")
event = st.tuples(st.integers(0, 8).map(lambda n: n * 10 * MIN), st.sampled_from(TOUCHPOINTS), st.just("desktop"))
journeys = st.lists(st.lists(event, max_size=8), min_size=1, max_size=5)
UNTIL = 70 * MIN


def followed(events, period, within, part_):
    """One value per occasion that had the whole time, and how many had not."""
    values, young, last = [], 0, None
    events = sorted((e for e in events if e[0] <= UNTIL), key=lambda e: e[0])
    for i, (time, name, _) in enumerate(events):
        if name != "a":
            continue
        fresh, last = last is None or time - last > within or part_ == "before", time
        if not fresh or not period[0] <= time < period[1]:
            continue
        others = reversed(events[:i]) if part_ == "before" else events[i + 1 :]
        waits = [abs(t - time) for t, n, _ in others if n in "bc" and abs(t - time) <= within]
        if time > UNTIL - within and part_ != "before":
            young += 1
        elif part_ == "wait":
            values += [waits[0] / 1e6] if waits else []
        else:
            values.append(float(bool(waits) != (part_ == "rest")))
    return values, young


@given(journeys, st.sampled_from(["", "rest", "wait", "before"]), st.sampled_from([EVER, (10 * MIN, 60 * MIN)]))
def test_what_follows_what_is_what_a_slow_twin_finds(people, part_, period):
    within = 20 * MIN
    ask = Asked("follow", codes=(0,), to=(1, 2), within=within, part=part_)
    counts = count_vitals(part(people, TOUCHPOINTS, period=period, until=UNTIL), asked=[ask])
    found = [followed(events, period, within, part_) for events in people]
    values = [value for some, _ in found for value in some]
    assert counts.n.sum() == len(values) and counts.total.sum() == pytest.approx(sum(values))
    assert counts.young[0] == sum(young for _, young in found)
    assert counts.customers[0] == sum(bool(some) for some, _ in found)


@given(journeys, journeys)
def test_counts_add(some, others):
    asked = [Asked("follow", (0,), (1,), 20 * MIN), Asked("met", (0, 2)), Asked("bounce", (0,), (2,), 30 * MIN)]
    apart = [count_vitals(part(people, TOUCHPOINTS), asked=asked) for people in (some, [[]], others)]
    whole = count_vitals(part([*some, [], *others], TOUCHPOINTS), asked=asked)
    added = VitalCounts.sum(apart)
    assert np.array_equal(added.n.sum(axis=0), whole.n.sum(axis=0))
    assert np.array_equal(added.total.sum(axis=0), whole.total.sum(axis=0))
    assert np.array_equal(added.customers, whole.customers)


def test_partitions_give_the_same(till):
    touchpoint, code = till.vocabulary("touchpoint"), till.codes
    asked = [
        Asked("follow", code(["cart"]), code(["purchase"]), 7 * 86_400_000_000, "rest"),
        Asked("property", tuple(range(len(touchpoint))), column="load_ms", limit=("under", 3000.0)),
        Asked("feedback", column="reply", part="median"),
        Asked("responses", column="nps"),
        Asked("orders", column="delivery", part="median"),
    ]
    whole, split = (run(till, count_vitals, partitions=n, asked=asked) for n in (1, 64))
    assert all(np.array_equal(getattr(whole, f), getattr(split, f)) for f in ("n", "total", "customers", "young"))
    assert np.array_equal(whole.values.counts, split.values.counts)


@pytest.fixture(scope="module")
def found(till):
    return tk.vitals(till)


def test_figures_of_tables_are_those_that_pandas_finds(till, found):
    orders = till.frame("orders")
    sold = orders[~orders["cancelled"].astype(bool)]
    there = sold[
        sold["delivered_at"].notna() & (sold["delivered_at"] <= pd.Timestamp(till.observed_until, unit="us", tz="UTC"))
    ]
    assert found.of("delivery", "on-time delivery").found[0] == pytest.approx(
        (there["delivered_at"] <= there["promised_at"]).mean()
    )
    assert found.of("upsell and cross-sell", "attach rate").found[0] == pytest.approx((sold["items"] > 1).mean())
    assert found.of("upsell and cross-sell", "average order value").found[0] == pytest.approx(sold["revenue"].mean())
    nps = till.frame("responses").query("instrument == 'nps'")["score"]
    assert found.of("referral and word of mouth", "NPS").found[0] == pytest.approx(
        100 * ((nps >= 9).mean() - (nps <= 6).mean())
    )
    reviews = till.frame("feedback").query("source == 'review'")
    assert found.of("online review", "rating").found[0] == pytest.approx(reviews["rating"].mean())
    loads = till.frame("events").query("touchpoint in ('home page', 'category page', 'site search', 'wish list')")
    loads = loads["properties"].map(lambda known: known and known["load_ms"]).dropna().astype(float)
    assert found.of("website", "load time").found[0] == pytest.approx((loads < 3000).mean())
    ads = till.frame("campaigns").query("touchpoint == 'social ad'")
    assert found.of("social ad", "cost per click").found[0] == pytest.approx(ads["cost"].sum() / ads["clicks"].sum())


def test_every_figure_has_its_interval_and_units(found):
    for row in found.rows():
        if row["found"] == row["found"] and row["found_kind"] not in ("count",):
            assert row["found_low"] <= row["found"] <= row["found_high"] and row["n_of"] > 0, row


def test_every_figure_of_the_catalogue_has_a_recipe_and_every_recipe_is_asked_for():
    named = {figure for place in Catalogue.load().places for figure in place.lives_by}
    assert named == set(recipes())


def test_what_is_not_in_the_tables_names_the_export_that_brings_it():
    events = tk.make_data(300, rng=1)["events"].drop_columns(["properties"])
    rows = tk.vitals(tk.open_data({"events": events}, tz="UTC")).rows()
    said = {(row["touchpoint"], row["figure"]): row["said"] for row in rows if row["found"] != row["found"]}
    assert "load_ms in events" in said["website", "load time"]
    assert "the survey tool's answers" in said["customer service", "CSAT"]
    assert all("brought by" in text or "too few" in text for text in said.values())


def test_few_customers_are_not_shown():
    shop = tk.open_data(tk.make_data(30, rng=1), tz="UTC", small_cells=1_000)
    found = {row["figure"]: row["found"] for row in tk.vitals(shop).rows() if "campaign" not in row["said"]}
    assert all(
        value != value
        for figure, value in found.items()
        if figure not in ("impressions", "cost per click") and "click" not in figure and "open" not in figure
    )


def test_a_touchpoint_the_data_never_meets_is_asked_after():
    events = pd.DataFrame({"customer_id": list("abcdef"), "timestamp": "2026-01-01", "touchpoint": "webinar"})
    assert "trade show or event" in tk.vitals(tk.open_data(events, tz="UTC")).say()[1]


def test_devices_are_known_by_their_danish_words():
    moments = pd.date_range("2026-01-01", periods=40, freq="h")
    rows = [(f"c{i}", at, "home page", "Mobil" if i % 2 else "computer") for i, at in enumerate(moments)]
    rows += [(f"c{i}", at + pd.Timedelta("1min"), "purchase", "computer") for i, at in enumerate(moments) if i % 4 == 0]
    shop = pd.DataFrame(rows, columns=["customer_id", "timestamp", "touchpoint", "device"])
    said = [row for row in tk.vitals(tk.open_data(shop, small_cells=0)).rows() if "mobile v desktop" in str(row)]
    assert said and "brought by" not in str(said)
