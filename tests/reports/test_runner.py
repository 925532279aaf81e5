"""Notebooks run, judged by us."""

import json
from datetime import date

import pytest
from filelock import FileLock

from tests.reports.made import code, prose, tiny, write_notebook
from toolkit.errors import BusyError, UsageError
from toolkit.reports.notebooks import declared, find_notebooks, fit, read_notebook, settle
from toolkit.reports.runner import LOCK, Plan, folder_name, new_folder, run_report
from toolkit.reports.worker import judge

ENDINGS = {
    "01-error": "'basket' in “The step” (KeyError)",
    "02-killed": "the kernel died in “The step”: out of memory, or the process ended itself or was ended",
    "03-leaves": "the notebook ended itself early (SystemExit) in “The step”",
    "04-conversion": None,
    "05-unsaid": "the last cell did not show tk.about(data), so the page cannot be known to be whole",
}


def test_every_ending_is_seen_and_said_in_words(made):
    assert {one["notebook"]: one["reason"] for one in made.run.notebooks} == ENDINGS
    assert [one["notebook"] for one in made.run.failed] == [name for name, reason in ENDINGS.items() if reason]


def test_a_failed_notebook_keeps_what_it_executed_and_gives_no_figures(made):
    for one in made.run.failed:
        assert read_notebook(made.folder / one["executed"])["cells"]
        assert one["records"] == [] and one["sentences"] == []


def test_the_folder_holds_whole_files_only(made):
    pages = {f"{name}.{end}" for name in ENDINGS for end in ("html", "ipynb")}
    assert {path.name for path in made.folder.iterdir()} == pages | {"index.html", "ledger.json", "run.json"}


def test_run_json_says_what_ran_how_long_with_what(made):
    record = json.loads((made.folder / "run.json").read_text())
    whole = record["notebooks"][3]
    assert whole["status"] == "completed" and whole["seconds"] > 0
    assert whole["parameters"] == {"source": "webshop", "as_of": None, "locale": "en", "within": "7d", "weeks": 8}
    assert "pandas" in record["versions"]
    assert str(made.home) not in json.dumps(record)


def test_progress_names_every_notebook_when_it_starts_and_ends(made):
    for name, reason in ENDINGS.items():
        said = [line for line in made.lines if line.startswith(name)]
        assert len(said) == 2 and said[0].endswith("runs …") and (reason or "done") in said[1]


def test_the_kernel_is_this_interpreter_with_quiet_settings(made):
    executed = read_notebook(made.folder / "04-conversion.ipynb")
    assert executed["metadata"]["papermill"]["parameters"]["weeks"] == 8
    assert not any(output.get("ename") for cell in executed["cells"] for output in cell.get("outputs", []))


def test_a_step_that_takes_too_long_is_stopped(tmp_path):
    slow = tiny(tmp_path / "notebooks", "01-slow", "import time\ntime.sleep(60)")
    run = run_report(Plan(study="shop", notebooks=(slow,), out=tmp_path / "reports", cell_seconds=2))
    assert run.notebooks[0]["reason"] == "one step took longer than 2 seconds in “The step”"
    assert "01-slow?" in (run.folder / "index.html").read_text()


def test_a_second_run_of_the_same_study_is_told_to_wait(tmp_path):
    notebook = tiny(tmp_path, "01-any")
    (tmp_path / "reports" / "shop").mkdir(parents=True)
    with (
        FileLock(tmp_path / "reports" / "shop" / LOCK),
        pytest.raises(BusyError, match="'shop' is in use by another run"),
    ):
        run_report(Plan(study="shop", notebooks=(notebook,), out=tmp_path / "reports"))
    assert [path.name for path in (tmp_path / "reports" / "shop").iterdir()] in ([LOCK], [])


def test_a_notebook_of_the_reports_folder_is_never_overwritten(tmp_path):
    notebook = tiny(tmp_path / "reports" / "shop" / "2026-01-01-01", "01-any")
    with pytest.raises(UsageError, match="lies in the reports folder"):
        run_report(Plan(study="shop", notebooks=(notebook,), out=tmp_path / "reports"))


def test_wrong_parameters_are_all_said_before_anything_is_written(tmp_path):
    notebook = tiny(tmp_path, "01-any")
    plan = Plan(study="shop", notebooks=(notebook,), out=tmp_path / "reports", given={"wekes": 3, "within": 7})
    with pytest.raises(UsageError) as caught:
        run_report(plan)
    unknown, wrong = caught.value.problems
    assert "did you mean 'weeks'?" in unknown and "'within' must be text, not 7: put it in quotes." in wrong
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        ("8", 4, 8),
        ("0.5", 1.0, 0.5),
        (2, 1.0, 2),
        ("true", False, True),
        ("007", "001", "007"),
        ("[1, 2]", [0], [1, 2]),
        (date(2026, 3, 1), "2026-01-01", "2026-03-01"),
        (date(2026, 3, 1), None, "2026-03-01"),
        ("x", None, "x"),
        (None, 3, None),
        ("1e-3", 0.5, 0.001),
    ],
)
def test_a_value_is_read_as_the_type_of_its_default(value, default, expected):
    found = fit("name", value, default)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "default", "sentence"),
    [
        ("many", 4, r"'name' must be a whole number \(like 4\), not 'many'"),
        (True, 4, "a whole number"),
        (1, True, "true or false"),
        (0.5, 4, "a whole number"),
        (7, "7d", "put it in quotes"),
        ([1], "a", "must be text"),
        ("false", "a", None),
    ],
)
def test_a_wrong_type_is_not_bent(value, default, sentence):
    if sentence is None:
        assert fit("name", value, default) == value
    else:
        with pytest.raises(UsageError, match=sentence):
            fit("name", value, default)


def test_only_literals_are_parameters(tmp_path):
    cell = code("n = 3  # customers\ndouble = n * 2", "parameters")
    with pytest.raises(UsageError, match="one `name = literal` a line"):
        declared({"cells": [cell]}, "01-any")
    assert declared({"cells": [code("a: int = -3\nb = 'ø'  # ord på dansk", "parameters")]}) == {
        "a": (-3, ""),
        "b": ("ø", "ord på dansk"),
    }


def test_what_the_report_knows_goes_where_a_notebook_has_it():
    with_tz, without = ({"cells": [code(text, "parameters")]} for text in ("tz = 'Europe/Oslo'", "n = 1"))
    settled = settle({"a": with_tz, "b": without}, {"n": 2}, {"tz": None, "as_of": "2026-05-31"})
    assert settled == {"a": {"tz": None}, "b": {"n": 2}}


def test_notebooks_are_found_by_name_beginning_or_path(tmp_path):
    one, two = tiny(tmp_path, "01-data"), tiny(tmp_path, "03-touchpoints")
    assert find_notebooks([], tmp_path) == [one, two]
    assert find_notebooks(["03", "01-data"], tmp_path) == [two, one]
    assert find_notebooks([str(one)], tmp_path / "elsewhere") == [one]
    with pytest.raises(UsageError, match="did you mean '03-touchpoints'"):
        find_notebooks(["03-touchpoint"], tmp_path)
    with pytest.raises(UsageError, match="named twice"):
        find_notebooks(["01", "01-data"], tmp_path)
    with pytest.raises(UsageError, match="no notebook in"):
        find_notebooks([], tmp_path / "elsewhere")
    (tmp_path / "bad.ipynb").write_text("[]")
    with pytest.raises(UsageError, match=r"'bad\.ipynb' is not a notebook"):
        read_notebook(tmp_path / "bad.ipynb")


def test_a_run_never_gets_the_folder_of_another(tmp_path):
    names = [new_folder(tmp_path, day).name for day in ("2026-05-31", "2026-05-31", "2026-05-31T12:00")]
    assert names == ["2026-05-31-01", "2026-05-31-02", "2026-05-31T1200-01"]
    assert folder_name("../..") == "study" and folder_name("a/b: ø") == "a-b-ø"


def test_a_notebook_without_code_or_with_a_step_left_out_is_not_whole(tmp_path):
    path = write_notebook(tmp_path, "01-prose", prose("# Why?"))
    assert "tk.about" in judge(read_notebook(path))
    about = {"output_type": "display_data", "data": {"application/vnd.journey.about+json": {}}, "metadata": {}}
    run = [
        prose("## Here"),
        code("1") | {"execution_count": 1},
        code("2"),
        code("3") | {"execution_count": 3, "outputs": [about]},
    ]
    assert judge({"cells": run}) == "a step was never run in “Here”"
    assert judge({"cells": [run[1], run[3]]}) is None
