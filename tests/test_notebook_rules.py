"""Every notebook obeys the rules, and each rule sees what it forbids."""

import copy
import json

import pytest

from tests import notebook_rules
from tests.house import ROOT
from tests.notebook_rules import EVERY_NOTEBOOK, REPORTS

NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def a_cell(kind, source, tag=None):
    cell = {"cell_type": kind, "id": f"c{abs(hash(source))}", "metadata": {"tags": [tag]} if tag else {}}
    return cell | {"source": source} | ({"outputs": [], "execution_count": None} if kind == "code" else {})


GOOD = {
    "metadata": {"kernelspec": {"name": "python3"}},
    "cells": [
        a_cell("markdown", "# Do they come back?"),
        a_cell("markdown", "**In short**"),
        a_cell("code", 'data_path = "data"  # a folder\ngap_days: int = 7  # days, > 0', "parameters"),
        a_cell("code", "import toolkit as tk\n\ndata = tk.open_data(data_path)"),
        a_cell("code", "tk.in_short(tk.retention(data))", "in-short"),
        a_cell("markdown", "What could make this wrong"),
        a_cell("code", "tk.about(data)"),
    ],
}
SINS = [  # rule, cell, what is changed in it, the sentence expected
    ("stored_clean", 3, {"execution_count": 1}, "stored with its output"),
    ("stored_clean", 3, {"metadata": {"papermill": {}}}, "tells of a run"),
    ("stored_clean", 3, {"id": GOOD["cells"][4]["id"]}, "share one"),
    ("plain_cells", 3, {"source": "def f():\n    pass"}, "defines a function"),
    ("plain_cells", 3, {"source": "class A:\n    pass"}, "defines a class"),
    ("plain_cells", 3, {"source": "for row in data: row"}, "loops"),
    ("plain_cells", 3, {"source": "print(data)"}, "prints"),
    ("plain_cells", 3, {"source": "%matplotlib inline"}, "not plain Python"),
    ("plain_cells", 3, {"source": "data\n" * 13}, "has 13 lines"),
    ("opens_with_its_question", 0, {"source": "Retention"}, "# title"),
    ("opens_with_its_question", 5, {"source": "# Another title"}, "# title"),
    ("opens_with_its_question", 1, {"source": "Summary"}, "In short"),
    ("opens_with_its_question", 2, {"metadata": {}}, "tagged parameters"),
    ("opens_with_its_question", 4, {"metadata": {}}, "tagged in-short"),
    ("opens_with_its_question", 3, {"source": "import a, b\nimport c\nimport d\nimport e\nimport f"}, "four imports"),
    ("explained_parameters", 2, {"source": "gap = 7"}, "no comment"),
    ("explained_parameters", 2, {"source": "gap = 7 * 24  # hours"}, "not a literal"),
    ("explained_parameters", 2, {"source": "import os  # why"}, "not a literal"),
    ("closes_with_its_provenance", 5, {"cell_type": "code"}, "what to do next"),
    ("closes_with_its_provenance", 6, {"source": "data"}, "not tk.about(data)"),
]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_obeys_the_rules(path):
    notebook = json.loads(path.read_text("utf-8"))
    rules = REPORTS if path.parent.name == "notebooks" else EVERY_NOTEBOOK
    assert [problem for rule in rules for problem in rule(notebook)] == []


def test_a_good_notebook_has_no_problems():
    assert [problem for rule in REPORTS for problem in rule(GOOD)] == []


@pytest.mark.parametrize(("rule", "position", "change", "sentence"), SINS)
def test_a_rule_sees_what_it_forbids(rule, position, change, sentence):
    notebook = copy.deepcopy(GOOD)
    notebook["cells"][position].update(change)
    assert any(sentence in problem for problem in getattr(notebook_rules, rule)(notebook))
