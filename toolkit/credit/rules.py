"""Rules that share conversions among the touches before them, and Shapley's value of any game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import factorial

import numpy as np

from toolkit.errors import UsageError
from toolkit.study.clock import duration

SHARED = {  # rules that share each conversion by itself
    "first": "all to the first touch",
    "last": "all to the last touch",
    "linear": "the same to each touch",
    "position": "{ends:.0%} to the first and to the last touch, the rest to those between (two touches: half each)",
    "decay": "half as much for every {half_life} that a touch lies further back",
    "shapley": "the same to each different {by} among the touches",
}
MOST_PLAYERS = 12  # 4,096 coalitions


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionRules:
    """What can be chosen when conversions are credited.

    Attributes:
        touches: touchpoints that count as touches. Left out: all but the conversion, our own pages (the catalogue's
            families website, product page, checkout) and what follows a purchase (its stages onboarding and service).
        half_life: under time decay a touch so much earlier gets half.
        ends: what the position rule gives the first touch, and the last, 0–0.5.
        holdouts: channel → experiment (in `exposures`) that withheld it from some.

    Example:
        >>> AttributionRules(half_life="3d").ends
        0.4
    """

    touches: Sequence[str] | None = None
    half_life: str = "7d"
    ends: float = 0.4
    holdouts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.ends <= 0.5:
            raise UsageError(f"ends is {self.ends!r}; give a share from 0 to 0.5, such as 0.4.")


def shares(conversion: np.ndarray, label: np.ndarray, age: np.ndarray, rules: AttributionRules) -> np.ndarray:
    """What each rule gives each touch of its conversion.

    Args:
        conversion: number of each touch's conversion; touches of one stand together, the oldest first.
        label: code of each touch's channel, ≥ 0.
        age: µs from touch to conversion, ≥ 0.
        rules: half-life, and the ends of the position rule.

    Returns:
        touches × rules, in the order of `SHARED`; the touches of a conversion sum to 1 under each.

    Method:
        Shapley's value of the game "conversions of journeys whose set of channels lies within S" shares each conversion
        equally among its distinct channels (Zhao, Mahboobi and Bagheri 2018, arXiv:1804.05327).

    Example:
        >>> given = shares(np.zeros(3, int), np.array([0, 1, 0]), np.array([2, 1, 0]), AttributionRules())
        >>> given[:, 3].round(3).tolist()
        [0.4, 0.2, 0.4]
    """
    change = np.flatnonzero(np.diff(conversion)) + 1
    first, last = np.zeros(len(label)), np.zeros(len(label))
    first[np.append(0, change)[: len(label)]] = last[np.append(change, len(label))[: len(label)] - 1] = 1
    size = np.bincount(conversion)[conversion]
    between = (1 - 2 * rules.ends) / np.maximum(size - 2, 1)
    position = np.where(size > 2, np.where(first + last > 0, rules.ends, between), 1 / size)
    youngest = np.repeat(age[last > 0], size[last > 0])  # taken off, lest all of a journey vanish
    decay = np.exp2((youngest - age) / duration(rules.half_life))
    decay /= np.bincount(conversion, decay)[conversion]
    key, number = conversion * (label.max(initial=0) + 1) + label, np.arange(len(label))
    met = np.empty(key.max(initial=-1) + 1, np.int64)
    met[key] = number
    one = met[key] == number  # the last touch of each distinct channel
    shapley = one / np.bincount(conversion, one)[conversion]
    return np.column_stack([first, last, 1 / size, position, decay, shapley])


def removal_effects(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chance to convert, and the share of it that goes when a channel is removed; of many chains at once.

    Args:
        moves: … × (k + 1) × (k + 2) counts of steps: from k channels and the start, to k channels, conversion, null.

    Returns:
        P, and … × k removal effects; NaN where nobody converts.

    Method:
        P is the start's row of (I − Q)⁻¹R into conversion. With a channel's visitors sent to null, those are lost who
        ever reach it and would convert from there: expected visits over expected visits once there, times the chance
        to convert from there. One inverse gives all removals (Kemeny and Snell 1960, Finite Markov Chains, ch. 3;
        removal effect: Anderl, Becker, von Wangenheim and Schumann 2016, doi 10.1016/j.ijresmar.2016.03.001).

    Example:
        >>> chance, removed = removal_effects(np.array([[0, 1, 1], [2, 0, 0]]))
        >>> float(chance), removed.tolist()
        (0.5, [1.0])
    """
    k, out = moves.shape[-1] - 2, moves.sum(axis=-1, keepdims=True)
    chance = moves / np.where(out > 0, out, 1)
    visits = np.linalg.inv(np.eye(k) - chance[..., :k, :k])
    come = np.einsum("...i,...ij->...j", chance[..., k, :k], visits)
    win = np.einsum("...ij,...j->...i", visits, chance[..., :k, k])
    p = np.einsum("...i,...i->...", chance[..., k, :k], win)
    lost = come * win / np.einsum("...ii->...i", visits)
    return p, lost / np.where(p > 0, p, np.nan)[..., None]


def shapley(worths: Mapping[str | Sequence[str], float]) -> dict[str, float]:
    """Shares what all players reach together by what each adds to every group of the others.

    Args:
        worths: what each group of players reaches: a name, or several names → number. Nobody reaches 0.

    Returns:
        Player → share; the shares sum to the worth of all.

    Raises:
        UsageError: a group is missing, or there are more than 12 players.

    Method:
        Shapley 1953, by enumeration of all groups.

    Example:
        >>> shapley({"a": 1, "b": 2, ("a", "b"): 4})
        {'a': 1.5, 'b': 2.5}
    """
    worth = {frozenset([who] if isinstance(who, str) else who): value for who, value in worths.items()}
    players = sorted(frozenset().union(*worth))
    n = len(players)
    if n > MOST_PLAYERS:
        raise UsageError(f"worths has {n} players; {MOST_PLAYERS} are the most, which is 4,096 groups.")
    groups = [frozenset(some) for size in range(1, n + 1) for some in combinations(players, size)]
    if missing := [" + ".join(sorted(group)) for group in groups if group not in worth]:
        raise UsageError(f"worths lacks {len(missing)} of {len(groups)} groups: {', '.join(missing[:5])}.")
    worth[frozenset()] = 0
    weight = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    return {
        who: float(sum(weight[len(g)] * (worth[g | {who}] - worth[g]) for g in [frozenset(), *groups] if who not in g))
        for who in players
    }
