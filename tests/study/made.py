"""Small inputs for the study: frames of events and orders, and what a study makes of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.counts import Additive
from toolkit.study.engine import run
from toolkit.study.table import Columns, JourneyTable


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
    """Every count of the first measures, by name, taken in so many partitions."""
    names = data.vocabulary("touchpoint")
    steps = names[:3] if len(names) > 2 else (names[0], names[-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "__kwdefaults__", {"partitions": partitions})  # measures do not ask how they are run
        found = {
            "sessions": tk.sessions(data).counts,
            "transitions": tk.transitions(data, within="30min").counts,
            "touchpoints": tk.touchpoints(data, goal=names[:1]).counts,
            "funnel": tk.funnel(data, steps, within="1d").counts,
        }
        return found | ({"sales": tk.sales(data).counts} if "orders" in data.tables else {})


def table(offsets, times):
    """A table of moments alone."""
    return JourneyTable(np.array(offsets), Columns.of({"timestamp": np.array(times, np.int64)}))
