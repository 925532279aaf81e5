"""How a result shows itself: as rows, a frame, text and HTML."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from toolkit.shown import cell_parts, is_number, safe_text, show_cell, show_interval, show_number

__all__ = ["Definition", "Interval", "Result", "safe_text", "show_cell", "show_interval", "show_number"]

SHOWN_ROWS = 60  # rows in a shown table; to_frame() has all of them
PLAIN_STYLE = (  # for pages without the report's style sheet
    "table.result caption{text-align:left;font-weight:600}"
    "table.result th,table.result td{text-align:left;font-variant-numeric:tabular-nums}"
    "table.result .num{text-align:right;white-space:nowrap}"
    "table.result .interval{opacity:.7;margin-left:.6em}"
)


class Interval(NamedTuple):
    """A range that holds the true value in `level` of all studies made this way.

    Example:
        >>> Interval(0.039, 0.045)
        Interval(low=0.039, high=0.045, level=0.95)
    """

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The card of a result: what was counted, of whom, and by which rules.

    Args:
        measure: what the result is about, in a few words.
        unit: what is counted; empty fields are not shown.
        population: whose.
        window: how much time each of them is given.
        denominator: what a rate is a share of.
        rules: entry, order, ties; the statistical method.
        period: when.
        seen_through: the filter that removed events, if any.
        locale: how numbers and dates are shown, such as "da".
        tz: the time zone in which moments are shown.
        notes: guards that fired: why something is unknown, or needs care.

    Example:
        >>> Definition(measure="Conversion", unit="customers").unit
        'customers'
    """

    measure: str
    unit: str = ""
    population: str = ""
    window: str = ""
    denominator: str = ""
    rules: str = ""
    period: str = ""
    seen_through: str = ""
    locale: str = "en"
    tz: str = "UTC"
    notes: tuple[str, ...] = ()

    CARD: ClassVar = ("unit", "population", "window", "denominator", "rules", "period", "seen_through")

    def card(self) -> dict[str, str]:
        """What there is to say, by label."""
        return {name.replace("_", " "): text for name in self.CARD if (text := getattr(self, name))}


class Result(ABC):
    """The shown forms of a result, all made from its `definition` (a field or a property) and its `rows()`.

    Example:
        >>> @dataclass(frozen=True, slots=True, kw_only=True)
        ... class Visits(Result):
        ...     counts: dict
        ...     definition: Definition = Definition(measure="Visits")
        ...     def rows(self):
        ...         return [{"page": page, "n_visits": n} for page, n in self.counts.items()]
        >>> print(Visits(counts={"front page": 1234, "cart": 56}))
        Visits
        page        visits
        ------------------
        front page   1,234
        cart            56
    """

    __slots__ = ()
    columns: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def rows(self) -> list[dict]:
        """Flat dicts of Python scalars at full precision; None or NaN is unknown."""

    def say(self) -> list[str]:
        """The result read aloud: up to three full sentences, the headline first."""
        return []

    @property
    def note(self) -> str:
        """Why something is unknown, or what a guard saw."""
        return " ".join(self.definition.notes)

    def to_frame(self):
        """The rows as a pandas frame, at full precision."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def __str__(self) -> str:
        table, measure = _Table.of(self), safe_text(self.definition.measure)
        return "\n".join([measure, *table.text(), *(f"Note: {safe_text(note)}" for note in self.definition.notes)])

    def _repr_html_(self) -> str:
        guards = "".join(f'<p class="guard">{_escaped(note)}</p>' for note in self.definition.notes)
        card = "".join(f"<dt>{label}</dt><dd>{_escaped(text)}</dd>" for label, text in self.definition.card().items())
        details = f'<details class="definition"><summary>How this was counted</summary><dl>{card}</dl></details>'
        table = _Table.of(self).html(self.definition.measure)
        return f"<style>{PLAIN_STYLE}</style>{table}{guards}{details if card else ''}"


class _Table(NamedTuple):
    headers: list[str]
    numeric: list[bool]
    cells: list[list[tuple[str, str]]]  # (value, interval)
    foot: str  # says when there are no rows, or more

    @classmethod
    def of(cls, result: Result) -> _Table:
        rows, card = result.rows(), result.definition
        keys = list(dict.fromkeys(key for row in rows for key in row))
        merged = {f"{key}_{end}" for key in keys for end in ("low", "high") if {f"{key}_low", f"{key}_high"} <= {*keys}}
        keys = [key for key in keys if key not in merged]
        return cls(
            headers=[safe_text(result.columns.get(key) or _header(key)) for key in keys],
            numeric=[any(is_number(row.get(key)) for row in rows) for key in keys],
            cells=[[cell_parts(row, key, card.locale, card.tz) for key in keys] for row in rows[:SHOWN_ROWS]],
            foot=_foot(len(rows)),
        )

    def text(self) -> list[str]:
        if not self.cells:
            return [self.foot]
        lines = [self.headers, *(["  ".join(filter(None, cell)) for cell in row] for row in self.cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, self.numeric, strict=True)
            ).rstrip()
            for line in lines
        ]
        return [aligned[0], "-" * max(map(len, aligned)), *aligned[1:], *filter(None, [self.foot])]

    def html(self, caption: str) -> str:
        classes = [' class="num"' if number else "" for number in self.numeric]
        names = zip(self.headers, classes, strict=True)
        head = "".join(f'<th scope="col"{kind}>{_escaped(name)}</th>' for name, kind in names)
        body = "".join(f"<tr>{_row(zip(row, classes, strict=True))}</tr>" for row in self.cells)
        foot = f"<p>{self.foot}</p>" if self.foot else ""
        return (
            f'<table class="result"><caption>{_escaped(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"
        )


def _row(cells: Iterable[tuple[tuple[str, str], str]]) -> str:
    (name, kind), *others = cells
    values = "".join(f"<td{kind}>{_marked(cell)}</td>" for cell, kind in others)
    return f'<th scope="row"{kind}>{_marked(name)}</th>{values}'


def _foot(rows: int) -> str:
    if not rows:
        return "(no rows)"
    return f"and {rows - SHOWN_ROWS} more rows; to_frame() has all" if rows > SHOWN_ROWS else ""


def _header(key: str) -> str:
    return re.sub(r"^n_|_(days|seconds|money|at)$", "", key).replace("_", " ")


def _marked(cell: tuple[str, str]) -> str:
    value, interval = map(_escaped, cell)
    return f'{value}<span class="interval">{interval}</span>' if interval else value


def _escaped(text: str) -> str:
    return html.escape(safe_text(text, limit=2_000))
