"""A slow twin of attribution in plain Python, and journeys to compare it on."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from toolkit.credit.count import Asked
from toolkit.credit.rules import AttributionRules
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Columns, JourneyTable, Part

EVER = (-(1 << 62), 1 << 62)
CHANNELS, CURRENCIES = ("ads", "mail", "search"), ("DKK", "EUR")
BUY, TOUCH, OTHER = "buy", "touch", "other"
KINDS = (BUY, TOUCH, OTHER)
UNTOLD = len(CHANNELS)  # label of touches without a channel; the next one is for no touch at all
DAY = 86_400_000_000


@dataclass(frozen=True)
class Asking:
    """What the twin is asked; events are (time, kind, channel or None, value or None, currency or None)."""

    window: int
    period: tuple[int, int] = EVER
    until: int = 1 << 62
    half_life: int = 7 * DAY
    ends: float = 0.4


@dataclass
class Told:
    """What the twin counts: (bucket, label, rule) → conversions; with the currency behind it: value; and the rest."""

    credits: Counter = field(default_factory=Counter)
    values: Counter = field(default_factory=Counter)
    moves: Counter = field(default_factory=Counter)
    customers: dict = field(default_factory=lambda: defaultdict(set))
    journeys: Counter = field(default_factory=Counter)
    sets: list = field(default_factory=list)


def given(ages, rule, asked):
    """What a rule gives each touch of one conversion, by the ages of the touches, oldest first."""
    n = len(ages)
    if rule == "first":
        return [1.0] + [0.0] * (n - 1)
    if rule == "last":
        return [0.0] * (n - 1) + [1.0]
    if rule == "linear":
        return [1 / n] * n
    if rule == "decay":
        weights = [2 ** (-age / asked.half_life) for age in ages]
        return [weight / sum(weights) for weight in weights]
    if n < 3:
        return [1 / n] * n
    return [asked.ends] + [(1 - 2 * asked.ends) / (n - 2)] * (n - 2) + [asked.ends]


def credit_of(journeys, asked):
    """Counts the journeys of many customers, each a list of events in input order."""
    told = Told()
    for who, journey in enumerate(journeys):
        events = sorted(
            (e for e in journey if e[0] <= asked.until and e[1] != OTHER), key=lambda e: (e[0], e[1] == BUY)
        )
        before = []
        for event in events:
            if event[1] == TOUCH:
                before.append(event)
                continue
            inside = [touch for touch in before if event[0] - touch[0] <= asked.window]
            _failed(told, who, [touch for touch in before if event[0] - touch[0] > asked.window], asked)
            if asked.period[0] <= event[0] < asked.period[1]:
                _converted(told, who, event, inside, asked)
            before = []
        _failed(told, who, before, asked)
    return told


def label(touch):
    return UNTOLD if touch[2] is None else CHANNELS.index(touch[2])


def _converted(told, who, event, touches, asked):
    labels, ages = [label(touch) for touch in touches], [event[0] - touch[0] for touch in touches]
    told.journeys["bare" if not touches else "touched"] += 1
    shared = {rule: list(zip(labels, given(ages, rule, asked), strict=True)) for rule in RULED} if touches else {}
    shared["shapley"] = [(one, 1 / len(set(labels))) for one in set(labels)]
    for rule in (*RULED, "shapley"):
        for one, part in shared.get(rule) or [(UNTOLD + 1, 1.0)]:
            told.credits[who % 1024, one, rule] += part
            told.values[who % 1024, event[4], one, rule] += part * (event[3] or 0)
    for one in set(labels) or {UNTOLD + 1}:
        told.customers[one].add(who)
    told.sets.append(frozenset(labels))
    if touches and touches[-1][0] <= asked.until - asked.window:
        _walk(told, who, [*labels, "bought"])


def _failed(told, who, touches, asked):
    path = []
    for at, touch in enumerate(touches):
        path.append(touch)
        if at + 1 < len(touches) and touches[at + 1][0] - touch[0] <= asked.window:
            continue
        if asked.period[0] <= touch[0] < asked.period[1]:
            pending = touch[0] > asked.until - asked.window
            told.journeys["pending" if pending else "failed"] += 1
            if not pending:
                _walk(told, who, [*map(label, path), "lost"])
        path = []


def _walk(told, who, places):
    for before, after in zip(["start", *places], places, strict=False):
        told.moves[who % 1024, before, after] += 1


RULED = ("first", "last", "linear", "position", "decay")


def part(journeys, *, period=EVER, until=1 << 62):
    """One partition in memory, one customer per journey."""
    journeys = [sorted((e for e in events if e[0] <= until), key=lambda e: e[0]) for events in journeys]
    rows = [event for events in journeys for event in events]

    def codes(at, words):
        return np.array([words.index(row[at]) if row[at] else -1 for row in rows], np.int16)

    columns = {
        "timestamp": np.array([row[0] for row in rows], np.int64),
        "touchpoint": codes(1, KINDS),
        "channel": codes(2, CHANNELS),
        "value": np.array([UNKNOWN if row[3] is None else row[3] for row in rows], np.int64),
        "currency": codes(4, CURRENCIES),
    }
    table = JourneyTable(np.cumsum([0, *map(len, journeys)]), Columns.of(columns))
    return Part(
        hashes=np.arange(len(journeys), dtype=np.uint64) << np.uint64(54),
        known=np.ones(len(journeys), bool),
        tables={"events": table},
        attributes=Columns({}),
        vocabularies={"events.touchpoint": KINDS, "events.channel": CHANNELS, "events.currency": CURRENCIES},
        period=period,
        observed_until=until,
    )


def asked_of(asking):
    """The same question, as the house takes it."""
    return Asked(
        kind=np.array([2, 1, 0, 0], np.int8),
        by="channel",
        place=np.arange(UNTOLD + 1),
        window=asking.window,
        rules=AttributionRules(half_life=f"{asking.half_life // 1_000_000}s", ends=asking.ends),
        currencies={"events": np.array([0, 1, 2])},
    )
