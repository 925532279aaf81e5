"""Simulated studies: in memory (`make_data`) or written chunk by chunk (`write_data`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.catalogue import STAGES, Catalogue
from toolkit.errors import UsageError
from toolkit.schema import TABLES
from toolkit.simulate import record, tables
from toolkit.simulate.chance import Rows, chance, stack, take
from toolkit.simulate.orders import NEVER, aftermath, letters, make_orders, put_values
from toolkit.simulate.talk import THEMES, contact_events, make_answers, make_contacts, make_feedback, make_responses
from toolkit.simulate.trail import make_trails
from toolkit.simulate.visits import make_visits, open_chunk
from toolkit.simulate.world import DAY, DAYS, END, SHOP, START, Truth, World, moment

CHUNK = 50_000
_CODED = 10_000


class Simulation(Mapping[str, pa.Table]):
    """The canonical tables of a simulated study, with the record of what was planted in them.

    Attributes:
        truth: the record, ready for JSON.

    Example:
        >>> shop = make_data(20, rng=7)
        >>> shop["customers"].num_rows, shop.truth["synthetic"]
        (20, True)
    """

    def __init__(self, parts: list[dict[str, pa.Table]], truth: dict):
        self._parts, self.truth = parts, truth

    def __getitem__(self, name: str) -> pa.Table:
        return pa.concat_tables([part[name] for part in self._parts if name in part])

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)

    def write(self, folder: str | Path) -> Path:
        """Leaves the tables as Parquet in a folder, with truth.json and a README.

        Raises:
            UsageError: the folder holds tables that no simulation wrote.

        Example:
            >>> import tempfile
            >>> sorted(p.name for p in make_data(5).write(tempfile.mkdtemp()).glob("*.json"))
            ['truth.json']
        """
        return _write(folder, lambda: iter(self._parts), lambda: self.truth)


def make_data(customers: int = 4000, rng: int = 7, truth: Truth | None = None) -> Simulation:
    """A simulated study of an invented Scandinavian webshop with known effects planted in it.

    Args:
        customers: how many, ≥ 1.
        rng: seed, ≥ 0; the same seed gives the same data.
        truth: how strong each effect is; `Truth.nothing()` for a world without any.

    Returns:
        A mapping from the name of each canonical table to an Arrow table.

    Example:
        >>> make_data(20, rng=7)["events"].column_names[:3]
        ['customer_id', 'timestamp', 'touchpoint']
    """
    making = _Making(customers, rng, truth)
    return Simulation(list(making), making.truth())


def write_data(
    folder: str | Path,
    customers: int = 4000,
    seed: int = 7,
    truth: Truth | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Simulates straight into a folder, a chunk of customers at a time: memory does not grow with their number.

    Args:
        folder: where the Parquet files, study.toml, truth.json and README.md are left; made when missing.
        customers: how many, ≥ 1.
        seed: ≥ 0; gives the same tables as `make_data(customers, seed)`.
        truth: how strong each effect is.
        progress: called with the customers done and the customers in all, after each chunk.

    Raises:
        UsageError: the folder holds tables that no simulation wrote.

    Example:
        >>> import tempfile
        >>> len(list(write_data(tempfile.mkdtemp(), customers=5).glob("*.parquet")))
        10
    """
    making = _Making(customers, seed, truth, progress)
    return _write(folder, lambda: iter(making), making.truth)


class _Making:
    """Iterating makes the parts; afterwards the truth can be told."""

    def __init__(self, customers: int, seed: int, truth: Truth | None, progress: Callable | None = None):
        if customers < 1 or seed < 0:
            raise UsageError(
                f"customers is {customers}, the seed {seed}; give 1 or more customers, a seed of 0 or more."
            )
        self.customers, self.seed, self.world = customers, seed, World(truth or Truth())
        self.stage = np.array(Catalogue.load().stage_codes(self.world.touchpoints))
        self.tallies: list[record.Tally] = []
        self.codes: dict[str, str] = {}
        self.progress = progress

    def __iter__(self) -> Iterator[dict[str, pa.Table]]:
        for start in range(0, self.customers, CHUNK):
            stop = min(start + CHUNK, self.customers)
            yield self._part(range(start, stop))
            if self.progress:
                self.progress(stop, self.customers)
        seen = sum(tally["campaigns"] for tally in self.tallies)
        last = {
            "campaigns": tables.campaign_rows(self.world, self.seed, seen),
            "actions": tables.action_rows(self.world),
        }
        yield {name: tables.to_table(self.world, name, rows) for name, rows in last.items()}

    def truth(self) -> dict:
        total = {name: sum(tally[name] for tally in self.tallies) for name in self.tallies[0]}
        return record.tell(self.world, self.seed, total, self.codes)

    def _part(self, numbers: range) -> dict[str, pa.Table]:
        chunk = open_chunk(self.world, self.seed, numbers)
        visits, exposures, tally = make_visits(chunk)
        trails = make_trails(chunk, visits)
        orders, lines = make_orders(chunk, trails)
        put_values(chunk, trails, orders)
        contacts = make_contacts(chunk, visits, orders)
        follows = [*aftermath(chunk, orders), *letters(chunk, visits, orders), contact_events(chunk, contacts)]
        lost = (trails["order"] >= 0) & chance(chunk.rng, self.world.truth.tracking_loss, len(trails["who"]))
        rows = stack([take(trails, ~lost), *follows])
        rows = take(rows, rows["at"] < moment(DAYS))
        rows = take(rows, np.lexsort((rows["at"], rows["who"])))
        reviews = take(rows, rows["touchpoint"] == self.world.touch("written review"))
        feedback = make_feedback(chunk, contacts, orders, reviews)
        responses, known = make_responses(chunk, rows, contacts, orders)
        tables.put_texts(chunk, responses, feedback)
        ids = tables.numbered("c", chunk.number)
        own = tables.sub_ids(tables.numbered("o", chunk.number).take(pa.array(orders["who"])), orders["nth"] + 1)
        cases = tables.numbered("f", np.full(len(feedback["who"]), numbers.start))
        found = {
            "events": tables.finish_events(chunk, rows, visits, ids),
            "customers": tables.customer_rows(chunk, visits),
        }
        found["orders"] = orders | {"order_id": own, "currency": np.zeros(len(own), int)}
        found["orders"]["delivered_at"] = np.where(orders["delivered_at"] < moment(DAYS), orders["delivered_at"], NEVER)
        found["order_lines"] = lines | {"order_id": own.take(pa.array(lines["order"])), "category": lines["product"]}
        found["responses"] = responses | {"scale": responses["instrument"]}
        found["answers"] = make_answers(chunk, visits)
        found["feedback"] = feedback | {"feedback_id": tables.sub_ids(cases, np.arange(len(cases)))}
        found["exposures"] = exposures | {"exposed_at": exposures["at"]}
        part = {name: tables.to_table(self.world, name, columns, ids) for name, columns in found.items()}
        counted = {f"rows {name}": table.num_rows for name, table in part.items()}
        self.tallies.append(tally | known | counted | self._count(chunk, rows, trails, feedback))
        if self.customers <= _CODED:
            digits = {"personas": chunk.persona, "feedback themes": feedback["theme"]}
            digits["feedback good"] = feedback["good"].astype(int)
            self.codes = {name: "".join(map(str, codes.tolist())) for name, codes in digits.items()}
        return part

    def _count(self, chunk, rows: Rows, trails: Rows, feedback: Rows) -> record.Tally:
        """What the finished events hold: moves between stages, shared devices, themes, campaigns by day."""
        size, stage = len(STAGES), self.stage[rows["touchpoint"]]
        same = rows["who"][1:] == rows["who"][:-1]
        moves = np.bincount(stage[:-1][same] * size + stage[1:][same], minlength=size * size).reshape(size, size)
        device = tables.device_numbers(chunk, rows)
        pairs = np.unique(np.stack([device, rows["who"]])[:, device >= 0], axis=1)
        _, users = np.unique(pairs[0], return_counts=True)
        themes = np.bincount(feedback["theme"] * 2 + feedback["good"], minlength=2 * len(THEMES)).reshape(-1, 2)
        return {
            "customers": chunk.n,
            "personas": np.bincount(chunk.persona, minlength=len(self.world.personas)),
            "stages": moves,
            "devices": len(users),
            "devices shared": (users > 1).sum(),
            "themes": themes,
            "campaigns": self._campaigns(rows, trails),
        }

    def _campaigns(self, rows: Rows, trails: Rows) -> np.ndarray:
        """Campaigns × days × (clicks, opens, purchases claimed by the visit's own campaign)."""
        shape = (len(self.world.campaigns), DAYS)
        opened = rows["touchpoint"] == self.world.touch("newsletter")
        brought = trails["campaign"] >= 0
        sold = np.isin(trails["visit"], trails["visit"][trails["order"] >= 0])
        counts = []
        for table, mask in ((rows, (rows["campaign"] >= 0) & ~opened), (rows, opened), (trails, brought & sold)):
            day = np.clip((table["at"][mask] - moment(0)) // DAY, 0, DAYS - 1)
            counts.append(
                np.bincount(table["campaign"][mask].astype(int) * DAYS + day, minlength=shape[0] * DAYS).reshape(shape)
            )
        return np.stack(counts, axis=2)


def _write(folder: str | Path, parts: Callable[[], Iterator[dict[str, pa.Table]]], truth: Callable[[], dict]) -> Path:
    """Everything is written aside and moved in at the end, truth.json last."""
    folder = Path(folder)
    taken = sorted(path.name for path in folder.glob("*") if path.stem.split(".")[0] in TABLES)
    if taken and not (folder / "truth.json").exists():
        raise UsageError(f"{folder} holds {', '.join(taken)}, which no simulation wrote; choose an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=".writing-", dir=folder))
    try:
        writers: dict[str, pq.ParquetWriter] = {}
        for part in parts():
            for name, table in part.items():
                if name not in writers:
                    writers[name] = pq.ParquetWriter(aside / f"{name}.parquet", table.schema, compression="zstd")
                writers[name].write_table(table)
        for writer in writers.values():
            writer.close()
        told = truth()
        (aside / "README.md").write_text(_readme(told, folder), encoding="utf-8")
        (aside / "truth.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        (aside / "study.toml").write_text(f'tz = "{told["period"]["tz"]}"\n', encoding="utf-8")
        for name in [*(f"{name}.parquet" for name in writers), "README.md", "study.toml", "truth.json"]:
            (aside / name).replace(folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _readme(truth: dict, folder: Path) -> str:
    rows = "\n".join(f"| {name} | {n:,} |" for name, n in truth["rows"].items())
    text = Path(__file__).with_name("readme.md").read_text(encoding="utf-8")
    known = {name: truth[name] for name in ("customers", "seed")}
    known["folder"] = folder.name if folder.is_absolute() else folder.as_posix()
    return text.format(shop=SHOP, start=START, end=END, rows=rows, **known)
