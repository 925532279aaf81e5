import math
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import UsageError
from toolkit.shown import is_number, kind_of, known_locale, safe_text, show_cell, show_interval, show_number

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
NBSP = "\N{NO-BREAK SPACE}"

NUMBERS = [  # value, kind, locale, shown
    (0.0421, "rate", "en", "4.2 %"),
    (0.0421, "rate", "da", "4,2 %"),
    (0.0421, "rate", "da_DK", "4,2 %"),
    (0.0421, "rate", "sv", "4,2 %"),
    (0.0421, "rate", "de-DE", "4,2 %"),
    (0.00521, "rate", "en", "0.52 %"),
    (0.000521, "rate", "en", "0.052 %"),
    (0.0, "rate", "en", "0.0 %"),
    (1.0, "rate", "en", "100.0 %"),
    (1e-17, "rate", "en", "0.0 %"),
    (0.0142, "points", "en", "+1.4 %-points"),
    (-0.0142, "points", "da", "-1,4 %-points"),
    (0.0, "points", "en", "0.0 %-points"),
    (0.3, "rel", "en", "+30.0 %"),
    (1234, "count", "en", "1,234"),
    (1234, "count", "da_DK", "1.234"),
    (1234, "count", "de", "1.234"),
    (1234, "count", "sv", f"1{NBSP}234"),
    (12.4, "count", "en", "12"),
    (1234.5, "money", "da", "1.234"),
    (-0.001, "money", "en", "0.00"),
    (0.0004, "p", "en", "< 0.001"),
    (0.0004, "p", "da", "< 0,001"),
    (0.04567, "p", "en", "0.046"),
    (3.14159, "days", "en", "3.1 days"),
    (2, "days", "en", "2 days"),
    (123.4, "days", "da", "123 days"),
    (0.5, "days", "en", "12 h"),
    (5_400, "seconds", "da", "1,5 h"),
    (90, "seconds", "en", "1.5 min"),
    (0.0352, "seconds", "en", "0.035 s"),
    (-90, "seconds", "en", "-1.5 min"),
    (0, "days", "en", "0 s"),
    (12.3456, "diff", "en", "+12.35"),
    (-3, "diff", "en", "-3"),
    (3, "diff", "en", "+3"),
    (2026, "number", "en", "2026"),
    (123456.78, "number", "de", "123.457"),
    (0.0123456, "number", "en", "0.01235"),
    (0.5, "number", "en", "0.5"),
    (math.inf, "number", "en", "∞"),
    (-math.inf, "points", "en", "-∞ %-points"),
    (1e300, "money", "en", "1e+300"),
    (math.nan, "rate", "en", "–"),
    (None, "money", "en", "–"),
]


@pytest.mark.parametrize(("value", "kind", "locale", "shown"), NUMBERS)
def test_a_number_is_shown_as_its_kind_and_locale_ask(value, kind, locale, shown):
    assert show_number(value, kind, locale) == shown


@pytest.mark.parametrize(
    ("value", "low", "high", "kind", "shown"),
    [
        (0.042, 0.0388, 0.0451, "rate", "3.9–4.5"),
        (0.0052, 0.0041, 0.0103, "rate", "0.41–1.03"),
        (0.0, 0.0, 0.1611, "rate", "0.0–16.1"),
        (0.014, -0.003, 0.031, "points", "-0.3 – 3.1"),
        (3.0, 0.5, 9.0, "days", "0.5–9"),
        (0.0, 0.0, 3.0, "days", "0–3"),
        (math.nan, 1.0, 2.0, "number", "1–2"),
        (10.0, 5.0, math.inf, "number", "5–∞"),
        (0.042, math.nan, 0.0451, "rate", ""),
        (0.042, None, None, "rate", ""),
    ],
)
def test_an_interval_takes_unit_and_decimals_from_its_value(value, low, high, kind, shown):
    assert show_interval(value, (low, high), kind) == shown


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("n", "count"),
        ("n_at_risk", "count"),
        ("p", "p"),
        ("p_adjusted", "p"),
        ("p90_days", "days"),
        ("rate", "rate"),
        ("bounce_rate", "rate"),
        ("reach_share_low", "rate"),
        ("rate_diff", "points"),
        ("mean_diff", "diff"),
        ("mean_rel", "rel"),
        ("wait_seconds_high", "seconds"),
        ("revenue_money", "money"),
        ("first_at", "moment"),
        ("separate", "number"),
        ("what", "number"),
        ("period", "number"),
    ],
)
def test_the_ending_of_a_key_tells_its_kind(key, kind):
    assert kind_of(key) == kind


@pytest.mark.parametrize(
    ("row", "key", "shown"),
    [
        ({"r_rate": 0.042, "r_rate_low": 0.0388, "r_rate_high": 0.0451}, "r_rate", "4,2 %  3,9–4,5"),
        ({"first_at": "2026-03-01T23:30:00+00:00"}, "first_at", "2. mar. 2026 00:30"),
        ({"first_at": "2026-03-01T23:30:00"}, "first_at", "2. mar. 2026 00:30"),
        ({"first_at": "2026-03-01"}, "first_at", "1. mar. 2026"),
        ({"first_at": "last spring"}, "first_at", "last spring"),
        ({"first_at": None}, "first_at", "–"),
        ({"first_at": 1234}, "first_at", "1234"),
        ({"mature": True}, "mature", "yes"),
        ({"mature": False}, "mature", "no"),
        ({"page": "two\nlines"}, "page", "two lines"),
        ({}, "page", "–"),
    ],
)
def test_a_cell_is_shown_as_its_key_asks(row, key, shown):
    assert show_cell(row, key, locale="da", tz="Europe/Copenhagen") == shown


def test_numpy_scalars_are_numbers_too():
    np = pytest.importorskip("numpy")
    assert show_cell({"n_customers": np.int64(1234)}, "n_customers") == "1,234"
    assert show_cell({"buy_rate": np.float64(0.5)}, "buy_rate") == "50.0 %"


def test_an_unknown_locale_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match="locale 'tlh_KX' is unknown"):
        show_number(1.0, "rate", "tlh_KX")
    with pytest.raises(UsageError, match="locale '' is unknown"):
        known_locale("")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\x00b\x1b[31m", "ab[31m"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("a\r\nb\u2028c", "a b c"),
        ("\ud800x", "x"),
        ("\ufeffid", "id"),
        ("a\U000e0041b", "ab"),
        ("læg i kurv 👩‍👩‍👧", "læg i kurv 👩‍👩‍👧"),
    ],
)
def test_text_from_outside_loses_what_cannot_be_seen(hostile, shown):
    assert safe_text(hostile) == shown


@given(st.text(), st.integers(1, 50))
def test_safe_text_fits_is_encodable_and_is_stable(text, limit):
    once = safe_text(text, limit)
    assert len(once) <= limit
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in once)
    assert not any(unicodedata.bidirectional(letter) in BIDI for letter in once)
    assert safe_text(once, limit) == once


@given(
    st.floats(allow_nan=True), st.sampled_from(["rate", "points", "rel", "diff", "count", "money", "days", "p", "x"])
)
def test_every_float_can_be_shown(value, kind):
    assert show_number(value, kind, "da")


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_a_moment_is_shown_to_the_minute_in_its_time_zone(moment):
    shown = show_cell({"seen_at": moment.replace(tzinfo=UTC).isoformat()}, "seen_at", tz="UTC")
    assert shown.endswith(f"{moment:%H:%M}") and f"{moment.year}" in shown


def test_words_are_not_numbers():
    assert not is_number("1") and not is_number(None) and not is_number(True)
