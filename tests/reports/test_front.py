"""The front page, the list of runs, the pointer to the latest."""

import json
import re

import pytest

from toolkit.reports.front import best, line, trend, write_front, write_index


def test_failed_notebooks_are_said_in_red_with_the_reason_and_the_rest_is_there(front):
    assert front.count('<p class="problem">') == 4
    assert "01-error?</strong> This page failed: &#39;basket&#39; in “The step” (KeyError)." in front
    assert '<a href="01-error.ipynb">' in front
    assert '<a href="04-conversion.html">Where do we lose them?</a>' in front


def test_in_short_comes_first_and_links_to_its_evidence(front, page):
    first = re.search(r"<li>4\.2% of customers who see a product buy.*?<a href=\"04-conversion\.html#(s\d+)\">", front)
    assert re.search(rf'id="{first[1]}"><h2>From product to purchase', page)
    assert (
        front.index("In short")
        < front.index("Headline figures")
        < front.index("What needs attention")
        < front.index("Pages")
    )


def test_headline_figures_come_with_their_interval(front):
    assert re.search(r"conversion rate</a>.*?<td[^>]*>4\.2 %</td><td[^>]*>3\.9–4\.5</td>", front, re.S)
    assert "The first run of its kind" in front


def test_a_guard_that_fired_is_said_once(front):
    assert front.count("213 customers have not had the whole window") == 1


def test_where_the_numbers_come_from_is_said_without_paths(front, made):
    for text in ("204,118", "9f86d081884c7d65", "Europe/Copenhagen", "weeks = 8"):
        assert text in front
    for path in made.folder.iterdir():
        if path.suffix in (".html", ".json"):
            assert str(made.home) not in path.read_text(), path.name


def test_hostile_text_is_escaped_on_the_front_page(front):
    assert "&lt;script&gt;document.title=" in front and "<script" not in front and "<img" not in front


def test_runs_are_listed_newest_first_and_latest_points_at_the_last(made, tmp_path):
    index = (made.plan.out / "index.html").read_text()
    assert f'href="webshop/{made.folder.name}/index.html"' in index and "4 failed" in index
    latest = (made.plan.out / "webshop" / "latest.html").read_text()
    assert (
        f'content="0; url={made.folder.name}/index.html"' in latest
        and f'<a href="{made.folder.name}/index.html">' in latest
    )
    for path in (made.plan.out / "index.html", made.plan.out / "webshop" / "latest.html", made.folder / "index.html"):
        assert "default-src 'none'" in path.read_text() and path.read_text().count("<h1") == 1


def test_an_empty_shelf_says_how_to_make_the_first_report(tmp_path):
    assert "No run yet" in write_index(tmp_path).read_text()


@pytest.mark.parametrize("n", [1, 3])
def test_a_later_run_shows_change_and_trend(made, tmp_path, n):
    for number in range(n):
        record = json.loads((made.folder / "run.json").read_text())
        record |= {"run": f"r{number}", "made_at": f"2026-12-0{number + 1}T00:00:00+00:00"}
        page = record["notebooks"][3]
        page["about"]["observed_until"] = f"2026-0{number + 6}-01T00:00:00+00:00"
        shift = number * 0.02
        page["records"][0] |= {end: page["records"][0][end] + shift for end in ("value", "low", "high")}
        folder = tmp_path / "webshop" / f"r{number}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(record))
        write_front(folder)
    html = (folder / "index.html").read_text()
    assert ("▲</span> +2.0 %-points" in html) == (n == 3)
    assert ('aria-label="From run to run: 4.2 %, 6.2 %, 8.2 %"' in html) == (n == 3)
    assert ("no change" in html) == (n == 3)


def test_the_page_nearest_the_decision_speaks_first():
    pages = [
        {
            "page": f"{name}.html",
            "title": name,
            "sentences": [{"text": f"{name}{rank}", "rank": rank, "anchor": "s1"} for rank in (1, 2, 3)],
        }
        for name in "abc"
    ]
    assert [sentence["text"] for sentence in best(pages)] == ["c1", "c2", "b1", "c3", "b2"]


def test_figures_are_shown_in_the_studys_locale():
    figure = {
        "name": "revenue",
        "title": "?",
        "page": "x.html",
        "note": "",
        "kind": "money",
        "currency": "DKK",
        "n": 1200,
        "value": 1234.5,
        "low": 1200.0,
        "high": 1270.0,
        "change": {"difference": -10.5, "clear": False},
        "trend": [1245.0, 1234.5],
    }
    shown = line(figure, "da")
    assert (shown["value"], shown["interval"], shown["n"]) == ("1.234 DKK", "1.200–1.270", "of 1.200")
    assert shown["change"] == {"words": "-10,50", "marked": False, "up": False}


def test_a_trend_needs_two_known_values():
    assert trend([None, 0.1], "rate", "en") is None
    assert trend([0.1, None, 0.2], "rate", "en")["points"] == "6.0,22.0 90.0,6.0"
    assert trend([0.1, 0.1], "rate", "en")["points"] == "6.0,14.0 90.0,14.0"
