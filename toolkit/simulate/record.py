"""truth.json: what was planted, where it sits, and the figure an analyst should find."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from toolkit.catalogue import STAGES
from toolkit.simulate.talk import THEMES
from toolkit.simulate.world import END, SHOP, START, World

Tally = dict[str, float | np.ndarray]  # adds up over chunks


def tell(world: World, seed: int, tally: Tally, codes: dict[str, str]) -> dict:
    """The whole record, ready for JSON."""
    strength = asdict(world.truth)
    about = {"synthetic": True, "shop": f"{SHOP} (invented; no real shop, customer or order)", "seed": seed}
    about |= {"customers": int(tally["customers"]), "period": {"from": START, "until": END, "tz": "Europe/Copenhagen"}}
    about |= {"currency": "DKK for every country, so that revenue adds up"}
    about |= {"rows": {name[5:]: int(value) for name, value in tally.items() if name.startswith("rows ")}}
    found = _customers(world, tally) | _conversion(world, tally) | _service(tally)
    planted = tomllib.loads(Path(__file__).with_name("planted.toml").read_text(encoding="utf-8"))
    for name, item in planted.items():
        item["parameters"] = {key: strength[key] for key in item.get("parameters", ())}
        item["expected"] = {key: strength.get(value, value) for key, value in item.get("expected", {}).items()}
        item["expected"] |= found.get(name, {})
        if "window" in item:
            item["window"] = [str(np.datetime64(START) + day) for day in world.facts["windows"][item["window"]]]
    return about | {"planted": planted} | codes


def _ratio(part: float, whole: float) -> float | None:
    return round(float(part / whole), 5) if whole else None


def _customers(world: World, tally: Tally) -> dict:
    (a, b), (r, alpha) = world.truth.stop, world.truth.gap
    shares = np.round(tally["personas"] / tally["customers"], 5).tolist()
    again = {f"within {d} days": round(b / (a + b) * (1 - (alpha / (alpha + d)) ** r), 4) for d in (30, 90, 180)}
    apart = {name: points * world.truth.touchpoints for name, (points, _) in world.facts["asked"].items()}
    return {
        "contentment by touchpoint": apart,
        "personas": dict(zip(world.personas, shares, strict=True)),
        "stage transitions": {"stages": STAGES, "counts": tally["stages"].astype(int).tolist()},
        "retention": again,
        "shared devices": {"share of device ids": _ratio(tally["devices shared"], tally["devices"])},
    }


def _conversion(world: World, tally: Tally) -> dict:
    kept = 1 - world.truth.tracking_loss
    finished = {
        group: _ratio(tally[f"finished {group}"] * kept, tally[f"checkouts {group}"])
        for group in ("mobile", "desktop", "outage", "usual")
    }
    control, moved = _ratio(tally["free_buy"], tally["free_n"]), tally["free_n"] - tally["free_buy"]
    return {
        "mobile checkout": {device: finished[device] for device in ("mobile", "desktop")},
        "payment incident": {"during": finished["outage"], "otherwise": finished["usual"]},
        "free-shipping": {"control": control, "lift": _ratio(world.truth.free_shipping * moved, tally["free_n"])},
        "new-checkout": {"true lift": 0.0, "share of exposures lost": _ratio(tally["new_lost"], tally["new_drawn"])},
    }


def _service(tally: Tally) -> dict:
    n, x, y, xx, xy = (tally[f"mail {name}"] for name in ("n", "x", "y", "xx", "xy"))
    nps = {who: 100 * (tally[f"{who} good"] - tally[f"{who} bad"]) for who in ("asked", "answered")}
    nps = {who: _ratio(points, tally[f"{who} n"]) for who, points in nps.items()}
    return {
        "response bias": nps | {"response rate": _ratio(tally["answered n"], tally["asked n"])},
        "slow replies": {"points per doubling": _ratio(n * xy - x * y, n * xx - x * x)},
        "texts": dict(zip(THEMES, tally["themes"].astype(int).tolist(), strict=True)),
    }
