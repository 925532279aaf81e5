"""Figures of the journeys room: sessions, transitions, touchpoints, sales."""

from __future__ import annotations

import numpy as np

from toolkit.errors import MissingData
from toolkit.figures.marks import MOST_BARS, names_at, percent, short, whiskers
from toolkit.figures.theme import COLUMN, STEP, colour
from toolkit.journeys.transitions import END, START
from toolkit.shown import show_number

OTHERS = "all others"
MOST_PLACES = 9
LONGEST = 10  # events of a session; longer ones stand together


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
    ax.set_xticks(np.arange(len(across[1])) + 0.5, [short(name) for name in across[1]], rotation=35, ha="right")
    ax.set_yticks(np.arange(len(across[0])) + 0.5, [short(name) for name in across[0]], rotation=0)
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
    names_at(ax, at, [row["touchpoint"] for row in rows])
    ax.set(xlim=(0, 1.02), xlabel="share of these customers who met it")
    percent(ax, result.definition.locale)
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
    percent(ax, result.definition.locale, axis="y")
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
    ax.set(xlabel="month (hatched: observed in part)", ylabel=f"revenue, {short(main)}", ylim=(0, None))
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
    whiskers(ax, rows, "customer_share", at, "#1c2430")
    names_at(ax, at, [row[result.attribute] for row in rows])
    ax.set(xlabel="share of customers")
    percent(ax, result.definition.locale)
    ax.grid(axis="y", visible=False)
