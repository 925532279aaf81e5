"""Every recorded figure of a run, and what changed since the last run that can be compared."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

from toolkit.reports.notebooks import read_json

STUDY_PARAMETERS = {"source", "tz", "locale", "as_of", "period_start", "period_end"}
TREND = 12  # runs in a trend


def make_ledger(record: dict, home: Path) -> dict:
    """The ledger of a run: its figures, each with its change since the last comparable run and its trend.

    Args:
        record: the run, as run.json has it.
        home: the study's folder, whose earlier ledgers are read.

    Returns:
        {"study", "run", "made_at", "until", "signature", "compared_with", "figures"}; a figure is what `record`
        emitted, with "notebook", "change" ({"difference", "clear"} or None) and "trend" (earlier values, then this).

    Method:
        Comparable: same study, same notebooks, same settings apart from the period's place in time, and data that end
        earlier. A change is clear of the noise when |difference| > sqrt(h1² + h2²), h being half an interval's width:
        the interval of a difference of two independent figures (over the same customers two runs differ by less).
    """
    figures = [
        payload | {"notebook": page["notebook"], "title": page["title"], "page": page["page"]}
        for page in record["notebooks"]
        if page["status"] == "completed"
        for payload in page["records"]
    ]
    figures = list({(figure["notebook"], figure["name"]): figure for figure in figures}.values())
    ledger = {"study": record["study"], "run": record["run"], "made_at": record["made_at"], "until": until(record)}
    ledger |= {"signature": signature(record), "compared_with": None, "figures": figures}
    earlier = history(home, ledger)
    if earlier:
        ledger["compared_with"] = {key: earlier[-1][key] for key in ("run", "until", "made_at")}
    for figure in figures:
        past = [_same(figure, other) for other in earlier]
        figure["change"] = change(figure, past[-1]) if past else None
        figure["trend"] = [one["value"] if one else None for one in past[-TREND + 1 :]] + [figure["value"]]
    return ledger


def until(record: dict) -> str:
    """Until when the data go, ISO in UTC: what the notebooks saw, else what was asked, else the day it was made."""
    seen = [
        page["about"]["observed_until"] for page in record["notebooks"] if page.get("about", {}).get("observed_until")
    ]
    latest = max(map(datetime.fromisoformat, seen or [record["shared"].get("as_of") or record["made_at"]]))
    return latest.astimezone(UTC).isoformat(timespec="seconds")


def signature(record: dict) -> dict:
    """What must be equal for two runs to be comparable."""
    settings = {}
    for page in record["notebooks"]:
        settings |= {f"{page['notebook']}.{k}": v for k, v in page["parameters"].items() if k not in STUDY_PARAMETERS}
    pages = sorted(page["notebook"] for page in record["notebooks"])
    parts = {"study": record["study"], "notebooks": pages, "settings": settings, "period": record["period"]}
    return json.loads(json.dumps(parts))


def history(home: Path, ledger: dict) -> list[dict]:
    """The comparable ledgers of data that end earlier, oldest first; of several for the same data the latest made."""
    found: dict[str, dict] = {}
    others = [read_json(path) for path in home.glob("*/ledger.json")]
    for other in sorted(filter(None, others), key=lambda one: one["made_at"]):
        if other["signature"] == ledger["signature"] and other["until"] < ledger["until"]:
            found[other["until"]] = other
    return [found[moment] for moment in sorted(found)]


def _same(figure: dict, ledger: dict) -> dict | None:
    keys = ("notebook", "name", "kind", "currency")
    return next((one for one in ledger["figures"] if all(one[key] == figure[key] for key in keys)), None)


def change(now: dict, before: dict | None) -> dict | None:
    """The difference between two figures, and whether it clears the noise (None: no interval to tell by).

    Example:
        >>> change({"value": 0.05, "low": 0.046, "high": 0.054}, {"value": 0.04, "low": 0.037, "high": 0.043})["clear"]
        True
        >>> change({"value": 1200, "low": None, "high": None}, {"value": 1100, "low": None, "high": None})
        {'difference': 100, 'clear': None}
    """
    if before is None or now["value"] is None or before["value"] is None:
        return None
    difference = now["value"] - before["value"]
    if any(figure[end] is None for figure in (now, before) for end in ("low", "high")):
        return {"difference": difference, "clear": None}
    noise = math.hypot(*((figure["high"] - figure["low"]) / 2 for figure in (now, before)))
    return {"difference": difference, "clear": abs(difference) > noise}
