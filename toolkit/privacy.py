"""What leaves the house says nothing about one person: small cells, safe text, pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from contextlib import suppress as suppressing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toolkit.errors import UsageError
from toolkit.shown import safe_text

__all__ = ["Pseudonyms", "masked", "safe_cell", "safe_text", "suppress"]

KEY_FILE = "pseudonyms.key"
TOKEN = 10  # hex digits, 40 bits: among a million customers the chance that any two share a name is a third

_PLAIN_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*([eE][-+]?\d+)?\s?%?")
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
_DATE = r"(?:19|20)\d\d-[01]\d-[0-3]\d(?![-./]?\d)|[0-3]?\d[./-][01]?\d[./-](?:19|20)\d\d(?![-./]?\d)"
_PERSONAL = re.compile(  # every part is bounded: hostile text costs no more than any other
    r"(?P<url>(?:(?:https?://|www\.)\S+|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}/\S*)(?<![.,;:!?)\]]))"
    r"|(?P<email>[^\s@<>()\[\],;:\"]{1,64}@[^\s@<>()\[\],;:\"]{1,255}(?<![.!?']))"
    rf"|(?<!\d)(?P<date>{_DATE})"
    r"|(?<!\d)(?P<number>\d{6,8}[-+]\d{4}(?!\d)|\d{4}(?:[ -]\d{4}){3}(?!\d)|\d{6,}+(?![ \u00a0.\-/()]{1,2}\d))"
    r"|(?<!\d)(?P<phone>\+?\(?\d(?:[ \u00a0.\-/()]{0,2}\d){6,})",
    re.IGNORECASE,
)
_MASKS = {"url": "[link]", "email": "[e-mail]", "number": "[number]", "phone": "[phone]"}


def suppress(n, limit: int = 5) -> np.ndarray:
    """The groups to hide so that no group of 1 to limit − 1 people can be read, nor worked out from a total.

    Args:
        n: sizes of groups that add up to a total people know; a table if they know the totals of its rows and
            columns. A total below the limit must itself be hidden by the caller.
        limit: the smallest size that may be shown, > 0.

    Returns:
        True for each cell to hide, in the shape of n. Beside the small ones the next smallest are hidden, until
        those hidden in a sum are at least two, hold at least limit people, and none follows from the totals.
        Groups of nobody stay in sight while others can be hidden.

    Raises:
        UsageError: when a size is negative or not whole, or n has more than two dimensions.

    Example:
        >>> suppress([120, 3, 45, 8])
        array([False,  True, False,  True])
    """
    n = np.asarray(n)
    if n.ndim not in (1, 2) or not (np.all(n >= 0) and np.all(n % 1 == 0)):
        raise UsageError("n must be a vector or a table of group sizes; give whole numbers, 0 or more.")
    hidden = (n > 0) & (n < limit)
    if n.ndim == 1 or 1 in n.shape:  # beside a single cell its total would be the cell itself
        _cover(n.ravel(), hidden.reshape(-1), limit)
    else:
        _cover_both_ways(n, hidden, limit)
    return hidden


def _cover(n: np.ndarray, hidden: np.ndarray, limit: int) -> None:
    while hidden.any() and (hidden.sum() < 2 or n[hidden].sum() < limit) and _hide_next(n, hidden):
        pass


def _hide_next(n: np.ndarray, hidden: np.ndarray) -> bool:
    """Hide the smallest in sight, empty groups last; False when all are hidden already."""
    seen = np.flatnonzero(~hidden)
    if seen.size:
        hidden[min(seen, key=lambda cell: (n[cell] == 0, n[cell]))] = True
    return bool(seen.size)


def _cover_both_ways(n: np.ndarray, hidden: np.ndarray, limit: int) -> None:
    before = -1
    while before != (before := hidden.sum()):
        for line, mask in [*zip(n, hidden, strict=True), *zip(n.T, hidden.T, strict=True)]:
            _cover(line, mask, limit)
        for row, column in _worked_out(hidden):
            _hide_next(n[row], hidden[row]) or _hide_next(n[:, column], hidden[:, column])


def _worked_out(hidden: np.ndarray) -> np.ndarray:
    """The hidden cells that follow from the totals and the cells in sight: those no change can leave untouched."""
    cells = np.argwhere(hidden)
    sums = np.zeros((sum(hidden.shape), len(cells)))
    sums[cells[:, 0], np.arange(len(cells))] = sums[hidden.shape[0] + cells[:, 1], np.arange(len(cells))] = 1
    known = np.einsum("ij,ji->i", np.linalg.pinv(sums), sums)  # 1 where the equations fix the cell
    return cells[np.isclose(known, 1)]


def safe_cell(value: object) -> object:
    """A value that a spreadsheet will show and not run.

    Args:
        value: numbers, and text that reads as a number, pass untouched.

    Returns:
        The value; text that would start a formula gets a leading apostrophe.

    Example:
        >>> safe_cell("=HYPERLINK(A1)"), safe_cell("-4.5 %"), safe_cell(-4.5), safe_cell("cart")
        ("'=HYPERLINK(A1)", '-4.5 %', -4.5, 'cart')
    """
    if not isinstance(value, str) or _PLAIN_NUMBER.fullmatch(value) or not _FORMULA.match(value):
        return value
    return "'" + value


def masked(text: str) -> str:
    """Free text without e-mail addresses, links, phone numbers and long numbers; dates stay.

    Args:
        text: what a customer wrote.

    Returns:
        The text with [e-mail], [link], [phone], [number] in their place. Names stay: this is a net, not a wall.

    Example:
        >>> masked("Write to mette@example.dk or +45 12 34 56 78 about order 536365 of 2026-03-01")
        'Write to [e-mail] or [phone] about order [number] of 2026-03-01'
    """
    return _PERSONAL.sub(lambda found: _MASKS.get(found.lastgroup, found[0]), text)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Short names for customers that only the owner of the key can lead back.

    Args:
        key: secret bytes, 16 or more.
        unit: what a name stands for; names of different units have nothing in common.

    Method:
        HMAC-SHA256 of the id (RFC 2104), cut to 40 bits.

    Example:
        >>> names = Pseudonyms(b"kept beside the study")
        >>> names.token("c-17") == names.token("c-17") != names.token("c-18")
        True
        >>> names.back(names.token("c-17"), ["c-16", "c-17", "c-18"])
        'c-17'
    """

    key: bytes = field(repr=False)
    unit: str = "customer"

    def __post_init__(self) -> None:
        if len(self.key) < 16:
            raise UsageError(f"key has {len(self.key)} bytes; give 16 or more that nobody can guess.")

    @classmethod
    def beside(cls, folder: str | os.PathLike, unit: str = "customer") -> Pseudonyms:
        """The names of the study in a folder; the key is made on first use, readable by its owner only.

        Raises:
            UsageError: when the folder has no key and none can be written there, or the key is damaged.
        """
        path = Path(folder, KEY_FILE)
        if not path.exists():
            _write_once(path, secrets.token_hex(32))
        if path.stat().st_mode & 0o077:  # copied by hand
            with suppressing(PermissionError):  # then it is another person's file
                path.chmod(0o600)
        try:
            return cls(bytes.fromhex(path.read_text("ascii")), unit)
        except ValueError:
            raise UsageError(f"{path} is damaged; restore it, or remove it and all pseudonyms change.") from None

    def token(self, customer_id: str) -> str:
        """The short name of an id, such as "customer 7F3A09B2C4"."""
        message = f"{self.unit}\0{customer_id}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self.key, message, hashlib.sha256).hexdigest()
        return f"{self.unit} {digest[:TOKEN].upper()}"

    def back(self, token: str, ids: Iterable[str]) -> str:
        """The id behind a name, sought among ids.

        Raises:
            UsageError: when none of the ids, or more than one, has that name.
        """
        found = [customer_id for customer_id in ids if self.token(customer_id) == token]
        if len(found) != 1:
            raise UsageError(
                f"{token!r} is the name of {len(found)} of these ids; are they, and the key, this study's?"
            )
        return found[0]


def _write_once(path: Path, text: str) -> None:
    """Write a file that is whole from the first moment; of two processes, the first one's stays."""
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # mkstemp gives mode 0600
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); name a folder that can.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
