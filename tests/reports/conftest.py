"""One report for all tests that look at one: a whole page, and every way a notebook can fail."""

from types import SimpleNamespace

import pytest

from tests.reports.made import full, tiny
from toolkit.reports.runner import Plan, run_report


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("report")
    notebooks = home / "notebooks"
    paths = (
        tiny(notebooks, "01-error", "tk_ = 1", "raise KeyError('basket')"),
        tiny(notebooks, "02-killed", "import os\nos._exit(1)"),
        tiny(notebooks, "03-leaves", "raise SystemExit"),
        full(notebooks, "04-conversion"),
        tiny(notebooks, "05-unsaid", about=None),
    )
    source = home / "private" / "webshop"
    shared = {"source": str(source), "locale": "en", "as_of": None, "tz": None}
    lines = []
    plan = Plan(study="webshop", notebooks=paths, out=home / "reports", given={"weeks": "8"}, shared=shared)
    run = run_report(plan, say=lines.append)
    return SimpleNamespace(home=home, plan=plan, run=run, folder=run.folder, lines=lines)


@pytest.fixture(scope="session")
def page(made):
    return (made.folder / "04-conversion.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def front(made):
    return (made.folder / "index.html").read_text(encoding="utf-8")
