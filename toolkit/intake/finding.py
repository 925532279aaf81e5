"""What is said about an input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `check()` says.

    Attributes:
        table: the table it is about.
        text: a phrase that reads on from the table's name.
        n: rows or customers it is about.
        severity: "fatal", "warning" or "note".
    """

    table: str
    text: str
    n: int
    severity: str = "warning"


def many(n: int, noun: str) -> str:
    """A count with its noun: 1 row, 2 rows."""
    return f"{n:,} {noun}{'s' * (n != 1)}"
