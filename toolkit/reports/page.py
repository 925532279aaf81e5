"""An executed notebook as one page that runs nothing and asks the network for nothing."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from html import unescape
from pathlib import Path

from toolkit.reports.notebooks import MIME, emitted, hidden, save, section_of, source_of, tagged
from toolkit.reports.record import provenance_lines
from toolkit.shown import safe_text

TEMPLATES = Path(__file__).parent / "template"
TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i ins "
        "kbd li mark ol p pre s samp small span strong sub summary sup table tbody td tfoot th thead tr ul var",
    )
)
SPANS = ["colspan", "rowspan"]
ATTRIBUTES = {"*": ["class"], "a": ["href"], "th": ["scope", *SPANS], "td": SPANS, "ol": ["start"]}
SHOWN = ("image/png", "text/html", "text/markdown", "text/plain")  # the first there is shown
WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE_ONLY = '<p class="aside">A control stood here; it works only in the live notebook.</p>'
DPI_SCALE = 1.5  # figures are drawn at 144 dots per inch, a page has 96
COLUMN = 690  # CSS pixels of the text column
PLOT_TEXT = re.compile(r"<[\w.]*(Axes|Figure|Text)\b|Axes\(|Text\(|\[<matplotlib")


def write_page(notebook: dict, path: Path, context: dict) -> None:
    """Write the page of an executed notebook.

    Args:
        notebook: its JSON.
        path: the page.
        context: name, title, study, reason, about, used (parameters with comments), hide (paths and their names).
    """
    page = {key: context[key] for key in ("name", "title", "study", "reason")}
    said = [sentence for payload, _ in emitted(notebook, "in-short") for sentence in payload["sentences"]]
    told = {name: pair for name, pair in context["used"].items() if pair[0] not in (None, "", [], {})}
    used = [(name, safe_text(value), meaning) for name, (value, meaning) in told.items()]
    page |= {"sentences": [safe_text(one["text"], 600) for one in said], "settings": used}
    page["over"] = " · ".join(filter(None, (context["study"], context["about"].get("period"))))
    page["provenance"] = provenance_lines(context["about"])
    page["lead"], cells = prepared(notebook)
    save(path, hidden(export(cells, page), context["hide"]))


def export(cells: list[dict], page: dict) -> str:
    """The prepared cells through our nbconvert template."""
    import nbformat
    from nbconvert.exporters import HTMLExporter

    class PageExporter(HTMLExporter):
        def _create_environment(self):
            environment = super()._create_environment()
            environment.autoescape = True
            return environment

    prose, house = cleaners()
    filters = {"prose": prose, "house": house, "plain": plain}
    exporter = PageExporter(template_name="journey", extra_template_basedirs=[str(TEMPLATES)], filters=filters)
    exporter.exclude_input = True
    notebook = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    return exporter.from_notebook_node(notebook, {"page": page})[0]


def _tag(kind: str, name: str) -> dict:
    data = {(None, "class"): "scroll" if name == "div" else "text"}
    return {"type": kind, "name": name, "namespace": None, "data": data if kind == "StartTag" else {}}


_BOXES = {
    ("StartTag", "table", "before"): _tag("StartTag", "div"),
    ("EndTag", "table", "after"): _tag("EndTag", "div"),
    ("StartTag", "caption", "after"): _tag("StartTag", "span"),
    ("EndTag", "caption", "before"): _tag("EndTag", "span"),
}


def cleaners():
    """Two filters for text that is not ours: Markdown to safe HTML, and HTML to safe HTML."""
    from bleach.html5lib_shim import Filter
    from bleach.sanitizer import Cleaner
    from markupsafe import Markup
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class House(Filter):
        """One h1 a page, a scope on every header, a box of its own for a table that is too wide."""

        def __iter__(self):
            part = "thead"
            for token in super().__iter__():
                name, opens = token.get("name"), token["type"] == "StartTag"
                part = name if opens and name in ("thead", "tbody") else part
                token["name"] = "h2" if name == "h1" else name
                if opens and name == "th":
                    token["data"].setdefault((None, "scope"), "row" if part == "tbody" else "col")
                around = [_BOXES.get((token["type"], name, side)) for side in ("before", "after")]
                yield from filter(None, (around[0], token, around[1]))

    cleaner = Cleaner(TAGS, ATTRIBUTES, protocols={"http", "https", "mailto"}, filters=[House])

    def house(html) -> Markup:
        return Markup(cleaner.clean(re.sub(r"<style\b.*?</style>", "", "".join(html), flags=re.S | re.I)))

    def prose(markdown) -> Markup:
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
        return house(MarkdownWithMath(renderer=renderer).render("".join(markdown)))

    return prose, house


def plain(text) -> str:
    """Text without terminal colours and carriage returns."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[^\n]*\r(?!\n)", "", "".join(text))


def prepared(notebook: dict) -> tuple[str, list[dict]]:
    """The text under the title, then what the template draws in order: prose, and what the code showed."""
    lead, titled, cells = "", False, []
    for index, cell in enumerate(notebook["cells"]):
        kept, text = {"id": f"s{index}", "cell_type": cell["cell_type"], "metadata": {}}, source_of(cell).strip()
        if cell["cell_type"] == "code":
            before = cells[-1].get("outputs", []) if cells else []  # a gap says itself once, not as figure and as table
            outputs = [output for output in shown(notebook, index) if output not in before]
            cells += [kept | {"source": "", "execution_count": None, "outputs": outputs}] if outputs else []
        elif tagged(cell, "papermill-error-cell-tag") or re.match(r"[#*_\s]*in short\b", text, re.I):
            continue
        elif not titled:
            lead, titled = re.sub(r"^# .+", "", text, count=1, flags=re.M).strip(), True
        else:
            cells.append(kept | {"source": text})
    return lead, cells


def shown(notebook: dict, index: int) -> list[dict]:
    """A cell's outputs as the page shows them: captions under their figures, controls as a sentence, no warnings."""
    found: list[dict] = []
    for output in notebook["cells"][index].get("outputs", []):
        data = {mime: "".join(body) for mime, body in output.get("data", {}).items() if mime in SHOWN}
        ours = {MIME.format(kind) for kind in ("in-short", "about")} & set(output.get("data", {}))
        if (
            ours
            or output.get("name") == "stderr"
            or (set(data) == {"text/plain"} and PLOT_TEXT.match(data["text/plain"]))
        ):
            continue
        if WIDGET in output.get("data", {}):
            found.append(_display({"text/html": LIVE_ONLY}))
        elif "image/png" in data:
            alt = output["metadata"].get("image/png", {}).get("alt") or f"Figure: {section_of(notebook, index)}"
            figure = {"alt": safe_text(alt, 1000), "caption": ""} | size(data["image/png"])
            found.append(_display({"image/png": data["image/png"]}, figure=figure))
        elif "text/markdown" in data and "text/html" not in data and _uncaptioned(found):
            found[-1]["metadata"]["figure"]["caption"] = data["text/markdown"]
        elif data:
            best = next(mime for mime in SHOWN if mime in data)
            found.append(_display({best: data[best]}))
        elif output["output_type"] in ("stream", "error"):
            found.append(output)
    return found


def _display(data: dict, **metadata) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def _uncaptioned(found: list[dict]) -> bool:
    return bool(found) and found[-1].get("metadata", {}).get("figure", {}).get("caption") == ""


def size(png) -> dict:
    """Width and height of a PNG in CSS pixels, and whether it steps out of the column."""
    try:
        width, height = struct.unpack(">II", base64.b64decode("".join(png))[16:24])
    except (binascii.Error, struct.error):
        return {"width": COLUMN, "height": COLUMN, "wide": False}
    return {"width": round(width / DPI_SCALE), "height": round(height / DPI_SCALE), "wide": width / DPI_SCALE > COLUMN}


def anchors(notebook: dict) -> dict[str, str]:
    """{measure: id of the section that shows it}, so that a sentence can point at its evidence."""
    found, anchor = {}, "in-short"
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown" and re.search(r"^##+ ", source_of(cell), re.M):
            anchor = f"s{index}"
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            drawn = output.get("metadata", {}).get("journey", {}).get("measure")
            for measure in filter(None, [drawn, *map(unescape, re.findall(r"<caption>(.*?)</caption>", html))]):
                found.setdefault(measure, anchor)
    return found
