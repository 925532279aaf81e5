"""How a column of moments is read: its zone, what cannot be read, and hours that were twice or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from toolkit.study.clock import DAY, doubtful_sql, to_utc_sql
from toolkit.study.sources import quoted

ZONE_AT_END = r"[A-Za-z]\s*$|:\d\d(\.\d+)?\s*[+-]\d\d(:?\d\d)?\s*$"
EARLIEST = -25_567 * DAY  # 1900: an earlier moment is a year of two digits, or stands for "none"
LATEST = 47_482 * DAY  # 2100: changes of the clock are looked for up to then


@dataclass(frozen=True, slots=True)
class Moments:
    """One column of moments, as it came.

    Attributes:
        name: what the column is called.
        sql: SQL of its value.
        kind: its DuckDB type.
        tz: zone of moments written without one.
    """

    name: str
    sql: str
    kind: str
    tz: ZoneInfo

    @property
    def _in_utc(self) -> bool:
        return self.kind.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))

    @property
    def _says_zone(self) -> str:
        return f"regexp_matches({self.sql}, {quoted(ZONE_AT_END)})" if self.kind == "VARCHAR" else "false"

    @property
    def _zoned(self) -> str:
        text = f"replace(replace(trim({self.sql}), ' +', '+'), ' -', '-')"  # no space is read before an offset
        return f"epoch_us(try_cast({text} as timestamptz))"

    @property
    def _local(self) -> str:
        """SQL of what the clock shows, in µs; null where it cannot be read."""
        if self.kind == "VARCHAR":
            shown = f"epoch_us(try_cast(trim({self.sql}) as timestamp))"  # overlooks what follows the time, even "PM"
            shown = f"case when {self._says_zone} and {self._zoned} is null then null else {shown} end"
        elif self._in_utc:
            shown = f"epoch_us({self.sql}::timestamptz)"
        elif self.kind.startswith(("TIMESTAMP", "DATE")):
            shown = f"epoch_us({self.sql}::timestamp)"
        else:
            return "null::bigint"
        return f"(case when {shown} >= {EARLIEST} then {shown} end)"

    def questions(self, first: Callable[[str], str], row: str) -> dict[str, str]:
        """What must be known before the column can be written.

        Args:
            first: condition → SQL of the first row that meets it.
            row: SQL of the input row.
        """
        name, local = self.name, self._local
        filled = f"trim({self.sql}) <> ''" if self.kind == "VARCHAR" else f"{self.sql} is not null"
        bad = f"{filled} and {local} is null"
        return {
            f"{name}/unread": f"count(*) filter ({bad})",
            f"{name}/unread_row": first(bad),
            f"{name}/example": f"arg_min({self.sql}::varchar, {row}) filter ({bad})",
            f"{name}/low": f"min({local})",
            f"{name}/high": f"max({local})",
            f"{name}/zoned": "0" if self._in_utc else f"count(*) filter ({local} is not null and {self._says_zone})",
            f"{name}/naive": "0"
            if self._in_utc
            else f"count(*) filter ({local} is not null and not {self._says_zone})",
        }

    def select(self, answers: Mapping) -> str:
        """SQL of the moment in UTC µs."""
        if self._in_utc:
            return self._local
        utc = to_utc_sql(self.tz, self._local, *self._range(answers))
        if not answers[f"{self.name}/zoned"]:
            return utc
        return f"(case when {self._local} is null then null when {self._says_zone} then {self._zoned} else {utc} end)"

    def _range(self, answers: Mapping) -> tuple[int, int]:
        low, high = (min(max(answers[f"{self.name}/{end}"] or 0, 0), LATEST) for end in ("low", "high"))
        return low, high

    def doubts(self, answers: Mapping, count: Callable[[str], int]) -> Iterator[tuple[str, int]]:
        """What is to be said about moments that were read one way and could be read another.

        Args:
            answers: to the questions.
            count: condition → rows that meet it.
        """
        name, key, zoned, naive = self.name, self.tz.key, answers[f"{self.name}/zoned"], answers[f"{self.name}/naive"]
        if not naive:
            return
        if zoned:
            yield f"mixes {name} with a time zone ({zoned:,}) and without ({naive:,}; read as {key})", naive
        twice, never = (
            count(f"not {self._says_zone} and ({condition})") if condition != "false" else 0
            for condition in doubtful_sql(self.tz, self._local, *self._range(answers))
        )
        if twice:
            yield (
                f"has {name} in an hour that was twice in {key} (clocks put back); taken as its first time round",
                twice,
            )
        if never:
            yield f"has {name} in an hour that never was in {key} (clocks put forward); taken as one hour later", never
