"""Marks that figures share: intervals, names, percent axes."""

from __future__ import annotations

import numpy as np

from toolkit.results import safe_text
from toolkit.shown import show_number

MOST_BARS = 16


def whiskers(ax, rows: list[dict], key: str, at: np.ndarray, shade: str) -> None:
    """Intervals of rows as horizontal lines."""
    for y, row in zip(at, rows, strict=True):
        ax.hlines(y, row[f"{key}_low"], row[f"{key}_high"], color=shade, linewidth=1.6)


def names_at(ax, at: np.ndarray, names: list[str]) -> None:
    """Names of rows on the vertical axis; text from outside is made safe."""
    ax.set_yticks(at, [short(name) for name in names])


def short(name: str) -> str:
    """A name as a label: safe, and at most 28 characters."""
    text = safe_text(str(name)).replace("$", r"\$")
    return text if len(text) <= 28 else f"{text[:27]}…"


def percent(ax, locale: str, axis: str = "x") -> None:
    """An axis of rates shown in percent."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_major_formatter(
        lambda value, _: show_number(round(value, 4), "rate", locale).replace(".0", "").replace(",0", "")
    )
