"""Figures of the funnels room."""

from __future__ import annotations

import numpy as np

from toolkit.figures.marks import MOST_BARS, names_at, percent, short, whiskers
from toolkit.figures.theme import COLUMN, INK, SERIES, colour
from toolkit.funnels.convert import QUARTILES
from toolkit.funnels.trend import WHOLE
from toolkit.shown import show_cell, show_number

TIMES = (1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400)  # seconds
LOOKS = ("-", "--", "-.", ":")
DAYS = {"day": 1, "week": 7, "month": 31}
MOST_POINTS, MOST_NAMED = 120, 4


def draw_funnel(result, ax) -> None:
    """Steps as bars with intervals; with a breakdown, groups as points."""
    if result.by is not None:
        _groups(result, ax)
        return
    rows, locale = result.step_rows(), result.definition.locale
    at = np.arange(len(rows))[::-1]
    rates = np.array([row["of_entered_rate"] for row in rows])
    bars = ax.barh(at, rates, color=colour("accent"), height=0.6, alpha=0.85)
    whiskers(ax, rows, "of_entered_rate", at, INK)
    for y, row in zip(at, rows, strict=True):
        text = (
            f"{show_number(row['of_entered_rate'], 'rate', locale)} · {show_number(row['n_matured'], 'count', locale)}"
        )
        end = np.fmax(row["of_entered_rate"], row["of_entered_rate_high"])  # the first step has no interval
        ax.text(np.nan_to_num(end) + 0.015, y, text, va="center")
    ax.set_yticks(at, ["\n".join(map(short, row["step"].split(" · ", 2))) for row in rows])
    entered = "customers who" if result.unit == "customer" else f"{result.unit}s that"
    label = f"share of {entered} entered · {result.unit}s"
    if result.optional:
        for step in result.optional:
            bars[step].set(facecolor="white", edgecolor=colour("accent"), hatch="////", linewidth=1.2)
        later = [(row["whole_rate"], y) for y, row in zip(at, rows, strict=True) if "whole_rate" in row]
        ax.scatter(*zip(*later, strict=True), marker="D", s=44, color="white", edgecolor=INK, zorder=3)
        label += "\nhatched: may be missed; diamond: with no step missed"
    ax.set(xlim=(0, 1.25), xticks=np.linspace(0, 1, 6), xlabel=label)
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


def draw_timetoconvert(result, ax) -> None:
    """Share converted by the time since entry, with its band; quartiles of those who convert; how many are at risk."""
    curves = dict(list(result.curves().items())[: len(LOOKS)])
    soon = min((curve.quantile_among(0.05).value for curve in curves.values() if curve.events.any()), default=1)
    start = max(time for time in TIMES if time <= max(soon, 1))
    locale, end = result.definition.locale, max(2 * start, *(curve.time[-1] for curve in curves.values()))
    ticks = [time for time in TIMES if start <= time < 0.4 * end] + [end]
    ax.set(xscale="log", xlim=(start, end), ylabel="share converted")
    for row, ((name, curve), look) in enumerate(zip(curves.items(), LOOKS, strict=False)):
        shade, (at, share, low, high) = SERIES[row], _converted(curve, start)
        ax.fill_between(at, low, high, step="post", color=shade, alpha=0.18 if result.by is None else 0.1, linewidth=0)
        ax.step(at, share, where="post", color=shade, linestyle=look, label=short(name))
        _quartiles(ax, curve, share[-1], shade, locale if result.by is None else "")
        below = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "size": 9.5}
        waiting = [show_number(int(n), "count", locale) for n in curve.at(ticks)[3]]
        for time, n in zip(ticks, waiting, strict=True):
            ax.annotate(n, (time, 0), xytext=(0, -34 - 15 * row), ha="center", **below)
        ax.annotate(short(name) or "waiting", (start, 0), xytext=(-30, -34 - 15 * row), ha="right", **below)
    if result.by is not None:
        ax.legend(loc="upper left")
    ax.set_ylim(0, None)
    ax.set_xlabel("time since entry; below: customers watched and not converted", labelpad=10 + 15 * len(curves))
    ax.set_xticks(ticks, [show_number(time, "seconds", locale) for time in ticks])
    ax.minorticks_off()
    percent(ax, locale, axis="y")


def _converted(curve, start: float) -> tuple[np.ndarray, ...]:
    """Times from the left edge on, the share converted by then, and its limits."""
    at = np.append(start, curve.time[curve.time > start])
    waiting, low, high, _ = curve.at(at)
    return at, 1 - waiting, 1 - high, 1 - low


def _quartiles(ax, curve, end: float, shade: str, locale: str) -> None:
    """When a quarter, a half and three quarters of those who convert have; the words where there is one curve."""
    for (name, share), word in zip(QUARTILES.items(), ("a quarter", "half", "three quarters"), strict=True):
        time = curve.quantile_among(share)
        if not locale and name != "half":
            continue
        ax.plot(time.value, share * end, "o", color=shade, markersize=6, zorder=4)
        ax.hlines(share * end, time.low, time.high, color=shade, linewidth=2.4)
        if locale:
            text = f"{word} of these within {show_number(time.value, 'seconds', locale)}"
            late = time.value**2 > np.prod(ax.get_xlim())
            place, look = ((time.low, (-8, 4)), "right") if late else ((time.high, (8, -4)), "left")
            ax.annotate(text, (place[0], share * end), xytext=place[1], textcoords="offset points", ha=look)


def draw_funneltrend(result, ax) -> None:
    """Conversion by period with intervals; hollow where not judged, a diamond where it differs; below, who entered."""
    rows, locale, shade = result.rows(), result.definition.locale, colour("accent")
    day, days = np.array([np.datetime64(row[result.key], "D") for row in rows]), DAYS[result.every]
    rate, low, high = (np.array([row[f"conversion_rate{end}"] for row in rows]) for end in ("", "_low", "_high"))
    whole, apart = (
        np.array([row["observed"] == WHOLE for row in rows]),
        np.array([bool(row["differs"]) for row in rows]),
    )
    ax.get_figure().set_size_inches(COLUMN, 4.6)
    everyone = np.average(rate, weights=[row["n_matured"] for row in rows])
    ax.axhline(everyone, color=colour("muted"), linewidth=1.2, zorder=1)
    many = len(rows) > MOST_POINTS
    for part in np.split(np.arange(len(day)), np.flatnonzero(np.diff(day).astype(int) > days) + 1):  # a gap has no line
        ax.plot(day[part], rate[part], color=shade, linewidth=0.8 if many else 1.4, zorder=2)
        if many:
            ax.fill_between(day[part], low[part], high[part], color=shade, alpha=0.18, linewidth=0)
    if not many:
        ax.vlines(day, low, high, color=[colour("warning") if odd else f"{shade}80" for odd in apart], linewidth=1.4)
    for kind, look in (
        (whole & ~apart, {"color": shade, "s": 5 if many else 26}),
        (~whole, {"facecolor": "white", "edgecolor": shade, "s": 20 if many else 40}),
        (apart, {"color": colour("warning"), "marker": "D", "s": 48}),
    ):
        ax.scatter(day[kind], rate[kind], zorder=3, **look)
    texts = [(day[-1], everyone, "all", -4)] + [
        (day[i], rate[i], show_cell(rows[i], result.key, locale), 8) for i in np.flatnonzero(apart)[:MOST_NAMED]
    ]
    for x, y, text, aside in texts:
        ax.annotate(text, (x, y), xytext=(aside, 4), textcoords="offset points", size=9.5)
    _entered(ax, day, [row["n_entered"] for row in rows], days, locale)
    ends = day[0] - np.timedelta64(days, "D"), day[-1] + np.timedelta64(days, "D")
    ax.set(ylim=(0, None), ylabel=f"conversion by {result.every} of entry", xlim=ends)
    ax.tick_params(axis="x", labelbottom=False)
    percent(ax, locale, axis="y")


def _entered(ax, day: np.ndarray, entered: list[int], days: int, locale: str) -> None:
    """Who entered in each period, small below."""
    small = ax.inset_axes([0, -0.27, 1, 0.2], sharex=ax)
    small.bar(day, entered, width=0.8 * days, color=colour("control"))
    small.set(ylabel="entered", xlabel="hollow: not judged (in part, or too young); diamond: differs from the others")
    small.yaxis.set_major_formatter(lambda value, _: show_number(value, "count", locale))
    small.locator_params(axis="y", nbins=2)
    small.tick_params(axis="x", rotation=30)
    small.grid(axis="x", visible=False)
