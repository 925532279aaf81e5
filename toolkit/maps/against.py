"""The difference of two journey maps, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from toolkit.errors import UsageError, need_a
from toolkit.maps.grid import Grid
from toolkit.maps.lanes import Lane, shown
from toolkit.results import Definition, Result
from toolkit.stats.apart import apart, correlation, residuals
from toolkit.stats.many import adjust

if TYPE_CHECKING:
    from toolkit.maps.journey_map import JourneyMap

CLEAR = 0.05
KINDS = {"rate": "points", "seconds": "seconds", "score": "score"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDifference(Result):
    """One journey map minus another; made by `JourneyMap.against`.

    Attributes:
        stages: of the first map.
        cells: one row per lane and stage that both maps have a number for.
        names: what the two maps are of.
        definition: the card.
    """

    stages: tuple[str, ...]
    cells: tuple[dict, ...]
    names: tuple[str, str]
    definition: Definition

    columns: ClassVar = {"n_this": "n", "n_other": "n of the other"}

    def rows(self) -> list[dict]:
        """One row per lane and stage: both values, their difference with interval, and whether chance explains it."""
        return [{key: cell[key] for key in cell if key not in ("kind", "hint")} for cell in self.cells]

    def say(self) -> list[str]:
        """How many cells differ by more than chance, and the clearest."""
        if not self.cells:
            return ["The two maps have no number in common."]
        clear = [row for row in self.cells if row["p_adjusted"] < CLEAR]
        this, other = self.names
        if not clear:
            return [
                f"Of {len(self.cells)} cells compared none differs by more than chance explains: {this} and {other}."
            ]
        first = min(clear, key=lambda row: row["p_adjusted"])
        said = f"{len(clear)} of {len(self.cells)} cells differ by more than chance explains: {this} against {other}."
        return [said, f"The clearest: {first['lane']} in {first['stage']}, {first['text']}."]

    def _repr_html_(self) -> str:
        lanes: dict[str, list[list[str]]] = {}
        for cell in self.cells:
            texts = lanes.setdefault(cell["lane"], [["–"]] * len(self.stages))
            texts[self.stages.index(cell["stage"])] = cell["text"].split(", ", 1)
        return Grid(stages=self.stages, lanes=lanes, definition=self.definition)._repr_html_()


def difference(one: JourneyMap, other: JourneyMap) -> MapDifference:
    """The first map minus the second, in every lane with a number and every stage that both have."""
    need_a("other", other, type(one))
    if not set(one.stages) & set(other.stages):
        raise UsageError(f"The maps have no stage in common: {', '.join(one.stages)}; {', '.join(other.stages)}.")
    theirs = {(lane.name, lane.kind): lane for lane in other.lanes if lane.kind}
    pairs = [(lane, theirs[lane.name, lane.kind]) for lane in one.lanes if (lane.name, lane.kind) in theirs]
    cells = [cell for lane, twin in pairs for cell in _cells(lane, twin, one, other)]
    p, family = adjust([cell.pop("p") for cell in cells])
    for cell, value in zip(cells, p, strict=True):
        cell["p_adjusted"] = float(value)
        cell["text"] = _text(cell, one.definition.locale)
    differ = [(mine, yours) for mine, yours in zip(one.label, other.label, strict=True) if mine != yours]
    names = tuple(", ".join(parts) for parts in zip(*(differ or [(one.label[0], other.label[0])]), strict=True))
    card = _card(one, other, names, family)
    return MapDifference(stages=one.stages, cells=tuple(cells), names=names, definition=card)


def _cells(lane: Lane, twin: Lane, one: JourneyMap, other: JourneyMap) -> list[dict]:
    """The cells of one lane that both maps have a number for."""
    both = [(i, other.stages.index(stage)) for i, stage in enumerate(one.stages) if stage in other.stages]
    known = [[cell.value == cell.value for cell in some.cells] for some in (lane, twin)]
    both = [(i, j) for i, j in both if known[0][i] and known[1][j]]
    if not both:
        return []
    mine, theirs = map(list, zip(*both, strict=True))
    shared = 0.0
    if lane.kind != "seconds":
        shared = correlation(residuals(*lane.parts)[:, mine], residuals(*twin.parts)[:, theirs])
    found = apart(
        lambda level: tuple(end[mine] for end in lane.estimate(level)),
        lambda level: tuple(end[theirs] for end in twin.estimate(level)),
        shared,
    )
    return [
        {
            "lane": lane.name,
            "stage": one.stages[i],
            "text": "",
            "this": lane.cells[i].value,
            "other": twin.cells[j].value,
            **{f"diff{end}": float(values[k]) for end, values in zip(("", "_low", "_high"), found, strict=False)},
            "n_this": lane.cells[i].n,
            "n_other": twin.cells[j].n,
            "p": float(found.p[k]),
            "kind": KINDS[lane.kind],
            "hint": lane.hint,
        }
        for k, (i, j) in enumerate(both)
    ]


def _text(cell: dict, locale: str) -> str:
    """A difference with its interval, and whether chance explains it."""
    value, _, band = shown(cell["kind"], cell["diff"], cell["diff_low"], cell["diff_high"], locale).partition("  ")
    value = f"+{value}" if cell["diff"] > 0 and cell["kind"] == "seconds" else value
    unclear = ", which chance can explain" if cell["p_adjusted"] >= CLEAR else ", of too few to tell"
    return value + f" ({band})" * bool(band) + unclear * (not cell["p_adjusted"] < CLEAR)


def _card(one: JourneyMap, other: JourneyMap, names: tuple[str, str], family: int) -> Definition:
    spans = [label.split(" to ") for label in (one.label[1], other.label[1])]
    days = [(date.fromisoformat(last) - date.fromisoformat(first)).days for first, last in spans] if family else [0, 0]
    return replace(
        one.definition,
        measure="Difference of two journey maps",
        population=f"{names[0]} minus {names[1]}",
        seen_through="",
        period="as named" if one.label[1] != other.label[1] else one.definition.period,
        rules="interval of a difference from the two intervals (Zou 2007; for shares of separate customers Newcombe's "
        "method 10), with the correlation that customers of both maps give them, as the 1,024 buckets show it; medians "
        f"are taken as separate. p by inverting it, adjusted by Holm over {family} cells: below {CLEAR} a cell differs "
        f"by more than chance explains. {one.definition.rules}",
        notes=("The periods differ in length: a longer one sees a customer in more stages.",)
        * (max(days) > 1.1 * min(days)),
    )
