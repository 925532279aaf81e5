"""The command line as a user meets it: in a process of its own, by what it prints, leaves behind and returns."""

import json
import math
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from tests.house import ROOT

pytestmark = pytest.mark.slow
STEPS = ("product page", "cart", "checkout", "purchase")
BOUGHT = {"2026-01": 0.2, "2026-02": 0.6}  # share of those who look; what they pay stays the same


def a_shop(folder):
    """Two months of a shop that sells to one in five who look, then to three in five."""
    rng, events, orders = np.random.default_rng(8), [], []
    for month, share in BOUGHT.items():
        for n in range(300):
            at = pd.Timestamp(f"{month}-{1 + n % 25:02d}T12:00:00Z") + pd.Timedelta(minutes=n)
            depth = 4 if rng.random() < share else int(rng.integers(1, 4))
            steps = [at + pd.Timedelta(seconds=40 * k) for k in range(depth)]
            events += [(f"{month}/{n}", moment, step) for moment, step in zip(steps, STEPS, strict=False)]
            if depth == 4:
                orders.append((f"o{month}{n}", f"{month}/{n}", steps[-1], round(rng.lognormal(5, 0.5), 2), "DKK"))
    folder.mkdir()
    order = ["order_id", "customer_id", "timestamp", "revenue", "currency"]
    pd.DataFrame(events, columns=["customer_id", "timestamp", "touchpoint"]).to_csv(folder / "events.csv", index=False)
    pd.DataFrame(orders, columns=order).to_csv(folder / "orders.csv", index=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of one's own with the shop, some broken input, and a report held by somebody else."""
    home = tmp_path_factory.mktemp("home")
    a_shop(home / "shop")
    (home / "empty").mkdir()
    (home / "broken").mkdir()
    (home / "broken" / "events.csv").write_bytes(
        b'customer_id,timestamp,touchpoint\na,"2026-01-01,cart\nb,\xff\xfe,"x\n'
    )
    (home / "no-events").mkdir()
    (home / "no-events" / "events.csv").write_text("who,what\na,b\n")
    (home / "file").write_text("a file, not a folder")
    return home


@pytest.fixture(scope="module")
def journey(home):
    def run(*told):
        command = [sys.executable, "-m", "toolkit.reports.cli", *told]
        paths = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(home / "cache")}
        done = subprocess.run(command, cwd=home, env=os.environ | paths, capture_output=True, text=True)
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def a_report(*told):
    return "report", "04", "--notebooks", str(ROOT / "notebooks"), "--data", "shop", "--tz", "UTC", *told


@pytest.fixture(scope="module")
def two(home, journey):
    """The same report a month later."""
    days = ("2026-01-31", "2026-02-28")
    runs = [journey(*a_report("--as-of", day, "--period", "last-month", "-p", "within=1d")) for day in days]
    for run in runs:
        run.folder = (home / run.out.strip()).parent
        run.ledger = json.loads((run.folder / "ledger.json").read_text(encoding="utf-8"))
        run.front = (run.folder / "index.html").read_text(encoding="utf-8")
    return runs


def test_two_reports_are_made_and_named(two, home):
    assert [run.code for run in two] == [0, 0], two[0].err + two[1].err
    assert [run.folder.relative_to(home).as_posix() for run in two] == [
        "reports/shop/2026-01-31-01",
        "reports/shop/2026-02-28-01",
    ]
    assert "04-conversion  runs …" in two[0].err and re.search(r"04-conversion  \d+\.\d s  done", two[0].err)


def test_the_second_says_what_changed_and_marks_only_what_clears_the_noise(two):
    first, second = two
    assert first.ledger["compared_with"] is None and "nothing to compare with yet" in first.front
    assert second.ledger["compared_with"]["run"] == first.folder.name and "data until Jan 31, 2026" in second.front
    before, now = ({figure["name"]: figure for figure in run.ledger["figures"]} for run in two)
    for name, figure in now.items():
        halves = [(one["high"] - one["low"]) / 2 for one in (before[name], figure)]
        moved = abs(figure["value"] - before[name]["value"])
        assert math.isclose(abs(figure["change"]["difference"]), moved)
        assert figure["change"]["clear"] == (moved > math.hypot(*halves))
    assert {name: figure["change"]["clear"] for name, figure in now.items()} == {
        "conversion rate": True,
        "order value": False,
    }
    assert second.front.count("▲") + second.front.count("▼") == 1 and second.front.count("within the noise") == 1


def test_the_figures_are_those_that_were_planted(two):
    for run, share in zip(two, BOUGHT.values(), strict=True):
        figure = next(figure for figure in run.ledger["figures"] if figure["name"] == "conversion rate")
        assert figure["low"] < share < figure["high"] and figure["n"] == 300


def test_the_list_of_runs_leads_to_both(two, home, journey):
    (home / "reports" / "index.html").unlink()
    assert journey("index").code == 0
    runs = (home / "reports" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="shop/{run.folder.name}/index.html"' in runs for run in two)


def test_a_page_that_fails_is_exit_code_1_and_told_on_both(two, home, journey):
    failed = journey(*a_report("-p", "steps=[product page, nowhere]"))
    assert failed.code == 1 and "FAILED" in failed.err and "'nowhere'" in failed.err and "Traceback" not in failed.err
    assert "This page failed" in (home / failed.out.strip()).read_text(encoding="utf-8")


WRONG = {  # what was told: what is said
    ("report", "--data", "nowhere"): "nowhere",
    ("report", "--data", "empty"): "empty",
    ("report", "--data", "broken"): "events",
    ("report", "--data", "no-events"): "customer_id",
    ("check", "nowhere"): "nowhere",
    ("check", "broken"): "events",
    a_report("-p", "wihtin=3d"): "did you mean 'within'?",
    a_report("--as-of", "2026-13-45"): "'2026-13-45' is no date. Write it as",
    a_report("--period", "lately"): "lately",
    a_report("--locale", "xx_nowhere"): "xx_nowhere",
    a_report("--tz", "Europe/Copenhague"): "Europe/Copenhague",
    a_report("--out", "file/reports"): "'file/reports' cannot be written to (Not a directory); give another --out.",
    ("report", "09", *a_report()[2:]): "'09'",
    ("simulate", "shop"): "shop",
    ("simulate", "new", "--customers", "0"): "0",
    ("repotr",): "repotr",
}


@pytest.mark.parametrize("told", WRONG, ids=" ".join)
def test_wrong_use_or_data_is_exit_code_2_and_a_sentence(home, journey, told):
    before = sorted(home.rglob("*.html"))
    wrong = journey(*told)
    assert wrong.code == 2 and wrong.out == "" and WRONG[told] in wrong.err
    assert "Traceback" not in wrong.err and re.search(r"^(journey|Error): [^\n]+[.?]$", wrong.err.rstrip(), re.M)
    assert sorted(home.rglob("*.html")) == before and not (home / "new").exists()


def test_a_folder_held_by_another_is_exit_code_3(home, journey):
    (home / "held" / "shop").mkdir(parents=True)
    with FileLock(home / "held" / "shop" / ".lock"):
        busy = journey(*a_report("--out", "held"))
    assert busy.code == 3 and busy.out == ""
    assert busy.err == "journey: 'shop' is in use by another run; wait for it, or give another --out.\n"


def test_check_speaks_of_every_table_and_finding(journey):
    said = journey("check", "shop", "--tz", "UTC")
    assert said.code == 0 and said.err == ""
    assert re.search(r"events +is there, 2026-01-01 to 2026-02-25 +[\d,]+ +there", said.out)


def test_a_shop_is_invented_and_can_be_checked(home, journey):
    made = journey("simulate", "made", "--customers", "30", "--seed", "2")
    assert made.code == 0 and "30 of 30 customers" in made.err and (home / "made" / "truth.json").is_file()
    assert journey("check", "made").code == 0


def test_doctor_finds_this_machine_fit(journey):
    said = journey("doctor")
    assert said.code == 0 and "MISSING" not in said.out and f"Python {sys.version.split()[0]}" in said.out
