"""Metrics: what an experiment is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.errors import UsageError, one_of, raise_all
from toolkit.study.clock import duration

CHOICES = {"role": ("primary", "secondary", "guardrail"), "direction": ("higher", "lower"), "covariate": ("", "before")}

What = str | Sequence[str] | Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What an experiment is judged by; made by `share`, `mean`, `ratio` and `quantile`.

    Attributes:
        kind: share, mean, ratio or quantile.
        what: what is counted or added up of each customer, from the exposure on.
        per: what a ratio is divided by.
        q: which quantile, 0–1.
        within: time from the exposure, such as "7d"; "" = the plan's window.
        covariate: "before" = the same of the same customer, in as much time before the exposure; "" = none.
        winsorise: quantile of the values above 0, pooled over the variants, at which larger ones are cut, such as
            0.999; 1 = none.
        role: primary, secondary or guardrail.
        direction: which is better, higher or lower.
        margin: by how much a guardrail may get worse, relative, 0–1.
        baseline: what a plan expects of control: its value; the standard deviation between customers (of a quantile: √n
            times its standard error), 0 for a share; the correlation with the covariate.

    Example:
        >>> metric = mean("support email").lower_is_better().guardrail(margin=0.02)
        >>> metric.name, metric.role, metric.direction
        ('support email per customer', 'guardrail', 'lower')
    """

    kind: str
    what: What
    per: What = ""
    q: float = 0.5
    within: str = ""
    covariate: str = ""
    winsorise: float = 1.0
    role: str = "primary"
    direction: str = "higher"
    margin: float = 0.01
    baseline: Sequence[float] = ()

    def __post_init__(self) -> None:
        asked = [(name, getattr(self, name), options) for name, options in CHOICES.items()]
        problems = [one_of(name, value, options).problems[0] for name, value, options in asked if value not in options]
        limits = {"q": 0 < self.q < 1, "winsorise": 0.5 < self.winsorise <= 1, "margin": 0 < self.margin < 1}
        problems += [
            f"{name} is {getattr(self, name)!r}; give a share, 0–1." for name, good in limits.items() if not good
        ]
        raise_all(UsageError, problems)
        _ = self.within and duration(self.within)

    @property
    def name(self) -> str:
        """How it is shown."""
        end = {"share": "", "mean": " per customer", "ratio": f" per {said(self.per).removesuffix('s')}"}
        return said(self.what) + end.get(self.kind, f" per customer, {self.q:g} quantile")

    @property
    def sign(self) -> int:
        """1 where higher is better, −1 where lower is."""
        return 1 if self.direction == "higher" else -1

    def secondary(self) -> Metric:
        """The same, looked at but not decided by."""
        return replace(self, role="secondary")

    def guardrail(self, margin: float = 0.01) -> Metric:
        """The same as what must not get worse by more than a relative margin, such as 0.01."""
        return replace(self, role="guardrail", margin=margin)

    def lower_is_better(self) -> Metric:
        """The same where less is better, such as complaints."""
        return replace(self, direction="lower")


def share(goal: What, **settings) -> Metric:
    """The share of customers who reach a goal.

    Args:
        goal: a touchpoint, several (any will do), or a step as `funnel` takes it; or "orders" and others as in `mean`.
        **settings: within, covariate (see `Metric`).

    Example:
        >>> share("purchase", within="7d").name
        'purchase'
    """
    return Metric(kind="share", what=goal, **settings)


def mean(what: What, **settings) -> Metric:
    """A mean per customer; customers without any count as 0.

    Args:
        what: "orders", "sessions", "revenue" or another column of orders or events that can be added up; or touchpoints
            or a step, which are counted. Where there are several currencies: "revenue DKK".
        **settings: within, covariate, winsorise (see `Metric`).

    Example:
        >>> mean("revenue", covariate="before").name
        'revenue per customer'
    """
    return Metric(kind="mean", what=what, **settings)


def ratio(top: What, bottom: What, **settings) -> Metric:
    """A ratio of two sums over customers, such as revenue per order.

    Args:
        top: as in `mean`.
        bottom: what it is divided by, as in `mean`.
        **settings: within, covariate (see `Metric`).

    Example:
        >>> ratio("revenue", "orders").name
        'revenue per order'
    """
    return Metric(kind="ratio", what=top, per=bottom, **settings)


def quantile(what: What, q: float = 0.5, **settings) -> Metric:
    """A quantile over customers.

    Args:
        what: as in `mean`.
        q: share of customers below it, 0–1.
        **settings: within (see `Metric`).

    Example:
        >>> quantile("load_ms", 0.9).name
        'load_ms per customer, 0.9 quantile'
    """
    return Metric(kind="quantile", what=what, q=q, **settings)


def said(what: What) -> str:
    """What is counted, in words.

    Example:
        >>> said({"touchpoint": ["cart", "checkout"], "device": "mobile"})
        'cart / checkout · device mobile'
    """
    if isinstance(what, Mapping):
        return " · ".join(
            said(value) if name == "touchpoint" else f"{name} {said(value)}" for name, value in what.items()
        )
    return " / ".join(what) if isinstance(what, list | tuple) else str(what)
