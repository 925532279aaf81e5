"""Figures of the funnels room."""

from __future__ import annotations

import numpy as np

from toolkit.figures.marks import MOST_BARS, names_at, percent, whiskers
from toolkit.figures.theme import colour
from toolkit.shown import show_number


def draw_funnel(result, ax) -> None:
    """Steps as bars with intervals; with a breakdown, groups as points."""
    if result.by is not None:
        _groups(result, ax)
        return
    rows, locale = result.step_rows(), result.definition.locale
    at = np.arange(len(rows))[::-1]
    rates = np.array([row["of_entered_rate"] for row in rows])
    ax.barh(at, rates, color=colour("accent"), height=0.6, alpha=0.85)
    whiskers(ax, rows, "of_entered_rate", at, "#1c2430")
    for y, row in zip(at, rows, strict=True):
        text = (
            f"{show_number(row['of_entered_rate'], 'rate', locale)} · {show_number(row['n_matured'], 'count', locale)}"
        )
        end = np.fmax(row["of_entered_rate"], row["of_entered_rate_high"])  # the first step has no interval
        ax.text(np.nan_to_num(end) + 0.015, y, text, va="center")
    names_at(ax, at, [row["step"] for row in rows])
    ax.set(xlim=(0, 1.25), xticks=np.linspace(0, 1, 6), xlabel="share of customers who entered · customers")
    percent(ax, locale)
    ax.grid(axis="y", visible=False)


def _groups(result, ax) -> None:
    rows = [row for row in result.group_rows() if row["conversion_rate"] == row["conversion_rate"]][:MOST_BARS]
    locale, at = result.definition.locale, np.arange(len(rows))[::-1]
    overall = result.headline["conversion_rate"]
    ax.axvline(overall, color=colour("muted"), linewidth=1.5, zorder=1)
    clear = [row.get("p_adjusted", 1) < 0.05 for row in rows]
    shades = [colour("accent") if yes else colour("control") for yes in clear]
    ax.scatter([row["conversion_rate"] for row in rows], at, c=shades, s=52, zorder=3)
    for y, row, shade in zip(at, rows, shades, strict=True):
        ax.hlines(y, row["conversion_rate_low"], row["conversion_rate_high"], color=shade, linewidth=2)
        n = show_number(row["n_entered"], "count", locale)
        text, place = f"{show_number(row['conversion_rate'], 'rate', locale)} of {n}", (row["conversion_rate_high"], y)
        ax.annotate(text, place, xytext=(8, 0), textcoords="offset points", va="center")
    names_at(ax, at, [row[result.by] for row in rows])
    high = max((row["conversion_rate_high"] for row in rows), default=1)
    ax.set(
        xlim=(0, high * 1.35),
        ylim=(-0.6, max(len(rows) - 0.4, 0.6)),
        xlabel="conversion of matured entries; line: everyone",
    )
    percent(ax, locale)
    ax.grid(axis="y", visible=False)
