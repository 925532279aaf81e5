"""Markov credit: published, by power iteration, and by its own laws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.credit.rules import removal_effects

BRYL = [(["c1", "c2", "c3"], 1, 0), (["c1"], 0, 1), (["c2", "c3"], 0, 1)]


def moves_of(paths, names):
    """Steps of paths, written out one by one."""
    k = len(names)
    moves = np.zeros((k + 1, k + 2))
    for path, won, lost in paths:
        codes = [k, *(names.index(name) for name in path)]
        for before, after in pairwise(codes):
            moves[before, after] += won + lost
        moves[codes[-1], k] += won
        moves[codes[-1], k + 1] += lost
    return moves


def credit_of(paths):
    """Channel → credit of a table of paths: (channels, how many converted, how many did not)."""
    names = sorted({name for path, *_ in paths for name in path})
    effects = removal_effects(moves_of(paths, names))[1]
    return dict(zip(names, effects / effects.sum() * sum(won for _, won, _ in paths), strict=True))


def chance_by_walking(moves, without=None):
    """The chance to convert by multiplying the matrix with itself, a channel's edges sent to null."""
    k = moves.shape[1] - 2
    table = np.zeros((k + 3, k + 3))  # channels, start, conversion, null
    table[:k, :k], table[k, :k] = moves[:k, :k], moves[k, :k]
    table[: k + 1, k + 1 :] = moves[:, k:]
    if without is not None:
        table[:, k + 2] += table[:, without]
        table[:, without] = 0
    table[k + 1, k + 1] = table[k + 2, k + 2] = 1
    out = table.sum(axis=1, keepdims=True)
    table = table / np.where(out > 0, out, 1)
    for _ in range(40):
        table = table @ table
    return table[k, k + 1]


def test_bryls_example():
    p, effects = removal_effects(moves_of(BRYL, ["c1", "c2", "c3"]))
    assert float(p) == pytest.approx(1 / 3) and effects.tolist() == pytest.approx([0.5, 1, 1])
    assert credit_of(BRYL) == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4})  # Bryl 2016


def test_without_those_who_failed_the_answer_is_another():
    credit = credit_of([(path, won, 0) for path, won, _ in BRYL if won])
    assert credit == pytest.approx(dict.fromkeys(("c1", "c2", "c3"), 1 / 3))


PATHS = st.lists(
    st.tuples(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 5)),
    min_size=1,
    max_size=8,
).filter(lambda paths: any(won for _, won, _ in paths))


@settings(max_examples=80)
@given(PATHS)
def test_power_iteration_finds_the_same(paths):
    paths = [path for path in paths if path[1] + path[2]]
    names = sorted({name for path, *_ in paths for name in path})
    moves = moves_of(paths, names)
    p, effects = removal_effects(moves)
    assert float(p) == pytest.approx(chance_by_walking(moves), abs=1e-9)
    expected = [1 - chance_by_walking(moves, i) / chance_by_walking(moves) for i in range(len(names))]
    assert effects.tolist() == pytest.approx(expected, abs=1e-8)


@settings(max_examples=40)
@given(PATHS)
def test_credit_sums_to_the_conversions_and_staying_at_a_channel_changes_nothing(paths):
    credit = credit_of(paths)
    assert sum(credit.values()) == pytest.approx(sum(won for _, won, _ in paths))
    longer = [([name for name in path for _ in (0, 1)], won, lost) for path, won, lost in paths]
    assert credit_of(longer) == pytest.approx(credit)


def test_many_chains_are_solved_at_once_as_one_by_one():
    rng = np.random.default_rng(1)
    some = [
        moves_of([(rng.choice(list("abc"), 4).tolist(), 3, 2), (["a", "b", "c"], 1, 4)], list("abc")) for _ in "12345"
    ]
    together = removal_effects(np.stack(some))
    for i, moves in enumerate(some):
        p, effects = removal_effects(moves)
        assert together[0][i] == pytest.approx(float(p)) and together[1][i].tolist() == pytest.approx(effects.tolist())


def test_where_nobody_converts_nothing_is_known():
    assert np.isnan(removal_effects(moves_of([(["a"], 0, 3)], ["a"]))[1]).all()
