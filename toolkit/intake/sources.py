"""What an analyst hands in – a folder, a file, frames – brought to one form: Parquet files per canonical table."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import DataError, UsageError, one_of, raise_all
from toolkit.schema import TABLES

ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".json", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
SMALL_FILE = 16_000_000  # bytes up to which a file's content, not only its size and date, is fingerprinted
FULL = ("no space left", "file too large", "quota", "requested and", "max_temp_directory_size")  # NumPy gives no errno
ENOUGH = ("events", "orders")  # either is enough to start


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
            print_.update(f"{file}:{stamp(file)}".encode())
            if file.stat().st_size <= SMALL_FILE:
                print_.update(file.read_bytes())
        return print_.hexdigest()


def stamp(file: Path) -> list[int] | None:
    """Size and date of a file, by which a change is seen; None where there is no such file."""
    if not file.is_file():
        return None
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]


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
        path = Path(source).expanduser().resolve()
        if not path.exists():
            raise UsageError(f"There is no file or folder {str(source)!r}. Give the folder that holds the tables.")
        found, shown = (_in_folder(path), path.name) if path.is_dir() else (_one(path, columns or {}), path.name)
    elif isinstance(source, Mapping):
        raise_all(UsageError, [one_of("table", name, TABLES).problems[0] for name in source if name not in TABLES])
        found, shown = {name: Source(name, frame=_arrow(frame, name)) for name, frame in source.items()}, "The mapping"
    else:
        found, shown = _one(_arrow(source, "the frame"), columns or {}), "The frame"
    if not set(ENOUGH) & set(found):
        raise DataError(
            f"{shown} holds neither events nor orders (found: {', '.join(found) or _listed(source)}). Name the files "
            f"after the tables, such as events.parquet or orders.csv; the tables are {', '.join(TABLES)}."
        )
    return found


def _listed(source: Any) -> str:
    there = sorted(file.name for file in Path(source).iterdir())[:12] if isinstance(source, str | Path) else []
    return ", ".join(there) or "nothing"


def _in_folder(folder: Path) -> dict[str, Source]:
    found, doubles = {}, []
    for name in TABLES:
        files = [file for ending in ENDINGS if (file := folder / f"{name}{ending}").is_file()]
        parts = [file for file in sorted((folder / name).rglob("*")) if file.name.endswith(ENDINGS)]
        parts = [file for file in parts if file.is_file() and not file.name.startswith((".", "_"))]
        if len(files) + bool(parts) > 1:
            listed = ", ".join([file.name for file in files] + [f"{name}/"] * bool(parts))
            doubles.append(f"{folder.name} has {name} twice ({listed}). Keep one, or put the parts in {name}/.")
        if files or parts:
            found[name] = Source(name, tuple(files or parts))
    raise_all(DataError, doubles)
    return found


def unread_files(source: Any, found: Mapping[str, Source]) -> list[str]:
    """Files of a folder that look like tables and bear no table's name."""
    if not isinstance(source, str | Path) or not Path(source).expanduser().is_dir():
        return []
    read = {file for one in found.values() for file in one.files}
    there = (file for file in Path(source).expanduser().resolve().iterdir() if file.is_file() and file not in read)
    likely = (*(ending for ending in ENDINGS if ending != ".json"), ".xlsx", ".xls")
    return sorted(file.name for file in there if file.name.endswith(likely))


def _one(thing: Any, renamed: Mapping[str, str]) -> dict[str, Source]:
    """A single file or frame: its table is the one whose required columns it has (a currency can be given)."""
    is_file = isinstance(thing, Path)
    theirs = columns_of(thing) if is_file else thing.column_names
    columns = {renamed.get(name, name).casefold() for name in theirs}
    fits = {name: [c for c, column in TABLES[name].items() if column.required] for name in ENOUGH}
    stem = thing.name.split(".")[0] if is_file else ""
    for name, needed in fits.items():
        if columns >= {*needed} - {"currency"} or stem == name:
            return {name: Source(name, (thing,)) if is_file else Source(name, frame=thing)}
    raise DataError(
        f"{thing.name if is_file else 'The frame'} is neither events ({', '.join(fits['events'])}) nor orders "
        f"({', '.join(fits['orders'])}): its columns are {', '.join(sorted(columns)) or 'none'}. "
        'Rename with columns={"their name": "our name"}, on the command line --column theirs=ours.'
    )


def _arrow(frame: Any, name: str):
    """Any frame as a pyarrow table."""
    import pyarrow as pa

    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    if not isinstance(frame, pa.Table) and not type(frame).__module__.startswith("pandas"):
        given = type(frame).__name__
        raise UsageError(f"{name} is a {given}; give a pandas, polars or pyarrow table, a file or a folder.")
    _once(name, frame.column_names if isinstance(frame, pa.Table) else map(str, frame.columns))
    try:
        return frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        reason = str(error.args[-1]).rstrip(".")
        raise DataError(f"{name} cannot be read: {reason}. Give the column one type, such as .astype(str).") from None


def _once(shown: str, columns: Iterable[str]) -> None:
    """Refuses columns of one name, whatever its case."""
    seen: dict[str, list[str]] = {}
    for column in columns:
        seen.setdefault(column.casefold(), []).append(column)
    twice = [" and ".join(map(repr, names)) for names in seen.values() if len(names) > 1]
    raise_all(DataError, [f"{shown} has columns of the same name ({'; '.join(twice)}). Rename one."] if twice else [])


def quoted(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + str(text).replace("'", "''") + "'"


def named(column: str) -> str:
    """A column name as SQL writes it."""
    return '"' + column.replace('"', '""') + '"'


def columns_of(file: Path) -> list[str]:
    """The column names of a file.

    Raises:
        DataError: the file cannot be read, with the reason.
    """
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not file.stat().st_size:
            raise DataError(f"{file.name} is empty (0 bytes). Export it again, or remove it.")
        if file.name.endswith(".parquet"):
            names = pq.read_schema(file).names
        elif _is_csv(file):
            names = _header(file)[0]
        else:
            asked = f"describe select * from read_json({quoted(file)}, maximum_depth=1, sample_size=-1)"
            names = [name for name, *_ in duckdb.connect().execute(asked).fetchall()]
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(_reason(file, error)) from None
    _once(file.name, names)
    return names


def _is_csv(file: Path) -> bool:
    return file.name.removesuffix(".gz").endswith((".csv", ".tsv"))


def _header(file: Path) -> tuple[list[str], str]:
    """The column names of a text file, and the delimiter that its first line uses most."""
    opener = gzip.open if file.name.endswith(".gz") else open
    with opener(file, "rb") as handle:
        line = handle.readline().decode("utf-8-sig")
    if "\0" in line:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "zero byte")
    if not line.strip():
        raise DataError(f"{file.name} begins with an empty line. Export it again; the first line names the columns.")
    marks = {mark: next(csv.reader([line], delimiter=mark)) for mark in (",", ";", "\t", "|")}
    delimiter = max(marks, key=lambda mark: len(marks[mark]))
    names = [name.strip() or f"column {i}" for i, name in enumerate(marks[delimiter], start=1)]
    return names[:-1] if line.rstrip().endswith(delimiter) else names, delimiter


def _reader(file: Path) -> str:
    """The SQL that reads a text file, every value as text; nothing is guessed from the values."""
    kinds = "{" + ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in columns_of(file)) + "}"
    if not _is_csv(file):
        return f"read_json({quoted(file)}, columns={kinds})"
    delimiter = quoted(_header(file)[1])
    marks = f"delim={delimiter}, quote='\"', escape='\"', comment=''"
    return f"read_csv({quoted(file)}, columns={kinds}, auto_detect=false, header=true, {marks})"


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

    if file.name.endswith(".parquet"):
        columns_of(file)
        return file
    try:
        con.execute(f"copy (select * from {_reader(file)}) to {quoted(target)} (format parquet)").fetchall()
    except duckdb.Error as error:
        if disk_is_full(error):
            raise
        raise DataError(_reason(file, error)) from None
    return target


def disk_is_full(error: Exception) -> bool:
    """Whether an error says that nothing more can be written."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or any(words in str(error).lower() for words in FULL)


def _reason(file: Path, error: Exception) -> str:
    """Why a file cannot be read, in one sentence and what to do."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((part.split(":")[-1].strip() for part in lines if "on Line" in part), "")
    where = f" at line {line}" if line else ""
    if isinstance(error, UnicodeDecodeError) or any(word in str(error).lower() for word in ("utf-8", "unicode")):
        return f"{file.name} is not UTF-8{where}. Save it as UTF-8 (in Excel: CSV UTF-8), or convert it with iconv."
    if isinstance(error, PermissionError):
        return f"{file.name} may not be read ({error.strerror}). Ask for the right to read it."
    if "state machine" in str(error):
        return f"{file.name} mixes line endings of Windows and Unix. Save it again with one kind."
    return f"{file.name} cannot be read{where}: {gist(error, [file])}. Export it again, or mend it there."


def gist(error: Exception, files: Iterable[Path | str]) -> str:
    """What an error of another library says, without its kind, its advice and our paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "on Line" not in line and not line.startswith(("Original", "LINE", "Possible"))]
    text = re.sub(r"^(\w+ )+Error: ", "", (told or ["it is damaged"])[0])
    for file in files:
        text = text.replace(str(file), Path(file).name)
    return text[:200].rstrip(". ")
