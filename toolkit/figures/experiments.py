"""Figures of the experiments room."""

from __future__ import annotations

import numpy as np

from toolkit.errors import MissingData
from toolkit.experiments.plan import FORTNIGHT
from toolkit.figures.marks import percent, short
from toolkit.figures.theme import SERIES, SOFT, colour
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


def draw_splitcheck(result, ax) -> None:
    """The share of customers in each variant but control as days go by, with its interval, beside the planned share."""
    rows, whole = result.by_day(), sum(result.trial.weights.values())
    if not rows:
        raise MissingData("The split by day", "variants with enough customers", "a longer time")
    planned = {name: weight / whole for name, weight in [*result.trial.weights.items()][1:]}
    for name, shade in zip(planned, SERIES, strict=False):
        mine = [row for row in rows if row["variant"] == name]
        days = np.array([row["day"] for row in mine], dtype="datetime64[D]")
        share, low, high = (np.array([row[f"variant_share{end}"] for row in mine]) for end in ("", "_low", "_high"))
        ax.fill_between(days, low, high, color=shade, alpha=0.2, linewidth=0)
        ax.plot(days, share, color=shade, label=f"{short(name)}, 99.9 % interval")
        ax.errorbar(days[-1:], share[-1:], [share[-1:] - low[-1:], high[-1:] - share[-1:]], color=shade, fmt="o")
        ax.axhline(planned[name], color=SOFT, linewidth=1.2, linestyle="--")
    ax.plot([], [], color=SOFT, linewidth=1.2, linestyle="--", label="planned")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    some = [row for row in rows if row["variant"] in planned and row["n_customers"] > rows[-1]["n_customers"] / 10]
    seen = [*planned.values(), *(row[f"variant_share_{end}"] for row in some for end in ("low", "high"))]
    pad, days = 0.04 * (max(seen) - min(seen)), np.array(result.trial.days, dtype="datetime64[D]")
    ax.set(ylim=(min(seen) - pad, max(seen) + pad), xlim=(days[0] - 1, days[-1] + 1))
    ax.set(xlabel="first exposed by", ylabel="share of customers")
    if len(days) < 8:
        ax.set_xticks(days, days.astype(str))
    ax.tick_params(axis="x", rotation=30)
    percent(ax, result.definition.locale, axis="y")


FOUND = {"better": ("good", "o"), "kept": ("good", "D"), "worse": ("warning", "s"), "open": ("control", "o")}


def draw_readout(result, ax) -> None:
    """The relative lift of every metric with its interval against 0; a guardrail's margin as a bar; grey: not valid."""
    lines = [one for one in result.lines if np.isfinite([*one.rel[:2], float(one.effect.rel)]).all()]
    if not lines:
        raise MissingData("The lifts", "a metric whose lift is known", "more customers in every variant")
    several, told = len(result.check.trial.weights) > 2, set()
    for y, one in enumerate(lines):
        role, marker = FOUND[one.finding]
        shade, rel = colour("muted" if result.invalid else role), float(one.effect.rel)
        label = "not valid" if result.invalid else one.finding
        ax.hlines(y, one.rel.low, one.rel.high, color=shade, linewidth=2.2)
        filled = "white" if one.finding == "open" else shade
        shown = None if label in told else label
        ax.plot(rel, y, marker, color=shade, markerfacecolor=filled, markersize=8, linestyle="", label=shown)
        told.add(label)
        if one.metric.role == "guardrail":
            margin = -one.metric.sign * one.metric.margin
            ax.plot(margin, y, "|", color=colour("warning"), markersize=22, markeredgewidth=2)
    ax.axvline(0, color=SOFT, linewidth=1.2)
    names = [
        f"{short(one.metric.name)}\n{f'{short(one.variant)}, ' if several else ''}{one.metric.role}" for one in lines
    ]
    ax.set_yticks(range(len(lines)), names)
    ax.set(ylim=(len(lines) - 0.4, -0.6), xlabel="change relative to control")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    percent(ax, result.definition.locale)
