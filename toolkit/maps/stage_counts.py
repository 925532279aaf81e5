"""What customers do, feel and say in each stage: the counts of one partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.counts import Additive, Tally, by_bucket, distinct_per_key
from toolkit.journeys.scales import share_of_scale
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import JourneyTable, Part

MILLIONTHS = 1_000_000  # scores and ratings add as whole numbers
REPLIES = ("first_reply_at", "resolved_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCounts(Additive):
    """What stages add up to (int64 throughout); s stages, v touchpoints, w touchpoints of the responses.

    Attributes:
        people: 1,024 customers with an event in the period.
        reached: 1,024 × s of them, with an event in the stage.
        events: s + 1; the last: in no stage.
        channels: s × c different customers by channel.
        matured: 1,024 × s customers who entered the stage long enough ago; gone: of them, on to a later stage.
        waits: tally of seconds from entering a stage to entering a later one, of those gone.
        failures: v different customers with a failure at the touchpoint.
        felt: 1,024 × s millionths: sum of scores, each on −1…+1; answers: 1,024 × s how many.
        asked: 2 × s answers that name their touchpoint, different people; instruments: i × s answers by instrument.
        low: 2 × w different people who answered about a touchpoint; of them, with a score below the middle.
        off: answers outside their scale.
        voices: 7 × s messages; of them, naming their touchpoint; different people; messages with a rating; sum of
            ratings, millionths; messages of which a reply would be known; of them, without one.
    """

    people: np.ndarray
    reached: np.ndarray
    events: np.ndarray
    channels: np.ndarray
    matured: np.ndarray
    gone: np.ndarray
    waits: Tally
    failures: np.ndarray
    felt: np.ndarray
    answers: np.ndarray
    asked: np.ndarray
    instruments: np.ndarray
    low: np.ndarray
    off: int
    voices: np.ndarray


def count_stages(part: Part, *, size: int, places: Mapping[str, np.ndarray], window: int) -> StageCounts:
    """Counts the stages of the events, responses and feedback of the period.

    Args:
        part: some customers.
        size: how many stages there are.
        places: by code, with an entry for the unknown word at the end: the stage number (−1 = none) of the touchpoints
            of "events", "responses" and "feedback" and of the data's "own" words for a stage; whether a touchpoint of
            the events is a failure ("failing"), and a source of feedback a message to us ("letters").
        window: µs in which a customer has to enter a later stage; and in which an event explains an answer.
    """
    table, c, v = part.table, len(part.words("channel")), len(part.words("touchpoint"))
    stage = places["events"][table["touchpoint"]]
    if "stage" in table:
        own = places["own"][table["stage"]]
        stage = np.where(own >= 0, own, stage)
    inside = part.anchored(table.time)
    seen = np.where(inside, stage, -1)
    used = np.flatnonzero((seen >= 0) & (_column(table, "channel", -1) >= 0))
    key = seen[used] * np.int32(c) + _column(table, "channel", -1)[used]
    failing = (places["failing"][table["touchpoint"]] | (_column(table, "error", -1) >= 0)) & (seen >= 0)
    return StageCounts(
        people=by_bucket(part.bucket[table.per_customer(inside) > 0])[:, 0],
        events=np.bincount(np.where(seen < 0, size, seen)[inside], minlength=size + 1),
        channels=distinct_per_key(table.customer[used], key, size * c).reshape(size, c),
        failures=distinct_per_key(table.customer[failing], table["touchpoint"][failing].astype(np.int64), v),
        **_moves(part, stage, seen, size, window),
        **_answers(part, stage, size, places["responses"], window),
        voices=_voices(part, stage, size, places, window),
    )


def _column(rows: JourneyTable, name: str, absent: float) -> np.ndarray:
    return rows[name] if name in rows else np.full(len(rows), absent)


def _moves(part: Part, stage: np.ndarray, seen: np.ndarray, size: int, window: int) -> dict:
    """Customers by stage, and who of them goes on; events of one moment stand in the order that helps."""
    table, time = part.table, part.table.time
    begins = np.flatnonzero(np.diff(table.moment, prepend=0))  # first row of each moment
    counts = {name: np.zeros((1024, size), np.int64) for name in ("reached", "matured", "gone")}
    groups, waits = [np.zeros(0, int)], [np.zeros(0)]
    for i in range(size):
        rows = np.flatnonzero(seen == i)
        owner = table.customer[rows]
        entry = rows[np.append(True, owner[1:] != owner[:-1])[: len(rows)]]
        counts["reached"][:, i] = by_bucket(part.bucket[table.customer[entry]])[:, 0]
        entry = entry[time[entry] <= part.observed_until - window]
        bucket = part.bucket[table.customer[entry]]
        counts["matured"][:, i] = by_bucket(bucket)[:, 0]
        later = np.append(np.flatnonzero(stage > i), len(table) - 1)  # the last row stands for none
        following = later[np.searchsorted(later[:-1], begins[table.moment[entry] - 1])]
        wait = time[following] - time[entry]
        on = (table.customer[following] == table.customer[entry]) & (stage[following] > i) & (wait <= window)
        counts["gone"][:, i] = by_bucket(bucket[on])[:, 0]
        groups.append(np.full(on.sum(), i))
        waits.append(wait[on] / 1e6)
    return counts | {"waits": Tally.of(np.concatenate(groups), np.concatenate(waits))}


def _attached(part: Part, name: str, stage: np.ndarray, placed: np.ndarray, window: int):
    """Stage of each row of another table in the period (−1: none), and whether its own touchpoint gives it."""
    rows = part.tables[name]
    inside = part.anchored(rows.time)
    found = np.where(inside, placed[_column(rows, "touchpoint", -1)], -1)
    own = found >= 0
    ask = np.flatnonzero(inside & ~own)
    last = part.table.last_before(rows.customer[ask], rows.time[ask])
    ask, last = ask[last >= 0], last[last >= 0]
    near = rows.time[ask] - part.table.time[last] <= window
    found[ask[near]] = stage[last[near]]
    return rows, found.astype(np.int64), own


def _answers(part: Part, stage: np.ndarray, size: int, placed: np.ndarray, window: int) -> dict:
    kinds, w = len(part.words("instrument", "responses")), len(placed) - 1
    if "responses" not in part.tables:
        none = np.zeros((1024, size), np.int64)
        return {
            "felt": none,
            "answers": none,
            "asked": none[:2],
            "instruments": none[:0],
            "low": none[:2, :0],
            "off": 0,
        }
    rows, found, own = _attached(part, "responses", stage, placed, window)
    share, about = share_of_scale(part), np.where(found >= 0, _column(rows, "touchpoint", -1), -1).astype(np.int64)
    felt = np.rint(np.nan_to_num(2 * share - 1) * MILLIONTHS).astype(np.int64)
    here, named = (np.flatnonzero(~np.isnan(share) & (place >= 0)) for place in (found, about))
    at, owner, sad = found[here], rows.customer, named[felt[named] < 0]
    bucket, instrument = part.bucket[owner[here]], rows["instrument"][here]
    return {
        "felt": by_bucket(bucket, felt[here], at, size),
        "answers": by_bucket(bucket, None, at, size),
        "asked": np.stack([np.bincount(at[own[here]], minlength=size), distinct_per_key(owner[here], at, size)]),
        "instruments": np.bincount(instrument * size + at, minlength=kinds * size).reshape(kinds, size),
        "low": np.stack([distinct_per_key(owner[some], about[some], w) for some in (named, sad)]),
        "off": int((np.isnan(share) & part.anchored(rows.time)).sum()),
    }


def _voices(part: Part, stage: np.ndarray, size: int, places: Mapping[str, np.ndarray], window: int) -> np.ndarray:
    if "feedback" not in part.tables:
        return np.zeros((7, size), np.int64)
    rows, found, own = _attached(part, "feedback", stage, places["feedback"], window)
    here = np.flatnonzero(places["letters"][rows["source"]] & (found >= 0))
    rating = _column(rows, "rating", np.nan)[here]
    rated, known = ~np.isnan(rating), any(name in rows for name in REPLIES)
    silent = np.all([_column(rows, name, UNKNOWN)[here] == UNKNOWN for name in REPLIES], axis=0)
    at, millionths = found[here], np.rint(np.nan_to_num(rating) * MILLIONTHS).astype(np.int64)
    some = [np.bincount(at[kept], minlength=size) for kept in (own[here], rated)]
    people, ratings = distinct_per_key(rows.customer[here], at, size), by_bucket(at * 0, millionths, at, size)[0]
    all_ = np.bincount(at, minlength=size)
    return np.stack(
        [all_, some[0], people, some[1], ratings, all_ * known, np.bincount(at[silent & known], minlength=size)]
    )
