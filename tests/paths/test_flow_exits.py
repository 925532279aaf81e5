"""Exits: by hand, a slow twin, sessions, any partitioning, small cells."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import MIN, study
from tests.paths.walks import JOURNEYS, PERIODS, UNKNOWN, WORDS, anchored, apart, part_of
from tests.study.test_law import same
from toolkit.paths.exits import count_exits
from toolkit.study.engine import run

GAPS, UNTIL = st.sampled_from([0, 5, 15]), st.sampled_from([1 << 40, 45, 20])


def by_name(counts):
    return {word: int(n) for word, n in zip([*WORDS, UNKNOWN], counts, strict=True) if n}


def test_exits_of_three_sessions_by_hand():
    shop = {"x": [(0, "a"), (MIN, "b"), (99 * MIN, "a")], "y": [(0, "b"), (MIN, "b")], "late": [(500 * MIN, "c")]}
    result = tk.exits(study(shop))
    rows = {row["touchpoint"]: row for row in result.rows()}
    assert {name: (row["n_exits"], row["n_visits"]) for name, row in rows.items()} == {"a": (1, 2), "b": (2, 3)}
    assert rows["b"]["exit_rate"] == 2 / 3 == rows["b"]["end_share"]
    assert result.ledger == {"shown": 5, "other": 0, "pending": 1, "all": 6}


@given(JOURNEYS, GAPS, PERIODS, UNTIL)
def test_walking_through_every_session_finds_the_same_exits(journeys, gap, period, until):
    visits, exits, owners, pending = Counter(), Counter(), set(), 0
    for customer, session in anchored(journeys, gap, period, until):
        for i, (_, word, over) in enumerate(session):
            pending += not over
            visits[word] += over
            exits[word] += over and i == len(session) - 1
            owners |= {(word, customer)} if over else set()
    part = part_of(journeys, period=period, until=until)
    counts = count_exits(part, gap=gap)
    assert by_name(counts.visits.sum(axis=0)) == {word: n for word, n in visits.items() if n}
    assert by_name(counts.exits.sum(axis=0)) == {word: n for word, n in exits.items() if n}
    assert by_name(counts.customers) == Counter(word for word, _ in owners)
    assert counts.pending == pending
    parts = [count_exits(some, gap=gap) for some in apart(part)]
    assert same(type(counts).sum(parts), counts)


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same(shop, partitions):
    assert same(run(shop, count_exits, gap=30 * MIN), run(shop, count_exits, gap=30 * MIN, partitions=partitions))


def test_every_session_that_is_over_has_one_exit(shop):
    result = tk.exits(shop)
    assert tk.sessions(shop).n - result.counts.pending <= result.counts.exits.sum() <= tk.sessions(shop).n
    ends = {
        row["from"]: row["n_transitions"] for row in tk.transitions(shop, within="30min").rows() if row["to"] == "(end)"
    }
    assert all(0 <= ends.get(row["touchpoint"], 0) - row["n_exits"] <= result.counts.pending for row in result.rows())


def test_touchpoints_of_few_customers_are_in_the_ledger_only(shop):
    result = tk.exits(replace(shop, small_cells=60))
    ledger = result.ledger
    assert ledger["shown"] + ledger["other"] + ledger["pending"] == ledger["all"] == len(shop.frame("events"))
    assert ledger["other"] > 0 and min(row["n_customers"] for row in result.rows()) >= 60


def test_an_exit_is_a_loss_before_the_purchase_only(shop):
    result = tk.exits(shop)
    assert {"product page", "cart", "checkout"} <= set(result.on_the_way)
    assert not {"purchase", "newsletter", "order confirmation", "parcel delivered"} & set(result.on_the_way)
    worst = max((r for r in result.rows() if r["touchpoint"] in result.on_the_way), key=lambda r: r["exit_rate_low"])
    assert worst["touchpoint"] in result.say()[1]
    assert tk.show(result).png[1:4] == b"PNG"


def test_nothing_in_the_period_is_said(shop):
    empty = tk.exits(shop.between("2040-01-01", "2041-01-01"))
    assert empty.rows() == [] and "enough customers" in empty.say()[0] and not np.any(empty.counts.visits)
