"""docs/data.md says of the tables what the schema says."""

import re

import pytest

from tests.house import ROOT
from toolkit.schema import KNOWN_PROPERTIES, SOURCES, TABLES

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
KINDS = {"whole": "whole number", "flag": "yes or no", "properties": "struct or JSON"}


def table_of(name):
    """One canonical table in Markdown."""
    rows = [
        f"| `{column}` | {KINDS.get(c.kind, c.kind)} | {'yes' if c.required else ''} | {_said(c)} |"
        for column, c in TABLES[name].items()
    ]
    return "\n".join([f"### {name}", "", "| column | kind | required | meaning |", "|---|---|---|---|", *rows])


def _said(column):
    limits = (
        f"{column.low:g} to {column.high:g}" if column.high is not None else "not negative" if column.low == 0 else ""
    )
    return "; ".join(filter(None, [column.meaning, limits, ", ".join(column.others)]))


@pytest.mark.parametrize("name", TABLES)
def test_the_page_shows_the_table_as_the_schema_has_it(name):
    assert table_of(name) + "\n" in PAGE


def test_the_page_shows_no_table_that_is_gone():
    assert re.findall(r"^### (.+)$", PAGE, re.MULTILINE) == [*TABLES]


def test_the_page_names_every_known_property_and_source():
    assert all(f"`{key}`" in PAGE for key in KNOWN_PROPERTIES)
    assert all(source in PAGE for source in SOURCES)


def recipe():
    return next(
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "InvoiceNo" in PAGE and "set_axis" in block
    )


def test_the_recipe_is_three_lines():
    assert len(recipe().strip().splitlines()) == 3
