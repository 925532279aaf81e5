"""What customers say: contacts with the service, feedback, and answers to surveys."""

from __future__ import annotations

import numpy as np

from toolkit.simulate.chance import Rows, chance, pick, stack, take
from toolkit.simulate.orders import NEVER
from toolkit.simulate.trail import make_rows
from toolkit.simulate.visits import Chunk
from toolkit.simulate.world import DAY, DAYS, HOUR, SECOND, during, later, moment

THEMES = ("delivery", "payment", "price", "product", "service", "website", "returns", "praise")
SOURCES = ("ticket", "chat", "call", "review", "social", "interview", "usability test", "workshop", "competitor review")
DESKS = ("support email", "chat", "phone call")
_ABOUT = ("parcel delivered", "checkout", "product page", "product page", "chat", "home page", "return")  # by theme
_RARE = {"interview": 0.003, "usability test": 0.004, "workshop": 0.0025, "competitor review": 0.006}


def make_contacts(chunk: Chunk, visits: Rows, orders: Rows) -> Rows:
    """Contacts with the service: who, at, desk (0 mail, 1 chat, 2 phone), theme, mood, replied, resolved, again."""
    world, rng, truth = chunk.world, chunk.rng, chunk.world.truth
    base = np.where(orders["delivered_at"] == NEVER, orders["at"] + DAY, orders["delivered_at"])
    likely = world.contact[chunk.persona[orders["who"]]] * 0.6 + 0.35 * orders["late"]
    asked = chance(rng, likely, len(base))
    theme = np.where(orders["late"], 0, pick(rng, np.array([0.2, 0.05, 0.15, 0.25, 0.1, 0.1, 0.15]), len(base)))
    after = {"who": orders["who"], "at": later(base, np.floor(rng.exponential(1.2, len(base))) + 0.05)}
    after |= {"theme": theme, "mood": orders["mood"] - 0.5}
    stuck = (visits["failed"] > 0) & chance(rng, 0.15, len(visits["who"]))
    failed = {"who": visits["who"][stuck], "at": visits["at"][stuck] + HOUR, "theme": np.ones(stuck.sum(), int)}
    failed["mood"] = chunk.mood[failed["who"]] - 1.2
    curious = chance(rng, 0.015, len(visits["who"]))
    before = {"who": visits["who"][curious], "at": visits["at"][curious] + HOUR // 3}
    before |= {"theme": pick(rng, np.array([1, 0, 1, 1, 1, 1, 0.0]), curious.sum()), "mood": chunk.mood[before["who"]]}
    first = stack([take(after, asked), failed, before])
    first["desk"] = pick(rng, np.array([0.45, 0.30, 0.25]), len(first["who"]))
    first["again"] = np.zeros(len(first["who"]), bool)
    second = take(first, chance(rng, truth.repeat_contact, len(first["who"])))
    second["desk"] = (second["desk"] + rng.integers(1, 3, len(second["desk"]))) % 3
    second["at"] = later(second["at"], rng.integers(1, 3, len(second["desk"])) + 0.02)
    second |= {"again": np.ones(len(second["who"]), bool), "mood": second["mood"] - 0.4}
    return _replies(chunk, stack([first, second]))


def _replies(chunk: Chunk, contacts: Rows) -> Rows:
    truth, rng = chunk.world.truth, chunk.rng
    contacts = take(contacts, contacts["at"] < moment(DAYS))
    n, mail = len(contacts["who"]), contacts["desk"] == 0
    faster = np.where(during(contacts["at"], "faster replies"), truth.faster_replies, 1.0)
    hours = np.exp(rng.normal(np.log([9.0, 0.06, 0.02])[contacts["desk"]], np.array([1.0, 0.7, 0.4])[contacts["desk"]]))
    hours = np.where(mail, hours * faster, hours)
    silent = mail & chance(rng, truth.unanswered, n)
    contacts["hours"] = np.where(silent, np.nan, hours)
    contacts["first_reply_at"] = _within(later(contacts["at"], hours, HOUR), ~silent)
    work = np.exp(rng.normal(np.log(6), 1.1, n)) * np.where(mail, 1, 0.05)
    solved = later(contacts["first_reply_at"], work, HOUR)
    contacts["resolved_at"] = _within(solved, (contacts["first_reply_at"] != NEVER) & ~chance(rng, 0.04, n))
    return contacts


def _within(at: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.where(kept & (at < moment(DAYS)), at, NEVER)


def contact_events(chunk: Chunk, contacts: Rows) -> Rows:
    """The contacts as events."""
    touch = np.array([chunk.world.touch(name) for name in DESKS])[contacts["desk"]]
    return make_rows(chunk.world, contacts["who"], contacts["at"], touch)


def make_feedback(chunk: Chunk, contacts: Rows, orders: Rows, reviews: Rows) -> Rows:
    """Feedback in order of time: who (−1 nobody), at, source, theme, good, rating, first_reply_at, resolved_at."""
    world, rng = chunk.world, chunk.rng
    cases = {name: contacts[name] for name in ("who", "at", "theme", "first_reply_at", "resolved_at")}
    touch = np.array([world.touch(name) for name in DESKS])[contacts["desk"]]
    cases |= {"source": contacts["desk"].astype(int), "good": contacts["mood"] + rng.normal(0, 0.3, len(touch)) > 0.55}
    cases |= {"touchpoint": touch, "rating": np.full(len(touch), np.nan)}
    last = np.full(chunk.n, 0.0)
    last[orders["who"]] = orders["mood"]
    said = _spoken(chunk, reviews["who"], reviews["at"], last[reviews["who"]], SOURCES.index("review"))
    posts = take(orders, chance(rng, 0.04, len(orders["who"])))
    social = _spoken(chunk, posts["who"], posts["at"] + 4 * DAY, posts["mood"], SOURCES.index("social"))
    social["rating"][:] = np.nan
    rare = [_rare(chunk, name, share) for name, share in _RARE.items()]
    rows = stack([cases, said, social, *rare])
    rows["channel"] = world.channel_of[rows["touchpoint"]].astype(int)
    rows["channel"][rows["source"] == SOURCES.index("social")] = world.channel("social")
    anyone = pick(rng, np.array([0.46, 0.26, 0.13, 0.15]), len(rows["who"]))
    rows["language"] = np.where(rows["who"] >= 0, chunk.language[rows["who"]], anyone)
    rows["theme"] = np.where(rows["good"] & chance(rng, 0.3, len(rows["who"])), THEMES.index("praise"), rows["theme"])
    rows = take(rows, rows["at"] < moment(DAYS))
    return take(rows, np.argsort(rows["at"], kind="stable"))


def _spoken(chunk: Chunk, who: np.ndarray, at: np.ndarray, mood: np.ndarray, source: int) -> Rows:
    """Reviews and posts: the rating follows the mood; some get a reply, as letters do."""
    rng, n = chunk.rng, len(who)
    rating = np.clip(np.round(3.9 + 1.1 * mood), 1, 5)
    answered = chance(rng, 0.9 - chunk.world.truth.unanswered, n)
    replied = _within(later(at, rng.exponential(30.0, n), HOUR), answered)
    resolved = _within(replied + HOUR, replied != NEVER)
    theme = pick(rng, np.array([0.22, 0.05, 0.17, 0.28, 0.08, 0.1, 0.1]), n)
    touch = np.array([chunk.world.touch(name) for name in _ABOUT])[theme]
    rows = {"who": who, "at": at, "theme": theme, "first_reply_at": replied, "resolved_at": resolved}
    return rows | {"source": np.full(n, source), "good": rating >= 4, "touchpoint": touch, "rating": rating}


def _rare(chunk: Chunk, name: str, share: float) -> Rows:
    rng = chunk.rng
    who = np.flatnonzero(chance(rng, share, chunk.n))
    at = later(moment(0), rng.uniform(20, DAYS - 1, len(who)))
    rows = _spoken(chunk, who, at, rng.normal(-0.4, 0.9, len(who)), SOURCES.index(name))
    rows |= {"first_reply_at": at + HOUR, "resolved_at": at + DAY}
    if name in ("workshop", "competitor review"):
        rows["who"] = np.full(len(who), -1)
    if name != "competitor review":
        rows["rating"] = np.full(len(who), np.nan)
    return rows


def make_responses(chunk: Chunk, events: Rows, contacts: Rows, orders: Rows) -> tuple[Rows, dict[str, float]]:
    """Survey answers (instrument 0 nps, 1 csat, 2 ces), and how those who answered differ from those asked."""
    rng, (after, known) = chunk.rng, _after_contact(chunk, contacts)
    rows = stack([_after_order(chunk, orders), _on_the_spot(chunk, events), after])
    rows = take(rows, rows["at"] < moment(DAYS))
    odds = chunk.world.truth.response_bias * rows["mood"] - 1.0
    answers = chance(rng, 1 / (1 + np.exp(-odds)), len(rows["who"]))
    for who, mask in (("asked", rows["instrument"] == 0), ("answered", (rows["instrument"] == 0) & answers)):
        score = rows["score"][mask]
        known |= {f"{who} n": mask.sum(), f"{who} good": (score >= 9).sum(), f"{who} bad": (score <= 6).sum()}
    rows = take(rows, answers)
    n = len(rows["who"])
    rows["theme"] = pick(rng, np.array([0.2, 0.08, 0.15, 0.22, 0.15, 0.1, 0.1]), n)
    rows["good"] = rows["score"] >= np.array([8, 4, 5])[rows["instrument"]]
    rows["speaks"] = chance(rng, 0.4, n)
    return take(rows, np.argsort(rows["at"], kind="stable")), {name: float(value) for name, value in known.items()}


def _after_order(chunk: Chunk, orders: Rows) -> Rows:
    n = len(orders["who"])
    home = np.where(orders["delivered_at"] == NEVER, orders["at"], orders["delivered_at"])
    rows = {"who": orders["who"], "at": later(home, chunk.rng.uniform(1, 6, n)), "mood": orders["mood"]}
    rows |= {"score": np.clip(np.round(7.7 + 1.9 * orders["mood"]), 0, 10), "instrument": np.zeros(n, int)}
    rows |= {"touchpoint": np.full(n, chunk.world.touch("purchase")), "channel": orders["channel"].astype(int)}
    return take(rows, ~orders["cancelled"])


def _on_the_spot(chunk: Chunk, events: Rows) -> Rows:
    """CSAT asked of a few at the touchpoints that ask."""
    world, rng = chunk.world, chunk.rng
    likes, share = np.zeros((2, len(world.touchpoints)))
    for name, facts in world.facts["asked"].items():
        likes[world.touch(name)], share[world.touch(name)] = facts
    asked = take(events, chance(rng, share[events["touchpoint"]], len(events["who"])))
    who, touch, n = asked["who"], asked["touchpoint"].astype(int), len(asked["who"])
    score = 4.4 + world.truth.touchpoints * likes[touch] + 0.5 * chunk.mood[who] + rng.normal(0, 0.5, n)
    rows = {"who": who, "at": later(asked["at"], rng.uniform(1, 60, n), 60 * SECOND), "mood": chunk.mood[who]}
    rows |= {"score": np.clip(np.round(score), 1, 5), "instrument": np.ones(n, int)}
    return rows | {"touchpoint": touch, "channel": asked["channel"].astype(int)}


def _after_contact(chunk: Chunk, contacts: Rows) -> tuple[Rows, dict[str, float]]:
    """CSAT of everyone who got a reply, CES of half of them; and the sums from which the cost of waiting follows."""
    world, rng, truth = chunk.world, chunk.rng, chunk.world.truth
    done = take(contacts, contacts["first_reply_at"] != NEVER)
    n, felt = len(done["who"]), done["mood"] + 0.6
    waited = np.log2(np.maximum(done["hours"], 0.25) / 0.25)
    csat = 4.4 + 0.5 * felt + rng.normal(0, 0.5, n) - truth.slow_reply * waited - truth.phone_gap * (done["desk"] == 2)
    ces = 5.6 + 0.8 * felt + rng.normal(0, 0.8, n) - 0.5 * truth.slow_reply * waited
    ces -= 0.8 * done["again"] * (truth.repeat_contact > 0)
    touch = np.array([world.touch(name) for name in DESKS])[done["desk"]]
    asked = {"who": done["who"], "at": later(done["first_reply_at"], rng.uniform(1, 12, n), HOUR), "mood": felt}
    asked |= {"touchpoint": touch, "channel": world.channel_of[touch].astype(int)}
    one = asked | {"score": np.clip(np.round(csat), 1, 5), "instrument": np.ones(n, int)}
    two = asked | {"score": np.clip(np.round(ces), 1, 7), "instrument": np.full(n, 2), "at": asked["at"] + 90 * SECOND}
    mail = done["desk"] == 0
    x, y = np.log2(done["hours"][mail]), one["score"][mail]
    sums = {"mail n": len(x), "mail x": x.sum(), "mail y": y.sum(), "mail xx": (x * x).sum(), "mail xy": (x * y).sum()}
    return stack([one, take(two, chance(rng, 0.5, n))]), sums


def make_answers(chunk: Chunk, visits: Rows) -> Rows:
    """Answers to the questions on interests, values and needs: who, at, question, answer."""
    world, rng = chunk.world, chunk.rng
    seen = np.full(chunk.n, NEVER)
    seen[visits["who"]] = visits["at"]
    who = np.flatnonzero((seen != NEVER) & chance(rng, 0.22, chunk.n))
    answers = [pick(rng, shares, chunk.persona[who]) + 4 * i for i, shares in enumerate(world.answers.values())]
    answer = np.concatenate(answers)
    rows = {"who": np.tile(who, len(answers)), "at": np.tile(seen[who] + HOUR, len(answers))}
    rows |= {"question": answer // 4, "answer": answer}
    return take(rows, rows["at"] < moment(DAYS))
