"""Replies: how long requests wait, and whether customers who wait are less content, or stay away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.counts import BUCKETS, Additive, Tally, by_bucket
from toolkit.journeys.scales import share_of_scale
from toolkit.pitfall.cells import Cells, placed
from toolkit.study.clock import DAY, HOUR
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part

ASKING = ("ticket", "chat", "call", "review", "social")  # sources that wait for a reply; in the others we asked
OPEN = ("open", "new", "unread", "åben", "ny", "öppen", "offen", "neu")  # a status says that somebody acted, but these
PATIENCE, LONG, SOON, AGAIN = 7 * DAY, 4 * HOUR, DAY, 90 * DAY
SHORTEST = 0.25  # hours; below it nobody waits


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCounts(Additive):
    """What requests of the period add up to.

    Attributes:
        requests: requests older than a week: whether nobody acted (stratum 0), or not within four hours (1).
        open_days: tally of days that those without a reply have waited.
        wait_hours: tally of hours until the reply, of the others.
        felt: 1,024 × sources × 5 float64 over requests with a CSAT answer within a day after the reply: 1, x, y, x²,
            xy; x the tenfolds of the wait, y the answer as a share of its scale.
        back: customers replied to within a day, and later: whether they bought within 90 days.
    """

    requests: Cells
    open_days: Tally
    wait_hours: Tally
    felt: np.ndarray
    back: Cells


def count_replies(part: Part, *, purchase: Sequence[int]) -> ReplyCounts:
    """Counts requests and their replies; `purchase`: touchpoint codes."""
    table = part.tables["feedback"]
    asks = (placed(part, "feedback", "source", dict.fromkeys(ASKING, 1)) == 1) & part.anchored(table.time)
    replied = np.full(len(table), UNKNOWN)
    for name in ("resolved_at", "first_reply_at"):
        if name in table:
            known = (table[name] >= table.time) & (table[name] <= part.observed_until)
            replied = np.where(known, table[name], replied)
    acted = {word: int(word.casefold() not in OPEN) for word in part.words("status", "feedback")}
    done = (replied != UNKNOWN) | (placed(part, "feedback", "status", acted) == 1)
    old, wait = asks & (table.time <= part.observed_until - PATIENCE), replied - table.time
    late = ~(done & (wait <= LONG))
    bucket, zero = part.bucket[table.customer], np.zeros(len(table), np.int64)
    twice, place = np.append(bucket[old], bucket[old]), np.repeat([0, 1], old.sum())
    open_, answered = old & ~done, asks & (replied != UNKNOWN)
    return ReplyCounts(
        requests=Cells.of(twice, place, place * 0, np.append(~done[old], late[old]), (2, 1)),
        open_days=Tally.of(zero[open_], (part.observed_until - table.time[open_]) / DAY),
        wait_hours=Tally.of(zero[old & answered], wait[old & answered] / HOUR),
        felt=_felt(part, np.flatnonzero(answered), replied),
        back=_back(part, np.flatnonzero(answered & part.known[table.customer]), replied, purchase),
    )


def _felt(part: Part, rows: np.ndarray, replied: np.ndarray) -> np.ndarray:
    """The wait against the customer's next CSAT answer, about the same touchpoint where both name one."""
    table, sources = part.tables["feedback"], len(part.words("source", "feedback"))
    if "responses" not in part.tables:
        return np.zeros((BUCKETS, sources, 5))
    names = {word: i for i, word in enumerate(part.words("touchpoint", "feedback"))}
    about, share = placed(part, "responses", "touchpoint", names), share_of_scale(part)
    csat = (placed(part, "responses", "instrument", {"csat": 1}) == 1) & ~np.isnan(share)
    answers, about, share = part.tables["responses"].kept(csat), about[csat], share[csat]
    owner = table.customer[rows]
    place = np.maximum(answers.last_before(owner, replied[rows]) + 1, answers.offsets[owner])
    there = place < answers.offsets[owner + 1]
    rows, place = rows[there], place[there]
    asked = placed(part, "feedback", "touchpoint", names)[rows]
    near = (answers.time[place] - replied[rows] <= SOON) & ((asked < 0) | (about[place] < 0) | (asked == about[place]))
    rows, y = rows[near], share[place[near]]
    x = np.log10(np.maximum((replied - table.time)[rows] / HOUR, SHORTEST))
    bucket, source = part.bucket[table.customer[rows]], table["source"][rows]
    return np.stack([by_bucket(bucket, w, source, sources) for w in (np.ones(len(x)), x, y, x * x, x * y)], axis=2)


def _back(part: Part, rows: np.ndarray, replied: np.ndarray, purchase: Sequence[int]) -> Cells:
    """Whether customers bought within 90 days of the reply, by whether it came within a day."""
    table = part.tables["feedback"]
    rows = rows[replied[rows] <= part.observed_until - AGAIN]
    owner, reply = table.customer[rows], replied[rows]
    bought = part.table.kept(np.isin(part.table["touchpoint"], purchase))
    again = bought.last_before(owner, reply + AGAIN) > bought.last_before(owner, reply)
    later = (reply - table.time[rows] > SOON).astype(np.int64)
    return Cells.of(part.bucket[owner], later * 0, later, again, (1, 2))


def slope(sums: np.ndarray, level: float) -> tuple[float, float, float]:
    """The line through y over x within strata, with interval; customers as clusters.

    Args:
        sums: 1,024 × strata × 5: n, Σx, Σy, Σx², Σxy.
        level: 0–1.

    Returns:
        Change of y for 1 of x, low, high; NaN where x does not vary.

    Method:
        Least squares with an intercept per stratum; errors robust to clusters (Liang and Zeger 1986,
        doi:10.1093/biomet/73.1.13); Student's t with as many degrees of freedom as clusters have a say in x, less one
        (Kish's effective number).

    Example:
        >>> slope(np.zeros((1024, 1, 5)), 0.95)
        (nan, nan, nan)
    """
    from scipy.stats import t

    n, x, y, xx, xy = np.moveaxis(sums, 2, 0)
    size = np.maximum(n.sum(axis=0), 1)
    a, b = x.sum(axis=0) / size, y.sum(axis=0) / size
    say = (xx - 2 * a * x + n * a * a).clip(0)
    spread, each = say.sum(), say.sum(axis=1)
    df = spread**2 / max((each**2).sum(), 1e-300) - 1
    if not (spread > 1e-9 and df > 1):
        return (float("nan"),) * 3
    value = (xy - a * y - b * x + n * a * b).sum() / spread
    pull = (xy - a * y - b * x + n * a * b - value * say).sum(axis=1)
    margin = t.isf((1 - level) / 2, df) * np.sqrt((pull**2).sum() * (df + 1) / df) / spread
    return float(value), float(value - margin), float(value + margin)
