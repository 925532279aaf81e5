"""The journey maps of two groups of customers, one minus the other."""

from __future__ import annotations

import numpy as np

from toolkit.errors import MissingData
from toolkit.journeys.division import division
from toolkit.maps.against import MapDifference
from toolkit.maps.journey_map import journey_map
from toolkit.study.data import Data
from toolkit.study.engine import collect


def compare_maps(data: Data, by: str) -> MapDifference:
    """The journey map of the largest group of customers by an attribute minus that of the next largest.

    Args:
        data: the study.
        by: a column of the customers table that holds words, or a label (see `Data.labelled`).

    Returns:
        One row per lane and stage that both maps have a number for. For any two maps see `JourneyMap.against`.

    Raises:
        MissingData: there is no such column, or no two groups of it are large enough.
        UsageError: the attribute is unknown.

    Example:
        >>> import toolkit as tk
        >>> tk.compare_maps(tk.open_data(tk.make_data(300, rng=1)), "country").definition.measure
        'Difference of two journey maps'
    """
    words = data.vocabulary(by, "customers")
    groups = [row[by] for row in division(data, by).rows() if row[by] in words][:2]
    if len(groups) < 2:
        raise MissingData(f"A comparison by {by}", f"two groups by {by} that are large enough", "more customers")
    codes = collect(data, lambda part: {"code": np.array(part.attributes[by])})["code"]
    ids = np.array(data.store.ids)[data.view.chosen if data.view.chosen is not None else slice(None)]
    labels = {customer: words[code] for customer, code in zip(ids.tolist(), codes.tolist(), strict=True) if code >= 0}
    one, other = (journey_map(data.segment(labels, group)) for group in groups)
    return one.against(other)
