"""What an analyst hands in – a folder, a file, frames – brought to one form: Parquet files per canonical table."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import DataError, UsageError, one_of, raise_all
from toolkit.schema import TABLES

ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".json", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
SMALL_FILE = 16_000_000  # bytes up to which a file's content, not only its size and date, is fingerprinted


@dataclass(frozen=True, slots=True)
class Source:
    """One canonical table as it came in.

    Attributes:
        table: its canonical name.
        files: the files it is in, in reading order; empty when it came as a frame.
        frame: the pyarrow table, when it came as a frame.
    """

    table: str
    files: tuple[Path, ...] = ()
    frame: Any = None

    def fingerprint(self) -> str:
        """Changes when the input does: name, size and date of each file, and the content of small ones."""
        print_ = hashlib.sha256(self.table.encode())
        for file in self.files:
            stat = file.stat()
            print_.update(f"{file.name}:{stat.st_size}:{stat.st_mtime_ns}".encode())
            if stat.st_size <= SMALL_FILE:
                print_.update(file.read_bytes())
        return print_.hexdigest()


def find_sources(source: Any, columns: Mapping[str, str] | None = None) -> dict[str, Source]:
    """Finds the canonical tables in whatever was handed in.

    Args:
        source: a folder holding files named after the tables (`events.parquet`, `orders.csv.gz` …, or a folder
            `events/` of such files), one file, a mapping of table name to frame (pandas, polars, pyarrow), or one
            frame.
        columns: their column name → ours, where they differ.

    Returns:
        The tables found, by name.

    Raises:
        DataError: nothing usable is there.
        UsageError: the mapping names no canonical table.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _one(Source("", (path,)), path.name, columns or {})
        raise UsageError(f"There is no file or folder {str(source)!r}. Give the folder that holds the tables.")
    if isinstance(source, Mapping):
        wrong = [one_of("table", name, TABLES).problems[0] for name in source if name not in TABLES]
        raise_all(UsageError, wrong)
        return {name: Source(name, frame=_arrow(frame, name)) for name, frame in source.items()}
    return _one(Source("", frame=_arrow(source, "frame")), "the frame", columns or {})


def _in_folder(folder: Path) -> dict[str, Source]:
    found, doubles = {}, []
    for name in TABLES:
        files = [folder / f"{name}{ending}" for ending in ENDINGS if (folder / f"{name}{ending}").is_file()]
        if (folder / name).is_dir():
            files += sorted(file for file in (folder / name).rglob("*") if file.name.endswith(ENDINGS))
        elif len(files) > 1:
            listed = ", ".join(file.name for file in files)
            doubles.append(
                f"{folder.name} has {name} twice ({listed}). Keep one, or put the parts in a folder {name}/."
            )
        if files:
            found[name] = Source(name, tuple(files))
    raise_all(DataError, doubles)
    if not {"events", "orders"} & set(found):
        there = ", ".join(sorted(file.name for file in folder.iterdir())[:12]) or "nothing"
        raise DataError(
            f"{folder.name} holds neither events nor orders (found: {there}). Name the files after the tables, such as "
            "events.parquet or orders.csv; the tables are " + ", ".join(TABLES) + "."
        )
    return found


def _one(source: Source, shown: str, renamed: Mapping[str, str]) -> dict[str, Source]:
    """A single file or frame: its table is the one whose required columns it has."""
    theirs = source.frame.column_names if source.frame is not None else _header(source.files[0])
    columns = {renamed.get(name, name).casefold() for name in theirs}
    fits = {name: [c for c, column in TABLES[name].items() if column.required] for name in ("events", "orders")}
    for name, needed in fits.items():
        if columns >= set(needed):
            return {name: Source(name, source.files, source.frame)}
    stem = source.files[0].name.split(".")[0] if source.files else "events"
    if stem in TABLES:
        return {stem: Source(stem, source.files, source.frame)}
    have = ", ".join(sorted(columns)) or "none"
    raise DataError(
        f"{shown} is neither events ({', '.join(fits['events'])}) nor orders ({', '.join(fits['orders'])}): its "
        f'columns are {have}. Rename with columns={{"their name": "our name"}}.'
    )


def _header(file: Path) -> list[str]:
    import duckdb

    con = duckdb.connect()
    return [name for name, *_ in con.execute(f"describe select * from {reader(file)}").fetchall()]


def _arrow(frame: Any, name: str):
    """Any frame as a pyarrow table."""
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    if type(frame).__module__.startswith("pandas"):
        return pa.Table.from_pandas(frame, preserve_index=False)
    raise UsageError(f"{name} is a {type(frame).__name__}; give a pandas, polars or pyarrow table, a file or a folder.")


def quoted(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + str(text).replace("'", "''") + "'"


def named(column: str) -> str:
    """A column name as SQL writes it."""
    return '"' + column.replace('"', '""') + '"'


def reader(file: Path) -> str:
    """The SQL that reads one file, every value of a text file as text."""
    name = file.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return f"read_parquet({quoted(file)})"
    if name.endswith((".csv", ".tsv")):
        return f"read_csv({quoted(file)}, all_varchar=true, header=true, delim={quoted(_delimiter(file))}, quote='\"')"
    return f"read_json({quoted(file)}, maximum_depth=1, sample_size=-1, dateformat='', timestampformat='')"


def _delimiter(file: Path) -> str:
    """The delimiter that the header line uses most."""
    opener = gzip.open if file.name.endswith(".gz") else open
    with opener(file, "rb") as handle:
        line = handle.readline().decode("utf-8", "replace")
    if not line.strip():
        raise DataError(f"{file.name} is empty. Export it again; the first line must name the columns.")
    counts = {mark: len(next(csv.reader([line], delimiter=mark))) for mark in (",", ";", "\t", "|")}
    return max(counts, key=counts.get)


def as_parquet(source: Source, folder: Path, con) -> list[Path]:
    """The table as Parquet files: its own where it has them, else written once into `folder`.

    Raises:
        DataError: a file cannot be read, with the reason.
    """
    import pyarrow.parquet as pq

    if source.frame is not None:
        target = folder / f"{source.table}.parquet"
        pq.write_table(source.frame, target)
        return [target]
    made, problems = [], []
    for i, file in enumerate(source.files):
        try:
            made.append(_converted(file, folder / f"{source.table}-{i}.parquet", con))
        except DataError as error:
            problems += error.problems
    raise_all(DataError, problems)
    return made


def _converted(file: Path, target: Path, con) -> Path:
    import duckdb

    if file.stat().st_size == 0:
        raise DataError(f"{file.name} is empty (0 bytes). Export it again, or remove it.")
    try:
        if file.name.endswith(".parquet"):
            con.execute(f"describe select * from {reader(file)}").fetchall()
            return file
        con.execute(f"copy (select * from {reader(file)}) to {quoted(target)} (format parquet)").fetchall()
        return target
    except duckdb.Error as error:
        raise DataError(_reason(file, str(error))) from None


def _reason(file: Path, message: str) -> str:
    line = next((part.split(":")[-1].strip() for part in message.splitlines() if "on Line" in part), "")
    where = f" at line {line}" if line else ""
    if "utf-8" in message.lower() or "unicode" in message.lower():
        return f"{file.name} is not UTF-8{where}. Save it as UTF-8 (in Excel: CSV UTF-8), or convert it with iconv."
    first = next((part for part in message.splitlines()[1:] if part.strip() and "Original" not in part), message)
    first = first.strip().splitlines()[0][:200].rstrip(".")
    return f"{file.name} cannot be read{where}: {first}. Export it again, or mend that line."
