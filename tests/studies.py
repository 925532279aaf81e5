"""Studies that lack something, and a report on any of them as the command line would ask for it."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.house import ROOT
from toolkit.reports.notebooks import read_notebook, section_of
from toolkit.reports.runner import Plan, Run, run_report

SAMPLES = ROOT / "data" / "samples" / "webshop"
NOTEBOOKS = tuple(sorted((ROOT / "notebooks").glob("*.ipynb")))
UNHEARD_OF = ("zorp", "quux lobby", "blat", "frobnicate", "gnarl desk", "wibble")


def events_only(folder: Path) -> Path:
    """Customers, moments and touchpoints that no catalogue knows."""
    rng = np.random.default_rng(3)
    customers, days = rng.integers(0, 300, 2_000), rng.integers(0, 90, 2_000)
    moments = pd.Timestamp("2026-01-01") + pd.to_timedelta(days * 86_400 + rng.integers(0, 600, 2_000), unit="s")
    events = pd.DataFrame({"customer_id": customers, "timestamp": moments, "touchpoint": rng.choice(UNHEARD_OF, 2_000)})
    return _written(folder, "events", events)


def orders_only(folder: Path) -> Path:
    """A shop's order export and nothing else; its last month is not over."""
    rng = np.random.default_rng(4)
    seconds = rng.integers(0, 75 * 86_400, 900)
    orders = pd.DataFrame({"order_id": np.arange(900), "customer_id": rng.integers(0, 400, 900), "currency": "DKK"})
    orders["timestamp"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(seconds, unit="s")
    return _written(folder, "orders", orders.assign(revenue=rng.lognormal(5, 1, 900).round(2)))


def _written(folder: Path, table: str, frame: pd.DataFrame) -> Path:
    folder.mkdir(parents=True)
    frame.to_csv(folder / f"{table}.csv", index=False)
    return folder


def report(source: Path, out: Path, *, given: dict | None = None, period: tuple = (None, None), **opening) -> Run:
    """Every notebook on a study, through the runner."""
    asked = dict.fromkeys(("tz", "locale", "as_of", "currency"), None) | {"columns": {}} | opening
    shared = {"source": str(source), **asked, "period_start": period[0], "period_end": period[1]}
    return run_report(Plan(study=source.name, notebooks=NOTEBOOKS, out=out, given=given or {}, shared=shared))


def sections(run: Run, name: str) -> dict[str, list[dict]]:
    """What each section of an executed notebook showed: its outputs by heading, the last cell (its source) left out."""
    notebook, found = read_notebook(run.folder / f"{name}.ipynb"), {}
    for index, cell in enumerate(notebook["cells"][:-1]):
        found.setdefault(section_of(notebook, index), []).extend(cell.get("outputs", []))
    return found


def forms(outputs: list[dict]) -> set[str]:
    """The forms in which a section shows something: figure, table, and gap for what it cannot show."""
    found = set()
    for output in outputs:
        html = "".join(output.get("data", {}).get("text/html", ""))
        if "image/png" in output.get("data", {}) and output["metadata"]["image/png"]["alt"]:
            found.add("figure")
        if '<table class="result"' in html and "<tbody><tr>" in html:
            found.add("table")
        if 'class="missing"' in html:
            found.add("gap")
    return found
