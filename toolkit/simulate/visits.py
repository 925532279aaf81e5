"""Who comes when and how far they get: the visits of a chunk of customers, and the experiments they are in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.simulate.chance import Rows, before_in_run, chance, first_of, mix, pick, place_in_run, spread, stack, take
from toolkit.simulate.world import DAY, DAYS, HOUR, World, arrival_days, daytime, during, later, moment, persona_codes

BOUNCE, BROWSE, VIEW, CART, CHECKOUT, PURCHASE = range(6)
MOBILE, APP, STORE = 1, 3, 4
LANGUAGES = ("da", "sv", "en", "de")
_APART = 4 * HOUR
_MOST_ORDERS = 40


@dataclass(frozen=True, slots=True)
class Chunk:
    """The customers made in one go, and the chances they are made with."""

    world: World
    seed: int
    rng: np.random.Generator
    number: np.ndarray
    persona: np.ndarray
    kind: np.ndarray
    country: np.ndarray
    language: np.ndarray
    consent: np.ndarray
    mood: np.ndarray

    @property
    def n(self) -> int:
        """How many customers."""
        return len(self.number)


def open_chunk(world: World, seed: int, numbers: range) -> Chunk:
    """The customers of one chunk, before anything happens to them."""
    number = np.arange(numbers.start, numbers.stop)
    rng = np.random.default_rng([seed, numbers.start])
    persona = persona_codes(number, seed)
    countries = world.facts["countries"].values()
    country = pick(rng, np.array([c["share"] for c in countries]), len(number))
    tongues = np.array([[c["languages"].get(code, 0.0) for code in LANGUAGES] for c in countries])
    kind, language = pick(rng, world.kinds, persona), pick(rng, tongues, country)
    consent, mood = pick(rng, np.array([0.58, 0.30, 0.12]), len(number)), rng.normal(0, 0.6, len(number))
    return Chunk(world, seed, rng, number, persona, kind, country, language, consent, world.mood[persona] + mood)


def make_visits(chunk: Chunk) -> tuple[Rows, Rows, dict[str, float]]:
    """All visits in order of customer and time, the exposures, and what an analyst should find in them.

    Visits have who, at, kind, depth, won (an order), failed (0 no, 1 declined, 2 outage), source, retargeted, reminded.
    """
    first, chances = _first_episode(chunk)
    exposures, expected = _experiments(chunk, first, chances)
    alive = (before_in_run(first["who"], first["won"]) == 0) & (first["at"] < moment(DAYS))
    first = take(first, alive)
    expected |= _tally(first, chances[alive])
    won = take(first, first["won"])
    repeats = _repeats(chunk, won)
    for name, value in _tally(repeats, np.where(repeats["kind"] == STORE, np.nan, _finish(chunk, repeats))).items():
        expected[name] += value
    visits = spread(stack([first, repeats, _idle_visits(chunk, won)]), _APART)
    visits = take(visits, visits["at"] < moment(DAYS))
    return _sources(chunk, visits, exposures["retargeting-holdout"]), stack(exposures.values()), expected


def _first_episode(chunk: Chunk) -> tuple[Rows, np.ndarray]:
    """The visits up to the first purchase, and a few more that the first purchase will cut off."""
    world, rng = chunk.world, chunk.rng
    more = world.more_visits[chunk.persona]
    count = 1 + rng.negative_binomial(0.55, 0.55 / (0.55 + more))
    who = np.repeat(np.arange(chunk.n), count)
    turn = place_in_run(who)
    gap = np.where(turn == 0, 0.0, rng.lognormal(np.log(2.6), 1.2, len(who)))
    days = np.cumsum(gap)
    days = days - days[np.arange(len(who)) - turn] + arrival_days(rng, chunk.n)[who]
    visits = spread(_visits(who, daytime(rng, days)), _APART)
    visits["kind"] = _kinds(chunk, who)
    visits["depth"] = _depths(chunk, visits, turn)
    chances = _finish(chunk, visits)
    at_store = visits["kind"] == STORE
    chances = np.where(at_store, world.store[chunk.persona[who]], chances)
    reached = at_store | (visits["depth"] == CHECKOUT)
    visits["won"] = reached & chance(rng, chances, len(who))
    visits["depth"] = np.where(visits["won"], PURCHASE, np.where(at_store, BROWSE, visits["depth"]))
    return visits, np.where(reached & ~at_store, chances, np.nan)


def _visits(who: np.ndarray, at: np.ndarray, depth: int = BOUNCE, won: bool = False) -> Rows:
    n = len(who)
    kind, depth = np.zeros(n, np.int8), np.full(n, depth, np.int8)
    return {"who": who, "at": at, "kind": kind, "depth": depth, "won": np.full(n, won), "failed": np.zeros(n, np.int8)}


def _kinds(chunk: Chunk, who: np.ndarray) -> np.ndarray:
    faithful = chance(chunk.rng, 0.82, len(who))
    return np.where(faithful, chunk.kind[who], pick(chunk.rng, chunk.world.kinds, chunk.persona[who])).astype(np.int8)


def _depths(chunk: Chunk, visits: Rows, turn: np.ndarray) -> np.ndarray:
    """How far each visit gets before the checkout's outcome: every step needs the one before."""
    steps = chunk.world.steps[chunk.persona[visits["who"]]]
    keen = (1 + 0.12 * np.minimum(turn, 4))[:, None]
    odds = steps / (1 - steps) * keen
    steps = odds / (1 + odds)
    moved = (turn > 0) & (_channel(visits["kind"]) != np.roll(_channel(visits["kind"]), 1))
    steps[:, 3] *= np.where(moved, 1 - chunk.world.truth.handoff, 1.0)
    return np.cumprod(chunk.rng.random(steps.shape) < steps, axis=1).sum(axis=1).astype(np.int8)


def _channel(kind: np.ndarray) -> np.ndarray:
    return np.maximum(kind, APP - 1)


def _finish(chunk: Chunk, visits: Rows) -> np.ndarray:
    usual = chunk.world.finish[visits["kind"]]
    return usual * np.where(during(visits["at"], "incident"), chunk.world.truth.incident, 1.0)


def _experiments(chunk: Chunk, visits: Rows, chances: np.ndarray) -> tuple[dict[str, Rows], dict[str, float]]:
    """Draws the variants; only free shipping changes anything: some who would not have bought now do."""
    truth, rng = chunk.world.truth, chunk.rng
    alive = (before_in_run(visits["who"], visits["won"]) == 0) & (visits["at"] < moment(DAYS))
    online, depth, at = alive & (visits["kind"] != STORE), visits["depth"], visits["at"]
    cart = first_of(visits["who"], online & (depth >= CART) & during(at, "new-checkout"))
    new = _exposed(chunk, visits, cart, 0)
    phone = np.isin(visits["kind"][cart], (MOBILE, APP))
    lost = phone & (new["variant"] == 1) & chance(rng, truth.split_loss, len(cart))
    seen = first_of(visits["who"], online & (depth >= VIEW) & ~visits["won"] & during(at, "retargeting-holdout"))
    held = _exposed(chunk, visits, seen, 1)
    held["at"] = held["at"] + HOUR
    view = first_of(visits["who"], online & (depth >= VIEW) & during(at, "free-shipping"))
    free = _exposed(chunk, visits, view, 2)
    buys = np.bincount(visits["who"], visits["won"] & alive, chunk.n)[free["who"]] > 0
    moved = (free["variant"] == 1) & ~buys & chance(rng, truth.free_shipping, len(view))
    persuaded = view[moved]
    visits["won"][persuaded] = True
    visits["depth"][persuaded] = PURCHASE
    chances[persuaded] = np.nan_to_num(chances[persuaded]) + 1
    expected = {"free_n": len(view), "free_buy": buys.sum(), "free_moved": moved.sum()}
    expected |= {"new_drawn": len(new["who"]), "new_lost": lost.sum()}
    return {"new-checkout": take(new, ~lost), "retargeting-holdout": held, "free-shipping": free}, expected


def _exposed(chunk: Chunk, visits: Rows, where: np.ndarray, experiment: int) -> Rows:
    who = visits["who"][where]
    variant = (mix(chunk.number[who], chunk.seed + 1 + experiment) & np.uint64(1)).astype(np.int8)
    which = np.full(len(who), experiment, np.int8)
    return {"who": who, "at": visits["at"][where], "variant": variant, "experiment_id": which}


def _tally(visits: Rows, chances: np.ndarray) -> dict[str, float]:
    """Checkouts, and the purchases to expect of them, by device and by whether the outage was on."""
    counted = ~np.isnan(chances) & (visits["at"] < moment(DAYS))
    outage = during(visits["at"], "incident")
    groups = {"mobile": ~outage & (visits["kind"] == MOBILE), "desktop": ~outage & (visits["kind"] == 0)}
    groups |= {"outage": outage, "usual": ~outage}
    found = {}
    for name, group in groups.items():
        found[f"checkouts {name}"] = float((group & counted).sum())
        found[f"finished {name}"] = float(chances[group & counted].sum())
    return found


def _repeats(chunk: Chunk, won: Rows) -> Rows:
    """Later purchases by the retention law: stop after each with one's own chance, else wait an exponential time."""
    world, rng, n = chunk.world, chunk.rng, len(won["who"])
    stops = rng.beta(*world.truth.stop, n)[:, None]
    rate = rng.gamma(world.truth.gap[0], 1 / world.truth.gap[1], n)[:, None]
    days = np.cumsum(rng.exponential(1.0, (n, _MOST_ORDERS)) / rate, axis=1)
    born = (won["at"] - moment(0))[:, None] / DAY
    goes_on = np.logical_and.accumulate(rng.random((n, _MOST_ORDERS)) >= stops, axis=1) & (born + days < DAYS)
    buyer, turn = np.nonzero(goes_on)
    who, day = won["who"][buyer], (born[:, 0][buyer] + days[buyer, turn])
    orders = _visits(who, daytime(rng, day), PURCHASE, won=True)
    orders["kind"] = _kinds(chunk, who)
    online = orders["kind"] != STORE
    lost = online & during(orders["at"], "incident") & ~chance(rng, world.truth.incident, len(who))
    orders["won"] = ~lost
    orders["depth"] = np.where(lost, CHECKOUT, PURCHASE).astype(np.int8)
    q = world.finish[orders["kind"]]
    tries = np.where(online, rng.geometric(q) - 1, 0)
    failed = {name: np.repeat(column, tries) for name, column in orders.items()}
    failed["at"] = later(failed["at"], -rng.exponential(1.2, len(failed["who"])))
    failed |= {"won": np.zeros(len(failed["who"]), bool), "depth": np.full(len(failed["who"]), CHECKOUT, np.int8)}
    return stack([orders, failed])


def _idle_visits(chunk: Chunk, won: Rows) -> Rows:
    """Customers who bought look in again without a cart."""
    rng = chunk.rng
    who = np.repeat(np.arange(len(won["who"])), rng.poisson(1.1, len(won["who"])))
    born = (won["at"][who] - moment(0)) / DAY
    at = daytime(rng, born + 1 + rng.random(len(who)) * (DAYS - born))
    visits = _visits(won["who"][who], at)
    visits["kind"] = _kinds(chunk, visits["who"])
    limit = np.where(visits["kind"] == STORE, BROWSE, VIEW)
    visits["depth"] = np.minimum(_depths(chunk, visits, place_in_run(visits["who"])), limit).astype(np.int8)
    return visits


def _sources(chunk: Chunk, visits: Rows, held: Rows) -> Rows:
    """What brought each visit, chosen after its outcome: retargeting follows those who are about to buy."""
    world, rng, who, n = chunk.world, chunk.rng, visits["who"], len(visits["who"])
    store = visits["kind"] == STORE
    source = pick(rng, world.sources, chunk.persona[who])
    letter = world.facts["sources"].index("newsletter click")
    unknown = (source == letter) & ((place_in_run(who) == 0) | (chunk.consent[who] != 0))
    source = np.where(unknown, 1, np.where(store & ~np.isin(source, (0, 7)), 0, source))
    cut = (visits["depth"] >= CART) & ~visits["won"] & ~store
    after_cut = np.append(False, cut[:-1] & (who[1:] == who[:-1]))
    visits["reminded"] = after_cut & ~store & (chunk.consent[who] == 0) & chance(rng, 0.3, n)
    known = before_in_run(who, (visits["depth"] >= VIEW) & ~store) > 0
    follow = np.where(visits["depth"] >= CHECKOUT, world.truth.retargeting_chase, 0.06)
    since = np.full(chunk.n, np.iinfo(np.int64).max)
    since[held["who"][held["variant"] == 0]] = held["at"][held["variant"] == 0]
    free = (visits["at"] < since[who]) | ~during(visits["at"], "retargeting-holdout")
    visits["retargeted"] = known & ~store & free & ~visits["reminded"] & chance(rng, follow, n)
    visits["source"] = source.astype(np.int8)
    reason = chance(rng, np.where(visits["kind"] == MOBILE, 0.12 + 0.3 * (1 - world.truth.mobile_checkout), 0.12), n)
    fails = (visits["depth"] == CHECKOUT) & ~visits["won"]
    blame = during(visits["at"], "incident") & chance(rng, 0.9, n) & (world.truth.incident < 1)
    visits["failed"] = np.where(fails & blame, 2, np.where(fails & reason, 1, 0)).astype(np.int8)
    return visits
