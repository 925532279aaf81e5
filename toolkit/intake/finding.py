"""What is said about an input."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.shown import show_number

GROUP = "\u2063"  # between the thousands of a number that the reader's language has yet to write
_COUNTED = re.compile(rf"\d+(?:{GROUP}\d{{3}})+")


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


def counted(n: int) -> str:
    """A count within a finding, which `spoken` writes in the reader's language."""
    return f"{n:,}".replace(",", GROUP)


def many(n: int, noun: str) -> str:
    """A count with its noun: 1 row, 2 rows."""
    return f"{counted(n)} {noun}{'s' * (n != 1)}"


def spoken(text: str, locale: str = "en") -> str:
    """A finding as people read it.

    Example:
        >>> spoken("has " + many(1234, "row")), spoken("has " + many(1234, "row"), "da")
        ('has 1,234 rows', 'has 1.234 rows')
    """
    return _COUNTED.sub(lambda found: show_number(int(found[0].replace(GROUP, "")), "count", locale), text)
