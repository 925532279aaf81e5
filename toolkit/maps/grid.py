"""Lanes as rows and stages as columns: the form in which a map is read."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.results import Definition, Result

BREAK = "\ue000"  # a sign for private use: it passes for text, and then becomes the break of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid(Result):
    """The shown table of a journey map.

    Attributes:
        stages: the columns.
        lanes: name of each lane with the lines of its cells, one per stage.
        definition: the card.
    """

    stages: tuple[str, ...]
    lanes: dict[str, list[list[str]]]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per lane."""
        texts = {name: map(BREAK.join, cells) for name, cells in self.lanes.items()}
        return [{"lane": name} | dict(zip(self.stages, cells, strict=True)) for name, cells in texts.items()]

    def _repr_html_(self) -> str:
        return f'<div class="map">{Result._repr_html_(self).replace(BREAK, "<br>")}</div>'
