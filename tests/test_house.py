"""The house rules hold in every file, and each rule is able to see what it forbids."""

from collections import Counter

import pytest

from tests import house
from tests.house import EVERYWHERE, IN_TOOLKIT, Source, sources

SINS = [  # rule, file, source, the sentence expected (None: allowed)
    ("floors", "toolkit/stats/a.py", "from toolkit.study.table import JourneyTable", "stats may not look up at study"),
    ("floors", "toolkit/stats/a.py", "from ..study import table", "stats may not look up at study"),
    ("floors", "toolkit/stats/a.py", "def f():\n    from .. import figures", "stats may not look up at figures"),
    ("floors", "toolkit/study/a.py", "import toolkit as tk", "study may not look up at toolkit, the front door"),
    ("floors", "toolkit/cohorts/a.py", "from toolkit.personas import x", "cohorts may not look over at personas"),
    ("floors", "toolkit/cohorts/a.py", "from toolkit.journeys import x\nfrom toolkit.funnels import y", None),
    ("floors", "toolkit/cohorts/a.py", "from .grid import x\nfrom toolkit import results", None),
    ("floors", "toolkit/attic.py", "", "attic has no floor yet"),
    ("floors", "toolkit/__init__.py", "from toolkit.reports import cli", None),
    ("kept_out", "toolkit/stats/a.py", "def f():\n    import pandas as pd", "pandas has no place in stats"),
    ("kept_out", "toolkit/journeys/a.py", "import matplotlib.pyplot as plt", "matplotlib has no place in journeys"),
    ("kept_out", "toolkit/journeys/a.py", "import pandas", None),
    ("kept_out", "toolkit/figures/a.py", "import seaborn.objects as so", None),
    ("small_file", "toolkit/a.py", "x = 1\n" * 401, "has 401 lines"),
    ("small_functions", "toolkit/a.py", "def f():\n" + "    x = 1\n" * 40, "f has 41 lines"),
    ("small_functions", "toolkit/a.py", "def f():\n    '''" + "a\n" * 40 + "'''\n    return 1", None),
    ("few_arguments", "toolkit/a.py", "def f(a, b, c, *, d, e, f): ...", "f has 6 arguments"),
    ("few_arguments", "toolkit/a.py", "class A:\n    def f(self, a, b, c, d, e, f): ...", "f has 6 arguments"),
    ("few_arguments", "toolkit/a.py", "def _f(a, b, c, d, e, f): ...", None),
    ("few_arguments", "toolkit/a.py", "@click.option('--a')\ndef f(a, b, c, d, e, f): ...", None),
    ("finished", "toolkit/a.py", "x = 1  # TO" + "DO later", "a.py:1 says"),
    ("finished", "toolkit/a.py", "print(1)", "a.py:1 prints"),
    ("no_hidden_chance", "toolkit/a.py", "import random", "imports random"),
    ("no_hidden_chance", "toolkit/a.py", "from numpy.random import rand", "imports numpy.random.rand"),
    ("no_hidden_chance", "toolkit/a.py", "np.random.seed(1)", "np.random.seed"),
    ("no_hidden_chance", "toolkit/a.py", "np.random.default_rng()", "without a seed"),
    ("no_hidden_chance", "toolkit/a.py", "np.random.default_rng(rng)", None),
    ("no_clock", "toolkit/a.py", "import datetime\ndatetime.datetime.now()", "asks the clock"),
    ("no_clock", "toolkit/a.py", "time.time()", "asks the clock"),
    ("no_clock", "toolkit/a.py", "time.perf_counter()", None),
    ("no_clock", "toolkit/reports/a.py", "time.time()", None),
    ("no_clock", "toolkit/study/store.py", "time.time()", None),
]


@pytest.mark.parametrize("rule", IN_TOOLKIT, ids=lambda rule: rule.__name__)
def test_the_toolkit_keeps_the_rule(rule):
    assert [problem for source in sources("toolkit") for problem in rule(source)] == []


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_tests_and_benchmarks_keep_the_rule(rule):
    assert [problem for source in sources("tests", "benchmarks") for problem in rule(source)] == []


@pytest.mark.parametrize(("rule", "path", "text", "sentence"), SINS)
def test_a_rule_sees_what_it_forbids_and_nothing_else(rule, path, text, sentence):
    problems = list(getattr(house, rule)(Source(path, text)))
    assert problems == [] if sentence is None else sentence in problems[0]


def test_the_toolkit_stays_thin():
    assert sum(source.lines_of_code for source in sources("toolkit")) < 16_000


def test_no_room_outgrows_its_idea():
    rooms = Counter()
    for source in sources("toolkit"):
        rooms[source.room] += source.lines_of_code
    assert {room: n for room, n in rooms.items() if n > 1500} == {}
