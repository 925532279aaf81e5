"""The house rules that can be read off the source: each takes one file and returns what is wrong, as sentences."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    room: floor
    for floor, rooms in enumerate(
        [
            ("errors", "shown", "results", "counts"),
            ("stats",),
            ("schema", "privacy", "catalogue"),
            ("intake", "study"),
            ("loaders", "simulate"),
            ("journeys",),
            ("funnels", "paths", "credit"),
            ("places", "maps", "pitfall", "experiments", "cohorts", "personas", "feedback"),
            ("figures",),
            ("explore", "reports"),
        ]
    )
    for room in rooms
}
TOPICS = ("funnels", "paths", "credit", "places", "maps", "pitfall", "experiments", "cohorts", "personas", "feedback")

MANY_ARGUMENTS = {  # where more than five arguments are right, and why
    "open_data": "the study's settings, said once and then kept",
}

DRAWING = {"matplotlib", "seaborn", "plotly"}
TABLES = {"pandas", "polars", "pyarrow", "duckdb"}
SEEDED = {"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"}
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "Timestamp.now", "Timestamp.today"} | {
    f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "strftime")
}


@dataclass(frozen=True)
class Source:
    """One Python file: where it lies below the project, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines_of_code(self) -> int:
        """Lines that are no docstring, comment or blank: those that can be wrong."""
        told = set()
        for node in ast.walk(self.tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                told.update(range(node.lineno, node.end_lineno + 1))
        lines = enumerate(self.text.splitlines(), start=1)
        return sum(i not in told and not line.lstrip().startswith("#") and bool(line.strip()) for i, line in lines)

    @property
    def room(self) -> str:
        """`toolkit/stats/shares.py` lies in `stats`, `toolkit/results.py` in `results`, the front door in ''."""
        parts = Path(self.path).with_suffix("").parts[1:]
        return "" if not parts or parts[0] in ("__init__", "__main__") else parts[0]

    def imports(self) -> Iterator[str]:
        """Every imported module in full, those inside functions included; `from a import b` gives `a.b`."""
        package = Path(self.path).parent.parts
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        yield from (n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [Source(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths]


def floors(source: Source) -> Iterator[str]:
    """Imports go down the floors only; a topic asks no topic of its own floor."""
    here = source.room
    if not here:
        return
    if here not in FLOORS:
        yield f"{source.path}: {here} has no floor yet; give it one in tests/house.py"
        return
    for name in source.imports():
        if name.split(".")[0] != "toolkit":
            continue
        there = [*name.split("."), ""][1]
        if there not in FLOORS:
            yield f"{source.path}: {here} may not look up at {name}, the front door"
        elif FLOORS[there] > FLOORS[here]:
            yield f"{source.path}: {here} may not look up at {there}"
        elif here in TOPICS and there in TOPICS and here != there and FLOORS[here] == FLOORS[there]:
            yield f"{source.path}: {here} may not look over at {there}; take its result as an argument"


def kept_out(source: Source) -> Iterator[str]:
    """No tables and no pictures in stats; matplotlib and seaborn in figures only."""
    banned = (DRAWING | TABLES) if source.room == "stats" else set() if source.room == "figures" else DRAWING
    for name in source.imports():
        if name.split(".")[0] in banned:
            yield f"{source.path}: {name.split('.')[0]} has no place in {source.room or 'the front door'}"


def small_file(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > 400:
        yield f"{source.path} has {lines} lines; 400 is the most, so find the second idea in it"


def small_functions(source: Source) -> Iterator[str]:
    """At most 40 lines, the docstring not counted."""
    for node in source.functions():
        first = node.body[0]
        is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and ast.get_docstring(node)
        lines = node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if is_doc else 0)
        if lines > 40:
            yield f"{source.path}:{node.lineno} {node.name} has {lines} lines; 40 is the most"


def few_arguments(source: Source) -> Iterator[str]:
    """A public function or method has at most five; a command's options are not counted, they are its help."""
    for holder in ast.walk(source.tree):
        if not isinstance(holder, ast.Module | ast.ClassDef) or getattr(holder, "name", "").startswith("_"):
            continue
        for node in holder.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or node.name in MANY_ARGUMENTS:
                continue
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > 5 and not any("option" in ast.unparse(d) for d in node.decorator_list):
                yield f"{source.path}:{node.lineno} {node.name} has {count} arguments; past five, take settings"


def finished(source: Source) -> Iterator[str]:
    """Nothing half done, nothing printed."""
    for found in re.finditer(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", source.text):
        yield f"{source.path}:{source.text.count(chr(10), 0, found.start()) + 1} says {found[0]}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{source.path}:{node.lineno} prints; return it, or use click.echo in the command line"


def no_hidden_chance(source: Source) -> Iterator[str]:
    """Randomness comes in as rng; nothing is drawn from a global or an unseeded state."""
    for name in source.imports():
        head, _, last = name.rpartition(".")
        if name.split(".")[0] == "random" or (head == "numpy.random" and last not in SEEDED):
            yield f"{source.path} imports {name}; take rng as an argument"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            if node.attr not in SEEDED:
                yield f"{source.path}:{node.lineno} uses np.random.{node.attr}; take rng as an argument"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng") and not node.args:
            yield f"{source.path}:{node.lineno} draws without a seed; take rng as an argument"


def no_clock(source: Source) -> Iterator[str]:
    """What time it is comes in as as_of; only the store and the reports look at the clock."""
    if source.room == "reports" or source.path == "toolkit/study/store.py":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ".".join(ast.unparse(node.func).split(".")[-2:])
            if called in CLOCKS:
                yield f"{source.path}:{node.lineno} asks the clock ({called}); take as_of as an argument"


EVERYWHERE = (small_file, small_functions)
IN_TOOLKIT = (*EVERYWHERE, floors, kept_out, few_arguments, finished, no_hidden_chance, no_clock)
