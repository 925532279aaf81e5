"""What attribution adds up to: credits by bucket, channel and rule, and the steps of journeys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.counts import BUCKETS, Additive, by_bucket, distinct_per_key
from toolkit.credit.rules import SHARED, shares
from toolkit.credit.touches import Asked, Journeys, find_journeys, worth_of
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionCounts(Additive):
    """What attribution adds up to; k channels, and last conversions that nothing touched; c currencies, r rules.

    Attributes:
        credits: 1,024 × (k + 1) × r float64 conversions.
        values: 1,024 × c × (k + 1) × r float64 minor units.
        moves: 1,024 × (k + 1) × (k + 2) int64 steps of journeys that had the whole window, as Markov's rule takes them.
        customers: k + 1 int64 different customers with such a conversion.
        journeys: 4 int64: conversions after a touch, without one; paths that failed, that are pending.
        unpriced: int64 conversions of unknown value.
        tied: int64 conversions with a touch of the same moment behind them in the file.
    """

    credits: np.ndarray
    values: np.ndarray
    moves: np.ndarray
    customers: np.ndarray
    journeys: np.ndarray
    unpriced: int
    tied: int


def count_attribution(part: Part, *, asked: Asked) -> AttributionCounts:
    """Counts the conversions of the period and the paths that failed in it."""
    found, k, owner = find_journeys(part, asked), int(asked.place[-1]) + 1, part.table.customer
    label = asked.place[part.table[asked.by]]
    sold, touched = found.sold[found.inside], np.zeros(found.inside.sum(), bool)
    touched[found.conversion] = True
    age = part.table.time[sold[found.conversion]] - part.table.time[found.touch]
    given = shares(found.conversion, label[found.touch], age, asked.rules)
    bare = np.flatnonzero(~touched)
    conversion, given = np.append(found.conversion, bare), np.vstack([given, np.ones((len(bare), len(SHARED)))])
    to = np.append(label[found.touch], np.full(len(bare), k))
    worth, place = (column[found.inside] for column in worth_of(part, found.sold, asked))
    money, width = np.where(worth == UNKNOWN, 0, worth), (k + 1) * (asked.currencies["events"][-1] + 1)
    bucket, where = part.bucket[owner[sold[conversion]]], place[conversion] * (k + 1) + to
    credits = [by_bucket(bucket, rule, to, k + 1) for rule in given.T]
    values = [by_bucket(bucket, rule * money[conversion], where, width) for rule in given.T]
    return AttributionCounts(
        credits=np.stack(credits, axis=-1),
        values=np.stack(values, axis=-1).reshape(BUCKETS, -1, k + 1, len(SHARED)),
        moves=_moves(part, found, label, asked),
        customers=distinct_per_key(owner[sold[conversion]], to, k + 1),
        journeys=np.array([touched.sum(), (~touched).sum(), found.failed, found.pending]),
        unpriced=int((worth == UNKNOWN).sum()),
        tied=found.tied,
    )


def _moves(part: Part, found: Journeys, label: np.ndarray, asked: Asked) -> np.ndarray:
    """Steps of the journeys whose last touch had the whole window, those that converted sooner included."""
    last = np.zeros(found.inside.sum(), np.int64)
    last[found.conversion] = part.table.time[found.touch]  # the last touch of each is written last
    ripe = last[found.conversion] <= part.observed_until - asked.window
    k, bucket = int(asked.place[-1]) + 1, part.bucket[part.table.customer]
    steps, places = [], []
    for rows, number, end in ((found.touch[ripe], found.conversion[ripe], k), (found.lost, found.path, k + 1)):
        first = np.append(True, np.diff(number) != 0)[: len(number)]
        last, to = np.append(first[1:], True)[: len(first)], label[rows]
        before = np.where(first, k, np.append(k, to[:-1])[: len(to)])
        steps += [before * (k + 2) + to, to[last] * (k + 2) + end]
        places += [bucket[rows], bucket[rows[last]]]
    moves = by_bucket(np.concatenate(places), None, np.concatenate(steps), (k + 1) * (k + 2))
    return moves.reshape(BUCKETS, k + 1, k + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCounts(Additive):
    """Touches by code of a column (int64); the last: unknown."""

    words: np.ndarray


def count_words(part: Part, *, by: str, kind: np.ndarray) -> WordCounts:
    """Counts touches by channel."""
    codes, size = part.table[by][kind[part.table["touchpoint"]] == 1], len(part.words(by))
    return WordCounts(words=np.bincount(np.where(codes < 0, size, codes), minlength=size + 1))
