"""The command line: exit codes, one sentence instead of a traceback, help without waiting."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from tests.reports.made import code, prose, write_notebook
from toolkit.reports import cli

ROOT = Path(__file__).resolve().parents[2]
EVENTS = "customer_id,timestamp,touchpoint\n" + "".join(
    f"c{n},2026-03-{n:02d}T10:00:00Z,product page\n" for n in range(1, 29)
)
WAITS = "_ = pathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(300)"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.csv").write_text(EVENTS)
    parameters = "source = 'x'  # data\ntz = 'UTC'  # zone\nperiod_start = None  # ISO\nweeks = 4  # weeks"
    opens = "import toolkit as tk\ndata = tk.open_data(source, tz=tz)"
    cells = [
        prose("# Can we trust the data?"),
        code(parameters, "parameters"),
        code(opens),
        code("assert weeks < 9"),
        code("tk.about(data)"),
    ]
    write_notebook(tmp_path / "notebooks", "01-data", *cells)
    return tmp_path


def journey(*arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    return left.value.code


def test_a_report_is_made_from_files_and_its_front_page_named(shop, capsys):
    (shop / "weekly.yaml").write_text("weeks: 9\n")
    told = [
        "report",
        "01",
        "--data",
        "data",
        "--tz",
        "Europe/Copenhagen",
        "--period",
        "last-28-days",
        "--params",
        "weekly.yaml",
    ]
    assert journey(*told, "-p", "weeks=5") == 0
    out, err = capsys.readouterr()
    front = Path(out.strip())
    assert front.is_file() and front.parent.parent == Path("reports/data") and "01-data" in err
    assert "2026-03-28" in front.read_text() or "Mar 28, 2026" in front.read_text()
    page = (front.parent / "01-data.html").read_text()
    assert '<th scope="row">period_start</th><td>2026-03-01' in page and '<th scope="row">weeks</th><td>5' in page
    assert str(shop) not in page


def test_a_failed_notebook_is_exit_code_1(shop, capsys):
    assert journey("report", "--data", "data", "-p", "weeks=9") == cli.FAILED
    assert "FAILED: it failed in “Can we trust the data?” (AssertionError)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report"], "Missing option '--data'"),
        (["report", "--data", "nowhere"], "nowhere"),
        (["report", "--data", "data", "-p", "wekes=3"], "did you mean 'weeks'?"),
        (["report", "--data", "data", "-p", "weeks"], "write it as name=value"),
        (["report", "--data", "data", "-p", "tz=UTC"], "use --tz"),
        (["report", "--data", "data", "--period", "lately"], "Period 'lately' is not one that can be read"),
        (["report", "--data", "data", "--params", "none.yaml"], "'none.yaml' cannot be read as YAML"),
        (["report", "--data", "data", "--params", "data/events.csv"], "must hold name: value lines"),
        (["report", "09", "--data", "data"], "choose one of '01-data'"),
        (["check", "nowhere"], "nowhere"),
        (["simulate", "data"], "data"),
        (["reprot"], "No such command 'reprot'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_exit_code_2_and_one_sentence(shop, capsys, arguments, sentence):
    assert journey(*arguments) == cli.WRONG
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err
    assert not (shop / "reports").exists()


def test_a_held_folder_is_exit_code_3(shop, capsys):
    (shop / "reports" / "data").mkdir(parents=True)
    with FileLock(shop / "reports" / "data" / ".lock"):
        assert journey("report", "--data", "data") == cli.BUSY
    assert "in use by another run" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_a_stopped_report_stops_its_notebooks_and_is_no_run(shop):
    write_notebook(shop / "notebooks", "02-long", prose("# Long?"), code("import time, os, pathlib"), code(WAITS))
    command = [sys.executable, "-m", "toolkit.reports.cli", "report", "02", "--data", "data"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    started = time.monotonic()
    while not (shop / "notebooks" / "pid").is_file() and time.monotonic() - started < 60:
        time.sleep(0.1)
    process.terminate()
    assert "Stopped." in process.communicate(timeout=30)[1] and process.returncode == 130
    kernel = int((shop / "notebooks" / "pid").read_text())
    while Path(f"/proc/{kernel}").exists() and time.monotonic() - started < 90:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()
    assert list((shop / "reports").glob("**/run.json")) == []


def test_check_says_what_is_there(shop, capsys):
    assert journey("check", "data") == 0
    assert "events" in capsys.readouterr().out


def test_the_list_of_runs_can_be_written_anew(shop, capsys):
    (shop / "reports").mkdir()
    assert journey("index") == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_doctor_names_what_is_missing(shop, capsys, monkeypatch):
    code = journey("doctor")
    text = capsys.readouterr().out
    assert code == (cli.FAILED if "MISSING" in text else 0) and f"Python {sys.version.split()[0]}" in text
    (shop / "blocked").write_text("a file, not a folder")
    assert journey("doctor", "--out", "blocked") == cli.FAILED
    assert "cannot be written to; give another --out" in capsys.readouterr().out


def test_help_takes_under_half_a_second_of_cpu():
    before = os.times()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-m", "toolkit.reports.cli", "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    assert "report" in said.stdout and "doctor" in said.stdout
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5
