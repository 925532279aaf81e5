"""Figures of the experiments room."""

from __future__ import annotations

import numpy as np

from toolkit.experiments.plan import FORTNIGHT
from toolkit.figures.marks import percent, short
from toolkit.figures.theme import SOFT, colour
from toolkit.shown import show_number


def draw_plan(result, ax) -> None:
    """The chance to see an effect by its size: with all planned customers, and with those of two weeks."""
    metric, locale, early = result.deciding, result.locale, result.reached()[FORTNIGHT - 1]
    planned = result.mde(metric, result.planned_n)
    sizes = planned * np.linspace(0.01, 2.5, 120)
    there = metric.baseline[0] * (1 + sizes)
    sizes = sizes[(there > 0) & (there < (1 if metric.kind == "share" else np.inf))]
    curves = [(result.planned_n, "all planned", "accent", "-"), (early, "two weeks", "control", "--")]
    for n, label, role, look in curves[: 1 + (0 < early < result.planned_n)]:
        label = f"{label}: {show_number(n, 'count', locale)} customers"
        ax.plot(sizes, [result.chance(metric, n, size) for size in sizes], look, color=colour(role), label=label)
    ax.plot(planned, result.each, "o", color=colour("accent"), markersize=8)
    ax.hlines(result.each, 0, planned, color=SOFT, linewidth=1, linestyle=":")
    ax.vlines(planned, 0, result.each, color=SOFT, linewidth=1, linestyle=":")
    verb = "rule out" if metric.role == "guardrail" else "see"
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    ax.set(xlabel=f"relative change of {short(metric.name)}", ylabel=f"chance to {verb} it", ylim=(0, 1.03))
    percent(ax, locale)
    percent(ax, locale, axis="y")
