"""Survey answers of different scales made comparable."""

from __future__ import annotations

import re

import numpy as np

from toolkit.study.table import Part

SCALES = {"csat": (1, 5), "ces": (1, 7), "nps": (0, 10)}  # where the answer does not say
NOWHERE = (np.nan, np.nan)


def share_of_scale(part: Part) -> np.ndarray:
    """Each response of a part as a share of its scale: 0 lowest, 1 highest; NaN where scale and score do not fit."""
    table = part.tables["responses"]
    own = np.array([*(_ends(word) for word in part.words("scale", "responses")), NOWHERE])
    usual = np.array([*(SCALES.get(word, NOWHERE) for word in part.words("instrument", "responses")), NOWHERE])
    ends = own[table["scale"]] if "scale" in table else np.full((len(table), 2), np.nan)
    low, high = np.where(np.isnan(ends), usual[table["instrument"]], ends).T
    share = (table["score"] - low) / (high - low)
    return np.where((share >= 0) & (share <= 1), share, np.nan)


def _ends(scale: str) -> tuple[float, float]:
    """Lowest and highest score of a scale such as "1-5"."""
    found = re.fullmatch(r"\s*(\d+)\s*[-–]\s*(\d+)\s*", scale)
    return (float(found[1]), float(found[2])) if found and int(found[1]) < int(found[2]) else NOWHERE
