"""The rules of a notebook: each takes the stored notebook and returns what is wrong, as sentences."""

import ast
from collections.abc import Iterator
from statistics import median

NOT_STORED = {"execution", "papermill", "widgets"}
NOT_IN_CELLS = {
    ast.FunctionDef: "defines a function",
    ast.AsyncFunctionDef: "defines a function",
    ast.ClassDef: "defines a class",
    ast.For: "loops",
    ast.While: "loops",
}


def text(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tagged(notebook: dict, tag: str) -> list[dict]:
    return [cell for cell in code_cells(notebook) if tag in cell["metadata"].get("tags", [])]


def stored_clean(notebook: dict) -> Iterator[str]:
    """No outputs, counts or traces of a run; every cell has its own id; the plain kernel."""
    for cell in code_cells(notebook):
        if cell["outputs"] or cell["execution_count"] is not None:
            yield f"cell {cell.get('id')} is stored with its output: run nbstripout"
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "cells lack an id, or share one"
    metadata = notebook["metadata"]
    kept = metadata.keys() | {key for cell in notebook["cells"] for key in cell["metadata"]}
    if NOT_STORED & kept or "version" in metadata.get("language_info", {}):
        yield "metadata tells of a run: run nbstripout as CONTRIBUTING says"
    if metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"


def plain_cells(notebook: dict) -> Iterator[str]:
    """Small cells of calls: nothing defined, looped over or printed."""
    lengths = []
    for cell in code_cells(notebook):
        lengths.append(len([line for line in text(cell).splitlines() if line.strip()]))
        try:
            tree = ast.parse(text(cell))
        except SyntaxError:
            yield f"cell {cell.get('id')} is not plain Python"
            continue
        for node in ast.walk(tree):
            if kind := NOT_IN_CELLS.get(type(node)):
                yield f"cell {cell.get('id')} {kind}; the toolkit does that"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                yield f"cell {cell.get('id')} prints; end it with the value"
        if lengths[-1] > 12:
            yield f"cell {cell.get('id')} has {lengths[-1]} lines; 12 is the most"
    if lengths and median(lengths) > 3:
        yield f"half the code cells are longer than 3 lines (median {median(lengths)})"


def opens_with_its_question(notebook: dict) -> Iterator[str]:
    """A title, then In short, the parameters and the imports, in that order."""
    cells = notebook["cells"]
    title = text(cells[0]) if cells[0]["cell_type"] == "markdown" else ""
    titles = [line for cell in cells if cell["cell_type"] == "markdown" for line in text(cell).splitlines()]
    if not title.startswith("# ") or len([line for line in titles if line.startswith("# ")]) != 1:
        yield "the first cell is not Markdown with the notebook's only # title"
    if cells[1]["cell_type"] != "markdown" or "in short" not in text(cells[1]).lower():
        yield "the second cell is not Markdown saying In short"
    if tagged(notebook, "parameters") != code_cells(notebook)[:1]:
        yield "the first code cell, and only that, is tagged parameters"
    if len(tagged(notebook, "in-short")) != 1:
        yield "there is not one code cell tagged in-short"
    imports = [node for cell in code_cells(notebook) for node in ast.walk(ast.parse(text(cell)))]
    if len([node for node in imports if isinstance(node, ast.Import | ast.ImportFrom)]) > 4:
        yield "more than four imports"


def explained_parameters(notebook: dict) -> Iterator[str]:
    """Literals only, one a line, each with what it means behind it: papermill replaces them, and shows the comment."""
    for cell in tagged(notebook, "parameters"):
        for node in ast.parse(text(cell)).body:
            line = text(cell).splitlines()[node.lineno - 1]
            try:
                ast.literal_eval(node.value)
            except (AttributeError, ValueError):
                yield f"parameter line {line!r} is not a literal"
            if node.end_lineno != node.lineno or not line[node.end_col_offset :].lstrip().startswith("# "):
                yield f"parameter line {line!r} has no comment saying what it means, with its unit"


def closes_with_its_provenance(notebook: dict) -> Iterator[str]:
    """Doubts and next steps in words, then tk.about(data)."""
    *_, before, last = notebook["cells"]
    if before["cell_type"] != "markdown":
        yield "the last cell but one does not say what could make this wrong and what to do next"
    if last["cell_type"] != "code" or text(last).strip() != "tk.about(data)":
        yield "the last cell is not tk.about(data)"


EVERY_NOTEBOOK = (stored_clean,)
REPORTS = (stored_clean, plain_cells, opens_with_its_question, explained_parameters, closes_with_its_provenance)
