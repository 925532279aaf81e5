"""Consistency: whether customers fare alike in every channel, like compared with like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from toolkit.counts import Additive
from toolkit.errors import MissingData, one_of
from toolkit.journeys.coverage import EXPORTS
from toolkit.journeys.scales import SCALES, share_of_scale
from toolkit.pitfall.cells import Cells, Gaps, gaps, placed
from toolkit.pitfall.visits import FINISHED, LEFT, Asked, outcomes
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.many import adjust
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

MEASURES = (*SCALES, FINISHED, LEFT)
TABLES = ("events", "responses")
MOST = 40  # channels of a table; of more, the ten most common


class Alike(NamedTuple):
    """Place of each channel, and of each touchpoint's family: touchpoints of one family are alike."""

    channels: dict[str, int]
    families: dict[str, int]

    @classmethod
    def of(cls, data: Data) -> Alike:
        """As the study's events and responses name them."""
        channels, common = set(), data.store.manifest["common"]
        for table in TABLES:
            words = data.vocabulary("channel", table)
            channels |= set(words if len(words) <= MOST else common[f"{table}.channel"])
        names = sorted({name for table in TABLES for name in data.vocabulary("touchpoint", table)})
        family = {name: getattr(data.catalogue.place(name), "family", name) for name in names}
        place = {word: i for i, word in enumerate(sorted(set(family.values())))}
        return cls({word: i for i, word in enumerate(sorted(channels))}, {name: place[family[name]] for name in names})

    @property
    def size(self) -> int:
        """Families, and last what names no touchpoint."""
        return max(self.families.values(), default=-1) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyCounts(Additive):
    """Answers and visits of the period.

    Attributes:
        cells: by measure × family, and channel.
        unknown: int64 per measure, units without a channel.
    """

    cells: Cells
    unknown: np.ndarray


def count_consistency(part: Part, *, asked: Asked, alike: Alike) -> ConsistencyCounts:
    """Counts answers and visits of the period by channel, within families of touchpoints."""
    found = [np.zeros((0, 5))]
    for name, rows, measure, value in _units(part, asked):
        stratum = measure * alike.size + placed(part, name, "touchpoint", alike.families, alike.size - 1)[rows]
        channel = placed(part, name, "channel", alike.channels)[rows]
        bucket = part.bucket[part.tables[name].customer[rows]]
        found.append(np.column_stack([bucket, stratum, channel, np.broadcast_to(measure, len(rows)), value]))
    bucket, stratum, channel, measure = np.concatenate(found)[:, :4].astype(np.int64).T
    shape = len(MEASURES) * alike.size, len(alike.channels)
    return ConsistencyCounts(
        cells=Cells.of(bucket, stratum, channel, np.concatenate(found)[:, 4], shape),
        unknown=np.bincount(measure[channel < 0], minlength=len(MEASURES)),
    )


def _units(part: Part, asked: Asked) -> Iterator[tuple[str, np.ndarray, np.ndarray | int, np.ndarray]]:
    """Table, rows, measure and value of what may have a channel: visits, then answers."""
    for name, (rows, did) in outcomes(part, asked).items():
        if name in MEASURES:
            yield "events", rows, MEASURES.index(name), did
    if "responses" in part.tables:
        measure = placed(part, "responses", "instrument", {word: MEASURES.index(word) for word in SCALES})
        value = share_of_scale(part)
        rows = np.flatnonzero(part.anchored(part.tables["responses"].time) & (measure >= 0) & ~np.isnan(value))
        yield "responses", rows, measure[rows], value[rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency(Result):
    """How customers fare in each channel, against the others.

    Attributes:
        counts: what was counted.
        channels: their names.
        against: the channel that all are compared with; "" = all others.
        small_cells: channels with fewer customers are left out.
        definition: the card.
    """

    counts: ConsistencyCounts
    channels: tuple[str, ...]
    against: str
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "mean_share": "mean, of its scale",
        "gap_share_diff": "against the others, like with like",
        "p_adjusted": "p that all channels are alike",
    }

    def compared(self, least: int = 2) -> dict[str, Gaps]:
        """The channels against one another, by measure; only measures that two channels share.

        Args:
            least: channels with fewer customers (or than `small_cells`) are left out.
        """
        size, found = self.counts.cells.n.shape[1] // len(MEASURES), {}
        against = self.channels.index(self.against) if self.against else None
        for i, measure in enumerate(MEASURES):
            cells = self.counts.cells.at(slice(i * size, (i + 1) * size))
            found[measure] = gaps(cells, max(least, self.small_cells), against)
        return {measure: one for measure, one in found.items() if len(one.known)}

    def rows(self) -> list[dict]:
        """One row per measure and channel, the surest difference first.

        Columns: units (answers, checkouts, visits), their mean as a share of the scale, its difference from the other
        channels for the same families of touchpoints, and the p of the whole measure, adjusted for several measures.
        """
        found, rows = self.compared(), []
        p = adjust([one.p for one in found.values()]).p
        for (measure, one), adjusted in zip(found.items(), p, strict=True):
            for i in one.known:
                gap, low, high = one.ends(i, 0.95)
                row = {"measure": measure, "channel": self.channels[i], "n": int(one.n[i])}
                row |= {"mean_share": float(one.mean[i]), "gap_share_diff": gap}
                row |= {"gap_share_diff_low": low, "gap_share_diff_high": high, "p_adjusted": float(adjusted)}
                rows.append(row)
        return sorted(rows, key=lambda row: -max(row["gap_share_diff_low"], -row["gap_share_diff_high"]))

    @property
    def ledger(self) -> dict[str, int]:
        """Answers and visits shown, those without another channel to compare with, those without a channel."""
        shown = int(sum(one.n[one.known].sum() for one in self.compared().values()))
        total, unknown = int(self.counts.cells.n.sum()), int(self.counts.unknown.sum())
        return {"shown": shown, "alone": total - shown, "unknown": unknown, "all": total + unknown}

    @property
    def headline(self) -> dict:
        """The channel that most surely differs from the others."""
        return next(iter(self.rows()), {"gap_share_diff": float("nan")})

    def say(self) -> list[str]:
        """Which measures differ between channels, and the channel that differs most."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No measure is known for the same kind of touchpoint in two channels."]
        measures = dict.fromkeys(row["measure"] for row in rows)
        apart = [m for m in measures if any(row["p_adjusted"] < 0.05 for row in rows if row["measure"] == m)]
        listed = f": {', '.join(map(named, apart))}." if apart else "."
        said = [f"{len(apart)} of {len(measures)} measures differ between channels beyond chance{listed}"]
        clear = [row for row in rows if row["measure"] in apart]
        if not clear:
            return said
        row = clear[0]
        low, high = SCALES.get(row["measure"], (0, 100))
        side, sign = ("lower", -1) if row["gap_share_diff"] < 0 else ("higher", 1)
        gap, *band = (sign * (high - low) * row[f"gap_share_diff{end}"] for end in ("", "_low", "_high"))
        shown = f"{show_number(gap, 'ratio', locale)} ({show_interval(gap, sorted(band), 'ratio', locale)})"
        scale = row["measure"] in SCALES
        unit = "points" if scale else "%-points"
        where = f" on the scale from {low} to {high}" if scale else ""
        n = show_number(row["n"], "count", locale)
        what = (
            f"Against {self.against or 'the other channels'} for the same kind of touchpoint {row['channel']} differs"
        )
        return [*said, f"{what} most surely: {named(row['measure'])} is {shown} {unit} {side}{where} (n = {n})."]


def named(measure: str) -> str:
    """A measure as people write it.

    Example:
        >>> named("csat"), named("checkouts finished")
        ('CSAT', 'checkouts finished')
    """
    return measure.upper() if measure in SCALES else measure


def consistency(data: Data, *, against: str = "", gap: str = "30min") -> Consistency:
    """Whether customers fare alike in every channel: satisfaction, checkouts finished, visits left at once.

    Args:
        data: the study.
        against: one channel to compare the others with, such as "chat"; left out, each is compared with all others.
        gap: longest pause within a session.

    Returns:
        One row per measure and channel. Channels carry different touchpoints, so each is compared within the same
        family of touchpoints only: phone with chat and e-mail within service.

    Raises:
        MissingData: neither events nor responses have a channel.

    Method:
        Stratified differences with clustered errors; one p per measure (Bonferroni over its channels), Holm over the
        measures; see docs/methods.md.

    Example:
        >>> import toolkit as tk
        >>> "channel" in tk.consistency(tk.open_data(tk.make_data(400, rng=1))).rows()[0]
        True
    """
    alike = Alike.of(data)
    if not alike.channels:
        source = f"a channel column in {EXPORTS['events'][1]}, or in {EXPORTS['responses'][1]}"
        raise MissingData("consistency", "channels of events or responses", source)
    if against and against not in alike.channels:
        raise one_of("against", against, alike.channels)
    card = data.definition(
        "Consistency between channels",
        unit="answer, checkout or visit",
        population="of the period, in channels that share a family of touchpoints with another",
        window=f"a pause of more than {gap} begins a new session",
        denominator="csat, ces, nps: answers, as a share of their scale; checkouts finished: sessions with a checkout; "
        "visits left at once: sessions that begin at a page of our own",
        rules=f"difference: from {against or 'the other channels'} within each family of touchpoints, weighted by the "
        "channel's own units. Intervals: 95 %, customers as clusters; p: that no channel differs in the measure, "
        "Bonferroni over its channels, Holm over the measures. A difference is no effect of the channel: other "
        "customers may use it",
    )
    counts = run(data, count_consistency, asked=Asked.of(data, gap), alike=alike)
    shown = {"channels": tuple(alike.channels), "against": against, "small_cells": data.small_cells}
    return Consistency(counts=counts, **shown, definition=card)
