"""How a result shows itself: as rows, a frame, text and HTML."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from toolkit.shown import cell_parts, is_number, safe_text, show_cell, show_interval, show_number

__all__ = ["Definition", "Interval", "Result", "safe_text", "show_cell", "show_interval", "show_number"]

SHOWN_ROWS = 60  # rows in a shown table; to_frame() has all of them
PLAIN_STYLE = (  # for pages without the report's style sheet
    "table.result caption{text-align:left;font-weight:600}"
    "table.result th,table.result td{text-align:left;padding:.25em .6em;font-variant-numeric:tabular-nums}"
    "table.result .num{text-align:right;white-space:nowrap}"
    "table.result .interval{display:inline-block;min-width:5.5em;margin-left:.6em;text-align:left;opacity:.7}"
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
    shown_rows: ClassVar[int] = SHOWN_ROWS
    aside: ClassVar[tuple[str, ...]] = ()  # keys that only to_frame() shows

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


class _Column(NamedTuple):
    header: str
    number: bool
    cells: list[tuple[str, str]]  # value, interval

    def text(self) -> list[str]:
        """Header and cells in one width: numbers to the right, and their intervals under one another."""
        value, interval = (max(map(len, part)) for part in zip(*self.cells, strict=True))
        cells = [f"{shown:>{value}}  {between:<{interval}}" if interval else shown for shown, between in self.cells]
        width = max(map(len, [self.header, *cells]))
        return [cell.rjust(width) if self.number else cell.ljust(width) for cell in [self.header, *cells]]

    def html(self, tag: str) -> list[str]:
        """Header and cells; where one cell has an interval the others keep its place."""
        kind = ' class="num"' if self.number else ""
        span = '<span class="interval">{}</span>' if any(interval for _, interval in self.cells) else ""
        cells = [_escaped(value) + span.format(_escaped(interval)) for value, interval in self.cells]
        header = f'<th scope="col"{kind}>{_escaped(self.header)}</th>'
        return [header, *(f"<{tag}{kind}>{cell}</{tag[:2]}>" for cell in cells)]


class _Table(NamedTuple):
    columns: list[_Column]
    foot: str  # says when there are no rows, or more than are shown

    @classmethod
    def of(cls, result: Result) -> _Table:
        rows, card = result.rows(), result.definition
        keys = dict.fromkeys(key for row in rows for key in row)
        merged = [key for key in keys if f"{key}_low" in keys and f"{key}_high" in keys]
        aside = {f"{key}{end}" for key in merged for end in ("_low", "_high")} | {f"{key}_kind" for key in keys}
        aside |= set(result.aside)
        columns = [
            _Column(
                header=safe_text(result.columns.get(key) or _header(key)),
                number=any(is_number(row.get(key)) for row in rows),
                cells=[cell_parts(row, key, card.locale, card.tz) for row in rows[: result.shown_rows]],
            )
            for place, key in enumerate(keys)
            if key not in aside and (place == 0 or any(row.get(key) != "" for row in rows))  # some say nothing
        ]
        more = len(rows) - result.shown_rows
        return cls(
            columns,
            f"and {more} more rows; the notebook has all with to_frame()"
            if more > 0
            else ""
            if columns
            else "(no rows)",
        )

    def text(self) -> list[str]:
        lines = ["  ".join(line).rstrip() for line in zip(*(column.text() for column in self.columns), strict=True)]
        rule = ["-" * max(map(len, lines))] if lines else []
        return [*lines[:1], *rule, *lines[1:], *filter(None, [self.foot])]

    def html(self, caption: str) -> str:
        tags = ['th scope="row"', *["td"] * len(self.columns)]
        columns = [column.html(tag) for column, tag in zip(self.columns, tags, strict=False)]
        head, *body = [f"<tr>{''.join(line)}</tr>" for line in zip(*columns, strict=True)] or [""]
        foot = f"<p>{self.foot}</p>" if self.foot else ""
        return (
            f'<table class="result"><caption>{_escaped(caption)}</caption>'
            f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{foot}"
        )


def _header(key: str) -> str:
    return re.sub(r"^n_|_(days|seconds|money|at)$", "", key).replace("_", " ")


def _escaped(text: str) -> str:
    return html.escape(safe_text(text, limit=2_000))
