"""The events of a visit: what brought it, the pages it saw, how it ended."""

from __future__ import annotations

import numpy as np

from toolkit.simulate.chance import Rows, chance, pick
from toolkit.simulate.visits import APP, MOBILE, STORE, VIEW, Chunk
from toolkit.simulate.world import DAYS, SECOND, World, moment

_CODES = {"visit": np.int32, "kind": np.int8, "campaign": np.int8, "error": np.int8, "query": np.int8, "code": np.int16}
_CODES |= {"order": np.int32}
_NUMBERS = ("value", "load_ms", "watched_share", "scroll_share", "fields", "results")
_LONGEST = 20 * 60


def make_rows(world: World, who: np.ndarray, at: np.ndarray, touch: np.ndarray | int, **given: np.ndarray) -> Rows:
    """Event rows; a code that is not given is −1, a number NaN."""
    n = len(who)
    touch = np.broadcast_to(touch, n).astype(np.int8)
    rows = {"who": who.astype(np.int32), "at": at, "touchpoint": touch, "channel": world.channel_of[touch]}
    rows |= {name: given.get(name, np.full(n, -1)).astype(kind) for name, kind in _CODES.items()}
    return rows | {name: given.get(name, np.full(n, np.nan)).astype(np.float32) for name in _NUMBERS}


def make_trails(chunk: Chunk, visits: Rows) -> Rows:
    """The events of all visits; `visit` says which visit, `order` the number of the order a purchase belongs to."""
    world, steps = chunk.world, chunk.world.facts["steps"]
    met = _met(chunk, visits)
    seconds = np.exp(chunk.rng.normal(0, 0.9, met.shape)) * [step["seconds"] for step in steps.values()]
    seconds = np.where(met, np.minimum(seconds, _LONGEST), 0)
    visit, step = np.nonzero(met)
    at = visits["at"][visit] + ((np.cumsum(seconds, axis=1) - seconds)[visit, step] * SECOND).astype(np.int64)
    codes = np.array([world.touch(fact.get("touchpoint", name)) for name, fact in steps.items()])
    touch, campaign = codes[step], np.full(len(visit), -1)
    source, kind = step == 0, visits["kind"][visit]
    touch[source], campaign[source] = _source(chunk, visits, visit[source])
    rows = make_rows(world, visits["who"][visit], at, touch, visit=visit, campaign=campaign, kind=kind)
    web = rows["channel"] == world.channel("web")
    rows["kind"][source & ~web] = -1
    rows["channel"][web & (kind == APP)] = world.channel("app")
    rows["channel"][~source & (kind == STORE)] = world.channel("store")
    sold = (touch == world.touch("purchase")) & (at < moment(DAYS))
    rows["order"][sold] = np.arange(sold.sum())
    _put_properties(chunk, rows, visits)
    return rows


def _met(chunk: Chunk, visits: Rows) -> np.ndarray:
    """Which of the steps each visit takes: visits × steps."""
    world, rng, n = chunk.world, chunk.rng, len(visits["who"])
    persona, depth, online = chunk.persona[visits["who"]], visits["depth"], visits["kind"] != STORE
    met = {}
    for name, step in world.facts["steps"].items():
        share = world.content[name][persona] if name in world.content else step.get("share", 0)
        met[name] = online & (depth >= step.get("depth", 0)) & chance(rng, share, n)
    met["home page"] = online & (chance(rng, 0.5, n) | (depth < VIEW) & ~met["blog post"] & ~met["category page"])
    met["event visit"] = ~online & chance(rng, 0.04, n)
    met["store visit"] = ~online & ~met["event visit"]
    met["source"] = (visits["source"] > 0) | visits["retargeted"] | visits["reminded"]
    met["payment failed"] = visits["failed"] > 0
    met["help page"] = online & chance(rng, np.where(visits["failed"] > 0, 0.15, 0.02), n)
    met["purchase"] = visits["won"]
    return np.stack(list(met.values()), axis=1)


def _source(chunk: Chunk, visits: Rows, visit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The touchpoint and the campaign that brought each visit."""
    world = chunk.world
    touch = np.array([world.touch(name) for name in ["home page", *world.facts["sources"][1:]]])[
        visits["source"][visit]
    ]
    touch = np.where(visits["retargeted"][visit], world.touch("retargeting ad"), touch)
    touch = np.where(visits["reminded"][visit], world.touch("cart reminder"), touch)
    pays = np.zeros((len(world.touchpoints), len(world.campaigns)))
    for campaign, fact in enumerate(world.facts["campaigns"].values()):
        name = fact["touchpoint"]
        pays[world.touch("newsletter click" if name == "newsletter" else name), campaign] = 1
    paid = pays.any(axis=1)[touch]
    campaign = np.full(len(touch), -1)
    campaign[paid] = pick(chunk.rng, pays, touch[paid])
    return touch, campaign


def _put_properties(chunk: Chunk, rows: Rows, visits: Rows) -> None:
    world, rng, visit, n = chunk.world, chunk.rng, rows["visit"], len(rows["who"])

    def at(name: str) -> np.ndarray:
        return rows["touchpoint"] == world.touch(name)

    kind, failed, share = visits["kind"][visit], visits["failed"][visit], rng.beta(2, 1.6, n)
    page = np.isin(rows["channel"], (world.channel("web"), world.channel("app"))) & ~at("purchase")
    loads = (world.load[kind] * np.exp(rng.normal(0, 0.45, n))).round(-1)
    rows["load_ms"] = np.where(page, loads, np.nan)
    rows["scroll_share"] = np.where(at("blog post"), share, np.nan)
    rows["watched_share"] = np.where(at("product video"), share, np.nan)
    rows["fields"] = np.where(at("checkout"), np.where(kind == APP, 6, 14), np.nan)
    declined = np.where(kind == MOBILE, 1, rng.integers(0, 2, n))
    rows["error"] = np.where(at("payment failed"), np.where(failed == 2, 2, declined), -1)
    rows["code"] = np.where(at("print ad") & chance(rng, 0.4, n), 0, -1)
    queries, before = world.facts["queries"], 0
    for name, words in (("site search", "words"), ("help page", "help")):
        here = np.flatnonzero(at(name))
        rows["query"][here] = pick(rng, 1 / np.arange(1, len(queries[words]) + 1), len(here)) + before
        rows["results"][here] = rng.poisson(9, len(here)) * chance(rng, 0.88, len(here))
        before += len(queries[words])
