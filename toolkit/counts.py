"""What adds: counts that can be taken anywhere, in any pieces, and summed to the same answer.

A measure turns one partition of customers into a counts object; `sum` of many such objects is the count of the
whole. Numbers only: no tables, no files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Self

import numpy as np

BUCKETS = 1024  # a customer's bucket is the top 10 bits of the hash
BUCKET_SHIFT = np.uint64(54)
EXACT_LIMIT = 65_536  # distinct (group, value) pairs up to which a Tally stays exact
BIN_SHIFT = 44  # float64 bits dropped by a bin: 8 bits of mantissa stay, so a bin is at most 0.39 % wide
BIN_BITS = 63 - BIN_SHIFT  # bits of a bin; the sign is always +
DENSE = 1 << 22  # keys up to which an array of counts (32 MB) is taken instead of sorting


def adds(how: str = "sum") -> Any:
    """Declares how a field of a counts object adds: "sum", "min", "max" or "union" (of sorted arrays).

    Example:
        >>> adds("max").metadata["adds"]
        'max'
    """
    return field(metadata={"adds": how})


def _union(values: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(values))


_HOW = {
    "sum": sum,
    "min": lambda values: np.min(values, axis=0),
    "max": lambda values: np.max(values, axis=0),
    "union": _union,
}


@dataclass(frozen=True, slots=True)
class Additive:
    """Base of every counts object: `X.sum(parts)` adds field by field, as each field declares.

    A field that is itself additive (a `Tally`, a nested counts object) adds by its own rule; any other field adds as
    its `adds(...)` says, plain sum when it says nothing.
    """

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """Adds many counts at once.

        Args:
            parts: counts of disjoint sets of customers; at least one.

        Returns:
            The counts of all customers together.
        """
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        return cls(**{f.name: cls._add(f, [getattr(part, f.name) for part in parts]) for f in fields(cls)})

    @staticmethod
    def _add(declared, values: list) -> Any:
        if isinstance(values[0], Additive):
            return type(values[0]).sum(values)
        return _HOW[declared.metadata.get("adds", "sum")](values)

    def __add__(self, other: Self) -> Self:
        return type(self).sum([self, other])


@dataclass(frozen=True, slots=True)
class Tally(Additive):
    """How often each value occurs in each group; gives quantiles that do not depend on the order of adding.

    Exact while the distinct (group, value) pairs of the whole stay within `EXACT_LIMIT`; beyond it values fall into
    bins cut from the float64's own bits (at most 0.39 % wide). Whether a tally is exact depends on the union of all
    values only, so any partitioning gives the same.

    Attributes:
        groups: int64, group of each distinct pair, ascending.
        values: float64 values (exact) or bin middles.
        counts: int64, how often.
        exact: whether the values are the values themselves.
    """

    groups: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    exact: bool = True

    @classmethod
    def of(cls, groups: np.ndarray, values: np.ndarray) -> Tally:
        """Tallies non-negative values by group.

        Args:
            groups: integer group of each value, ≥ 0, below 2**31.
            values: finite numbers ≥ 0, the same length.

        Returns:
            The tally of these pairs.

        Example:
            >>> Tally.of(np.array([0, 0, 1]), np.array([2.0, 4.0, 9.0])).quantile(0.5, groups=2)
            array([3., 9.])
        """
        groups, values = np.asarray(groups, dtype=np.int64), np.asarray(values)
        if np.issubdtype(values.dtype, np.integer) and values.max(initial=0) < EXACT_LIMIT:
            different, place = np.arange(values.max(initial=0) + 1, dtype=np.float64), values
        else:
            values = values.astype(np.float64) + 0.0  # + 0.0 turns -0.0 into 0.0
            different = _different(values)
            if different is None:
                return cls._binned([(groups, values, None)])
            place = np.searchsorted(different, values)
        key, counts = _counted([(groups * max(len(different), 1) + place, None)])
        group, value = np.divmod(key, max(len(different), 1))
        return cls._grouped(group, different[value], counts)

    @classmethod
    def sum(cls, parts: Iterable[Tally]) -> Tally:
        """Adds many tallies; exact when all are and their union is within the limit."""
        parts = list(parts)
        columns = [(part.groups, part.values, part.counts) for part in parts]
        if all(part.exact for part in parts):
            return cls._grouped(*(np.concatenate(column) for column in zip(*columns, strict=True)))
        return cls._binned(columns)

    @classmethod
    def _grouped(cls, groups, values, counts) -> Tally:
        order = np.lexsort((values, groups))
        groups, values, counts = groups[order], values[order], counts[order]
        new = np.ones(len(groups), bool)
        new[1:] = (groups[1:] != groups[:-1]) | (values[1:] != values[:-1])
        starts = np.flatnonzero(new)
        if len(starts) > EXACT_LIMIT:
            return cls._binned([(groups, values, counts)])
        total = np.add.reduceat(counts, starts) if len(starts) else counts
        return cls(groups[new], values[new], total, True)

    @classmethod
    def _binned(cls, columns: list[tuple]) -> Tally:
        cuts = [values.view(np.int64) >> BIN_SHIFT for _, values, _ in columns]
        below = min(np.min(cut, where=cut > 0, initial=1 << BIN_BITS) for cut in cuts) - 1  # bins 1 … below are empty
        span = int(max(0, *(cut.max(initial=0) - below for cut in cuts))) + 1
        keys = [
            groups * span + np.where(cut > 0, cut - below, 0) for (groups, *_), cut in zip(columns, cuts, strict=True)
        ]
        key, counts = _counted([(key, counts) for key, (*_, counts) in zip(keys, columns, strict=True)])
        groups, cut = np.divmod(key, span)
        low = np.where(cut > 0, cut + below, 0) << BIN_SHIFT
        middle = (low | np.int64(1) << (BIN_SHIFT - 1)).view(np.float64)
        return cls(groups, np.where(low == 0, 0.0, middle), counts, False)

    def quantile(self, q: float, *, groups: int) -> np.ndarray:
        """The q-quantile of each group, interpolated linearly between neighbours (type 7).

        Args:
            q: share below, 0–1.
            groups: how many groups there are.

        Returns:
            float64, one per group; NaN where a group is empty.
        """
        ends = np.searchsorted(self.groups, np.arange(groups), side="right")
        running = np.concatenate(([0], np.cumsum(self.counts)))
        starts = np.searchsorted(self.groups, np.arange(groups), side="left")
        before, n = running[starts], running[ends] - running[starts]
        at = before + q * np.maximum(n - 1, 0)
        low, high = (self._value_at(rank) for rank in (np.floor(at), np.ceil(at)))
        return np.where(n > 0, low + (high - low) * (at - np.floor(at)), np.nan)

    def _value_at(self, rank: np.ndarray) -> np.ndarray:
        if not len(self.values):
            return np.full(len(rank), np.nan)
        found = np.searchsorted(np.cumsum(self.counts), rank, side="right")
        return self.values[np.minimum(found, len(self.values) - 1)]

    def n(self, *, groups: int) -> np.ndarray:
        """How many values each group has (int64)."""
        return np.bincount(self.groups, weights=self.counts, minlength=groups).astype(np.int64)[:groups]


@dataclass(frozen=True, slots=True)
class Sparse(Additive):
    """Counts by key where few of many possible keys occur, such as paths.

    Attributes:
        keys: int64, each distinct key, ascending.
        counts: keys × columns int64; float64 where no key is in several parts: nothing is rounded.
    """

    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, counts: np.ndarray) -> Sparse:
        """Adds up the rows of counts (rows × columns) that have the same key.

        Example:
            >>> Sparse.of(np.array([900, 3, 900]), np.array([[1], [5], [2]])).counts.tolist()
            [[5], [3]]
        """
        keys, counts = np.asarray(keys, np.int64), np.asarray(counts)
        size = int(keys.max(initial=-1)) + 1
        if size <= min(DENSE, len(keys)):  # float64 holds whole numbers up to 2**53
            found = np.flatnonzero(np.bincount(keys, minlength=size))
            sums = [np.bincount(keys, weights=column, minlength=size)[found] for column in counts.T]
            return cls(found, np.column_stack(sums).astype(counts.dtype))
        order = np.argsort(keys, kind="stable")  # keys of added counts come in sorted runs, which a stable sort merges
        keys, counts = keys.take(order), counts.take(order, axis=0)
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        return cls(keys[starts], np.add.reduceat(counts, starts))

    @classmethod
    def sum(cls, parts: Iterable[Sparse]) -> Sparse:
        """Adds many; a key that several have gets the sum of its counts."""
        parts = list(parts)
        return cls.of(np.concatenate([p.keys for p in parts]), np.concatenate([p.counts for p in parts]))

    def at(self, keys: np.ndarray) -> np.ndarray:
        """The counts of some keys (columns × keys); 0 where a key did not occur."""
        place = np.searchsorted(self.keys, keys)
        place[np.append(self.keys, -1)[place] != keys] = len(self.keys)
        return np.append(self.counts, np.zeros((1, self.counts.shape[1]), np.int64), axis=0)[place].T


def _different(values: np.ndarray) -> np.ndarray | None:
    """The distinct values in order, or None when there are more than a Tally keeps exactly."""
    positive = values[values > 0]  # zeros are many: a session of one event lasts no time
    sample = positive[: 2 * EXACT_LIMIT] if len(positive) > 4 * EXACT_LIMIT else positive[:0]
    for some in (sample, positive):
        found = np.sort(some)
        found = found[np.append(True, found[1:] != found[:-1])[: len(found)]]
        if len(found) > EXACT_LIMIT:
            return None
    return found if len(positive) == len(values) else np.append(0.0, found)


def _counted(keyed: list[tuple[np.ndarray, np.ndarray | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Each distinct key, ascending, with how often it occurs (or the sum of its counts)."""
    size = max(int(key.max(initial=-1)) for key, _ in keyed) + 1
    if size <= min(DENSE, 8 * sum(len(key) for key, _ in keyed)):
        total = np.zeros(size, np.int64)
        for key, counts in keyed:
            np.add.at(total, key, 1 if counts is None else counts)
        found = np.flatnonzero(total)
        return found, total[found]
    key = np.concatenate([key for key, _ in keyed])
    if keyed[0][1] is None:
        found, total = np.unique(key.astype(np.int32) if size < 1 << 31 else key, return_counts=True)
        return found.astype(np.int64), total
    order = np.argsort(key, kind="stable")  # keys of added tallies come in sorted runs, which a stable sort merges
    key, counts = key.take(order), np.concatenate([counts for _, counts in keyed]).take(order)
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    return key[starts], np.add.reduceat(counts, starts) if len(starts) else counts


def distinct_per_key(owner: np.ndarray, key: np.ndarray, size: int) -> np.ndarray:
    """How many different owners each key has.

    Args:
        owner: position of each row's customer (or session).
        key: key of each row, 0 … size − 1.
        size: how many keys there are.

    Returns:
        int64 per key.

    Example:
        >>> distinct_per_key(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist()
        [0, 2]
    """
    if (owner[1:] < owner[:-1]).any():
        order = np.argsort(owner, kind="stable")
        owner, key = owner.take(order), key.take(order)
    small = key.astype(np.uint16 if size <= 1 << 16 else np.int64)  # 16 bits are sorted by counting
    order = np.argsort(small, kind="stable")
    key, owner = small.take(order), owner.take(order)
    new = np.append(True, (key[1:] != key[:-1]) | (owner[1:] != owner[:-1]))[: len(key)]
    return np.bincount(key[new], minlength=size)


def mix(hashes: np.ndarray, purpose: str, seed: int = 0) -> np.ndarray:
    """A fresh uniform uint64 per customer for one purpose, from the stored hash (SplitMix64).

    The stored hash itself decides buckets, so it must not decide anything else.

    Args:
        hashes: uint64, one per customer.
        purpose: what the number is for; another purpose gives an independent number.
        seed: repeats the draw when equal.

    Returns:
        uint64, one per customer.

    Example:
        >>> bool((mix(np.arange(3, dtype=np.uint64), "quotes") != mix(np.arange(3, dtype=np.uint64), "split")).all())
        True
    """
    salt = np.uint64(int.from_bytes(hashlib.md5(f"{purpose}:{seed}".encode(), usedforsecurity=False).digest()[:8]))
    with np.errstate(over="ignore"):
        z = (np.asarray(hashes, np.uint64) ^ salt) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def hash_sample(hashes: np.ndarray, n: int, purpose: str, seed: int = 0) -> np.ndarray:
    """Indices of the n smallest mixed hashes: a sample that any partitioning draws alike.

    Example:
        >>> hash_sample(np.arange(10, dtype=np.uint64), 3, "quotes").shape
        (3,)
    """
    mixed = mix(hashes, purpose, seed)
    return np.argsort(mixed, kind="stable")[:n]


def by_bucket(bucket: np.ndarray, weights: np.ndarray | None = None, group=None, groups: int = 1) -> np.ndarray:
    """Sums weights by bucket and group, adding in row order (so the same rows give the same last bit).

    Args:
        bucket: bucket of each row, 0–1023.
        weights: number per row; counts rows when left out.
        group: group of each row, 0 … groups − 1; one group when left out.
        groups: how many groups there are.

    Returns:
        1,024 × groups; int64 for counts and whole-number weights, float64 otherwise.
    """
    key = np.asarray(bucket, np.int64) * groups + (0 if group is None else group)
    if weights is None:
        return np.bincount(key, minlength=BUCKETS * groups).reshape(BUCKETS, groups)
    weights = np.asarray(weights)
    if np.issubdtype(weights.dtype, np.integer):  # bincount would pass whole numbers through float64
        total = np.zeros(BUCKETS * groups, np.int64)
        np.add.at(total, key, weights)
        return total.reshape(BUCKETS, groups)
    return np.bincount(key, weights=weights, minlength=BUCKETS * groups).reshape(BUCKETS, groups)


def resample(per_bucket: np.ndarray, replicates: int, rng: int) -> np.ndarray:
    """Bootstrap totals over customers: the 1,024 buckets are drawn with replacement.

    Args:
        per_bucket: counts or sums with the buckets first: 1,024 × anything.
        replicates: how many bootstrap totals, > 0.
        rng: seed.

    Returns:
        replicates × anything: the total of each replicate.

    Method:
        Multinomial weights on the buckets, one matrix product (bag of little bootstraps without the bags; Efron 1979,
        doi 10.1214/aos/1176344552, with the bucket as the unit).

    Example:
        >>> resample(np.ones((1024, 2)), 3, rng=1).tolist()
        [[1024.0, 1024.0], [1024.0, 1024.0], [1024.0, 1024.0]]
    """
    flat = np.asarray(per_bucket, np.float64).reshape(BUCKETS, -1)
    return (_weights(replicates, rng) @ flat).reshape(replicates, *np.shape(per_bucket)[1:])


@lru_cache(maxsize=2)
def _weights(replicates: int, rng: int) -> np.ndarray:
    drawn = np.random.default_rng(rng).multinomial(BUCKETS, np.full(BUCKETS, 1 / BUCKETS), size=replicates)
    return drawn.astype(np.float64)
