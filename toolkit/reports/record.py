"""What a notebook tells the report: headline figures, the sentences that matter, and where it all comes from.

Each is a small display object: in Jupyter it shows itself, in a report the runner reads its mime bundle too.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from toolkit.errors import UsageError, one_of
from toolkit.shown import is_number, kind_of, safe_text, show_interval, show_number
from toolkit.study.attempt import Missing

KINDS = ("rate", "points", "rel", "diff", "count", "money", "days", "seconds", "number")
MIME = "application/vnd.journey.{}+json"
GAP = 10  # what cannot be shown ranks behind every page's answers


@dataclass(frozen=True, slots=True)
class Shown:
    """Something a notebook cell displays: text for people, and payloads for the report."""

    text: str
    html: str
    payloads: tuple[tuple[str, dict], ...]

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        payloads = {MIME.format(kind): body for kind, body in self.payloads}
        return {"text/plain": self.text, "text/html": self.html} | payloads

    def __repr__(self) -> str:
        return self.text


def record(name: str, value, *, of: str = "", at: dict | None = None, kind: str = "") -> Shown:
    """Put a headline figure into the report's ledger, where the next run compares itself with it.

    Args:
        name: how the front page calls it, such as "conversion rate"; keep it the same from run to run.
        value: a number; a result, of which one row is taken; or a row (a flat dict). None and Missing are unknown.
        of: the key in that row. Left out: the first key with an interval, else the first number that is no count.
        at: which row, such as {"step": "purchase"}; not needed where the result has one row or a `headline` row.
        kind: rate, points, rel, diff, count, money, days, seconds or number; of a row the key's ending tells.

    Returns:
        A display object; the cell shows the figure with its interval.

    Raises:
        UsageError: no such row or key, or several rows and none chosen.

    Example:
        >>> record("conversion rate", {"buy_rate": 0.042, "buy_rate_low": 0.034, "buy_rate_high": 0.052})
        conversion rate: 4.2 %  3.4–5.2
    """
    if isinstance(value, Missing):
        value, of = None, ""
    row = _row(value, at)
    key = _key(row, of)
    kind = kind or kind_of(key)
    if kind not in KINDS:
        raise one_of("kind", kind, KINDS)
    figure = {end or "value": _known(row.get(f"{key}{'_' * bool(end)}{end}")) for end in ("", "low", "high")}
    counts = (_known(row[name]) for name in row if kind_of(name) == "count")
    n = None if kind == "count" else next(counts, None)  # a count is of nothing but itself
    figure = {"name": safe_text(name)} | figure | {"n": n, "kind": kind, "currency": row.get("currency")}
    figure |= {"note": getattr(value, "note", ""), "what": safe_text(row.get("what", ""))}
    locale = getattr(getattr(value, "definition", None), "locale", "en")
    money = figure["currency"] if figure["value"] is not None else None
    shown = " ".join(filter(None, [show_number(figure["value"], kind, locale), money]))
    bounds = show_interval(figure["value"], (figure["low"], figure["high"]), kind, locale)
    inner = f'<strong>{escape(shown)}</strong><span class="interval">{escape(bounds)}</span>'
    html = f'<p class="recorded"><span class="name">{escape(figure["name"])}</span> {inner}</p>'
    text = "  ".join(filter(None, [f"{figure['name']}: {shown}", bounds]))
    return Shown(text, html, (("record", figure), *_guards(name, value)))


def _row(value, at: dict | None) -> dict:
    if isinstance(value, dict):
        return value
    if value is None or is_number(value):
        return {"number": value}
    if not hasattr(value, "rows"):
        raise UsageError(f"Only a number, a row or a result can be recorded, not {type(value).__name__}.")
    if at is None and (headline := getattr(value, "headline", None)):
        return headline
    rows = [row for row in value.rows() if all(row.get(key) == wanted for key, wanted in (at or {}).items())]
    if len(rows) != 1:
        raise UsageError(f"{len(rows)} rows of {type(value).__name__} fit; name one with at={{column: value}}.")
    return rows[0]


def _key(row: dict, of: str) -> str:
    numbers = [key for key, value in row.items() if value is None or is_number(value)]
    if (of and of not in row) or not numbers:
        raise one_of("of", of, numbers)
    certain = [key for key in numbers if f"{key}_low" in row]
    return of or (certain + [key for key in numbers if kind_of(key) != "count"] + numbers)[0]


def _known(value):
    return None if value is None or value != value else value


def _guards(where: str, *results) -> tuple[tuple[str, dict], ...]:
    notes = [note for result in results for note in getattr(getattr(result, "definition", None), "notes", ())]
    notes += [
        f"{warning[:1].upper()}{warning[1:].rstrip('.')}."
        for result in results
        for warning in getattr(result, "warnings", ())
    ]
    texts = [safe_text(note, 600) for note in dict.fromkeys(notes)]
    return (("guard", {"texts": texts, "where": safe_text(where)}),) if texts else ()


def in_short(*said) -> Shown:
    """The answer in a few sentences, most important first: a page shows all under its title, the front page the best.

    Args:
        *said: results, read aloud by their first sentence, or computed sentences; empty ones are left out, and what
            cannot be shown comes last.

    Example:
        >>> in_short("4.2 % of customers buy.", "")
        - 4.2 % of customers buy.
    """
    sentences = []
    for one in sorted(said, key=lambda one: isinstance(one, Missing)):
        text = one if isinstance(one, str) else next(iter(one.say()), "")
        measure = getattr(getattr(one, "definition", None), "measure", None)
        if text and text not in [sentence["text"] for sentence in sentences]:
            rank = len(sentences) + 1 + GAP * isinstance(one, Missing)
            sentences.append({"text": safe_text(text, 600), "rank": rank, "measure": measure})
    items = "".join(f"<li>{escape(sentence['text'])}</li>" for sentence in sentences)
    text = "\n".join(f"- {sentence['text']}" for sentence in sentences)
    payloads = (("in-short", {"sentences": sentences}), *_guards("in short", *said))
    return Shown(text, f'<ul class="in-short">{items}</ul>', payloads)


def about(data) -> Shown:
    """Where the numbers come from; the last cell of every notebook, by which the report knows that the page is whole.

    Args:
        data: the study, as opened by `open_data`.

    Example:
        >>> import toolkit as tk
        >>> str(about(tk.open_data(tk.make_data(50, rng=1)))).splitlines()[1]
        'customers: 50'
    """
    provenance = data.provenance()
    rows = provenance_lines(provenance)
    body = "".join(f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>' for label, value in rows)
    html = f'<table class="facts"><caption>Where these numbers come from</caption><tbody>{body}</tbody></table>'
    return Shown("\n".join(f"{label}: {value}" for label, value in rows), html, (("about", provenance),))


def provenance_lines(provenance: dict) -> list[tuple[str, str]]:
    """A provenance read for people: (label, text) for what is known.

    Example:
        >>> provenance_lines({"study": "webshop", "rows": {"events": 1200}, "tz": "UTC", "tz_assumed": True})
        [('study', 'webshop'), ('rows', 'events 1,200'), ('time zone', 'UTC (assumed: none was given)')]
    """
    known = {key: value for key, value in provenance.items() if value not in (None, "")}

    def number(n: int) -> str:
        return show_number(n, "count", known.get("locale", "en"))

    found = {
        "study": known.get("study"),
        "customers": number(known["customers"]) if "customers" in known else None,
        "rows": " · ".join(f"{name} {number(n)}" for name, n in known.get("rows", {}).items()),
        "period": known.get("period"),
        "seen through": known.get("seen_through"),
        "time zone": known.get("tz", "") + " (assumed: none was given)" * bool(known.get("tz_assumed")),
        "fingerprint": known.get("fingerprint", "")[:16],
        "versions": " · ".join(f"{name} {version}" for name, version in known.get("versions", {}).items()),
    }
    return [(label, safe_text(text, 600)) for label, text in found.items() if text]
