"""Who was exposed to which variant of an experiment, and what they did before and after: counts that add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from toolkit.counts import Additive, Sparse, Tally
from toolkit.errors import MissingData, one_of
from toolkit.experiments.amounts import NEVER, PAUSE, Asked, Rows, rows_of
from toolkit.experiments.metrics import Metric
from toolkit.experiments.plan import Plan, PlanRules
from toolkit.journeys.coverage import EXPORTS
from toolkit.stats.arms import Sums
from toolkit.study.clock import moment_of, shown
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

STEPS = 28  # most points of the cumulative picture
MOST_WORDS = 20  # of an attribute by which the split is looked at
AT_EXPOSURE = ("device", "channel")  # columns of events by which it is looked at
NEAR = (-PAUSE, -1), (0, PAUSE)  # µs from the exposure: before and after it, in one session
VALUE, PER, BEFORE, PER_BEFORE, EARLY, SQUARE, PER_SQUARE, ONE = range(8)  # variables: places in `Sums`, but for ONE
USED = {True: {VALUE, PER, BEFORE, PER_BEFORE, SQUARE, PER_SQUARE, ONE}, False: {VALUE, BEFORE, EARLY, SQUARE, ONE}}


class Trial(NamedTuple):
    """An experiment made ready to be counted; made by `trial_of`.

    Args:
        code: code of its id.
        weights: planned share of each variant, control first.
        variants: their codes; −1 = it does not occur.
        days: days of exposures, ISO.
        edges: UTC µs of the first moment of each day, and of the day after the last.
        steps: step of the cumulative picture of each day.
        metrics: what is counted of each customer.
        window: µs from the exposure for which all must have been watched: the longest that a metric asks for.
        attributes: columns of words by which customers are divided, with their tables; of events, the last word in the
            half hour until the exposure, else the first in that after it.
        by: the column by which the sums are divided too; "" = none.
        groups: how many steps, and words of `by` with the unknown, there are.
    """

    code: int
    weights: Mapping[str, float]
    variants: tuple[int, ...]
    days: tuple[str, ...]
    edges: np.ndarray
    steps: np.ndarray
    metrics: tuple[Asked, ...] = ()
    window: int = 0
    attributes: tuple[tuple[str, str], ...] = ()
    by: str = ""
    groups: int = 1

    @property
    def products(self) -> list[tuple[int, int, int]]:
        """What is summed beside the customers: metric, variable, variable; squares only times values."""
        used = [(m, USED[asked.metric.kind == "ratio"]) for m, asked in enumerate(self.metrics)]
        pairs = [(i, j) for j in range(ONE + 1) for i in range(min(j + 1, SQUARE)) if i <= PER or not SQUARE <= j < ONE]
        return [(m, i, j) for m, places in used for i, j in pairs if {i, j} <= places]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedCounts(Additive):
    """What an experiment adds up to, of customers first exposed in the period, with one variant, a planned one.

    Attributes:
        exposed: days × variants int64, by day of the first exposure.
        words: words of the attributes one after the other (of each the last: unknown) × variants int64.
        silent: those without any event or order.
        young: those not watched for the whole window.
        near: metrics × 2 int64, those with an outcome in the half hour before the exposure, and from it on.
        cells: sums of products of the metrics' variables over all but the young, by bucket × group × variant.
        values: tally of their values by metric × variant; of shares none, and what is below 0 as 0.
        mixed: other customers, those with several variants.
        other: those whose only variant is not planned.
        rows: exposures of all.
        repeated: those that repeat the one before in customer, variant and moment.
    """

    exposed: np.ndarray
    words: np.ndarray
    silent: int
    young: int
    near: np.ndarray
    cells: Sparse
    values: Tally
    mixed: int
    other: int
    rows: int
    repeated: int

    def sums(self, trial: Trial) -> Sums:
        """Sums by step, then by word of `by`, × metric × variant, of the variables in the order of their places."""
        shape = trial.groups, len(trial.metrics), len(trial.variants)
        total, cross = np.zeros((shape[0] * shape[2], len(trial.products) + 1)), np.zeros((*shape, ONE, ONE + 1))
        np.add.at(total, self.cells.keys % len(total), self.cells.counts)
        n, *columns = total.T.reshape(-1, shape[0], shape[2])
        for column, (m, i, j) in zip(columns, trial.products, strict=True):
            cross[:, m, :, i, j] = column
            if j != ONE:
                cross[:, m, :, j, i] = column
        return Sums(np.repeat(n[:, None], shape[1], axis=1), cross[..., ONE], cross[..., :ONE])


def count_exposed(part: Part, *, asked: Trial) -> ExposedCounts:
    """Counts customers first exposed in the period: their variants, attributes, and what they did before and after.

    Args:
        part: some customers.
        asked: the experiment.
    """
    table, arms, days = part.tables["exposures"], len(asked.variants), len(asked.days)
    rows = np.flatnonzero(table["experiment_id"] == asked.code)
    who, variant, time = table.customer[rows], table["variant"][rows], table.time[rows]
    first = np.append(True, np.diff(who) != 0)[: len(who)]
    here, mixed, again = np.zeros(len(part), bool), np.zeros(len(part), bool), np.flatnonzero(~first)
    here[who[first & part.anchored(time)]] = True
    other = variant[again] != variant[again - 1]
    mixed[who[again[other]]] = True
    repeated = here[who[again]] & ~other & (time[again] == time[again - 1])
    one = first & (here & ~mixed)[who]
    planned = one & np.isin(variant, asked.variants)
    who, since, arm = who[planned], time[planned], np.argmax(variant[planned, None] == asked.variants, axis=1)
    day = np.searchsorted(asked.edges, since, side="right") - 1
    words = {column: _words(part, who, since, column, table) for column, table in asked.attributes}
    slots = [asked.steps[day]]
    if asked.by:
        slots.append(asked.steps[-1] + 1 + words[asked.by][0])
    divided = [np.bincount(word * arms + arm, minlength=size * arms) for word, size in words.values()]
    return ExposedCounts(
        exposed=np.bincount(day * arms + arm, minlength=days * arms).reshape(days, arms),
        words=np.concatenate([np.zeros(0, np.int64), *divided]).reshape(-1, arms),
        silent=int((part.table.sizes[who] == 0).sum()),
        mixed=int((here & mixed).sum()),
        other=int((one & ~planned).sum()),
        rows=int(here[table.customer[rows]].sum()),
        repeated=int(repeated.sum()),
        **_outcomes(part, who, since, [slot * arms + arm for slot in slots], asked),
    )


def _words(part: Part, who: np.ndarray, since: np.ndarray, column: str, table: str) -> tuple[np.ndarray, int]:
    """Code of each customer's word in an attribute, the unknown last, and how many there are."""
    size = len(part.words(column, table))
    if table == "customers":
        code = part.attributes[column][who]
    else:
        known = part.table.kept(part.table[column] >= 0)
        before, clock, code = known.last_before(who, since), np.append(known.time, NEVER), np.full(len(who), -1)
        after = np.where(before < 0, known.offsets[who], before + 1)
        near = (before >= 0) & (clock[before] >= since - PAUSE)
        soon = ~near & (after < known.offsets[who + 1]) & (clock[after] <= since + PAUSE)
        code[near], code[soon] = known[column][before[near]], known[column][after[soon]]
    return np.where(code < 0, size, code), size + 1


def _outcomes(part: Part, who: np.ndarray, since: np.ndarray, slots: list[np.ndarray], asked: Trial) -> dict:
    """What those watched for the whole window did; near the exposure, what all did."""
    ripe, moment, arms = since <= part.observed_until - asked.window, np.full(len(part), NEVER), len(asked.variants)
    moment[who], who = since, who[ripe]
    arm, key = slots[0][ripe] % arms, np.concatenate([part.bucket[who] * asked.groups * arms + s[ripe] for s in slots])
    n = np.bincount(key)
    cells, near, tallied = np.flatnonzero(n), [], [(arm[:0], np.zeros(0))]
    columns = [n[cells]]
    for m, one in enumerate(asked.metrics):
        rows = [rows_of(part, amount) for amount in one.found]
        events = rows[0]._replace(values=None)
        near.append([(events.within(moment + low, moment + high) > 0).sum() for low, high in NEAR])
        held = {place: values[who] for place, values in _variables(rows, moment, one).items()}
        if one.metric.kind != "share":
            tallied.append((m * arms + arm, np.maximum(held[VALUE], 0)))
        for i, j in ((i, j) for k, i, j in asked.products if k == m):
            weights = held[i] * held[j] if j != ONE else held[i]
            columns.append(np.bincount(key, np.tile(weights, len(slots)), len(n))[cells])
    return {
        "young": int((~ripe).sum()),
        "near": np.array(near, np.int64).reshape(-1, 2),
        "cells": Sparse(cells, np.column_stack(columns).astype(float)),
        "values": Tally.of(*(np.concatenate(column) for column in zip(*tallied, strict=True))),
    }


def _variables(rows: list[Rows], since: np.ndarray, asked: Asked) -> dict[int, np.ndarray]:
    """A metric's variables of every customer, by place."""
    window, found = asked.window, {}
    for own, before, one in zip((VALUE, PER), (BEFORE, PER_BEFORE), rows, strict=False):
        found |= {own: one.within(since, since + window), before: one.within(since - window, since - 1)}
    found[EARLY] = rows[0].within(since, since + window // 2)
    for place in (VALUE, BEFORE, EARLY):
        found[place] = np.minimum(found[place], 1 if asked.metric.kind == "share" else asked.cap)
    return found | {square: found[of] ** 2 for of, square in ((VALUE, SQUARE), (PER, PER_SQUARE)) if of in found}


def counted(data: Data, trial: Trial) -> tuple[ExposedCounts, Trial]:
    """Counts an experiment; a second time where values are cut, and then the trial says at what."""
    counts, arms = run(data, count_exposed, asked=trial), len(trial.variants)
    tally, some = counts.values, counts.values.values > 0
    pooled = Tally.sum([Tally(tally.groups[some] // arms, tally.values[some], tally.counts[some], tally.exact)])
    cut = [pooled.quantile(asked.metric.winsorise, groups=len(trial.metrics)) for asked in trial.metrics]
    cut = {m: caps[m] for m, caps in enumerate(cut) if trial.metrics[m].metric.winsorise < 1 and caps[m] > 0}
    if not cut:
        return counts, trial
    trial = trial._replace(metrics=tuple(one._replace(cap=cut.get(m, np.inf)) for m, one in enumerate(trial.metrics)))
    return run(data, count_exposed, asked=trial), trial


def trial_of(
    data: Data,
    experiment: str,
    planned: Plan | Mapping[str, float] | None = None,
    *,
    metrics: Metric | Iterable[Metric] = (),
    by: str = "",
) -> Trial:
    """Finds an experiment in a study.

    Args:
        data: the study; `between` sets the period of the first exposure.
        experiment: its id.
        planned: a plan; or the planned share of each variant in any unit, control first. Left out: equal shares of all
            that occur, control the one of that name, else the first by the alphabet.
        metrics: what is counted of each customer; left out, the plan's.
        by: column of customers, or of their events at the exposure, by which the sums are divided too.

    Raises:
        MissingData: the study has no such experiment, none in the period, or a single variant.
        UsageError: there is no such column, or a metric cannot be counted.

    Example:
        >>> import toolkit as tk
        >>> trial_of(tk.open_data(tk.make_data(400, rng=1)), "free-shipping").weights
        {'control': 1, 'treatment': 1}
    """
    trial, words = _found(data, experiment, 1 if planned else 2), data.vocabulary("variant", "exposures")
    rules = planned.rules if isinstance(planned, Plan) else PlanRules(weights=planned or trial.weights)
    if not any(word in trial.weights for word in rules.weights):
        raise one_of("planned variant", next(iter(rules.weights)), trial.weights)
    metrics = [metrics] if isinstance(metrics, Metric) else [*metrics] or getattr(planned, "metrics", ())
    asked = tuple(Asked.of(data, metric, rules.window) for metric in metrics)
    tables = dict(name.split(".", 1)[::-1] for name in data.vocabularies if name.startswith(("events.", "customers.")))
    if by and by not in tables:
        raise one_of("by", by, tables)
    looked_at = [c for c, table in tables.items() if table == "customers" or c in AT_EXPOSURE]
    looked_at = [c for c in looked_at if len(data.vocabulary(c, tables[c])) <= MOST_WORDS]
    return trial._replace(
        weights=rules.weights,
        variants=tuple(words.index(word) if word in words else -1 for word in rules.weights),
        metrics=asked,
        window=max((one.window for one in asked), default=0),
        attributes=tuple((column, tables[column]) for column in dict.fromkeys([*looked_at, *filter(None, [by])])),
        by=by,
        groups=int(trial.steps[-1]) + 1 + (len(data.vocabulary(by, tables[by])) + 1 if by else 0),
    )


def _found(data: Data, experiment: str, least: int) -> Trial:
    """The variants of an experiment that occur, and the days on which they do."""
    there, gap = data.vocabulary("experiment_id", "exposures"), partial(MissingData, f"Experiment {experiment}")
    if experiment not in there:
        needs = f"experiment {experiment!r} in exposures; it has {', '.join(there)}" if there else "exposures"
        raise gap(needs, EXPORTS["exposures"][1])
    facts, words = data.store.manifest["tables"]["exposures"], data.vocabulary("variant", "exposures")
    first, last = (date.fromisoformat(shown(facts[end], data.zone)[:10]) for end in ("low", "high"))
    days = [str(first + timedelta(days=i)) for i in range((last - first).days + 2)]
    edges, codes = np.array([moment_of(day, data.zone) for day in days]), tuple(range(len(words)))
    trial = Trial(there.index(experiment), {}, codes, tuple(days[:-1]), edges, np.zeros(len(days) - 1, int))
    seen = run(data, count_exposed, asked=trial).exposed
    names = [words[code] for code in np.flatnonzero(seen.any(axis=0))]
    if len(names) < least:
        raise gap(f"exposures of it to {'a second' if names else 'any'} variant in the period", EXPORTS["exposures"][1])
    on = np.flatnonzero(seen.any(axis=1))
    days, steps = slice(on[0], on[-1] + 1), np.arange(on[-1] + 1 - on[0])
    return trial._replace(
        weights=dict.fromkeys(sorted(names, key=lambda word: (word.lower() != "control", word)), 1),
        days=trial.days[days],
        edges=edges[on[0] : on[-1] + 2],
        steps=steps // -(-len(steps) // STEPS),
    )
