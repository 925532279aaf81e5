"""One table as it came in → the same rows in canonical types, as SQL; and what was wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from toolkit.intake.finding import Finding, counted, many, spoken
from toolkit.intake.identity import among, by_device, forgotten
from toolkit.intake.missing import what_is_missing
from toolkit.intake.moments import SENSIBLE, Moments
from toolkit.intake.sources import named, quoted
from toolkit.schema import KEYED, KNOWN_PROPERTIES, OWN_UNIT, TABLES, Column

JOINED = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}  # ids that fit a bigint
FLOATS = {"DOUBLE", "FLOAT"}
NUMERIC = JOINED | FLOATS | {"HUGEINT", "UHUGEINT", "UBIGINT"}
NUMBERS = ("number", "money", "whole")
YES = "'true', 't', '1', 'yes', 'y', 'ja', 'j', 'sand', 'sant', 'wahr'"
NO = "'', 'false', 'f', '0', 'no', 'n', 'nej', 'nein', 'falsk', 'falsch'"
EUROPEAN = r"[+-]?(\d{1,3}([. \x{00a0}']\d{3})+|\d+)(,\d+)?"  # 1.234,50
RESERVED = ("row", "customer", "pos", "time", "hash", "tables", "offsets", "known")  # names of our own columns
WRONG = ("unread", "empty")
THREE_BEHIND = r"-?\d{1,3}(\.\d{3})+"
MOST_UNREADABLE = 0.05  # share of unreadable values above which the format, not a row, is wrong
OWN = "\ue000"  # first character of the made-up id of a row without a customer; no real id begins with it
WITH_CUSTOMER = ("customers", *(table for table in KEYED if table != "order_lines"))  # lines take their order's


@dataclass(frozen=True, slots=True)
class Reading:
    """How a study reads its input.

    Attributes:
        tz: zone of moments written without one.
        currency: currency where none is given.
        renamed: their column name → ours.
        identity: how events without a customer find one by their device: "live", "replay"; "" = they are left out.
        forget: customers whose rows are nobody's; their events fall back to the device.
    """

    tz: ZoneInfo
    currency: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""
    forget: tuple[str, ...] = ()


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
        nameless: rows of events that came without a customer.
    """

    table: str
    sql: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    assumed_tz: bool = False
    findings: list[Finding] = field(default_factory=list)
    nameless: int = 0
    forgot: set[str] = field(default_factory=set)

    def fatal(self) -> list[str]:
        """The sentences that stop the study."""
        return [f"{self.table} {spoken(f.text)}" for f in self.findings if f.severity == "fatal"]


class Normaliser:
    """Turns one table's raw Parquet files into a `Normal`; every question to the data is asked in one pass."""

    def __init__(self, con, table: str, files: list[Path], reading: Reading):
        self.con, self.table, self.reading = con, table, reading
        listed = ", ".join(quoted(file) for file in files)
        self.raw = f"read_parquet([{listed}], union_by_name=true, file_row_number=true, binary_as_string=true)"
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
        self.by_device = table == "events" and "device_id" in self.types and bool(reading.identity)

    def _add(self, name: str, theirs: str, kind: str) -> None:
        if name.casefold() in RESERVED:
            name += "_"
            self._find(f"has a column {theirs!r}, a word we need ourselves; it is called {name!r} here", 0, "note")
        if name in self.types:
            text = f"has both {theirs!r} and {self.types[name][0]!r} for {name}. Rename only one of them with columns=."
            self._find(text, 0, "fatal")
        self.types[name] = (theirs, kind)

    def whole_ids(self) -> bool:
        """Whether every row's customer is a whole number: such ids are joined as numbers, which is faster."""
        if self.table not in WITH_CUSTOMER:
            return True
        if self.reading.identity or self.reading.forget:
            return False
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
        self.facts: dict[tuple[str, str], Any] = {}
        if wrong := what_is_missing(table=self.table, types=self.types, currency=self.reading.currency):
            self._find(wrong, 0, "fatal")
        if self.out.fatal():
            return self.out
        self._look()
        selects = {name: self._select(name) for name in self.types}
        for name in self.types:
            self._judge(name)
        self._write(selects)
        return self.out

    def _look(self) -> None:
        """Asks all there is to know: what may be wrong, how often it is, and where it is first."""
        conditions = {(name, what): sql for name in self.types for what, sql in self._conditions(name).items()}
        doubt = {key: sql for key in conditions if (sql := self._doubt(*key))}
        sure = {key: 0 for key, possible in self._ask({("", "rows"): "count(*)"} | doubt).items() if not possible}
        conditions = {key: sql for key, sql in conditions.items() if key not in sure}
        moments = [name for name in self.types if self._kind(name) == "moment"]
        bounds = {(name, end): sql for name in moments for end, sql in self._moments(name).bounds().items()}
        counts = {key: f"count(*) filter ({sql})" for key, sql in conditions.items()}
        self.facts |= sure | self._ask({("", "rows"): "count(*)"} | counts | bounds)
        self.out.rows = self.facts["", "rows"]
        details = {}
        for (name, what), sql in conditions.items():
            if what in WRONG and self.facts[name, what]:
                details[name, f"{what} row"] = f"min({self.row}) filter ({sql})"
                details[name, f"{what} example"] = f"arg_min({self._sql(name)}::varchar, {self.row}) filter ({sql})"
        if details:
            self.facts |= self._ask(details)

    def _of(self, name: str) -> dict[str, Any]:
        """What is known of one column."""
        return {what: value for (column, what), value in self.facts.items() if column == name}

    def _find(self, text: str, n: int, severity: str = "warning") -> None:
        self.out.findings.append(Finding(self.table, text, n, severity))

    def _at(self, row: int) -> str:
        part, row = divmod(row, 1 << 40)
        return f"row {counted(row + 1)}" + (f" of part {part + 1}" if self.many else "")

    def _ask(self, questions: dict) -> dict:
        row = self.con.execute(f"select {', '.join(questions.values())} from {self.raw}").fetchall()[0]
        return dict(zip(questions, row, strict=True))

    def _count(self, condition: str) -> int:
        return self._ask({"n": f"count(*) filter ({condition})"})["n"]

    def _column(self, name: str) -> Column:
        return TABLES[self.table].get(name, Column("unknown", ""))

    def _type(self, name: str) -> str:
        return self.types[name][1]

    def _sql(self, name: str) -> str:
        return named(self.types[name][0])

    def _conditions(self, name: str) -> dict[str, str]:
        """What must be counted before a column can be written; `WRONG` are those that are reported."""
        kind, type_, sql = self._kind(name), self._type(name), self._sql(name)
        found = self._moments(name).conditions() if kind == "moment" else {}
        if kind in NUMBERS and not self._is_number(name):
            found["unread"] = f"trim({sql}::varchar) <> '' and {_plain(sql)} is null"
        elif kind in NUMBERS and type_ in FLOATS:
            found["unread"] = f"not isfinite({sql})"
        elif kind == "flag" and type_ not in NUMERIC | {"BOOLEAN"}:
            found["unread"] = f"lower(trim({sql}::varchar)) not in ({YES}, {NO})"
        if kind == "id" and type_ in FLOATS:
            found |= {"broken": f"{sql} <> floor({sql})", "empty": f"{sql} is null or not isfinite({sql})"}
        elif (self._column(name).required or kind == "id") and not (name == "currency" and self.reading.currency):
            found["empty"] = f"{sql} is null" + (f" or {sql} = ''" if type_ == "VARCHAR" else "")
        elif kind == "word" and type_ == "VARCHAR":
            found["blank"] = f"{sql} = ''"
        return found

    def _doubt(self, name: str, what: str) -> str:
        """SQL of whether a condition may hold at all, answered from the statistics that Parquet files keep."""
        sql, type_ = self._sql(name), self._type(name)
        gaps = f"count({sql}) < count(*)"
        if what == "empty" and type_ not in FLOATS:
            return f"{gaps} or min({sql}) = ''" if type_ == "VARCHAR" else gaps
        if what == "unread" and type_.startswith("TIMESTAMP"):
            return f"not (min({sql}) {SENSIBLE} and max({sql}) {SENSIBLE})"
        return f"min({sql}) = ''" if what == "blank" else ""

    def _moments(self, name: str) -> Moments:
        return Moments(name, self._sql(name), self._type(name), self.reading.tz)

    def _is_number(self, name: str) -> bool:
        return self._type(name) in NUMERIC or self._type(name).startswith("DECIMAL")

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

    def _select(self, name: str) -> str:
        """The SQL of one canonical column."""
        kind, sql = self._kind(name), self._sql(name)
        if kind == "moment":
            return self._moment(name)
        if kind in NUMBERS:
            return self._number(name)
        if kind == "id":
            return self._id(name)
        if kind == "flag":
            return f"({sql} <> 0)" if self._type(name) in NUMERIC else f"(lower(trim({sql}::varchar)) in ({YES}))"
        if name == "currency":
            return f"nullif(upper(trim({sql}::varchar)), '')"
        return self._filled(name) if kind == "word" else sql

    def _filled(self, name: str) -> str:
        facts, text = self._of(name), f"{self._sql(name)}::varchar"
        return f"nullif({text}, '')" if facts.get("blank") or facts.get("empty") else text

    def _id(self, name: str) -> str:
        sql, kind, value = self._sql(name), self._type(name), ""
        if kind in FLOATS and not self.facts[name, "broken"]:
            value = f"try_cast({sql} as bigint)::varchar"
        elif kind == "VARCHAR" and self._ends_in_zero(sql):
            value = f"nullif(left({sql}, -2), '')"
        if value and self.out.rows:
            self._find(f"came with {name} as a number with decimals (7.0); whole numbers were restored", 0, "note")
        if name == "customer_id" and not self.text_ids and kind in JOINED:
            return f"{sql}::bigint"
        return value or self._filled(name)

    def _ends_in_zero(self, sql: str) -> bool:
        """Whether every id is a whole number written 7.0; a glance at the first rows says no in most tables."""
        for some in ("limit 100", ""):
            seen = f"select {sql} as id from {self.raw} where {sql} <> '' {some}"
            asked = f"select count(*) > 0 and bool_and(regexp_full_match(id, '-?\\d+\\.0')) from ({seen})"
            if not self.con.execute(asked).fetchall()[0][0]:
                return False
        return True

    def _moment(self, name: str) -> str:
        moments, facts = self._moments(name), self._of(name)
        for text, n in moments.doubts(facts, self._count):
            self._find(text, n)
        self.out.assumed_tz |= bool(facts.get("naive"))
        return moments.select(facts)

    def _number(self, name: str) -> str:
        sql, facts = self._sql(name), self._of(name)
        if self._is_number(name):
            return f"(case when isfinite({sql}) then {sql}::double end)" if facts.get("unread") else f"({sql}::double)"
        if facts["unread"] and not self._count(f"trim({sql}::varchar) <> '' and {_comma(sql)} is null"):
            text = f"writes {name} with a decimal comma ({facts['unread example']}); read so"
            self._find(text, facts["unread"], "note")
            self.facts[name, "unread"] = 0
            return _comma(sql)
        self._thousands(name)
        return _plain(sql)

    def _thousands(self, name: str) -> None:
        """Says so when every amount with a point has three digits behind it: the point may mark thousands."""
        sql = f"trim({self._sql(name)}::varchar)"
        if self._kind(name) != "money":
            return
        pointed = self._count(f"contains({sql}, '.')")
        if pointed and pointed == self._count(f"regexp_full_match({sql}, {quoted(THREE_BEHIND)})"):
            text = f"writes every {name} with a point with three digits behind it; read as decimals. If the point marks"
            self._find(f"{text} thousands, write the numbers without it", pointed, "warning")

    def _judge(self, name: str) -> None:
        """Findings about values that are empty or cannot be read."""
        column, facts, rows = self._column(name), self._of(name), self.out.rows
        own = name == "customer_id" and self.table in OWN_UNIT
        by_device = name == "customer_id" and self.by_device
        for what in WRONG:
            n = facts.get(what, 0)
            if not n or (what == "empty" and not (column.required or own)):
                continue
            at, example = self._at(facts[f"{what} row"]), facts[f"{what} example"]
            share = MOST_UNREADABLE if what == "unread" else 1 - 1 / rows
            fatal = column.required and n > share * rows and not by_device
            if what == "empty":
                text = f"has {many(n, 'row')} of {counted(rows)} without {name} (first at {at})"
                advice = ". Fill it in, or name the right column with columns={…}." if fatal else ""
            else:
                what_not, advice = self._advice(name, example)
                text = f"has {many(n, 'row')} of {counted(rows)} whose {name} is {what_not}"
                text += f" (first at {at}: {example!r:.60})"
            kept = "left out" if column.required else "read as no" if column.kind == "flag" else "unknown there"
            kept = "each counts as a unit of its own and as no customer" if own else kept
            kept = "taken by device where they have one, else left out" if by_device else kept
            self._find(text + ("" if fatal else f"; {kept}") + advice, n, "fatal" if fatal else "warning")

    def _advice(self, name: str, example: str) -> tuple[str, str]:
        """What an unreadable value is not, and what to do."""
        kind = self._kind(name)
        if kind == "moment" and example.replace(".", "", 1).isdigit():
            return "no moment", ". Seconds, milliseconds or days? Say so with pd.to_datetime(column, unit='s')."
        if kind == "moment":
            return "no moment", ". Write moments as 2026-03-01 14:30."
        if kind == "flag":
            return "neither yes nor no", ". Write true or false."
        return "no number", ". Write numbers as 1234.5."

    def _write(self, selects: dict[str, str]) -> None:
        kinds = {name: self._kind(name) for name in selects}
        if "properties" in self.types:
            found = self._properties()
            selects, kinds = selects | found, kinds | {key: KNOWN_PROPERTIES[key] for key in found}
        customer = selects.pop("customer_id", "null::varchar")
        if self.table not in WITH_CUSTOMER:
            customer = "null::varchar"
        else:
            self.out.forgot = self._met(customer, self.reading.forget)
            customer = forgotten(customer, selects.get("device_id"), self.reading.forget)
        if self.by_device:
            customer = by_device(customer, selects["device_id"])
        self.out.nameless = self.facts.get(("customer_id", "empty"), 0)
        if self.table in OWN_UNIT and self.text_ids:
            customer = f"coalesce({customer}, {quoted(OWN + self.table)} || '#' || ({self.row})::varchar)"
        kinds.pop("customer_id", None)
        if given := "currency" in TABLES[self.table] and self.reading.currency:
            currency = ", ".join(filter(None, [selects.get("currency"), quoted(given)]))
            selects, kinds = selects | {"currency": f"coalesce({currency})"}, kinds | {"currency": "word"}
        listed = "".join(f", {sql} as {named(name)}" for name, sql in selects.items())
        gaps = {name for (name, what), n in self.facts.items() if what in WRONG and n}
        gaps |= {"customer_id"} if self.reading.forget else set()
        needed = [name for name, column in TABLES[self.table].items() if column.required and name in gaps]
        columns = ["customer" if name == "customer_id" else named(name) for name in needed]
        usable = " and ".join([f"{column} is not null" for column in columns] or ["true"])
        inner = f"select {self.row} as row, {customer} as customer{listed} from {self.raw}"
        self.out.sql, self.out.kinds = f"select * from ({inner}) where {usable}", kinds

    def _met(self, customer: str, names: tuple[str, ...]) -> set[str]:
        """Which of some customers the table has."""
        if not names:
            return set()
        asked = f"select distinct {customer}::varchar from {self.raw} where {among(customer, names)}"
        return {name for (name,) in self.con.execute(asked).fetchall()}

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
            seen = self._ask({key: f"count({value})" for key, value in found.items()}) if found else {}
            found = {key: value for key, value in found.items() if seen[key]}
        else:
            return {}
        words = {key for key, kind in KNOWN_PROPERTIES.items() if kind == "word"}
        return {key: f"nullif(({v})::varchar, '')" if key in words else _plain(v) for key, v in found.items()}


def _plain(sql: str) -> str:
    value = f"try_cast(trim({sql}::varchar) as double)"
    return f"(case when isfinite({value}) then {value} end)"


def _comma(sql: str) -> str:
    text = f"trim({sql}::varchar)"
    bare = f"regexp_replace({text}, '[. \\x{{00a0}}'']', '', 'g')"
    return f"(case when regexp_full_match({text}, {quoted(EUROPEAN)}) then replace({bare}, ',', '.')::double end)"
