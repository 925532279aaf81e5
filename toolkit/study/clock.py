"""Local clocks to UTC, as arithmetic on a short list of offset changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from toolkit.errors import UsageError

EPOCH = datetime(1970, 1, 1)
MICRO = timedelta(microseconds=1)
HOUR = 3_600_000_000
DAY = 24 * HOUR
LONGEST = 1 << 60  # µs; twice as much fits an int64


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a zone's offset from UTC.

    Attributes:
        at: UTC µs of the change.
        before, after: offset from UTC in µs.
    """

    at: int
    before: int
    after: int


def zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> zone("Europe/Copenhagen").key
        'Europe/Copenhagen'
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"There is no time zone {name!r}. Give an IANA name such as Europe/Copenhagen.") from None


def offset(tz: ZoneInfo, utc: int) -> int:
    """Offset from UTC in µs at a UTC moment in µs."""
    moment = (EPOCH + utc * MICRO).replace(tzinfo=UTC).astimezone(tz)
    return moment.utcoffset() // MICRO


def changes(tz: ZoneInfo, low: int, high: int) -> list[Change]:
    """The offset changes of a zone between two UTC moments (µs), found day by day and then by bisection."""
    found, day = [], low - 2 * DAY
    while day < high + 2 * DAY:
        before, after = offset(tz, day), offset(tz, day + DAY)
        if before != after:
            left, right = day, day + DAY
            while right - left > 1_000_000:
                middle = (left + right) // 2
                left, right = (middle, right) if offset(tz, middle) == before else (left, middle)
            found.append(Change(-(-left // 1_000_000) * 1_000_000, before, after))
        day += DAY
    return found


def to_utc_sql(tz: ZoneInfo, local: str, low: int, high: int) -> str:
    """SQL that turns local µs into UTC µs.

    An hour that happens twice is taken as its first time round; an hour that never was is taken as if the clock had
    not been put forward. Both are counted by `doubtful_sql`.

    Args:
        tz: the zone the clock stands in.
        local: SQL expression of the local moment in µs.
        low: earliest local moment in µs.
        high: latest.
    """
    steps = changes(tz, low, high)
    if not steps:
        return f"({local} - {offset(tz, low)})"
    cases = " ".join(f"when {local} < {s.at + max(s.before, s.after)} then {s.before}" for s in steps)
    return f"({local} - case {cases} else {steps[-1].after} end)"


def doubtful_sql(tz: ZoneInfo, local: str, low: int, high: int) -> tuple[str, str]:
    """SQL conditions: the local moment happened twice; the local moment never was."""
    twice, never = ["false"], ["false"]
    for s in changes(tz, low, high):
        bounds = sorted((s.at + s.before, s.at + s.after))
        (twice if s.after < s.before else never).append(f"({local} >= {bounds[0]} and {local} < {bounds[1]})")
    return " or ".join(twice), " or ".join(never)


def moment_of(text: str, tz: ZoneInfo) -> int:
    """UTC µs of an ISO date or date-time; a date is its midnight in the zone.

    Raises:
        UsageError: the text is no ISO date.

    Example:
        >>> moment_of("2026-03-01", zone("Europe/Copenhagen"))
        1772319600000000
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise UsageError(f"{text!r} is no date. Write it as 2026-03-01 or 2026-03-01T14:30.") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=tz)
    return (aware.astimezone(UTC).replace(tzinfo=None) - EPOCH) // MICRO


def shown(utc: int, tz: ZoneInfo) -> str:
    """A UTC moment in µs as ISO text in the zone.

    Example:
        >>> shown(1772319600000000, zone("Europe/Copenhagen"))
        '2026-03-01T00:00:00+01:00'
    """
    return (EPOCH + utc * MICRO).replace(tzinfo=UTC).astimezone(tz).isoformat(timespec="seconds")


_UNITS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_UNITS |= {"d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}


def duration(text: str) -> int:
    """A length of time such as "30min", "7d" or "2 weeks", in µs.

    Raises:
        UsageError: the text is no length of time, or not above 0.

    Example:
        >>> duration("30min")
        1800000000
    """
    import re

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", str(text).lower())
    unit = match and (_UNITS.get(match[2]) or _UNITS.get(match[2] + "s"))
    length = float(match[1]) * unit * 1e6 if unit else 0
    if not 0.5 < length < LONGEST:
        raise UsageError(
            f"{text!r} is no length of time. Write a number and s, min, h, d or weeks, such as 30min or 7d."
        )
    return round(length)


def spelled(text: str) -> str:
    """A length of time as it is said in a sentence.

    Example:
        >>> spelled("7d"), spelled("1 day"), spelled("30min"), spelled("2 weeks")
        ('7 days', '1 day', '30 minutes', '14 days')
    """
    seconds = duration(text) / 1e6
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((pair for pair in units if seconds % pair[0] == 0), units[-1])
    return f"{seconds / size:g} {unit}{'s' * (seconds != size)}"
