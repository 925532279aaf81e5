"""The page as text: nothing that runs, everything that a reader needs."""

import re

import pytest

from tests.reports.made import HOSTILE, code, prose
from toolkit.reports.page import anchors, cleaners, plain, prepared, shown, size

ESCAPED = "&lt;script&gt;document.title="


def page_of(*cells, **context):
    from toolkit.reports.page import export

    lead, kept = prepared({"cells": list(cells)})
    page = {
        "title": "Why?",
        "study": "shop",
        "name": "01-any",
        "over": "",
        "reason": None,
        "lead": lead,
        "sentences": [],
    }
    return export(kept, page | context)


def displayed(data, **metadata):
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def test_nothing_on_the_page_can_run_or_load(page):
    assert "default-src 'none'" in page and 'content="no-referrer"' in page
    assert not re.search(r"<script|<iframe|<object|<link|\bsrc=\"(?!data:image/png)|<[^>]*\son\w+=", page)


def test_hostile_text_is_seen_escaped_wherever_it_stood(page):
    assert page.count(ESCAPED) == 6  # in short, prose, a table's caption and cell, HTML output, printed text
    assert "<b>bold</b>" in page


def test_one_title_one_language_one_h1(page):
    assert '<html lang="en">' in page and page.count("<h1") == 1
    assert "<title>Where do we lose them? – webshop</title>" in page


def test_in_short_stands_under_the_title_and_nowhere_else(page):
    assert page.count("The largest loss is between cart and checkout") == 1
    assert page.index("<h1") < page.index("The largest loss") < page.index("From product to purchase")
    assert "The page shows the answer here" not in page


def test_code_and_warnings_stay_in_the_notebook(page):
    assert "import matplotlib" not in page and "a warning nobody should see" not in page and "Steps(" not in page


def test_settings_are_shown_with_the_data_by_name(page, made):
    assert '<th scope="row">weeks</th><td>8 <span class="aside">whole weeks, &gt; 0</span>' in page
    assert '<th scope="row">source</th><td>webshop' in page
    assert str(made.home) not in page and "&gt; webshop\n</pre>" in page  # the notebook printed the path it was given


def test_a_figure_has_its_description_and_its_caption(page):
    figure = re.search(r"<figure>.*?</figure>", page, re.S)[0]
    assert 'alt="Bars: 100 % see a product' in figure
    assert re.search(r"<figcaption><p>Half .* reach <strong>checkout</strong>", figure)


def test_tables_have_captions_and_scopes_and_a_box_to_scroll_in(page):
    assert page.count('<div class="scroll"><table') == page.count("<table")
    assert not re.search(r"<th(?![^>]*\bscope=)[ >]", page)
    assert '<caption><span class="text">Conversion by checkout</span></caption>' in page


def test_a_control_is_a_sentence(page):
    assert "it works only in the live notebook" in page and "IntSlider" not in page


def test_a_failed_notebook_has_a_page_that_says_so(made):
    page = (made.folder / "01-error.html").read_text()
    assert "This page is not whole.</strong> 'basket' in “The step” (KeyError)".replace("'", "&#39;") in page.replace(
        "'", "&#39;"
    )


@pytest.mark.parametrize(
    "html",
    [
        HOSTILE,
        "<a href='javascript:alert(1)'>x</a>",
        "<svg onload=alert(1)>",
        "<p style='background:url(http://x)'>y</p>",
        "<style>@import 'http://x'</style>",
        "<scr<style></style>ipt>alert(1)</script>",
        "<math><mi//xlink:href='data:x,<script>'>",
        "<form action=//x><input name=a>",
        "<meta http-equiv=refresh content='0;url=//x'>",
        "<base href=//x>",
    ],
)
def test_html_that_is_not_ours_is_made_harmless(html):
    _, house = cleaners()
    for cleaned in (house(html), house(f"<table><tr><td>{html}</td></tr></table>")):
        assert not re.search(
            r"<(script|img|svg|style|math|form|input|meta|base)|<[^>]*(style=|on\w+=|javascript:)", cleaned, re.I
        )


def test_a_second_first_level_heading_steps_down():
    html = page_of(prose("# Why?\n\nBecause."), prose("# Again"))
    assert html.count("<h1") == 1 and "<h2>Again</h2>" in html and "<p>Because.</p>" in html


def test_pictures_without_words_name_their_section_and_bad_ones_do_not_stop_the_page():
    cell = code("x") | {
        "outputs": [
            displayed({"image/png": "bm90IGEgcG5n", "text/plain": "<Figure>"}),
            displayed({"text/plain": "<Axes: >"}),
        ]
    }
    (only,) = shown({"cells": [prose("## By week"), cell]}, 1)
    assert only["metadata"]["figure"]["alt"] == "Figure: By week"


def test_a_wide_figure_steps_out_of_the_column():
    def png(width):
        import base64
        import struct

        return base64.b64encode(b"\x89PNG\r\n\x1a\n0000IHDR" + struct.pack(">II", width, 500)).decode()

    assert size(png(1008)) == {"width": 672, "height": 333, "wide": False}
    assert size(png(1325))["wide"]


def test_a_sentence_points_at_the_section_that_shows_its_result():
    table = code("x") | {"outputs": [displayed({"text/html": "<table><caption>Funnel</caption></table>"})]}
    figure = code("y") | {"outputs": [displayed({"image/png": ""}, journey={"measure": "Waits"})]}
    assert anchors({"cells": [prose("# A"), prose("## B"), table, prose("## C"), figure]}) == {
        "Funnel": "s1",
        "Waits": "s3",
    }


def test_terminal_colours_and_overwritten_lines_are_left_out():
    assert plain("\x1b[31mred\x1b[0m 10 %\r100 %\n") == "100 %\n"
