"""Orders with their lines, and everything that follows a purchase until the next one."""

from __future__ import annotations

import numpy as np

from toolkit.simulate.chance import Rows, chance, pick, place_in_run, share_of, take
from toolkit.simulate.trail import make_rows
from toolkit.simulate.visits import APP, STORE, Chunk
from toolkit.simulate.world import DAY, DAYS, HOUR, SECOND, later, moment, utc

NEVER = np.iinfo(np.int64).min
_TIERS = (2, 4, 7)  # orders before the one that lifts a member to tier 1, 2, 3


def make_orders(chunk: Chunk, rows: Rows) -> tuple[Rows, Rows]:
    """The orders behind the purchase events, and their lines (`order` is the position of the order).

    Orders have who, at, nth, channel, kind, revenue, discount, margin, items, promised_at, delivered_at, late,
    cancelled, mood.
    """
    world, rng = chunk.world, chunk.rng
    sold = take(rows, rows["order"] >= 0)
    who, n = sold["who"], len(sold["who"])
    lines = _lines(chunk, who)
    gross = np.bincount(lines["order"], lines["price"] * lines["quantity"], n)
    cut = chance(rng, world.discount[chunk.persona[who]], n) * rng.choice([0.10, 0.15, 0.20], n)
    discount = (gross * cut).round()
    revenue = gross - discount
    day, online = (sold["at"] - moment(0)) // DAY, sold["kind"] != STORE
    late = online & chance(rng, 0.12, n)
    wait = np.where(late, 4 + rng.exponential(2.2, n), rng.integers(1, 4, n))
    delivered = utc(day + np.floor(wait), rng.integers(8 * HOUR, 18 * HOUR, n))
    cancelled = online & chance(rng, 0.02, n)
    orders = {name: sold[name] for name in ("who", "at", "channel", "kind", "visit")}
    orders |= {"nth": place_in_run(who), "revenue": revenue, "discount": discount, "late": late, "cancelled": cancelled}
    orders["items"] = np.bincount(lines["order"], lines["quantity"], n).astype(np.int32)
    orders["margin"] = (revenue * rng.uniform(0.30, 0.48, n) - 0.5 * discount).round(2)
    orders["promised_at"] = np.where(online, utc(day + 3, np.full(n, 20 * HOUR)), NEVER)
    orders["delivered_at"] = np.where(online & ~cancelled, delivered, NEVER)
    orders["mood"] = chunk.mood[who] + rng.normal(0, 0.7, n) - world.truth.late_delivery * late
    return orders, lines


def _lines(chunk: Chunk, who: np.ndarray) -> Rows:
    world, rng = chunk.world, chunk.rng
    order = np.repeat(np.arange(len(who)), 1 + rng.poisson(0.5, len(who)))
    persona = chunk.persona[who[order]]
    category = pick(rng, world.tastes, persona)
    per_shelf = len(world.products) // len(world.facts["categories"])
    shelf = np.array([world.facts["categories"].index(c) for _, c, _ in world.products])
    by_shelf = np.argsort(shelf, kind="stable").reshape(-1, per_shelf)
    product = by_shelf[category, rng.integers(0, per_shelf, len(order))]
    once = np.unique(order * len(world.products) + product, return_index=True)[1]
    order, product, persona = order[once], product[once], persona[once]
    price = np.array([price for *_, price in world.products])[product]
    grade = np.where(chance(rng, (world.value[persona] - 0.6).clip(0, 1), len(order)), 1.25, 1.0)
    quantity = 1 + rng.poisson(0.5, len(order)) * (price < 500)
    return {"order": order, "product": product, "price": (price * grade).round(), "quantity": quantity}


def put_values(chunk: Chunk, rows: Rows, orders: Rows) -> None:
    """Money at stake: a purchase is worth its order, a cart or checkout the order it became or a likely one."""
    world, visit = chunk.world, rows["visit"]
    n = int(visit.max(initial=-1)) + 1
    worth = np.exp(chunk.rng.normal(np.log(850), 0.6, n)).round()
    worth[orders["visit"]] = orders["revenue"]
    names = ("cart", "checkout", "payment failed", "purchase")
    paid = np.isin(rows["touchpoint"], [world.touch(name) for name in names])
    rows["value"] = np.where(paid, worth[visit], np.nan)


def aftermath(chunk: Chunk, orders: Rows) -> list[Rows]:
    """The events that follow orders: confirmation, parcel, onboarding, return, loyalty, word of mouth."""
    world, rng, n = chunk.world, chunk.rng, len(orders["who"])
    who, nth, mood, at = orders["who"], orders["nth"], orders["mood"], orders["at"]
    parcel, online, fresh = orders["delivered_at"] != NEVER, orders["kind"] != STORE, nth == 0
    home = np.where(parcel, orders["delivered_at"], at + HOUR)
    club, agrees, glad = share_of(chunk.number, chunk.seed + 9)[who], chunk.consent[who] == 0, mood > 0.7
    joins, member = fresh & (club < 0.25) | (nth == 1) & (club >= 0.25) & (club < 0.5), club < 0.5
    parts = {}

    def follow(name: str, which: np.ndarray, share: np.ndarray | float, since: np.ndarray, wait: np.ndarray) -> None:
        kept = np.flatnonzero(which & chance(rng, share, n))
        parts[name] = make_rows(world, who[kept], later(since, wait)[kept], world.touch(name), order=kept)

    def days(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, n)

    follow("order confirmation", online, 1.0, at, days(0.0003, 0.003))
    follow("sign-up", fresh & online, 0.6, at, days(0.0004, 0.005))
    follow("welcome email", fresh & agrees, 1.0, at, days(0.1, 0.6))
    follow("parcel tracking", parcel, 0.5, at, days(0.2, 0.95) * (home - at) / DAY)
    follow("parcel delivered", parcel, 1.0, home, np.zeros(n))
    follow("onboarding guide", fresh, 0.3, home, days(0.1, 4))
    follow("welcome call", fresh, 0.03, home, days(1, 5))
    follow("follow-up message", agrees, 0.5, home, days(5, 9))
    follow("return", parcel, 0.09, home, days(2, 12))
    follow("written review", nth >= 0, 0.09 + 0.03 * np.abs(mood), home, days(3, 15))
    follow("referral", nth >= 0, np.where(glad, 0.13, 0.02), home, days(4, 30))
    follow("social share", nth >= 0, np.where(glad, 0.08, 0.01), home, days(1, 10))
    follow("loyalty sign-up", joins, 1.0, at, days(0.01, 0.2))
    follow("loyalty tier", member & np.isin(nth, _TIERS), 1.0, at, days(0.5, 1.0))
    follow("loyalty reward", member & (nth >= 2), 0.4, at, days(1, 20))
    follow("check-in", nth == 2, 0.2, home, days(10, 20))
    _put_details(chunk, orders, parts)
    return list(parts.values())


def _put_details(chunk: Chunk, orders: Rows, parts: dict[str, Rows]) -> None:
    """What some of these events carry besides their moment."""
    world, rng = chunk.world, chunk.rng
    guide, referral, tier, signed = (
        parts[name] for name in ("onboarding guide", "referral", "loyalty tier", "sign-up")
    )
    guide["scroll_share"] = rng.beta(2, 1.4, len(guide["who"]))
    referral["code"] = rng.integers(1, 2000, len(referral["who"]))
    tier["value"] = np.searchsorted(_TIERS, orders["nth"][tier["order"]], side="right")
    signed["visit"] = orders["visit"][signed["order"]]
    for rows in (guide, signed):
        kind = orders["kind"][rows["order"]]
        rows["kind"] = np.where(kind == STORE, 0, kind)
        rows["channel"] = np.where(kind == APP, world.channel("app"), rows["channel"])
    for name in ("loyalty sign-up", "loyalty tier", "loyalty reward"):
        parts[name]["kind"] = np.full(len(parts[name]["who"]), APP)


def letters(chunk: Chunk, visits: Rows, orders: Rows) -> list[Rows]:
    """Newsletters opened and clicked by those who agreed to them, and webinars."""
    world, rng = chunk.world, chunk.rng
    since = np.full(chunk.n, moment(DAYS))
    np.minimum.at(since, visits["who"], visits["at"])
    buyer = np.isin(np.arange(chunk.n), orders["who"])
    reads = (chunk.consent == 0) & (buyer | chance(rng, 0.12, chunk.n))
    left = (moment(DAYS) - since) / DAY
    who = np.repeat(np.arange(chunk.n), rng.poisson(np.where(reads, left / 75, 0)))
    at, own = later(since[who], rng.random(len(who)) * left[who]), chance(rng, 0.25, len(who))
    campaign = np.where(own, *(world.campaigns.index(name) for name in ("letter-for-you", "letter-weekly")))
    opened = make_rows(world, who, at, world.touch("newsletter"), campaign=campaign)
    clicks = chance(rng, 0.08 * np.where(own, world.truth.for_you, 1.0), len(who))
    soon = later(at[clicks], rng.uniform(5, 90, clicks.sum()), SECOND)
    clicked = make_rows(world, who[clicks], soon, world.touch("newsletter click"), campaign=campaign[clicks])
    guests = np.flatnonzero(chance(rng, 0.012, chunk.n))
    seats, watched = later(since[guests], rng.random(len(guests)) * left[guests]), rng.beta(3, 1.2, len(guests))
    kind = np.zeros(len(guests))
    return [opened, clicked, make_rows(world, guests, seats, world.touch("webinar"), watched_share=watched, kind=kind)]
