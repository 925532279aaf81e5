"""The store: canonical tables read, encoded, sorted and split once, then kept in a cache folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.catalogue import Catalogue
from toolkit.counts import BUCKET_SHIFT, BUCKETS
from toolkit.errors import DataError, raise_all
from toolkit.intake.finding import Finding, counted, many, spoken
from toolkit.intake.identity import devices_of, stitch
from toolkit.intake.normal import OWN, WITH_CUSTOMER, Normal, Normaliser, Reading
from toolkit.intake.plausible import improbable, strangers, unknown_currencies
from toolkit.intake.purchases import ADDED_ROW, with_orders
from toolkit.intake.sources import ENOUGH, Source, as_parquet, disk_is_full, gist, named, quoted, stamp
from toolkit.schema import KEYED, OWN_UNIT, TABLES
from toolkit.study.encode import DTYPES, Encoder
from toolkit.study.sort import UNKNOWN, Sorter, path_of

VERSION = 4  # of the files; another version is another cache entry
MEMORY = "250MB"
DOUBLED = (
    "events",
    "responses",
    "answers",
    "exposures",
)  # the other tables tell their rows apart by an id, or need not
FOLDER = "\0"  # stands for the store's folder in SQL that is kept: the folder is renamed when all is built


def connect(folder: Path):
    """A DuckDB connection that stays within `MEMORY`, spills into `folder`, and knows no zone but UTC."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": MEMORY, "threads": 2, "temp_directory": str(folder / "spill")})
    con.execute("set TimeZone = 'UTC'").fetchall()
    return con


def build(sources: Mapping[str, Source], reading: Reading, catalogue: Catalogue, folder: Path) -> None:
    """Builds a store in an empty folder; `manifest.json` is written last.

    Raises:
        DataError: the input cannot be used (every reason), or the disk is full.
    """
    import duckdb

    try:
        with connect(folder) as con:
            _Builder(con, sources, reading, catalogue, folder).build()
    except (OSError, duckdb.Error) as error:
        if disk_is_full(error):
            free = shutil.disk_usage(folder).free / 1e9
            raise DataError(
                f"The disk ran full while the data was sorted ({free:.1f} GB free in {folder.parent}). Free some "
                "space, or name another folder in the environment variable JOURNEY_CACHE."
            ) from None
        if isinstance(error, OSError):
            raise
        files = [file for source in sources.values() for file in source.files]
        raise DataError(f"The tables cannot be read: {gist(error, files)}. Export them again.") from error


class _Builder:
    def __init__(self, con, sources, reading: Reading, catalogue: Catalogue, folder: Path):
        self.con, self.reading, self.catalogue, self.folder = con, reading, catalogue, folder
        self.sources = sources
        self.findings: list[Finding] = []
        self.manifest: dict[str, Any] = {"version": VERSION, "tables": {}, "vocabularies": {}, "common": {}}
        self.encoder = Encoder(con, self.manifest, self.findings)

    def build(self) -> None:
        tables = self._read()
        met = set().union(*(normal.forgot for normal in tables.values()))
        if lost := len({*self.reading.forget} - met):
            text = f"names {many(lost, 'customer')} of {counted(len(self.reading.forget))} whom no table has"
            self.findings.append(Finding("forget", f"{text}; write their ids as the tables do", lost, "note"))
        if "events" in tables and "device_id" in tables["events"].kinds:
            self._stitch(tables["events"])
        for normal in tables.values():
            normal.findings += improbable(self.con, normal) + unknown_currencies(self.con, normal)
        if "order_lines" in tables:
            tables["order_lines"] = self._lines(tables["order_lines"], tables.get("orders"))
        mine = quoted(self.folder)[1:-1]
        self.manifest["frames"] = {name: normal.sql.replace(mine, FOLDER) for name, normal in tables.items()}
        self.manifest["kinds"] = {name: normal.kinds for name, normal in tables.items()}
        self.manifest["input_rows"] = {name: normal.rows for name, normal in tables.items()}
        self.manifest["assumed_tz"] = any(normal.assumed_tz for normal in tables.values())
        self.manifest["built_at"] = int(time.time() * 1_000_000)
        tables = self._with_purchases(tables)
        for name, normal in tables.items():
            self.con.execute(f"create temp view t_{name} as {normal.sql}").fetchall()
        self._customers(tables)
        for name in KEYED:
            if name in tables:
                self._table(name, tables[name])
        if "customers" in tables:
            self._attributes(tables["customers"])
        found = [finding for name in TABLES if name in tables for finding in tables[name].findings]
        self.manifest["findings"] = [asdict(finding) for finding in found + self.findings]
        shutil.rmtree(self.folder / "spill", ignore_errors=True)
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))

    def _read(self) -> dict[str, Normal]:
        normalisers, problems, stamps = {}, [], {}
        for name, source in self.sources.items():
            try:
                files = as_parquet(source, self.folder, self.con)
                stamps |= {str(file): stamp(file) for file in files if file.parent != self.folder}
                normalisers[name] = Normaliser(self.con, name, files, self.reading)
            except DataError as error:
                problems += error.problems
        text_ids = not all(normaliser.whole_ids() for normaliser in normalisers.values())
        tables = {name: normaliser.done(text_ids=text_ids) for name, normaliser in normalisers.items()}
        problems += [sentence for normal in tables.values() for sentence in normal.fatal()]
        raise_all(DataError, problems)
        self.manifest["stamps"] = stamps
        if not any(tables[name].rows for name in ENOUGH if name in tables):
            raise DataError(
                "There are no events and no orders: the tables have a header and no rows. Export them again."
            )
        needed = 150 * sum(normal.rows for normal in tables.values())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise DataError(
                f"Sorting needs about {needed / 1e9:.1f} GB in {self.folder.parent}, and {free / 1e9:.1f} GB are free. "
                "Free some space, or name another folder in the environment variable JOURNEY_CACHE."
            )
        return tables

    def _stitch(self, events: Normal) -> None:
        """Gives events without a customer one by their device, and counts the devices that several customers used."""
        rule, given = self.reading.identity, 0
        if rule and events.nameless:
            events.sql, given = stitch(self.con, events.sql, rule, self.folder)
            text = f"had {many(given, 'row')} without customer_id that got one by the device ({rule})"
            events.findings.append(Finding("events", text, given, "note"))
        facts = devices_of(self.con, events.sql)
        if facts["shared"]:
            text = f"has {many(facts['shared'], 'device')} of {counted(facts['devices'])} that several customers used"
            events.findings.append(Finding("events", text, facts["shared"], "note"))
        self.manifest["identity"] = {"rule": rule, "nameless": events.nameless, "given": given} | facts

    def _with_purchases(self, tables: dict[str, Normal]) -> dict[str, Normal]:
        tables = dict(tables)
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
            text = f"has {many(seen, 'row')} with the {key} of an earlier row; the first of each kept"
            normal.findings.append(Finding(normal.table, text, seen))

    def _lines(self, lines: Normal, orders: Normal | None) -> Normal:
        """Order lines take customer, time and currency from their order."""
        kinds = lines.kinds | {"timestamp": "moment", "currency": "word"}
        own = [name for name in ("timestamp", "currency") if name in lines.kinds]
        kept = f"l.* exclude ({', '.join(['customer', *own])})"
        if orders is None or not orders.sql:
            lines.findings.append(Finding("order_lines", "came without orders and could not be used", lines.rows))
            columns = "order_id::varchar as order_id, customer, null::bigint as timestamp, null::varchar as currency"
            sql = f"(select {columns} from ({lines.sql}) limit 0)"
        else:
            sql = (
                f"(select distinct on (order_id) order_id, customer, timestamp, currency from ({orders.sql}) "
                "order by order_id, row)"
            )
            lost = self._one(f"select count(*) from ({lines.sql}) where order_id not in (select order_id from {sql})")
            if lost:
                text = f"has {many(lost, 'row')} whose order is missing; left out"
                lines.findings.append(Finding("order_lines", text, lost))
        joined = (
            f"select {kept}, o.customer, o.timestamp, o.currency from ({lines.sql}) l join {sql} o using (order_id)"
        )
        return replace(lines, sql=joined, kinds=kinds)

    def _one(self, sql: str) -> int:
        return self.con.execute(sql).fetchall()[0][0]

    def _customers(self, tables: dict[str, Normal]) -> None:
        """One position per customer of any table, by (hash, id)."""
        import pyarrow.parquet as pq

        bits = {name: 1 << i for i, name in enumerate(name for name in WITH_CUSTOMER if name in tables)}
        came = {"events": f"case when row < {ADDED_ROW} then {bits['events']} else 0 end"}
        every = " union all ".join(
            f"select customer, {came.get(name, bit)} as bit from t_{name}" for name, bit in bits.items()
        )
        grouped = f"select customer, bit_or(bit) as tables from ({every}) where customer is not null group by customer"
        if len(bits) == 1:  # quicker
            grouped = f"select distinct customer, {bits['events']} as tables from t_events where customer is not null"
        self.con.execute(
            f"""create temp table cust as select *, (row_number() over (order by hash, customer) - 1)::int as pos
            from (select *, ('0x' || left(md5(customer::varchar), 16))::ubigint as hash
            from ({grouped}))"""
        ).fetchall()
        own = f"starts_with(customer::varchar, {quoted(OWN)})"
        made = f"regexp_full_match(customer::varchar, {quoted(OWN + '(' + '|'.join(OWN_UNIT) + ')#[0-9]+')})"
        ids = self.con.sql(
            f"select customer::varchar as customer, hash, not {own} as known from cust order by pos"
        ).to_arrow_table()
        hashes, known = (ids.column(name).to_numpy(zero_copy_only=False) for name in ("hash", "known"))
        if strange := self._one(f"select count(*) from cust where {own} and not {made}"):
            text = f"The ids of {many(strange, 'customer')} begin with the character U+E000"
            raise DataError(f"{spoken(text)}, which is kept for rows without a customer. Write them without it.")
        hashes.tofile(self.folder / "hash.bin")
        known.tofile(self.folder / "known.bin")
        starts = np.searchsorted(hashes >> BUCKET_SHIFT, np.arange(BUCKETS + 1, dtype=np.uint64))
        starts.astype(np.int64).tofile(self.folder / "buckets.bin")
        pq.write_table(ids.select(["customer"]), self.folder / "ids.parquet")
        self.customers = len(hashes)
        self.manifest |= {"positions": len(hashes), "customers": int(known.sum())}
        if "events" in self.manifest["input_rows"]:
            self.findings += strangers(self.con, bits)

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
            text = f"has {many(future, 'row')} in the future; left out (give as_of= to look further)"
            self.findings.append(Finding(name, text, future))
        kinds = self.encoder.vocabularies(name, kinds)
        columns = {c: k for c, k in kinds.items() if c != when}
        values = "".join(f", {self.encoder.value(name, c, k)} as {named(c)}" for c, k in columns.items())
        place = f"select pos, coalesce({at}, {UNKNOWN})::bigint as time, row::bigint as row"
        sorter = Sorter(self.folder, name, {c: DTYPES[k] for c, k in columns.items()}, self.customers, rows)
        rows = self.con.sql(f"{place}{values} from t_{name} join cust using (customer)")
        sorter.scatter(rows.to_arrow_reader(250_000))
        seen = sorter.gather()
        if seen["doubles"] and name in DOUBLED and name in self.manifest["input_rows"]:
            text = f"has {many(seen['doubles'], 'row')} looking like the one before (customer, moment, words); kept"
            self.findings.append(Finding(name, text, seen["doubles"]))
        self.manifest["tables"][name] = {
            "rows": seen["rows"], "low": low, "high": high, "future": future, "ties": seen["ties"],
            "columns": {"time": "i8"} | sorter.dtypes, "when": when,
        }  # fmt: skip

    def _attributes(self, normal: Normal) -> None:
        """The customers table, one value per position."""
        self._one_row_each(normal, "customer")
        self.con.execute(f"create or replace temp view t_customers as {normal.sql}").fetchall()
        kinds = self.encoder.vocabularies(
            "customers", {c: k for c, k in normal.kinds.items() if k in DTYPES and k != "money"}
        )
        listed = "".join(f", {self.encoder.value('customers', c, k)} as {named(c)}" for c, k in kinds.items())
        table = self.con.sql(
            f"select pos{listed} from cust left join t_customers using (customer) order by pos"
        ).to_arrow_table()
        for column, kind in kinds.items():
            table.column(column).to_numpy().astype(DTYPES[kind]).tofile(path_of(self.folder, f"customers.{column}"))
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
    def ids(self):
        """The customers' ids by position, as a pyarrow column."""
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / "ids.parquet").column("customer")

    def check_sources(self) -> None:
        """Makes sure that the files the store was built from still lie there, unchanged.

        Raises:
            DataError: a file has moved or changed.
        """
        gone = [Path(file).name for file, was in self.manifest["stamps"].items() if stamp(Path(file)) != was]
        if gone:
            listed = ", ".join(gone[:6])
            raise DataError(f"{listed} moved or changed since this study was opened. Open it again with open_data.")

    @cached_property
    def rows_before_bucket(self) -> np.ndarray:
        """Events of all buckets before each of the 1,024, and of all together."""
        return np.fromfile(self.folder / "events.offsets.bin", np.int64)[self.bucket_starts]

    def read(self, name: str, dtype: str, start: int, stop: int) -> np.ndarray:
        """Elements start … stop − 1 of a column file."""
        size = np.dtype(dtype).itemsize
        return np.fromfile(path_of(self.folder, name), dtype, count=stop - start, offset=start * size)
