"""Columns that a table lacks, and those that may be meant."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from toolkit.schema import TABLES

_ALSO = {
    "customer_id": ("user_id", "client_id", "user_pseudo_id", "customer", "distinct_id", "email", "id"),
    "timestamp": ("event_time", "time", "date", "datetime", "created_at", "event_timestamp", "occurred_at"),
    "touchpoint": ("event", "event_name", "page", "action", "name", "activity"),
    "revenue": ("total", "amount", "net_sales", "price", "order_value"),
    "order_id": ("id", "invoice", "order", "order_number", "InvoiceNo"),
}


def what_is_missing(table: str, types: Mapping[str, tuple[str, str]], currency: str | None) -> str:
    """What a table lacks, as a sentence; "" when it has all it needs.

    Args:
        table: its name.
        types: its columns as we call them → (as they call it, type).
        currency: the currency of amounts that name none.
    """
    given = {*types, *(["currency"] if currency else [])}
    missing = [name for name, column in TABLES[table].items() if column.required and name not in given]
    if not missing:
        return ""
    have = {theirs for theirs, _ in types.values()}
    guesses = {name: get_close_matches(name, have, 1, 0.5) or _likely(name, have) for name in missing}
    said = [f"'{n}'" + (f" (did you mean '{g[0]}'?)" if g else "") for n, g in guesses.items()]
    renames = ", ".join(f'"{g[0]}": "{n}"' for n, g in guesses.items() if g) or '"their name": "our name"'
    typed = " ".join(f"--column {g[0]}={n}" for n, g in guesses.items() if g) or "--column theirs=ours"
    extra = ", or give currency= (--currency)" if "currency" in missing else ""
    return (
        f"lacks {', '.join(said)}; its columns are {', '.join(sorted(have)) or 'none'}. "
        f"Rename with columns={{{renames}}}, on the command line {typed}{extra}."
    )


def _likely(name: str, have: set[str]) -> list[str]:
    lower = {column.casefold(): column for column in have}
    return [lower[other.casefold()] for other in _ALSO.get(name, ()) if other.casefold() in lower][:1]
