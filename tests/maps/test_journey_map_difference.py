"""The difference of two journey maps: separate customers, the same customers, chance, and what is said of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.house import ROOT
from toolkit.errors import UsageError
from toolkit.maps.journey_map import journey_map
from toolkit.maps.lanes import FEELING, NEXT, REACH


@pytest.fixture(scope="module")
def sample():
    return tk.open_data(ROOT / "data" / "samples" / "webshop")


@pytest.fixture(scope="module")
def drawn(sample):
    return journey_map(sample)


def test_two_segments_differ_as_shares_of_separate_customers_do(sample):
    customers = sample.frame("customers")
    country = dict(zip(customers.customer_id, customers.country, strict=True))
    one, two = (journey_map(sample.segment(country, name)) for name in ("DK", "SE"))
    rows = {(row["lane"], row["stage"]): row for row in one.against(two).rows()}
    for name in (REACH, NEXT):
        a, b = one.cells(name)["service"], two.cells(name)["service"]
        people = (one.n_customers, two.n_customers) if name == REACH else (a.n, b.n)
        x, y = (round(cell.value * n) for cell, n in zip((a, b), people, strict=True))
        expected = tk.compare_shares(y, people[1], x, people[0])
        row = rows[name, "service"]
        assert row["diff"] == pytest.approx(expected.diff)
        assert [row["diff_low"], row["diff_high"]] == pytest.approx(
            expected.interval()[:2], abs=0.003
        )  # chance overlap
        assert row["p_adjusted"] >= expected.p * 0.8
    back = {(row["lane"], row["stage"]): row for row in two.against(one).rows()}
    assert {key: -row["diff"] for key, row in rows.items()} == pytest.approx({k: r["diff"] for k, r in back.items()})


def test_a_map_does_not_differ_from_itself(drawn):
    found = drawn.against(drawn)
    assert {row["diff"] for row in found.rows()} == {0.0} and {row["p_adjusted"] for row in found.rows()} == {1.0}
    assert "none differs by more than chance explains" in found.say()[0]
    shares = [row for row in found.rows() if row["lane"] in (REACH, NEXT, FEELING)]
    assert max(row["diff_high"] for row in shares) < 0.01  # all customers are the same


def test_a_difference_that_was_planted_is_found_and_said(sample):
    spring, autumn = sample.between("2026-02-01", "2026-05-01"), sample.between("2025-09-01", "2025-12-01")
    found = journey_map(spring).against(journey_map(autumn))
    assert found.names == ("2026-02-01 to 2026-04-30", "2025-09-01 to 2025-11-30")
    clear = [row for row in found.rows() if row["p_adjusted"] < 0.05]
    assert clear and all(row["diff_low"] > 0 or row["diff_high"] < 0 for row in clear)
    assert all(("which chance can explain" in row["text"]) == (row["p_adjusted"] >= 0.05) for row in found.rows())
    assert "differ in length" not in found.note
    longer = journey_map(sample.between("2025-09-01", "2026-02-01"))
    assert "differ in length" in longer.against(journey_map(spring)).note


def test_maps_of_other_stages_cannot_be_compared(drawn):
    other = replace(drawn, stages=tuple("abcdefgh"))
    with pytest.raises(UsageError, match="The maps have no stage in common: awareness"):
        drawn.against(other)


@pytest.mark.slow
def test_random_halves_of_the_customers_hardly_ever_differ(till):
    ids, alarms = till.frame("customers").customer_id, 0
    for seed in range(20):
        half = pd.Series(np.random.default_rng(seed).permutation(["x", "y"] * (len(ids) // 2)), index=ids)
        one, two = (journey_map(till.segment(half, name)) for name in "xy")
        alarms += any(row["p_adjusted"] < 0.05 for row in one.against(two).rows())
    assert alarms <= 3  # of 20 families, one expected


def test_two_segments_in_two_periods_are_named_by_both(sample):
    customers = sample.frame("customers")
    country = dict(zip(customers.customer_id, customers.country, strict=True))
    one = journey_map(sample.segment(country, "DK").between("2026-02-01", "2026-05-01"))
    two = journey_map(sample.segment(country, "SE").between("2025-09-01", "2025-12-01"))
    assert one.against(two).names[0] == "customers of DK only, 2026-02-01 to 2026-04-30"


def test_a_difference_of_too_few_says_so(drawn):
    flat = [
        replace(found, parts=(found.parts[1], found.parts[1])) if found.name == FEELING else found
        for found in drawn.lanes
    ]
    same_ = replace(drawn, lanes=tuple(flat))
    said = {row["text"] for row in same_.against(drawn).rows() if row["lane"] == FEELING}
    assert all(text.endswith(", of too few to tell") for text in said)
