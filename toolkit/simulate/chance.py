"""Draws and small tools over arrays that the simulated world is made with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Rows = dict[str, np.ndarray]  # columns of equal length


def mix(number: np.ndarray, seed: int) -> np.ndarray:
    """A number's own 64 random bits (splitmix64), the same in every chunk and on every machine."""
    with np.errstate(over="ignore"):
        z = number.astype(np.uint64) + np.uint64(1) + np.uint64(seed % 2**63) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def share_of(number: np.ndarray, seed: int) -> np.ndarray:
    """`mix` as a number from 0 up to 1."""
    return (mix(number, seed) >> np.uint64(11)) * 2.0**-53


def pick(rng: np.random.Generator, shares: np.ndarray, rows: np.ndarray | int) -> np.ndarray:
    """Codes drawn with the given shares: one row of shares for all (`rows` a count), or row `rows[i]` for draw i."""
    bounds = np.cumsum(shares, axis=-1)
    if shares.ndim == 1:
        return np.searchsorted(bounds, rng.random(rows) * bounds[-1], side="right").astype(np.int16)
    drawn = rng.random(len(rows)) * bounds[rows, -1]
    return (drawn[:, None] >= bounds[rows]).sum(axis=1).astype(np.int16)


def chance(rng: np.random.Generator, share: np.ndarray | float, n: int) -> np.ndarray:
    """Heads or tails, n times."""
    return rng.random(n) < share


def take(rows: Rows, where: np.ndarray) -> Rows:
    """The rows at a mask or at indices."""
    return {name: column[where] for name, column in rows.items()}


def stack(parts: Iterable[Rows]) -> Rows:
    """Parts one below the other; they have the same columns."""
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def place_in_run(who: np.ndarray) -> np.ndarray:
    """For rows sorted by `who`: 0, 1, 2 … within each."""
    new = np.append(True, who[1:] != who[:-1])[: len(who)]
    return np.arange(len(who)) - np.maximum.accumulate(np.where(new, np.arange(len(who)), 0))


def before_in_run(who: np.ndarray, flag: np.ndarray) -> np.ndarray:
    """For rows sorted by `who`: how many earlier rows of the same have the flag."""
    before = np.cumsum(flag) - flag
    first = np.arange(len(who)) - place_in_run(who)
    return before - before[first] if len(who) else before


def spread(rows: Rows, least: int) -> Rows:
    """Rows in order of `who` and `at`, moved later where needed so that one's moments lie at least `least` apart."""
    rows = take(rows, np.lexsort((rows["at"], rows["who"])))
    steps = place_in_run(rows["who"]) * least
    lifted = rows["who"].astype(np.int64) * 2**44 + (rows["at"] - steps) // 1000
    at = (np.maximum.accumulate(lifted) - rows["who"].astype(np.int64) * 2**44) * 1000 + steps
    return rows | {"at": np.maximum(at, rows["at"])}


def first_of(who: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The index of each one's first row where the mask holds, for rows sorted by `who`."""
    where = np.flatnonzero(mask)
    return where[place_in_run(who[where]) == 0]
