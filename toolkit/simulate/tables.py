"""From arrays to the canonical tables, in Arrow: codes become words, moments become UTC, as the schema says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.schema import KNOWN_PROPERTIES, TABLES
from toolkit.simulate.chance import Rows, chance, mix, pick, place_in_run, share_of
from toolkit.simulate.orders import NEVER
from toolkit.simulate.talk import SOURCES
from toolkit.simulate.visits import LANGUAGES, STORE, Chunk
from toolkit.simulate.voices import write_texts
from toolkit.simulate.world import DAY, START, World, moment

_CLASS = np.array([0, 1, 2, 1, -1, -1])  # of a kind of visit: desktop, mobile, tablet, none
_WORDS = {
    "currency": ("DKK",),
    "device": ("desktop", "mobile", "tablet"),
    "error": ("CARD-DECLINED", "3DS-TIMEOUT", "PSP-504"),
    "gender": ("female", "male", "other"),
    "consent": ("letters and analysis", "analysis", "none"),
    "instrument": ("nps", "csat", "ces"),
    "scale": ("0-10", "1-5", "1-7"),
    "source": SOURCES,
    "status": ("open", "pending", "solved"),
    "language": LANGUAGES,
    "experiment_id": ("new-checkout", "retargeting-holdout", "free-shipping"),
    "variant": ("control", "treatment"),
}


def to_table(world: World, name: str, rows: Rows, ids: pa.Array | None = None) -> pa.Table:
    """The columns of a canonical table found in `rows`; Arrow arrays pass as they are, `who` becomes one of the ids."""
    words = vocabularies(world)
    if "who" in rows:
        rows = {
            "timestamp": rows.get("at"),
            "customer_id": ids.take(pa.array(rows["who"], mask=rows["who"] < 0)),
        } | rows
    kinds = {key: column.kind for key, column in TABLES[name].items()}
    return pa.table({key: _column(kind, rows[key], words.get(key)) for key, kind in kinds.items() if key in rows})


def vocabularies(world: World) -> dict[str, list[str] | tuple[str, ...]]:
    """The words behind the codes, by column."""
    facts = world.facts
    names, categories, _ = zip(*world.products, strict=True)
    return _WORDS | {
        "touchpoint": world.touchpoints,
        "channel": world.channels,
        "campaign": world.campaigns,
        "product": names,
        "category": categories,
        "age_band": facts["ages"],
        "country": list(facts["countries"]),
        "region": [region for country in facts["countries"].values() for region in country["regions"]],
        "question": list(facts["answers"]),
        "answer": [answer for answers in facts["answers"].values() for answer in answers],
        "query": facts["queries"]["words"] + facts["queries"]["help"],
        "code": ["LYNG10", *numbered("FRIEND", np.arange(1, 2000)).to_pylist()],
    }


def _column(kind: str, values: np.ndarray | pa.Array, words) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if kind == "word":
        return pa.array(list(words), pa.string()).take(pa.array(values.astype(np.int64), mask=values < 0))
    if kind == "moment":
        return pa.array(values, pa.int64(), mask=values == NEVER).cast(pa.timestamp("us", "UTC"))
    if kind == "flag":
        return pa.array(values)
    if values.dtype.kind in "iu":
        return pa.array(values.astype(np.int32))
    return pa.array(values.astype(float).round(2), mask=np.isnan(values))


def numbered(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Ids of seven digits or more."""
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 7, "0"), "")


def sub_ids(ids: pa.Array, numbers: np.ndarray) -> pa.Array:
    """Ids within an id: `c0000123-2`."""
    return pc.binary_join_element_wise(ids, pa.array(numbers).cast(pa.string()), "-")


def device_numbers(chunk: Chunk, rows: Rows) -> np.ndarray:
    """The number of the device of each event row, −1 for none; some customers use their neighbour's."""
    borrows = (chunk.number % 2 == 1) & (share_of(chunk.number, chunk.seed + 11) < 2 * chunk.world.truth.shared_devices)
    form = _CLASS[rows["kind"]]
    return np.where(form >= 0, (chunk.number - borrows)[rows["who"]] * 3 + form, -1)


def _device_ids(chunk: Chunk, numbers: np.ndarray) -> pa.Array:
    known, where = np.unique(numbers, return_inverse=True)
    text = mix(known, chunk.seed + 12).tobytes().hex().encode()
    names = pa.Array.from_buffers(pa.binary(16), len(known), [None, pa.py_buffer(text)]).cast(pa.binary())
    names = pc.binary_join_element_wise("d", pc.utf8_slice_codeunits(names.cast(pa.string()), 0, 11), "")
    return names.take(pa.array(where, mask=numbers < 0))


def finish_events(chunk: Chunk, rows: Rows, visits: Rows, ids: pa.Array) -> Rows:
    """Event rows with their session, device, currency and properties."""
    sessions = sub_ids(ids.take(pa.array(visits["who"])), place_in_run(visits["who"]) + 1)
    offline = (rows["visit"] < 0) | (visits["kind"][rows["visit"]] == STORE)
    money = ~np.isnan(rows["value"]) & (rows["touchpoint"] != chunk.world.touch("loyalty tier"))
    words = vocabularies(chunk.world)
    facts = {key: _column(kind, rows[key], words.get(key)) for key, kind in KNOWN_PROPERTIES.items()}
    empty = np.logical_and.reduce([fact.is_null().to_numpy(zero_copy_only=False) for fact in facts.values()])
    return rows | {
        "session_id": sessions.take(pa.array(rows["visit"].clip(0), mask=offline)),
        "device": _CLASS[rows["kind"]],
        "device_id": _device_ids(chunk, device_numbers(chunk, rows)),
        "currency": np.where(money, 0, -1),
        "properties": pa.StructArray.from_arrays(list(facts.values()), list(facts), mask=pa.array(empty)),
    }


def customer_rows(chunk: Chunk, visits: Rows) -> Rows:
    """One row per customer; one in eight was known before the data begin."""
    world, rng, n = chunk.world, chunk.rng, chunk.n
    joined = np.full(n, NEVER)
    joined[visits["who"][::-1]] = visits["at"][::-1]
    before = chance(rng, 0.12, n)
    counts = np.array([len(country["regions"]) for country in world.facts["countries"].values()])
    gender = pick(rng, np.array([0.5, 0.42, 0.02, 0.06]), n)
    return {
        "who": np.arange(n),
        "joined_at": np.where(before, moment(0) - (rng.random(n) * 1000 * DAY).astype(np.int64), joined),
        "age_band": pick(rng, world.ages, chunk.persona),
        "gender": np.where(gender == 3, -1, gender),
        "country": chunk.country,
        "region": (np.cumsum(counts) - counts)[chunk.country] + (rng.random(n) * counts[chunk.country]).astype(int),
        "language": chunk.language,
        "consent": chunk.consent,
    }


def put_texts(chunk: Chunk, responses: Rows, feedback: Rows) -> None:
    """Words for the answers that have a comment, and for all feedback."""
    responses["language"] = chunk.language[responses["who"]]
    speaks = responses["speaks"]
    comments = write_texts(chunk.rng, {name: responses[name][speaks] for name in ("language", "theme", "good")})
    responses["comment"] = comments.take(pa.array(np.cumsum(speaks) - 1, mask=~speaks))
    feedback["text"] = write_texts(chunk.rng, feedback)
    waiting = np.where(feedback["resolved_at"] == NEVER, 1, 2)
    feedback["status"] = np.where(feedback["first_reply_at"] == NEVER, 0, waiting)


def campaign_rows(world: World, seed: int, seen: np.ndarray) -> Rows:
    """Daily cost and figures of each campaign; `seen` is campaigns × days × (clicks, opens, claimed purchases)."""
    facts = list(world.facts["campaigns"].values())
    campaign, day = (axis.ravel() for axis in np.indices(seen.shape[:2]))
    clicks, opens, claimed = seen.reshape(-1, 3).T
    kept = (clicks + opens + claimed) > 0
    campaign, day, clicks, opens, claimed = campaign[kept], day[kept], clicks[kept], opens[kept], claimed[kept]
    touch = np.array([world.touch(fact["touchpoint"]) for fact in facts])[campaign]
    price, rate = (np.array([fact[key] for fact in facts])[campaign] for key in ("click", "rate"))
    price = price * np.where(touch == world.touch("social ad"), world.truth.social_cost, 1.0)
    noise = np.random.default_rng([seed, 2**31]).uniform(0.9, 1.1, (2, len(campaign)))
    letter = world.channel_of[touch] == world.channel("email")
    met = np.where(letter, np.maximum(opens, clicks), clicks)
    shown = np.round(met / rate * noise[0]).astype(np.int64)
    shown = {"impressions": pa.array(shown, mask=letter), "sends": pa.array(shown, mask=~letter)}
    shown |= {"opens": pa.array(met, mask=~letter), "clicks": clicks, "conversions": claimed}
    rows = {"date": pa.array(np.datetime64(START) + day.astype("timedelta64[D]"), pa.date32())}
    rows |= {"touchpoint": touch, "channel": world.channel_of[touch], "campaign": campaign}
    return rows | shown | {"cost": met * price * noise[1], "currency": np.zeros(len(campaign), int)}


def action_rows(world: World) -> Rows:
    """What the shop did; the idle one only where the truth wants it."""
    actions = [row for row in world.facts["actions"] if world.truth.idle_action or row["touchpoint"] != "social post"]
    columns = {name: [action[name] for action in actions] for name in actions[0]}
    moments = np.array([[moment(day) if day >= 0 else NEVER for day in days] for days in columns.pop("days")]).T
    began = dict(zip(("started_at", "finished_at", "told_at"), moments, strict=True))
    return began | {name: pa.array(values) for name, values in columns.items()}
