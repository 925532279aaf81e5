"""Clocks: zones, hours that were twice or never, dates, fractions of a second, and what is no moment."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.study.made import events, findings, frame, opened
from toolkit.errors import DataError, UsageError
from toolkit.study.clock import changes, duration, moment_of, shown, zone
from toolkit.study.engine import parts

COPENHAGEN = "Europe/Copenhagen"
TEXTS = [  # text, zone of the study, UTC
    ("2026-01-05 10:00", "UTC", "2026-01-05 10:00"),
    ("2026-01-05T10:00:00.123456789", "UTC", "2026-01-05 10:00:00.123456"),
    ("2026-01-05 10:00", COPENHAGEN, "2026-01-05 09:00"),
    ("2026-07-05 10:00", COPENHAGEN, "2026-07-05 08:00"),
    ("2026-07-05", COPENHAGEN, "2026-07-04 22:00"),
    ("2026/07/05 10:00", COPENHAGEN, "2026-07-05 08:00"),
    (" 2026-7-5 9:00 ", COPENHAGEN, "2026-07-05 07:00"),
    ("2026-01-05T10:00:00Z", COPENHAGEN, "2026-01-05 10:00"),
    ("2026-01-05 10:00:00 UTC", COPENHAGEN, "2026-01-05 10:00"),
    ("2026-01-05T10:00:00+02:00", COPENHAGEN, "2026-01-05 08:00"),
    ("2026-01-05T10:00:00.5-0330", COPENHAGEN, "2026-01-05 13:30:00.5"),
    ("2026-01-05 10:00:00 +02:00", COPENHAGEN, "2026-01-05 08:00"),
    ("2026-01-05 10:00:00+02", COPENHAGEN, "2026-01-05 08:00"),
    ("2026-07-05 10:00:00 America/New_York", COPENHAGEN, "2026-07-05 14:00"),
    ("2025-10-26 02:30", COPENHAGEN, "2025-10-26 00:30"),  # twice: the first time round, summer time
    ("2026-03-29 02:30", COPENHAGEN, "2026-03-29 01:30"),  # never: 03:30 summer time
    ("2025-10-26 02:30+01:00", COPENHAGEN, "2025-10-26 01:30"),
]
NO_MOMENTS = [
    "2026-01-05 10:00 PM", "2026-01-05 10:00 xyz", "05-01-2026", "1/5/2026", "26-01-05", "2026-02-30", "yesterday",
    "infinity", "0001-01-01", "2026-01-05 25:00", "1767225600", "46022.4",
]  # fmt: skip


def utc(data):
    """The moments of a one-customer study, in µs."""
    return [int(t) for part in parts(data) for t in part.table.time]


def micro(text):
    return pd.Timestamp(text).value // 1_000


@pytest.mark.parametrize(("text", "tz", "expected"), TEXTS)
def test_a_moment_written_so_is_that_moment(text, tz, expected):
    assert utc(opened(events(("a", text, "cart")), tz=tz)) == [micro(expected)]


@pytest.mark.parametrize("text", NO_MOMENTS)
def test_what_is_no_moment_is_refused_with_the_value(text):
    with pytest.raises(DataError, match=r"events has 1 row of 1 whose timestamp is no moment .first at row 1: '"):
        opened(events(("a", text, "cart")))


@pytest.mark.parametrize("values", [[1_767_225_600], [1_767_225_600_000.5], ["1767225600000"]])
def test_numbers_for_moments_are_refused_with_advice(values):
    with pytest.raises(DataError, match=r"Seconds, milliseconds or days\? Say so with pd.to_datetime"):
        opened(pd.DataFrame({"customer_id": "a", "timestamp": values, "touchpoint": "cart"}))


def test_a_few_unreadable_moments_are_left_out_and_said():
    rows = [("a", f"2026-01-01 10:{i:02}", "cart") for i in range(40)]
    rows[17] = ("a", "soon", "cart")
    data = opened(events(*rows))
    assert len(utc(data)) == 39
    text = "events has 1 row of 40 whose timestamp is no moment (first at row 18: 'soon'); left out. Write moments as"
    assert any(text in said for said in findings(data))


def test_an_unreadable_moment_that_is_not_required_is_unknown():
    people = frame("customer_id joined_at", ("a", "2025-01-01"), ("b", "some day"))
    data = opened({"events": events(("a", "2026-01-01", "cart")), "customers": people})
    assert any(
        "customers has 1 row of 2 whose joined_at is no moment" in said and "unknown there" in said
        for said in findings(data)
    )
    assert data.frame("customers")["joined_at"].isna().tolist() == [False, True]


def test_hours_that_were_twice_or_never_are_reported():
    twice = [("a", f"2025-10-26 02:{m}", "cart") for m in ("00", "30", "59")]
    sure = [("a", t, "cart") for t in ("2025-10-26 01:59", "2025-10-26 03:00", "2026-03-29 01:59", "2026-03-29 03:00")]
    said = findings(opened(events(*twice, ("a", "2026-03-29 02:30", "cart"), *sure), tz=COPENHAGEN))
    read = "events has timestamp in an hour that "
    assert f"{read}was twice in {COPENHAGEN} (clocks put back); taken as its first time round" in said
    assert f"{read}never was in {COPENHAGEN} (clocks put forward); taken as one hour later" in said
    rows = opened(events(*twice), tz=COPENHAGEN).check().rows()
    assert [row["n_rows"] for row in rows if "twice" in row["finding"]] == [3]


def test_moments_with_a_zone_are_never_doubtful():
    data = opened(
        events(("a", "2025-10-26 02:30+02:00", "cart"), ("a", "2025-10-26 02:30+01:00", "cart")), tz=COPENHAGEN
    )
    assert [b - a for a, b in [utc(data)]] == [3_600_000_000]
    assert findings(data, ("warning",)) == []


def test_a_mixture_of_moments_with_and_without_a_zone_is_said():
    data = opened(events(("a", "2026-01-05 10:00Z", "cart"), ("a", "2026-01-05 10:00", "cart")), tz=COPENHAGEN)
    assert utc(data) == [micro("2026-01-05 09:00"), micro("2026-01-05 10:00")]
    assert f"events mixes timestamp with a time zone (1) and without (1; read as {COPENHAGEN})" in findings(data)


def test_utc_that_is_only_assumed_is_said():
    naive, aware = events(("a", "2026-01-05 10:00", "cart")), events(("a", "2026-01-05 10:00Z", "cart"))
    assert any("without a time zone; UTC was assumed" in said for said in findings(tk.open_data(naive)))
    assert not any("assumed" in said for given in (tk.open_data(aware), opened(naive)) for said in findings(given))
    assert tk.open_data(naive).provenance()["tz_assumed"]


@pytest.mark.parametrize(
    "tz", [COPENHAGEN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)
@given(st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1)), min_size=1, max_size=25, unique=True))
@settings(max_examples=3)
def test_random_moments_are_what_zoneinfo_says(tz, moments):
    key = ZoneInfo(tz)
    expected = sorted(
        round((m.replace(tzinfo=key).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)
        for m in moments
    )
    naive = pd.DataFrame({"customer_id": "a", "timestamp": np.array(moments, "datetime64[us]"), "touchpoint": "x"})
    assert utc(opened(naive, tz=tz, as_of="2070-01-01")) == expected


def test_a_study_that_lies_in_the_future_needs_a_later_day():
    rows = events(("a", "2190-01-01", "cart"))
    with pytest.raises(UsageError, match=r"Every moment lies in the future\. Give as_of="):
        opened(rows)
    assert utc(opened(rows, as_of="2191-01-01")) == [micro("2190-01-01")]


def test_changes_of_the_clock_are_found_to_the_second():
    found = changes(zone(COPENHAGEN), micro("2026-01-01"), micro("2026-12-31"))
    assert [shown(change.at, zone("UTC")) for change in found] == [
        "2026-03-29T01:00:00+00:00",
        "2026-10-25T01:00:00+00:00",
    ]


def test_a_date_and_its_text_agree():
    assert shown(moment_of("2026-07-01T12:00", zone(COPENHAGEN)), zone(COPENHAGEN)) == "2026-07-01T12:00:00+02:00"
    assert moment_of("2026-07-01T12:00Z", zone(COPENHAGEN)) == micro("2026-07-01 12:00")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1_800), ("1.5 h", 5_400), ("2 days", 172_800), ("1w", 604_800)]
)
def test_lengths_of_time_are_read(text, seconds):
    assert duration(text) == seconds * 1_000_000


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: duration("soon"), "'soon' is no length of time. Write a number and s, min, h, d or weeks"),
        (lambda: duration("0d"), "'0d' is no length of time"),
        (lambda: moment_of("1 May", zone("UTC")), "'1 May' is no date. Write it as 2026-03-01"),
        (lambda: zone("Mars/Base"), "There is no time zone 'Mars/Base'. Give an IANA name"),
        (lambda: opened(events(("a", "2026-01-01", "x")), as_of="soon"), "'soon' is no date"),
    ],
)
def test_wrong_settings_of_time_are_refused_in_a_sentence(call, sentence):
    with pytest.raises(UsageError) as error:
        call()
    assert sentence in str(error.value)
