"""The pages in a real browser: nothing is asked of the network, nothing runs, nothing sticks out."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not here; set CHROMIUM to its path"),
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
FACTS = """() => ({
    title: document.title, lang: document.documentElement.lang, h1: document.querySelectorAll('h1').length,
    scripts: document.scripts.length, images: document.images.length,
    wordless: [...document.images].filter(image => !image.alt || !image.complete || !image.naturalWidth).length,
    unnamed: [...document.querySelectorAll('table:not(.dataframe)')].filter(table => !table.caption).length,
    seen: document.body.innerText.split("<script>document.title='owned'").length - 1,
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    owned: document.title === 'owned',
})"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as driver:
        profile = tmp_path_factory.mktemp("chromium")
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=QUIET
        )
        yield context
        context.close()


@contextmanager
def opened(chromium, path, width):
    page = chromium.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(Path(path).as_uri(), wait_until="load")
    yield page
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "04-conversion", "01-error"])
def test_a_page_asks_nothing_runs_nothing_and_fits(chromium, made, name, width):
    path = made.folder / f"{name}.html"
    with opened(chromium, path, width) as page:
        facts = page.evaluate(FACTS)
        assert [url for url in page.asked if url != path.as_uri() and not url.startswith("data:image/png")] == []
        assert page.said == []
    assert facts["lang"] == "en" and facts["h1"] == 1 and "webshop" in facts["title"]
    assert facts | {"scripts": 0, "wordless": 0, "unnamed": 0, "sideways": 0, "owned": False} == facts
    assert facts["images"] == (1 if name == "04-conversion" else 0)
    assert facts["seen"] == {"index": 1, "04-conversion": 6, "01-error": 0}[name]


def test_were_a_script_to_slip_through_it_would_not_run(chromium, made, page, tmp_path):
    owned = "document.title='owned'"
    canary = f"<script>{owned}</script><img src='https://example.org/x.png' onerror=\"{owned}\">"
    (tmp_path / "canary.html").write_text(page.replace("</main>", f"{canary}</main>"), encoding="utf-8")
    with opened(chromium, tmp_path / "canary.html", 1280) as shown:
        shown.wait_for_timeout(200)
        assert shown.title() != "owned"
        assert len(shown.said) >= 2 and all("Content Security Policy" in said for said in shown.said)


COLOURS = """() => [...document.querySelectorAll('main *, footer *')].map(e => {
    if (!e.innerText || e.children.length) return null
    const clear = 'rgba(0, 0, 0, 0)'
    let ground = e
    while (ground && getComputedStyle(ground).backgroundColor === clear) ground = ground.parentElement
    return [getComputedStyle(e).color, ground ? getComputedStyle(ground).backgroundColor : 'rgb(255, 255, 255)']
}).filter(Boolean)"""


@pytest.mark.parametrize("name", ["index", "04-conversion"])
def test_text_can_be_read_against_its_ground(chromium, made, name):
    with opened(chromium, made.folder / f"{name}.html", 1280) as page:
        pairs = page.evaluate(COLOURS)
    assert len(pairs) > 20
    assert min(contrast(*pair) for pair in pairs) >= 4.5


def contrast(one, other):
    lights = sorted(map(light, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def light(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_prints_on_few_sheets(chromium, made):
    with opened(chromium, made.folder / "index.html", 1280) as page:
        pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") <= 3
