"""Journeys for credit: which touches came before which conversion, and which came before none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.credit.rules import AttributionRules
from toolkit.errors import MissingData
from toolkit.intake.purchases import neighbours
from toolkit.study.data import Data
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


@dataclass(frozen=True, slots=True)
class Journeys:
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
    failed = (here & ~young)[path]
    return Journeys(
        sold=row[ends],
        inside=inside,
        touch=row[touch[mine]],
        conversion=(np.cumsum(inside) - 1)[number[mine]],
        lost=row[fail[failed]],
        path=path[failed],
        failed=int((here & ~young).sum()),
        pending=int((here & young).sum()),
        tied=int(late.sum()),
    )


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


def goal_of(data: Data, goal: str | Sequence[str] | None, measure: str) -> list[str]:
    """The touchpoints that are the conversion: those named, else the catalogue's purchases.

    Raises:
        MissingData: none is named, and the catalogue knows none.
        UsageError: one does not occur.
    """
    names = data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint"))
    found = names if goal is None else [goal] if isinstance(goal, str) else list(goal)
    if not found:
        raise MissingData(measure, "touchpoint that the catalogue knows as purchase", "orders, or a goal you name")
    data.codes(found)
    return found
