"""Journeys for credit, and what they add up to: credits by bucket, channel and rule, and steps for Markov's rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toolkit.counts import BUCKETS, Additive, by_bucket, distinct_per_key
from toolkit.credit.rules import SHARED, AttributionRules, shares
from toolkit.intake.purchases import neighbours
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be credited, and to whom.

    Attributes:
        kind: by touchpoint code, 2 = a conversion, 1 = a touch, 0 = neither.
        by: events column that tells the channel.
        place: by code of that column, the channel's label; its last entry, the last label, is for the unknown.
        window: longest time from touch to conversion, µs, inclusive.
        rules: settings of the rules.
        currencies: by table that may tell what a conversion is worth, the place of each of its currency codes; the last
            entry, the last place, is for the unknown.
    """

    kind: np.ndarray
    by: str
    place: np.ndarray
    window: int
    rules: AttributionRules
    currencies: dict[str, np.ndarray]


class Journeys(NamedTuple):
    """Touches before conversions, and touches before none; rows are event rows.

    Attributes:
        sold: row of each conversion.
        inside: whether it lies in the period.
        touch, conversion: row of each touch before one that does; which of these, ascending.
        lost, path: row of each touch of the paths that failed with a last touch in the period; which path, ascending.
        failed, pending: how many such paths there are; how many that may still convert.
        tied: conversions with a touch of the same moment right behind them in the file.
    """

    sold: np.ndarray
    inside: np.ndarray
    touch: np.ndarray
    conversion: np.ndarray
    lost: np.ndarray
    path: np.ndarray
    failed: int
    pending: int
    tied: int


def find_journeys(part: Part, asked: Asked) -> Journeys:
    """Gives each touch to the next conversion of its customer, where that comes within the window.

    A touch of the very moment of a conversion is before it. Touches that no conversion follows within the window make
    paths that failed: one ends where a conversion comes, or where nothing does for longer than the window; while the
    window of its last touch is open it is pending.
    """
    kind = asked.kind[part.table["touchpoint"]]
    row = np.flatnonzero(kind)
    done, moment = kind[row] == 2, part.table.moment[row]
    late = done[:-1] & ~done[1:] & (moment[1:] == moment[:-1])
    if late.any():
        order = np.argsort(2 * moment + done, kind="stable")
        row, done = row[order], done[order]
    time, owner = part.table.time[row], part.table.customer[row]
    turn = np.cumsum(done)  # conversions so far: the number of the next one
    ends, touch = np.flatnonzero(done), np.flatnonzero(~done)
    number = turn[touch]
    follow = np.append(ends, -1)[number]
    there = (number < len(ends)) & (owner[follow] == owner[touch]) & (time[follow] - time[touch] <= asked.window)
    inside = part.anchored(time[ends])
    mine = there & np.append(inside, False)[number]
    fail = touch[~there]
    new = np.append(True, (np.diff(owner[fail]) != 0) | (np.diff(turn[fail]) != 0))[: len(fail)]
    new[1:] |= np.diff(time[fail]) > asked.window
    path = np.cumsum(new) - 1
    last = time[fail[np.append(new[1:], True)[: len(fail)]]]
    here, young = part.anchored(last), last > part.observed_until - asked.window
    over = (here & ~young)[path]
    mine = row[touch[mine]], (np.cumsum(inside) - 1)[number[mine]]
    ended = int((here & ~young).sum()), int((here & young).sum())
    return Journeys(row[ends], inside, *mine, row[fail[over]], path[over], *ended, int(late.sum()))


def worth_of(part: Part, sold: np.ndarray, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """What conversions are worth: of the order that belongs to each where there are orders, else of the event.

    Returns:
        Minor units, `UNKNOWN` where nothing tells; place of the currency.
    """
    table = part.table
    worth = table["value"][sold].copy() if "value" in table else np.full(len(sold), UNKNOWN)
    code = table["currency"][sold] if "currency" in table else np.full(len(sold), -1)
    place = asked.currencies["events"][code]
    if "orders" in asked.currencies:
        orders = part.tables["orders"]
        off = orders["cancelled"] == 1 if "cancelled" in orders else False
        bought = np.flatnonzero((orders["revenue"] >= 0) & ~np.asarray(off))
        who = np.append(table.customer[sold], orders.customer[bought])
        when = np.append(table.time[sold], orders.time[bought])
        number, seen = np.append(np.arange(len(sold)), bought), np.arange(len(who)) < len(sold)
        order = np.lexsort((~seen, when, who))
        event, shop = neighbours(who[order], when[order], number[order], seen[order])
        both = (event >= 0) & (shop >= 0)
        worth[event[both]] = orders["revenue"][shop[both]]
        place[event[both]] = asked.currencies["orders"][orders["currency"][shop[both]]]
    return worth, place


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionCounts(Additive):
    """What attribution adds up to; k channels, and last conversions that nothing touched; c currencies, r rules.

    Attributes:
        credits: 1,024 × (1 + c) × (k + 1) × r float64: conversions; minor units of each currency.
        moves: 1,024 × (k + 1) × (k + 2) int64 steps of journeys that had the whole window, as Markov's rule takes them.
        customers: k + 1 int64 different customers with such a conversion.
        journeys: 4 int64: conversions after a touch, without one; paths that failed, that are pending.
        unpriced: int64 conversions of unknown value.
        tied: int64 conversions with a touch of the same moment behind them in the file.
    """

    credits: np.ndarray
    moves: np.ndarray
    customers: np.ndarray
    journeys: np.ndarray
    unpriced: int
    tied: int


def count_attribution(part: Part, *, asked: Asked) -> AttributionCounts:
    """Counts the conversions of the period and the paths that failed in it."""
    found, k, owner = find_journeys(part, asked), int(asked.place[-1]) + 1, part.table.customer
    label, sold = asked.place[part.table[asked.by]], found.sold[found.inside]
    bare = np.setdiff1d(np.arange(len(sold)), found.conversion)
    conversion, row = np.append(found.conversion, bare), np.append(found.touch, sold[bare])
    to = np.append(label[found.touch], np.full(len(bare), k))
    given = shares(conversion, to, part.table.time[sold[conversion]] - part.table.time[row], asked.rules)
    worth, place = (column[found.inside] for column in worth_of(part, found.sold, asked))
    unpriced = worth == UNKNOWN
    weight = np.append(np.ones(len(to)), np.where(unpriced, 0, worth)[conversion])
    where = np.append(to, (1 + place[conversion]) * (k + 1) + to)  # conversions, then money by currency
    bucket, size = part.bucket[owner[sold[conversion]]], (2 + asked.currencies["events"][-1]) * (k + 1)
    credits = [by_bucket(np.tile(bucket, 2), weight * np.tile(rule, 2), where, size) for rule in given.T]
    touched = len(sold) - len(bare)
    return AttributionCounts(
        credits=np.stack(credits, axis=-1).reshape(BUCKETS, -1, k + 1, len(SHARED)),
        moves=_moves(part, found, label, asked),
        customers=distinct_per_key(owner[sold[conversion]], to, k + 1),
        journeys=np.array([touched, len(bare), found.failed, found.pending]),
        unpriced=int(unpriced.sum()),
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
