"""Guards of an experiment: what speaks against its comparison, asked before any result is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan
from typing import ClassVar, NamedTuple

import numpy as np

from toolkit.experiments import exposed as at
from toolkit.experiments.exposed import ExposedCounts, Trial, counted, trial_of
from toolkit.experiments.metrics import Metric
from toolkit.experiments.plan import Plan
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.arms import SKEW_RULE, Sums, mean_effect, ratio_effect, skewness
from toolkit.stats.effects import Effect, ShareEffect
from toolkit.stats.many import adjust
from toolkit.stats.shares import wilson
from toolkit.stats.split import FLAG, sequential_srm, srm_p
from toolkit.study.clock import DAY
from toolkit.study.data import Data

VETO, WARN, UNCLEAR, OK = VERDICTS = "veto", "warn", "cannot tell", "ok"  # the worst first
NOTICED = 0.01  # a p worth a warning
SKEWED = {True: (at.VALUE, at.PER, at.SQUARE, at.PER_SQUARE), False: (at.VALUE, at.SQUARE)}  # by whether it is a ratio
LISTED = 3  # days or groups named in a sentence


class Guard(NamedTuple):
    """What a guard saw: verdict, sentence, how many it is about, and p, adjusted where there are many."""

    verdict: str
    text: str
    n: int
    p: float = nan


class Seen(NamedTuple):
    """An experiment as its guards see it.

    Args:
        data: the study.
        trial: what was asked.
        counts: what was counted.
        sums: by step × metric × variant.
    """

    data: Data
    trial: Trial
    counts: ExposedCounts
    sums: Sums

    @property
    def weights(self) -> list[float]:
        """Planned shares of the variants."""
        return [weight / sum(self.trial.weights.values()) for weight in self.trial.weights.values()]

    def said(self, value: float, kind: str = "count") -> str:
        """A number as people read it; small groups are not told."""
        few = kind == "count" and 0 < value < self.data.small_cells
        return f"under {self.data.small_cells}" if few else show_number(float(value), kind, self.data.locale)

    def each(self, values: Iterable[float], kind: str = "count") -> str:
        """A number of each variant."""
        return ", ".join(f"{name} {self.said(v, kind)}" for name, v in zip(self.trial.weights, values, strict=True))

    def metrics(self, steps: slice = slice(None)) -> list[tuple[Metric, Sums]]:
        """Each metric with its sums by variant over some steps."""
        parts = [held[steps].sum(axis=0) for held in (self.sums.n, self.sums.total, self.sums.cross)]
        return [(asked.metric, Sums(*(part[m] for part in parts))) for m, asked in enumerate(self.trial.metrics)]

    def least(self, p: list) -> tuple[int, int, float] | None:
        """Metric, variant (the first after control is 0) and adjusted value of the least p; None: unknown."""
        p = adjust(np.stack(np.broadcast_arrays(*p)).reshape(len(p), -1)).p
        if np.isnan(p).all():
            return None
        m, arm = np.unravel_index(np.nanargmin(p), p.shape)
        return int(m), int(arm), float(p[m, arm])


def compared(metric: Metric, sums: Sums, value: int = at.VALUE, per: int = at.PER) -> Effect | ShareEffect:
    """The other variants against the first, in the variables of a metric at some places.

    Args:
        metric: it tells how.
        sums: of its variables by variant.
        value: place of what is compared.
        per: place of what stands below the line of a ratio.
    """
    control, treatment = sums[:1], sums[1:]
    if metric.kind == "share":
        return ShareEffect(control.total[:, value], control.n, treatment.total[:, value], treatment.n)
    if metric.kind == "ratio":
        return ratio_effect(control.pick(value, per), treatment.pick(value, per))
    return mean_effect(control.pick(value), treatment.pick(value))


def split(seen: Seen) -> Guard:
    """Sample ratio mismatch: the variants hold other shares of the customers than planned."""
    observed = seen.counts.exposed.sum(axis=0)
    p = float(srm_p(observed, seen.weights))
    text = f"Customers: {seen.each(observed)}; planned {seen.each(seen.weights, 'rate')}."
    why = " The variants are not assigned, recorded or filtered alike." if p < FLAG else ""
    return Guard(VETO if why else WARN if p < NOTICED else OK, text + why, int(observed.sum()), p)


def split_at_any_time(seen: Seen) -> Guard:
    """The same, right however often it is looked at."""
    p = sequential_srm(seen.counts.exposed, seen.weights)
    off = p < FLAG
    text = (
        f"Off since {seen.trial.days[np.argmax(off)]}." if off.any() else "Not off, with a look every day allowed for."
    )
    return Guard(VETO if off.any() else OK, text, int(seen.counts.exposed.sum()), float(p[-1]))


def split_by_day(seen: Seen) -> Guard:
    """The days on which the split is off."""
    return _off(seen, seen.counts.exposed, seen.trial.days)


def split_by_group(seen: Seen) -> Guard:
    """The groups of customers in which the split is off."""
    words = [(column, seen.data.vocabulary(column, table)) for column, table in seen.trial.attributes]
    return _off(seen, seen.counts.words, [f"{c} {word}" for c, some in words for word in (*some, "(unknown)")])


def _off(seen: Seen, observed: np.ndarray, names) -> Guard:
    p, broken = srm_p(observed, seen.weights), split(seen).verdict == VETO
    p = adjust(np.where(observed.sum(axis=1) < seen.data.small_cells, nan, p)).p
    off = np.argsort(p, kind="stable")[: (p < (0.05 if broken else FLAG)).sum()]
    told = [f"{names[i]} ({seen.each(observed[i] / observed[i].sum(), 'rate')})" for i in off[:LISTED]]
    more = f" and {len(off) - LISTED} more" * (len(off) > LISTED)
    text = f"Off most in {'; '.join(told)}{more}." if told else "It stands out nowhere."
    verdict = OK if not told else VETO if broken else WARN
    return Guard(verdict, text, int(seen.counts.exposed.sum()), float(p[~np.isnan(p)].min(initial=1)))


def contract(seen: Seen) -> dict[str, Guard]:
    """What the data must keep to: who is left out, how many they are, and whether that is too many."""
    counts, store, n = seen.counts, seen.data.store.manifest, int(seen.counts.exposed.sum())
    came, short = store["input_rows"]["exposures"], seen.said(seen.trial.window / DAY, "days")
    lost = came - store["tables"]["exposures"]["rows"]
    found = [
        ("several variants", VETO, 0.01, counts.mixed, n + counts.mixed, "customers had several variants; left out"),
        ("other variants", WARN, 0, counts.other, n + counts.other, "customers had a variant not compared; left out"),
        ("duplicates", WARN, 0.01, counts.repeated, counts.rows, "exposures repeat another; a customer counts once"),
        ("missing values", WARN, 0.01, lost, came, "exposures lack a customer, variant or moment; left out"),
        ("without events", WARN, 0.5, counts.silent, n, "customers have no event or order; they count as 0"),
        ("young exposures", WARN, 0.5, counts.young, n, f"customers were watched for less than {short}; left out"),
    ]
    return {
        name: Guard(verdict if few > limit * of else OK, f"{seen.said(few)} of {seen.said(of)} {text}.", few)
        for name, verdict, limit, few, of, text in found[: None if seen.trial.metrics else -1]
    }


def weekdays(seen: Seen) -> Guard:
    """Whether the days of the week weigh alike."""
    days = int((seen.trial.edges[1:] <= seen.data.observed_until - seen.trial.window).sum())
    weeks, over = divmod(days, 7)
    text = f"The exposures that count run over {weeks} weeks and {over} days."
    return Guard(WARN if not weeks or (over and weeks < 4) else OK, text, days)


def exposure_after_outcome(seen: Seen) -> Guard:
    """Exposures that are recorded after the outcome."""
    from scipy.stats import binomtest

    near = seen.counts.near.tolist()
    if not (
        least := seen.least([binomtest(b, a + b, alternative="greater").pvalue if a + b else nan for b, a in near])
    ):
        return Guard(UNCLEAR, "Nobody had an outcome within half an hour of the exposure.", 0)
    (m, _, p), name = least, seen.trial.metrics[least[0]].metric.name
    before, after = (seen.said(n) for n in near[m])
    text = f"{name}: {before} customers in the half hour before the exposure, {after} in that after it."
    return Guard(WARN if p < FLAG else OK, text, near[m][0], p)


def balance_before(seen: Seen) -> Guard:
    """What the variants did before the exposure, when they were alike."""
    found = [(metric, compared(metric, sums, at.BEFORE, at.PER_BEFORE)) for metric, sums in seen.metrics()]
    if not (least := seen.least([effect.p for _, effect in found])):
        return Guard(UNCLEAR, "There is nothing to compare before the exposure.", 0)
    p, (metric, effect) = least[-1], found[least[0]]
    values = seen.each([effect.control[0], *effect.treatment], "rate" if metric.kind == "share" else "number")
    text = f"{metric.name}, in as much time before the exposure: {values}."
    return Guard(VETO if p < FLAG else OK, text, int(seen.sums.n[:, 0].sum()), p)


def novelty(seen: Seen) -> Guard:
    """Whether the lift of customers exposed late is another than that of those exposed early."""
    middle = (seen.trial.steps[-1] + 1) // 2
    halves = [[compared(*one) for one in seen.metrics(steps)] for steps in (slice(middle), slice(middle, None))]
    p = [Effect(a.diff, b.diff, 2, 2, a.se**2, b.se**2, np.inf, np.inf).p for a, b in zip(*halves, strict=True)]
    return _halves(seen, halves, p, "exposed in the first half of the time and in the second")


def fading(seen: Seen) -> Guard:
    """Whether what is won soon after the exposure is lost again later."""
    rest = np.eye(at.ONE)
    rest[at.EARLY, [at.VALUE, at.EARLY]] = 1, -1
    later = [(one, Sums(sums.n, sums.total @ rest.T, rest @ sums.cross @ rest.T)) for one, sums in seen.metrics()]
    halves = [[compared(*one, at.EARLY) for one in both] for both in (seen.metrics(), later)]
    p = [np.maximum(a.p, b.p) ** (a.diff * b.diff < 0) for a, b in zip(*halves, strict=True)]  # p ** False = 1
    return _halves(seen, halves, p, "in the first half of the window and in the second")


def _halves(seen: Seen, halves: list[list], p: list, when: str) -> Guard:
    if not (least := seen.least(p)):
        return Guard(UNCLEAR, f"The lift {when} cannot be told.", 0)
    (m, arm, p), metric = least, seen.trial.metrics[least[0]].metric
    lifts = [seen.said(half[m].diff[arm], "points" if metric.kind == "share" else "diff") for half in halves]
    text = f"Lift of {metric.name} {when}: {lifts[0]}, {lifts[1]}."
    return Guard(WARN if p < NOTICED else OK, text, int(seen.sums.n[:, 0].sum()), p)


def outliers(seen: Seen) -> Guard:
    """Whether few customers hold so much of a sum that its mean cannot be judged."""
    amounts = [(m, metric, sums) for m, (metric, sums) in enumerate(seen.metrics()) if metric.kind != "share"]
    skew = [skewness(sums.pick(*SKEWED[one.kind == "ratio"]), one.kind == "ratio") for _, one, sums in amounts]
    needs = [SKEW_RULE * one**2 / sums.n for one, (_, _, sums) in zip(skew, amounts, strict=True)]
    if np.isnan(needs).all():
        return Guard(UNCLEAR, "There is no amount that varies.", 0)
    worst, arm = np.unravel_index(np.nanargmax(needs), np.shape(needs))
    (m, metric, sums), tally, most = amounts[worst], seen.counts.values, max(seen.data.small_cells, 1)
    mine = [tally.groups == m * len(sums.n) + i for i in range(len(sums.n))]
    top = seen.each([_held(tally.values[group], tally.counts[group], most) for group in mine], "rate")
    n, needed = seen.said(sums.n[arm]), seen.said(needs[worst][arm] * sums.n[arm])
    text = f"Share of {metric.name} that the top {most} hold: {top}. To judge it takes {needed} a variant; here {n}."
    return Guard(WARN if needs[worst][arm] > 1 else OK, text, int(sums.n[arm]))


def _held(values: np.ndarray, counts: np.ndarray, most: int) -> float:
    """The share of a sum that the topmost customers hold."""
    above = np.cumsum(counts[::-1])[::-1] - counts
    return float((values * np.clip(most - above, 0, counts)).sum() / ((values * counts).sum() or nan))


def few_conversions(seen: Seen) -> Guard:
    """Whether a share is of too few customers who did it."""
    shares = [(metric, compared(metric, sums)) for metric, sums in seen.metrics() if metric.kind == "share"]
    if not shares:
        return Guard(UNCLEAR, "No share is compared.", 0)
    metric, effect = min(shares, key=lambda one: min(*one[1].control_count, *one[1].treatment_count))
    did = [*effect.control_count, *effect.treatment_count]
    return Guard(WARN if effect.few.any() else OK, f"{metric.name}: {seen.each(did)} customers.", int(sum(did)))


ALWAYS = split, split_at_any_time, split_by_day, split_by_group, weekdays
OF_METRICS = exposure_after_outcome, balance_before, novelty, fading, outliers, few_conversions


def find_guards(data: Data, trial: Trial, counts: ExposedCounts) -> dict[str, Guard]:
    """What every guard of an experiment saw, the worst first; those of outcomes only where there are metrics.

    Args:
        data: the study.
        trial: what was asked (`trial_of`).
        counts: what was counted (`counted`).
    """
    seen = Seen(data, trial, counts, counts.sums(trial)[: trial.steps[-1] + 1])
    asked = ALWAYS + OF_METRICS if trial.metrics else ALWAYS
    found = {guard.__name__.replace("_", " "): guard(seen) for guard in asked} | contract(seen)
    return dict(sorted(found.items(), key=lambda one: VERDICTS.index(one[1].verdict)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCheck(Result):
    """Whether the variants of an experiment can be compared.

    Attributes:
        trial: what was asked.
        counts: what was counted.
        guards: what each guard saw, the worst first.
        small_cells: smaller groups are not shown.
        definition: the card.
    """

    trial: Trial
    counts: ExposedCounts
    guards: Mapping[str, Guard]
    small_cells: int
    definition: Definition

    columns: ClassVar = {"text": "what it saw"}

    def rows(self) -> list[dict]:
        """One row per guard, the worst first: verdict, what it saw, how many it is about, p."""
        return [{"guard": name} | guard._asdict() for name, guard in self.guards.items()]

    @property
    def invalid(self) -> bool:
        """Whether a guard vetoes the comparison."""
        return any(guard.verdict == VETO for guard in self.guards.values())

    @property
    def ledger(self) -> dict[str, int]:
        """Customers compared, too young, with several variants, with one not compared; together all."""
        counts, exposed = self.counts, int(self.counts.exposed.sum())
        left = {"pending": counts.young, "excluded": counts.mixed, "other": counts.other}
        return {"shown": exposed - counts.young, **left, "all": exposed + counts.mixed + counts.other}

    def by_day(self) -> list[dict]:
        """One row per day and variant: customers so far, the share in the variant, and its interval at 0.999."""
        counts = np.cumsum(self.counts.exposed, axis=0)
        n = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
        columns = {"n_customers": n, "variant_share": counts / n}
        columns |= dict(zip(("variant_share_low", "variant_share_high"), wilson(counts, n, 1 - FLAG), strict=True))
        return [
            {"day": self.trial.days[i], "variant": name} | {key: held[i, arm].item() for key, held in columns.items()}
            for i in np.flatnonzero(n[:, 0] >= self.small_cells)
            for arm, name in enumerate(self.trial.weights)
        ]

    def say(self) -> list[str]:
        """The verdict, and what the guards that fired saw."""
        fired = [f"{name}: {guard.text}" for name, guard in self.guards.items() if guard.verdict in (VETO, WARN)]
        verdict = "INVALID: the variants cannot be compared" if self.invalid else "No guard vetoes the comparison"
        return [f"{verdict}.", *(fired or [self.guards["split"].text])[:2]]


def check_split(
    data: Data,
    experiment: str,
    planned: Plan | Mapping[str, float] | None = None,
    *,
    metrics: Metric | Iterable[Metric] = (),
) -> SplitCheck:
    """Whether the variants of an experiment can be compared: what is asked before its result.

    Args:
        data: the study; `between` sets the period of the first exposure.
        experiment: its id in `exposures`.
        planned: a plan; or the planned share of each variant in any unit, control first. Left out, equal shares of all
            variants that occur.
        metrics: by what it will be judged, to ask about outcomes too; left out, the plan's.

    Returns:
        One row per guard. A veto: they cannot be compared. Bad news is a result, never an error.

    Raises:
        MissingData: the study has no such experiment, or no second variant.

    Method:
        Chi-square of the split at 0.001 (Kohavi, Tang and Xu 2020, ch. 21), at any time by Lindon and Malek 2022
        (arXiv:2011.03567); by day and by group with Holm's adjustment.

    Example:
        >>> import toolkit as tk
        >>> shop = tk.open_data(tk.make_data(3_000, rng=1))
        >>> tk.check_split(shop, "new-checkout", {"control": 1, "treatment": 1}).say()[0]
        'INVALID: the variants cannot be compared.'
    """
    counts, trial = counted(data, trial_of(data, experiment, planned, metrics=metrics))
    guards = find_guards(data, trial, counts)
    card = data.definition(
        f"Guards of {experiment}",
        unit="customer",
        population="customers first exposed in the period, with one variant, a planned one",
        window=f"{show_number(trial.window / DAY, 'days', data.locale)} from the exposure" if trial.window else "",
        denominator="customers exposed",
        rules="no event counts as 0; device and channel of the event nearest to the exposure, in half an hour",
        notes=tuple(f"{name}: {guard.text}" for name, guard in guards.items() if guard.verdict == VETO),
    )
    return SplitCheck(trial=trial, counts=counts, guards=guards, small_cells=data.small_cells, definition=card)
