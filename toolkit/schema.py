"""The canonical tables: which columns each has, what they mean, and what a value may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "word", "text", "moment", "number", "money", "whole", "flag", "properties"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a canonical table.

    Attributes:
        kind: what a value is; "word" has few distinct values, "text" is free and stays in the source.
        meaning: one phrase for people.
        required: whether the table is useless without it.
        low, high: smallest and largest value that makes sense, for numbers.
        others: the values allowed, for words with a fixed list.
    """

    kind: Kind
    meaning: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    others: tuple[str, ...] = ()


def _must(kind: Kind, meaning: str, **limits) -> Column:
    return Column(kind, meaning, required=True, **limits)


_CUSTOMER = Column("id", "whom we follow")
_CHANNEL = Column("word", "the medium that carried it: web, app, e-mail, store, phone …")
_TOUCHPOINT = Column("word", "the place or moment it is about")
_CURRENCY = Column("word", "three-letter currency code")
_LANGUAGE = Column("word", "two-letter language code")
SOURCES = ("ticket", "review", "chat", "call", "social", "interview", "usability test", "workshop", "competitor review")

TABLES: dict[str, dict[str, Column]] = {
    "events": {
        "customer_id": _must("id", "whom we follow"),
        "timestamp": _must("moment", "when it happened"),
        "touchpoint": _must("word", "where the customer met us"),
        "channel": _CHANNEL,
        "stage": Column("word", "part of the journey; the catalogue's when left out"),
        "session_id": Column("text", "the source's own session"),
        "device": Column("word", "mobile, desktop, tablet …"),
        "device_id": Column("id", "the browser or app, which may be known before its user is"),
        "campaign": Column("word", "the campaign that brought it"),
        "value": Column("money", "money at stake in the event"),
        "currency": _CURRENCY,
        "properties": Column("properties", "further facts by key, as a struct or JSON"),
    },
    "customers": {
        "customer_id": _must("id", "whom we follow"),
        "joined_at": Column("moment", "when the customer became known"),
        "age_band": Column("word", "age in ranges"),
        "gender": Column("word", "as the customer stated it"),
        "country": Column("word", "two-letter country code"),
        "region": Column("word", "part of the country"),
        "language": _LANGUAGE,
        "consent": Column("word", "what the customer agreed to"),
    },
    "orders": {
        "order_id": _must("id", "one purchase"),
        "timestamp": _must("moment", "when it was placed"),
        "revenue": _must("money", "what the customer paid, tax as the shop counts it"),
        "currency": _must("word", "three-letter currency code"),
        "customer_id": _CUSTOMER,
        "discount": Column("money", "taken off the price", low=0),
        "margin": Column("money", "revenue less the cost of what was sold"),
        "items": Column("whole", "how many pieces"),
        "channel": _CHANNEL,
        "promised_at": Column("moment", "promised delivery"),
        "delivered_at": Column("moment", "actual delivery"),
        "cancelled": Column("flag", "whether it was called off"),
    },
    "order_lines": {
        "order_id": _must("id", "the purchase it belongs to"),
        "product": _must("word", "what was bought"),
        "quantity": _must("number", "how many; negative when returned"),
        "price": _must("money", "price of one"),
        "category": Column("word", "kind of product"),
    },
    "responses": {
        "timestamp": _must("moment", "when the answer came"),
        "instrument": _must("word", "the question asked", others=("nps", "csat", "ces")),
        "score": _must("number", "the answer", low=0, high=10),
        "customer_id": _CUSTOMER,
        "scale": Column("word", "range of the scale, such as 0-10 or 1-5"),
        "comment": Column("text", "the customer's own words"),
        "touchpoint": _TOUCHPOINT,
        "channel": _CHANNEL,
        "language": _LANGUAGE,
    },
    "answers": {
        "question": _must("word", "what was asked"),
        "answer": _must("word", "what was answered"),
        "customer_id": _CUSTOMER,
        "timestamp": Column("moment", "when"),
    },
    "feedback": {
        "feedback_id": _must("id", "one piece of feedback"),
        "timestamp": _must("moment", "when it came in"),
        "source": _must("word", "where it came from", others=SOURCES),
        "text": _must("text", "the customer's own words"),
        "customer_id": _CUSTOMER,
        "channel": _CHANNEL,
        "touchpoint": _TOUCHPOINT,
        "rating": Column("number", "stars given with it", low=0, high=10),
        "language": _LANGUAGE,
        "status": Column("word", "open, pending, solved …"),
        "first_reply_at": Column("moment", "first answer by a person"),
        "resolved_at": Column("moment", "when it was closed"),
    },
    "campaigns": {
        "date": _must("moment", "day the figures are for"),
        "channel": _must("word", "the medium paid for"),
        "campaign": _must("word", "name of the campaign"),
        "cost": _must("money", "what it cost", low=0),
        "currency": _must("word", "three-letter currency code"),
        "touchpoint": _TOUCHPOINT,
        "impressions": Column("whole", "times shown", low=0),
        "clicks": Column("whole", "clicks", low=0),
        "sends": Column("whole", "messages sent", low=0),
        "opens": Column("whole", "messages opened", low=0),
        "conversions": Column("number", "conversions the tool claims", low=0),
    },
    "exposures": {
        "experiment_id": _must("word", "which experiment"),
        "customer_id": _must("id", "whom we follow"),
        "variant": _must("word", "what the customer was given"),
        "exposed_at": _must("moment", "first moment it could be felt"),
    },
    "actions": {
        "action_id": _must("id", "one measure taken"),
        "touchpoint": _must("word", "touchpoint or pain point it is for"),
        "owner": _must("word", "who answers for it"),
        "started_at": _must("moment", "when work began"),
        "finished_at": Column("moment", "when it was in place"),
        "told_at": Column("moment", "when customers were told"),
        "cost": Column("money", "what it cost", low=0),
        "note": Column("text", "what was done"),
    },
}

KNOWN_PROPERTIES: dict[str, Kind] = {
    "load_ms": "number",
    "watched_share": "number",
    "scroll_share": "number",
    "fields": "number",
    "error": "word",
    "query": "word",
    "results": "number",
    "code": "word",
}

#: Tables whose rows belong to a customer, with the column that says when.
KEYED = {
    "events": "timestamp",
    "orders": "timestamp",
    "order_lines": "timestamp",
    "responses": "timestamp",
    "answers": "timestamp",
    "feedback": "timestamp",
    "exposures": "exposed_at",
}

#: Tables whose rows count even when nobody is named: each is a unit of its own.
OWN_UNIT = ("orders", "responses", "answers", "feedback")


def pandera_schema(table: str):
    """The table as a pandera schema, for checking a frame of one's own.

    Args:
        table: name of a canonical table.

    Returns:
        A `pandera.pandas.DataFrameSchema`; further columns are allowed.

    Example:
        >>> sorted(pandera_schema("exposures").columns)
        ['customer_id', 'experiment_id', 'exposed_at', 'variant']
    """
    import pandera.pandas as pa

    from toolkit.errors import one_of

    if table not in TABLES:
        raise one_of("table", table, TABLES)
    return pa.DataFrameSchema({name: _pandera(pa, column) for name, column in TABLES[table].items()}, name=table)


def _pandera(pa, column: Column):
    checks = []
    if column.low is not None:
        checks.append(pa.Check.ge(column.low))
    if column.high is not None:
        checks.append(pa.Check.le(column.high))
    if column.others:
        checks.append(pa.Check.isin(column.others))
    dtype = {"number": float, "money": float, "whole": "Int64", "moment": "datetime64[us, UTC]", "flag": "boolean"}
    return pa.Column(
        dtype.get(column.kind),
        checks,
        nullable=not column.required,
        required=column.required,
        coerce=column.kind in dtype,
        description=column.meaning,
    )
