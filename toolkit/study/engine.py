"""Runs a count over the partitions of a study, and adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from toolkit.counts import BUCKETS, Additive
from toolkit.errors import UsageError
from toolkit.study.table import Columns, JourneyTable, Part

if TYPE_CHECKING:
    from toolkit.study.data import Data

SLICE = 700_000  # events counted at a time: fits the processor's caches, and bounds memory
AT_ONCE = 8  # counts held before they are added up

C = TypeVar("C", bound=Additive)


def run(data: Data, count: Callable[..., C], *, partitions: int = 1, **settings: Any) -> C:
    """Counts every customer, slice by slice, and adds the counts.

    Args:
        data: the study, or a view of it.
        count: `count(part, **settings)`, a pure function of one partition.
        partitions: into how many ranges of whole buckets the customers are split, 1–1,024; any number gives the same.
        **settings: passed on to `count`.

    Returns:
        The counts of all customers.
    """
    done: list[C] = []
    for part in parts(data, partitions):
        done.append(count(part, **settings))
        if len(done) == AT_ONCE:
            done = [type(done[0]).sum(done)]
    return type(done[0]).sum(done)


def collect(data: Data, rows: Callable[..., dict[str, np.ndarray]], *, partitions: int = 1, **settings: Any) -> dict:
    """Rows per customer, for what is no count: features, assignments, samples.

    Args:
        data: the study, or a view of it.
        rows: `rows(part, **settings)` → name → array.
        partitions: as for `run`.
        **settings: passed on to `rows`.

    Returns:
        name → array over all customers, in the study's order.
    """
    found = [rows(part, **settings) for part in parts(data, partitions)]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def parts(data: Data, partitions: int = 1) -> Iterator[Part]:
    """The partitions of a study one after the other, each in slices of whole buckets."""
    if not 1 <= partitions <= BUCKETS:
        raise UsageError(f"partitions is {partitions}; give a whole number from 1 to {BUCKETS:,}.")
    for low, high in pairwise(np.linspace(0, BUCKETS, partitions + 1).astype(int)):
        for first, last in _slices(data, int(low), int(high)):
            yield part(data, first, last)


def _slices(data: Data, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Cuts a range of buckets so that each slice holds about `SLICE` events."""
    rows = data.store.rows_before_bucket
    first = low
    for bucket in range(low + 1, high + 1):
        if bucket == high or rows[bucket + 1] - rows[first] > SLICE:
            yield first, bucket
            first = bucket


def part(data: Data, low: int, high: int) -> Part:
    """The customers of buckets low … high − 1 as the view shows them."""
    store, view = data.store, data.view
    start, stop = (int(store.bucket_starts[bucket]) for bucket in (low, high))
    readers = {
        name: (lambda n=f"customers.{name}", d=dtype: store.read(n, d, start, stop))
        for name, dtype in store.manifest.get("attributes", {}).items()
    }
    readers |= {name: (lambda codes=codes: codes[start:stop]) for name, (codes, _) in view.labels.items()}
    whole = Part(
        hashes=store.read("hash", "u8", start, stop),
        known=store.read("known", "?", start, stop),
        tables={name: _table(data, name, start, stop) for name in store.manifest["tables"]},
        attributes=Columns(readers),
        vocabularies=data.vocabularies,
        period=view.period,
        observed_until=data.observed_until,
    )
    return whole if view.chosen is None else whole.of(view.chosen[start:stop])


def _table(data: Data, name: str, start: int, stop: int) -> JourneyTable:
    store, facts = data.store, data.store.manifest["tables"][name]
    offsets = store.read(f"{name}.offsets", "i8", start, stop + 1)
    first, last = int(offsets[0]), int(offsets[-1])
    readers = {
        ("timestamp" if column == "time" else column): (
            lambda n=f"{name}.{column}", d=dtype: store.read(n, d, first, last)
        )
        for column, dtype in facts["columns"].items()
    }
    table = JourneyTable(offsets - first, Columns(readers))
    if facts["future"] or (facts["high"] or 0) > data.observed_until:
        table = table.kept(table.time <= data.observed_until)
    if name == "events":
        for column, codes in data.view.only:
            table = table.kept(np.isin(table[column], codes))
    return table
