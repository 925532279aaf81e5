"""The pages that explain the house: what they quote is what stands in the code."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/adding-a-measure.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CODE = "\n".join(
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("toolkit/journeys/division.py", "toolkit/figures/journeys.py", "tests/journeys/test_division.py")
)


@pytest.mark.parametrize("piece", QUOTED, ids=lambda piece: dedent(piece).splitlines()[0][:40])
def test_a_quoted_piece_stands_in_the_code(piece):
    assert piece.rstrip() in CODE


def test_every_link_of_a_page_leads_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))]
    assert [
        f"{page.name}: {link}" for page, link in links if "://" not in link and not (page.parent / link).exists()
    ] == []


def test_a_newcomer_writes_no_more_than_120_lines_for_a_measure():
    measure = (ROOT / "toolkit/journeys/division.py").read_text(encoding="utf-8")
    test = (ROOT / "tests/journeys/test_division.py").read_text(encoding="utf-8")
    figure = re.search(r"def draw_division.*?\n\n\n", CODE, re.DOTALL)[0]
    code = re.sub(r'"""(?:.|\n)*?"""', "", measure + test + figure)
    assert len([line for line in code.splitlines() if line.strip()]) <= 120


def test_the_readmes_python_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(dedent(block), "README.md", "exec"), {})
