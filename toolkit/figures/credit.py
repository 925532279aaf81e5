"""Figures of the credit room."""

from __future__ import annotations

import numpy as np

from toolkit.credit.result import RULES
from toolkit.figures.marks import MOST_BARS, names_at, percent, short
from toolkit.figures.theme import SERIES, SOFT, STEP, colour
from toolkit.shown import show_interval, show_number

SHAPES = "<>os^Dv"  # one for each rule
SPREAD = 0.74  # of a row's height that its rules take


def draw_attribution(result, ax) -> None:
    """A bar from the least to the most credit across rules, and in it each rule's mark with its interval."""
    every, locale = result.rows(), result.definition.locale
    rows = [row for row in every if not row[result.by].startswith("(")][:MOST_BARS] or every
    apart = [short(row[result.by]) for row in every if row not in rows and row[result.by].startswith("(")]
    at, n = np.arange(len(rows))[::-1], max(result.conversions, 1)
    ax.get_figure().set_size_inches(STEP, 1.4 + 0.5 * max(len(rows), 2))
    low, high = (np.array([row[key] for row in rows]) for key in ("least_share", "most_share"))
    ax.barh(at, high - low, left=low, height=0.86, color=colour("muted"), alpha=0.45, zorder=1)
    for k, rule in enumerate(RULES):
        y = at + SPREAD * (0.5 - k / (len(RULES) - 1))
        value, *ends = (np.array([row[f"n_{rule}{end}"] for row in rows]) / n for end in ("", "_low", "_high"))
        ax.hlines(y, *ends, color=SERIES[k], linewidth=1.1, zorder=2)
        ax.scatter(value, y, color=SERIES[k], marker=SHAPES[k], s=20, zorder=3, label=rule)
    names_at(ax, at, [row[result.by] for row in rows])
    edge = max(max((row[f"n_{rule}_high"] for row in rows for rule in RULES), default=n) / n, 0.01)
    for y, row in zip(at, rows, strict=True):
        beside = "\n".join([*_cost(result, row, locale), *_lift(row, locale)])
        ax.text(edge * 1.05, y, beside, va="center", fontsize=9.5, linespacing=1.25)
    if result.costs:
        ax.text(edge * 1.05, len(rows) - 0.42, "cost per conversion", va="center", fontsize=9.5, color=SOFT)
    ax.set(xlim=(-edge / 80, edge * (1.36 if result.costs or result.holdouts else 1.05)), ylim=(-0.6, len(rows) - 0.25))
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= edge])
    label = "share of all conversions credited; bar: least to most of the rules"
    ax.set(xlabel=f"{label}; not drawn: {', '.join(apart)}" if apart else label)
    percent(ax, locale)
    ax.legend(loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=len(RULES), handletextpad=0.1, columnspacing=0.9)
    ax.grid(axis="y", visible=False)


def _cost(result, row: dict, locale: str) -> list[str]:
    """What a credited conversion costs, from the rule that credits most to the one that credits least."""
    lines, n = [], result.conversions
    for (name, currency), cost in result.costs.items():
        if name == row[result.by] and row["most_share"] > 0:
            ends = [cost / share / n if share > 0 else np.inf for share in (row["most_share"], row["least_share"])]
            between = show_interval(ends[0], ends, "money" if ends[0] < 10 else "count", locale)
            lines.append(f"{between} {short(currency)}")
    return lines


def _lift(row: dict, locale: str) -> list[str]:
    if np.isnan(diff := row.get("rate_diff", np.nan)):
        return []
    band = show_interval(diff, (row["rate_diff_low"], row["rate_diff_high"]), "points", locale)
    return ["holdout's lift:", f"{show_number(diff, 'points', locale)} ({band})"]
