"""What a cell can reach by `tk.`: documented, shown by example, quick to import."""

import inspect
import re
import subprocess
import sys

import pytest

import toolkit
from tests.house import ROOT

NAMES = getattr(toolkit, "__all__", ())
HEAVY = {"duckdb", "matplotlib", "pandas", "papermill", "pyarrow", "scipy", "seaborn", "sklearn", "statsmodels"}


def explained(name):
    thing = getattr(toolkit, name)
    return (inspect.isfunction(thing) or inspect.isclass(thing)) and thing


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_explained_and_shown_by_a_running_example(name):
    if thing := explained(name):
        doc = inspect.getdoc(thing) or ""
        assert re.match(r"[A-Z`].*\.$", doc.splitlines()[0] if doc else ""), "begins with one sentence"
        assert "Example" in doc and ">>>" in doc, "has an Example that runs"
        assert thing.__doc__ is not None, "has its own docstring"


@pytest.mark.parametrize("name", NAMES)
def test_a_public_class_explains_its_methods(name):
    if inspect.isclass(thing := explained(name)):
        methods = inspect.getmembers(thing, lambda m: inspect.isfunction(m) or isinstance(m, property))
        assert [n for n, method in methods if not n.startswith("_") and not inspect.getdoc(method)] == []


def test_no_public_name_hides_a_module_or_looks_like_a_test():
    lying = {path.stem for path in (ROOT / "toolkit").iterdir()}
    assert [name for name in NAMES if name in lying or name.startswith("test_")] == []


def loaded_by(code):
    """Which heavy packages a fresh Python holds after running this code."""
    report = f"\nprint('LOADED', *sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{report}"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.rpartition("LOADED")[2].split()


def test_importing_the_toolkit_loads_nothing_heavy():
    assert loaded_by("import toolkit") == []


def test_help_on_the_command_line_loads_nothing_heavy():
    code = """
from toolkit.reports.cli import main
sys.argv = ["journey", "--help"]
try:
    main()
except SystemExit as leaving:
    assert not leaving.code
"""
    assert loaded_by(code) == []
