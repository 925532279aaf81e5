"""The invented shop: its facts (world.toml), its clock, and the truths planted in what it sells."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from toolkit.simulate.chance import share_of

SHOP = "Lyng & Brænde"
START, END = "2025-07-01", "2026-09-01"
DAYS = 427
SECOND, HOUR, DAY = 10**6, 3600 * 10**6, 86400 * 10**6
_ZERO = int(np.datetime64(START, "us").astype(np.int64))
_WINTER = (np.datetime64("2025-10-26T03", "us").astype(np.int64), np.datetime64("2026-03-29T02", "us").astype(np.int64))
_HOURS = [2, 1, 1, 1, 1, 3, 12, 25, 34, 38, 42, 45, 48, 44, 42, 43, 46, 50, 56, 72, 88, 78, 44, 14]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How strong each planted effect is; the defaults are those of the samples.

    Attributes:
        personas: 1 four kinds of customers, 0 all alike, between: less apart.
        mobile_checkout: chance to finish a checkout on a phone, relative to a desktop.
        mobile_load: load time on a phone, relative to a desktop.
        incident: chance to finish a checkout during the payment incident, relative to other weeks.
        retargeting_chase: share of visits reaching the checkout that a retargeting ad brought (6 % of others); the ad
            itself changes nothing.
        free_shipping: share of the treated who buy though they would not have bought.
        split_loss: share of the treated on phones whose exposure to "new-checkout" is lost.
        stop: a, b of the beta distribution of the chance to stop after each purchase.
        gap: shape r, scale alpha (days) of the gamma distribution of the rate of purchases while a customer goes on.
        response_bias: log odds of answering a survey, per point of satisfaction.
        touchpoints: 1 touchpoints differ in how content they leave customers, 0 all alike.
        slow_reply: points of CSAT lost for each doubling of the time to the first reply.
        phone_gap: points of CSAT lost on the phone.
        late_delivery: points of satisfaction lost by a late parcel.
        shared_devices: share of customers who use a neighbour's device as their own.
        tracking_loss: share of orders without a purchase event.
        handoff: share of carts not taken to the checkout because the channel changed since the last visit.
        repeat_contact: share of contacts followed by another one in another channel.
        unanswered: share of written feedback that never gets a reply.
        faster_replies: reply time by mail after the evening shift, relative to before.
        for_you: click rate of personal letters, relative to letters for all.
        social_cost: cost of a click on social ads, relative to a fair one.
        idle_action: whether one action answers nothing a customer said.

    Example:
        >>> Truth().free_shipping, Truth.nothing().free_shipping
        (0.1, 0.0)
    """

    personas: float = 1.0
    mobile_checkout: float = 0.68
    mobile_load: float = 2.1
    incident: float = 0.45
    retargeting_chase: float = 0.5
    free_shipping: float = 0.10
    split_loss: float = 0.7
    stop: tuple[float, float] = (1.5, 1.5)
    gap: tuple[float, float] = (1.6, 70.0)
    response_bias: float = 0.4
    touchpoints: float = 1.0
    slow_reply: float = 0.25
    phone_gap: float = 0.6
    late_delivery: float = 1.1
    shared_devices: float = 0.04
    tracking_loss: float = 0.03
    handoff: float = 0.35
    repeat_contact: float = 0.30
    unanswered: float = 0.18
    faster_replies: float = 0.5
    for_you: float = 2.0
    social_cost: float = 3.0
    idle_action: bool = True

    @classmethod
    def nothing(cls) -> Truth:
        """A world in which none of it is so."""
        none = dict.fromkeys(asdict(cls()), 0.0)
        none |= dict.fromkeys(("mobile_checkout", "mobile_load", "incident", "faster_replies", "for_you"), 1.0)
        none |= {"stop": (1e6, 1e6), "gap": (1e6, 5e7), "social_cost": 1.0, "idle_action": False}
        return cls(**none | {"retargeting_chase": 0.06})


class World:
    """The facts of world.toml as arrays, persona by persona, with the planted effects already in them."""

    def __init__(self, truth: Truth):
        facts = _facts()
        self.truth, self.facts = truth, facts
        self.personas = list(facts["personas"])
        self.shares = self._each("share")
        own = facts["personas"][self.personas[0]]
        for name in own.keys() - {"share", "content", "answers"}:
            setattr(self, name, self._blend(self._each(name)))
        reads = own["content"]
        self.content = {name: self._blend(self._each("content", name)) for name in reads}
        self.answers = {question: self._blend(self._each("answers", question)) for question in facts["answers"]}
        self.touchpoints, self.campaigns = list(facts["channels"]), list(facts["campaigns"])
        self.channels = list(dict.fromkeys([*facts["channels"].values(), "app"]))
        self.channel_of = np.array([self.channels.index(c) for c in facts["channels"].values()], np.int8)
        shelves = facts["products"].items()
        self.products = [(name, c, float(price)) for c, shelf in shelves for name, price in shelf.items()]
        kinds = np.array(facts["kinds"])
        self.finish = np.select([kinds == "mobile", kinds == "app"], [0.6 * truth.mobile_checkout, 0.6], 0.6)
        self.load = np.select([kinds == "mobile", kinds == "store"], [1700 * truth.mobile_load, np.nan], 1700.0)

    def touch(self, name: str) -> int:
        """The code of a touchpoint."""
        return self.touchpoints.index(name)

    def channel(self, name: str) -> int:
        """The code of a channel."""
        return self.channels.index(name)

    def _each(self, *path: str) -> np.ndarray:
        values = list(self.facts["personas"].values())
        for key in path:
            values = [value[key] for value in values]
        return np.array(values, float)

    def _blend(self, own: np.ndarray) -> np.ndarray:
        alike = np.tensordot(self.shares, own, 1)
        return alike + self.truth.personas * (own - alike)


@cache
def _facts() -> dict:
    return tomllib.loads(Path(__file__).with_name("world.toml").read_text(encoding="utf-8"))


def persona_codes(numbers: np.ndarray, seed: int) -> np.ndarray:
    """The persona of each customer number (the digits of `c0000123`): nobody has to store it.

    Example:
        >>> persona_codes(np.arange(8), 7).tolist()
        [3, 2, 0, 3, 3, 0, 1, 3]
    """
    bounds = np.cumsum([persona["share"] for persona in _facts()["personas"].values()])
    return np.searchsorted(bounds, share_of(numbers, seed), side="right").clip(0, len(bounds) - 1)


def utc(day: np.ndarray, time: np.ndarray) -> np.ndarray:
    """UTC µs of a local day (0 = the first) and a time of that day in µs, in Copenhagen."""
    local = _ZERO + np.floor(day).astype(np.int64) * DAY + time.astype(np.int64)
    return local - np.where((local >= _WINTER[0]) & (local < _WINTER[1]), HOUR, 2 * HOUR)


def moment(day: float) -> int:
    """UTC µs at which a local day begins."""
    return int(utc(np.array([day]), np.array([0]))[0])


def later(at: np.ndarray, amount: np.ndarray, unit: int = DAY) -> np.ndarray:
    """Moments moved by an amount of days, or of another unit in µs."""
    return at + (amount * unit).astype(np.int64)


def during(at: np.ndarray, window: str) -> np.ndarray:
    """Which moments lie within one of the windows of world.toml."""
    first, last = _facts()["windows"][window]
    return (at >= moment(first)) & (at < moment(last))


def daytime(rng: np.random.Generator, days: np.ndarray) -> np.ndarray:
    """A moment on each of these days as shoppers keep them: few at night, most in the evening."""
    bounds = np.cumsum(_HOURS) / np.sum(_HOURS)
    hours = np.searchsorted(bounds, rng.random(len(days)), side="right")
    return utc(days, hours * HOUR + rng.integers(0, HOUR, len(days)))


def arrival_days(rng: np.random.Generator, n: int) -> np.ndarray:
    """Days on which customers first come: busier on Sundays, before Christmas and in spring, growing slowly."""
    day = np.arange(DAYS)
    week = np.array([1.05, 1.0, 1.0, 0.98, 0.9, 0.95, 1.25])[(day + 1) % 7]
    season = 1 + 0.7 * np.exp(-(((day - 150) / 14) ** 2)) + 0.3 * np.exp(-(((day - 310) / 30) ** 2))
    bounds = np.cumsum(week * season * (1 + 0.25 * day / DAYS))
    return np.searchsorted(bounds / bounds[-1], rng.random(n), side="right")
