"""One notebook, run in a process of its own: execute, judge, write the page, say how it went.

papermill is the hand, the judgement is ours: its own status calls a dead kernel, a timeout and `SystemExit` completed.
Run as `python -m toolkit.reports.worker JOB.json`; the answer is written to the path the job names.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from toolkit.reports.notebooks import emitted, hidden, read_notebook, save, section_of, source_of
from toolkit.shown import safe_text

KERNEL = "journey"
QUIET = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONWARNINGS": "ignore::DeprecationWarning,ignore::PendingDeprecationWarning,ignore::FutureWarning",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def main(job_file: str) -> None:
    """Run the job and write its answer; never raises for what a notebook did."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    executed = Path(job["folder"]) / f"{job['name']}.ipynb"
    reason, answer = run(job, executed), {}
    if executed.is_file():
        notebook = read_notebook(executed)
        reason = clean(reason or judge(notebook) or "", job)
        answer = {"executed": executed.name} | finish(notebook, job, reason)
    answer |= {"status": "failed" if reason else "completed", "reason": reason or None}
    save(Path(job["answer"]), json.dumps(answer))


def run(job: dict, executed: Path) -> str | None:
    """Execute into a partial file beside `executed`, then move it there; what went wrong in words, or None."""
    install_kernel(Path(job["scratch"]))
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    partial = executed.with_suffix(".partial.ipynb")
    reason = None
    try:
        papermill.execute_notebook(
            *(job["path"], str(partial), job["parameters"]),
            **{
                "kernel_name": KERNEL,
                "language": "python",
                "progress_bar": False,
                "cwd": str(Path(job["path"]).parent),
            },
            execution_timeout=job["cell_seconds"],
        )
    except papermill.PapermillExecutionError:
        pass
    except DeadKernelError:
        reason = f"the kernel died{place(partial)}: out of memory, or the process ended itself or was ended"
    except CellTimeoutError:
        reason = f"one step took longer than {job['cell_seconds']:g} seconds{place(partial)}"
    except Exception as error:  # whatever Jupyter raises is this page's reason, not the report's end
        reason = f"it could not be run: {type(error).__name__} {error}"
    if partial.is_file():
        os.replace(partial, executed)
    return reason


def install_kernel(scratch: Path) -> None:
    """A kernel specification for this very interpreter, in a scratch folder; no user configuration reaches it."""
    folder = scratch / "share" / "kernels" / KERNEL
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": KERNEL, "language": "python"}
    spec |= {"env": QUIET | {"IPYTHONDIR": str(scratch / "ipython")}}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ |= {"JUPYTER_PATH": str(scratch / "share"), "JUPYTER_RUNTIME_DIR": str(scratch / "runtime")}


def place(partial: Path) -> str:
    """Where the run stood, from the last cell papermill started."""
    if not partial.is_file():
        return ""
    notebook = read_notebook(partial)
    begun = [i for i, cell in enumerate(notebook["cells"]) if cell["metadata"].get("papermill", {}).get("start_time")]
    return within(notebook, begun[-1]) if begun else ""


def within(notebook, index: int) -> str:
    """' in “section”' for a cell."""
    section = section_of(notebook, index)
    return f" in “{section}”" if section else ""


def judge(notebook) -> str | None:
    """Why an executed notebook is not a whole report, or None: our own check, cell by cell.

    Example:
        >>> judge({"cells": [{"cell_type": "code", "source": "1", "execution_count": None, "outputs": []}]})
        'a step was never run'
    """
    cells = [(index, cell) for index, cell in enumerate(notebook["cells"]) if source_of(cell).strip()]
    code = [(index, cell) for index, cell in cells if cell["cell_type"] == "code"]
    for index, cell in code:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and output["ename"] in ("SystemExit", "KeyboardInterrupt"):
                return f"the notebook ended itself early ({output['ename']}){within(notebook, index)}"
            if output["output_type"] == "error":
                return f"{output['evalue'].strip() or 'it failed'}{within(notebook, index)} ({output['ename']})"
        if cell.get("execution_count") is None:
            return f"a step was never run{within(notebook, index)}"
    if not code or code[-1][0] not in [index for _, index in emitted(notebook, "about")]:
        return "the last cell did not show tk.about(data), so the page cannot be known to be whole"
    return None


def finish(notebook, job: dict, reason: str) -> dict:
    """Write the page and gather what the front page needs; numbers of a failed notebook are not passed on."""
    from toolkit.reports.page import anchors, write_page

    about = next((payload for payload, _ in reversed(emitted(notebook, "about"))), {})
    page = Path(job["folder"]) / f"{job['name']}.html"
    write_page(notebook, page, job | {"about": about, "reason": reason})
    found = {kind: [payload for payload, _ in emitted(notebook, kind)] for kind in ("record", "in-short", "guard")}
    links = anchors(notebook)
    said = [sentence for payload in found["in-short"] for sentence in payload["sentences"]]
    said = [sentence | {"anchor": links.get(sentence.get("measure"), "in-short")} for sentence in said]
    whole = {"records": [], "sentences": []} if reason else {"records": found["record"], "sentences": said}
    return whole | {"page": page.name, "about": about, "guards": found["guard"]}


def clean(text: str, job: dict) -> str:
    """A text fit for a page: no colours, no paths of this machine, of a readable length."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return safe_text(hidden(text, job["hide"]), 400)


if __name__ == "__main__":
    main(sys.argv[1])
