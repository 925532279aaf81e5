"""The period of a report."""

import pytest

from toolkit.errors import UsageError
from toolkit.reports.period import read_period

LAST = 1_780_264_740_000_000  # 2026-05-31 23:59 in Copenhagen, 21:59 UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None, "")),
        ("last-28-days", ("2026-05-04", "2026-06-01", "last-28-days")),
        ("last-1-day", ("2026-05-31", "2026-06-01", "last-1-day")),
        ("last-month", ("2026-05-01", "2026-06-01", "one month")),
        ("2026-12", ("2026-12-01", "2027-01-01", "one month")),
        ("2026", ("2026-01-01", "2027-01-01", "one year")),
        ("2026-03-01..2026-06-01", ("2026-03-01", "2026-06-01", "92 days")),
    ],
)
def test_a_period_is_whole_days_of_the_study(text, expected):
    assert read_period(text, LAST, "Europe/Copenhagen") == expected


def test_the_last_month_is_the_last_whole_one():
    assert read_period("last-month", LAST - 2 * 86_400_000_000, "Europe/Copenhagen")[:2] == ("2026-04-01", "2026-05-01")
    assert read_period("last-1-day", LAST, "Asia/Tokyo")[0] == "2026-06-01"


@pytest.mark.parametrize("text", ["lately", "2026-13", "2026-03-01", "2026-03-01..", "last-999999999-days", "0000"])
def test_what_cannot_be_read_lists_what_can(text):
    with pytest.raises(UsageError, match="last-28-days"):
        read_period(text, LAST, "UTC")


@pytest.mark.parametrize("text", ["2026-06-01..2026-03-01", "last-0-days"])
def test_a_period_ends_after_it_starts(text):
    with pytest.raises(UsageError, match="ends before it starts"):
        read_period(text, LAST, "UTC")
