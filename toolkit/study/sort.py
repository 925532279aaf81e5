"""Rows streamed in any order → columns on disk, sorted by customer, time and input row, in bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

ROWS_AT_ONCE = 700_000  # rows sorted in memory at a time
UNKNOWN = np.iinfo(np.int64).min  # an absent moment or amount


def path_of(folder: Path, name: str) -> Path:
    """The file of a column such as "events.channel"; a name that is none for a file is replaced by its hash."""
    plain = re.fullmatch(r"[\w.]{1,80}", name, re.ASCII)
    return folder / f"{name if plain else hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}.bin"


class Sorter:
    """Scatters rows by customer position into scratch files, then sorts each file and appends its columns.

    Args:
        folder: where the columns go, one file `<table>.<column>.bin` each.
        table: name of the table.
        dtypes: column → NumPy type; `pos`, `time` and `row` are added.
        customers: how many positions there are.
        rows: about how many rows will come.
    """

    def __init__(self, folder: Path, table: str, dtypes: dict[str, str], customers: int, rows: int):
        self.folder, self.table, self.dtypes, self.customers = folder, table, dtypes, customers
        self.record = np.dtype([("pos", "i4"), ("time", "i8"), ("row", "i8"), *dtypes.items()])
        self.groups = max(1, min(512, -(-rows // ROWS_AT_ONCE)))
        self.scratch = [folder / f"{table}.{i}.scratch" for i in range(self.groups)]

    def scatter(self, batches: Iterable) -> None:
        """Takes record batches with the columns pos, time, row and each of `dtypes`."""
        with ExitStack() as open_:
            handles = [open_.enter_context(path.open("wb")) for path in self.scratch]
            for batch in batches:
                records = np.empty(batch.num_rows, self.record)
                for name in self.record.names:
                    records[name] = batch.column(name).to_numpy(zero_copy_only=False)
                group = records["pos"].astype(np.int64) * self.groups // max(self.customers, 1)
                if self.groups > 1:
                    records = records.take(np.argsort(group.astype(np.uint16), kind="stable"))
                ends = np.cumsum(np.bincount(group, minlength=self.groups))
                for i, handle in enumerate(handles):
                    records[ends[i - 1] if i else 0 : ends[i]].tofile(handle)

    def gather(self) -> dict[str, int]:
        """Sorts and writes the columns and `<table>.offsets.bin`.

        Returns:
            Counts of what was seen on the way: `rows`, `ties` (rows at the moment of the one before), `doubles` (rows
            that repeat the one before in every column).
        """
        names = ["time", *self.dtypes]
        paths = {name: path_of(self.folder, f"{self.table}.{name}") for name in names}
        sizes = np.zeros(self.customers, np.int64)
        seen = {"rows": 0, "ties": 0, "doubles": 0}
        with ExitStack() as open_:
            handles = {name: open_.enter_context(path.open("wb")) for name, path in paths.items()}
            for scratch in self.scratch:
                records = np.fromfile(scratch, self.record)
                scratch.unlink()
                columns = _sorted(records)
                sizes += np.bincount(columns["pos"], minlength=self.customers)
                for name, handle in handles.items():
                    columns[name].tofile(handle)
                for key, n in _repeats(columns, self.dtypes).items():
                    seen[key] += n
        np.concatenate(([0], np.cumsum(sizes))).tofile(path_of(self.folder, f"{self.table}.offsets"))
        return seen


def _sorted(records: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of the records by (customer, time, input row)."""
    position, time, row = (np.ascontiguousarray(records[name]) for name in ("pos", "time", "row"))
    order = np.argsort(row, kind="stable")  # stable sorts are quick on rows that come in runs
    if (np.diff(time.take(order)) < 0).any():
        order = order.take(np.argsort(time.take(order), kind="stable"))
    width = len(records).bit_length()
    key = position.take(order).astype(np.int64) << width | np.arange(len(records))  # a customer and a row, no time
    key.sort()
    ordered = records.take(order.take(key & ((1 << width) - 1)))
    return {name: np.ascontiguousarray(ordered[name]) for name in records.dtype.names}


def _repeats(columns: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, int]:
    same = (np.diff(columns["pos"]) == 0) & (np.diff(columns["time"]) == 0)
    double = same.copy()
    for name in names:
        value = columns[name]
        equal = value[1:] == value[:-1]
        if value.dtype.kind == "f":
            equal |= np.isnan(value[1:]) & np.isnan(value[:-1])
        double &= equal
    return {"rows": len(columns["pos"]), "ties": int(same.sum()), "doubles": int(double.sum())}
