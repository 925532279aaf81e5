"""Journeys walked through one by one: what paths, flows and exits are checked against."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from tests.journeys.made import part
from toolkit.study.table import Columns, JourneyTable

WORDS = ("a", "b", "c", "d")
UNKNOWN = "(unknown)"
EVENT = st.tuples(st.integers(0, 60), st.sampled_from([*WORDS, None]))
JOURNEYS = st.lists(st.lists(EVENT, max_size=12), max_size=6)
PERIODS = st.sampled_from([(-100, 100), (10, 40), (70, 80)])


def part_of(journeys, *, period=(-100, 100), until=1 << 40):
    """A partition of journeys of (time, word); None is an unknown touchpoint, which has the code −1."""
    made = part(
        [[(t, w or "?", None) for t, w in some] for some in journeys], [*WORDS, "?"], period=period, until=until
    )
    columns = {name: made.table[name].copy() for name in ("timestamp", "touchpoint")}
    columns["touchpoint"][columns["touchpoint"] == len(WORDS)] = -1
    table = JourneyTable(made.table.offsets, Columns.of(columns))
    return replace(made, tables={"events": table}, vocabularies={"events.touchpoint": WORDS})


def sessions_of(events, gap, until):
    """The sessions of one customer, each a list of (time, word, observed for longer than the gap after it)."""
    events = sorted(((t, w or UNKNOWN) for t, w in events if t <= until), key=lambda event: event[0])
    found = []
    for i, (time, word) in enumerate(events):
        if not i or (gap is not None and time - events[i - 1][0] > gap):
            found.append([])
        found[-1].append((time, word, gap is None or time + gap <= until))
    return found


def collapsed(session):
    """A touchpoint again at once is the same place, seen last when it was met last."""
    found = []
    for event in session:
        if found and found[-1][1] == event[1]:
            found[-1] = (found[-1][0], *event[1:])
        else:
            found.append(event)
    return found


def anchored(journeys, gap, period, until):
    """(customer, session) of every session that begins in the period."""
    for customer, events in enumerate(journeys):
        for session in sessions_of(events, gap, until):
            if period[0] <= session[0][0] < period[1]:
                yield customer, session


def apart(part):
    """The same customers in several partitions, empty ones among them."""
    place = np.arange(len(part))
    return [part.of(mask) for mask in (place < 1, place < 0, (place >= 1) & (place < 3), place >= 3, place < 0)]


def counted(pairs):
    """How often each first one comes, and with how many different second ones."""
    pairs = list(pairs)
    return Counter(first for first, _ in pairs), Counter(first for first, _ in set(pairs))
