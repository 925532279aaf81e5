"""A study whose every text is an attack, as its report: in a real browser, and letter by letter."""

import getpass
import re
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.reports.test_browser import CHROMIUM, QUIET
from tests.studies import report
from toolkit.schema import TABLES
from toolkit.simulate import make_data

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not here; set CHROMIUM to its path"),
]

PLANTED = {  # what is planted: what a reader must see of it
    "<script>canary()</script>": "<script>canary()</script>",
    "<img src=x onerror=canary()>": "<img src=x onerror=canary()>",
    '"><svg onload=canary()>': '"><svg onload=canary()>',
    '=HYPERLINK("http://example.org/","x")': '=HYPERLINK("http://example.org/","x")',
    "[a](javascript:canary()) ![b](http://example.org/p.png)": "[a](javascript:canary()) ![b](http://example.org/p.png)",
    r"$\\text{}$ $x^{$": r"$\\text{}$ $x^{$",
    "\u202egnorw\u202c\u2066 \u200bze\u200bro": "gnorw zero",
    "{{7*7}} {% raw %} ${7*7}": "{{7*7}} {% raw %} ${7*7}",
    "\x1b[31mred\x1b[0m": "[31mred[0m",
    "*bold* _it_ `code`\n## head\n\n| a | b |": "*bold* _it_ `code` ## head | a | b |",
    "&lt;b&gt; &amp; ' or 1=1; --": "&lt;b&gt; &amp; ' or 1=1; --",
    "w" * 10_000: "w" * 250,
}
MATHS = list(PLANTED).index(r"$\\text{}$ $x^{$")
FIXED = {"instrument", "source"}  # words from a fixed list; others are refused with a sentence
SECRET = "geheim"  # part of every id and of everything a customer wrote
NAME = "shop <img src=x onerror=canary()> {{7*7}} $x$"
WITH_WORDS = {  # tables on the pages whose cells are text from the data
    "01-data": {"Tables and findings", "Customers by consent", "Sales"},
    "03-touchpoints": {"Touchpoint map", "Stages"},
    "04-conversion": {"Funnel", "Funnel by device", "What goes with converting"},
    "05-experiment": {"Guards", "Read-out"},
}
SEEN = """() => ({
    ran: window.ran || 0,
    scripts: document.scripts.length,
    handlers: [...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(a => /^on/i.test(a))).length,
    foreign: document.querySelectorAll('iframe, object, embed, link, base, form, img:not([src^="data:"])').length,
    links: [...document.links].map(link => link.getAttribute('href')).filter(to => /^[a-z]+:|^\\/\\//i.test(to)),
    wordless: [...document.images].filter(image => !image.alt || !image.naturalWidth).length,
    images: document.images.length,
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    text: document.body.textContent,
    tables: [...document.querySelectorAll('table.result')].map(e => [e.caption.innerText, e.innerText]),
})"""


def attack(word: str, place: int) -> str:
    payload = list(PLANTED)[place % len(PLANTED)]
    return f"{payload} planted {word}" if len(payload) < 200 else f"planted {word} {payload}"


def poison(name: str, table: pa.Table) -> tuple[pa.Table, dict]:
    """Every string of a table made hostile, the same word always the same way; the new names of touchpoints too."""
    renamed = {}
    if name == "events":
        table = table.append_column("stage", table.column("channel"))
        loud = pa.array([{"error": attack("error", 0), "query": attack("query", 1)}] * len(table))
        table = table.set_column(table.schema.get_field_index("properties"), "properties", loud)
    for at, field in enumerate(table.schema):
        kind = getattr(TABLES[name].get(field.name), "kind", "id")
        if not pa.types.is_string(field.type) or field.name in FIXED:
            continue
        column = table.column(at)
        counts = sorted(pc.value_counts(column.drop_null()).to_pylist(), key=lambda one: -one["counts"])
        first = MATHS if field.name == "currency" else 0  # the main currency labels an axis
        words = {one["values"]: attack(one["values"], place) for place, one in enumerate(counts, start=first)}
        if kind in ("id", "text") or field.name in ("session_id", "device_id"):
            words = {word: f"{SECRET} {word}@example.org <script>canary()</script>" for word in words}
        new = pa.array([words.get(word) for word in column.to_pylist()], pa.string())
        table = table.set_column(at, field.name, new)
        renamed |= words if field.name in ("touchpoint", "experiment_id") else {}
    return table, renamed


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile")
    folder, names = home / NAME, {}
    folder.mkdir()
    for table, content in make_data(900, rng=5).items():
        poisoned, renamed = poison(table, content)
        names |= renamed if table in ("events", "exposures") else {}
        pq.write_table(poisoned, folder / f"{table}.parquet")
    steps = [names[step] for step in ("product page", "cart", "checkout")]
    tried = {"experiment": names["free-shipping"], "another": names["new-checkout"], "goal": names["purchase"]}
    given = {"steps": steps, "breakdown": "device"} | tried
    run = report(folder, home / "reports", given=given, tz="Europe/Copenhagen")
    return SimpleNamespace(home=home, run=run, folder=folder, names=names)


@pytest.fixture(scope="module")
def seen(hostile, tmp_path_factory):
    """Every page as a browser has it that obeys no policy of ours: what ran, what was asked for, what can be read."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    paths = [*sorted(hostile.run.folder.glob("*.html")), hostile.home / "reports" / "index.html"]
    with sync_api.sync_playwright() as driver:
        profile, small = tmp_path_factory.mktemp("chromium"), {"width": 390, "height": 844}
        browser = driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=QUIET, bypass_csp=True, viewport=small
        )
        browser.add_init_script("window.canary = () => { window.ran = (window.ran || 0) + 1 }")
        found = {f"{path.parent.name}/{path.stem}": look(browser, path) for path in paths}
        browser.close()
    return found


def look(browser, path):
    page, asked, dialogs = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_timeout(100)
    facts = page.evaluate(SEEN)
    page.close()
    strange = [url for url in asked if url != path.as_uri() and not url.startswith("data:")]
    return facts | {"asked": strange, "dialogs": dialogs, "html": path.read_text(encoding="utf-8")}


def test_the_report_is_whole(hostile):
    assert [(one["notebook"], one["reason"]) for one in hostile.run.failed] == []


def test_nothing_runs_is_asked_for_or_sticks_out_even_without_the_policy(seen):
    clean = {
        "ran": 0,
        "scripts": 0,
        "handlers": 0,
        "foreign": 0,
        "links": [],
        "wordless": 0,
        "asked": [],
        "dialogs": [],
    }
    assert {name: {key: facts[key] for key in clean if facts[key] != clean[key]} for name, facts in seen.items()} == {
        name: {} for name in seen
    }
    assert {name: facts["sideways"] for name, facts in seen.items()} == dict.fromkeys(seen, 0)
    assert sum(facts["images"] for facts in seen.values()) >= 8


def test_every_attack_is_read_letter_by_letter(seen):
    text = " ".join(" ".join(facts["text"] for facts in seen.values()).split())
    assert [payload[:60] for payload, visible in PLANTED.items() if visible not in text] == []
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\x1b]", text)


def test_every_table_of_words_shows_them_escaped(seen, hostile):
    for name, captions in WITH_WORDS.items():
        tables = seen[f"{hostile.run.folder.name}/{name}"]["tables"]
        for caption in captions:
            mine = [text for found, text in tables if found == caption or found.startswith(f"{caption} of ")]
            assert mine and all("planted" in text.lower() for text in mine), caption


def test_no_id_and_nothing_a_customer_wrote_is_on_any_page(seen):
    assert [name for name, facts in seen.items() if SECRET in facts["html"].lower()] == []


def test_no_place_of_this_machine_is_on_any_page(seen, hostile):
    places = {str(hostile.home), str(hostile.folder), str(Path.home()), str(Path(__file__).parents[1])} - {"/"}
    for name, facts in seen.items():
        assert [place for place in places if place in facts["html"]] == [], name
        assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", facts["text"]), name
