"""Holdouts: what a channel changes, from customers from whom it was withheld at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.counts import Additive
from toolkit.errors import MissingData, one_of, several
from toolkit.journeys.coverage import EXPORTS
from toolkit.shown import show_number
from toolkit.stats.shares import SCORE, ShareLift, compare_shares
from toolkit.study.clock import duration, spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

SPLIT_P = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutCounts(Additive):
    """What a holdout adds up to: 2 int64, control and treatment.

    Attributes:
        exposed: customers given one variant only.
        matured: of these, those watched for the whole window.
        reached: of these, those who reached the goal in it.
        mixed: customers given several variants.
    """

    exposed: np.ndarray
    matured: np.ndarray
    reached: np.ndarray
    mixed: int


def count_holdout(
    part: Part, *, experiment: int, variants: Sequence[int], goal: Sequence[int], window: int
) -> HoldoutCounts:
    """Counts the customers first exposed in the period, and who of them reached the goal within the window."""
    table, events = part.tables["exposures"], part.table
    rows = np.flatnonzero((table["experiment_id"] == experiment) & (table["variant"] >= 0))
    owner, variant = table.customer[rows], table["variant"][rows]
    first = np.append(True, np.diff(owner) != 0)[: len(owner)]
    mixed = np.zeros(len(part), bool)
    mixed[owner[1:][(variant[1:] != variant[:-1]) & ~first[1:]]] = True
    here = first & part.anchored(table.time[rows])
    one = here & ~mixed[owner] & np.isin(variant, variants)
    since, arm = table.time[rows][one], variant[one] == variants[1]
    goals = events.kept(np.isin(events["touchpoint"], goal))
    last = goals.last_before(owner[one], since + window)
    reached = np.append(goals.time, np.iinfo(np.int64).min)[last] >= since
    ripe = since <= part.observed_until - window
    return HoldoutCounts(
        exposed=np.bincount(arm, minlength=2),
        matured=np.bincount(arm[ripe], minlength=2),
        reached=np.bincount(arm[ripe & reached], minlength=2),
        mixed=int((here & mixed[owner]).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout(ShareLift):
    """Customers who were given a channel against customers from whom it was withheld.

    Attributes:
        counts: what was counted: control, then treatment.
    """

    counts: HoldoutCounts

    @property
    def ledger(self) -> dict[str, int]:
        """Customers compared, not yet watched for long enough, given several variants; together all."""
        compared, exposed = int(self.counts.matured.sum()), int(self.counts.exposed.sum())
        left = {"pending": exposed - compared, "excluded": self.counts.mixed}
        return {"shown": compared, **left, "all": exposed + self.counts.mixed}


def holdout(
    data: Data,
    experiment: str,
    goal: str | Sequence[str] | None = None,
    *,
    within: str = "30d",
    planned: Mapping[str, float] | None = None,
) -> Holdout:
    """What a channel changes: customers who were given it against customers from whom it was withheld at random.

    Args:
        data: the study; `between` sets the period of the exposure.
        experiment: its id in `exposures`.
        goal: touchpoints that are the conversion; the catalogue's purchases when left out.
        within: the time everyone is given from the exposure on, such as "30d".
        planned: the variants with their planned shares, the one without the channel first; left out,
            {"control": 1, "treatment": 1}.

    Returns:
        One row: share of both groups that reached the goal, and the difference.

    Raises:
        MissingData: the study has no such experiment, or no exposures in it in the period.
        UsageError: no variant of that name.

    Method:
        Customers first exposed in the period and watched for the whole window since; those given several variants
        are left out. The score interval. The split is checked by chi-square against the plan, at 0.001.

    Example:
        >>> import toolkit as tk
        >>> tk.holdout(tk.open_data(tk.make_data(400, rng=1)), "retargeting-holdout").rows()[0]["n_control"] > 0
        True
    """
    measure, place, asked_for = f"Holdout {experiment}", {}, planned is not None
    planned = planned or {"control": 1, "treatment": 1}
    for column, words in (("experiment_id", [experiment]), ("variant", planned)):
        there = data.vocabulary(column, "exposures")
        if not there:
            raise MissingData(measure, "exposures", EXPORTS["exposures"][1])
        if unknown := [word for word in words if word not in there]:
            if column == "experiment_id" or not asked_for:
                needs = f"{column} {unknown[0]!r} in exposures; it has {', '.join(there)}"
                raise MissingData(measure, needs, EXPORTS["exposures"][1])
            raise one_of(column, unknown[0], there)
        place[column] = [there.index(word) for word in words]
    goal = goal_of(data, goal, measure)
    asked = {"experiment": place["experiment_id"][0], "variants": place["variant"], "window": duration(within)}
    counts = run(data, count_holdout, goal=data.codes(goal), **asked)
    if not counts.exposed.any():
        raise MissingData(measure, "exposures in it in the period", EXPORTS["exposures"][1])
    groups = list(zip(counts.reached.tolist(), counts.matured.tolist(), strict=True))
    without, given = planned
    card = data.definition(
        measure,
        unit="customer",
        population=f"customers first exposed in the period and watched for {spelled(within)} since: "
        f"{given} against {without}",
        window=f"{spelled(within)} from the exposure, inclusive",
        denominator="customers of the variant",
        rules=f"{', '.join(goal)} at or after the exposure; {SCORE}",
        notes=_doubts(counts, list(planned.values()), data.locale),
    )
    lift = compare_shares(*groups[0], *groups[1], definition=card)
    return Holdout(control=lift.control, treatment=lift.treatment, definition=lift.definition, counts=counts)


def _doubts(counts: HoldoutCounts, planned: list[float], locale: str) -> tuple[str, ...]:
    from scipy.stats import chisquare

    sizes = [show_number(n, "count", locale) for n in (*counts.exposed.tolist(), counts.mixed)]
    p = chisquare(counts.exposed, counts.exposed.sum() * np.array(planned) / sum(planned)).pvalue
    split = f"The groups of {sizes[0]} and {sizes[1]} customers are not split as planned: do not trust the difference."
    mixed = f"{sizes[2]} customers were given several variants and are left out."
    return (split,) * bool(p < SPLIT_P) + (mixed,) * bool(counts.mixed)


def goal_of(data: Data, goal: str | Sequence[str] | None, measure: str) -> list[str]:
    """The touchpoints that are the conversion: those named, else the catalogue's purchases.

    Raises:
        MissingData: none is named, and the catalogue knows none.
        UsageError: one does not occur.
    """
    names = data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint"))
    found = names if goal is None else several(goal)
    if not found:
        raise MissingData(measure, "touchpoint that the catalogue knows as purchase", "orders, or a goal you name")
    data.codes(found)
    return found
