"""Common paths: by hand, a slow twin, pandas, transitions, partitions, small cells, and how often intervals hold."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import MIN, study
from tests.paths.walks import JOURNEYS, PERIODS, UNKNOWN, WORDS, anchored, apart, collapsed, counted, part_of
from tests.study.test_law import same
from toolkit.errors import UsageError
from toolkit.journeys.transitions import END
from toolkit.paths.common import CommonPaths, count_common_paths, count_whole_paths, longest
from toolkit.study.engine import run

GAPS = st.sampled_from([None, 0, 5, 15])
UNTIL = st.sampled_from([1 << 40, 45, 20])


def walked(words, *, since=0):
    return [((since + i) * MIN, word) for i, word in enumerate(words)]


def by_path(result):
    return {row["path"]: row for row in result.rows()}


def listed(counts, length):
    """The rows of counts over the words of the twin."""
    shown = {"names": WORDS, "length": length, "unit": "session", "small_cells": 0, "definition": None}
    return by_path(CommonPaths(counts=counts, **shown))


def test_runs_of_three_are_counted_by_hand():
    data = study({"x": walked("abab"), "y": walked("abc") + walked("ab", since=60), "z": walked("abbb")})
    rows = by_path(tk.common_paths(data))
    assert {path: (row["n_times"], row["n_customers"]) for path, row in rows.items()} == {
        "a > b > a": (1, 1),
        "b > a > b": (1, 1),
        "a > b > c": (1, 1),
        "a > b > b": (1, 1),
        "b > b > b": (1, 1),
    }
    assert rows["a > b > a"]["next"] == "b" and rows["b > b > b"]["next"] == END
    assert [path for path, row in rows.items() if row["again"]] == ["a > b > b", "b > b > b"]
    assert rows["a > b > c"]["path_share"] == 1 / 5


def test_whole_sessions_end_at_the_goal():
    shop = {"x": walked("abc"), "y": walked("ab") + walked("abcb", since=60), "z": walked("cb"), "w": walked("ab")}
    result = tk.whole_paths(study(shop | {"not over": walked("d", since=500)}), goal=["c"])
    rows = by_path(result)
    found = {path: (row["n_times"], row["n_customers"], row["conversion_rate"]) for path, row in rows.items()}
    assert found == {"a > b": (4, 3, 0.5), "(nothing)": (1, 1, 1.0)}
    assert result.ledger == {"shown": 5, "other": 0, "longer": 0, "pending": 1, "all": 6}


@given(JOURNEYS, st.integers(2, 5), GAPS, PERIODS, UNTIL, st.booleans())
def test_walking_through_every_journey_finds_the_same_runs(journeys, length, gap, period, until, repeats):
    met, following = [], {}
    for customer, session in anchored(journeys, gap, period, until):
        session = session if repeats else collapsed(session)
        words = [word for _, word, _ in session]
        for i in range(len(words) - length + 1):
            path = " > ".join(words[i : i + length])
            met.append((path, customer))
            if session[i + length - 1][2]:
                following.setdefault(path, Counter())[[*words, END][i + length]] += 1
    counts = count_common_paths(part_of(journeys, period=period, until=until), length=length, gap=gap, repeats=repeats)
    rows, (times, customers) = listed(counts, length), counted(met)
    assert {path: row["n_times"] for path, row in rows.items()} == times
    assert {path: row["n_customers"] for path, row in rows.items()} == customers
    for path, row in rows.items():
        after = following.get(path, Counter())
        assert after[row["next"]] == max(after.values(), default=0)
        share = after[row["next"]] / after.total() if after else np.nan
        assert row["next_share"] == pytest.approx(share, nan_ok=True)
        assert row["again"] == any(a == b for a, b in zip(path.split(" > "), path.split(" > ")[1:], strict=False))


@given(JOURNEYS, GAPS, PERIODS, UNTIL, st.booleans(), st.sampled_from([(), (0,), (1, 2)]))
def test_walking_through_every_session_finds_the_same_whole_paths(journeys, gap, period, until, repeats, goal):
    met, reached, left_out = [], Counter(), [0, 0]
    goals = {WORDS[code] for code in goal}
    for customer, session in anchored(journeys, gap, period, until):
        if not session[-1][2]:
            left_out[1] += 1
            continue
        words = [word for _, word, _ in (session if repeats else collapsed(session))]
        done = next((i for i, word in enumerate(words) if word in goals), None)
        if len(words[:done]) > longest(len(WORDS)):
            left_out[0] += 1
            continue
        path = " > ".join(words[:done]) or "(nothing)"
        met.append((path, customer))
        reached[path] += done is not None
    counts = count_whole_paths(part_of(journeys, period=period, until=until), goal=goal, gap=gap, repeats=repeats)
    rows, (times, customers) = listed(counts, None), counted(met)
    assert {path: row["n_times"] for path, row in rows.items()} == times
    assert {path: row["n_customers"] for path, row in rows.items()} == customers
    rates = {path: reached[path] / n for path, n in times.items()}
    assert {path: row["conversion_rate"] for path, row in rows.items()} == pytest.approx(rates)
    assert counts.apart.tolist() == left_out


@given(JOURNEYS, GAPS, st.booleans())
def test_customers_counted_apart_add_up(journeys, gap, repeats):
    part = part_of(journeys, until=45)
    for count, settings in ((count_common_paths, {"length": 3}), (count_whole_paths, {"goal": (0,)})):
        settings |= {"gap": gap, "repeats": repeats}
        parts = [count(some, **settings) for some in apart(part)]
        assert same(type(parts[0]).sum(parts), count(part, **settings))


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same(shop, partitions):
    for count, settings in ((count_common_paths, {"length": 4}), (count_whole_paths, {"goal": (3,)})):
        settings |= {"gap": 30 * MIN, "repeats": True}
        assert same(run(shop, count, **settings), run(shop, count, partitions=partitions, **settings))


@pytest.mark.parametrize("within", [None, "30min"])
def test_pandas_finds_the_same_runs_of_three(shop, events, within):
    new = (events.customer_id != events.customer_id.shift()) | (
        False if within is None else events.timestamp.diff() > pd.Timedelta(within)
    )
    ahead = [events.touchpoint.groupby(new.cumsum()).shift(-step) for step in range(3)]
    path = (ahead[0] + " > " + ahead[1] + " > " + ahead[2]).dropna()
    expected = path.value_counts().to_dict()
    rows = by_path(tk.common_paths(shop, within=within))
    assert {name: row["n_times"] for name, row in rows.items()} == expected
    customers = events.customer_id[path.index].groupby(path).nunique().to_dict()
    assert {name: row["n_customers"] for name, row in rows.items()} == customers


def test_runs_of_two_are_the_transitions(shop):
    moves = {
        f"{row['from']} > {row['to']}": row["n_transitions"] for row in tk.transitions(shop, within="30min").rows()
    }
    rows = by_path(tk.common_paths(shop, length=2))
    assert {name: row["n_times"] for name, row in rows.items()} == {
        name: n for name, n in moves.items() if "(start)" not in name and END not in name
    }


def test_paths_of_few_customers_are_in_the_ledger_only(shop):
    few = replace(shop, small_cells=20)
    for result in (tk.common_paths(few), tk.whole_paths(few, within="1d")):
        ledger = result.ledger
        assert ledger["shown"] + ledger["other"] + ledger["longer"] + ledger["pending"] == ledger["all"]
        assert ledger["other"] > 0 and min(row["n_customers"] for row in result.rows()) >= 20
        assert sum(row["n_times"] for row in result.rows()) == ledger["shown"]
    assert ledger["longer"] > 0
    assert tk.whole_paths(shop).ledger["all"] == tk.sessions(shop).n


@pytest.mark.parametrize("length", [1, 7, 2.5, "3", None])
def test_other_lengths_are_refused(shop, length):
    with pytest.raises(UsageError, match="from 2 to 6"):
        tk.common_paths(shop, length=length)


def test_a_thousand_touchpoints_allow_shorter_paths_only():
    words = [f"t{i:04}" for i in range(1_000)]
    many = study({"x": walked(words), "later": walked(words[:1], since=2_000)})
    with pytest.raises(UsageError, match="from 2 to 5"):
        tk.common_paths(many, length=6)
    row = tk.common_paths(many, length=5).rows()[-1]
    assert row["path"] == " > ".join(words[-5:]) and row["next"] == END


def test_nothing_to_list_is_said():
    data = study({"x": walked("a")})
    assert tk.common_paths(data).rows() == [] and "enough customers" in tk.common_paths(data).say()[0]
    gone = tk.whole_paths(data.between("2030-01-01", "2031-01-01"))
    assert gone.rows() == [] and gone.ledger["all"] == 0


def test_what_is_said_is_what_is_listed(shop):
    for result in (tk.common_paths(shop), tk.whole_paths(shop)):
        first = next(row for row in result.rows() if not row["again"])
        assert first["path"] in result.say()[0]
        assert tk.show(result).png[1:4] == b"PNG"


@pytest.mark.slow
def test_intervals_hold_the_share_that_was_planted_also_where_customers_differ():
    """Customers take a > b once or often, and go on to c with a chance of their own."""
    rng, held = np.random.default_rng(5), []
    for _ in range(400):
        chance, times = rng.beta(1, 2, 60), rng.geometric(0.4, 60)
        journeys = [
            [
                (100 * visit + step, word)
                for visit in range(n)
                for step, word in enumerate("abc"[: 2 + (rng.random() < p)])
            ]
            for p, n in zip(chance, times, strict=True)
        ]
        row = listed(count_common_paths(part_of(journeys, period=(0, 1 << 40)), length=2, gap=10, repeats=True), 2)[
            "a > b"
        ]
        low, high = (row["next_share_low"], row["next_share_high"])
        held.append(low <= (1 / 3 if row["next"] == "c" else 2 / 3) <= high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_an_unknown_touchpoint_has_a_name_of_its_own():
    counts = count_common_paths(part_of([[(0, "a"), (1, None)]]), length=2, gap=None, repeats=True)
    assert list(listed(counts, 2)) == [f"a > {UNKNOWN}"]
