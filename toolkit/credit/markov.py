"""Markov credit of order 1, solved exactly: what would be lost if all who come to a channel were lost there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


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
        >>> removal_effects(np.array([[0, 1, 1], [2, 0, 0]]))
        (array(0.5), array([1.]))
    """
    k, out = moves.shape[-1] - 2, moves.sum(axis=-1, keepdims=True)
    chance = moves / np.where(out > 0, out, 1)
    visits = np.linalg.inv(np.eye(k) - chance[..., :k, :k])
    come = np.einsum("...i,...ij->...j", chance[..., k, :k], visits)
    win = np.einsum("...ij,...j->...i", visits, chance[..., :k, k])
    p = np.einsum("...i,...i->...", chance[..., k, :k], win)
    lost = come * win / np.einsum("...ii->...i", visits)
    return p, lost / np.where(p > 0, p, np.nan)[..., None]


def markov(paths: Iterable[tuple[Sequence[str], int, int]]) -> dict[str, float]:
    """Markov credit of a table of paths, such as one from a slide.

    Args:
        paths: (channels in order, how many converted, how many did not). Without those that did not, a channel is
            credited with being there.

    Returns:
        Channel → conversions credited; they sum to all conversions.

    Example:
        >>> credit = markov([(["c1", "c2", "c3"], 1, 0), (["c1"], 0, 1), (["c2", "c3"], 0, 1)])
        >>> {name: round(conversions, 3) for name, conversions in credit.items()}
        {'c1': 0.2, 'c2': 0.4, 'c3': 0.4}
    """
    paths = [(list(path), *ends) for path, *ends in paths]
    names = sorted({name for path, *_ in paths for name in path})
    k = len(names)
    moves = np.zeros((k + 1, k + 2))
    for path, *ends in paths:
        codes = [k, *map(names.index, path)]
        np.add.at(moves, (codes[:-1], codes[1:]), sum(ends))
        moves[codes[-1], k:] += ends
    effects = removal_effects(moves)[1]
    return dict(zip(names, (effects / effects.sum() * moves[:, k].sum()).tolist(), strict=True))
