"""One table as it came in → the same rows in canonical types, as SQL; and what was wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from toolkit.schema import KEYED, KNOWN_PROPERTIES, OWN_UNIT, TABLES, Column
from toolkit.study.clock import DAY, doubtful_sql, to_utc_sql
from toolkit.study.sources import named, quoted

WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
NUMERIC = WHOLE | {"DOUBLE", "FLOAT"}
OFFSET_AT_END = r":\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$"
YES = "('true', 't', '1', 'yes', 'y', 'ja', 'j', 'sand', 'sant', 'wahr')"
MOST_UNREADABLE = 0.05  # share of unreadable moments above which the format, not a row, is wrong
OWN = "\ue000"  # first character of the made-up id of a row without a customer; no real id begins with it


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
        used: rows that can be used.
        assumed_tz: whether moments without a zone took the study's.
        findings: what was seen.
    """

    table: str
    sql: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    used: int = 0
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
        self.types = {reading.renamed.get(name, name): (name, kind.upper()) for name, kind, *_ in described}
        lower = {name.casefold(): name for name in self.types}
        for wanted in TABLES[table]:
            if wanted not in self.types and wanted in lower:
                self.types[wanted] = self.types.pop(lower[wanted])
        self.out = Normal(table)

    def whole_ids(self) -> bool:
        """Whether every row's customer is a whole number: such ids are joined as numbers, which is faster."""
        if "customer_id" not in self.types or self._type("customer_id") not in WHOLE:
            return self.table not in KEYED or self.table == "order_lines"
        empty = f"{self._sql('customer_id')} is null"
        return self.table not in OWN_UNIT or not self._ask({"empty": f"count(*) filter ({empty})"})["empty"]

    def done(self, *, text_ids: bool = True) -> Normal:
        """Reads the table's facts and writes its select.

        Args:
            text_ids: whether customers are to be compared as text.
        """
        self.text_ids = text_ids
        wrong = self._missing()
        if wrong:
            self.out.findings.append(Finding(self.table, wrong, 0, "fatal"))
            return self.out
        questions = {"rows": "count(*)"}
        for name in self.types:
            questions |= self._questions(name)
        answers = self._ask(questions)
        self.out.rows = answers["rows"]
        selects = {name: self._select(name, answers) for name in self.types}
        self._judge(answers)
        gaps = {key.split("/")[0] for key, n in answers.items() if key.endswith(("/empty", "/unread", "/plain")) and n}
        self._write(selects, gaps)
        return self.out

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
        kind, sql, asked = self._kind(name), self._sql(name), {}
        if self._type(name) == "VARCHAR" and kind in ("id", "word"):
            asked[f"{name}/blank"] = f"count(*) filter ({sql} = '')"
        if self._column(name).required or kind == "id":
            empty = f"{sql} is null" + (f" or {sql} = ''" if self._type(name) == "VARCHAR" else "")
            asked |= {f"{name}/empty": f"count(*) filter ({empty})", f"{name}/empty_row": self._first(empty)}
        if kind == "moment":
            asked |= self._moment_questions(name)
        if kind in ("number", "money", "whole") and self._type(name) not in NUMERIC | {"DECIMAL"}:
            for style, number in (("plain", _plain(sql)), ("comma", _comma(sql))):
                bad = f"trim({sql}) <> '' and {number} is null"
                asked |= {f"{name}/{style}": f"count(*) filter ({bad})", f"{name}/{style}_row": self._first(bad)}
            asked[f"{name}/example"] = (
                f"arg_min({sql}, {self.row}) filter (trim({sql}) <> '' and {_plain(sql)} is null)"
            )
        if kind == "id" and self._type(name) in ("DOUBLE", "FLOAT"):
            asked[f"{name}/broken"] = f"count(*) filter ({sql} <> floor({sql}))"
        return asked

    def _moment_questions(self, name: str) -> dict[str, str]:
        sql, kind = self._sql(name), self._type(name)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return {}
        local, aware = self._local(name), "false"
        asked = {f"{name}/low": f"min({local})", f"{name}/high": f"max({local})"}
        if kind == "VARCHAR":
            aware = f"regexp_matches(trim({sql}), {quoted(OFFSET_AT_END)})"
            bad = f"trim({sql}) <> '' and try_cast(trim({sql}) as timestamp) is null"
            asked |= {
                f"{name}/unread": f"count(*) filter ({bad})",
                f"{name}/unread_row": self._first(bad),
                f"{name}/example": f"arg_min({sql}, {self.row}) filter ({bad})",
                f"{name}/aware": f"count(*) filter ({aware})",
            }
        elif not kind.startswith(("TIMESTAMP", "DATE")):
            bad = f"{sql} is not null"
            asked |= {f"{name}/unread": f"count(*) filter ({bad})", f"{name}/unread_row": self._first(bad)}
            asked[f"{name}/example"] = f"any_value({sql}::varchar)"
        asked[f"{name}/naive"] = f"count(*) filter ({local} is not null and not {aware})"
        return asked

    def _local(self, name: str) -> str:
        sql, kind = self._sql(name), self._type(name)
        if kind == "VARCHAR":
            return f"epoch_us(try_cast(trim({sql}) as timestamp))"
        return f"epoch_us({sql}::timestamp)" if kind.startswith(("TIMESTAMP", "DATE")) else "null::bigint"

    def _first(self, condition: str) -> str:
        return f"min({self.row}) filter ({condition})"

    def _kind(self, name: str) -> str:
        declared = self._column(name).kind
        if declared != "unknown":
            return declared
        kind = self._type(name)
        if kind in NUMERIC or kind.startswith("DECIMAL"):
            return "number"
        if kind.startswith(("TIMESTAMP", "DATE")):
            return "moment"
        return "word" if kind in ("VARCHAR", "BOOLEAN") or kind.startswith("ENUM") else "skip"

    def _select(self, name: str, answers: dict) -> str:
        """The SQL of one canonical column."""
        kind, sql = self._kind(name), self._sql(name)
        if kind == "moment":
            return self._moment(name, answers)
        if kind in ("number", "money", "whole"):
            return self._number(name, answers)
        if kind == "id":
            whole = self._type(name) in ("DOUBLE", "FLOAT") and not answers.get(f"{name}/broken")
            if whole and self.out.rows:
                text = f"came as numbers with decimals in {name} (7.0); whole numbers were restored"
                self.out.findings.append(Finding(self.table, text, self.out.rows, "note"))
            if name == "customer_id" and not self.text_ids:
                return f"{sql}::bigint"
            return f"{sql}::bigint::varchar" if whole else _filled(sql, answers.get(f"{name}/blank"))
        if kind == "flag":
            truth = f"lower(trim({sql}::varchar)) in {YES}"
            return f"({sql}::boolean)" if self._type(name) == "BOOLEAN" else f"({truth})"
        return _filled(sql, answers.get(f"{name}/blank")) if kind == "word" else sql

    def _moment(self, name: str, answers: dict) -> str:
        sql, tz = self._sql(name), self.reading.tz
        if self._type(name) == "TIMESTAMP WITH TIME ZONE":
            return f"epoch_us({sql})"
        low, high = (min(max(answers[f"{name}/{end}"] or 0, 0), 47_482 * DAY) for end in ("low", "high"))
        local, naive, aware = self._local(name), answers[f"{name}/naive"], answers.get(f"{name}/aware", 0)
        utc = to_utc_sql(tz, local, low, high)
        if naive:
            self._doubts(name, doubtful_sql(tz, local, low, high))
            self.out.assumed_tz = True
        if not aware:
            return utc
        if naive:
            text = f"mixes {name} with a time zone ({aware:,}) and without ({naive:,}); those without were read as {tz.key}"
            self.out.findings.append(Finding(self.table, text, naive))
        matches = f"regexp_matches(trim({sql}), {quoted(OFFSET_AT_END)})"
        return f"(case when {matches} then epoch_us(try_cast(trim({sql}) as timestamptz)) else {utc} end)"

    def _doubts(self, name: str, conditions: tuple[str, str]) -> None:
        twice, never = conditions
        if twice == never == "false":
            return
        asked = {"twice": f"count(*) filter ({twice})", "never": f"count(*) filter ({never})"}
        found, key = self._ask(asked), self.reading.tz.key
        if found["twice"]:
            text = (
                f"has {name} in an hour that happened twice in {key} (clocks put back); taken as its first time round"
            )
            self.out.findings.append(Finding(self.table, text, found["twice"]))
        if found["never"]:
            text = f"has {name} in an hour that never was in {key} (clocks put forward); taken as one hour later"
            self.out.findings.append(Finding(self.table, text, found["never"]))

    def _number(self, name: str, answers: dict) -> str:
        sql = self._sql(name)
        if f"{name}/plain" not in answers:
            return f"({sql}::double)"
        if answers[f"{name}/plain"] and not answers[f"{name}/comma"]:
            text = f"writes {name} with a decimal comma; read so"
            self.out.findings.append(Finding(self.table, text, answers[f"{name}/plain"], "note"))
            return _comma(sql)
        if answers[f"{name}/plain"]:
            self._unread(
                name, answers[f"{name}/plain"], answers[f"{name}/plain_row"], answers[f"{name}/example"], "number"
            )
        return _plain(sql)

    def _unread(self, name: str, n: int, row: int, example: str, what: str) -> None:
        column = self._column(name)
        advice = "Write moments as 2026-03-01 14:30." if what == "moment" else "Write numbers as 1234.5."
        text = (
            f"has {n:,} rows of {self.out.rows:,} whose {name} is no {what} (first at row {row + 1:,}: {example!r:.60})"
        )
        fatal = column.required and n > MOST_UNREADABLE * self.out.rows
        kept = "" if fatal else ("; they were left out" if column.required else "; unknown there")
        self.out.findings.append(Finding(self.table, f"{text}{kept}. {advice}", n, "fatal" if fatal else "warning"))

    def _judge(self, answers: dict) -> None:
        """Findings about empty and unreadable values."""
        for name in self.types:
            if answers.get(f"{name}/unread"):
                self._unread(
                    name, answers[f"{name}/unread"], answers[f"{name}/unread_row"], answers[f"{name}/example"], "moment"
                )
            empty, column = answers.get(f"{name}/empty", 0), self._column(name)
            own = name == "customer_id" and self.table in OWN_UNIT
            if empty and (column.required or own):
                kept = "; each counts as a unit of its own and as no customer" if own else "; they were left out"
                text = f"has {empty:,} rows of {self.out.rows:,} without {name} (first at row {answers[f'{name}/empty_row'] + 1:,})"
                fatal = column.required and empty == self.out.rows
                end = ". Fill it in, or name the right column with columns={…}." if fatal else kept
                self.out.findings.append(Finding(self.table, text + end, empty, "fatal" if fatal else "warning"))

    def _write(self, selects: dict[str, str], gaps: set[str]) -> None:
        kinds = {name: self._kind(name) for name in selects}
        if "properties" in self.types:
            found = self._properties()
            selects, kinds = selects | found, kinds | {key: KNOWN_PROPERTIES[key] for key in found}
        required = [n for n, c in TABLES[self.table].items() if c.required and n in gaps]
        customer = selects.pop("customer_id", "null::varchar")
        if self.table in OWN_UNIT and self.text_ids:
            customer = f"coalesce({customer}, {quoted(OWN + self.table)} || '#' || ({self.row})::varchar)"
        kinds.pop("customer_id", None)
        if "currency" in TABLES[self.table] and self.reading.currency:
            given = (
                f"coalesce({selects['currency']}, {quoted(self.reading.currency)})"
                if "currency" in selects
                else quoted(self.reading.currency)
            )
            selects, kinds = selects | {"currency": given}, kinds | {"currency": "word"}
        listed = "".join(f", {sql} as {named(name)}" for name, sql in selects.items())
        usable = " and ".join(f"{named(n)} is not null" for n in required if n != "customer_id") or "true"
        if "customer_id" in required:
            usable += " and customer is not null"
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


def _plain(sql: str) -> str:
    return f"try_cast(trim({sql}) as double)"


def _comma(sql: str) -> str:
    bare = f"replace(replace(replace(trim({sql}), ' ', ''), chr(160), ''), '.', '')"
    return f"try_cast(replace({bare}, ',', '.') as double)"


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
