"""Small inputs for the study: frames of events and orders, and what a study makes of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import toolkit as tk
from toolkit.counts import Additive
from toolkit.journeys.funnel import FunnelRules, count_funnel
from toolkit.journeys.sales import count_sales
from toolkit.journeys.sessions import count_sessions
from toolkit.journeys.touchpoints import count_touchpoints
from toolkit.journeys.transitions import count_transitions
from toolkit.study.engine import run
from toolkit.study.table import Columns, JourneyTable

HALF_HOUR = 1_800_000_000


def frame(columns, *rows):
    """A frame from words: frame("customer_id timestamp", ("a", "2026-01-01"))."""
    return pd.DataFrame(list(rows), columns=columns.split())


def events(*rows):
    """Events from (customer, moment, touchpoint)."""
    return frame("customer_id timestamp touchpoint", *rows)


def orders(*rows, columns="order_id customer_id timestamp revenue"):
    """Orders in DKK."""
    return frame(columns, *rows).assign(currency="DKK")


def opened(source, **settings):
    return tk.open_data(source, **{"tz": "UTC", "small_cells": 0} | settings)


def findings(data, severity=("warning", "note")):
    """What check() says, as phrases."""
    return [f"{row['table']} {row['finding']}" for row in data.check().rows() if row["severity"] in severity]


@dataclass(frozen=True, slots=True)
class Touched(Additive):
    events: np.ndarray


def touched(data):
    """Events by touchpoint."""
    counts = run(
        data, lambda part: Touched(np.bincount(part.table["touchpoint"], minlength=len(part.words("touchpoint"))))
    )
    return dict(zip(data.vocabulary("touchpoint"), counts.events.tolist(), strict=True))


def all_counts(data, partitions=1):
    """Every count of the first measures, by name."""
    names = data.vocabulary("touchpoint")
    steps = [(0,), (1,), (2,)] if len(names) > 2 else [(0,), (len(names) - 1,)]
    asked = {
        "sessions": (count_sessions, {"gap": HALF_HOUR, "key": (0,)}),
        "transitions": (count_transitions, {"gap": HALF_HOUR}),
        "touchpoints": (count_touchpoints, {"gap": HALF_HOUR, "key": (0,)}),
        "funnel": (count_funnel, {"steps": steps, "window": 86_400_000_000, "rules": FunnelRules(), "by": None}),
    }
    if "orders" in data.tables:
        asked["sales"] = (count_sales, {"months": np.array([-(1 << 62), 1_772_000_000_000_000])})
    return {name: run(data, count, partitions=partitions, **settings) for name, (count, settings) in asked.items()}


def table(offsets, times):
    """A table of moments alone."""
    return JourneyTable(np.array(offsets), Columns.of({"timestamp": np.array(times, np.int64)}))
