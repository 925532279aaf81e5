"""One table as it came in → the same rows in canonical types, as SQL; and what was wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from toolkit.schema import KEYED, KNOWN_PROPERTIES, OWN_UNIT, TABLES, Column
from toolkit.study.moments import Moments
from toolkit.study.sources import named, quoted

JOINED = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}  # ids that fit a bigint
FLOATS = {"DOUBLE", "FLOAT"}
NUMERIC = JOINED | FLOATS | {"HUGEINT", "UHUGEINT", "UBIGINT"}
NUMBERS = ("number", "money", "whole")
YES = "('true', 't', '1', 'yes', 'y', 'ja', 'j', 'sand', 'sant', 'wahr')"
NO = "('', 'false', 'f', '0', 'no', 'n', 'nej', 'nein', 'falsk', 'falsch')"
EUROPEAN = r"[+-]?(\d{1,3}([. \x{00a0}']\d{3})+|\d+)(,\d+)?"  # 1.234,50
MOST_UNREADABLE = 0.05  # share of unreadable values above which the format, not a row, is wrong
OWN = "\ue000"  # first character of the made-up id of a row without a customer; no real id begins with it
WITH_CUSTOMER = ("customers", *(table for table in KEYED if table != "order_lines"))  # lines take their order's


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


@dataclass(frozen=True, slots=True)
class Reading:
    """How a study reads its input.

    Attributes:
        tz: zone of moments written without one.
        currency: currency where none is given.
        renamed: their column name → ours.
    """

    tz: ZoneInfo
    currency: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Normal:
    """A table in canonical types.

    Attributes:
        table: its name.
        sql: select giving `row`, `customer` and each column of `kinds`, unusable rows left out.
        kinds: kind of each column that is there.
        rows: rows as they came.
        assumed_tz: whether moments without a zone took the study's.
        findings: what was seen.
    """

    table: str
    sql: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    assumed_tz: bool = False
    findings: list[Finding] = field(default_factory=list)

    def fatal(self) -> list[str]:
        """The sentences that stop the study."""
        return [f"{self.table} {f.text}" for f in self.findings if f.severity == "fatal"]


class Normaliser:
    """Turns one table's raw Parquet files into a `Normal`; every question to the data is asked in one pass."""

    def __init__(self, con, table: str, files: list[Path], reading: Reading):
        self.con, self.table, self.reading = con, table, reading
        self.raw = f"read_parquet([{', '.join(quoted(f) for f in files)}], union_by_name=true, file_row_number=true)"
        self.row = "file_row_number" if len(files) == 1 else "(file_index::bigint << 40) + file_row_number"
        described = con.execute(f"describe select * exclude (file_row_number) from {self.raw}").fetchall()
        self.many = len(files) > 1
        self.out = Normal(table)
        self.types: dict[str, tuple[str, str]] = {}
        for name, kind, *_ in described:
            self._add(reading.renamed.get(name, name), name, kind.upper())
        lower = {name.casefold(): name for name in self.types}
        for wanted in TABLES[table]:
            if wanted not in self.types and wanted in lower:
                self.types[wanted] = self.types.pop(lower[wanted])

    def _add(self, name: str, theirs: str, kind: str) -> None:
        if name in self.types:
            text = f"has both {theirs!r} and {self.types[name][0]!r} for {name}. Rename only one of them with columns=."
            self.out.findings.append(Finding(self.table, text, 0, "fatal"))
        self.types[name] = (theirs, kind)

    def whole_ids(self) -> bool:
        """Whether every row's customer is a whole number: such ids are joined as numbers, which is faster."""
        if self.table not in WITH_CUSTOMER:
            return True
        if "customer_id" not in self.types or self._type("customer_id") not in JOINED:
            return False
        empty = f"{self._sql('customer_id')} is null"
        return self.table not in OWN_UNIT or not self._ask({"empty": f"count(*) filter ({empty})"})["empty"]

    def done(self, *, text_ids: bool = True) -> Normal:
        """Reads the table's facts and writes its select.

        Args:
            text_ids: whether customers are to be compared as text.
        """
        self.text_ids = text_ids
        if wrong := self._missing():
            self._find(wrong, 0, "fatal")
        if self.out.fatal():
            return self.out
        questions = {"rows": "count(*)"}
        for name in self.types:
            questions |= self._questions(name)
        answers = self._ask(questions)
        self.out.rows = answers["rows"]
        selects = {name: self._select(name, answers) for name in self.types}
        for name in self.types:
            self._judge(name, answers)
        gaps = {key.split("/")[0] for key, n in answers.items() if key.endswith(("/empty", "/unread", "/odd")) and n}
        self._write(selects, gaps)
        return self.out

    def _find(self, text: str, n: int, severity: str = "warning") -> None:
        self.out.findings.append(Finding(self.table, text, n, severity))

    def _at(self, row: int) -> str:
        part, row = divmod(row, 1 << 40)
        return f"row {row + 1:,}" + (f" of part {part + 1}" if self.many else "")

    def _ask(self, questions: dict[str, str]) -> dict:
        listed = ", ".join(f"{sql} as {named(key)}" for key, sql in questions.items())
        row = self.con.execute(f"select {listed} from {self.raw}").fetchall()[0]
        return dict(zip(questions, row, strict=True))

    def _column(self, name: str) -> Column:
        return TABLES[self.table].get(name, Column("unknown", ""))

    def _type(self, name: str) -> str:
        return self.types[name][1]

    def _sql(self, name: str) -> str:
        return named(self.types[name][0])

    def _missing(self) -> str:
        have = set(self.types) | ({"currency"} if self.reading.currency else set())
        missing = [name for name, column in TABLES[self.table].items() if column.required and name not in have]
        if not missing:
            return ""
        guesses = {name: get_close_matches(name, have, 1, 0.5) or _likely(name, have) for name in missing}
        said = [f"'{n}'" + (f" (did you mean '{g[0]}'?)" if g else "") for n, g in guesses.items()]
        renames = ", ".join(f'"{g[0]}": "{n}"' for n, g in guesses.items() if g) or '"their name": "our name"'
        extra = ", or give currency=" if "currency" in missing else ""
        return (
            f"lacks {', '.join(said)}; its columns are {', '.join(sorted(self.types)) or 'none'}. "
            f"Rename with columns={{{renames}}}{extra}."
        )

    def _questions(self, name: str) -> dict[str, str]:
        """What must be known about a column before it can be written."""
        kind, type_, sql = self._kind(name), self._type(name), self._sql(name)
        asked, odd = {}, ""
        if kind == "moment":
            asked |= self._moments(name).questions(self._first, self.row)
        elif kind in NUMBERS and not self._is_number(name):
            odd = f"trim({sql}::varchar) <> '' and {_plain(sql)} is null"
        elif kind in NUMBERS and type_ in FLOATS:
            odd = f"not isfinite({sql})"
        elif kind == "flag" and type_ not in NUMERIC | {"BOOLEAN"}:
            odd = f"lower(trim({sql}::varchar)) not in {YES} and lower(trim({sql}::varchar)) not in {NO}"
        elif kind == "id" and type_ in FLOATS:
            asked[f"{name}/broken"] = f"count(*) filter ({sql} <> floor({sql}))"
        if odd:
            asked |= {f"{name}/odd": f"count(*) filter ({odd})", f"{name}/odd_row": self._first(odd)}
            asked[f"{name}/example"] = f"arg_min({sql}::varchar, {self.row}) filter ({odd})"
        if type_ == "VARCHAR" and kind in ("id", "word"):
            asked[f"{name}/blank"] = f"count(*) filter ({sql} = '')"
        if self._column(name).required or kind == "id":
            empty = f"{sql} is null" + {"VARCHAR": f" or trim({sql}) = ''"}.get(type_, "")
            empty += f" or not isfinite({sql})" if type_ in FLOATS and kind == "id" else ""
            asked |= {f"{name}/empty": f"count(*) filter ({empty})", f"{name}/empty_row": self._first(empty)}
        return asked

    def _moments(self, name: str) -> Moments:
        return Moments(name, self._sql(name), self._type(name), self.reading.tz)

    def _is_number(self, name: str) -> bool:
        return self._type(name) in NUMERIC or self._type(name).startswith("DECIMAL")

    def _first(self, condition: str) -> str:
        return f"min({self.row}) filter ({condition})"

    def _kind(self, name: str) -> str:
        declared = self._column(name).kind
        if declared != "unknown":
            return declared
        kind = self._type(name)
        if self._is_number(name):
            return "number"
        if kind.startswith(("TIMESTAMP", "DATE")):
            return "moment"
        return "word" if kind in ("VARCHAR", "BOOLEAN") or kind.startswith("ENUM") else "skip"

    def _select(self, name: str, answers: dict) -> str:
        """The SQL of one canonical column."""
        kind, sql = self._kind(name), self._sql(name)
        if kind == "moment":
            return self._moment(name, answers)
        if kind in NUMBERS:
            return self._number(name, answers)
        if kind == "id":
            return self._id(name, answers)
        if kind == "flag":
            return f"({sql} <> 0)" if self._type(name) in NUMERIC else f"(lower(trim({sql}::varchar)) in {YES})"
        if name == "currency":
            return f"nullif(upper(trim({sql})), '')"
        return _filled(sql, answers.get(f"{name}/blank")) if kind == "word" else sql

    def _id(self, name: str, answers: dict) -> str:
        sql, kind = self._sql(name), self._type(name)
        whole, value = kind in FLOATS and not answers[f"{name}/broken"], f"try_cast({sql} as bigint)::varchar"
        if kind == "VARCHAR" and self._ends_in_zero(sql):
            whole, value = True, f"nullif(left({sql}, -2), '')"
        if whole and self.out.rows:
            self._find(f"came as numbers with decimals in {name} (7.0); whole numbers were restored", 0, "note")
        if name == "customer_id" and not self.text_ids and kind in JOINED:
            return f"{sql}::bigint"
        return value if whole else _filled(sql, answers.get(f"{name}/blank"))

    def _ends_in_zero(self, sql: str) -> bool:
        """Whether every id is a whole number written 7.0; a glance at the first rows says no in most tables."""
        for some in ("limit 100", ""):
            seen = f"select {sql} as id from {self.raw} where {sql} <> '' {some}"
            asked = f"select count(*) > 0 and bool_and(regexp_full_match(id, '-?\\d+\\.0')) from ({seen})"
            if not self.con.execute(asked).fetchall()[0][0]:
                return False
        return True

    def _moment(self, name: str, answers: dict) -> str:
        moments = self._moments(name)
        for text, n in moments.doubts(answers, lambda condition: self._ask({"n": self._count(condition)})["n"]):
            self._find(text, n)
        self.out.assumed_tz |= bool(answers[f"{name}/naive"])
        return moments.select(answers)

    def _count(self, condition: str) -> str:
        return f"count(*) filter ({condition})"

    def _number(self, name: str, answers: dict) -> str:
        sql = self._sql(name)
        if self._is_number(name):
            finite = f"case when isfinite({sql}) then {sql}::double end"
            return finite if self._type(name) in FLOATS else f"({sql}::double)"
        bad = f"trim({sql}::varchar) <> '' and {_comma(sql)} is null"
        if answers[f"{name}/odd"] and not self._ask({"n": self._count(bad)})["n"]:
            example = answers[f"{name}/example"]
            self._find(f"writes {name} with a decimal comma ({example}); read so", answers[f"{name}/odd"], "note")
            answers[f"{name}/odd"] = 0
            return _comma(sql)
        return _plain(sql)

    def _judge(self, name: str, answers: dict) -> None:
        """Findings about values that are empty or cannot be read."""
        kind, column, rows = self._kind(name), self._column(name), self.out.rows
        what, mark, advice = _UNREAD.get(kind, _UNREAD["number"])
        if n := answers.get(f"{name}/{mark}"):
            example, at = answers[f"{name}/example"], self._at(answers[f"{name}/{mark}_row"])
            if kind == "moment" and (example or "").replace(".", "", 1).isdigit():
                advice = "Seconds, milliseconds or days? Say so: pd.to_datetime(column, unit='s')."
            fatal = column.required and n > MOST_UNREADABLE * rows
            kept = (
                "" if fatal else "; they were left out" if column.required else f"; {_THEN.get(kind, 'unknown there')}"
            )
            text = (
                f"has {n:,} rows of {rows:,} whose {name} is no {what} (first at {at}: {example!r:.60}){kept}. {advice}"
            )
            self._find(text, n, "fatal" if fatal else "warning")
        own = name == "customer_id" and self.table in OWN_UNIT
        if (n := answers.get(f"{name}/empty", 0)) and (column.required or own):
            at = self._at(answers[f"{name}/empty_row"])
            fatal = column.required and n == rows
            kept = "; each counts as a unit of its own and as no customer" if own else "; they were left out"
            end = ". Fill it in, or name the right column with columns={…}." if fatal else kept
            text = f"has {n:,} rows of {rows:,} without {name} (first at {at}){end}"
            self._find(text, n, "fatal" if fatal else "warning")

    def _write(self, selects: dict[str, str], gaps: set[str]) -> None:
        kinds = {name: self._kind(name) for name in selects}
        if "properties" in self.types:
            found = self._properties()
            selects, kinds = selects | found, kinds | {key: KNOWN_PROPERTIES[key] for key in found}
        customer = selects.pop("customer_id", "null::varchar")
        if self.table not in WITH_CUSTOMER:
            customer = "null::varchar"
        elif self.table in OWN_UNIT and self.text_ids:
            customer = f"coalesce({customer}, {quoted(OWN + self.table)} || '#' || ({self.row})::varchar)"
        kinds.pop("customer_id", None)
        if given := "currency" in TABLES[self.table] and self.reading.currency:
            currency = ", ".join(filter(None, [selects.get("currency"), quoted(given)]))
            selects, kinds = selects | {"currency": f"coalesce({currency})"}, kinds | {"currency": "word"}
        listed = "".join(f", {sql} as {named(name)}" for name, sql in selects.items())
        needed = [name for name, column in TABLES[self.table].items() if column.required and name in gaps]
        columns = ["customer" if name == "customer_id" else named(name) for name in needed]
        usable = " and ".join([f"{column} is not null" for column in columns] or ["true"])
        inner = f"select {self.row} as row, {customer} as customer{listed} from {self.raw}"
        self.out.sql, self.out.kinds = f"select * from ({inner}) where {usable}", kinds

    def _properties(self) -> dict[str, str]:
        """The known keys of `properties`, from a struct's fields or from JSON."""
        sql, kind = self._sql("properties"), self._type("properties")
        keys = [key for key in KNOWN_PROPERTIES if key not in self.types]
        if kind.startswith("STRUCT"):
            inside = self.con.execute(f"select {sql}.* from {self.raw} limit 0").description
            fields = {name for name, *_ in inside}
            found = {key: f"{sql}.{named(key)}" for key in keys if key in fields}
        elif kind in ("VARCHAR", "JSON"):
            valid = f"case when json_valid({sql}::varchar) then {sql}::varchar end"
            found = {key: f"json_extract_string({valid}, {quoted('$.' + key)})" for key in keys}
            seen = self._ask({key: f"count({value})" for key, value in found.items()})
            found = {key: value for key, value in found.items() if seen[key]}
        else:
            return {}
        cast = {"number": "try_cast({} as double)", "word": "nullif(({})::varchar, '')"}
        return {key: cast[KNOWN_PROPERTIES[key]].format(value) for key, value in found.items()}


def _filled(sql: str, blank: int | None) -> str:
    return f"nullif({sql}, '')" if blank else f"{sql}::varchar"


_UNREAD = {  # kind → what it is not, which answer counts them, what to do
    "moment": ("moment", "unread", "Write moments as 2026-03-01 14:30."),
    "number": ("number", "odd", "Write numbers as 1234.5."),
    "flag": ("yes or no", "odd", "Write true or false."),
}
_THEN = {"flag": "read as no"}


def _plain(sql: str) -> str:
    value = f"try_cast(trim({sql}::varchar) as double)"
    return f"(case when isfinite({value}) then {value} end)"


def _comma(sql: str) -> str:
    text = f"trim({sql}::varchar)"
    bare = f"regexp_replace({text}, '[. \\x{{00a0}}'']', '', 'g')"
    return f"(case when regexp_full_match({text}, {quoted(EUROPEAN)}) then replace({bare}, ',', '.')::double end)"


_ALSO = {
    "customer_id": ("user_id", "client_id", "user_pseudo_id", "customer", "distinct_id", "email", "id"),
    "timestamp": ("event_time", "time", "date", "datetime", "created_at", "event_timestamp", "occurred_at"),
    "touchpoint": ("event", "event_name", "page", "action", "name", "activity"),
    "revenue": ("total", "amount", "net_sales", "price", "order_value"),
    "order_id": ("id", "invoice", "order", "order_number", "InvoiceNo"),
}


def _likely(name: str, have: set[str]) -> list[str]:
    lower = {column.casefold(): column for column in have}
    return [lower[other.casefold()] for other in _ALSO.get(name, ()) if other.casefold() in lower][:1]
