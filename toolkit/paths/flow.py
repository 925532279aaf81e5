"""Flows: where customers go step by step, from the start of a session or from a touchpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import BUCKETS, Additive, by_bucket, distinct_per_key
from toolkit.errors import UsageError, several
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import session_starts
from toolkit.paths.common import UNKNOWN, rate_of
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

STEPS = range(2, 9)
BUSIEST = 6  # touchpoints with a name at each step; the others stand together
OTHER, LEFT, PENDING = "(all others)", "(left)", "(pending)"
GOAL = BUSIEST + 1  # places at a step: the busiest, all others; then where a flow ends: the goal, left, pending
PLACES = BUSIEST + 4


@dataclass(frozen=True, slots=True)
class Trail:
    """What a flow follows.

    Attributes:
        start: touchpoint codes at which customers are met first; none: wherever a session begins.
        goal: touchpoint codes at which a flow ends.
        gap: longest pause, µs; whoever pauses for longer has left.
        steps: touchpoints followed, the first included.
    """

    start: tuple[int, ...]
    goal: tuple[int, ...]
    gap: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitCounts(Additive):
    """Who comes where: steps × (v + 1) int64 flows and different customers, the last one unknown; the goal left out."""

    flows: np.ndarray
    customers: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCounts(Additive):
    """What flows add up to, by place: the busiest touchpoints, all others, the goal, left, pending.

    Attributes:
        begun: int64 flows by their first place.
        moves: (steps − 1) × from × to int64.
        customers: the same by different customers.
        matured: 1,024 × the same of those who were watched for longer than the pause.
        whole: 1,024 × 3 int64 flows watched to the last step however slow; of these at the goal by then, left by then.
    """

    begun: np.ndarray
    moves: np.ndarray
    customers: np.ndarray
    matured: np.ndarray
    whole: np.ndarray


def _followed(part: Part, trail: Trail) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Step by step which flows are still on (their first rows), at which row, and at which place.

    Places are touchpoint codes, 0 … v (unknown); v + 1 the goal, v + 2 left, v + 3 pending: there a flow ends.
    """
    table, v = part.table, len(part.words("touchpoint"))
    code, starts = table["touchpoint"].astype(np.int32), np.flatnonzero(session_starts(table, trail.gap))
    code[code < 0] = v
    on = np.flatnonzero(np.isin(code, trail.start)) if trail.start else starts
    on = on[part.anchored(table.time[on])]
    if trail.start:
        on = on[np.append(True, np.diff(table.customer[on]) > 0)[: len(on)]]
    ends = np.append(starts, len(table))[np.searchsorted(starts, on, side="right")]
    for step in range(trail.steps):
        row = np.minimum(on + step, ends - 1)
        gone, here = on + step >= ends, code[row]
        here[np.isin(here, trail.goal)] = v + 1
        here[gone] = np.where(table.time[row[gone]] <= part.observed_until - trail.gap, v + 2, v + 3)
        yield on, row, here
        on, ends = on[here <= v], ends[here <= v]


def count_visits(part: Part, *, trail: Trail) -> VisitCounts:
    """Counts who comes to each touchpoint at each step: from it follows which ones are shown."""
    size, flows, customers = len(part.words("touchpoint")) + 1, [], []
    for on, _, here in _followed(part, trail):
        there = here < size
        flows.append(np.bincount(here[there], minlength=size))
        customers.append(distinct_per_key(part.table.customer[on[there]], here[there], size))
    return VisitCounts(flows=np.array(flows), customers=np.array(customers))


def count_flow(part: Part, *, trail: Trail, named: tuple[tuple[int, ...], ...]) -> FlowCounts:
    """Counts the moves between the named touchpoints of each step, all others together.

    Args:
        part: some customers.
        trail: what is followed.
        named: touchpoint codes of each step that have a place of their own.
    """
    size, time = len(part.words("touchpoint")) + 1, part.table.time
    watched, keys = part.observed_until - trail.gap, PLACES * PLACES
    moves, customers, matured = [], [], []
    since = over = begun = whole = None
    for (on, row, here), codes in zip(_followed(part, trail), named, strict=True):
        place = np.append(np.full(size, BUSIEST), np.arange(GOAL, PLACES))
        place[list(codes)] = np.arange(len(codes))
        to, owner, there = place[here], part.table.customer[on], here < size
        bucket, early = part.bucket[owner], time[on] <= watched - trail.gap * (trail.steps - 2)
        if since is None:
            begun, whole = np.bincount(to, minlength=PLACES), by_bucket(bucket[early]) * (1, 0, 0)
        else:
            key = since * PLACES + to
            moves.append(np.bincount(key, minlength=keys))
            customers.append(distinct_per_key(owner, key, keys))
            matured.append(by_bucket(bucket[over], None, key[over], keys))
        for column, end in ((1, size), (2, size + 1)):
            whole[:, column] += by_bucket(bucket[early & (here == end)])[:, 0]
        since, over = to[there], time[row[there]] <= watched
    shape = (len(moves), PLACES, PLACES)
    return FlowCounts(
        begun=begun,
        moves=np.reshape(moves, shape),
        customers=np.reshape(customers, shape),
        matured=np.stack(matured, axis=1).reshape(BUCKETS, *shape),
        whole=whole,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Result):
    """A flow, step by step.

    Attributes:
        counts: what was counted.
        named: names of the touchpoints shown at each step.
        start: name of the start, "" where it is wherever a session begins.
        goal: name of the goal, "" where there is none.
        small_cells: moves of fewer customers are not shown.
        definition: the card.
    """

    counts: FlowCounts
    named: tuple[tuple[str, ...], ...]
    start: str
    goal: str
    small_cells: int
    definition: Definition

    columns: ClassVar = {"out_share": "of those at from", "n_matured": "of matured"}

    @property
    def unit(self) -> str:
        """What flows: "customer" from a touchpoint, "session" from wherever it begins."""
        return "customer" if self.start else "session"

    def names(self, step: int) -> list[str]:
        """Names of the places at a step (0 is the first), in the order of the counts."""
        named = self.named[step]
        return [*named, *[""] * (BUSIEST - len(named)), OTHER, self.goal, LEFT, PENDING]

    @property
    def hidden(self) -> np.ndarray:
        """Which moves too few customers made to be shown."""
        return (self.counts.customers > 0) & (self.counts.customers < self.small_cells)

    def rows(self) -> list[dict]:
        """One row per step and move: how many, and their share of those at `from` who were watched long enough."""
        moves, shown, matured = self.counts.moves, ~self.hidden, self.counts.matured
        n = np.broadcast_to(matured.sum(axis=-1, keepdims=True), matured.shape)
        shares = [
            bound.reshape(moves.shape) for bound in clustered_rate(*(x.reshape(BUCKETS, -1) for x in (matured, n)))
        ]
        rows = []
        for step, since, to in np.argwhere((moves > 0) & shown):
            row = {"step": int(step) + 1, "from": self.names(step)[since], "to": self.names(step + 1)[to]}
            row |= {f"n_{self.unit}s": int(moves[step, since, to]), "n_matured": int(n[:, step, since, to].sum())}
            known = [float(bound[step, since, to]) if to < PLACES - 1 else float("nan") for bound in shares]
            rows.append(row | dict(zip(("out_share", "out_share_low", "out_share_high"), known, strict=True)))
        return sorted(rows, key=lambda row: (row["step"], -row[f"n_{self.unit}s"], row["from"], row["to"]))

    def at(self, step: int) -> np.ndarray:
        """How many come to each place at a step (0 is the first)."""
        return self.counts.moves[step - 1].sum(axis=0) if step else self.counts.begun

    @property
    def ledgers(self) -> tuple[dict[str, int], ...]:
        """At each step those at touchpoints shown, at others, at the goal by then, left, pending; together all."""
        at = np.array([self.at(step) for step in range(len(self.named))])
        ended = at[:, GOAL:].cumsum(axis=0).tolist()
        return tuple(
            {"shown": int(here[:BUSIEST].sum()), "other": int(here[BUSIEST])}
            | dict(zip(("converted", "left", "pending"), gone, strict=True))
            | {"all": int(self.counts.begun.sum())}
            for here, gone in zip(at, ended, strict=True)
        )

    @property
    def ledger(self) -> dict[str, int]:
        """The ledger of the last step."""
        return self.ledgers[-1]

    @property
    def headline(self) -> dict:
        """Of the flows watched to the last step the share that reached the goal; without a goal, that left."""
        name, column = ("conversion_rate", 1) if self.goal else ("left_rate", 2)
        values = clustered_rate(self.counts.whole[:, [column]], self.counts.whole[:, [0]])
        rates = {f"{name}{end}": float(x[0]) for end, x in zip(("", "_low", "_high"), values, strict=True)}
        what = f"from {self.start or 'the first touchpoint'}, {len(self.named)} touchpoints"
        return {f"n_{self.unit}s": int(self.counts.whole[:, 0].sum())} | rates | {"what": what}

    def say(self) -> list[str]:
        """How many go how far, and the most usual first move."""
        if not self.counts.begun.sum():
            return [f"No {self.unit} began in the period."]
        row, locale = self.headline, self.definition.locale
        name = "conversion_rate" if self.goal else "left_rate"
        n, steps = show_number(row[f"n_{self.unit}s"], "count", locale), len(self.named)
        ends = f"reach {self.goal}" if self.goal else "have left"
        since = f" who come to {self.start}" if self.start else ""
        said = [f"Of {n} {self.unit}s{since}, {rate_of(row, name, locale)} {ends} within {steps} touchpoints."]
        busiest = self.names(0)[int(self.counts.begun[:BUSIEST].argmax())]
        first = [row for row in self.rows() if (row["step"], row["from"]) == (1, busiest)]
        on = [row for row in first if row["to"] not in (OTHER, LEFT, PENDING)]
        for row in [row for row in first if row["to"] == LEFT] + on[:1]:
            again = " again" if row["to"] == busiest else ""
            where = "leave at once" if row["to"] == LEFT else f"next go to {row['to']}{again}, more than anywhere else"
            said.append(f"Of those who begin at {busiest}, {rate_of(row, 'out_share', locale)} {where}.")
        return said


def flow(
    data: Data,
    *,
    start: str | Sequence[str] | None = None,
    goal: Sequence[str] | None = None,
    steps: int = 5,
    within: str = "30min",
) -> Flow:
    """Where customers go step by step: how many go on to which touchpoint, leave, or reach the goal.

    Args:
        data: the study; `between` sets the period of the start.
        start: a touchpoint, or several: each customer is followed from the first of them in the period. Left out: every
            session is followed from its first touchpoint.
        goal: touchpoints at which a flow ends; the catalogue's purchases when left out, none when empty.
        steps: touchpoints followed, the first included, 2 to 8.
        within: longest pause, such as "30min" or "7d"; whoever pauses for longer has left.

    Returns:
        One row per step and move: how many, and their share of those at `from` who were watched for longer than the
        pause, with its interval. The busiest touchpoints of each step have a name; the others stand together.

    Raises:
        MissingData: the study has no events.
        UsageError: a touchpoint does not occur, or there are not 2 to 8 steps.

    Method:
        Whoever does not go on has left if watched for longer than the pause, else is pending. Shares are of those who
        were at `from` so early that it is known, those who went on included; sessions of one customer belong together
        (`clustered_rate`).

    Example:
        >>> import toolkit as tk
        >>> tk.flow(tk.open_data(tk.make_data(200, rng=1)), start="product page").named[0]
        ('product page',)
    """
    need_events(data, "a flow")
    if steps not in STEPS:
        raise UsageError(f"steps is {steps!r}; give a whole number from {STEPS[0]} to {STEPS[-1]}.")
    names = data.vocabulary("touchpoint")
    begin = [start] if isinstance(start, str) else list(start or ())
    ends = data.catalogue.names_with_role("purchase", names) if goal is None else several(goal)
    ends = [name for name in ends if name not in begin]
    trail = Trail(data.codes(begin), data.codes(ends), duration(within), steps)
    named = _busiest(run(data, count_visits, trail=trail), max(data.small_cells, 1))
    began = (
        f"customers who came to {' or '.join(begin)} in the period" if begin else "sessions that began in the period"
    )
    return Flow(
        counts=run(data, count_flow, trail=trail, named=named),
        named=tuple(tuple([*names, UNKNOWN][code] for code in codes) for codes in named),
        start=" or ".join(begin),
        goal=" or ".join(ends),
        small_cells=data.small_cells,
        definition=data.definition(
            f"Flow from {' or '.join(begin)}" if begin else "Flow of sessions",
            unit="customer, from the first time on" if begin else "session",
            population=began,
            window=f"{steps} touchpoints; whoever pauses for more than {within} has left",
            denominator=f"shares: those at the touchpoint who were watched for {within} after it",
            rules=f"at each step the {BUSIEST} busiest touchpoints have a name; a touchpoint again at once is a step; "
            f"moves of fewer than {data.small_cells} customers are not shown. Intervals: 95 %",
        ),
    )


def _busiest(visits: VisitCounts, least: int) -> tuple[tuple[int, ...], ...]:
    """Touchpoint codes with a name at each step; one is given up where too few would stand with the others."""
    named = []
    for flows, customers in zip(visits.flows, visits.customers, strict=True):
        order = [int(code) for code in np.argsort(-flows, kind="stable") if customers[code] >= least][:BUSIEST]
        others = customers.sum() - customers[order].sum()
        named.append(tuple(order[:-1] if 0 < others < least else order))
    return tuple(named)
