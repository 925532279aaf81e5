"""Figures of the maps room: pitfalls, consistency between channels."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap

import numpy as np

from toolkit.figures.marks import percent, short
from toolkit.figures.theme import COLUMN, INK, STEP, colour
from toolkit.pitfall.findings import CANNOT_TELL, NOT_SEEN, PLAIN, SEEN
from toolkit.shown import safe_text, show_interval, show_number

VERDICTS = {SEEN: ("warning", "D", True), CANNOT_TELL: ("control", "s", False), NOT_SEEN: ("good", "o", False)}
FARTHEST = 9.5  # limits; what lies beyond is cut, and an arrow says so
MOST_LINES = 20


def draw_pitfalls(result, ax) -> None:
    """A scorecard: each pitfall's verdict and figure in words, and its interval against the limit."""
    rows, locale = result.rows(), result.definition.locale
    canvas = ax.get_figure()
    canvas.set_size_inches(STEP, 0.9 + 0.72 * len(rows))
    canvas.set_layout_engine("none")  # the words stand left of the axes, where a layout engine would make room
    ax.set_position([0.62, 0.09, 0.35, 0.89])
    ax.axvspan(1, FARTHEST, color=colour("warning"), alpha=0.07, linewidth=0)
    ax.axvline(1, color=colour("warning"), linewidth=1.2)
    across = ax.get_yaxis_transform()
    for y, row in zip(range(len(rows))[::-1], rows, strict=True):
        role, mark, filled = VERDICTS[row["verdict"]]
        shade = colour(role)
        look = {"s": 58, "marker": mark, "linewidths": 1.8, "edgecolors": shade, "zorder": 3, "clip_on": False}
        face = shade if filled else "white"
        ax.scatter([-1.72], [y + 0.13], transform=across, color=face, **look)
        ax.text(-1.66, y + 0.13, row["verdict"], transform=across, va="center", color=shade, weight="bold")
        ax.text(-1.31, y + 0.13, row["pitfall"], transform=across, va="center", color=INK, weight="bold")
        ax.text(-1.31, y - 0.03, _words(row, locale), transform=across, va="top", fontsize=9.2)
        if row["value"] == row["value"]:
            value, *ends = (row[key] / row["limit"] for key in ("value", "value_low", "value_high"))
            low, high = np.clip(sorted(ends), -PLAIN, FARTHEST)
            ax.hlines(y, low, high, color=shade, linewidth=2)
            ax.scatter([np.clip(value, -PLAIN, FARTHEST)], [y], color=face, **look)
            if max(ends) > FARTHEST:
                ax.scatter([FARTHEST], [y], marker=">", color=shade, s=40, clip_on=False)
    ax.set(xlim=(-PLAIN, FARTHEST), ylim=(-0.7, len(rows) - 0.4), xticks=[0, 1, 2, 4, 6, 8], yticks=[])
    ax.set_xlabel("times the limit beyond which it matters")
    ax.spines["left"].set_visible(False)


def _words(row: dict, locale: str) -> str:
    """The figure in words, or what would bring it, on a few lines."""
    text = f"needs {safe_text(row['would tell'], 110)}"
    if row["value"] == row["value"]:
        kind, ends = row["value_kind"], (row["value_low"], row["value_high"])
        value, band = show_number(row["value"], kind, locale), show_interval(row["value"], ends, kind, locale)
        text = f"{safe_text(row['figure'], 100)}: " + f"{value} ({band})".replace(" ", "\u00a0")
    return "\n".join(wrap(text.replace("$", r"\$"), 60, break_on_hyphens=False)[:3])


def draw_consistency(result, ax) -> None:
    """Each channel against the others as a dot with interval, by measure; filled where it differs beyond chance."""
    rows = sorted(result.rows()[:MOST_LINES], key=lambda row: list(result.compared()).index(row["measure"]))
    locale, at, y = result.definition.locale, {}, 0.0
    for measure, some in groupby(rows, key=lambda row: row["measure"]):
        ax.text(-0.02, y, measure, transform=ax.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for row in sorted(some, key=lambda row: -row["gap_share_diff"]):
            y -= 1
            at[y] = row["channel"]
            low, high = row["gap_share_diff_low"], row["gap_share_diff_high"]
            clear = row["p_adjusted"] < 0.05 and (low > 0 or high < 0)
            shade = colour("accent" if clear else "control")
            ax.hlines(y, low, high, color=shade, linewidth=2)
            ax.scatter(
                [row["gap_share_diff"]], [y], s=46, zorder=3, color=shade if clear else "white", edgecolors=shade
            )
            share, n = show_number(row["mean_share"], "rate", locale), show_number(row["n"], "count", locale)
            ax.text(1.02, y, f"{share} · {n}", transform=ax.get_yaxis_transform(), va="center")
        y -= 1.6
    ax.get_figure().set_size_inches(COLUMN, 1.2 + 0.27 * -y)
    ax.axvline(0, color=colour("muted"), linewidth=1.5, zorder=1)
    ax.text(1.02, 0, "mean · n", transform=ax.get_yaxis_transform(), va="center", weight="bold")
    ax.set_yticks(list(at), [short(name) for name in at.values()])
    against = short(result.against) if result.against else "the other channels"
    ax.set(ylim=(y + 1, 0.8), xlabel=f"difference from {against}, like with like (%-points of the scale)")
    percent(ax, locale)
    ax.grid(axis="y", visible=False)
