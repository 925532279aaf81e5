"""The read-out of an experiment: guards, then what the variants show, then what it amounts to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import ClassVar

import numpy as np

from toolkit.counts import Tally
from toolkit.errors import MissingData, UsageError
from toolkit.experiments import exposed as at
from toolkit.experiments.guards import VETO, WARN, SplitCheck, check_split
from toolkit.experiments.metrics import Metric, mean, ratio, said, share
from toolkit.experiments.plan import Plan, PlanRules, plan_experiment
from toolkit.experiments.verdict import (
    EARLY,
    INVALID,
    LOSS,
    MIXED,
    NONE,
    WIN,
    Line,
    Regime,
    Verdict,
    decide,
    judged,
    line,
)
from toolkit.journeys.coverage import EXPORTS
from toolkit.results import Definition, Result, safe_text
from toolkit.shown import show_interval, show_number
from toolkit.stats.arms import Sums, adjusted_effect, mean_effect, quantile_effect, ratio_effect
from toolkit.stats.bayes import CAUTION
from toolkit.stats.effects import Effect, ShareEffect
from toolkit.study.clock import DAY, shown
from toolkit.study.data import Data

RANK = WIN, MIXED, LOSS, NONE, EARLY, INVALID  # which variant is told first
KINDS = {"share": ("rate", "points")}  # how a value and a difference are shown
MONTH, YEAR = 30.4375, 364  # days
RARE = 0.3, 1e-8  # a relative lift, and a p, beyond which the recording is doubted (Twyman's law)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout(Result):
    """What an experiment shows, and whether one may believe it.

    Attributes:
        experiment: its id.
        check: what the guards saw, and what was counted.
        lines: each metric of each variant against control.
        plan: the plan with this look counted; None = it is looked at once.
        definition: the card.
    """

    experiment: str
    check: SplitCheck
    lines: tuple[Line, ...]
    plan: Plan | None
    definition: Definition

    columns: ClassVar = {"diff": "difference", "lift_rel": "lift", "p_adjusted": "p, adjusted"}
    aside: ClassVar = ("chance_to_win_rate", "expected_loss_rel")

    @property
    def invalid(self) -> bool:
        """Whether a guard vetoes the comparison."""
        return self.check.invalid

    @property
    def ledger(self) -> dict[str, int]:
        """Customers compared, too young, with several variants, with one not compared; together all."""
        return self.check.ledger

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each variant, the best first."""
        weights, n = self.check.trial.weights, self.ledger["shown"]
        found = {
            name: decide(
                [one for one in self.lines if one.variant == name], Regime(self.plan), n, weights, not self.invalid
            )
            for name in [*weights][1:]
        }
        return dict(sorted(found.items(), key=lambda one: RANK.index(one[1].word)))

    def rows(self) -> list[dict]:
        """One row per variant and metric: both values, difference and lift with intervals, p, what was found."""
        found = []
        for one in self.lines:
            value, diff = KINDS.get(one.metric.kind, ("number", "diff"))
            chance, loss = one.belief
            found.append(
                {
                    "variant": one.variant,
                    "metric": one.metric.name,
                    "role": one.metric.role,
                    "n_customers": _size(one.effect),
                    "control": float(one.effect.control),
                    "control_kind": value,
                    "with_variant": float(one.effect.treatment),
                    "with_variant_kind": value,
                    **_ends("diff", float(one.effect.diff), one.diff),
                    "diff_kind": diff,
                    **_ends("lift_rel", float(one.effect.rel), one.rel),
                    "p": one.p,
                    "p_adjusted": one.p_adjusted,
                    "finding": "not valid" if self.invalid else one.finding,
                    "chance_to_win_rate": chance,
                    "expected_loss_rel": loss,
                }
            )
        return found

    @property
    def headline(self) -> dict:
        """The lift of the metric that decides; unknown where the experiment is not valid."""
        verdict = next(iter(self.verdicts.values()))
        known = verdict.lead is not None and not self.invalid
        rel, ends = (float(verdict.lead.effect.rel), verdict.lead.rel) if known else (math.nan, (math.nan, math.nan))
        what = f"{verdict.word}: {verdict.lead.metric.name}" if verdict.lead else verdict.word
        return {"n_customers": self.ledger["shown"], **_ends("lift_rel", rel, ends), "what": what}

    def say(self) -> list[str]:
        """The verdict with its figures; what they mean a month; how often one may look."""
        (variant, verdict), *others = self.verdicts.items()
        if verdict.word == INVALID:
            why = next(guard.text for guard in self.check.guards.values() if guard.verdict == VETO)
            return [
                f"{safe_text(self.experiment)}: INVALID. {why}",
                "What the variants show is kept in grey and must not be used.",
            ]
        rest = [f"{safe_text(name)}: {self._word(other)}" for name, other in others]
        told = [self._headline(variant, verdict), self._meaning(verdict), self._regime(verdict)]
        return [*filter(None, told[:2]), " ".join(filter(None, [told[2], f"{'; '.join(rest)}." if rest else ""]))]

    def paragraph(self) -> str:
        """All of it in one paragraph, to paste."""
        return " ".join(self.say())

    def _repr_html_(self) -> str:
        quiet = replace(self, definition=replace(self.definition, notes=()))
        notes = "".join(f'<p class="guard">{escape(safe_text(note, 600))}</p>' for note in self.definition.notes)
        grey = ' style="opacity:.5"' if self.invalid else ""
        word = escape(safe_text(f"{self.experiment}: {self._word(next(iter(self.verdicts.values())))}", 600))
        shown = Result._repr_html_(quiet)
        return f'<p class="verdict"><strong>{word}</strong></p>{notes}<div{grey}>{shown}</div>'

    def _show(self, value: float, kind: str = "count") -> str:
        return show_number(float(value), kind, self.definition.locale)

    def _word(self, verdict: Verdict) -> str:
        if verdict.word == NONE:
            lead, diff = verdict.lead, KINDS.get(verdict.lead.metric.kind, ("", "diff"))[1]
            known = not math.isnan(verdict.bound)
            wide = verdict.bound if known else max(abs(lead.diff.low), abs(lead.diff.high))
            return f"{NONE} {self._show(wide, 'rel' if known else diff).lstrip('+')}"
        if verdict.word != EARLY or math.isnan(verdict.n_more):
            return verdict.word
        days = math.ceil(verdict.n_more / self._per_day)
        when = f"{self._show(days)} days" if days <= YEAR else "more than a year"
        return f"{EARLY} ({self._show(math.ceil(verdict.n_more))} more customers, {when} at this traffic)"

    def _headline(self, variant: str, verdict: Verdict) -> str:
        lead, between = verdict.lead, partial(show_interval, locale=self.definition.locale)
        word, control = f"{safe_text(self.experiment)}: {self._word(verdict)}", next(iter(self.check.trial.weights))
        if lead is None or math.isnan(lead.p):
            reason = str(lead.effect.reason) if lead else ""
            return f"{word}. {reason or 'Too few customers in a variant to show anything.'}"
        value, diff = KINDS.get(lead.metric.kind, ("number", "diff"))
        there, here = (self._show(v, value) for v in (lead.effect.treatment, lead.effect.control))
        level = f"{self._show(lead.diff.level, 'rate').replace('.0', '').replace(',0', '')} interval"
        p = f"p {'' if lead.p_adjusted < 0.001 else '= '}{self._show(lead.p_adjusted, 'p')}"
        p += ", adjusted" if lead.p_adjusted != lead.p else ""
        told = (
            f"{word}. In {safe_text(variant)} {safe_text(lead.metric.name)} is {there} against {here} in "
            f"{safe_text(control)}, a difference of {self._show(lead.effect.diff, diff)} "
            f"({level} {between(float(lead.effect.diff), lead.diff, diff)}; {p})"
        )
        if not math.isnan(rel := float(lead.effect.rel)):
            told += f", relative to control {self._show(rel, 'rel')} ({between(rel, lead.rel, 'rel')})"
        return f"{told}{'; but ' * bool(verdict.why)}{' and '.join(map(safe_text, verdict.why))}."

    def _meaning(self, verdict: Verdict) -> str:
        """The interval of the metric that decides, as so many a month at this traffic."""
        lead, month = verdict.lead, MONTH * self._per_day
        if lead is None or lead.metric.kind not in ("share", "mean") or not np.isfinite(lead.diff).all():
            return ""
        low, high = (
            self._show(round(end * month, 0 if abs(end * month) >= 10 else 1), "diff") for end in lead.diff[:2]
        )
        what = f"{'customers with ' * (lead.metric.kind == 'share')}{safe_text(said(lead.metric.what))}"
        where = f"{safe_text(lead.variant)} instead of {safe_text(next(iter(self.check.trial.weights)))}"
        return f"With all {self._show(month)} customers a month in {where}, that is {low} to {high} {what} a month."

    def _regime(self, verdict: Verdict) -> str:
        plan, n = self.plan, self._show(self.ledger["shown"])
        told = f"{n} customers; this holds if it is looked at once: no plan was given."
        if plan is not None:
            planned = f"{n} of {self._show(plan.planned_n)} planned customers"
            spent = f"{self._show(plan.spent, 'number')} of {self._show(1 - plan.rules.level, 'number')} spent"
            looks = {0: "it may be looked at at any time", 1: "the plan has one look, at the end"}
            how = looks.get(plan.rules.looks, f"look {len(plan.taken)} of {plan.rules.looks}, {spent}")
            told = f"{planned}; {how}."
            if Regime(plan).sequential and verdict.word in (WIN, LOSS, MIXED) and self.ledger["shown"] < plan.planned_n:
                told += " Stopped early, the difference is likely smaller than it looks."
        lead = verdict.lead
        if verdict.word in (WIN, LOSS, MIXED) and (abs(float(lead.effect.rel)) > RARE[0] or lead.p < RARE[1]):
            told += " So large a lift is rare: check how it is recorded."
        return told

    @property
    def _per_day(self) -> float:
        return max(float(self.check.counts.exposed.sum()), 1.0) / len(self.check.trial.days)


def readout(
    data: Data,
    experiment: str,
    *,
    plan: Plan | None = None,
    metrics: Metric | Iterable[Metric] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Readout:
    """What an experiment shows: guards first, then every metric of every variant against control, then the verdict.

    Args:
        data: the study; `between` sets the period of the first exposure.
        experiment: its id in `exposures`.
        plan: the plan, which names metrics, variants and looks; this look is counted as of the last day observed. Left
            out, it is taken to be looked at once.
        metrics: by what it is judged, where there is no plan. Left out: the share of customers who purchase, and as
            secondary revenue per customer and per order.
        weights: planned share of each variant, control first, where there is no plan; left out, equal shares.

    Returns:
        One row per variant and metric. Where a guard vetoes, the verdict is INVALID and the estimates are greyed.

    Raises:
        MissingData: the study has no such experiment, or nothing to judge it by.
        UsageError: metrics or weights beside a plan, which names them.

    Method:
        One statistic a metric (`stats.effects`). Primary metrics × variants by Holm, secondary by Benjamini and
        Hochberg, each guardrail one-sided at its margin; printed intervals are each for itself. With looks planned
        or at any time, the critical value of the plan.

    Example:
        >>> import toolkit as tk
        >>> shop = tk.open_data(tk.make_data(3_000, rng=1))
        >>> readout(shop, "new-checkout").say()[0][:22]
        'new-checkout: INVALID.'
    """
    if plan is not None and (metrics is not None or weights is not None):
        raise UsageError("The plan names metrics and weights; leave them out, or plan a new experiment.")
    if not data.vocabulary("experiment_id", "exposures"):
        raise MissingData(f"Experiment {experiment}", "exposures", EXPORTS["exposures"][1])
    if plan is None and metrics is None:
        metrics = usual_metrics(data)
    check = check_split(data, experiment, plan or weights, metrics=metrics or ())
    if plan is not None and check.ledger["shown"]:
        plan = plan.look(shown(data.observed_until, data.zone)[:10], check.ledger["shown"])
    regime, trial = Regime(plan), check.trial
    lines = [
        line(asked.metric, name, effect, regime)
        for arm, name in enumerate(trial.weights)
        for m, asked in enumerate(trial.metrics)
        if arm
        and min(check.counts.exposed.sum(axis=0)[[0, arm]]) >= data.small_cells
        and _shown(effect := effect_of(check, m, arm), data.small_cells)
    ]
    card = _card(data, experiment, check, regime)
    return Readout(experiment=experiment, check=check, lines=judged(lines, regime), plan=plan, definition=card)


def _shown(effect: Effect | ShareEffect, least: int) -> bool:
    return _size(effect, min) >= max(least, 1)


def _size(effect: Effect | ShareEffect, of=sum) -> int:
    share_ = isinstance(effect, ShareEffect)
    return int(of((effect.control_n, effect.treatment_n) if share_ else (effect.n_c, effect.n_t)))


def _ends(name: str, value: float, ends) -> dict[str, float]:
    return {name: value, f"{name}_low": ends[0], f"{name}_high": ends[1]}


def effect_of(check: SplitCheck, m: int, arm: int) -> Effect | ShareEffect:
    """The statistic of a metric: a variant against control, with its covariate where it has one.

    Args:
        check: what was counted.
        m: place of the metric.
        arm: place of the variant.
    """
    trial, metric = check.trial, check.trial.metrics[m].metric
    if metric.kind == "quantile":
        groups = [m * len(trial.variants) + place for place in (0, arm)]
        found = quantile_effect(*(_tally(check.counts.values, group) for group in groups), metric.q)
        fields = (getattr(found, name) for name in Effect.__slots__)
        return Effect(*(field[0] if np.ndim(field) else field for field in fields))
    held = check.counts.sums(trial)[: trial.steps[-1] + 1]
    sums = Sums(*(part.sum(axis=0)[m] for part in (held.n, held.total, held.cross)))
    arms = sums[0], sums[arm]
    if metric.covariate:
        places = (at.VALUE, at.PER, at.BEFORE, at.PER_BEFORE) if metric.kind == "ratio" else (at.VALUE, at.BEFORE)
        return adjusted_effect(*(one.pick(*places) for one in arms), ratio=metric.kind == "ratio")
    if metric.kind == "share":
        (x_c, n_c), (x_t, n_t) = ((one.total[at.VALUE], one.n) for one in arms)
        return ShareEffect(x_c, n_c, x_t, n_t)
    return (ratio_effect if metric.kind == "ratio" else mean_effect)(*arms)


def _tally(tally: Tally, group: int) -> Tally:
    mine = tally.groups == group
    return Tally(np.zeros(mine.sum(), np.int64), tally.values[mine], tally.counts[mine], tally.exact)


def usual_metrics(data: Data) -> list[Metric]:
    """What most shops judge by: the share who purchase; as secondary, revenue per customer and per order.

    Raises:
        MissingData: the study has no purchases.

    Example:
        >>> import toolkit as tk
        >>> [metric.name for metric in usual_metrics(tk.open_data(tk.make_data(50, rng=1)))]
        ['purchase', 'revenue per customer', 'revenue per order']
    """
    goals = data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint"))
    if not goals:
        needs = "touchpoint that the catalogue knows as purchase"
        raise MissingData("The read-out", needs, "orders, or metrics you name")
    found = [share(goals)]
    if "revenue" in data.store.manifest["kinds"].get("orders", {}) and len(data.vocabulary("currency", "orders")) <= 1:
        found += [mean("revenue", covariate="before").secondary(), ratio("revenue", "orders").secondary()]
    return found


def plan_next(data: Data, *, mde_rel: float = 0.1, rules: PlanRules | None = None) -> Plan:
    """How many customers the next experiment needs, judged by what most shops judge by (`usual_metrics`).

    Args:
        data: the study, whose period (left out: the last eight weeks) tells baselines and traffic.
        mde_rel: the relative difference in the share who purchase that must not be missed, > 0.
        rules: variants, looks, window, exposure.

    Raises:
        MissingData: there is nothing to plan from.

    Example:
        >>> import toolkit as tk
        >>> plan_next(tk.open_data(tk.make_data(2_000, rng=1))).deciding.name
        'purchase'
    """
    try:
        return plan_experiment(usual_metrics(data), data, mde_rel=mde_rel, rules=rules)
    except UsageError:
        needs = "purchases of enough customers in the period"
        raise MissingData("A plan for the next experiment", needs, "a longer time") from None


def _card(data: Data, experiment: str, check: SplitCheck, regime: Regime) -> Definition:
    rules = "one statistic a metric; primary by Holm, secondary by Benjamini and Hochberg; "
    rules += "guardrails one-sided at their margin, their intervals two-sided at twice that; "
    rules += "critical value of the plan's looks" if regime.sequential else "a single look"
    fired = [f"{name}: {guard.text}" for name, guard in check.guards.items() if guard.verdict in (VETO, WARN)]
    return data.definition(
        f"Read-out of {experiment}",
        unit="customer",
        population=check.definition.population,
        window=f"{show_number(check.trial.window / DAY, 'days', data.locale)} from the exposure, the same for all",
        denominator="customers of the variant, watched for the whole window",
        rules=f"{rules}; chance to win in to_frame(), a second opinion. {CAUTION}",
        notes=tuple(fired),
    )
