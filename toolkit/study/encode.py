"""Canonical values → what the columns on disk hold: codes of words, minor units, NaN and −1 for the unknown."""

from __future__ import annotations

from typing import Any

from toolkit.intake.finding import Finding, counted
from toolkit.intake.sources import named, quoted
from toolkit.study.sort import UNKNOWN

MOST_TOUCHPOINTS = 1_000  # rarer ones are put together: a transition table has their number squared
MOST_WORDS = 32_000  # a code has 16 bits
OTHERS = "(others)"
BY_NAME = ("touchpoint", "channel", "device", "stage", "currency")  # words that measures ask for by name
DTYPES = {"moment": "i8", "money": "i8", "word": "i2", "number": "f8", "whole": "f8", "flag": "i1"}


class Encoder:
    """Makes the vocabularies of a study, and the SQL of encoded values.

    Args:
        con: DuckDB connection in which the table "orders" is called `t_orders`.
        manifest: where the vocabularies are kept, with each one's most common words.
        findings: what was seen is added here.
    """

    def __init__(self, con, manifest: dict[str, Any], findings: list[Finding]):
        self.con, self.manifest, self.findings = con, manifest, findings

    def vocabularies(self, table: str, kinds: dict[str, str]) -> dict[str, str]:
        """Makes the vocabulary of each word column; a column with too many words stays in the source.

        Returns:
            The kinds of the columns that are to be encoded.
        """
        kept = dict(kinds)
        if free := [c for c, k in kinds.items() if k == "word" and c not in BY_NAME]:
            asked = ", ".join(f"approx_count_distinct({named(c)})" for c in free)
            for column, n in zip(free, self.con.execute(f"select {asked} from t_{table}").fetchall()[0], strict=True):
                if n > MOST_WORDS:
                    text = f"has about {counted(n)} different values in {column}; it stays in the source"
                    text += f', see frame("{table}")'
                    self.findings.append(Finding(table, text, n, "note"))
                    del kept[column]
        for column in [c for c, k in kept.items() if k == "word"]:
            self._vocabulary(table, column)
        return kept

    def _vocabulary(self, table: str, column: str) -> None:
        limit = MOST_TOUCHPOINTS if column == "touchpoint" else MOST_WORDS
        found = self.con.execute(
            f"select {named(column)}, count(*) from t_{table} where {named(column)} is not null "
            f"group by 1 order by 2 desc, 1 limit {limit + 1}"
        ).fetchall()
        self.manifest["common"][f"{table}.{column}"] = [word for word, _ in found[:10]]
        words = sorted(word for word, _ in found)
        if len(found) > limit:
            words = sorted({*(word for word, _ in found[: limit - 1]), OTHERS})
            text = f"has more than {counted(limit)} different {column}s; the rarer ones stand together as {OTHERS}"
            self.findings.append(Finding(table, text, limit))
        self.manifest["vocabularies"][f"{table}.{column}"] = words
        if words:
            listed = ", ".join(quoted(word) for word in words)
            self.con.execute(f"create type {named(f'e_{table}_{column}')} as enum ({listed})").fetchall()

    def value(self, table: str, column: str, kind: str) -> str:
        """SQL of the encoded value of a column of that kind."""
        sql = named(column)
        if kind == "word":
            return self._code(table, column)
        if kind == "money":
            return f"coalesce(try_cast(round({sql} * {self._minor(table)}) as bigint), {UNKNOWN})"
        if kind == "moment":
            return f"coalesce({sql}, {UNKNOWN})::bigint"
        return f"coalesce({sql}::tinyint, -1)::tinyint" if kind == "flag" else f"coalesce({sql}, 'nan'::double)::double"

    def _code(self, table: str, column: str) -> str:
        words, sql = self.manifest["vocabularies"][f"{table}.{column}"], named(column)
        if not words:
            return "(-1)::smallint"
        code = f"coalesce(enum_code(try_cast({sql} as {named(f'e_{table}_{column}')}))::smallint, -1)::smallint"
        if OTHERS not in words:
            return code
        return f"(case when {sql} is null then -1 when {code} < 0 then {words.index(OTHERS)} else {code} end)::smallint"

    def _minor(self, table: str) -> str:
        """SQL of how many minor units a unit of the row's currency has."""
        from babel.numbers import get_currency_precision

        words = self.manifest["vocabularies"].get(f"{table}.currency", [])
        odd = {word: 10 ** get_currency_precision(word) for word in words}
        cases = "".join(f" when {quoted(word)} then {n}" for word, n in odd.items() if n != 100)
        return f"(case currency{cases} else 100 end)" if cases else "100"
