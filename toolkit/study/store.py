"""The store: canonical tables read, encoded, sorted and split once, then kept in a cache folder."""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.catalogue import Catalogue
from toolkit.counts import BUCKETS
from toolkit.errors import DataError, raise_all
from toolkit.schema import KEYED
from toolkit.study.normal import OWN, Finding, Normal, Normaliser, Reading
from toolkit.study.purchases import with_orders
from toolkit.study.sort import UNKNOWN, Sorter
from toolkit.study.sources import Source, as_parquet, named, quoted

VERSION = 1  # of the files; another version is another cache entry
MEMORY = "250MB"
MOST_TOUCHPOINTS = 1_000  # rarer ones are put together: a transition table has their number squared
MOST_WORDS = 32_000
OTHERS = "(other touchpoints)"
DTYPES = {"moment": "i8", "money": "i8", "word": "i2", "number": "f8", "whole": "f8", "flag": "i1"}


def connect(folder: Path):
    """A DuckDB connection that stays within `MEMORY` and spills into `folder`."""
    import duckdb

    return duckdb.connect(config={"memory_limit": MEMORY, "threads": 2, "temp_directory": str(folder / "spill")})


def build(sources: Mapping[str, Source], reading: Reading, catalogue: Catalogue, folder: Path) -> None:
    """Builds a store in an empty folder; `manifest.json` is written last.

    Raises:
        DataError: the input cannot be used (every reason), or the disk is full.
    """
    import duckdb

    try:
        _Builder(sources, reading, catalogue, folder).build()
    except (OSError, duckdb.Error) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "space" in str(error).lower()
        if not full:
            raise
        free = shutil.disk_usage(folder).free / 1e9
        raise DataError(
            f"The disk ran full while the data was sorted ({free:.1f} GB free in {folder}). Free some space, or name "
            "another folder in the environment variable JOURNEY_CACHE."
        ) from None


class _Builder:
    def __init__(self, sources, reading: Reading, catalogue: Catalogue, folder: Path):
        self.reading, self.catalogue, self.folder = reading, catalogue, folder
        self.con = connect(folder)
        self.sources = sources
        self.findings: list[Finding] = []
        self.manifest: dict[str, Any] = {"version": VERSION, "tables": {}, "vocabularies": {}, "common": {}}

    def build(self) -> None:
        tables = self._read()
        self.manifest["frames"] = {name: normal.sql for name, normal in tables.items()}
        self.manifest["kinds"] = {name: normal.kinds for name, normal in tables.items()}
        self.manifest["input_rows"] = {name: normal.rows for name, normal in tables.items()}
        self.manifest["assumed_tz"] = any(normal.assumed_tz for normal in tables.values())
        self.manifest["built_at"] = int(time.time() * 1_000_000)
        tables = self._with_purchases(tables)
        for name, normal in tables.items():
            self.con.execute(f"create temp view t_{name} as {normal.sql}").fetchall()
        self._customers(tables)
        keyed = [name for name in KEYED if name in tables]
        for name in keyed:
            self._table(name, tables[name])
        if "customers" in tables:
            self._attributes(tables["customers"])
        for normal in tables.values():
            self.findings += normal.findings
        self.manifest["findings"] = [asdict(finding) for finding in self.findings]
        self.con.close()
        shutil.rmtree(self.folder / "spill", ignore_errors=True)
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))

    def _read(self) -> dict[str, Normal]:
        normalisers, problems = {}, []
        for name, source in self.sources.items():
            try:
                files = as_parquet(source, self.folder, self.con)
                normalisers[name] = Normaliser(self.con, name, files, self.reading)
            except DataError as error:
                problems += error.problems
        text_ids = not all(normaliser.whole_ids() for normaliser in normalisers.values())
        tables = {name: normaliser.done(text_ids=text_ids) for name, normaliser in normalisers.items()}
        problems += [sentence for normal in tables.values() for sentence in normal.fatal()]
        raise_all(DataError, problems)
        if not any(tables[name].rows for name in ("events", "orders") if name in tables):
            raise DataError(
                "There are no events and no orders: the tables have a header and no rows. Export them again."
            )
        needed = 150 * sum(normal.rows for normal in tables.values())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            text = f"Sorting needs about {needed / 1e9:.1f} GB in {self.folder}, and {free / 1e9:.1f} GB are free."
            raise DataError(
                f"{text} Free some space, or name another folder in the environment variable JOURNEY_CACHE."
            )
        return tables

    def _with_purchases(self, tables: dict[str, Normal]) -> dict[str, Normal]:
        tables = dict(tables)
        if "order_lines" in tables:
            tables["order_lines"] = self._lines(tables["order_lines"], tables.get("orders"))
        if "orders" in tables:
            orders, events = tables["orders"], tables.get("events")
            self._one_row_each(orders, "order_id")
            names = self._purchase_names(events) if events else []
            tables["events"] = with_orders(self.con, events, orders, names)
        return tables

    def _purchase_names(self, events: Normal) -> list[str]:
        found = self.con.execute(f"select distinct touchpoint from ({events.sql})").fetchall()
        return self.catalogue.names_with_role("purchase", sorted(name for (name,) in found))

    def _one_row_each(self, normal: Normal, key: str) -> None:
        """Keeps the first row of each key, and says so when there were more."""
        seen = self.con.execute(f"select count(*) - count(distinct {key}) from ({normal.sql})").fetchall()[0][0]
        if seen:
            normal.sql = f"select * from ({normal.sql}) qualify row_number() over (partition by {key} order by row) = 1"
            text = f"has {seen:,} rows that repeat a {key}; the first of each was kept"
            normal.findings.append(Finding(normal.table, text, seen))

    def _lines(self, lines: Normal, orders: Normal | None) -> Normal:
        """Order lines take customer, time and currency from their order."""
        if orders is None:
            lines.findings.append(Finding("order_lines", "came without orders and could not be used", lines.rows))
            lines.sql = f"select *, null::bigint as timestamp from ({lines.sql}) where false"
            return lines
        lost = self.con.execute(
            f"select count(*) from ({lines.sql}) where order_id not in (select order_id from ({orders.sql}))"
        ).fetchall()[0][0]
        if lost:
            lines.findings.append(Finding("order_lines", "has rows whose order is missing; they were left out", lost))
        lines.sql = (
            f"select l.* replace (o.customer as customer), o.timestamp, o.currency from ({lines.sql}) l join "
            f"(select distinct on (order_id) order_id, customer, timestamp, currency from ({orders.sql}) "
            "order by order_id, row) o using (order_id)"
        )
        lines.kinds |= {"timestamp": "moment", "currency": "word"}
        return lines

    def _customers(self, tables: dict[str, Normal]) -> None:
        """One position per customer of any table, by (hash, id)."""
        named_in = [name for name in ("customers", *KEYED) if name in tables and name != "order_lines"]
        every = " union all ".join(f"select customer from t_{name}" for name in named_in)
        self.con.execute(
            f"""create temp table cust as select customer, hash, (row_number() over (order by hash, customer) - 1)::int
            as pos from (select customer, ('0x' || left(md5(customer::varchar), 16))::ubigint as hash
            from (select distinct customer from ({every})) where customer is not null)"""
        ).fetchall()
        ids = self.con.sql(
            f"select customer::varchar as customer, hash, customer::varchar not like {quoted(OWN + '%')} as known from cust order by pos"
        ).to_arrow_table()
        hashes, known = (ids.column(name).to_numpy(zero_copy_only=False) for name in ("hash", "known"))
        hashes.tofile(self.folder / "hash.bin")
        known.tofile(self.folder / "known.bin")
        starts = np.searchsorted(hashes >> np.uint64(54), np.arange(BUCKETS + 1, dtype=np.uint64))
        starts.astype(np.int64).tofile(self.folder / "buckets.bin")
        import pyarrow.parquet as pq

        pq.write_table(ids.select(["customer"]), self.folder / "ids.parquet")
        self.customers = len(hashes)
        self.manifest |= {"positions": len(hashes), "customers": int(known.sum())}
        self._strangers(tables, named_in)

    def _strangers(self, tables: dict[str, Normal], named_in: list[str]) -> None:
        for name in named_in:
            if name == "events" or "events" not in tables:
                continue
            all_, met = self.con.execute(
                f"select count(*), count(*) filter (customer in (select customer from t_events)) from "
                f"(select distinct customer from t_{name} where customer::varchar not like {quoted(OWN + '%')})"
            ).fetchall()[0]
            if all_ and not met:
                text = f"shares no customer_id with events (of {all_:,}); write the ids alike in both (007 is not 7)"
                self.findings.append(Finding(name, text, all_))

    def _table(self, name: str, normal: Normal) -> None:
        """Encodes and sorts one table."""
        kinds = {c: k for c, k in normal.kinds.items() if k in DTYPES}
        when = KEYED[name]
        at = named(when) if when in kinds else "null"
        rows, low, high, future = self.con.execute(
            f"select count(*), min({at}), max({at}) filter ({at} <= {self.manifest['built_at']}), "
            f"count(*) filter ({at} > {self.manifest['built_at']}) from t_{name}"
        ).fetchall()[0]
        if future:
            text = f"has {future:,} rows in the future; they are not seen until that time has come"
            self.findings.append(Finding(name, text, future))
        kinds = self._encode(name, kinds)
        columns = {c: k for c, k in kinds.items() if c != when}
        listed = "".join(f", {self._value(name, c, k)} as {named(c)}" for c, k in columns.items())
        sql = f"select pos, coalesce({at}, {UNKNOWN})::bigint as time, row::bigint as row{listed} from t_{name} join cust using (customer)"
        sorter = Sorter(self.folder, name, {c: DTYPES[k] for c, k in columns.items()}, self.customers, rows)
        sorter.scatter(self.con.sql(sql).to_arrow_reader(250_000))
        seen = sorter.gather()
        if seen["doubles"]:
            text = f"has {seen['doubles']:,} rows that repeat the one before in every column; they were kept"
            self.findings.append(Finding(name, text, seen["doubles"]))
        self.manifest["tables"][name] = {
            "rows": seen["rows"], "low": low, "high": high, "future": future, "ties": seen["ties"],
            "columns": {"time": "i8"} | sorter.dtypes, "when": when,
        }  # fmt: skip

    def _encode(self, name: str, kinds: dict[str, str]) -> dict[str, str]:
        """Makes the vocabulary of each word column; a column with too many words stays in the source."""
        words = [c for c, k in kinds.items() if k == "word"]
        free = [c for c in words if c not in ("touchpoint", "channel", "device", "stage", "currency")]
        if free:
            asked = ", ".join(f"approx_count_distinct({named(c)})" for c in free)
            found = self.con.execute(f"select {asked} from t_{name}").fetchall()[0]
            for column, n in zip(free, found, strict=True):
                if n > MOST_WORDS:
                    text = f'has about {n:,} different values in {column}; it stays in the source, see frame("{name}")'
                    self.findings.append(Finding(name, text, n, "note"))
                    del kinds[column]
        for column in [c for c in words if c in kinds]:
            self._vocabulary(name, column)
        return kinds

    def _vocabulary(self, name: str, column: str) -> None:
        limit = MOST_TOUCHPOINTS if column == "touchpoint" else MOST_WORDS + MOST_WORDS // 5
        found = self.con.execute(
            f"select {named(column)}, count(*) from t_{name} where {named(column)} is not null "
            f"group by 1 order by 2 desc, 1 limit {limit + 1}"
        ).fetchall()
        self.manifest["common"][f"{name}.{column}"] = [word for word, _ in found[:10]]
        words = sorted(word for word, _ in found)
        if len(found) > limit:
            words = sorted([*(word for word, _ in found[: limit - 1]), OTHERS])
            text = f"has more than {limit:,} different {column}s; the rarer ones stand together as {OTHERS}"
            self.findings.append(Finding(name, text, limit))
        self.manifest["vocabularies"][f"{name}.{column}"] = words
        listed = ", ".join(quoted(word) for word in words)
        if words:
            self.con.execute(f"create type {named(f'e_{name}_{column}')} as enum ({listed})").fetchall()

    def _value(self, name: str, column: str, kind: str) -> str:
        """SQL of the encoded value."""
        sql = named(column)
        if kind == "word":
            words = self.manifest["vocabularies"][f"{name}.{column}"]
            if not words:
                return "(-1)::smallint"
            code = f"enum_code(try_cast({sql} as {named(f'e_{name}_{column}')}))"
            rest = str(words.index(OTHERS)) if OTHERS in words else "-1"
            return f"coalesce({code}::smallint, {rest})::smallint"
        if kind == "money":
            return f"coalesce(round({sql} * {self._minor(name)})::bigint, {UNKNOWN})::bigint"
        if kind == "moment":
            return f"coalesce({sql}, {UNKNOWN})::bigint"
        return f"coalesce({sql}::tinyint, -1)::tinyint" if kind == "flag" else f"coalesce({sql}, 'nan'::double)::double"

    def _minor(self, name: str) -> str:
        """SQL of how many minor units a unit of the row's currency has."""
        from babel.numbers import get_currency_precision

        words = self.manifest["vocabularies"].get(f"{name}.currency", [])
        odd = {word: 10 ** get_currency_precision(word.upper()) for word in words}
        cases = "".join(f" when {quoted(w)} then {n}" for w, n in odd.items() if n != 100)
        return f"(case currency{cases} else 100 end)" if cases else "100"

    def _attributes(self, normal: Normal) -> None:
        """The customers table, one value per position."""
        self._one_row_each(normal, "customer")
        self.con.execute(f"create or replace temp view t_customers as {normal.sql}").fetchall()
        kinds = self._encode("customers", {c: k for c, k in normal.kinds.items() if k in DTYPES and k != "money"})
        listed = "".join(f", {self._value('customers', c, k)} as {named(c)}" for c, k in kinds.items())
        table = self.con.sql(
            f"select pos{listed} from cust left join t_customers using (customer) order by pos"
        ).to_arrow_table()
        for column, kind in kinds.items():
            table.column(column).to_numpy().astype(DTYPES[kind]).tofile(self.folder / f"customers.{column}.bin")
        self.manifest["attributes"] = {c: DTYPES[k] for c, k in kinds.items()}


class Store:
    """A built store, read in slices.

    Args:
        folder: where it was built.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.bucket_starts = np.fromfile(folder / "buckets.bin", np.int64)

    @cached_property
    def rows_before_bucket(self) -> np.ndarray:
        """Events of all buckets before each of the 1,024, and of all together."""
        return np.fromfile(self.folder / "events.offsets.bin", np.int64)[self.bucket_starts]

    def read(self, name: str, dtype: str, start: int, stop: int) -> np.ndarray:
        """Elements start … stop − 1 of a column file."""
        size = np.dtype(dtype).itemsize
        return np.fromfile(self.folder / f"{name}.bin", dtype, count=stop - start, offset=start * size)
