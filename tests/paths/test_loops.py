"""Loops and repeated contacts: by hand, by a walk through every journey, and against what was planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.house import ROOT
from tests.paths.channelled import (
    JOURNEYS,
    PERIODS,
    UNTIL,
    WORDS,
    channelled,
    in_order,
    same,
    shop,
    split,
    study,
)
from toolkit.errors import MissingData
from toolkit.paths.loops import LoopCounts, Loops, count_loops
from toolkit.results import Definition
from toolkit.study.engine import run


def walked(journeys, place, window, cases, period, until):
    """Kind and wait of every visit that counts, by customer and touchpoint; None is pending."""
    for customer, events in enumerate(in_order(journeys, until)):
        spots = [place[WORDS.index(word)] if word else -1 for _, word, _ in events]
        for i, (time, word, channel) in enumerate(events):
            before = [events[j][0] for j in range(i) if spots[j] == spots[i]]
            if spots[i] < 0 or not period[0] <= time < period[1]:
                continue
            if cases and before and time - before[-1] <= window:
                continue
            if time + window > until:
                yield customer, word, None, 0
                continue
            later = [j for j in range(i + 1, len(events)) if spots[j] == spots[i]]
            if not later or events[later[0]][0] - time > window:
                yield customer, word, 0, 0
                continue
            then, other_word, other = events[later[0]]
            known = channel and other
            doubt = int(word != other_word) if cases else 2
            yield (
                customer,
                word,
                (1 if later[0] == i + 1 else 4) + (int(channel != other) if known else doubt),
                then - time,
            )


@given(JOURNEYS, st.sampled_from([0, 5, 15]), st.sampled_from([(0, 1, 2), (0, 0, -1)]), st.booleans(), PERIODS, UNTIL)
def test_a_walk_through_every_journey_finds_the_same_loops(journeys, window, place, cases, period, until):
    settings = {"place": np.array(place), "window": window, "cases": cases}
    counts = count_loops(channelled(journeys, period=period, until=until), **settings)
    found = list(walked(journeys, place, window, cases, period, until))
    over = [visit for visit in found if visit[2] is not None]
    for t, name in enumerate(WORDS):
        kinds = [kind for _, word, kind, _ in over if word == name]
        assert counts.kinds[:, t].sum(axis=0).tolist() == np.bincount(np.array(kinds, int), minlength=7).tolist()
        assert counts.customers[t] == len({who for who, word, *_ in over if word == name})
        assert counts.looping[t] == len({who for who, word, kind, _ in over if word == name and kind})
        assert counts.pending[t] == sum(word == name and kind is None for _, word, kind, _ in found)
        waits = [wait / 1e6 for _, word, kind, wait in over if word == name and kind]
        assert counts.waits.quantile(0.5, groups=3)[t] == pytest.approx(
            np.median(waits) if waits else np.nan, nan_ok=True
        )


@given(JOURNEYS, st.booleans())
def test_partitions_with_empty_ones_among_them_add_up_to_the_same(journeys, cases):
    settings = {"place": np.array([0, 0, 1]), "window": 15, "cases": cases}
    buckets = channelled(journeys).hashes
    parts = []
    for some in split(journeys):
        made = channelled([journeys[i] for i in some])
        object.__setattr__(made, "hashes", buckets[some])
        parts.append(count_loops(made, **settings))
    assert same(LoopCounts.sum(parts), count_loops(channelled(journeys), **settings))


def test_a_study_is_the_sum_of_its_partitions(till):
    place = np.arange(len(till.vocabulary("touchpoint")))
    whole, parts = (run(till, count_loops, place=place, window=10**12, cases=False, partitions=n) for n in (1, 7))
    assert same(whole, parts)


def test_three_journeys_are_counted_by_hand():
    data = study(
        {
            "x": [(0, "page", "web"), (1, "page", "web"), (2, "cart", "web"), (3, "page", "app"), (30, "end", "web")],
            "y": [(0, "page", None), (9, "page", "web"), (30, "end", "web")],
        }
    )
    rows = {row["touchpoint"]: row for row in tk.loops(data, within="7d").rows()}
    page = rows["page"]
    assert (page["n_visits"], page["n_customers"]) == (5, 2)
    assert (page["self_loop_rate"], page["repetition_rate"], page["redo_share"]) == (1 / 5, 1 / 5, 1 / 2)
    assert page["median_seconds"] == 1.5 * 86_400
    assert (rows["cart"]["self_loop_rate"], rows["cart"]["repetition_rate"]) == (0, 0)
    assert np.isnan(rows["cart"]["redo_share"])
    assert rows["page"]["again_rate_diff"] == pytest.approx(2 / 5)
    assert tk.loops(data).ledger == {"again": 2, "not again": 4, "hidden": 0, "pending": 2, "all": 8}


def test_without_channels_loops_are_counted_and_nothing_is_said_of_elsewhere():
    frame = study({"x": [(0, "page", None), (1, "page", None), (9, "end", None)]})
    row = tk.loops(frame, within="1d").rows()[0]
    assert row["self_loop_rate"] == 1 / 2 and np.isnan(row["redo_share"])


def test_the_ledger_holds_every_visit_of_the_period(shop):
    for data in (shop, shop.between("2025-11-01", "2026-02-01")):
        found = tk.loops(data)
        events = sum(row["n_events"] for row in tk.touchpoints(data).rows())
        assert found.ledger["all"] == events == sum(n for name, n in found.ledger.items() if name != "all")


def test_small_groups_are_hidden_and_the_ledger_says_how_many():
    data = study({"x": [(0, "page", "web"), (30, "end", "web")]}, small_cells=2)
    assert tk.loops(data).rows() == [] and tk.loops(data).ledger["hidden"] == 1
    assert tk.loops(data).say() == ["No touchpoint has enough visits that are 7 days old."]


@pytest.mark.slow
def test_a_world_where_all_touchpoints_loop_alike_names_none():
    named = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(2, 9, 200)
        made = channelled([[(t, w, "web") for t, w in enumerate(rng.choice(WORDS, size))] for size in sizes])
        counts = count_loops(made, place=np.arange(3), window=2, cases=False)
        card = {"within": "2d", "small_cells": 0, "definition": Definition(measure="Loops")}
        named += any(row["p_adjusted"] < 0.05 for row in Loops(counts=counts, names=WORDS, **card).rows())
    assert named <= 7  # more would come once in 100 times, were 5 % named


def contacts(*events):
    return study({"x": [*events, (40, "end", "web")]})


def test_a_contact_in_another_channel_within_three_days_is_a_repeated_one():
    found = tk.repeated_contacts(
        contacts((0, "chat", "chat"), (2, "cart", "web"), (3, "phone call", "phone"), (9, "chat", "chat"))
    )
    assert (
        found.headline["n_contacts"],
        found.headline["other_channel_rate"],
        found.headline["same_channel_rate"],
    ) == (2, 0.5, 0)
    again = tk.repeated_contacts(contacts((0, "chat", None), (1, "chat", None), (4, "phone call", None)))
    assert (again.headline["n_contacts"], again.headline["same_channel_rate"]) == (1, 1)


def test_without_contacts_repeated_contacts_cannot_be_shown():
    with pytest.raises(MissingData, match="touchpoints of customer service"):
        tk.repeated_contacts(study({"x": [(0, "cart", "web")]}))


def test_the_samples_contacts_are_repeated_as_often_as_was_planted():
    row = tk.repeated_contacts(tk.open_data(ROOT / "data" / "samples" / "webshop")).headline
    assert row["other_channel_rate_low"] < 0.30 < row["other_channel_rate_high"]
    assert row["same_channel_rate_high"] < 0.05


@pytest.mark.slow
def test_repeated_contacts_are_found_where_planted_and_only_the_rest_where_not():
    there, not_there = (
        [tk.repeated_contacts(shop(2_000, seed, tk.Truth(repeat_contact=rate))).headline for seed in range(n)]
        for rate, n in ((0.30, 12), (0.0, 6))
    )
    assert sum(row["other_channel_rate_low"] < 0.30 < row["other_channel_rate_high"] for row in there) >= 10
    assert max(row["other_channel_rate"] for row in not_there) < 0.05


def test_what_is_said_is_what_the_rows_hold(till):
    said, rows = tk.loops(till).say(), tk.loops(till).rows()
    assert rows[0]["touchpoint"] in said[0] and rows[0]["p_adjusted"] < 0.05
    assert tk.show(tk.loops(till)).png and tk.show(tk.repeated_contacts(till)).png
