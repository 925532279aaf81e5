"""What a study holds: whose rows its tables have, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive
from toolkit.errors import MissingData
from toolkit.intake.purchases import FROM_ORDER
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityCounts(Additive):
    """Per table (int64): rows, rows with a customer, different customers, those of them who also have events."""

    rows: np.ndarray
    owned: np.ndarray
    customers: np.ndarray
    met: np.ndarray


def count_identities(part: Part, *, tables: tuple[str, ...]) -> IdentityCounts:
    """Counts whose rows each table has."""
    table = part.table
    came = table[FROM_ORDER] != 1 if FROM_ORDER in table else np.ones(len(table), bool)
    seen = table.per_customer(came) > 0
    sizes = [part.tables[name].sizes for name in tables]
    there = [(size > 0) & part.known for size in sizes]
    return IdentityCounts(
        rows=np.array([size.sum() for size in sizes]),
        owned=np.array([size[part.known].sum() for size in sizes]),
        customers=np.array([mask.sum() for mask in there]),
        met=np.array([(mask & seen).sum() for mask in there]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities(Result):
    """Whose rows the tables have.

    Attributes:
        counts: what was counted.
        tables: their names.
        definition: the card.
    """

    counts: IdentityCounts
    tables: tuple[str, ...]
    definition: Definition

    columns: ClassVar = {
        "n_owned": "with a customer",
        "owned_share": "share of rows",
        "met_share": "customers also in events",
    }

    def rows(self) -> list[dict]:
        """One row per table: rows, those with a customer and their share, customers, share of them also in events."""
        counts = self.counts
        return [
            {
                "table": name,
                "n_rows": int(counts.rows[i]),
                "n_owned": int(counts.owned[i]),
                "owned_share": _share(counts.owned[i], counts.rows[i]),
                "n_customers": int(counts.customers[i]),
                "met_share": _share(counts.met[i], counts.customers[i] if "events" in self.tables else 0),
            }
            for i, name in enumerate(self.tables)
        ]

    def say(self) -> list[str]:
        """How well the tables know each other."""
        others = [row for row in self.rows() if row["table"] != "events" and row["n_customers"]]
        if "events" not in self.tables:
            return ["There are no events in which to meet the customers of the other tables."]
        if not others:
            return ["Only the events name customers."]
        worst = min(others, key=lambda row: row["met_share"])
        if worst["met_share"] == 1:
            listed = ", ".join(row["table"] for row in others)
            return [f"Every customer with rows in {listed} is also seen in the events."]
        share = show_number(worst["met_share"], "rate", self.definition.locale)
        return [
            f"Of the customers in {worst['table']}, {share} are also seen in the events; the other tables meet better."
        ]


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def identities(data: Data) -> Identities:
    """Whose rows the tables have, and whether the same customers appear in the events.

    Args:
        data: the study.

    Returns:
        One row per table whose rows belong to a customer.

    Example:
        >>> import toolkit as tk
        >>> tk.identities(tk.open_data(tk.make_data(50, rng=1))).rows()[0]["owned_share"]
        1.0
    """
    tables = tuple(name for name in data.store.manifest["tables"] if data.store.manifest["input_rows"].get(name))
    card = data.definition("Customers across tables", unit="row, customer", denominator="rows; customers of the table")
    return Identities(counts=run(data, count_identities, tables=tables), tables=tables, definition=card)


EXPORTS = {  # table: (what it allows, the export that brings it)
    "events": (
        "journeys, sessions, funnels, touchpoints",
        "a web analytics, app or tag manager export, one row per event",
    ),
    "customers": ("who they are; breakdowns by attribute", "the CRM's customer list"),
    "orders": ("purchases, revenue, repeat buying, value", "the shop's order export, one row per order"),
    "order_lines": ("what is bought, and together", "the shop's order lines"),
    "responses": ("NPS, CSAT, CES; how it feels", "the survey tool's answers, one row per answer"),
    "answers": ("interests, values, needs for personas", "the survey tool's free questions"),
    "feedback": ("pain points, themes, reply times", "the helpdesk's tickets; reviews; chats"),
    "campaigns": ("cost per conversion, return", "the ad and mail tools' daily reports"),
    "exposures": ("experiments: did the change work", "the test tool's assignments"),
    "actions": ("did it help: before and after", "a list of what was done and when"),
}


def need_events(data: Data, measure: str) -> None:
    """Raises MissingData where the study has no events but the purchases that follow from its orders.

    Example:
        >>> import toolkit as tk
        >>> need_events(tk.open_data(tk.make_data(50, rng=1)), "sessions")
    """
    if not data.store.manifest["input_rows"].get("events"):
        raise MissingData(measure, "events", EXPORTS["events"][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Allows(Result):
    """What can be asked of a study.

    Attributes:
        table_rows: input rows by table that is there.
        definition: the card.
    """

    table_rows: dict[str, int]
    definition: Definition

    columns: ClassVar = {"allows": "what it allows", "export": "brought by"}

    def rows(self) -> list[dict]:
        """One row per canonical table: whether it is there, what it allows, and which export brings it."""
        return [
            {
                "table": name,
                "there": "yes" if self.table_rows.get(name) else "missing",
                "n_rows": self.table_rows.get(name, 0),
                "allows": allows,
                "export": export,
            }
            for name, (allows, export) in EXPORTS.items()
        ]

    def say(self) -> list[str]:
        """How many tables are there, and what the first missing one would bring."""
        rows = self.rows()
        missing = [row for row in rows if row["there"] == "missing"]
        if not missing:
            return [f"All {len(rows)} tables are there: every question can be asked."]
        names = ", ".join(row["table"] for row in missing)
        return [f"{len(rows) - len(missing)} of {len(rows)} tables are there; missing: {names}."]


def allows(data: Data) -> Allows:
    """What each table of the study allows, and which export would bring those that are missing.

    Args:
        data: the study.

    Returns:
        One row per canonical table.

    Example:
        >>> import toolkit as tk
        >>> tk.allows(tk.open_data(tk.make_data(50, rng=1))).say()
        ['All 10 tables are there: every question can be asked.']
    """
    table_rows = {name: info.rows for name, info in data.tables.items()}
    return Allows(table_rows=table_rows, definition=data.definition("What can be asked"))
