"""Which stage every touchpoint, and every word for a stage, belongs to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.catalogue import STAGES, normalise
from toolkit.journeys.touchpoints import Touchpoints
from toolkit.shown import safe_text
from toolkit.study.data import Data

MOST_STAGES = 12  # a column of more words than that holds no stages
FAILURE = "payment failed"  # the catalogue's touchpoint that is a failure by its name
LETTERS = ("ticket", "review", "chat", "call", "social")  # feedback that is addressed to us


class Columns(NamedTuple):
    """The stages of a map.

    Attributes:
        stages: in the order of the journey.
        at: stage of each touchpoint of the events, "" = none.
        own: stage of each of the data's own words for one.
        note: what a reader must know of them.
    """

    stages: tuple[str, ...]
    at: dict[str, str]
    own: dict[str, str]
    note: str = ""

    def elsewhere(self, data: Data, table: str) -> dict[str, str]:
        """Stage of each touchpoint of another table, "" = none: as in the events, else the catalogue's."""
        names = data.vocabulary("touchpoint", table)
        found = {name: self.at.get(name, data.catalogue.stage_of(name)) for name in names}
        return {name: stage if stage in self.stages else "" for name, stage in found.items()}

    def places(self, data: Data) -> dict[str, np.ndarray]:
        """The same as arrays for `count_stages`."""
        number = {stage: i for i, stage in enumerate(self.stages)} | {"": -1}
        by_table = {table: self.elsewhere(data, table) for table in ("responses", "feedback")}
        words = {"events": self.at, "own": self.own} | by_table
        codes = {table: np.array([*map(number.get, found.values()), -1], np.int8) for table, found in words.items()}
        failing = [getattr(data.catalogue.place(name), "name", "") == FAILURE for name in self.at]
        letters = [source in LETTERS for source in data.vocabulary("source", "feedback")]
        return codes | {"failing": np.array([*failing, False]), "letters": np.array([*letters, False])}


def columns_of(data: Data, inventory: Touchpoints) -> Columns:
    """The stages of a study, and where its touchpoints stand.

    The data's own words for a stage come first, each taken for ours where it is named alike. Those that are none of
    ours are columns too; they stand where the catalogue places the touchpoints met in them.
    """
    ours = {normalise(word): pair[1] for pair in zip(STAGES, data.stages, strict=True) for word in pair}
    words, stages = data.vocabulary("stage"), tuple(dict.fromkeys(data.stages))
    strange = [word for word in words if normalise(word) not in ours]
    if len(strange) > MOST_STAGES:
        note = f"The column stage has {len(strange):,} words that are no stages: the catalogue places the touchpoints."
        return Columns(
            stages, {name: data.catalogue.stage_of(name) for name in inventory.names}, dict.fromkeys(words, ""), note
        )
    own = {word: ours.get(normalise(word), word) for word in words}
    at = {name: own.get(stage, stage) for name, stage in zip(inventory.names, inventory.stages, strict=True)}
    if not strange:
        return Columns(stages, at, own)
    codes = np.array(data.catalogue.stage_codes(inventory.names), float)
    met = (inventory.counts.stages * (codes >= 0)[:, None]).T  # placed events, by own word and touchpoint
    place = {stage: float(i) for i, stage in enumerate(stages)}
    place |= {
        w: float(n @ codes / n.sum()) if n.any() else np.inf for w, n in zip(words, met, strict=True) if w in strange
    }
    used = sorted({*at.values(), *own.values()} - {""}, key=lambda stage: (place[stage], stage))
    lost = ", ".join(safe_text(stage, 40) for stage in used if place[stage] == np.inf)
    lost = f"; nothing tells the place of {lost}" * bool(lost)
    note = (
        "The stages are the data's own, in the order in which the catalogue places what happens in them"
        f"{lost}. Names in catalogue.toml under [stages] set the order."
    )
    return Columns(tuple(used), at, own, note)
