"""What the data so far say of an experiment to come: customers a day, and what they do without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from toolkit.counts import Additive, by_bucket
from toolkit.errors import UsageError
from toolkit.experiments.amounts import NEVER, Asked, variables
from toolkit.experiments.metrics import Metric, What
from toolkit.journeys.coverage import need_events
from toolkit.journeys.steps import Step, matches, steps_of
from toolkit.stats.arms import Sums
from toolkit.study.clock import DAY, moment_of, shown
from toolkit.study.data import EVER, Data
from toolkit.study.engine import run
from toolkit.study.table import Part

SPAN = 56  # days of arrivals before the last outcome that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficCounts(Additive):
    """Customers who would have been exposed.

    Attributes:
        arrivals: int64, by the day of their first exposure.
        sums: of the metrics' variables, by bucket, over those watched for the whole window since.
    """

    arrivals: np.ndarray
    sums: Sums


def count_traffic(part: Part, *, exposed: Step | None, asked: Sequence[Asked], days: np.ndarray) -> TrafficCounts:
    """Counts customers as if everyone had been exposed the first time in the days given (UTC µs, ascending)."""
    table = part.table
    met = (table.time >= days[0]) & (table.time < days[-1]) & part.known[table.customer]
    rows = np.flatnonzero(met & matches(part, exposed) if exposed else met)
    rows = rows[np.diff(table.customer[rows], prepend=-1) != 0]
    since = np.full(len(part), NEVER)
    since[table.customer[rows]] = table.time[rows]
    ripe = since <= part.observed_until - max(a.window for a in asked)
    bucket, values = part.bucket[ripe], np.column_stack([variables(part, a, since) for a in asked])[ripe].T
    sums = [by_bucket(bucket, weights)[:, 0] for weights in (np.ones(len(bucket)), *values)]
    cross = [[by_bucket(bucket, a * b)[:, 0] for b in values] for a in values]
    all_ = Sums(sums[0], np.stack(sums[1:], axis=-1), np.moveaxis(cross, -1, 0))
    return TrafficCounts(arrivals=np.histogram(table.time[rows], days)[0], sums=all_)


def measured(data: Data, metrics: list[Metric], exposed: What, window: str) -> tuple[list[Metric], list[int]]:
    """The metrics with their baselines, and new customers day by day, from the period or the last eight weeks.

    Args:
        data: the study.
        metrics: shares, means and ratios.
        exposed: the touchpoint or step of the exposure; "" = any event.
        window: time from the exposure for metrics without one of their own.

    Raises:
        UsageError: a metric that cannot be measured beforehand.
    """
    need_events(data, "Traffic")
    asked = tuple(Asked.of(data, metric, window) for metric in metrics)
    longest, (low, high) = max(a.window for a in asked), data.view.period
    begin = data.observed_until - longest - SPAN * DAY if low == EVER[0] else low
    begin = max(begin, data.store.manifest["tables"]["events"]["low"])
    first, last = (date.fromisoformat(shown(at, data.zone)[:10]) for at in (begin - 1, min(high, data.observed_until)))
    days = [moment_of(str(first + timedelta(days=i)), data.zone) for i in range(1, (last - first).days + 1)]
    if len(days) < 2:
        raise UsageError("The period has no whole day to plan from; choose a longer one, or give numbers.")
    step = steps_of(data, [exposed])[0] if exposed else None
    counts = run(data, count_traffic, exposed=step, asked=asked, days=np.array(days))
    all_ = Sums(*(held.sum(axis=0) for held in (counts.sums.n, counts.sums.total, counts.sums.cross)))
    ends = np.cumsum([a.width for a in asked])
    sums = [all_.pick(*range(end - a.width, end)) for a, end in zip(asked, ends, strict=True)]
    return [_with_baseline(*one) for one in zip(metrics, sums, strict=True)], counts.arrivals.tolist()


def _with_baseline(metric: Metric, sums: Sums) -> Metric:
    if metric.kind == "quantile":
        raise UsageError(f"{metric.name}: a quantile is planned from numbers only; give the baseline as (value, sd).")
    if not sums.n > 1 or not sums.total[0] > 0:
        n = f"{sums.n:,.0f} customers were watched for the whole window"
        raise UsageError(f"{metric.name} cannot be planned from this data: {n}, and its sum is {sums.total[0]:g}.")
    means, values = sums.total / sums.n, 1 + (metric.kind == "ratio")
    spread = (sums.cross / sums.n - np.outer(means, means)) * sums.n / (sums.n - 1)
    per = means[1] if values == 2 else 1.0
    pull = np.array([1.0, -means[0] / per][:values]) / per  # a ratio is planned by its linearised values
    variance, along = pull @ spread[:values, :values] @ pull, spread[values:, :values] @ pull
    explained = along @ np.linalg.pinv(spread[values:, values:]) @ along / (variance or 1.0)
    sd = 0.0 if metric.kind == "share" else np.sqrt(variance)
    return replace(metric, baseline=[float(means[0] / per), float(sd), float(np.sqrt(explained))])
