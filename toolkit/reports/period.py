"""The period a report is about, said relative to the data or outright."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from toolkit.errors import UsageError

FORMS = "last-28-days (any number), last-month, 2026-04, 2026 or 2026-03-01..2026-06-01 (the end not included)"


def read_period(text: str | None, observed_until: int, tz: str) -> tuple[str | None, str | None, str]:
    """Start and end of a period as ISO days, the end not included, and the name by which periods are comparable.

    Args:
        text: how it was asked for; None is everything.
        observed_until: until when the data go, UTC microseconds; relative periods end with that day.
        tz: the study's time zone, in which days begin.

    Raises:
        UsageError: none of the forms, or an end that is not after its start.

    Example:
        >>> read_period("last-28-days", 1_780_264_740_000_000, "Europe/Copenhagen")
        ('2026-05-04', '2026-06-01', 'last-28-days')
        >>> read_period("2026-04", 0, "UTC")
        ('2026-04-01', '2026-05-01', 'one month')
    """
    if not text:
        return None, None, ""
    last = datetime.fromtimestamp((observed_until - 1) / 1e6, ZoneInfo(tz)).date()
    try:
        start, end, name = _bounds(text, last + timedelta(days=1))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"Period '{text}' is not one that can be read; give {FORMS}.") from error
    if end <= start:
        raise UsageError(f"Period '{text}' ends before it starts; the end is the first day not included.")
    return start.isoformat(), end.isoformat(), name


def _bounds(text: str, after: date) -> tuple[date, date, str]:
    if match := re.fullmatch(r"last-(\d+)-days?", text):
        return after - timedelta(days=int(match[1])), after, text
    if text == "last-month":
        return _month(after - timedelta(days=1), -1 if after.day != 1 else 0), _month(after, 0), "one month"
    if match := re.fullmatch(r"(\d{4})-(\d\d)", text):
        start = date(int(match[1]), int(match[2]), 1)
        return start, _month(start, 1), "one month"
    if re.fullmatch(r"\d{4}", text):
        return date(int(text), 1, 1), date(int(text) + 1, 1, 1), "one year"
    start, end = (date.fromisoformat(day) for day in text.split(".."))
    return start, end, f"{(end - start).days} days"


def _month(day: date, move: int) -> date:
    months = day.year * 12 + day.month - 1 + move
    return date(months // 12, months % 12 + 1, 1)
