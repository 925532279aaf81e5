"""JourneyTable and Part: rows of many customers, sorted by customer and time, each column an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from toolkit.counts import BUCKET_SHIFT


class Columns(Mapping):
    """Columns read when first asked for, so that a measure pays only for what it uses."""

    def __init__(self, readers: Mapping[str, Callable[[], np.ndarray]], keep: np.ndarray | None = None):
        self._readers, self._keep, self._read = dict(readers), keep, {}

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray]) -> Columns:
        """Columns that are at hand already."""
        return cls({name: (lambda values=values: values) for name, values in columns.items()})

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            column = self._readers[name]()
            self._read[name] = column if self._keep is None else column[self._keep]
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def kept(self, keep: np.ndarray) -> Columns:
        """The same columns with only the rows where `keep` is true."""
        return Columns({name: (lambda n=name: self[n]) for name in self}, keep)


@dataclass(frozen=True)
class JourneyTable:
    """Rows sorted by customer and time.

    Attributes:
        offsets: int64, customers + 1; rows of customer i are offsets[i]:offsets[i + 1] (the range may be empty).
        columns: name → array, one value per row; words are codes into the study's vocabulary (−1 = unknown), moments
            int64 UTC µs, money int64 minor units, numbers float64 (NaN = unknown).
    """

    offsets: np.ndarray
    columns: Columns = field(repr=False)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @property
    def time(self) -> np.ndarray:
        """int64 UTC µs per row, ascending within a customer."""
        return self.columns["timestamp"]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Rows of each customer."""
        return np.diff(self.offsets)

    @cached_property
    def customer(self) -> np.ndarray:
        """int32 position of each row's customer."""
        return np.repeat(np.arange(len(self.sizes), dtype=np.int32), self.sizes)

    @cached_property
    def first(self) -> np.ndarray:
        """Whether a row is its customer's first."""
        mark = np.zeros(len(self), bool)
        mark[self.offsets[:-1][self.sizes > 0]] = True
        return mark

    @cached_property
    def moment(self) -> np.ndarray:
        """int64 number of each row's moment: rows of one customer at one time share it, and it only grows."""
        new = self.first.copy()
        new[1:] |= np.diff(self.time) != 0
        return np.cumsum(new)

    def per_customer(self, values: np.ndarray) -> np.ndarray:
        """Sums whole numbers or flags per customer (int64), customers without rows included as 0."""
        running = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
        return running[self.offsets[1:]] - running[self.offsets[:-1]]

    def last_before(self, position: np.ndarray, time: np.ndarray, *, inclusive: bool = True) -> np.ndarray:
        """The customer's last row at or before each moment: a binary search inside the customer's own rows.

        Args:
            position: customer of each question.
            time: int64 UTC µs of each question.
            inclusive: whether a row at exactly that moment counts.

        Returns:
            int64 row index per question, −1 where there is none.
        """
        low, start = self.offsets[position].copy(), self.offsets[position]
        high = self.offsets[np.asarray(position) + 1].copy()
        clock = self.time
        while (open_ := low < high).any():
            middle = (low + high) // 2
            seen = clock[np.where(open_, middle, 0)]
            before = (seen <= time) if inclusive else (seen < time)
            low = np.where(open_ & before, middle + 1, low)
            high = np.where(open_ & ~before, middle, high)
        return np.where(low > start, low - 1, -1)

    def kept(self, keep: np.ndarray) -> JourneyTable:
        """Only the rows where `keep` is true; the customers stay."""
        running = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
        return JourneyTable(running[self.offsets], self.columns.kept(keep))

    def of(self, customers: np.ndarray) -> JourneyTable:
        """Only the customers where the mask is true, with their rows."""
        offsets = np.concatenate(([0], np.cumsum(self.sizes[customers], dtype=np.int64)))
        return JourneyTable(offsets, self.columns.kept(np.repeat(customers, self.sizes)))


@dataclass(frozen=True)
class Part:
    """Some customers with everything that is known about them; what a count function is given.

    Attributes:
        hashes: uint64 per customer.
        known: whether a customer has an id; rows without one are units of their own and no customers.
        tables: rows by table name; absent tables are empty.
        attributes: columns of the customers table, one value per customer (code −1 or NaN where unknown).
        vocabularies: words of each encoded column, by "table.column".
        period: first and last moment (UTC µs; last excluded) of a measure's anchor.
        observed_until: UTC µs up to which the study was observed.
    """

    hashes: np.ndarray
    known: np.ndarray
    tables: Mapping[str, JourneyTable]
    attributes: Columns
    vocabularies: Mapping[str, tuple[str, ...]]
    period: tuple[int, int]
    observed_until: int

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def table(self) -> JourneyTable:
        """The events."""
        return self.tables["events"]

    @cached_property
    def bucket(self) -> np.ndarray:
        """int64 bucket of each customer, 0–1023."""
        return (self.hashes >> BUCKET_SHIFT).astype(np.int64)

    def words(self, column: str, table: str = "events") -> tuple[str, ...]:
        """The study's vocabulary of a column (empty when the column is absent)."""
        return self.vocabularies.get(f"{table}.{column}", ())

    def anchored(self, time: np.ndarray) -> np.ndarray:
        """Whether each moment lies in the period asked for."""
        return (time >= self.period[0]) & (time < self.period[1])

    def of(self, customers: np.ndarray) -> Part:
        """Only the customers where the mask is true."""
        tables = {name: table.of(customers) for name, table in self.tables.items()}
        kept = self.attributes.kept(customers)
        return replace(self, hashes=self.hashes[customers], known=self.known[customers], tables=tables, attributes=kept)
