"""What one statistic says of each metric, and what the metrics together amount to: the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from toolkit.experiments.metrics import Metric
from toolkit.experiments.plan import Plan
from toolkit.results import Interval
from toolkit.stats.bayes import believe_lift, believe_shares
from toolkit.stats.effects import Effect, ShareEffect
from toolkit.stats.many import adjust
from toolkit.stats.power import Comparison
from toolkit.stats.scores import Z95
from toolkit.stats.sequential import always_valid_p, repeated_p

INVALID, WIN, LOSS, MIXED = "INVALID", "WIN", "LOSS", "MIXED"
NONE, EARLY = "NO EFFECT BIGGER THAN", "TOO EARLY"
FAMILIES = {"primary": "holm", "secondary": "bh"}
WORTH = 0.05  # relative difference that matters, where no plan says
FIRST = 100  # customers in each variant who did it, before which looking at any time tells nothing


class Regime(NamedTuple):
    """How often the outcome may be looked at, and so how sure one must be.

    Args:
        plan: the plan, this look counted; None = it is looked at once.
    """

    plan: Plan | None = None

    @property
    def level(self) -> float:
        """Of the intervals, 0–1."""
        return self.plan.rules.level if self.plan else 0.95

    @property
    def sequential(self) -> bool:
        """Whether several looks are planned, or any number."""
        return self.plan is not None and self.plan.rules.looks != 1 and bool(self.plan.taken)

    def crit(self, level: float) -> float | None:
        """The critical value of a sequential look; None = that of a single test."""
        return self.plan.crit(level) if self.sequential else None

    def p(self, z: float, level: float) -> float:
        """The p of a sequential look: below 1 − level exactly when |z| exceeds `crit(level)`."""
        fractions = np.array([*self.plan.taken.values()]) / self.plan.planned_n
        if math.isnan(z):
            return math.nan
        anytime = not self.plan.rules.looks
        return float(always_valid_p([z], fractions[-1], 1, level)[0] if anytime else repeated_p(z, fractions))


class Line(NamedTuple):
    """A metric of a variant against control.

    Args:
        metric: the metric.
        variant: the variant.
        effect: the statistic.
        p: two-sided, of no difference; of a guardrail one-sided, of being worse by its margin.
        p_adjusted: for all variants and metrics of its role; of a guardrail as it is.
        diff: the difference with its interval, of a guardrail at 2·level − 1.
        rel: the same relative to control.
        finding: better, worse or open; of a guardrail kept, worse or open.
    """

    metric: Metric
    variant: str
    effect: Effect | ShareEffect
    p: float
    p_adjusted: float
    diff: Interval
    rel: Interval
    finding: str = "open"

    @property
    def belief(self) -> tuple[float, float]:
        """Chance that the variant is better, and the relative loss to expect of choosing it where it is not."""
        effect, worse = self.effect, self.metric.sign < 0
        if math.isnan(self.rel.low) or not float(effect.control):
            return math.nan, math.nan
        if isinstance(effect, ShareEffect):
            counts = effect.control_count, effect.control_n, effect.treatment_count, effect.treatment_n
            believed, scale = believe_shares(*map(int, counts)), float(effect.control)
        else:
            low, high = map(float, effect.rel_interval())
            believed, scale = believe_lift(float(effect.rel), (high - low) / (2 * Z95)), 1.0
        chance, loss = (1 - believed.chance, believed.gain) if worse else (believed.chance, believed.loss)
        return chance, loss / scale


def line(metric: Metric, variant: str, effect: Effect | ShareEffect, regime: Regime) -> Line:
    """Asks one statistic of a metric for p and intervals, in the regime of the plan."""
    guards, null = metric.role == "guardrail", -metric.sign * metric.margin
    level = 2 * regime.level - 1 if guards else regime.level
    crit = regime.crit(level)
    at_null = {"margin": null} if guards and isinstance(effect, Effect) else {}
    diff = rel = math.nan, math.nan  # at a look so early that nothing may be spent
    if crit != math.inf:
        diff, rel = effect.interval(level, crit), effect.rel_interval(level, crit, **at_null)
    if guards:
        p = (effect.p_above if metric.sign > 0 else effect.p_below)(null)
        if regime.sequential:
            z = float(effect.statistic(null, rel=True)[0]) * metric.sign
            half = regime.p(z, level) / 2
            p = half if z > 0 else 1 - half
    else:
        p = regime.p(float(effect.z), level) if regime.sequential else effect.p
    limits = [Interval(*map(float, ends), level) for ends in (diff, rel)]
    return Line(metric, variant, effect, float(p), float(p), *limits)


def judged(lines: Sequence[Line], regime: Regime) -> tuple[Line, ...]:
    """The lines with p adjusted in each family, and what each found."""
    p = np.array([one.p for one in lines])
    for role, method in FAMILIES.items():
        mine = np.array([one.metric.role == role for one in lines], bool)
        p[mine] = adjust(p[mine], method).p
    return tuple(
        one._replace(p_adjusted=float(q), finding=_finding(one, q, regime)) for one, q in zip(lines, p, strict=True)
    )


def _finding(one: Line, p: float, regime: Regime) -> str:
    sign, sure = one.metric.sign, p < 1 - regime.level
    if one.metric.role == "guardrail":
        best = max(sign * one.diff.low, sign * one.diff.high)
        return "kept" if sure else "worse" if best < 0 else "open"
    return ("better" if sign * float(one.effect.diff) > 0 else "worse") if sure else "open"


class Verdict(NamedTuple):
    """What a variant's metrics amount to.

    Args:
        word: one of the six.
        lead: the line that decides, if any.
        bound: the largest relative difference (NaN: `wide`) that the interval leaves.
        n_more: customers of all variants still to come; 0 where none are needed, NaN where unknown.
        why: reasons, as sentences' parts.
    """

    word: str
    lead: Line | None = None
    bound: float = math.nan
    n_more: float = 0.0
    why: tuple[str, ...] = ()


def decide(lines: Sequence[Line], regime: Regime, n: float, weights: dict[str, float], valid: bool = True) -> Verdict:
    """The verdict on one variant.

    Args:
        lines: all metrics of the variant, judged.
        regime: how often it is looked at.
        n: customers of all variants whose outcome is known.
        weights: planned share of each variant.
        valid: whether no guard vetoes.
    """
    primary = [one for one in lines if one.metric.role == "primary"]
    if not valid or not primary:
        return Verdict(EARLY if valid else INVALID, *primary[:1], n_more=math.nan)
    good, bad = ([one for one in primary if one.finding == finding] for finding in ("better", "worse"))
    guards = [one for one in lines if one.metric.role == "guardrail"]
    hurt, unsure = ([one for one in guards if one.finding == finding] for finding in ("worse", "open"))
    lead, plan = (good + bad + primary)[0], regime.plan
    due = max(plan.planned_n - n, 0) if plan else math.nan
    if _too_soon(lead, regime, due):
        return Verdict(EARLY, lead, n_more=due or math.nan)
    why = tuple(f"{one.metric.name} is worse" for one in bad + hurt)
    why += tuple(f"{one.metric.name} may be worse by more than its margin" for one in unsure)
    if good or (hurt and not bad):
        return Verdict(MIXED if why else WIN, lead, why=why)
    if bad:
        return Verdict(LOSS, lead)
    bound = max(abs(lead.rel.low), abs(lead.rel.high))
    if bound <= (plan.mde_rel if plan else WORTH) or (plan and not due):
        return Verdict(NONE, lead, bound)
    return Verdict(EARLY, lead, bound, due if plan else _missing(lead, n, weights))


def _too_soon(lead: Line, regime: Regime, due: float) -> bool:
    """Whether the plan does not allow a verdict yet: before its only look, or before looking at any time tells."""
    if regime.plan is None or math.isnan(lead.p):
        return math.isnan(lead.p)
    if regime.plan.rules.looks == 1:
        return due > 0
    counts = (
        [lead.effect.control_count, lead.effect.treatment_count] if isinstance(lead.effect, ShareEffect) else [FIRST]
    )
    return not regime.plan.rules.looks and min(counts) < FIRST


def _missing(lead: Line, n: float, weights: dict[str, float]) -> float:
    """Customers still to come until a difference worth seeing would be seen, at the spread seen so far."""
    effect, share = lead.effect, isinstance(lead.effect, ShareEffect)
    value, sd = float(effect.control), 0.0 if share else float(np.sqrt(effect.var_c * effect.n_c))
    if not (0 < value < 1 if share else value > 0 and sd > 0):
        return math.nan
    control, *others = weights.values()
    asked = Comparison(mean=value, sd=sd, split=min(others) / control)
    return max(asked.n(WORTH * lead.metric.sign, 0.8) * sum(weights.values()) / control - n, 1.0)
