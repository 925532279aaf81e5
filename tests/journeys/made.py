"""Small studies: journeys as lists of events, as a study or, faster, as the part a count is given."""

import numpy as np

import toolkit as tk
from toolkit.study.table import Columns, JourneyTable, Part

START = 1_767_225_600_000_000  # 2026-01-01 UTC
MIN = 60_000_000
EVER = (-(1 << 62), 1 << 62)


def study(journeys, **settings):
    """A study of journeys: customer → events (µs since 2026, touchpoint, device), input order kept."""
    rows = [(customer, START + time, *rest) for customer, events in journeys.items() for time, *rest in events]
    columns = [list(column) for column in zip(*rows, strict=True)]
    names = ["customer_id", "timestamp", "touchpoint", "device"]
    frame = dict(zip(names, columns, strict=False))
    frame["timestamp"] = np.array(frame["timestamp"], "datetime64[us]")
    import pandas as pd

    return tk.open_data({"events": pd.DataFrame(frame)}, **{"tz": "UTC", "small_cells": 0} | settings)


def clock(*moments):
    """ "13:05" → µs since midnight."""
    return [sum(int(part) * unit for part, unit in zip(m.split(":"), (60 * MIN, MIN), strict=True)) for m in moments]


def part(journeys, touchpoints, *, devices=("desktop", "mobile"), period=EVER, until=1 << 62):
    """One partition in memory, one customer per journey; an unknown device is None."""
    journeys = [sorted((e for e in events if e[0] <= until), key=lambda e: e[0]) for events in journeys]
    rows = [event for events in journeys for event in events]
    columns = {
        "timestamp": np.array([row[0] for row in rows], np.int64),
        "touchpoint": np.array([touchpoints.index(row[1]) for row in rows], np.int16),
        "device": np.array([devices.index(row[2]) if row[2] else -1 for row in rows], np.int16),
    }
    table = JourneyTable(np.cumsum([0, *map(len, journeys)]), Columns.of(columns))
    return Part(
        hashes=np.arange(len(journeys), dtype=np.uint64) << np.uint64(54),
        known=np.ones(len(journeys), bool),
        tables={"events": table},
        attributes=Columns({}),
        vocabularies={"events.touchpoint": tuple(touchpoints), "events.device": tuple(devices)},
        period=period,
        observed_until=until,
    )
