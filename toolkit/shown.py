"""How numbers, moments and words from outside are shown. Rounding lives here and nowhere else."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from numbers import Integral, Real
from typing import NamedTuple
from zoneinfo import ZoneInfo

from toolkit.errors import UsageError

MISSING = "–"

_KINDS = tuple(  # first match wins; the whole key, without _low and _high
    (re.compile(pattern), kind)
    for pattern, kind in [
        (r"n(_.*)?", "count"),
        (r"p(_.*)?", "p"),
        (r"(.*_)?(rate|share)_diff", "points"),
        (r"(.*_)?(rate|share)", "rate"),
        (r"(.*_)?rel", "rel"),
        (r"(.*_)?diff", "diff"),
        (r"(.*_)?(odds|ratio)", "ratio"),
        (r"(.*_)?days", "days"),
        (r"(.*_)?seconds", "seconds"),
        (r"(.*_)?money", "money"),
        (r".*_at", "moment"),
    ]
)
_BREAKS = re.compile(r"[\t-\r\x1c-\x1e\x85\u2028\u2029]+")
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f]+"
)


def show_number(value: float | None, kind: str = "number", locale: str = "en") -> str:
    """A number as people read it; the only place that rounds.

    Args:
        value: a rate is 0–1; None and NaN are unknown.
        kind: rate, points (a difference of rates), rel (a relative difference), diff, count, money, ratio,
            days, seconds, p or number.
        locale: a language, such as "da" or "en_GB".

    Returns:
        The text; an en dash when unknown.

    Example:
        >>> show_number(0.0421, "rate"), show_number(0.0421, "rate", "da"), show_number(1234, "count", "de")
        ('4.2 %', '4,2 %', '1.234')
    """
    if value is None or math.isnan(value):
        return MISSING
    if kind == "p" and value < 0.001:
        return f"< {_digits(0.001, _Form(1, 3), locale)}"
    form = _Form.of(value, kind)
    return _digits(value, form, locale) + form.unit


def show_interval(value: float | None, interval: tuple, kind: str = "number", locale: str = "en") -> str:
    """The bounds of an interval, in the unit and with the decimals of the value they belong to.

    Args:
        value: the value as shown beside it; decides the unit and the decimals.
        interval: low and high; an Interval will do.
        kind: as in show_number.
        locale: a language, such as "da" or "en_GB".

    Returns:
        The text without a unit; empty when a bound is unknown.

    Example:
        >>> show_interval(0.042, (0.0388, 0.0451), "rate")
        '3.9–4.5'
        >>> show_interval(0.014, (-0.003, 0.031), "points")
        '-0.3 – 3.1'
    """
    low, high = interval[:2]
    if any(bound is None or math.isnan(bound) for bound in (low, high)):
        return ""
    known = value is not None and not math.isnan(value)
    form = _Form.of(value if known and value else high, kind)._replace(signed=False)
    dash = " – " if low < 0 else "–"
    return dash.join(_digits(bound, form, locale) for bound in (low, high))


def show_cell(row: dict, key: str, locale: str = "en", tz: str = "UTC") -> str:
    """One cell of a row as people read it, with its interval when the row has `<key>_low` and `<key>_high`.

    Args:
        row: a flat dict.
        key: its ending tells the kind: `_rate`, `_share`, `n_`, `_days`, `_seconds`, `_money`, `_at`, `p`, …; where
            the rows of a column differ in kind, the row says it as `<key>_kind`.
        locale: a language, such as "da" or "en_GB".
        tz: the time zone in which moments are shown.

    Returns:
        The text; an en dash when unknown.

    Example:
        >>> show_cell({"buy_rate": 0.042, "buy_rate_low": 0.0388, "buy_rate_high": 0.0451}, "buy_rate")
        '4.2 %  3.9–4.5'
        >>> show_cell({"first_at": "2026-03-01T13:05:00+00:00"}, "first_at", tz="Europe/Copenhagen")
        'Mar 1, 2026 14:05'
    """
    return "  ".join(filter(None, cell_parts(row, key, locale, tz)))


def safe_text(value: object, limit: int = 300) -> str:
    r"""Text from outside on one line: no control or direction characters, cut to a length.

    Args:
        value: anything; its str() is shown.
        limit: characters, > 0.

    Example:
        >>> safe_text("two\nlines" + chr(0x202E)), safe_text("abcdef", limit=4)
        ('two lines', 'abc…')
    """
    text = _INVISIBLE.sub("", _BREAKS.sub(" ", str(value)))
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def kind_of(key: str) -> str:
    """The kind of number that a row key stands for.

    Example:
        >>> kind_of("buy_rate"), kind_of("buy_rate_high"), kind_of("n_customers"), kind_of("score")
        ('rate', 'rate', 'count', 'number')
    """
    name = re.sub(r"_(low|high)$", "", key)
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(name)), "number")


@lru_cache(maxsize=64)
def known_locale(name: str):
    """The babel locale of a name such as "da", "da_DK" or "da-DK".

    Raises:
        UsageError: when there is no such locale.

    Example:
        >>> known_locale("da-DK").language
        'da'
    """
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        raise UsageError(f"locale {name!r} is unknown; give a language such as 'en', 'da' or 'sv_SE'.") from None


class _Form(NamedTuple):
    scale: float
    decimals: int
    unit: str = ""
    signed: bool = False
    trim: bool = False  # trailing zeros are left out

    @classmethod
    def of(cls, value: float, kind: str) -> _Form:
        size = abs(value)
        if kind in ("rate", "points", "rel"):
            unit = " %-points" if kind == "points" else " %"
            return cls(100, _decimals(100 * size), unit, signed=kind != "rate")
        if kind == "ratio":
            return cls(1, _decimals(size))
        if kind in ("days", "seconds"):
            return cls._duration(size, 86_400 if kind == "days" else 1)
        if kind in ("count", "money", "p"):
            return cls(1, {"count": 0, "money": 2 if size < 1_000 else 0, "p": 3}[kind])
        return cls(1, _decimals(size, significant=4), signed=kind == "diff", trim=True)

    @classmethod
    def _duration(cls, size: float, seconds: int) -> _Form:
        steps = ((172_800, 86_400, " days"), (3_600, 3_600, " h"), (60, 60, " min"), (0, 1, " s"))
        divisor, unit = next((divisor, unit) for least, divisor, unit in steps if size * seconds >= least)
        scale = seconds / divisor
        return cls(scale, 0 if size * scale >= 100 else _decimals(size * scale), unit, trim=True)


def _decimals(size: float, significant: int = 2) -> int:
    """At least one decimal for two significant digits: 42.0, 4.2, 0.42, 0.042."""
    if size < 1e-9 or math.isinf(size):  # below is rounding of floats, not a finding
        return 1
    least = 1 if significant == 2 else 0
    return min(max(least, significant - 1 - math.floor(math.log10(size))), 9)


def _digits(value: float, form: _Form, locale: str) -> str:
    from babel.numbers import format_decimal

    if isinstance(value, Integral) and form.trim and form.scale == 1:  # a year, a period, a score: no thousands
        return f"{value:+d}" if form.signed and value else str(value)
    number = round(value * form.scale, form.decimals) + 0.0  # + 0.0: no negative zero
    if 1e15 <= abs(number) < math.inf:
        return f"{number:.4g}"
    pattern = "#,##0" + ("." + ("#" if form.trim else "0") * form.decimals if form.decimals else "")
    if form.signed and number:
        pattern = f"+{pattern};-{pattern}"
    return format_decimal(number, pattern, locale=known_locale(locale))


def cell_parts(row: dict, key: str, locale: str, tz: str) -> tuple[str, str]:
    """The two parts of a shown cell: the value, and its interval or an empty text.

    Example:
        >>> cell_parts({"wait_days": 3.14, "wait_days_low": 2.0, "wait_days_high": 4.2}, "wait_days", "da", "UTC")
        ('3,1 days', '2–4,2')
        >>> cell_parts({"found": 0.25, "found_kind": "rate"}, "found", "en", "UTC")
        ('25.0 %', '')
    """
    value, kind = row.get(key), row.get(f"{key}_kind") or kind_of(key)
    if isinstance(value, bool):
        return ("yes" if value else "no"), ""
    if value is None or is_number(value):
        kind = "number" if kind == "moment" else kind
        ends = row.get(f"{key}_low"), row.get(f"{key}_high")
        return show_number(value, kind, locale), show_interval(value, ends, kind, locale)
    return (_moment(str(value), locale, tz) if kind == "moment" else safe_text(value)), ""


def _moment(text: str, locale: str, tz: str) -> str:
    from babel.dates import format_date

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return safe_text(text)
    if len(text) > len("2026-03-01"):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(ZoneInfo(tz))
        return f"{format_date(moment, locale=known_locale(locale))} {moment:%H:%M}"
    return format_date(moment, locale=known_locale(locale))


def is_number(value: object) -> bool:
    """Whether a cell holds a number; yes and no are words.

    Example:
        >>> is_number(1.5), is_number(True), is_number("1.5")
        (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)
