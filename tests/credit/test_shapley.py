"""Shapley's value of a game that somebody gives: published, and by its four axioms."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import UsageError

PUBLISHED = {"O": 7, "F": 6, "D": 4, ("O", "F"): 15, ("O", "D"): 7, ("F", "D"): 9, ("O", "F", "D"): 19}


def test_a_published_game_of_three_channels():
    assert tk.shapley(PUBLISHED) == pytest.approx({"D": 3.1667, "F": 8.1667, "O": 7.6667}, abs=5e-5)


def test_groups_may_be_sets_in_any_order():
    assert tk.shapley({frozenset(group): worth for group, worth in PUBLISHED.items()}) == tk.shapley(PUBLISHED)


def test_a_missing_group_is_named():
    with pytest.raises(UsageError, match=r"worths lacks 1 of 7 groups: D \+ F"):
        tk.shapley({group: worth for group, worth in PUBLISHED.items() if group != ("F", "D")})


def test_too_many_players_are_refused():
    with pytest.raises(UsageError, match="13 players"):
        tk.shapley({tuple("abcdefghijklm"): 1})


GROUPS = [group for size in (1, 2, 3, 4) for group in combinations("abcd", size)]
GAME = st.lists(st.integers(-50, 50), min_size=len(GROUPS), max_size=len(GROUPS)).map(
    lambda worths: dict(zip(GROUPS, worths, strict=True))
)


@given(GAME, GAME)
def test_shares_sum_to_the_worth_of_all_and_games_add(one, other):
    found = tk.shapley(one)
    assert sum(found.values()) == pytest.approx(one["a", "b", "c", "d"])
    both = tk.shapley({group: one[group] + other[group] for group in GROUPS})
    assert both == pytest.approx({who: found[who] + tk.shapley(other)[who] for who in "abcd"})


@given(GAME)
def test_who_adds_nothing_gets_nothing_and_equals_get_the_same(game):
    worth = {(): 0} | game
    idle = {group: worth[tuple(who for who in group if who != "d")] for group in GROUPS}
    assert tk.shapley(idle)["d"] == pytest.approx(0)
    alike = {
        group: worth[tuple(sorted("a" if who == "b" and "a" not in group else who for who in group))]
        for group in GROUPS
    }
    assert tk.shapley(alike)["a"] == pytest.approx(tk.shapley(alike)["b"])
