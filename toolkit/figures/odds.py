"""The figure of what goes with converting: odds ratios with their intervals."""

from __future__ import annotations

import numpy as np

from toolkit.figures.marks import MOST_BARS, names_at
from toolkit.figures.theme import COLUMN, INK, SOFT, colour
from toolkit.funnels.associations import LESS, MORE
from toolkit.shown import show_number

WIDEST = 30  # an odds ratio beyond it, or below its inverse, stands at the edge
MARKS = {"raw": ("o", "white", SOFT), "like for like": ("o", SOFT, SOFT), "stands out": ("D", *[colour("accent")] * 2)}


def draw_associations(result, ax) -> None:
    """Odds ratios on a log axis: raw hollow, like for like filled; a diamond and a bold name where one stands out."""
    known = [row for row in result.rows() if row["odds_ratio"] == row["odds_ratio"]]
    rows = sorted(known, key=lambda row: (row["reading"] not in (MORE, LESS), -row["n_customers"]))[:MOST_BARS]
    rows, locale = sorted(rows, key=lambda row: row["odds_ratio"]), result.definition.locale
    ends = [abs(np.log(row[key])) for row in rows for key in ("odds_ratio", "raw_odds")]
    edge = min(WIDEST, 3 * np.exp(max(ends, default=0)))
    ax.get_figure().set_size_inches(COLUMN, 1.5 + 0.4 * max(len(rows), 3))
    ax.axvline(1, color=colour("muted"), linewidth=1.5, zorder=1)
    names_at(ax, np.arange(len(rows)), [row[result.by] for row in rows])
    beside = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 10}
    for y, (row, label) in enumerate(zip(rows, ax.get_yticklabels(), strict=True)):
        out = row["reading"] in (MORE, LESS)
        label.set(fontweight="bold" if out else "normal", color=INK if out else SOFT)
        for key, kind, at in (
            ("raw_odds", "raw", y + 0.17),
            ("odds_ratio", "stands out" if out else "like for like", y - 0.13),
        ):
            low, value, high = (np.clip(row[f"{key}{end}"], 1 / edge, edge) for end in ("_low", "", "_high"))
            mark, face, shade = MARKS[kind]
            ax.hlines(at, low, high, color=shade, linewidth=1.1 if kind == "raw" else 1.8)
            size = 26 if kind == "raw" else 40
            ax.scatter(value, at, marker=mark, facecolor=face, edgecolor=shade, s=size, zorder=3, clip_on=False)
        ax.text(1.02, y, show_number(row["n_customers"], "count", locale), **beside)
    ax.text(1.02, len(rows) - 0.25, "met by", color=SOFT, **beside)
    for kind, (mark, face, shade) in MARKS.items():
        ax.scatter([], [], marker=mark, facecolor=face, edgecolor=shade, label=kind)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, handletextpad=0.1)
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if 1 / edge < tick < edge]
    ax.set(xscale="log", xlim=(1 / edge, edge), ylim=(-0.6, len(rows) - 0.4))
    ax.set_xticks(ticks, [show_number(tick, "number", locale) for tick in ticks])
    ax.minorticks_off()
    label = "odds ratio, log scale; 1: met as often by those who convert as by others"
    some = f"\n{len(rows)} of {len(known)} {result.by}s: those that stand out, and the most met of the others"
    ax.set(xlabel=label + some * (len(rows) < len(known)))
    ax.grid(axis="y", visible=False)
