"""Figures of where customers meet us: the touchpoint map, and the use of several channels."""

from __future__ import annotations

import numpy as np

from toolkit.figures.marks import percent, short
from toolkit.figures.theme import INK, LINE, SOFT, STEP, colour
from toolkit.journeys.touchpoints import NOT_PLACED
from toolkit.places.omnichannel import MOST
from toolkit.shown import show_number

LARGEST = 190  # square points of the mark of a touchpoint that everybody meets
LINE_HEIGHT = 0.235  # inches
NO_KIND = "not placed"
KINDS = {
    "digital": ("o", "accent"),
    "physical": ("s", "control"),
    "both": ("D", "good"),
    NO_KIND: ("X", "muted"),
}
NO_CHANNEL = "(no channel)"


def draw_touchpointmap(result, ax) -> None:
    """Touchpoints by stage and main channel; the larger the mark, the more customers met it."""
    channel = {row["touchpoint"]: row["channel"] or NO_CHANNEL for row in result.inventory.rows()}
    rows = result.rows()
    met = {row["stage"] for row in rows}
    stages = [stage for stage in result.stages if stage in met] + [NOT_PLACED] * (NOT_PLACED in met)
    reach: dict[str, int] = {}
    for row in rows:
        reach[channel[row["touchpoint"]]] = reach.get(channel[row["touchpoint"]], 0) + row["n_customers"]
    channels = sorted(reach, key=lambda name: -reach[name])
    cells = {
        (c, s): [row for row in rows if (channel[row["touchpoint"]], row["stage"]) == (c, s)]
        for c in channels
        for s in stages
    }
    tall = [max(len(cells[c, s]) for s in stages) for c in channels]
    tops = np.append(0, np.cumsum([lines + 0.5 for lines in tall]))
    ax.get_figure().set_size_inches(max(STEP, 1.2 + 1.42 * len(stages)), 0.9 + LINE_HEIGHT * tops[-1])
    for i, name in enumerate(channels):
        if i:
            ax.axhline(tops[i], color=LINE, linewidth=0.8)
        for j, stage in enumerate(stages):
            for k, row in enumerate(cells[name, stage]):
                _touchpoint(ax, j, tops[i] + k + 0.75, row)
    ax.set(xlim=(-0.12, len(stages)), ylim=(tops[-1], 0))
    ax.set_xticks(np.arange(len(stages)) + 0.3, [short(stage) for stage in stages])
    ax.set_yticks((tops[:-1] + tops[1:]) / 2, [short(name) for name in channels])
    ax.xaxis.tick_top()
    for kind in sorted({row["kind"] or NO_KIND for row in rows}):
        look, shade = KINDS[kind]
        ax.scatter([], [], s=46, marker=look, color=colour(shade), label=kind)
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=4, title="size: share of customers who met it")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def _touchpoint(ax, x: float, y: float, row: dict) -> None:
    """One touchpoint: its mark tells the kind by colour and shape, the reach by size."""
    look, shade = KINDS[row["kind"] or NO_KIND]
    ax.scatter(x, y, s=12 + LARGEST * row["reach_share"], marker=look, color=colour(shade), alpha=0.85, clip_on=False)
    text = short(row["touchpoint"]) if len(row["touchpoint"]) < 20 else f"{short(row['touchpoint'])[:18]}…"
    ax.annotate(text, (x, y), xytext=(10, 0), textcoords="offset points", va="center", fontsize=8.6, color=INK)


def draw_omnichannel(result, ax) -> None:
    """Customers by the number of channels they used."""
    rows, locale = result.by_number(), result.definition.locale
    at = np.array([row["n_channels"] for row in rows])
    shares = np.array([row["customer_share"] for row in rows])
    ax.bar(at, shares, color=colour("accent"), alpha=0.85)
    for x, row in zip(at, rows, strict=True):
        ax.vlines(x, row["customer_share_low"], row["customer_share_high"], color=INK, linewidth=1.6)
        share, top = show_number(row["customer_share"], "rate", locale), row["customer_share_high"]
        ax.annotate(share, (x, top), (0, 3), textcoords="offset points", ha="center", fontsize=9.5, color=SOFT)
    ax.set_xticks(at, [f"{x}+" if x == MOST else str(x) for x in at])
    ax.set(xlabel="channels that a customer used", ylabel="share of customers")
    percent(ax, locale, axis="y")
    ax.grid(axis="x", visible=False)
