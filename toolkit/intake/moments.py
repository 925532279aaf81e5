"""How a column of moments is read: its zone, what cannot be read, and hours that were twice or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from toolkit.intake.finding import counted
from toolkit.intake.sources import quoted
from toolkit.study.clock import DAY, doubtful_sql, to_utc_sql

ZONE_AT_END = r"[A-Za-z]\s*$|:\d\d(\.\d+)?\s*[+-]\d\d(:?\d\d)?\s*$"
SENSIBLE = "between '1900-01-01' and '2200-01-01'"  # others are years of two digits, or stand for "none"
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
    def _readable(self) -> bool:
        return self.kind.startswith(("VARCHAR", "TIMESTAMP", "DATE"))

    @property
    def _in_utc(self) -> bool:
        return self.kind.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))

    @property
    def _says_zone(self) -> str:
        return f"regexp_matches({self.sql}, {quoted(ZONE_AT_END)})" if self.kind == "VARCHAR" else "false"

    @property
    def _zoned(self) -> str:
        text = f"replace(replace(trim({self.sql}), ' +', '+'), ' -', '-')"  # no space is read before an offset
        return f"try_cast({text} as timestamptz)"

    @property
    def _clock(self) -> str:
        """SQL of what the clock shows; null where it cannot be read."""
        if self._in_utc:
            return f"{self.sql}::timestamptz"
        if self.kind != "VARCHAR":
            return f"{self.sql}::timestamp" if self._readable else "null::timestamp"
        shown = f"try_cast(trim({self.sql}) as timestamp)"  # overlooks what follows the time, even "PM"
        return f"(case when {self._says_zone} and {self._zoned} is null then null else {shown} end)"

    def conditions(self) -> dict[str, str]:
        """What is to be counted: rows that cannot be read; rows with and without a zone."""
        good = f"{self._clock} {SENSIBLE}"
        if self.kind == "VARCHAR":
            bad = f"trim({self.sql}) <> '' and ({good}) is not true"
            return {
                "unread": bad,
                "zoned": f"{good} and {self._says_zone}",
                "naive": f"{good} and not {self._says_zone}",
            }
        bad = f"not ({good})" if self._readable else f"{self.sql} is not null"
        return {"unread": bad} if self._in_utc else {"unread": bad, "naive": good}

    def bounds(self) -> dict[str, str]:
        """SQL of the earliest and the latest moment the clock shows, in µs."""
        if self._in_utc or not self._readable:
            return {}
        ends = {"low": "min", "high": "max"}
        return {end: f"epoch_us({of}({self._clock}) filter ({self._clock} {SENSIBLE}))" for end, of in ends.items()}

    def select(self, answers: Mapping) -> str:
        """SQL of the moment in UTC µs; null where it cannot be read.

        Args:
            answers: what was counted for `conditions` and found for `bounds`.
        """
        good = f"{self._clock} {SENSIBLE}" if answers["unread"] else "true"
        if not self._readable:
            return "null::bigint"
        if self._in_utc:
            return f"(case when {good} then epoch_us({self._clock}) end)"
        utc = to_utc_sql(self.tz, f"epoch_us({self._clock})", *_range(answers))
        if answers.get("zoned"):
            utc = f"case when {self._says_zone} then epoch_us({self._zoned}) else {utc} end"
        return f"(case when {good} then {utc} end)"

    def doubts(self, answers: Mapping, count: Callable[[str], int]) -> Iterator[tuple[str, int]]:
        """What is to be said about moments that were read one way and could be read another.

        Args:
            answers: as for `select`.
            count: condition → rows that meet it.
        """
        name, key, zoned, naive = self.name, self.tz.key, answers.get("zoned"), answers.get("naive")
        if not naive:
            return
        if zoned:
            yield (
                f"mixes {name} with a time zone ({counted(zoned)}) and without ({counted(naive)}; read as {key})",
                naive,
            )
        local = f"epoch_us({self._clock})"
        twice, never = (
            count(f"not {self._says_zone} and ({condition})") if condition != "false" else 0
            for condition in doubtful_sql(self.tz, local, *_range(answers))
        )
        if twice:
            yield (
                f"has {name} in an hour that was twice in {key} (clocks put back); taken as its first time round",
                twice,
            )
        if never:
            yield f"has {name} in an hour that never was in {key} (clocks put forward); taken as one hour later", never


def _range(answers: Mapping) -> tuple[int, int]:
    low, high = (min(max(answers[end] or 0, 0), LATEST) for end in ("low", "high"))
    return low, high
