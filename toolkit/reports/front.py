"""The front page of a run, the list of runs, and the pointer to the latest."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path

from toolkit.reports.ledger import make_ledger
from toolkit.reports.notebooks import read_json, save
from toolkit.reports.page import TEMPLATES
from toolkit.reports.record import provenance_lines
from toolkit.shown import safe_text, show_cell, show_interval, show_number

SENTENCES = 5
STALE = 7  # days of age above which the data is called old
EARLIER = 1.5  # a page's first sentence weighs like the next page's second or third
SIGNED = {"rate": "points", "points": "points", "rel": "points", "number": "diff", "diff": "diff"}


def write_front(folder: Path) -> None:
    """Write ledger.json, the front page and the study's `latest.html` from a run's run.json, whatever failed."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    ledger = make_ledger(record, folder.parent)
    save(folder / "ledger.json", json.dumps(ledger, indent=1, ensure_ascii=False))
    about, (locale, tz) = about_of(record), shown_in(record)
    period, compared = (about.get("period") or "").split(";")[0], ledger["compared_with"]
    moments = [("Data until", ledger["until"]), ("Made on", record["made_at"])]
    context = {
        "record": record,
        "failed": [page for page in record["notebooks"] if page["status"] != "completed"],
        "sentences": best(record["notebooks"]),
        "when": [("Period", period), *((name, moment(text, locale, tz)) for name, text in moments)],
        "figures": [line(figure, locale) for figure in ledger["figures"]],
        "compared": compared and moment(compared["until"], locale, tz),
        "guards": guards(record["notebooks"]) + old_data(record, ledger),
        "provenance": provenance_lines(about | {"versions": record["versions"]}) + asked(record),
    }
    save(folder / "index.html", render("front.html.j2", context))
    save(folder.parent / "latest.html", render("latest.html.j2", {"record": record}))


def write_index(out: Path) -> Path:
    """Write `index.html`, the list of all runs under `out`, newest first; its path."""
    runs = []
    for folder in {path.parent for path in out.glob("*/*/run.json")}:
        record, ledger = read_json(folder / "run.json"), read_json(folder / "ledger.json")
        if record and ledger:
            until, made = (moment(text, *shown_in(record)) for text in (ledger["until"], ledger["made_at"]))
            failed = sum(page["status"] != "completed" for page in record["notebooks"])
            runs.append(
                record | {"link": f"{folder.parent.name}/{folder.name}", "until": until, "made": made, "failed": failed}
            )
    runs.sort(key=lambda run: run["made_at"], reverse=True)
    save(out / "index.html", render("runs.html.j2", {"runs": runs}))
    return out / "index.html"


def about_of(record: dict) -> dict:
    """The provenance of the study, from the first page that is whole; {} when none is."""
    return next((page["about"] for page in record["notebooks"] if page["status"] == "completed"), {})


def shown_in(record: dict) -> tuple[str, str]:
    """The locale and the time zone in which a run is shown."""
    about, shared = about_of(record), record["shared"]
    return shared.get("locale") or about.get("locale") or "en", shared.get("tz") or about.get("tz") or "UTC"


def best(pages: list[dict]) -> list[dict]:
    """The sentences that matter most, up to five; pages go from trust to decision, so the later ones come first."""
    said = [
        sentence | {"link": f"{page['page']}#{sentence['anchor']}", "title": page["title"], "weight": back * EARLIER}
        for back, page in enumerate(reversed(pages))
        for sentence in page.get("sentences", [])
    ]
    ranked = sorted(said, key=lambda sentence: sentence["rank"] + sentence["weight"])
    first: dict[str, dict] = {}
    for sentence in ranked:  # two pages may say the same
        first.setdefault(sentence["text"], sentence)
    return list(first.values())[:SENTENCES]


def line(figure: dict, locale: str) -> dict:
    """One headline figure as the front page shows it."""
    kind, value = figure["kind"], figure["value"]
    money = f" {figure['currency']}" if figure["currency"] and value is not None else ""
    shown = {"name": figure["name"], "title": figure["title"], "link": figure["page"], "note": figure["note"]}
    shown["value"] = show_number(value, kind, locale) + money
    shown["interval"] = show_interval(value, (figure["low"], figure["high"]), kind, locale)
    n = "" if figure["n"] is None else f"of {show_number(figure['n'], 'count', locale)}"
    shown["n"] = " · ".join(filter(None, [figure.get("what", ""), n]))
    if moved := figure["change"]:
        by, up = moved["difference"], moved["difference"] > 0
        plain = f"{'+' if up else '-'}{show_number(abs(by), kind, locale)}"
        words = show_number(by, SIGNED[kind], locale) if kind in SIGNED else plain
        shown["change"] = {"words": words if by else "no change", "marked": moved["clear"], "up": up}
    shown["trend"] = trend(figure["trend"], kind, locale)
    return shown


def trend(values: list, kind: str, locale: str) -> dict | None:
    """Points of a small line and its text alternative; None with fewer than two known values."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    step = 84 / max(1, len(values) - 1)
    heights = [(value - low) / (high - low) if high > low else 0.5 for _, value in known]
    points = [
        f"{6 + place * step:.1f},{22 - 16 * height:.1f}" for (place, _), height in zip(known, heights, strict=True)
    ]
    text = ", ".join(show_number(value, kind, locale) for _, value in known)
    return {"points": " ".join(points), "last": points[-1].split(","), "text": f"From run to run: {text}"}


def guards(pages: list[dict]) -> list[dict]:
    """The guards that fired, each once per page."""
    found = {
        (page["notebook"], text): page for page in pages for guard in page.get("guards", []) for text in guard["texts"]
    }
    return [{"text": text, "title": page["title"], "link": page["page"]} for (_, text), page in found.items()]


def old_data(record: dict, ledger: dict) -> list[dict]:
    """A guard when the data ends long before the report was made, unless the past was asked for."""
    made, until = (datetime.fromisoformat(text) for text in (record["made_at"], ledger["until"]))
    days = (made - until).days
    if days <= STALE or record["shared"].get("as_of"):
        return []
    return [{"text": f"The data ends {days} days before this report was made.", "title": "Age of the data", "link": ""}]


def asked(record: dict) -> list[tuple[str, str]]:
    """What was asked of the run, for the provenance table."""
    told = record["shared"] | record["given"]
    settings = " · ".join(f"{name} = {safe_text(value)}" for name, value in told.items() if value and name != "source")
    return [("settings", settings)] if settings else []


def moment(text: str | None, locale: str, tz: str) -> str:
    """A moment as people read it; "" when unknown."""
    return show_cell({"x_at": text}, "x_at", locale, tz) if text else ""


@cache
def _environment():
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES / "journey")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def render(template: str, context: dict) -> str:
    """A page of ours from its template; everything in the context is escaped."""
    return _environment().get_template(template).render(**context)
