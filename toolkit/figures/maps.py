"""The journey map as a sheet to print: A3 landscape, stages as chevrons, lanes as rows, emotion as a curve."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

import numpy as np

from toolkit.figures.theme import INK, LINE, SOFT, colour, font
from toolkit.maps.against import CLEAR
from toolkit.maps.lanes import ASSUMED, FEELING, INFERRED, MEASURED, REACH, VOLUME, Cell, Lane
from toolkit.shown import safe_text, show_number

WIDE, HIGH = 1191.0, 842.0  # points: A3 landscape
EDGE, NAMES, INSET = 26.0, 108.0, 10.0  # margins, width of the lanes' names, room for a cell's mark
BODY, SMALL, BIG, HEAD = 12.0, 10.2, 16.0, 13.5  # points of type
LEAD, SPACE = 1.24, 12.0  # height of a line, as a part of its type; between lanes
HEADER, CHEVRON, CURVE, BARS, ROW, FOOT = 74.0, 50.0, 104.0, 46.0, 78.0, 26.0  # heights
MOST_STAGES = 9
SHADE, PALE = "#8d98a4", "#a9cbe3"
MARKS = {
    MEASURED: ("measured: counted from the data", {"facecolor": SHADE}),
    INFERRED: ("inferred: by a rule", {"facecolor": "white"}),
    ASSUMED: ("assumed: nothing is behind it", {"facecolor": "white", "hatch": "/////"}),
}
ABOVE = {FEELING: CURVE + 6, VOLUME: BARS + 5}  # room for what is drawn above a lane's text


class Sheet:
    """A sheet in points of its own, x from the left and y from the top; more than fits on A3 is drawn smaller."""

    def __init__(self, ax, stages: tuple[str, ...], locale: str, *, high: float = HIGH, scale: float = 1.0):
        self.ax, self.stages, self.locale, self.high, self.scale = ax, stages, locale, high, scale
        self.left, self.right, self.bottom = EDGE + NAMES, WIDE / scale - EDGE, high / scale - EDGE
        self.width = (self.right - self.left) / len(stages)

    def x(self, column: float) -> float:
        return self.left + column * self.width

    def text(self, x: float, y: float, said: str, size: float = BODY, **look) -> None:
        """One line with its top at y; signs that mean mathematics to matplotlib are just signs."""
        look = {"va": "top", "color": INK, "family": _family()} | look
        self.ax.text(x, y, said, size=size * self.scale, parse_math=False, **look)

    def lines(self, x: float, y: float, lines: list[str], size: float = BODY, **look) -> None:
        for i, line in enumerate(lines):
            self.text(x, y + i * size * LEAD, line, size, **look)

    def stroke(self, x, y, width: float = 0.8, **look) -> None:
        self.ax.plot(x, y, linewidth=width * self.scale, **{"color": SOFT} | look)

    def shape(self, corners: list, **look) -> None:
        from matplotlib.patches import Polygon

        self.ax.add_patch(Polygon(corners, closed=True, **{"edgecolor": SHADE, "linewidth": 0.8 * self.scale} | look))

    def box(self, x: float, y: float, width: float, height: float, **look) -> None:
        self.shape([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], **look)

    def begin(self, met: list[bool], what: str, *more: str) -> None:
        """Takes the whole figure: what is shown in its corner, and the stages, hollow where nobody met them."""
        figure = self.ax.get_figure()
        figure.set_layout_engine("none")
        figure.set_size_inches(WIDE / 72, self.high / 72)
        self.ax.set_position([0, 0, 1, 1])
        self.ax.set(xlim=(0, WIDE / self.scale), ylim=(self.high / self.scale, 0))
        self.ax.axis("off")
        self.text(EDGE, EDGE - 1, what, BIG, weight="bold")
        said = [line for one in more for line in _lines(one, NAMES - 6, SMALL, 2)]
        self.lines(EDGE, EDGE + BIG * LEAD, said, SMALL, color=SOFT)
        for i, stage in enumerate(self.stages):
            left, right, point, top, bottom = self.x(i) + 2, self.x(i + 1) - 2, 13.0, EDGE, EDGE + CHEVRON
            middle, notch, tip = (top + bottom) / 2, point * (i > 0), point * (i < len(self.stages) - 1)
            look = {"facecolor": colour("accent"), "edgecolor": "none"} if met[i] else {"facecolor": "white"}
            ends = [(right, top), (right + tip, middle), (right, bottom)]
            self.shape([(left, top), *ends, (left, bottom), (left + notch, middle)], **look)
            name = _lines(stage[:1].upper() + stage[1:], self.width - 2 * point - 8, HEAD, 2, "bold")
            look = {"ha": "center", "color": "white" if met[i] else SOFT, "weight": "bold"}
            self.lines((left + notch + right) / 2, middle - len(name) * HEAD * LEAD / 2 + 1, name, HEAD, **look)

    def name(self, lane: str, hint: str, y: float) -> None:
        """A lane's name and what its numbers are."""
        self.text(EDGE, y - 1, _lines(lane[:1].upper() + lane[1:], NAMES - 6, BODY, 1, "bold")[0], weight="bold")
        small = _lines(hint, NAMES - (32 if lane == FEELING else 8), SMALL, 2)
        self.lines(EDGE, y + BODY * LEAD, small, SMALL, color=SOFT)


def draw_journeymap(result, ax) -> None:
    """Draws a journey map over the whole figure."""
    stages, lanes, locale = result.stages[:MOST_STAGES], result.lanes, result.definition.locale
    sheet = Sheet(ax, stages, locale)
    heights, needed = _heights(sheet, lanes)
    if needed > HIGH:
        sheet = Sheet(ax, stages, locale, scale=HIGH / needed)
        heights, needed = _heights(sheet, lanes)
    n = show_number(result.n_customers, "count", locale)
    met = [cell.grade != ASSUMED for cell in result.cells(REACH).values()]
    sheet.begin(met, result.definition.measure, f"{result.label[0]}: {n}", result.label[1])
    space = SPACE + (HIGH / sheet.scale - needed) / len(lanes)
    y = EDGE + HEADER
    for lane, height in zip(lanes, heights, strict=True):
        _lane(sheet, lane, y + space / 2, height)
        y += height + space
        if lane is not lanes[-1]:
            sheet.stroke([EDGE, sheet.right], [y, y], color=LINE)
    _foot(sheet, len(result.stages) - len(stages))


def _heights(sheet: Sheet, lanes: tuple[Lane, ...]) -> tuple[list[float], float]:
    """Of each lane, and of all there is."""
    heights = []
    for lane in lanes:
        cells = (sum(size for *_, size in _set(sheet, lane, cell)) * LEAD for cell in lane.cells[:MOST_STAGES])
        heights.append(max(ABOVE.get(lane.name, 0.0) + max(cells), (BODY + 2 * SMALL * bool(lane.hint)) * LEAD))
    return heights, 2 * EDGE + HEADER + sum(heights) + SPACE * len(heights) + FOOT


def _set(sheet: Sheet, lane: Lane, cell: Cell) -> list[tuple[str, str, float]]:
    """A cell's text in lines: what stands left, what stands right or beside it, and the size of type."""
    room, made = sheet.width - INSET - 4, []
    number = (lane.kind or lane.name == VOLUME) and cell.grade in (MEASURED, INFERRED)
    for line in cell.lines:
        first, _, second = line.partition("  ")
        if number and not made:
            beside = _width(first, BIG, "bold") + 7 + _width(second, SMALL) <= room
            made += [(first, second, BIG)] if beside else [(first, "", BIG), (second, "", SMALL)]
        elif second:
            made.append((_lines(first, room - _width(second, SMALL) - 5, BODY, 1)[0], second, BODY))
        else:
            size = SMALL if number else BODY
            made += [(part, "", size) for part in _lines(line, room, size, 4)]
    return made


def _lane(sheet: Sheet, lane: Lane, y: float, height: float) -> None:
    cells, above = lane.cells[: len(sheet.stages)], ABOVE.get(lane.name, 0.0)
    sheet.name(lane.name, lane.hint, y)
    if lane.name == FEELING:
        _curve(sheet, cells, y)
    elif lane.name == VOLUME:
        _bars(sheet, cells, y)
    for i, cell in enumerate(cells):
        if cell.grade in MARKS:
            sheet.box(sheet.x(i) + 1, y + above, 4, height - above, **MARKS[cell.grade][1])
        quiet = {} if cell.grade in (MEASURED, INFERRED) else {"style": "italic", "color": SOFT}
        x, top = sheet.x(i) + INSET, y + above
        for first, second, size in _set(sheet, lane, cell):
            look = {BIG: {"weight": "bold"}, SMALL: {"color": SOFT}}.get(size, {}) | quiet
            sheet.text(x, top, first, size, **look)
            if second and size == BIG:
                sheet.text(x + _width(first, BIG, "bold") + 7, top + BIG * 0.36, second, SMALL, color=SOFT)
            elif second:
                sheet.text(sheet.x(i + 1) - 4, top + 1.5, second, SMALL, ha="right", color=SOFT)
            top += size * LEAD


def _bars(sheet: Sheet, cells: tuple[Cell, ...], y: float) -> None:
    most = np.nanmax([1, *(cell.value for cell in cells)])
    for i, cell in enumerate(cells):
        left, right, tall = sheet.x(i) + INSET, sheet.x(i + 1) - INSET, np.nan_to_num(cell.value) / most * (BARS - 2)
        sheet.box(left, y + BARS - tall, right - left, tall, facecolor=PALE, edgecolor="none")
        sheet.stroke([left, right], [y + BARS] * 2)


def _curve(sheet: Sheet, cells: tuple[Cell, ...], y: float) -> None:
    """Scores as a curve with its band; a face where there is a score, an open circle where there is none."""
    scores = np.array([[c.value, *((c.low, c.high) if c.low == c.low else (c.value, c.value))] for c in cells])
    low = -np.ceil(2 * max(0, *np.nan_to_num(-scores).ravel())) / 2
    high = max(np.ceil(2 * max(0, *np.nan_to_num(scores).ravel())) / 2, low + 1)
    accent, x = colour("accent"), [sheet.x(i + 0.5) for i in range(len(cells))]

    def at(score):
        return y + 9 + (CURVE - 20) * (high - np.asarray(score, float)) / (high - low)

    for tick in np.arange(low, high + 0.01, 0.5):
        sheet.stroke([sheet.left, sheet.right], at([tick, tick]), 0.7 if tick else 1.3, color=LINE, zorder=0.5)
        label = show_number(float(tick), "diff", sheet.locale) if tick else "0"
        sheet.text(sheet.left - 5, at(tick), label, SMALL, ha="right", va="center", color=SOFT)
    ease = (1 - np.cos(np.linspace(0, np.pi, 40)))[:, None] / 2  # from stage to stage, and never beyond them
    for i, (one, two) in enumerate(pairwise(scores)):
        middle, below, over = at(one + (two - one) * ease).T
        across = np.linspace(x[i], x[i + 1], 40)
        sheet.ax.fill_between(across, below, over, color=accent, alpha=0.2, linewidth=0)
        sheet.stroke(across, middle, 2.6, color=accent)
    for xi, (value, below, over) in zip(x, scores, strict=True):
        sheet.stroke([xi, xi], at([below, over]), 1.4, color=accent)
        known = value == value
        _face(sheet, xi, float(at(value if known else (low + high) / 2)), value / max(high, -low, 1) if known else None)


def _face(sheet: Sheet, x: float, y: float, mood: float | None) -> None:
    """A face whose mouth bends with the mood, −1…+1; an open circle where it is not known."""
    look = {"mew": 1.4 * sheet.scale, "mec": SOFT if mood is None else INK, "mfc": "white", "zorder": 4}
    sheet.ax.plot(x, y, "o", ms=22 * sheet.scale, **look)
    if mood is None:
        sheet.text(x, y, "?", BODY, ha="center", va="center", color=SOFT, zorder=5)
        return
    sheet.ax.plot([x - 3.8, x + 3.8], [y - 3, y - 3], "o", ms=2.4 * sheet.scale, color=INK, ls="", zorder=5)
    across = np.linspace(-5, 5, 15)
    sheet.stroke(x + across, y + 4 + mood * 5 * (0.5 - (across / 5) ** 2), 1.4, color=INK, zorder=5)


def _foot(sheet: Sheet, left_out: int) -> None:
    x, y = sheet.left + 1, sheet.bottom - 12
    for meaning, look in MARKS.values():
        sheet.box(x, y, 4, 12, **look)
        sheet.text(x + 10, y + 0.5, meaning, SMALL, color=SOFT)
        x += 36 + _width(meaning, SMALL)
    more = f"; {left_out} further stages are in the table" * bool(left_out)
    sheet.text(sheet.right, y + 0.5, f"beside the numbers: 95 % intervals{more}", SMALL, ha="right", color=SOFT)


def draw_mapdifference(result, ax) -> None:
    """Draws the difference of two maps: to the right of each middle line where the first has more."""
    lanes = list(dict.fromkeys(row["lane"] for row in result.cells))
    top, stages = EDGE + HEADER + 10, result.stages[:MOST_STAGES]
    sheet = Sheet(ax, stages, result.definition.locale, high=top + ROW * len(lanes) + FOOT + EDGE)
    names = (f"{sign} {name}" for sign, name in zip("+−", result.names, strict=True))
    sheet.begin([True] * len(stages), "Difference", *names)
    for k, lane in enumerate(lanes):
        y, rows = top + k * ROW, [row for row in result.cells if row["lane"] == lane and row["stage"] in stages]
        furthest = np.nanmax([1e-9, *(abs(row[f"diff{end}"]) for row in rows for end in ("", "_low", "_high"))])
        sheet.name(lane, next((row["hint"] for row in rows), ""), y + 7)
        for row in rows:
            _apart(sheet, row, stages.index(row["stage"]), y, furthest)
        sheet.stroke([EDGE, sheet.right], [y + ROW - 4] * 2, color=LINE)
    marks = "triangle: more than chance explains (Holm) · circle: chance can explain it"
    text = f"{marks} · line: 95 % interval, a scale per row"
    sheet.text(sheet.left + 1, sheet.bottom - 12, text, SMALL, color=SOFT)


def _apart(sheet: Sheet, row: dict, column: int, y: float, furthest: float) -> None:
    """One difference: a mark on a line of its own that points to its side where it is clear, and the number."""
    middle, side = sheet.x(column + 0.5), 8 if row["diff"] > 0 else -8
    x, low, high = (middle + (sheet.width / 2 - INSET) * row[f"diff{end}"] / furthest for end in ("", "_low", "_high"))
    clear = row["p_adjusted"] < CLEAR
    shade = colour("accent" if side > 0 else "warning") if clear else SHADE
    sheet.stroke([middle, middle], [y + 4, y + 30], color=SHADE)
    sheet.stroke([low, high], [y + 17, y + 17], 2.2 if clear else 1.2, color=shade)
    if clear:
        sheet.shape([(x + side, y + 17), (x - side * 0.7, y + 9), (x - side * 0.7, y + 25)], facecolor=shade, zorder=4)
    else:
        sheet.ax.plot(x, y + 17, "o", ms=7, mfc="white", mec=SHADE, mew=1.2, zorder=4)
    value, _, band = row["text"].partition(", ")[0].partition(" (")
    sheet.text(middle, y + 36, value, ha="center", weight="bold" if clear else "normal", color=INK if clear else SOFT)
    sheet.text(middle, y + 36 + BODY * LEAD, band.rstrip(")"), SMALL, ha="center", color=SOFT)


def _lines(text: str, room: float, size: float, most: int, weight: str = "normal") -> list[str]:
    """A text broken into lines no wider than the room; what does not fit ends in an ellipsis."""
    text = re.sub(r"(?<=\d) (?=%|(s|min|h|days)\b)", "\u00a0", safe_text(text))  # a number keeps its unit
    lines = [""]
    for word in text.split(" ") if most > 1 else [text]:
        longer = f"{lines[-1]} {word}".strip(" ")
        if lines[-1] and _width(longer, size, weight) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    cut, lines = len(lines) > most, lines[:most]
    for i, line in enumerate(lines):
        end = "…" * (cut and i == most - 1)
        while len(line) > 1 and _width(line + end, size, weight) > room:
            line, end = line[:-1].rstrip(), "…"
        lines[i] = line + end
    return lines


@lru_cache(maxsize=1)
def _family() -> list[str]:
    """The fonts by name: the sheet is measured when it is drawn and shown later, outside the theme."""
    return [*filter(None, [font()]), "DejaVu Sans"]


@lru_cache(maxsize=4096)
def _width(text: str, size: float, weight: str = "normal") -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    look = FontProperties(family=_family(), size=size, weight=weight)
    return TextToPath().get_text_width_height_descent(text, look, False)[0]
