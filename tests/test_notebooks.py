"""Every report notebook, cell by cell and end to end: on the samples, on few customers, on one table alone."""

import re
import shutil
import subprocess
import sys
from html import unescape
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.house import ROOT
from tests.notebook_rules import code_cells
from tests.studies import NOTEBOOKS, SAMPLES, events_only, forms, orders_only, report, sections
from toolkit.reports.notebooks import read_notebook
from toolkit.schema import TABLES
from toolkit.simulate import write_data

pytestmark = pytest.mark.slow

MUST_DRAW = {  # on the samples: section, and the forms in which it must show something
    "01-data": {
        "What is there, and what is wrong with it?": {"table"},
        "What can be asked?": {"table"},
        "Is every day there?": {"figure"},
        "Do the tables know the same customers?": {"table"},
        "What have customers agreed to?": {"figure", "table"},
        "What do the orders say?": {"figure", "table"},
    },
    "03-touchpoints": {
        "What does the whole journey look like?": {"figure", "table"},
        "Is the journey another one for some?": {"figure"},
        "Which pitfalls do we see?": {"figure", "table"},
        "At which touchpoints do customers meet us?": {"figure", "table"},
        "How does each touchpoint do?": {"table"},
        "How do the events spread over the stages?": {"table"},
        "How much do they do in a visit?": {"figure", "table"},
        "Do they use several channels?": {"figure", "table"},
        "Are they who we think they are?": {"table"},
        "Is the experience the same in every channel?": {"figure", "table"},
        "What happens when the channel changes?": {"figure", "table"},
        "Where do they come again?": {"figure"},
        "Who has to ask twice?": {"table"},
        "What follows what?": {"figure"},
    },
    "04-conversion": {
        "How many get through, and where is the largest loss?": {"figure", "table"},
        "Who finds it harder than the others?": {"figure", "table"},
        "Does the rule matter?": {"table"},
        "Was there a bad week?": {"figure"},
        "How long do they take?": {"figure"},
        "Which way do visits go?": {"figure"},
        "Where do visits end?": {"figure"},
        "Which paths are trodden most?": {"figure"},
        "What goes with converting?": {"figure", "table"},
        "Does this table mislead?": {"table"},
        "Which channel do the rules credit?": {"figure", "table"},
        "What does it cost?": {"table"},
        "And what did it change?": {"table"},
        "What is it worth?": {"figure"},
    },
    "05-experiment": {
        "How many customers would the next one need?": {"figure", "table"},
        "Can its variants be compared?": {"figure", "table"},
        "What did it change?": {"figure", "table"},
        "And can those of the other one?": {"table"},
        "Is somebody missing from a variant?": {"figure"},
        "What would it have seemed to change?": {"figure", "table"},
    },
}
ASIDE = {"In short, computed", "The figures this report keeps", "What could make this wrong, and what to do next"}
CONSENT, ORDERS = "What have customers agreed to?", "What do the orders say?"
FOR_SOME = "Is the journey another one for some?"
BETWEEN = {"Is the experience the same in every channel?", "What happens when the channel changes?"}
PLACED = {"What does the whole journey look like?", "Who has to ask twice?"}
CHANNELS = {"Do they use several channels?", "Are they who we think they are?"}
WHOLE = {  # devices, and exposures dropped on the way in, are those of the whole study, whatever the day
    "Are they who we think they are?",
    "Can its variants be compared?",
    "And can those of the other one?",
}
NEXT, SPLIT = "How many customers would the next one need?", "Is somebody missing from a variant?"
READ = {"What did it change?", "What would it have seemed to change?"}
ANYWHERE = {"Which way do visits go?", "Where do visits end?"}
GAPS = {  # where something cannot be shown, by data set and notebook
    "samples": {},
    "twenty": {
        "03-touchpoints": {FOR_SOME, *BETWEEN},
        "04-conversion": {"Was there a bad week?", "What goes with converting?"},
        "05-experiment": {NEXT, SPLIT, *READ},
    },
    "events only": {
        "01-data": {CONSENT, ORDERS},
        "03-touchpoints": {FOR_SOME, *BETWEEN, *PLACED, *CHANNELS},
        "04-conversion": set(MUST_DRAW["04-conversion"]) - ANYWHERE,
        "05-experiment": set(MUST_DRAW["05-experiment"]),
    },
    "orders only": {
        "01-data": {CONSENT},
        "03-touchpoints": set(MUST_DRAW["03-touchpoints"]) - {"Which pitfalls do we see?"},
        "04-conversion": set(MUST_DRAW["04-conversion"]) - {"What is it worth?"},
        "05-experiment": set(MUST_DRAW["05-experiment"]),
    },
}
NOTHING = "nothing of it falls in the period, or no group is large enough"
SENTENCE = re.compile(rf"[A-Z].* cannot be shown: (the study has no .+\. They come with .+|{NOTHING})\.")
UNTIL, CUT = "2026-02-28", pd.Timestamp("2026-03-01", tz="Europe/Copenhagen")
PERIOD = ("2025-10-01", "2026-02-01")


def make_study(name, folder):
    if name == "twenty":
        write_data(folder, customers=20, seed=3)
        return folder
    return SAMPLES if name == "samples" else {"events only": events_only, "orders only": orders_only}[name](folder)


@pytest.fixture(scope="session", params=list(GAPS))
def reported(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("reported")
    run = report(make_study(request.param, home / "study"), home / "reports")
    return SimpleNamespace(name=request.param, run=run)


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    """In Danish, in a period, by channel, as it was in February: of the samples, and of what there was in February."""
    home = tmp_path_factory.mktemp("past")
    given = {"breakdown": "channel", "within": "14d", "experiment": "retargeting-holdout"}
    asked = {"given": given, "period": PERIOD, "as_of": UNTIL, "locale": "da"}
    whole = report(SAMPLES, home / "whole", **asked)
    return SimpleNamespace(whole=whole, cut=report(cut(home / "webshop"), home / "cut", **asked))


def cut(folder):
    """The samples without any row of a later moment."""
    folder.mkdir()
    shutil.copy(SAMPLES / "study.toml", folder)
    tables = {path.stem: pd.read_parquet(path) for path in SAMPLES.glob("*.parquet")}
    for name, table in tables.items():
        when = next((column for column, what in TABLES[name].items() if what.kind == "moment"), None)
        if when:
            moments = pd.to_datetime(table[when])
            tables[name] = table[(moments if moments.dt.tz else moments.dt.tz_localize(CUT.tz)) < CUT]
    tables["order_lines"] = tables["order_lines"].merge(tables["orders"][["order_id"]])
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def on_page(outputs):
    return [output["data"].get(mime) for output in outputs for mime in ("image/png", "text/html", "text/markdown")]


def page(run, name):
    return unescape((run.folder / f"{name}.html").read_text(encoding="utf-8"))


def test_plain_pytest_runs_every_cell_with_a_time_limit(pytestconfig):
    assert "notebooks" in pytestconfig.getini("testpaths") and pytestconfig.getoption("nbval_lax")
    assert 0 < float(pytestconfig.getoption("nbval_cell_timeout")) <= 120
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "notebooks"]
    found = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in NOTEBOOKS:
        assert found.count(f"{path.name}::") == len(code_cells(read_notebook(path)))


def test_every_section_is_listed():
    for path in NOTEBOOKS:
        cells = [cell for cell in read_notebook(path)["cells"] if cell["cell_type"] == "markdown"]
        headings = {
            line[3:].strip() for cell in cells for line in "".join(cell["source"]).split("\n") if line[:3] == "## "
        }
        assert headings - ASIDE == set(MUST_DRAW[path.stem])


def test_every_report_completes(reported):
    assert [(one["notebook"], one["reason"]) for one in reported.run.failed] == []
    assert len(reported.run.notebooks) == len(NOTEBOOKS)


@pytest.mark.parametrize("name", MUST_DRAW)
def test_a_section_shows_something_or_says_which_export_would_bring_it(reported, name):
    expected, shown = GAPS[reported.name].get(name, set()), sections(reported.run, name)
    assert {heading for heading in MUST_DRAW[name] if "gap" in forms(shown[heading])} == expected
    for heading, must in MUST_DRAW[name].items():
        seen = forms(shown[heading])
        assert seen == {"gap"} if heading in expected else seen >= (must if reported.name == "samples" else set()), (
            heading
        )


@pytest.mark.parametrize("name", MUST_DRAW)
def test_a_page_says_each_gap_once_a_section_in_a_whole_sentence(reported, name):
    html = page(reported.run, name)
    gaps = re.findall(r'<p class="missing">(.*?)</p>', html)
    assert len(gaps) == len(GAPS[reported.name].get(name, ()))
    assert [gap for gap in gaps if not SENTENCE.fullmatch(gap)] == []


@pytest.mark.parametrize("name", MUST_DRAW)
def test_a_page_shows_no_trace_of_the_machinery(reported, name):
    text = re.sub(r"<style.*?</style>|<[^>]+>", " ", page(reported.run, name), flags=re.S)
    assert re.findall(r"\bnan\b|\bNone\b|\bNaT\b|Traceback|Error\b|Warning\b|\bnumpy\.|object at 0x", text) == []


def test_the_front_page_leads_with_an_answer(reported):
    front = page(reported.run, "index")
    first, *others = re.findall(r"<li>(.*?) <a href", front.partition('id="short"')[2].partition("</section>")[0], re.S)
    assert "cannot be shown" not in first and len({first, *others}) == len(others) + 1


def test_pages_are_danish_where_danish_was_asked_for(past):
    assert past.whole.failed == ()
    for name in ("index", *MUST_DRAW):
        text = re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page(past.whole, name), flags=re.S)
        assert re.search(r"\d,\d %", text) and not re.search(r"\d\.\d+ %", text), name
    assert re.search(r"\b\d{1,3}\.\d{3}\b", page(past.whole, "03-touchpoints"))


def test_the_period_the_day_and_the_settings_stand_on_the_pages(past):
    for name in MUST_DRAW:
        html = page(past.whole, name)
        assert "2025-10-01 to 2026-01-31; observed until 2026-02-28 23:59 Europe/Copenhagen" in html
        assert f'<th scope="row">as_of</th><td>{UNTIL}' in html
    conversion = page(past.whole, "04-conversion")
    assert '<th scope="row">breakdown</th><td>channel' in conversion and ">within</th><td>14d" in conversion
    assert "Funnel by channel" in conversion or ">channel</th>" in conversion


def test_looking_back_gives_the_figures_that_the_input_of_then_would(past):
    for name, headings in MUST_DRAW.items():
        now, then = sections(past.whole, name), sections(past.cut, name)
        for heading in headings.keys() - WHOLE if name != "01-data" else ("Is every day there?", ORDERS):
            assert on_page(now[heading]) == on_page(then[heading]), heading
    for now, then in zip(past.whole.notebooks[1:], past.cut.notebooks[1:], strict=True):
        assert now["records"] == then["records"] != [] and now["sentences"] == then["sentences"]
