"""What journeys cost beside raw SQL and pandas: funnels, runs of three, attribution, responses attached in time.

python benchmarks/journeys.py --folder DIR            10 million events, every result compared at full size
python benchmarks/journeys.py --folder DIR --disk     10 and 50 million events, the store on disk in 64 partitions
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path

import house
import journeys_rivals
import numpy as np
import rivals

from toolkit.counts import Additive

HERE = Path(__file__).resolve()
MEASURES = ("funnel", "runs of three", "attribution", "asof")
ALONE = ("time to convert", "trend by week")  # beside no rival
NUMBERS = ("n_matured", "n_converted", "conversion_rate_diff", "p_adjusted")
RESPONSES = 0.15  # for each event
DISK = 5  # times as many events
PARTITIONS = 64
HOUSE = ("study.data", "funnels.funnel", "funnels.convert", "funnels.trend", "paths.common", "credit.attribution")
IMPORTS = {
    "build": house.IMPORTS["build"],
    "toolkit": tuple(f"toolkit.{name}" for name in HOUSE),
    "sql": ("duckdb",),
    "pandas": ("pandas",),
}
TESTS = {"trend by week": ("scipy.stats", "statsmodels.stats.proportion", "statsmodels.stats.multitest")}


def make(folder: Path, events: int) -> dict:
    """A simulated shop's events with whole-number ids, and responses of its customers at random moments."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (folder / "integer.parquet").exists():
        house.make(folder, events)
    shop, rng = folder / "shop-1", np.random.default_rng(1)
    shop.mkdir(exist_ok=True)
    shutil.copy(folder / "integer.parquet", shop / "events.parquet")
    seen = pq.read_table(shop / "events.parquet", columns=["customer_id", "timestamp"])
    ids, time = np.unique(seen["customer_id"].to_numpy()), seen["timestamp"].cast("int64").to_numpy()
    n = round(RESPONSES * len(time))
    at = pa.array(rng.integers(time.min(), time.max(), n)).cast(seen.schema.field("timestamp").type)
    columns = {"customer_id": rng.choice(ids, n), "timestamp": at, "instrument": ["nps"] * n}
    pq.write_table(pa.table(columns | {"score": rng.integers(0, 11, n)}), shop / "responses.parquet")
    return {}


def multiply(folder: Path, times: int) -> dict:
    """The same shop several times over, each time of other customers."""
    import duckdb

    (folder / f"shop-{times}").mkdir(exist_ok=True)
    for table in ("events", "responses"):
        rows = f"select * replace (customer_id + {10**9} * i as customer_id) from '{folder}/shop-1/{table}.parquet'"
        into = f"{folder}/shop-{times}/{table}.parquet"
        duckdb.execute(f"copy ({rows}, range({times}) as times(i)) to '{into}' (format parquet, compression zstd)")
    return {}


def opened(folder: Path, times: int):
    import toolkit as tk

    return tk.open_data(folder / f"shop-{times}", small_cells=0)


def build(folder: Path, times: int) -> dict:
    shutil.rmtree(os.environ["JOURNEY_CACHE"], ignore_errors=True)
    data = opened(folder, times)
    return {"events": data.store.manifest["tables"]["events"]["rows"], "customers": data.customers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Additive):
    """Responses by the touchpoint before them: how many, and milliseconds since; those before any event."""

    responses: np.ndarray
    waited: np.ndarray
    alone: int


def count_attached(part) -> Attached:
    """Gives each response to the customer's last event at or before it."""
    asked, size = part.tables["responses"], len(part.words("touchpoint"))
    last = part.table.last_before(asked.customer, asked.time)
    there = last >= 0
    code = part.table["touchpoint"][last[there]]
    waited = np.zeros(size, np.int64)
    np.add.at(waited, code, (asked.time[there] - part.table.time[last[there]]) // 1000)
    return Attached(responses=np.bincount(code, minlength=size), waited=waited, alone=int((~there).sum()))


def ours(folder: Path, times: int, measure: str, partitions: int) -> dict:
    """One of our measures on the store that the build left behind."""
    from toolkit.funnels.funnel import count_funnel
    from toolkit.funnels.rules import search_for
    from toolkit.paths.common import count_common_paths
    from toolkit.study.engine import run

    data = opened(folder, times)
    if measure == "funnel":
        search, _ = search_for(data, rivals.STEPS, f"{rivals.WINDOW}s")
        counts = run(data, count_funnel, partitions=partitions, search=search, by="device")
        return house.funnel_numbers(counts, [*data.vocabulary("device"), "(unknown)"])
    if measure == "runs of three":
        settings = {"length": 3, "gap": rivals.GAP * 10**6, "repeats": True}
        return _runs(run(data, count_common_paths, partitions=partitions, **settings), data.vocabulary("touchpoint"))
    if measure == "asof":
        counts, names = run(data, count_attached, partitions=partitions), data.vocabulary("touchpoint")
        found = {"alone": counts.alone}
        for i, name in enumerate(names):
            found |= {f"{name}: responses": counts.responses[i], f"{name}: waited": counts.waited[i]}
        return found
    run.__kwdefaults__["partitions"] = partitions  # the public functions do not ask how they are run
    return {"attribution": _credits, "time to convert": _times, "trend by week": _weeks}[measure](data)


def _runs(counts, names: tuple[str, ...]) -> dict:
    base, found = len(names) + 2, {}
    for key, (n, customers, _) in zip(counts.paths.keys.tolist(), counts.paths.counts.tolist(), strict=True):
        run = " > ".join(names[key // base**place % base - 1] for place in (2, 1, 0))
        found |= {f"{run}: n": n, f"{run}: customers": customers}
    return found


def _credits(data) -> dict:
    """All seven rules with 1,000 bootstrap replicates; the values, for the rivals have no intervals."""
    import toolkit as tk

    rules = tk.AttributionRules(touches=journeys_rivals.TOUCHES)
    credit = tk.attribution(data, rivals.GOAL, lookback=f"{journeys_rivals.LOOKBACK}s", rules=rules)
    found = dict(credit.ledger)
    for row in credit.rows():
        found |= {f"{row['channel']}: credit by {rule}": row[f"n_{rule}"] for rule in journeys_rivals.RULES}
    return found


def _times(data) -> dict:
    import toolkit as tk

    result = tk.time_to_convert(data, rivals.STEPS, within=f"{rivals.WINDOW}s")
    return result.ledger | {name: value for name, value in result.headline.items() if name != "what"}


def _weeks(data) -> dict:
    import toolkit as tk

    result = tk.funnel_trend(data, rivals.STEPS, within=f"{rivals.WINDOW}s")
    rows = {f"{row['week_at']} {row['between']}: {name}": row[name] for row in result.rate_rows() for name in NUMBERS}
    return result.ledger | rows


def run_case(folder: Path, case: str) -> dict:
    """Runs one case in this process; its imports are not counted."""
    engine, times, *what = case.split(" ", 2)
    os.environ["JOURNEY_CACHE"] = str(folder / f"cache-shop-{times}")
    measure, _, partitions = what[0].rpartition(" ") if what else ("", "", "")
    for module in (*IMPORTS.get(engine, ()), *TESTS.get(measure, ())):
        import_module(module)
    if engine == "toolkit":
        return house.measured(lambda: ours(folder, int(times), measure, int(partitions)))
    if engine in ("sql", "pandas"):
        rival = getattr(rivals if what[0] == "funnel" else journeys_rivals, f"{engine}_{what[0].replace(' ', '_')}")
        return house.measured(lambda: rival(folder / f"shop-{times}" / "events.parquet"))
    work = {"make": lambda: make(folder, int(times)), "multiply": lambda: multiply(folder, int(times))}
    return house.measured(work.get(engine, lambda: build(folder, int(times))))


def beside(folder: Path) -> None:
    """Every measure whole and in partitions, beside its rivals where it has some."""
    found = {"build": house.cheapest(folder, "build 1", HERE)}
    for measure in (*MEASURES, *ALONE):
        cases = {f"toolkit {measure} {n}": f"toolkit 1 {measure} {n}" for n in (1, PARTITIONS)}
        cases |= {f"{engine} {measure}": f"{engine} 1 {measure}" for engine in ("sql", "pandas") if measure in MEASURES}
        found |= {name: house.cheapest(folder, case, HERE) for name, case in cases.items()}
    size = found["build"]["result"]
    print(f"\n{size['events']:,.0f} events of {size['customers']:,.0f} customers; CPU seconds and peak memory\n")
    print("\n".join([*house.table(found, MEASURES), *house.compared(found, MEASURES)]))
    for measure in ALONE:
        one, many = (found[f"toolkit {measure} {n}"] for n in (1, PARTITIONS))
        wrong = house.differences(one["result"], many["result"], exact=True)
        alike = "; ".join(wrong[:5]) or "equal"
        print(f"- {measure}: {house.cell(one)}; in {PARTITIONS} partitions {house.cell(many)}, {alike}")


def on_disk(folder: Path) -> None:
    """Build and measures on disk partitions, for the shop and for the shop several times over."""
    cases = ["build", *(f"toolkit {measure}" for measure in (*MEASURES, *ALONE))]
    found = {}
    for case, times in product(cases, (1, DISK)):
        engine, *what = case.split(" ", 1)
        asked = f"{engine} {times} {what[0]} {PARTITIONS}" if what else f"{engine} {times}"
        found[case, times] = house.cheapest(folder, asked, HERE)
    sizes = [found["build", times]["result"]["events"] for times in (1, DISK)]
    print(f"\nin {PARTITIONS} partitions | {sizes[0]:,.0f} events | {sizes[1]:,.0f} events | ratio of time")
    for case in cases:
        one, many = (found[case, times] for times in (1, DISK))
        print(f"{case} | {house.cell(one)} | {house.cell(many)} | {many['seconds'] / one['seconds']:.1f}")


def main() -> None:
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--events", type=int, default=10_000_000)
    reading.add_argument("--folder", type=Path, required=True)
    reading.add_argument("--disk", action="store_true", help="also five times as many events, in partitions from disk")
    reading.add_argument("--case", help="run one case in this process and print it as JSON")
    given = reading.parse_args()
    if given.case:
        print(json.dumps(run_case(given.folder, given.case)))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / "shop-1").exists():
        house.asked(given.folder, f"make {given.events}", HERE)
    if given.disk and not (given.folder / f"shop-{DISK}").exists():
        house.asked(given.folder, f"multiply {DISK}", HERE)
    (on_disk if given.disk else beside)(given.folder)


if __name__ == "__main__":
    main()
