"""The journey map: stages across, lanes down, each cell graded by what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingData, UsageError, one_of
from toolkit.journeys.coverage import EXPORTS, need_events
from toolkit.journeys.touchpoints import touchpoints
from toolkit.maps.grid import Grid
from toolkit.maps.lanes import (
    ASSUMED,
    DOES,
    FEELING,
    FEW,
    IDEAS,
    INFERRED,
    MEASURED,
    NEXT,
    REACH,
    Cell,
    Lane,
    Maker,
    plain,
    shown,
)
from toolkit.maps.mermaid import journey_text
from toolkit.maps.placing import columns_of
from toolkit.maps.quotes import quotes_lane
from toolkit.maps.stage_counts import StageCounts, count_stages
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.clock import DAY, duration
from toolkit.study.data import Data
from toolkit.study.engine import run

if TYPE_CHECKING:
    from toolkit.maps.against import MapDifference

GRADES = (MEASURED, INFERRED, ASSUMED, FEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyMap(Result):
    """A journey map; ask it for its grades, for mermaid text, and for the difference from another.

    Attributes:
        stages: the columns.
        lanes: the rows; none where no event falls in the period.
        n_customers: customers with an event in the period.
        ledger: events in a stage and in none; together all of the period.
        definition: the card.
    """

    stages: tuple[str, ...]
    lanes: tuple[Lane, ...]
    n_customers: int
    ledger: dict[str, int]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per lane and stage: what is said, the number behind it with its interval, n, and the grade."""
        return [
            {"lane": lane.name, "stage": stage, "text": "; ".join(lane.texts(cell))}
            | {"value": cell.value, "value_low": cell.low, "value_high": cell.high, "n": cell.n, "grade": cell.grade}
            for lane in self.lanes
            for stage, cell in zip(self.stages, lane.cells, strict=True)
        ]

    def cells(self, lane: str) -> dict[str, Cell]:
        """The cells of a lane by stage; none where the map has no such lane."""
        found = (zip(self.stages, one.cells, strict=True) for one in self.lanes if one.name == lane)
        return dict(next(found, ()))

    @property
    def label(self) -> tuple[str, str]:
        """Whose map it is, and when."""
        return self.definition.seen_through or "all customers", self.definition.period.split(";")[0]

    @property
    def graded(self) -> dict[str, float]:
        """Share of the cells by grade; what cannot be asked, such as what follows the last stage, is no cell."""
        grades = Counter(cell.grade for lane in self.lanes for cell in lane.cells if cell.grade)
        return {grade: grades[grade] / max(grades.total(), 1) for grade in GRADES}

    @property
    def headline(self) -> dict:
        """The share of the cells that are measured."""
        n = sum(bool(cell.grade) for lane in self.lanes for cell in lane.cells)
        return {"n_cells": n, "measured_share": self.graded[MEASURED], "what": "cells counted from the data"}

    def say(self) -> list[str]:
        """How it feels where, where most are seen and fewest go on, and what the map rests on."""
        if not self.lanes:
            return ["No event falls in the period, so there is no map."]
        feeling, reach, onward = (self._by_value(name) for name in (FEELING, REACH, NEXT))
        said = []
        if len(feeling) > 1 and feeling[0][1].high < feeling[-1][1].low:
            worst, best = (self._said(feeling[k], "score") for k in (0, -1))
            n, more = (show_number(feeling[k][1].n, "count", self.definition.locale) for k in (0, -1))
            said.append(
                f"It feels worst in {worst} in {n} answers, and best in {best} in {more}, on a scale from −1 to +1."
            )
        elif len(feeling) > 1:
            said.append("As far as the answers tell, it feels alike in all stages that customers were asked about.")
        if reach:
            fewest = f"; the fewest go on from {self._said(onward[0], 'rate')}" if len(onward) > 1 else ""
            said.append(f"Most customers are seen in {self._said(reach[-1], 'rate')}{fewest}.")
        shares = [(show_number(share, "rate", self.definition.locale), g) for g, share in self.graded.items() if share]
        return [*said, f"Of the cells {', '.join(f'{share} are {grade}' for share, grade in shares)}."]

    def _by_value(self, lane: str) -> list[tuple[str, Cell]]:
        found = [(stage, cell) for stage, cell in self.cells(lane).items() if cell.value == cell.value]
        return sorted(found, key=lambda pair: pair[1].value)

    def _said(self, found: tuple[str, Cell], kind: str) -> str:
        stage, cell = found
        value, _, band = shown(kind, cell.value, cell.low, cell.high, self.definition.locale).partition("  ")
        return f"{stage}, {value}" + f" ({band})" * bool(band)

    def mermaid(self) -> str:
        """The map as a mermaid `journey`: a section per stage, its widest touchpoints as tasks.

        Scores run from 1 to 5, the stage's emotion; 3 and "not asked" where it has none.
        """
        sections, felt = [], self.cells(FEELING)
        for stage, cell in self.cells(DOES).items():
            known = felt[stage].value == felt[stage].value
            score = min(max(round(3 + 2 * felt[stage].value), 1), 5) if known else 3
            aside = "" if known else " (not asked)"
            names = [line.partition("  ")[0] for line in cell.lines if "  " in line]
            sections += [(stage, [(f"{name}{aside}", score) for name in names])] * bool(names)
        return journey_text(f"{self.definition.measure}: {', '.join(self.label)}", sections, "customers")

    def against(self, other: JourneyMap) -> MapDifference:
        """This map minus another: two segments, or two periods.

        Args:
            other: a map with a stage in common.

        Returns:
            One row per lane with a number and stage that both have.

        Raises:
            UsageError: the maps have no stage in common.
        """
        from toolkit.maps.against import difference

        return difference(self, other)

    def _repr_html_(self) -> str:
        graded = {grade: [f"({grade})"] for grade in (INFERRED, ASSUMED)}
        lanes = {}
        for lane in self.lanes:
            cells = [lane.texts(cell) + graded.get(cell.grade, []) for cell in lane.cells]
            lanes[f"{lane.name}: {lane.hint}".rstrip(": ")] = cells
        return Grid(stages=self.stages, lanes=lanes, definition=self.definition)._repr_html_()


def journey_map(data: Data, *, lanes: Iterable[Any] = (), within: str = "30d", quotes: bool = False) -> JourneyMap:
    """The journey map of a study: what customers do in each stage, how many, how it feels, what hurts, what follows.

    Args:
        data: the study, or a view of it.
        lanes: results of other measures that have a name `lane` and a method `by_stage()`: stage → a dict with "text"
            and, where known, "value", "low", "high", "n" and "grade" (measured, inferred or assumed). One that is
            called like a lane of ours takes its place.
        within: how long a customer has to enter a later stage.
        quotes: whether to show what customers wrote: one masked text per stage.

    Returns:
        One row per lane and stage: text, value with interval, n and grade. `.mermaid()`, `.graded`, `.against(other)`.

    Raises:
        MissingData: the study has no events, or none of its touchpoints has a stage.
        UsageError: a lane that is none.

    Example:
        >>> import toolkit as tk
        >>> found = tk.journey_map(tk.open_data(tk.make_data(200, rng=1)))
        >>> found.stages[:2], found.graded["measured"] > 0.5
        (('awareness', 'consideration'), True)
    """
    need_events(data, "the journey map")
    inventory, window = touchpoints(data), duration(within)
    columns = columns_of(data, inventory)
    places = columns.places(data)
    counts = run(data, count_stages, size=len(columns.stages), places=places, window=window)
    placed, nowhere = int(counts.events[:-1].sum()), int(counts.events[-1])
    if nowhere and not placed:
        needs = f"touchpoint with a stage (it has {', '.join(plain(name, 40) for name in inventory.names[:3])})"
        raise MissingData("the journey map", needs, "a catalogue.toml naming them")
    days = show_number(window / DAY, "days", data.locale)
    maker = Maker(data, columns, inventory, inventory.rows(), counts, days)
    made = {lane.name: lane for lane in maker.lanes()} if placed else {}
    ideas = made.pop(IDEAS, None)
    extra = [quotes_lane(data, columns)] if quotes else []
    made |= {lane.name: lane for lane in (*extra, *(_given(lane, columns.stages) for lane in lanes))}
    made.setdefault(IDEAS, ideas)
    return JourneyMap(
        stages=columns.stages,
        lanes=tuple(made.values()) if placed else (),
        n_customers=int(counts.people.sum()),
        ledger={"in a stage": placed, "in none": nowhere, "all": placed + nowhere},
        definition=_card(data, days, _notes(data, columns.note, counts)),
    )


def _given(result: Any, stages: tuple[str, ...]) -> Lane:
    """The lane of another room's result."""
    if not (hasattr(result, "lane") and hasattr(result, "by_stage")):
        wanted = "give results with a name `lane` and a method `by_stage()`"
        raise UsageError(f"lanes has a {type(result).__name__}; {wanted}.")
    found = result.by_stage()
    for stage, cell in found.items():
        if stage not in stages:
            raise one_of(f"a stage of lane {result.lane!r}", stage, stages)
        if cell.get("grade", MEASURED) not in GRADES:
            raise one_of(f"a grade of lane {result.lane!r}", cell["grade"], GRADES)
    nothing = {"text": "nothing is known", "grade": ASSUMED}
    cells = [{"lines": (plain(cell["text"], 200),)} | cell for cell in (found.get(s, nothing) for s in stages)]
    return Lane(
        name=plain(result.lane),
        cells=tuple(Cell(**{key: cell[key] for key in Cell._fields if key in cell}) for cell in cells),
    )


def _card(data: Data, within: str, notes: tuple[str, ...]) -> Definition:
    return data.definition(
        "Journey map",
        unit="customer, event, answer or message, as named",
        population="events, answers and feedback of the period; feedback: tickets, reviews, chats, calls, social",
        window=f"{within} from the first event in a stage to the first in a later one; an answer or message that names "
        f"no touchpoint belongs to the customer's last event, within {within} before it",
        denominator="touchpoints, channels, reach: customers with an event; go on: customers who entered the stage "
        f"{within} or more before the end of what was observed; time until then: those who go on; the others as named",
        rules="emotion: mean score, the ends of its scale at −1 and +1 (0 is NPS 5, CSAT 3, CES 4); other questions "
        "have other answers, so compare stages asked the same. Score low: below that middle. Pain points: only where "
        "the interval lies above the rate over all touchpoints. Measured: counted from the data, in the stage "
        "that the data or the catalogue gives a touchpoint; inferred: by a rule; assumed: nothing is behind it. "
        "Intervals: 95 %, Wilson for shares, order statistics for medians, by customers for scores and bounces",
        notes=notes,
    )


def _notes(data: Data, note: str, counts: StageCounts) -> tuple[str, ...]:
    found = [note]
    if counts.events[-1]:
        share = show_number(float(counts.events[-1] / counts.events.sum()), "rate", data.locale)
        found.append(f"{share} of the events are in no stage; a catalogue.toml gives their touchpoints one.")
    if counts.off:
        n = show_number(counts.off, "count", data.locale)
        found.append(f"{n} answers lie outside their scale and are left out.")
    for table, what in (("responses", "how it feels"), ("feedback", "what customers say")):
        if not data.store.manifest["input_rows"].get(table):
            found.append(f"Nothing is known of {what}: it comes with {EXPORTS[table][1]}.")
    return tuple(filter(None, found))
