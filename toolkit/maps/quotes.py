"""A lane of customers' own words, shown only when asked for."""

from __future__ import annotations

import hashlib

from toolkit.maps.lanes import ASSUMED, TOO_FEW, Cell, Lane, plain
from toolkit.maps.placing import LETTERS, Columns
from toolkit.privacy import masked
from toolkit.study.data import Data

SHORTEST, SHOWN = 15, 90  # characters of a text worth quoting, and of what is shown of it
TEXTS = {"feedback": "text", "responses": "comment"}


def quotes_lane(data: Data, columns: Columns) -> Lane:
    """One masked, short text per stage, where enough people wrote about a touchpoint of it."""
    said = [text for table, column in TEXTS.items() for text in _texts(data, table, column, columns)]
    cells = (_cell([pair for at, *pair in said if at == stage], data.small_cells) for stage in columns.stages)
    return Lane(name="quotes", hint="drawn by lot, masked", cells=tuple(cells))


def _texts(data: Data, table: str, column: str, columns: Columns) -> list[tuple[str, str, str]]:
    """Stage, who wrote, and text; a row without a customer is somebody of its own."""
    info, at = data.tables.get(table), columns.elsewhere(data, table)
    if info is None or not {column, "touchpoint"} <= {*info.columns}:
        return []
    frame = data.frame(table)
    frame = frame[frame["source"].isin(LETTERS)] if "source" in frame else frame
    frame = frame[frame[column].str.len() >= SHORTEST]
    stage, who = frame["touchpoint"].map(at), frame["customer_id"]
    who = who.where(who.notna(), [f"{table} {row}" for row in frame.index])
    return list(zip(stage, who, frame[column], strict=True))


def _cell(said: list[list[str]], least: int) -> Cell:
    people = len({who for who, _ in said})
    if people < max(least, 1):
        return TOO_FEW if said else Cell(("nothing was written",), grade=ASSUMED)
    drawn = min((text for _, text in said), key=lambda text: hashlib.md5(text.encode("utf-8", "replace")).digest())
    return Cell((f"“{plain(masked(drawn), SHOWN)}”",), n=people)
