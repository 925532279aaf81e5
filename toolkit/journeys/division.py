"""How customers divide by an attribute."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toolkit.counts import Additive
from toolkit.errors import MissingData, one_of
from toolkit.privacy import suppress
from toolkit.results import Definition, Result
from toolkit.schema import TABLES
from toolkit.shown import show_number
from toolkit.stats.shares import wilson
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionCounts(Additive):
    """Customers per value of an attribute (int64); the last: unknown."""

    customers: np.ndarray


def count_division(part: Part, *, attribute: str) -> DivisionCounts:
    """Counts customers by an attribute."""
    size = len(part.words(attribute, "customers"))
    codes = part.attributes[attribute][part.known]
    return DivisionCounts(customers=np.bincount(np.where(codes < 0, size, codes), minlength=size + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Division(Result):
    """How customers divide by an attribute.

    Attributes:
        counts: what was counted.
        attribute: its name.
        words: its values; the counts have one more, the unknown.
        small_cells: smaller groups are not shown.
        definition: the card.
    """

    counts: DivisionCounts
    attribute: str
    words: tuple[str, ...]
    small_cells: int
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per value, largest first: customers and their share with interval."""
        n = self.counts.customers
        hidden, total = suppress(n, self.small_cells), int(n.sum())
        low, high = wilson(n, np.full(len(n), total))
        rows = [
            {
                self.attribute: [*self.words, "(unknown)"][i],
                "n_customers": int(n[i]),
                "customer_share": float(n[i] / total),
                "customer_share_low": float(low[i]),
                "customer_share_high": float(high[i]),
            }
            for i in np.flatnonzero((n > 0) & ~hidden)
        ]
        return sorted(rows, key=lambda row: -row["n_customers"])

    def say(self) -> list[str]:
        """The largest group."""
        rows = self.rows()
        if not rows:
            return [f"No value of {self.attribute} is shared by enough customers to be shown."]
        share = show_number(rows[0]["customer_share"], "rate", self.definition.locale)
        return [f"{share} of the customers have {self.attribute} {rows[0][self.attribute]}."]


def division(data: Data, attribute: str) -> Division:
    """How customers divide by an attribute, such as consent, country or age_band.

    Args:
        data: the study.
        attribute: a column of the customers table that holds words, or a label.

    Returns:
        One row per value that enough customers share.

    Raises:
        MissingData: the study has no customers table.
        UsageError: it has no such attribute.

    Example:
        >>> import toolkit as tk
        >>> len(tk.division(tk.open_data(tk.make_data(200, rng=1)), "country").rows()) > 1
        True
    """
    known = [name.split(".", 1)[1] for name in data.vocabularies if name.startswith("customers.")]
    if attribute not in known and (not known or attribute in TABLES["customers"]):
        raise MissingData(f"Customers by {attribute}", f"customers with {attribute}", "the CRM's customer export")
    if attribute not in known:
        raise one_of("attribute", attribute, known)
    return Division(
        counts=run(data, count_division, attribute=attribute),
        attribute=attribute,
        words=data.vocabulary(attribute, "customers"),
        small_cells=data.small_cells,
        definition=replace(
            data.definition(f"Customers by {attribute}", unit="customer", denominator="customers with an id"),
            period="not limited: all customers of the study",
        ),
    )
