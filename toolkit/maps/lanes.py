"""The lanes of a journey map: each turns what was counted into one graded cell per stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from toolkit.journeys.touchpoints import Touchpoints
from toolkit.maps.placing import Columns
from toolkit.maps.stage_counts import MILLIONTHS, StageCounts
from toolkit.shown import safe_text, show_interval, show_number
from toolkit.stats.apart import mean_over_clusters, median_of
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.shares import wilson
from toolkit.study.data import Data

MEASURED, INFERRED, ASSUMED, FEW = "measured", "inferred", "assumed", "too few"
DOES, VOLUME, REACH, NEXT, WAIT = "touchpoints", "volume", "reach", "go on", "time until then"
FEELING, PAINS, VOICES, IDEAS = "emotion", "pain points", "feedback", "opportunities"
SLOW = 3.0  # seconds a page may take to load, as the field has it
MOST_SILENT = 0.05  # share of messages that may go without a reply
MOST_NAMES, MOST_IDEAS = 3, 2


class Cell(NamedTuple):
    """What one lane says of one stage: lines of text, a number with its interval, n, and what it rests on."""

    lines: tuple[str, ...]
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    grade: str = MEASURED


TOO_FEW = Cell(("too few to show",), grade=FEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A row of the map.

    Attributes:
        name: as shown.
        hint: what its numbers are.
        cells: one per stage.
        kind: of its number: rate, seconds or score; "" = none to compare maps by.
        parts: what the number was made of: two arrays of 1,024 buckets × stages, or a tally and the number of stages.
    """

    name: str
    hint: str = ""
    cells: tuple[Cell, ...] = ()
    kind: str = ""
    parts: tuple = ()

    def estimate(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, low and high by stage, at a level."""
        if self.kind == "seconds":
            return median_of(*self.parts, level)
        if self.kind == "score":
            mean, low, high = mean_over_clusters(*self.parts, level)
            return mean, np.maximum(low, -1), np.minimum(high, 1)
        return _rates(*(part.sum(axis=0) for part in self.parts), level)

    def texts(self, cell: Cell) -> list[str]:
        """A cell's lines read aloud: the interval of a number in brackets behind it."""
        pairs = (line.partition("  ") for line in cell.lines)
        return [
            f"{first} ({second})" if second and self.kind else f"{first} {second}".rstrip()
            for first, _, second in pairs
        ]


def shown(kind: str, value: float, low: float, high: float, locale: str) -> str:
    """A number with its interval behind it; a score has two decimals, which is more than answers bear."""
    if kind == "score":
        kind, (value, low, high) = "diff", (round(end, 2) for end in (value, low, high))
    return "  ".join(filter(None, [show_number(value, kind, locale), show_interval(value, (low, high), kind, locale)]))


def plain(text: str, limit: int = 60) -> str:
    """Words from outside on one line; two spaces in a row are ours, they part a name from its number."""
    return " ".join(safe_text(text, limit).split())


def _rates(count, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return count / np.where(n > 0, n, np.nan), *wilson(count, n, level)


class Maker(NamedTuple):
    """Makes the lanes of a map.

    Attributes:
        data: the study.
        columns: its stages.
        inventory: its touchpoints; met: rows of those that enough customers met.
        counts: what was counted.
        within: how long a customer has to enter a later stage, as shown.
    """

    data: Data
    columns: Columns
    inventory: Touchpoints
    met: list[dict]
    counts: StageCounts
    within: str

    def lanes(self) -> list[Lane]:
        """Every lane that a study can fill, in the order of the map."""
        c, stages = self.counts, self.columns.stages
        everyone = np.repeat(c.people[:, None], len(stages), axis=1)
        watched = partial(self._onward, "rate", c.matured, "nobody was watched long enough")
        gone = partial(self._onward, "seconds", c.gone, "nobody goes on")
        made = [
            self._lane(DOES, "share of all customers", self._touchpoints),
            self._lane("channels", "share of all customers", self._channels),
            self._lane(VOLUME, "events, and per customer in the stage", self._volume),
            self._lane(REACH, "share of all customers", self._reach, "rate", c.reached, everyone),
            self._lane(NEXT, f"to a later stage within {self.within}", watched, "rate", c.gone, c.matured),
            self._lane(WAIT, "median of those who go on", gone, "seconds", c.waits, len(stages)),
            self._lane(FEELING, "mean score, from −1 to +1", self._feeling, "score", c.felt / MILLIONTHS, c.answers),
            self._lane(PAINS, "worse than elsewhere", self._pains),
            self._lane(VOICES, "messages, rating, open", self._voices),
        ]
        cells = [{lane.name: lane.cells[i] for lane in made} for i in range(len(stages))]
        return [*made, self._lane(IDEAS, "by rule", lambda i, *_: self._ideas(i, cells[i]))]

    def _lane(self, name: str, hint: str, make: Callable[..., Cell], kind: str = "", *parts) -> Lane:
        """A lane whose cells stand where enough customers met the stage; answers and messages need none of them."""
        lane = Lane(name=name, hint=hint, kind=kind, parts=parts)
        ends = zip(*lane.estimate(), strict=True) if kind else [()] * len(self.columns.stages)
        people = self.counts.reached.sum(axis=0) if name not in (FEELING, VOICES) else np.full(99, np.inf)
        cells = (self._if_enough(people[i], "not seen", make, i, *map(float, end)) for i, end in enumerate(ends))
        return replace(lane, cells=tuple(cells))

    def _if_enough(self, people: float, without: str, make: Callable[..., Cell], *of) -> Cell:
        if not people:
            return Cell((without,), grade=ASSUMED)
        return make(*of) if people >= self.data.small_cells else TOO_FEW

    def _count(self, n: float) -> str:
        return show_number(n, "count", self.data.locale)

    def _rate(self, value: float) -> str:
        return show_number(value, "rate", self.data.locale)

    def _here(self, i: int) -> list[dict]:
        return [row for row in self.met if self.columns.at[row["touchpoint"]] == self.columns.stages[i]]

    def _touchpoints(self, i: int) -> Cell:
        return self._widest([(row["touchpoint"], row["n_customers"]) for row in self._here(i)])

    def _channels(self, i: int) -> Cell:
        names, n = self.inventory.channels, self.counts.channels[i].tolist()
        met = [pair for pair in zip(names, n, strict=True) if pair[1] >= max(self.data.small_cells, 1)]
        met.sort(key=lambda pair: -pair[1])
        return self._widest(met) if names else Cell(("none is known",), grade=ASSUMED)

    def _widest(self, met: list[tuple[str, int]]) -> Cell:
        """The names most customers met, each with their share of all; the cell's number is the first's."""
        everyone = int(self.counts.people.sum())
        if not met:
            return TOO_FEW
        lines = [f"{plain(name)}  {self._rate(n / everyone)}" for name, n in met[:MOST_NAMES]]
        more = [f"and {len(met) - MOST_NAMES} more"] * (len(met) > MOST_NAMES)
        return Cell((*lines, *more), *map(float, _rates(np.int64(met[0][1]), np.int64(everyone))), met[0][1])

    def _volume(self, i: int) -> Cell:
        n, each = int(self.counts.events[i]), float(self.counts.events[i] / self.counts.reached[:, i].sum())
        return Cell((self._count(n), f"{show_number(round(each, 1), locale=self.data.locale)} each"), float(n), n=n)

    def _reach(self, i: int, *ends: float) -> Cell:
        n = int(self.counts.reached[:, i].sum())
        return Cell((shown("rate", *ends, self.data.locale), f"{self._count(n)} customers"), *ends, n)

    def _onward(self, kind: str, people: np.ndarray, without: str, i: int, *ends: float) -> Cell:
        if i == len(self.columns.stages) - 1:
            return Cell(("the last stage",), grade="")
        n = int(people[:, i].sum())
        lines = shown(kind, *ends, self.data.locale), f"of {self._count(n)}"
        return self._if_enough(n, without, lambda: Cell(lines, *ends, n))

    def _feeling(self, i: int, *ends: float) -> Cell:
        (own, people), n = self.counts.asked[:, i], int(self.counts.answers[:, i].sum())
        words = self.data.vocabulary("instrument", "responses")
        asked = ", ".join(word.upper() for word, k in zip(words, self.counts.instruments[:, i], strict=True) if k)
        lines = shown("score", *ends, self.data.locale), f"{self._count(n)} answers", asked
        return self._if_enough(people, "nobody was asked", lambda: Cell(lines, *ends, n, _attached(own, n)))

    def _voices(self, i: int) -> Cell:
        n, own, people, rated, ratings, known, silent = self.counts.voices[:, i].tolist()
        lines = [f"{self._count(n)} messages"]
        if rated >= max(self.data.small_cells, 1):
            lines.append(f"mean rating {show_number(round(ratings / MILLIONTHS / rated, 1), locale=self.data.locale)}")
        ends = tuple(map(float, _rates(np.int64(silent), np.int64(known))))
        lines += [f"{self._rate(ends[0])} unanswered"] * (known > 0)
        return self._if_enough(people, "nothing was said", lambda: Cell(tuple(lines), *ends, n, _attached(own, n)))

    def _pains(self, i: int) -> Cell:
        """What goes wrong surely more often than elsewhere: of each kind, the worst touchpoint of the stage."""
        found, looked = [], False
        stage_of = self.columns.elsewhere(self.data, "responses") | self.columns.at
        for what, names, (rate, low, high), n, enough, everywhere in self._troubles(i):
            here = np.array([stage_of[name] == self.columns.stages[i] for name in names], bool)
            looked |= bool((here & (n > 0)).any()) and everywhere > 0
            surely = np.where(here & enough, np.nan_to_num(low, nan=-1.0), -1.0)
            k = int(surely.argmax()) if len(surely) else 0
            if len(surely) and surely[k] > everywhere:
                said = f"{plain(names[k])}: {self._rate(rate[k])} {what}"
                found.append(Cell((said,), float(rate[k]), float(low[k]), float(high[k]), int(n[k])))
        if found:
            return found[0]._replace(lines=tuple(pain.lines[0] for pain in found))
        return Cell(("none stands out",)) if looked else Cell(("nothing here would show one",), grade=ASSUMED)

    def _troubles(self, i: int) -> Iterator[tuple]:
        """Kinds of trouble: in words, touchpoints, rates, n, whether they may be shown, and the rate everywhere."""
        c, met, least = self.counts, self.inventory.counts, max(self.data.small_cells, 1)
        names, n = self.inventory.names, np.full(len(self.inventory.names), c.reached[:, i].sum())
        yield "meet a failure", names, _rates(np.minimum(c.failures, n), n), n, c.failures >= least, 0.0
        (asked, low), about = c.low, self.data.vocabulary("touchpoint", "responses")
        yield "score low", about, _rates(low, asked), asked, low >= least, low.sum() / max(asked.sum(), 1)
        own = np.isin(names, self.inventory.own)
        bounces, entries = met.bounces * own, met.entries * own
        n, enough, everywhere = entries.sum(axis=0), met.beginners >= least, bounces.sum() / max(entries.sum(), 1)
        yield "leave at once", names, clustered_rate(bounces, entries), n, enough, everywhere

    def _ideas(self, i: int, cells: dict[str, Cell]) -> Cell:
        """What the numbers suggest, by rules: at most two lines."""
        found, feeling, c = [], cells[FEELING], self.counts
        everywhere = c.felt.sum() / MILLIONTHS / max(c.answers.sum(), 1)
        if feeling.high < everywhere:
            found.append("ask why it feels worse here")
        if cells[VOICES].low > MOST_SILENT and c.voices[-1, i] >= self.data.small_cells:
            found.append(f"answer the {self._count(c.voices[-1, i])} still waiting")
        if slow := [row for row in self._here(i) if row.get("load_seconds", 0) > SLOW]:
            found.append(f"speed up {plain(max(slow, key=lambda row: row['load_seconds'])['touchpoint'])}")
        if feeling.low > everywhere:
            found.append("build on what feels good here")
        if feeling.grade == ASSUMED:
            found.append("ask how it feels")
        pains = [line.rpartition(": ")[0] for line in cells[PAINS].lines if cells[PAINS].value == cells[PAINS].value]
        found = [f"look into {pain}" for pain in pains] + found
        return Cell(tuple(found[:MOST_IDEAS]) or ("nothing stands out",), grade=INFERRED)


def _attached(own: int, n: int) -> str:
    """Whether most of n rows named their touchpoint, or followed the customer's last event."""
    return MEASURED if 2 * own >= n else INFERRED
