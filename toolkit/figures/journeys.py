"""Figures of the journeys room: sessions, transitions, funnels, touchpoints, sales."""

from __future__ import annotations

import numpy as np

from toolkit.errors import MissingData
from toolkit.figures.theme import COLUMN, STEP, colour
from toolkit.journeys.transitions import END, START
from toolkit.results import safe_text
from toolkit.shown import show_number

MOST_BARS = 16
OTHERS = "all others"
MOST_PLACES = 9
LONGEST = 10  # events of a session; longer ones stand together


def draw_funnel(result, ax) -> None:
    """Steps as bars with intervals; with a breakdown, groups as points."""
    if result.by is not None:
        _groups(result, ax)
        return
    rows, locale = result.step_rows(), result.definition.locale
    at = np.arange(len(rows))[::-1]
    rates = np.array([row["of_entered_rate"] for row in rows])
    ax.barh(at, rates, color=colour("accent"), height=0.6, alpha=0.85)
    _whiskers(ax, rows, "of_entered_rate", at, "#1c2430")
    for y, row in zip(at, rows, strict=True):
        text = (
            f"{show_number(row['of_entered_rate'], 'rate', locale)} · {show_number(row['n_matured'], 'count', locale)}"
        )
        end = np.fmax(row["of_entered_rate"], row["of_entered_rate_high"])  # the first step has no interval
        ax.text(np.nan_to_num(end) + 0.015, y, text, va="center")
    _names(ax, at, [row["step"] for row in rows])
    ax.set(xlim=(0, 1.25), xticks=np.linspace(0, 1, 6), xlabel="share of customers who entered · customers")
    _percent(ax, locale)
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
    _names(ax, at, [row[result.by] for row in rows])
    high = max((row["conversion_rate_high"] for row in rows), default=1)
    ax.set(
        xlim=(0, high * 1.35),
        ylim=(-0.6, max(len(rows) - 0.4, 0.6)),
        xlabel="conversion of matured entries; line: everyone",
    )
    _percent(ax, locale)
    ax.grid(axis="y", visible=False)


def draw_transitions(result, ax) -> None:
    """What follows what: shares of what leaves each of the busiest touchpoints."""
    import seaborn as sns

    rows = result.rows()
    busy: dict[str, int] = {}
    for row in rows:
        busy[row["from"]] = busy.get(row["from"], 0) + row["n_transitions"]
    names = sorted((name for name in busy if name != START), key=lambda name: -busy[name])[:MOST_PLACES]
    across = [START, *names], [*names, END, OTHERS]
    share = {(row["from"], row["to"]): row["out_share"] for row in rows}
    grid = np.array([[share.get((a, b), 0.0) for b in [*names, END]] for a in across[0]])
    grid = np.column_stack([grid, np.clip(1 - grid.sum(axis=1), 0, 1)])
    ax.get_figure().set_size_inches(STEP, 6.4)
    text = np.array([[f"{100 * value:.0f}" if value >= 0.005 else "" for value in line] for line in grid])
    look = {"cmap": "Blues", "cbar": False, "linewidths": 1, "linecolor": "white", "annot_kws": {"size": 10}}
    sns.heatmap(grid, ax=ax, vmin=0, vmax=max(grid.max(), 0.01), annot=text, fmt="", **look)
    ax.set_xticks(np.arange(len(across[1])) + 0.5, [_short(name) for name in across[1]], rotation=35, ha="right")
    ax.set_yticks(np.arange(len(across[0])) + 0.5, [_short(name) for name in across[0]], rotation=0)
    ax.set(
        xlabel=f"goes on to (percent of what leaves; the {len(names)} busiest of {len(busy.keys() - {START})})",
        ylabel="from",
    )
    ax.grid(visible=False)


def draw_touchpoints(result, ax) -> None:
    """Share of converting and of other customers who met each touchpoint, widest reach first."""
    known = [row for row in result.rows() if row["converting_share"] == row["converting_share"]]
    known = [row for row in known if row["touchpoint"] not in result.goal]  # all who converted met the goal
    rows = [row for row in known if row["other_share"] == row["other_share"]][:MOST_BARS]
    if not rows:
        source = "the shop's order export, a touchpoint the catalogue knows as purchase, or more customers"
        raise MissingData("This comparison", "groups of converting and of other customers large enough", source)
    at = np.arange(len(rows))[::-1]
    ax.get_figure().set_size_inches(COLUMN, 1.2 + 0.34 * max(len(rows), 4))
    for key, label, shade, mark in (
        ("other_share", "customers who did not convert", colour("control"), "s"),
        ("converting_share", "customers who converted", colour("accent"), "o"),
    ):
        ax.scatter([row[key] for row in rows], at, color=shade, marker=mark, s=38, zorder=3, label=label)
        for y, row in zip(at, rows, strict=True):
            ax.hlines(y, row[f"{key}_low"], row[f"{key}_high"], color=shade, linewidth=1.8)
    _names(ax, at, [row["touchpoint"] for row in rows])
    ax.set(xlim=(0, 1.02), xlabel="share of these customers who met it")
    _percent(ax, result.definition.locale)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, handletextpad=0.3)
    ax.grid(axis="y", visible=False)


def draw_sessions(result, ax) -> None:
    """How many events a session has."""
    sizes = result.counts.sizes
    shown = np.array([sizes.counts[sizes.values == k].sum() for k in range(1, LONGEST)])
    shares = np.append(shown, sizes.counts.sum() - shown.sum()) / max(sizes.counts.sum(), 1)
    ax.bar(np.arange(1, LONGEST + 1), shares, color=colour("accent"), alpha=0.85)
    for k, share in enumerate(shares, start=1):
        ax.text(
            k,
            share,
            show_number(float(share), "rate", result.definition.locale),
            ha="center",
            va="bottom",
            fontsize=9.5,
        )
    ax.set_xticks(range(1, LONGEST + 1), [*map(str, range(1, LONGEST)), f"{LONGEST}+"])
    ax.set(xlabel="events in a session", ylabel="share of sessions")
    _percent(ax, result.definition.locale, axis="y")
    ax.grid(axis="x", visible=False)


def draw_sales(result, ax) -> None:
    """Revenue by month in the main currency; months observed in part are hollow."""
    main = result.headline["currency"]
    rows = [row for row in result.rows() if row["currency"] == main]
    for i, row in enumerate(rows):
        whole = row["observed"] == "whole"
        look = {"color": colour("accent")} if whole else {"color": "white", "hatch": "///"}
        ax.bar(i, row["revenue_money"], edgecolor=colour("accent"), alpha=0.85, **look)
    every = max(1, len(rows) // 12)
    ax.set_xticks(range(0, len(rows), every), [row["month"] for row in rows][::every], rotation=35, ha="right")
    locale = result.definition.locale
    ax.yaxis.set_major_formatter(lambda value, _: show_number(value, "count", locale))
    ax.set(xlabel="month (hatched: observed in part)", ylabel=f"revenue, {_short(main)}", ylim=(0, None))
    ax.grid(axis="x", visible=False)


def draw_activity(result, ax) -> None:
    """Events by day; days without any are marked."""
    days = np.array([row["day"] for row in result.rows()], dtype="datetime64[D]")
    events = np.array([row[f"n_{result.what}"] for row in result.rows()])
    ax.fill_between(days, events, color=colour("accent"), alpha=0.25, linewidth=0)
    ax.plot(days, events, color=colour("accent"), linewidth=1.2)
    silent = np.array(result.silent, dtype="datetime64[D]")
    if len(silent):
        ax.scatter(silent, np.zeros(len(silent)), color=colour("warning"), marker="v", s=36, zorder=3, label="none")
        ax.legend(loc="upper left")
    locale = result.definition.locale
    ax.yaxis.set_major_formatter(lambda value, _: show_number(value, "count", locale))
    ax.set(xlabel="day", ylabel=result.what, ylim=(0, None))
    ax.tick_params(axis="x", rotation=30)


def draw_division(result, ax) -> None:
    """Share of customers by value, with intervals."""
    rows = result.rows()[:MOST_BARS]
    at = np.arange(len(rows))[::-1]
    ax.get_figure().set_size_inches(COLUMN, 1.1 + 0.42 * max(len(rows), 2))
    ax.barh(at, [row["customer_share"] for row in rows], color=colour("accent"), height=0.6, alpha=0.85)
    _whiskers(ax, rows, "customer_share", at, "#1c2430")
    _names(ax, at, [row[result.attribute] for row in rows])
    ax.set(xlabel="share of customers")
    _percent(ax, result.definition.locale)
    ax.grid(axis="y", visible=False)


def _whiskers(ax, rows: list[dict], key: str, at: np.ndarray, shade: str) -> None:
    for y, row in zip(at, rows, strict=True):
        ax.hlines(y, row[f"{key}_low"], row[f"{key}_high"], color=shade, linewidth=1.6)


def _names(ax, at: np.ndarray, names: list[str]) -> None:
    ax.set_yticks(at, [_short(name) for name in names])


def _short(name: str) -> str:
    text = safe_text(str(name)).replace("$", r"\$")
    return text if len(text) <= 28 else f"{text[:27]}…"


def _percent(ax, locale: str, axis: str = "x") -> None:
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_major_formatter(
        lambda value, _: show_number(round(value, 4), "rate", locale).replace(".0", "").replace(",0", "")
    )
