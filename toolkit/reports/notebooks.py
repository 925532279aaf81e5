"""Notebooks as files: finding them, what they may be told, and what they left behind once run."""

from __future__ import annotations

import ast
import json
import os
import re
from datetime import date
from pathlib import Path

from toolkit.errors import UsageError, one_of, raise_all

MIME = "application/vnd.journey.{}+json"
TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}


def find_notebooks(names, folder) -> list[Path]:
    """The report notebooks of `folder` in reading order, or those of them that are named.

    Args:
        names: names ("03-touchpoints"), unambiguous beginnings ("03") or paths; none means all of `folder`.
        folder: where notebooks live; only its top level is read.
    """
    shelf = {path.stem: path for path in sorted(Path(folder).glob("*.ipynb"))}
    if not names:
        if not shelf:
            raise UsageError(f"There is no notebook in '{folder}'. Name the folder with --notebooks.")
        return list(shelf.values())
    found = [_pick(str(name), shelf) for name in names]
    twice = {path.stem for path in found if [other.stem for other in found].count(path.stem) > 1}
    if twice:
        raise UsageError(f"Notebook '{sorted(twice)[0]}' is named twice; a report has each page once.")
    return found


def _pick(name: str, shelf: dict[str, Path]) -> Path:
    if name.endswith(".ipynb"):
        if not Path(name).is_file():
            raise UsageError(f"Notebook '{name}' does not exist.")
        return Path(name).resolve()
    matches = [stem for stem in shelf if stem == name or stem.startswith(f"{name}-")]
    if len(matches) != 1:
        raise one_of("notebook", name, list(shelf))
    return shelf[matches[0]]


def read_notebook(path) -> dict:
    """The notebook's JSON; a file that is none is a UsageError naming it."""
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
        notebook["cells"][:0]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"'{Path(path).name}' is not a notebook that can be read ({type(error).__name__}).") from error
    return notebook


def source_of(cell) -> str:
    """A cell's text, whichever of the two JSON forms it is stored in."""
    text = cell.get("source", "")
    return text if isinstance(text, str) else "".join(text)


def tagged(cell, tag: str) -> bool:
    """Whether a cell carries the tag."""
    return tag in cell.get("metadata", {}).get("tags", [])


def title_of(notebook, fallback: str) -> str:
    """The question a notebook answers: its first level-one heading."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and (match := re.search(r"^# +(.+)$", source_of(cell), re.M)):
            return match[1].strip().strip("#").strip()
    return fallback


def declared(notebook, name: str = "notebook") -> dict[str, tuple[object, str]]:
    """The parameters cell as {name: (default, comment)}; anything but literals there is refused.

    Example:
        >>> cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "within = '7d'  # window"}
        >>> declared({"cells": [cell]})
        {'within': ('7d', 'window')}
    """
    cells = [cell for cell in notebook["cells"] if tagged(cell, "parameters")]
    if not cells:
        return {}
    text, found = source_of(cells[0]), {}
    try:
        for line in ast.parse(text).body:
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            last = text.splitlines()[line.end_lineno - 1]
            comment = last.encode()[line.end_col_offset :].decode().strip()
            found[target.id] = ast.literal_eval(line.value), comment.lstrip("# ")
    except (SyntaxError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"The parameters cell of {name} must hold one `name = literal` a line; papermill sets them after "
            "that cell, so nothing can be derived there."
        ) from error
    return found


def settle(notebooks: dict[str, dict], given: dict, shared: dict) -> dict[str, dict]:
    """What each notebook is passed, checked against its parameters cell.

    Args:
        notebooks: {name: notebook}.
        given: what the user asked for by name; a name no notebook knows is an error.
        shared: what the report itself knows (source, tz, locale, as_of, period); passed where a notebook has it,
            None too: the literal that stands in the cell is for the samples.
    """
    known = {name: declared(notebook, name) for name, notebook in notebooks.items()}
    every = {key for parameters in known.values() for key in parameters}
    problems, settled = [], {name: {} for name in known}
    problems += [str(one_of("parameter", key, sorted(every))) for key in given if key not in every]
    for name, parameters in known.items():
        for key, (default, _) in parameters.items():
            if key in given:
                try:
                    settled[name][key] = fit(key, given[key], default)
                except UsageError as error:
                    problems.append(f"{name}: {error}")
            elif key in shared:
                settled[name][key] = shared[key]
    raise_all(UsageError, list(dict.fromkeys(problems)))
    return settled


def fit(name: str, value, default):
    """`value` as the type of `default`, or a UsageError: text from a command line is read, a wrong type is not bent.

    Example:
        >>> fit("weeks", "8", 4), fit("code", "007", "001"), fit("start", date(2026, 3, 1), None)
        (8, '007', '2026-03-01')
    """
    value = value.isoformat() if isinstance(value, date) else value
    kind = list if isinstance(default, tuple) else type(default)
    if default is None or value is None or type(value) is kind or (kind is float and type(value) is int):
        return value
    if isinstance(value, str) and type(read := _read(value, kind)) is kind:
        return read
    if kind is str and type(value) in (int, float):
        raise UsageError(f"Parameter '{name}' must be text, not {value!r}: put it in quotes.")
    raise UsageError(f"Parameter '{name}' must be {TYPES.get(kind, kind.__name__)} (like {default!r}), not {value!r}.")


def _read(text: str, kind: type):
    import yaml

    try:
        return float(text) if kind is float else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text


def emitted(notebook, kind: str) -> list[tuple[dict, int]]:
    """What the run left under one of our mime types ("record", "in-short", "guard", "about"), with the cell's index."""
    mime = MIME.format(kind)
    return [
        (output["data"][mime], index)
        for index, cell in enumerate(notebook["cells"])
        for output in cell.get("outputs", [])
        if mime in output.get("data", {})
    ]


def section_of(notebook, index: int) -> str:
    """The heading a cell stands under, without its marks; "" above the first."""
    for cell in reversed(notebook["cells"][: index + 1]):
        if cell["cell_type"] == "markdown" and (heads := re.findall(r"^#{1,4} +(.+)$", source_of(cell), re.M)):
            return heads[-1].strip()
    return ""


def read_json(path: Path) -> dict | None:
    """A JSON file, or None where it is missing or not whole: an old run must not stop a new one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def hidden(text: str, hide: dict[str, str]) -> str:
    """A text without the places of this machine: each path is replaced by the name that stands for it."""
    for place in sorted(hide.keys() - {"/"}, key=len, reverse=True):  # a home may be the root
        text = text.replace(place, hide[place])
    return text


def save(path: Path, text: str) -> None:
    """Write beside the place and move it there, so that nobody ever reads half a file."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
