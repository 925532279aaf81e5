"""What the house costs beside raw SQL and pandas: CPU seconds and peak memory, with results compared at full size.

python benchmarks/house.py --events 10_000_000 --folder DIR
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
import rivals  # noqa: E402

EVENTS_EACH = 11.55  # events of a simulated customer, nearly
COLUMNS = "customer_id, timestamp, touchpoint, channel, device"
NEAR = {  # how far numbers of such names may lie apart: a tally's bin; a sum of floats in another order
    "median": 0.0039,
    "p95": 0.0039,
    "credit": 1e-9,
}
RUNS = 2  # the cheaper one is shown: a busy machine makes the other dearer
MEASURES = ("sessions", "transitions", "funnel")
HOUSE = ("toolkit.study.data", "toolkit.journeys.sessions", "toolkit.journeys.transitions", "toolkit.funnels.funnel")
IMPORTS = {"build": ("duckdb", "toolkit.study.data"), "toolkit": HOUSE, "sql": ("duckdb",), "pandas": ("pandas",)}


def make(folder: Path, events: int) -> dict:
    """Simulates a study, and leaves its events with string ids and with whole-number ids."""
    import duckdb

    from toolkit.simulate import write_data

    shop = write_data(folder / "shop", customers=max(round(events / EVENTS_EACH), 1))
    number = "cast(substr(customer_id, 2) as bigint) as customer_id"
    for kind, columns in (("string", COLUMNS), ("integer", COLUMNS.replace("customer_id", number))):
        source = f"select {columns} from '{shop / 'events.parquet'}'"
        duckdb.execute(f"copy ({source}) to '{folder / kind}.parquet' (format parquet, compression zstd)")
    shutil.rmtree(shop)
    return {}


def ours(folder: Path, measure: str, partitions: int) -> dict:
    """One of our measures on the store that the build left behind."""
    import toolkit as tk
    from toolkit.funnels.funnel import count_funnel
    from toolkit.funnels.rules import search_for
    from toolkit.journeys.sessions import count_sessions
    from toolkit.journeys.transitions import count_transitions
    from toolkit.study.engine import run

    data = tk.open_data(folder / "integer.parquet")
    if measure == "sessions":
        settings = {"gap": rivals.GAP * 10**6, "key": data.codes([rivals.GOAL]), "own": data.codes(rivals.OWN)}
        return _sessions(run(data, count_sessions, partitions=partitions, **settings))
    if measure == "transitions":
        counts = run(data, count_transitions, partitions=partitions, gap=None)
        return _transitions(counts, [*data.vocabulary("touchpoint")])
    search, _ = search_for(data, rivals.STEPS, f"{rivals.WINDOW}s")
    counts = run(data, count_funnel, partitions=partitions, search=search, by="device")
    return funnel_numbers(counts, [*data.vocabulary("device"), "(unknown)"])


def _sessions(counts) -> dict:
    customers, sessions, single, begun, bounces = counts.per_bucket.sum(axis=0)
    return {
        "sessions": sessions,
        "customers": customers,
        "events": counts.events,
        "microseconds": counts.microseconds,
        "single": single,
        "begun": begun,
        "bounces": bounces,
        "near": counts.near,
        "median_length": counts.lengths.quantile(0.5, groups=1)[0],
        "median_size": counts.sizes.quantile(0.5, groups=1)[0],
    }


def _transitions(counts, names: list[str]) -> dict:
    froms, tos, size = [*names, "(start)"], [*names, "(end)"], (len(names) + 1) ** 2
    columns = {"n": counts.pairs.ravel(), "customers": counts.customers.ravel()}
    columns |= {name: counts.waits.quantile(q, groups=size) for name, q in (("median", 0.5), ("p95", 0.95))}
    return {
        f"{froms[pair // len(tos)]} → {tos[pair % len(tos)]}: {name}": column[pair]
        for pair in counts.pairs.ravel().nonzero()[0]
        for name, column in columns.items()
    }


def funnel_numbers(counts, groups: list[str]) -> dict:
    import numpy as np

    found, k = {"seen": counts.seen}, len(rivals.STEPS)
    for name in ("reached", "matured"):
        reached = getattr(counts, name)
        table = reached - np.pad(reached, ((0, 0), (0, 1)))[:, 1:]  # those who got no further
        found |= {
            f"{name} {group} {depth + 1}": table[g, depth] for g, group in enumerate(groups) for depth in range(k)
        }
    found |= {f"pending {group}": counts.pending[g] for g, group in enumerate(groups)}
    median = counts.waits.quantile(0.5, groups=2 * k)
    found |= {f"median before {step + 1}": median[step] for step in range(1, k)}
    return found | {f"median entry {step + 1}": median[k + step] for step in range(1, k)}


def build(folder: Path, kind: str) -> dict:
    import toolkit as tk

    shutil.rmtree(os.environ["JOURNEY_CACHE"], ignore_errors=True)
    data = tk.open_data(folder / f"{kind}.parquet")
    return {"events": data.store.manifest["tables"]["events"]["rows"], "customers": data.customers}


def run_case(folder: Path, case: str) -> dict:
    """Runs one case in this process; its imports are not counted."""
    engine, what = case.split(" ", 1)
    os.environ["JOURNEY_CACHE"] = str(folder / f"cache-{what if engine == 'build' else 'integer'}")
    for module in IMPORTS.get(engine, ()):
        import_module(module)
    if engine == "make":
        return measured(lambda: make(folder, int(what)))
    if engine == "build":
        return measured(lambda: build(folder, what))
    if engine == "toolkit":
        measure, partitions = what.split()
        return measured(lambda: ours(folder, measure, int(partitions)))
    return measured(lambda: getattr(rivals, f"{engine}_{what}")(folder / "integer.parquet"))


def measured(work) -> dict:
    """What a piece of work costs this process, and its numbers."""
    before = time.process_time()
    result = work()
    seconds = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain = {name: float(value) for name, value in result.items() if value is not None}
    return {"seconds": seconds, "megabytes": peak, "result": plain}


def asked(folder: Path, case: str, script: Path = HERE) -> dict:
    """Runs one case of a script in a process of its own, so that its memory is its own."""
    command = [sys.executable, str(script), "--folder", str(folder), "--case", case]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": " ".join(done.stderr[-300:].split())}
    return json.loads(done.stdout)


def cheapest(folder: Path, case: str, script: Path = HERE) -> dict:
    """The cheaper of the runs of one case, told as soon as it is known."""
    costs = [asked(folder, case, script) for _ in range(RUNS)]
    cost = min(costs, key=lambda cost: cost.get("seconds", math.inf))
    print(case, "·", cell(cost), flush=True)
    return cost


def differences(ours_: dict, theirs: dict, exact: bool = False) -> list[str]:
    """Where two results differ: counts not at all, others by no more than `NEAR` says (or not at all)."""
    wrong = []
    for name in ours_.keys() | theirs.keys():
        mine, other = (some.get(name, 0.0) for some in (ours_, theirs))
        if math.isnan(mine) and (math.isnan(other) or not other):
            continue
        loose = 0 if exact else max((far for word, far in NEAR.items() if word in name), default=0)
        if not math.isclose(mine, other, rel_tol=loose):
            wrong.append(f"{name}: {mine} and {other}")
    return sorted(wrong)


def compared(found: dict[str, dict], measures: tuple[str, ...]) -> list[str]:
    """One line per comparison of whole results."""
    lines = []
    for measure in measures:
        base = found[f"toolkit {measure} 1"]
        for other in (f"toolkit {measure} 64", f"sql {measure}", f"pandas {measure}"):
            if "failed" in found[other]:
                lines.append(f"- {other}: failed ({found[other]['failed']})")
                continue
            wrong = differences(base["result"], found[other]["result"], exact=other.startswith("toolkit"))
            n = len(found[other]["result"])
            lines.append(f"- {other}: {n:,} numbers, " + ("; ".join(wrong[:5]) if wrong else "equal"))
    return lines


def cell(cost: dict, base: float | None = None) -> str:
    if "failed" in cost:
        return f"failed: {cost['failed']}"
    times = f" ({cost['seconds'] / base:.1f} ×)" if base else ""
    return f"{cost['seconds']:.2f} s{times}, {cost['megabytes']:,.0f} MB"


def table(found: dict[str, dict], measures: tuple[str, ...]) -> list[str]:
    """The costs as a Markdown table."""
    lines = ["| measure | toolkit | in 64 partitions | DuckDB SQL | pandas |", "|---|---|---|---|---|"]
    for measure in measures:
        mine = found[f"toolkit {measure} 1"]
        rest = [cell(found[f"{engine} {measure}"], mine.get("seconds")) for engine in ("sql", "pandas")]
        lines.append("| " + " | ".join([measure, cell(mine), cell(found[f"toolkit {measure} 64"]), *rest]) + " |")
    return [*lines, ""]


def import_seconds(names: str) -> float:
    code = f"import sys, time; sys.path.insert(0, {str(HERE.parents[1])!r}); {names}; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    reading = argparse.ArgumentParser(description=__doc__)
    reading.add_argument("--events", type=int, default=10_000_000)
    reading.add_argument("--folder", type=Path, required=True)
    reading.add_argument("--case", help="run one case in this process and print it as JSON")
    given = reading.parse_args()
    if given.case:
        print(json.dumps(run_case(given.folder, given.case)))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / "integer.parquet").exists():
        asked(given.folder, f"make {given.events}")
    cases = ["build integer", "build string"]
    cases += [f"toolkit {measure} {partitions}" for measure in MEASURES for partitions in (1, 64)]
    cases += [f"{engine} {measure}" for measure in MEASURES for engine in ("sql", "pandas")]
    found = {case: cheapest(given.folder, case) for case in cases}
    size = found["build integer"]["result"]
    print(f"\n{size['events']:,.0f} events of {size['customers']:,.0f} customers; CPU seconds and peak memory\n")
    print("\n".join(table(found, MEASURES)))
    for kind in ("integer", "string"):
        print(f"- build with {kind} ids: {cell(found[f'build {kind}'])}")
    times = [import_seconds(names) for names in ("pass", "import toolkit", f"import {', '.join(HOUSE)}")]
    print("- Python alone {:.2f} s; `import toolkit` {:.2f} s; all that the measures import {:.2f} s".format(*times))
    print("\n".join(["", *compared(found, MEASURES)]))


if __name__ == "__main__":
    main()
