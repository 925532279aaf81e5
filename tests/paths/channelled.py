"""Journeys whose events have a channel: small studies, and partitions for twins that walk through them one by one."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import EVER, part
from toolkit.counts import Additive
from toolkit.study.table import Columns, JourneyTable

WORDS, CHANNELS = ("a", "b", "c"), ("web", "app", "store")
DAY = 86_400_000_000
EVENT = st.tuples(st.integers(0, 40), st.sampled_from([*WORDS, None]), st.sampled_from([*CHANNELS, None]))
JOURNEYS = st.lists(st.lists(EVENT, max_size=12), max_size=6)
PERIODS = st.sampled_from([EVER, (10, 30), (50, 60)])
UNTIL = st.sampled_from([20, 35, 1 << 40])


def in_order(journeys, until):
    """Each customer's events by time, ties in the order of the input."""
    return [sorted((e for e in events if e[0] <= until), key=lambda e: e[0]) for events in journeys]


def channelled(journeys, *, period=EVER, until=1 << 40, unit=1, groups=()):
    """A partition of journeys of (time, word, channel); None is unknown, the code −1."""
    rows = [(t * unit, w, c) for events in in_order(journeys, until) for t, w, c in events]
    codes = {
        name: np.array([words.index(row[place]) if row[place] else -1 for row in rows], np.int16)
        for name, words, place in (("touchpoint", WORDS, 1), ("channel", CHANNELS, 2))
    }
    columns = codes | {"timestamp": np.array([row[0] for row in rows], np.int64)}
    sizes = [len(events) for events in in_order(journeys, until)]
    table = JourneyTable(np.cumsum([0, *sizes]), Columns.of(columns))
    bounds = (
        (period if period == EVER else tuple(t * unit for t in period)),
        until if until == 1 << 40 else until * unit,
    )
    return replace(
        part([[] for _ in journeys], WORDS, period=bounds[0], until=bounds[1]),
        tables={"events": table},
        vocabularies={"events.touchpoint": WORDS, "events.channel": CHANNELS, "customers.group": ("x", "y", "z")},
        attributes=Columns.of({"group": np.array(groups or np.zeros(len(journeys)), np.int16)}),
    )


def split(journeys):
    """Which journeys go to each partition; two partitions are empty."""
    whole = list(range(len(journeys)))
    return [whole[:1], [], whole[1:3], whole[3:], []]


def same(one, other):
    """Whether two counts objects agree to the last bit."""
    if isinstance(one, Additive) or is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return np.array_equal(one, other)


def study(journeys, **settings):
    """A study of journeys: customer → events of (day, touchpoint, channel)."""
    rows = [(customer, *event) for customer, events in journeys.items() for event in events]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "touchpoint", "channel"])
    frame["timestamp"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    return tk.open_data({"events": frame}, **{"tz": "UTC", "small_cells": 0} | settings)


def shop(n, seed, truth=None):
    """A simulated shop's events and orders, with no more columns than hand-offs and contacts need."""
    made = tk.make_data(n, rng=seed, truth=truth)
    columns = {"events": ["touchpoint"], "orders": ["order_id", "revenue", "currency"]}
    tables = {name: made[name].select(["customer_id", "timestamp", "channel", *own]) for name, own in columns.items()}
    return tk.open_data(tables, tz="Europe/Copenhagen", cache=False)
