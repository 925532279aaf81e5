"""What the ad and mail tools report of a family of touchpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.journeys.coverage import EXPORTS
from toolkit.study.data import Data

NAN = float("nan")


def campaigns_of(data: Data, family: str, recipe: Mapping[str, Any]) -> tuple[tuple[float, ...], str, int, str]:
    """A sum, or a ratio of two sums, over the rows of `campaigns` that name a touchpoint of the family.

    Args:
        data: the study; its period decides which days count.
        family: the catalogue's family.
        recipe: `column` and perhaps `of`, with what the figure is.

    Returns:
        Value, low and high; the kind of number; how many units; what it is, or what would bring it.

    Method:
        Days are the units of the ratio's interval (linearised ratio; Cochran 1977, Sampling Techniques, 6.4): clicks
        of one day are alike.
    """
    unknown = (NAN, NAN, NAN)
    if "campaigns" not in data.tables:
        return unknown, "rate", 0, f"not known here; brought by {EXPORTS['campaigns'][1]}"
    columns = [recipe["column"], *filter(None, [recipe.get("of")])]
    frame = data.frame("campaigns")
    lacks = [name for name in ("touchpoint", *columns) if name not in frame]
    if lacks:
        return unknown, "rate", 0, f"not known here; brought by {' and '.join(lacks)} in campaigns"
    places = {word: data.catalogue.place(word) for word in frame["touchpoint"].dropna().unique()}
    mine = frame["touchpoint"].map(lambda word: bool(places.get(word)) and places[word].family == family).astype(bool)
    rows, said = frame[mine].dropna(subset=columns), recipe["said"]
    if recipe["column"] == "cost" and len(rows):
        main = rows["currency"].mode()[0]
        rows, said = rows[rows["currency"] == main], f"{said}, {main}"
    if not len(rows):
        return unknown, "rate", 0, "not known here; brought by campaigns that name this touchpoint"
    by_day = rows.groupby("date")[columns].sum().to_numpy(float).T
    if len(columns) == 1:
        return (float(by_day.sum()), NAN, NAN), "count", int(by_day.sum()), said
    count, n = by_day
    kind = "money" if recipe["column"] == "cost" else "rate"
    return _ratio(count, n), kind, int(n.sum()), said


def _ratio(count: np.ndarray, n: np.ndarray) -> tuple[float, float, float]:
    if not n.sum():
        return NAN, NAN, NAN
    ratio, days = count.sum() / n.sum(), max(len(n), 2)
    reach = 1.96 * np.sqrt(((count - ratio * n) ** 2).sum() * days / (days - 1)) / n.sum()
    return float(ratio), float(max(ratio - reach, 0)), float(ratio + reach)
