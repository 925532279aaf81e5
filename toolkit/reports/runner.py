"""Notebooks into one report folder: validate, lock, execute side by side, write what happened and the front page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from toolkit.errors import BusyError, UsageError
from toolkit.reports.notebooks import declared, read_json, read_notebook, save, settle, title_of

ROOT = Path(__file__).resolve().parents[2]
LOCK = ".lock"
AT_ONCE = 2  # notebooks; each holds a study's columns and figures in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Args:
        study: the data's name; names the folder under `out` and is what pages show instead of a path.
        notebooks: files, in reading order.
        out: where reports live.
        given: parameters the user named; unknown names are errors.
        shared: what the report knows (source, tz, locale, as_of, period_start, period_end); for notebooks that ask.
        period: how the period was asked for ("last-28-days", "2026-03-01..2026-06-01"); "" for all.
        cell_seconds: the longest one step may take.
    """

    study: str
    notebooks: tuple[Path, ...]
    out: Path
    given: dict = field(default_factory=dict)
    shared: dict = field(default_factory=dict)
    period: str = ""
    cell_seconds: float = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished report: its folder, and one status per notebook as run.json has it."""

    folder: Path
    notebooks: tuple[dict, ...]

    @property
    def failed(self) -> tuple[dict, ...]:
        """The notebooks that did not complete."""
        return tuple(one for one in self.notebooks if one["status"] != "completed")


def run_report(plan: Plan, say: Callable[[str], None] = lambda line: None) -> Run:
    """Run the plan's notebooks into a new folder `out/study/run` and write its front page.

    Args:
        plan: what to run.
        say: called with one line whenever something starts or ends.

    Returns:
        The run; a notebook that failed is in it, its executed file kept and its reason on the front page.

    Raises:
        UsageError: a parameter no notebook has, or of the wrong type; nothing has been written then.
        BusyError: another run holds the study's folder.
    """
    from toolkit.reports.front import write_front, write_index

    _refuse_own_input(plan)
    notebooks = {path.stem: read_notebook(path) for path in plan.notebooks}
    settled = settle(notebooks, plan.given, plan.shared)
    made_at = datetime.now(UTC)
    home = plan.out / folder_name(plan.study)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"'{plan.out}' cannot be written to ({error.strerror}); give another --out."
        raise UsageError(problem) from error
    with held(home):
        folder = new_folder(home, plan.shared.get("as_of") or f"{made_at:%Y-%m-%d}")
        with tempfile.TemporaryDirectory(prefix="journey-") as scratch:
            jobs = [_job(plan, path, notebooks[path.stem], settled[path.stem], folder) for path in plan.notebooks]
            results = _run_all(jobs, Path(scratch), say)
        record = {"study": plan.study, "run": folder.name, "made_at": made_at.isoformat(timespec="seconds")}
        record |= {"period": plan.period, "shared": plan.shared | {"source": plan.study}, "given": plan.given}
        record |= {"versions": versions(), "notebooks": results}
        save(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False))
        write_front(folder)
        write_index(plan.out)
    return Run(folder=folder, notebooks=tuple(results))


def folder_name(study: str) -> str:
    """A study's name as a folder name.

    Example:
        >>> folder_name("My Shop / 2026")
        'My-Shop-2026'
    """
    words = "".join(letter if letter.isalnum() or letter in "._" else " " for letter in study).split()
    return "-".join(words).strip(".-") or "study"


def held(home: Path):
    """The lock of a study's folder, or BusyError at once."""
    from filelock import FileLock, Timeout

    try:
        return FileLock(home / LOCK).acquire(timeout=0)
    except Timeout as error:
        raise BusyError(f"'{home.name}' is in use by another run; wait for it, or give another --out.") from error


def new_folder(home: Path, day: str) -> Path:
    """Make a folder that was never there before, its name in order of time: 2026-05-31-01, 2026-05-31-02."""
    names = (f"{day.replace(':', '')}-{number:02d}" for number in count(1))
    folder = next(home / name for name in names if not (home / name).exists())
    folder.mkdir()
    return folder


def _refuse_own_input(plan: Plan) -> None:
    for path in plan.notebooks:
        if path.resolve().is_relative_to(plan.out.resolve()):
            raise UsageError(f"'{path.name}' lies in the reports folder and would be overwritten; give another --out.")


def _job(plan: Plan, path: Path, notebook: dict, parameters: dict, folder: Path) -> dict:
    used = {key: (parameters.get(key, default), note) for key, (default, note) in declared(notebook).items()}
    if "source" in used:
        used["source"] = plan.study, used["source"][1]
    hide = {str(path.resolve().parent): "notebooks", str(Path.home()): "~"}
    hide |= {str(plan.shared["source"]): plan.study} if plan.shared.get("source") else {}
    files = {"path": str(path.resolve()), "folder": str(folder.resolve()), "name": path.stem}
    shown = {"study": plan.study, "title": title_of(notebook, path.stem), "used": used, "hide": hide}
    return files | shown | {"parameters": parameters, "cell_seconds": plan.cell_seconds}


def _run_all(jobs: list[dict], scratch: Path, say) -> list[dict]:
    running: set[subprocess.Popen] = set()
    width = max(len(job["name"]) for job in jobs)
    speak = threading.Lock()

    def one(job: dict) -> dict:
        with speak:
            say(f"{job['name']:<{width}}  runs …")
        result = _run_one(job, scratch, running)
        ended = "done" if result["status"] == "completed" else f"FAILED: {result['reason']}"
        with speak:
            say(f"{job['name']:<{width}}  {result['seconds']:.1f} s  {ended}")
        return result

    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(one, jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise


def _run_one(job: dict, scratch: Path, running: set) -> dict:
    own, started = scratch / job["name"], time.monotonic()
    own.mkdir()
    answer, noise = own / "answer.json", own / "noise.txt"
    save(own / "job.json", json.dumps(job | {"scratch": str(own), "answer": str(answer)}))
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "toolkit.reports.worker", str(own / "job.json")]
    with noise.open("w", encoding="utf-8") as heard:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=heard, stderr=heard)
        running.add(process)
        code = process.wait()
        running.discard(process)
    result = {"notebook": job["name"], "title": job["title"], "page": None, "executed": None, "status": "failed"}
    result |= {"seconds": round(time.monotonic() - started, 2)}
    result |= {"parameters": {key: value for key, (value, _) in job["used"].items()}}
    last = (noise.read_text(encoding="utf-8", errors="replace").split("\n") or [""])[-2:][0]
    unsaid = {"reason": f"its process ended with code {code} before the page was written. {last}".strip()}
    return result | (read_json(answer) or unsaid)


def versions() -> dict[str, str]:
    """The versions a reader needs to run the same again."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in ("journey-toolkit", "papermill", "nbconvert", "pandas", "numpy", "duckdb"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
