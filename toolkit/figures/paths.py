"""Figures of the paths room: flows, common paths, exits, loops, hand-offs, differences."""

from __future__ import annotations

import numpy as np

from toolkit.figures.marks import MOST_BARS, names_at, percent, short, whiskers
from toolkit.figures.theme import COLUMN, INK, SOFT, STEP, colour
from toolkit.paths.flow import BUSIEST, GOAL
from toolkit.shown import safe_text, show_number

NODE = 0.035  # width of a place, where steps are 1 apart
LINE, GAP = 0.036, 0.012  # height of a line of text, and between places, as shares of all who began
LETTERS = 118  # of labels, in a row
MOST_PATHS, LONGEST_PATH = 12, 84
ROLES = {BUSIEST: "control", GOAL: "good", GOAL + 1: "warning", GOAL + 2: "muted"}


def draw_flow(result, ax) -> None:
    """Steps from left to right; a band is as wide as many go that way. Who has left stands at the bottom."""
    steps, total, locale = len(result.named), max(int(result.counts.begun.sum()), 1), result.definition.locale
    ax.get_figure().set_size_inches(STEP, 6.2)
    spots = _spots(result, total)
    _bands(result, ax, spots, total)
    letters = LETTERS // steps - 6
    for step, here in enumerate(spots):
        for place, (top, share) in here.items():
            ax.bar(step, share, NODE, top - share, color=colour(ROLES.get(place, "accent")), zorder=3)
            name, two_lines = short(result.names(step)[place].strip("()")), share > 2 * LINE
            most = letters + 6 * two_lines
            many = (
                ""
                if share == 1
                else ("\n" if two_lines and len(name) > letters else " ") + show_number(share, "rate", locale)
            )
            text = (name if len(name) <= most else f"{name[: most - 1].rstrip()}…") + many
            ax.text(step + NODE, top - share / 2, text, fontsize=9, va="center", color=INK, zorder=4)
    ax.set_xticks(range(steps), [f"{step + 1}." for step in range(steps)])
    n = show_number(total, "count", locale)
    ax.set(xlim=(-0.05, steps - 0.35), yticks=[], xlabel=f"touchpoints in order; shares of {n} {result.unit}s")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.grid(visible=False)


def _spots(result, total: int) -> list[dict[int, tuple[float, float]]]:
    """Top and share of each place at each step: the goal first, touchpoints as those they come from, then the rest."""
    spots: list[dict[int, tuple[float, float]]] = []
    for step in range(len(result.named)):
        here = result.at(step)
        share, order = np.where(here < result.small_cells, 0, here) / total, {GOAL: (-1, 0.0)}
        for place in range(BUSIEST):
            came = result.counts.moves[step - 1, :, place] if step else here[:0]
            height = sum(n * spots[-1][since][0] for since, n in enumerate(came) if since in spots[-1])
            order[place] = (0, -height / max(came.sum(), 1)) if step else (0, place)
        here, top = {}, 1.0
        for place in sorted(np.flatnonzero(share), key=lambda place: order.get(place, (place, 0.0))):
            slot = max(share[place], LINE)
            here[int(place)] = (top - (slot - share[place]) / 2, float(share[place]))
            top -= slot + GAP
        spots.append(here)
    return spots


def _bands(result, ax, spots, total: int) -> None:
    """Bands from place to place; each leaves and arrives in the order of the places, so that few cross."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    for step, moves in enumerate(np.where(result.hidden, 0, result.counts.moves)):
        out, into = ({place: top for place, (top, _) in some.items()} for some in spots[step : step + 2])
        left, right, middle = step + NODE / 2, step + 1 - NODE / 2, step + 0.5
        ways = [(out[since], into[to], since, to) for since, to in np.argwhere(moves).tolist()]
        for *_, since, to in sorted(ways, reverse=True):
            wide, a, b = moves[since, to] / total, out[since], into[to]
            out[since], into[to] = a - wide, b - wide
            over = [(left, a), (middle, a), (middle, b), (right, b)]
            under = [(x, y - wide) for x, y in reversed(over)]
            shade = colour({GOAL: "good", GOAL + 1: "muted"}.get(to, ROLES.get(to, "accent")))
            look = {"facecolor": shade, "alpha": 0.5 if to >= GOAL else 0.28, "linewidth": 0}
            ax.add_patch(PathPatch(Path([*over, *under, over[0]], codes), **look))


def draw_commonpaths(result, ax) -> None:
    """The most frequent paths as bars; beside each the share that goes on, with its interval."""
    rows, locale = result.rows()[:MOST_PATHS], result.definition.locale
    name = "next_share" if result.length else "conversion_rate"
    at = np.arange(len(rows))[::-1]
    figure = ax.get_figure()
    figure.set_size_inches(STEP, 1.0 + 0.52 * max(len(rows), 3))
    ax.barh(at, [row["path_share"] for row in rows], height=0.3, color=colour("accent"), alpha=0.85)
    beside = ax.inset_axes((0.68, 0, 0.3, 1), sharey=ax)
    beside.scatter([row[name] for row in rows], at, color=colour("accent"), s=38, zorder=3, clip_on=False)
    whiskers(beside, rows, name, at, colour("accent"))
    for y, row in zip(at, rows, strict=True):
        path, n = safe_text(row["path"], LONGEST_PATH).replace("$", r"\$"), show_number(row["n_times"], "count", locale)
        ax.text(0, y + 0.2, path, va="bottom", fontsize=9.5, clip_on=True).set_in_layout(False)  # long ones end behind
        ax.text(row["path_share"], y, f" {n}", va="center", fontsize=9.5, color=SOFT)
        if result.length:
            beside.text(0.02, y + 0.2, short(row["next"]), va="bottom", fontsize=9.5)
    high = max((row["path_share"] for row in rows), default=1)
    ax.set(xlim=(0, high * 1.65), ylim=(-0.6, len(rows) - 0.25), yticks=[])
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= high])
    ax.set_xlabel("share of all paths, and how often", loc="left")
    beside.set(
        xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="of these next at" if result.length else "of these on to the goal"
    )
    for axes in (ax, beside):
        percent(axes, locale)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)


def draw_exits(result, ax) -> None:
    """Exit rates of the touchpoints that most sessions end at, with intervals."""
    rows, locale = result.rows()[:MOST_BARS], result.definition.locale
    at = np.arange(len(rows))[::-1]
    ax.get_figure().set_size_inches(COLUMN, 1.1 + 0.36 * max(len(rows), 3))
    for y, row in zip(at, rows, strict=True):
        loss = row["touchpoint"] in result.on_the_way
        shade, mark = (colour("warning"), "D") if loss else (colour("control"), "o")
        ax.scatter(row["exit_rate"], y, color=shade, marker=mark, s=38, zorder=3)
        whiskers(ax, [row], "exit_rate", [y], shade)
        text = f"{show_number(row['n_exits'], 'count', locale)} of {show_number(row['n_visits'], 'count', locale)}"
        ax.text(1.04, y, text, va="center", fontsize=9.5, color=SOFT)
    names_at(ax, at, [row["touchpoint"] for row in rows])
    ax.set(
        xlim=(0, 1.3),
        xticks=np.linspace(0, 1, 6),
        xlabel="share of visits that end the session (diamonds: before the purchase)",
    )
    percent(ax, locale)
    ax.grid(axis="y", visible=False)


def draw_loops(result, ax) -> None:
    """How often customers come to a touchpoint again, at once and later; furthest above the rest first."""
    rows = result.rows()[:MOST_BARS]
    marks = ("repetition_rate", "again later", "accent", "o"), ("self_loop_rate", "again at once", "control", "s")
    _two_rates(ax, rows, [short(row["touchpoint"]) for row in rows], marks, result.definition.locale)
    ax.set_xlabel(f"share of visits, within {result.within}")


def draw_repeatedcontacts(result, ax) -> None:
    """First contacts by whether another one follows, elsewhere or in the same channel."""
    marks = ("other_channel_rate", "another channel", "warning", "o"), ("same_channel_rate", "the same", "control", "s")
    rows = result.rows()
    _two_rates(ax, rows, [short(row["first_contact"]) for row in rows], marks, result.definition.locale)
    ax.set_xlabel(f"share of first contacts followed by one within {result.within} in …")


def draw_handoffs(result, ax) -> None:
    """The goal after each change of channel and after staying; all changes together first."""
    whole, locale = result.headline, result.definition.locale
    rows = [whole | {"from": "all changes", "n_visits": whole["n_moved"]}, *result.rows()[:MOST_BARS]]
    ways = [" → ".join(short(row[end]) for end in ("from", "to") if end in row) for row in rows]
    names = [f"{way} ({show_number(row['n_visits'], 'count', locale)})" for way, row in zip(ways, rows, strict=True)]
    marks = ("goal_rate", "after the change", "accent", "o"), ("stayed_rate", "after staying", "control", "s")
    _two_rates(ax, rows, names, marks, locale)
    ax.set_xlabel(f"share of {result.visits} that {short(result.outcome)}")


def draw_differingpaths(result, ax) -> None:
    """The sequences that differ most clearly: the share of each group that shows them, and the odds beside."""
    rows, locale = [row for row in result.rows() if not row["on_the_way"]][:MOST_BARS], result.definition.locale
    names = [safe_text(row["sequence"], LONGEST_PATH).replace("$", r"\$") for row in rows]
    one, other = map(short, result.groups)
    _two_rates(ax, rows, names, (("first_share", one, "accent", "o"), ("second_share", other, "control", "s")), locale)
    for y, row in enumerate(reversed(rows)):
        text, clear = show_number(round(row["odds"], 2), "number", locale), row["p_adjusted"] < 0.05
        look = {"fontsize": 9.5, "fontweight": "bold" if clear else "normal", "transform": ax.get_yaxis_transform()}
        ax.text(1.02, y, text, va="center", color=INK if clear else SOFT, **look)
    ax.get_figure().set_figwidth(STEP)
    ax.set_xlabel("share of the group's customers\n(right: odds at the same length of journey; bold: beyond chance)")


def _two_rates(ax, rows: list[dict], names: list[str], marks, locale: str) -> None:
    """Two rates of each row as points with intervals; marks: key, label, role and form of each."""
    at = np.arange(len(rows))[::-1]
    ax.get_figure().set_size_inches(COLUMN, 1.4 + 0.36 * max(len(rows), 3))
    for (key, label, role, mark), up in zip(marks, (0.13, -0.13), strict=True):
        look = {"color": colour(role), "marker": mark, "s": 34, "zorder": 3, "clip_on": False}
        ax.scatter([row[key] for row in rows], at + up, label=label, **look)
        whiskers(ax, rows, key, at + up, colour(role))
    ax.set_yticks(at, names)
    ax.set(xlim=(0, None), ylim=(-0.6, max(len(rows) - 0.4, 0.6)))
    percent(ax, locale)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, handletextpad=0.3)
    ax.grid(axis="y", visible=False)
