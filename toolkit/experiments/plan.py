"""The plan of an experiment: metrics, customers and looks, fixed before the first look and carried along as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from toolkit.errors import UsageError
from toolkit.experiments.metrics import Metric, What, said
from toolkit.experiments.traffic import measured
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.checks import outside, whole
from toolkit.stats.power import Comparison
from toolkit.stats.sequential import always_valid_crit, always_valid_p, inflation, obf_boundaries, repeated_p, spend
from toolkit.study.clock import duration, moment_of, zone
from toolkit.study.data import Data

BEFORE = 1e-9  # customers before the first look
FORTNIGHT, RHYTHM, HORIZON = 14, 28, 364  # days: of the early view, whose mean continues the arrivals, looked ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """What can be chosen when an experiment is planned.

    Attributes:
        weights: planned share of each variant in any unit, control first.
        looks: how many looks at the outcome are planned, such as one a week; 0 = at any time.
        level: 0–1; guardrails are tested one-sidedly at it.
        window: time each customer is given from the exposure on.
        exposed: touchpoint (or step) at which customers would meet the variant; "" = any event.
        per_day: new customers a day, where there is no data to tell; 0 = unknown.
        clusters: by how much whole clusters raise the customers needed (`stats.power.design_effect`).

    Example:
        >>> PlanRules(weights={"control": 9, "new": 1}, looks=4).window
        '14d'
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {"control": 1, "treatment": 1})
    looks: int = 1
    level: float = 0.95
    window: str = "14d"
    exposed: What = ""
    per_day: float = 0.0
    clusters: float = 1.0

    def __post_init__(self) -> None:
        if len(self.weights) < 2 or not all(weight > 0 for weight in self.weights.values()):
            raise UsageError(f"weights are {dict(self.weights)}; give two variants or more, each a share above 0.")
        whole("looks", self.looks), outside(self.level), duration(self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Result):
    """A plan; made by `plan_experiment`, carried along by `to_json` and `from_json`.

    Attributes:
        metrics: what the experiment is judged by, with their baselines.
        mde_rel: relative difference that a primary metric must show.
        power: chance that it does, and that all guardrails pass, 0–1.
        rules: variants, looks, window, traffic.
        planned_n: customers of all variants together.
        arrivals: new customers day by day.
        taken: looks so far: day, ISO → customers.
        sealed: the settings at the first look.
        locale: how numbers are shown.

    Example:
        >>> from toolkit.experiments.metrics import share
        >>> plan = plan_experiment(share("purchase"), [0.031], mde_rel=0.1, rules=PlanRules(looks=4))
        >>> plan = Plan.from_json(plan.look("2026-03-08", 20_000).to_json())
        >>> round(plan.crit(), 2), plan.look("2026-03-08", 20_000) == plan
        (5.0, True)
    """

    metrics: tuple[Metric, ...]
    mde_rel: float
    power: float
    rules: PlanRules
    planned_n: int = 0
    arrivals: Sequence[float] = ()
    taken: Mapping[str, int] = field(default_factory=dict)
    sealed: Mapping | None = None
    locale: str = "en"

    columns: ClassVar = {"mde_rel": "effect", "n_total": "customers", "two_weeks_rel": "effect seen in two weeks"}

    def __post_init__(self) -> None:
        was, now = (dict(_leaves(settings)) for settings in (self.sealed or self.settings, self.settings))
        changed = [f"{k} was {was.get(k)!r}, is {now.get(k)!r}" for k in was | now if was.get(k) != now.get(k)]
        if changed:
            first = f"The plan was changed after its first look, on {min(self.taken)}"
            raise UsageError(f"{first}: {'; '.join(changed)}. Put it back, or plan a new experiment.")

    @property
    def settings(self) -> dict:
        """What must not change after the first look, as JSON has it."""
        fixed = {"mde_rel": self.mde_rel, "power": self.power, "planned_n": self.planned_n} | asdict(self.rules)
        metrics = {f"metric {i} {metric.name}": asdict(metric) for i, metric in enumerate(self.metrics, start=1)}
        return json.loads(json.dumps(metrics | fixed))

    def to_json(self) -> str:
        """The plan as text, for a file or a notebook's parameters."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote; a UsageError where it was changed after its first look."""
        held = json.loads(text)
        metrics = tuple(Metric(**metric) for metric in held["metrics"])
        return cls(**held | {"metrics": metrics, "rules": PlanRules(**held["rules"])})

    def look(self, as_of: str, n: int) -> Plan:
        """The plan with one more look at the outcome; to look again as of the same day spends nothing.

        Args:
            as_of: the day up to which is looked, ISO.
            n: customers of all variants whose outcome is known.
        """
        moment_of(day := as_of[:10], zone("UTC"))
        if day in self.taken or not whole("n", n):
            return self
        if day < max(self.taken, default=""):
            raise UsageError(f"as_of is {day}, before the last look on {max(self.taken)}; looks go forward only.")
        return replace(self, taken={**self.taken, day: int(n)}, sealed=self.sealed or self.settings)

    def crit(self, level: float | None = None) -> float:
        """The critical value of |z| at the last look; `level`: another than the plan's."""
        level = level or self.rules.level
        if self.rules.looks:
            return float(obf_boundaries(self._fractions, level)[-1])
        return float(always_valid_crit(self._fractions[-1], 1, level))

    def p(self, z: float) -> float:
        """The p of the last look: below 1 − level exactly when |z| exceeds `crit()`."""
        if self.rules.looks:
            return repeated_p(z, self._fractions)
        return float(always_valid_p([z], self._fractions[-1], 1, self.rules.level)[0])

    @property
    def spent(self) -> float:
        """How much of 1 − level the looks so far have spent; NaN where one may look at any time."""
        return float(spend(self._fractions.max(), self.rules.level)) if self.rules.looks else math.nan

    @property
    def each(self) -> float:
        """The power that each metric is given, so that a primary one and all guardrails pass together."""
        return 1 - (1 - self.power) / (self._count("guardrail") + bool(self._count("primary")))

    @property
    def times(self) -> float:
        """Customers of all variants per customer of control."""
        return sum(self.rules.weights.values()) / next(iter(self.rules.weights.values()))

    def comparison(self, metric: Metric) -> Comparison:
        """A metric's comparison of control with the smallest of the other variants."""
        (control, *others), level = self.rules.weights.values(), self.rules.level
        (value, sd, correlation), guards = [*metric.baseline, 0, 0][:3], metric.role == "guardrail"
        if metric.role == "primary":
            level = 1 - (1 - level) / (len(others) * self._count("primary"))
        looked = inflation(self.rules.looks, 2 * level - 1 if guards else level, self.each)
        factor, null = (1 - correlation**2) * self.rules.clusters * looked, -metric.sign * metric.margin * guards
        return Comparison(mean=value, sd=sd, split=min(others) / control, level=level, null=null, factor=factor)

    def need(self, metric: Metric) -> float:
        """Customers of all variants that a metric needs; a secondary one takes what there is."""
        if metric.role == "secondary":
            return self.planned_n
        rel = 0 if metric.role == "guardrail" else metric.sign * self.mde_rel
        return self.comparison(metric).n(rel, self.each) * self.times

    def mde(self, metric: Metric, n: float) -> float:
        """The smallest relative effect that n customers of all variants show; of a guardrail, that they rule out."""
        return self.comparison(metric).mde(n / self.times, self.each, metric.sign)

    def chance(self, metric: Metric, n: float, rel: float) -> float:
        """The chance that n customers of all variants show a relative effect; of a guardrail, that they rule it out."""
        asked = self.comparison(metric)
        return (replace(asked, null=rel) if asked.null else asked).power(n / self.times, 0 if asked.null else rel)

    @property
    def deciding(self) -> Metric:
        """The metric that needs most customers."""
        return max((metric for metric in self.metrics if metric.role != "secondary"), key=self.need)

    def reached(self) -> np.ndarray:
        """Customers exposed by the end of each day from the start, for a year more; 0 where no traffic is known."""
        return np.cumsum([*self.arrivals, *[np.mean(self.arrivals[-RHYTHM:] or [0])] * HORIZON])

    @property
    def weeks(self) -> float:
        """Whole weeks (weekdays differ) until the planned customers are exposed; NaN where unknown."""
        days = np.searchsorted(reached := self.reached(), self.planned_n) + 1
        return math.ceil(days / 7) if days <= len(reached) else math.nan

    def rows(self) -> list[dict]:
        """One row per metric: role, value without the variant, effect planned for, customers needed for it."""
        return [
            {
                "metric": metric.name,
                "role": metric.role,
                "baseline": metric.baseline[0],
                "baseline_kind": "rate" if metric.kind == "share" else "number",
                "mde_rel": self.mde(metric, self.need(metric)),
                "n_total": math.ceil(self.need(metric)),
                "two_weeks_rel": self.mde(metric, self.reached()[FORTNIGHT - 1]),
            }
            for metric in self.metrics
        ]

    def say(self) -> list[str]:
        """Customers and time needed, and what two weeks would show; or where the looks stand."""
        show, weights = partial(show_number, locale=self.locale), self.rules.weights
        row = self.rows()[self.metrics.index(self.deciding)]
        parts = [f"{show(self.planned_n * w / sum(weights.values()), 'count')} {name}" for name, w in weights.items()]
        told = [
            f"To {'rule out' if row['role'] == 'guardrail' else 'see'} a change of {show(row['mde_rel'], 'rel')} in "
            f"{row['metric']}, now {show(row['baseline'], row['baseline_kind'])}, takes "
            f"{show(self.planned_n, 'count')} customers: {', '.join(parts)}."
        ]
        if self.taken:
            (day, n), looks = max(self.taken.items()), f" of {self.rules.looks}" if self.rules.looks else ""
            now = f"Look {len(self.taken)}{looks}, as of {day}, at {show(n, 'count')} customers: |z| must exceed"
            spent = f"; {show(self.spent)} of {1 - self.rules.level:g} is spent" if self.rules.looks else ""
            return [*told, f"{now} {show(self.crit())}{spent}."]
        if not any(self.arrivals):
            return told
        weeks = f"{show(self.weeks, 'count')} weeks, the last outcome {self.rules.window} later"
        weeks = "more than a year; plan for a larger effect" if math.isnan(self.weeks) else weeks
        early = f"Two weeks would show a change of {show(row['two_weeks_rel'], 'rel')}, nothing smaller."
        return [*told, f"At the usual traffic that takes {weeks}.", early]

    @property
    def definition(self) -> Definition:
        """The card."""
        looks = f"looks planned: {self.rules.looks} (Lan and DeMets)" if self.rules.looks else "looked at at any time"
        who = f"customers from their first {said(self.rules.exposed) or 'event'} on"
        rules = f"level {self.rules.level:g} and power {self.power:g}, shared by the metrics; {looks}"
        card = {
            "unit": "customer",
            "population": who,
            "window": f"{self.rules.window} from the exposure",
            "rules": rules,
        }
        return Definition(measure="Plan", locale=self.locale, **card)

    @property
    def _fractions(self) -> np.ndarray:
        return np.array([*self.taken.values()] or [BEFORE]) / self.planned_n

    def _count(self, role: str) -> int:
        return sum(metric.role == role for metric in self.metrics)


def plan_experiment(metrics, baseline, *, mde_rel=0.05, power=0.8, rules: PlanRules | None = None) -> Plan:
    """How many customers an experiment needs, how long that takes, and what it could see sooner.

    Args:
        metrics: what it is judged by; guardrails need customers too, secondary metrics take what there is.
        baseline: the study, whose period (left out: the last eight weeks) tells baselines and traffic; or numbers: of a
            share its rate, of others (value, standard deviation between customers, correlation with the covariate);
            with several metrics one after the other.
        mde_rel: the relative difference that must not be missed, > 0.
        power: chance to see it if it is there, 0–1.
        rules: variants, looks, window, exposure, traffic.

    Returns:
        The plan: one row per metric.

    Raises:
        UsageError: numbers from which nothing can be planned; a metric that the study cannot measure.

    Method:
        The guardrails, and the primary metrics together, share the missing power (Schultzberg, Ankargren and Frånberg
        2024, arXiv:2402.11609); primary metrics and variants share 1 − level (Bonferroni).

    Example:
        >>> from toolkit.experiments.metrics import share
        >>> plan_experiment(share("purchase"), 0.031, mde_rel=0.1).planned_n
        102876
    """
    rules, metrics = rules or PlanRules(), [metrics] if isinstance(metrics, Metric) else list(metrics)
    if isinstance(baseline, Data):
        metrics, arrivals = measured(baseline, metrics, rules.exposed, rules.window)
    else:
        arrivals, each = [rules.per_day] * (rules.per_day > 0), [baseline] if len(metrics) == 1 else baseline
        given = [np.ravel(values).tolist() for values in each]
        metrics = [replace(metric, baseline=values) for metric, values in zip(metrics, given, strict=True)]
    if odd := [m.name for m in metrics if m.kind != "share" and not any(m.baseline[1:2])]:
        raise UsageError(
            f"{' and '.join(odd)}: only a share is planned from one number; give (value, standard deviation)."
        )
    locale = baseline.locale if isinstance(baseline, Data) else "en"
    plan = Plan(metrics=tuple(metrics), mde_rel=mde_rel, power=power, rules=rules, arrivals=arrivals, locale=locale)
    need = np.max([plan.need(metric) for metric in metrics])
    if not need > 0:
        raise UsageError(f"No number of customers shows {mde_rel!r} with power {power!r}, or no metric decides.")
    return replace(plan, planned_n=math.ceil(need))


def _leaves(held: object, path: str = "") -> Iterator[tuple[str, object]]:
    """What a nested mapping holds, by path."""
    if not isinstance(held, Mapping):
        yield path, held
        return
    for key, value in held.items():
        yield from _leaves(value, f"{path} {key}".strip())
