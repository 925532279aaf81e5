"""Channel hand-offs: customers who go on in another channel, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar, NamedTuple

import numpy as np

from toolkit.counts import Additive, Tally, by_bucket, distinct_per_key
from toolkit.errors import MissingData, several
from toolkit.journeys.coverage import need_events
from toolkit.journeys.touchpoints import touchpoints
from toolkit.paths.loops import in_words, with_interval
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.many import adjust
from toolkit.stats.rest import Against, against_rest
from toolkit.study.clock import duration, spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import JourneyTable, Part

GAP = "30min"
MOST, LEAST = 20, 0.01  # channels looked at unless others are named: at most so many, each with this share of purchases


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which visits are looked at, and what may follow.

    Attributes:
        channels: codes of the channels whose changes count.
        having: touchpoint codes of which a visit must have one; none = any visit.
        goal: touchpoint codes that are the outcome.
        until: touchpoint codes; visits that begin after the customer's first of them are left out.
        window: how long something may follow the end of a visit, µs, inclusive.
        at_once: whether the goal must lie in the visit itself.
    """

    channels: tuple[int, ...]
    having: tuple[int, ...] = ()
    goal: tuple[int, ...]
    until: tuple[int, ...] = ()
    window: int
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffCounts(Additive):
    """What visits add up to; c channels.

    Attributes:
        pairs: 1,024 × c × c × 3 int32 visits whose window is over, by the channel of the visit before, their own, and
            what followed: 0 something, 1 the goal, 2 nothing.
        customers: c × c int64 different customers.
        waits: tally of seconds since the end of the visit before, group = before × c + own.
        left_out: 3 int64 visits after the customer's first `until`; without a visit before; whose window is not over.
    """

    pairs: np.ndarray
    customers: np.ndarray
    waits: Tally
    left_out: np.ndarray


class Visits(NamedTuple):
    """Visits: a customer's events in one channel without a long pause; rows are those of the events."""

    owner: np.ndarray
    channel: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, table: JourneyTable, channel: np.ndarray) -> Visits:
        """Cuts events with a channel (≥ 0) into visits."""
        row = np.flatnonzero(channel >= 0)
        owner, channel = table.customer[row], channel[row]
        new = np.append(True, (np.diff(owner) != 0) | (np.diff(channel) != 0))[: len(row)]
        new[1:] |= np.diff(table.time[row]) > duration(GAP)
        starts = np.flatnonzero(new)
        last = np.append(starts[1:], len(row))[: len(starts)] - 1
        return cls(owner[starts], channel[starts], row[starts], row[last])


def count_handoffs(part: Part, *, asked: Asked) -> HandoffCounts:
    """Counts the visits that begin in the period by the channel of the visit before and their own.

    Args:
        part: some customers.
        asked: which visits, and what may follow.
    """
    table, c = part.table, len(asked.channels)
    place = np.full(len(part.words("channel")) + 1, -1)  # an unknown channel, −1, finds the last
    place[list(asked.channels)] = np.arange(c)
    visit = Visits.of(table, place[table["channel"]])
    alone = np.append(True, np.diff(visit.owner) != 0)[: len(visit.owner)]
    ended = table.time[visit.last]
    met = np.flatnonzero(np.isin(table["touchpoint"], asked.until))[::-1]
    bought = np.full(len(part), len(table))
    bought[table.customer[met]] = met
    seen = part.anchored(table.time[visit.first])
    if asked.having:
        seen &= _next(table, visit.first, asked.having) <= visit.last
    why_not = [bought[visit.owner] < visit.first, alone, ended > part.observed_until - asked.window]
    reason = np.select(why_not, range(3), 3)[seen]
    kept = np.flatnonzero(seen)[reason == 3]
    before, visit = Visits(*(column[kept - 1] for column in visit)), Visits(*(column[kept] for column in visit))
    pair, follows = before.channel * c + visit.channel, _follows(table, visit, asked)
    key, bucket = pair * 3 + follows, part.bucket[visit.owner]
    return HandoffCounts(
        pairs=by_bucket(bucket, None, key, c * c * 3).reshape(1024, c, c, 3).astype(np.int32),
        customers=distinct_per_key(visit.owner, pair, c * c).reshape(c, c),
        waits=Tally.of(pair, (table.time[visit.first] - table.time[before.last]) / 1e6),
        left_out=np.bincount(reason, minlength=4)[:3],
    )


def _next(table: JourneyTable, row: np.ndarray, codes: Sequence[int]) -> np.ndarray:
    """The first row at or after each row with one of these touchpoints, of any customer; past the end where none is."""
    rows = np.append(np.flatnonzero(np.isin(table["touchpoint"], codes)), len(table))
    return rows[np.searchsorted(rows, row)]


def _follows(table: JourneyTable, visit: Visits, asked: Asked) -> np.ndarray:
    """0 something came within the window, 1 the goal did, 2 nothing."""
    owner, time = np.append(table.customer, -1), np.append(table.time, 0)

    def soon(row: np.ndarray) -> np.ndarray:
        return (owner[row] == visit.owner) & (time[row] - time[visit.last] <= asked.window)

    goal = _next(table, visit.first, asked.goal)
    reached = goal <= visit.last if asked.at_once else soon(goal)
    return np.where(reached, 1, np.where(soon(visit.last + 1), 0, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoffs(Result):
    """Visits after a change of channel beside visits of the same channel after none.

    Attributes:
        counts: what was counted.
        channels: their names, in the order of the counts.
        visits: what is counted in words, such as "visits with a cart".
        outcome: what may follow in words, such as "go on to checkout".
        small_cells: hand-offs of fewer customers are not shown.
        definition: the card.
    """

    counts: HandoffCounts
    channels: tuple[str, ...]
    visits: str
    outcome: str
    small_cells: int
    definition: Definition

    shown_rows: ClassVar = 15
    columns: ClassVar = {
        "median_seconds": "time between (median)",
        "goal_rate": "goal after the change",
        "stayed_rate": "after staying",
        "goal_rate_diff": "difference",
        "broken_rate": "nothing more came",
    }
    aside: ClassVar = ("n_customers", "median_seconds")

    def rows(self) -> list[dict]:
        """One row per change of channel, most frequent first.

        Columns: channel before and after, visits after the change, customers, median time between, share with the goal
        after the change and in the same channel after staying, their difference with adjusted p, share after which
        neither the goal nor anything else came.
        """
        enough, pairs = self.counts.customers >= max(self.small_cells, 1), self.counts.pairs
        n, c = pairs.sum(axis=-1) * (np.diag(enough)[:, None] | ~np.eye(len(enough), dtype=bool)), len(self.channels)
        median, rows = self.counts.waits.quantile(0.5, groups=c * c), []
        for a, b in np.argwhere(enough & ~np.eye(c, dtype=bool)).tolist():
            both = against_rest(pairs[:, [a, b], [b, b], 1], n[:, [a, b], [b, b]])
            rows.append(
                {"from": self.channels[a], "to": self.channels[b], "n_visits": int(n[:, a, b].sum())}
                | {"n_customers": int(self.counts.customers[a, b]), "median_seconds": float(median[a * c + b])}
                | _beside(both)
                | {"p_adjusted": float(both.p[0])}
                | with_interval("broken_rate", clustered_rate(pairs[:, [a], b, 2], n[:, [a], b]))
            )
        for row, p in zip(rows, adjust([row["p_adjusted"] for row in rows], "holm").p, strict=True):
            row["p_adjusted"] = float(p)
        return sorted(rows, key=lambda row: (-row["n_visits"], row["from"], row["to"]))

    @property
    def headline(self) -> dict:
        """All changes together against staying, within the channel of the visit: difference, both rates, p."""
        by_own = np.stack([self._moved().sum(axis=1), np.einsum("bccf->bcf", self.counts.pairs)], axis=2)
        n = by_own.sum(axis=-1)
        n_moved, n_stayed = n.sum(axis=(0, 1)).tolist()
        least = (n.sum(axis=1) > 0).sum(axis=0).min()  # a filled bucket is a customer or more
        both = against_rest(*(part * (least >= self.small_cells) for part in _standard(by_own[..., 1], n)))
        what = f"{self.visits} that {self.outcome}: after a change of channel, less after staying"
        return {"n_moved": n_moved, "n_stayed": n_stayed} | _beside(both) | {"p": float(both.p[0]), "what": what}

    def _moved(self) -> np.ndarray:
        return self.counts.pairs * ~np.eye(len(self.channels), dtype=bool)[:, :, None]

    @property
    def ledger(self) -> dict[str, int]:
        """Visits after a change of channel, shown and hidden, after staying, and those left out; together all."""
        n, few = self.counts.pairs.sum(axis=(0, 3), dtype=np.int64), self.counts.customers < max(self.small_cells, 1)
        stayed = int(np.trace(n))
        shown = int(n[~few & ~np.eye(len(n), dtype=bool)].sum())
        late, first, pending = self.counts.left_out.tolist()
        found = {"changed": shown, "changed, hidden": int(n.sum()) - stayed - shown, "stayed": stayed}
        found |= {"no visit before": first, "after the goal": late, "pending": pending}
        return found | {"all": sum(found.values())}

    def say(self) -> list[str]:
        """What follows a change of channel against staying, the change that differs most, and broken hand-offs."""
        row, rows, locale = self.headline, self.rows(), self.definition.locale
        if row["goal_rate_diff"] != row["goal_rate_diff"]:
            return [f"Too few {self.visits} follow a change of channel to be compared."]
        rate, stayed, diff = (in_words(row, key, locale) for key in ("goal_rate", "stayed_rate", "goal_rate_diff"))
        said = [
            f"After a change of channel {rate} of {show_number(row['n_moved'], 'count', locale)} {self.visits} "
            f"{self.outcome}, after staying in the channel {stayed}: a difference of {diff}."
        ]
        worst = min((r for r in rows if r["p_adjusted"] < 0.05), key=itemgetter("goal_rate_diff"), default=None)
        if worst and worst["goal_rate_diff"] < 0:
            diff = in_words(worst, "goal_rate_diff", locale)
            said.append(f"From {worst['from']} to {worst['to']} it is {diff}, the lowest beyond chance.")
        moved = self._moved().sum(axis=(1, 2))
        broken = with_interval("rate", clustered_rate(moved[:, [2]], moved.sum(axis=1, keepdims=True)))
        return [*said, f"After {in_words(broken, 'rate', locale)} of the changes neither that nor anything else came."]


def _beside(both: Against) -> dict[str, float]:
    """The cells of a rate after a change, the one after staying, and how far they lie apart."""
    gap = with_interval("goal_rate_diff", (both.diff, both.diff_low, both.diff_high))
    return gap | with_interval("goal_rate", both) | with_interval("stayed_rate", both, 1)


def _standard(count: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two arms (clusters × strata × 2) as if both had the same strata, with Mantel and Haenszel's weights."""
    total = n.sum(axis=0)
    weight = total.prod(axis=1) / np.maximum(total.sum(axis=1), 1)
    scale = (weight / max(weight.sum(), 1e-300))[:, None] / np.maximum(total, 1)
    scale /= np.maximum((scale**2 * total).sum(axis=0), 1e-300)  # an arm counts as many units as its weights are worth
    return (count * scale).sum(axis=1), (n * scale).sum(axis=1)


def handoffs(
    data: Data, *, goal: Sequence[str] | None = None, within: str = "7d", channels: Sequence[str] | None = None
) -> Handoffs:
    """Where customers change channel between visits, and whether they reach the goal after it as after staying.

    Args:
        data: the study; `between` sets the period in which the visit after the change begins.
        goal: touchpoints that are the outcome; the catalogue's purchases when left out.
        within: how long something may follow the end of a visit, inclusive, such as "7d".
        channels: those whose changes count, such as ["web", "app", "store"]; left out: those customers buy in.

    Returns:
        One row per change of channel that enough customers made.

    Raises:
        MissingData: the study has no channels, or no goal is known.

    Method:
        A visit is a run of a customer's events in one channel without a pause of more than 30 minutes. Visits after a
        change are compared with visits of the same channel after none, by `against_rest`; p by Holm.

    Example:
        >>> import toolkit as tk
        >>> found = tk.handoffs(tk.open_data(tk.make_data(2000, rng=1)))
        >>> found.rows()[0]["n_visits"] > 0
        True
    """
    chosen = _channels(data, channels)
    goal = several(goal or data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint")))
    if not goal:
        raise MissingData("channel hand-offs", "touchpoint known as a purchase", "a catalogue.toml that places it")
    codes = data.codes(goal)
    asked = Asked(channels=chosen, goal=codes, until=codes, window=duration(within))
    return _result(data, asked, within, ("visits", f"reach {' or '.join(goal)} within {spelled(within)}"))


def cart_handoffs(data: Data, *, within: str = "7d", channels: Sequence[str] | None = None) -> Handoffs:
    """Whether visits with a cart go on to the checkout as often when the channel has changed since the visit before.

    Args:
        data: the study; `between` sets the period in which the visit begins.
        within: how long something may follow before a hand-off counts as broken, such as "7d".
        channels: as in `handoffs`.

    Returns:
        One row per change of channel; `headline` has all of them against staying.

    Raises:
        MissingData: the study has no channels, or the catalogue knows no cart, checkout or purchase in it.

    Method:
        Visits as in `handoffs`, up to each customer's first purchase, which hold a cart; the goal is a checkout in the
        same visit.

    Example:
        >>> import toolkit as tk
        >>> tk.cart_handoffs(tk.open_data(tk.make_data(4000, rng=1))).headline["goal_rate_diff"] < 0
        True
    """
    chosen = _channels(data, channels)
    words = data.vocabulary("touchpoint")
    roles = {role: data.catalogue.names_with_role(role, words) for role in ("cart", "checkout", "purchase")}
    if missing := [role for role, found in roles.items() if not found]:
        known = f"touchpoint known as {' or '.join(missing)}"
        raise MissingData("hand-offs of carts", known, "a catalogue.toml that places it")
    cart, checkout, purchase = (data.codes(found) for found in roles.values())
    asked = Asked(channels=chosen, having=cart, goal=checkout, until=purchase, window=duration(within), at_once=True)
    return _result(data, asked, within, ("visits with a cart", f"go on to {' or '.join(roles['checkout'])}"))


def _channels(data: Data, channels: Sequence[str] | None) -> tuple[int, ...]:
    """The channels whose changes count; left out: those customers buy in, or with no purchase known, are seen in."""
    need_events(data, "channel hand-offs")
    if not data.vocabulary("channel"):
        raise MissingData("channel hand-offs", "channel in events", "a column channel in events")
    if channels is not None:
        return data.codes(channels, "channel")
    names = data.vocabulary("touchpoint")
    bought = list(data.codes(data.catalogue.names_with_role("purchase", names) or names))
    n = touchpoints(data).counts.channels[bought].sum(axis=0)
    return tuple(sorted(code for code in np.argsort(-n, kind="stable")[:MOST].tolist() if n[code] > LEAST * n.sum()))


def _result(data: Data, asked: Asked, within: str, said: tuple[str, str]) -> Handoffs:
    counts, names = run(data, count_handoffs, asked=asked), data.vocabulary("channel")
    names = tuple(names[code] for code in asked.channels)
    enough = counts.customers >= max(data.small_cells, 1)
    family = int((enough & np.diag(enough)).sum() - np.diag(enough).sum())
    end = "the customer's first purchase" if asked.having else "the customer's first goal"
    card = data.definition(
        "Channel hand-offs" + (" with a cart" if asked.having else ""),
        unit=f"visit: a customer's events in one channel, no pause above {GAP}",
        population=f"{said[0]} that begin in the period, up to {end}, with a visit before, observed for "
        f"{spelled(within)} after",
        window="the visit itself" if asked.at_once else f"{spelled(within)} after the visit, inclusive",
        denominator="visits after the change; after staying: visits of that channel whose visit before was in it too",
        rules=f"channels: {', '.join(names)}; events of others are not looked at. Nothing more came: neither the goal "
        f"nor any event of the customer in the {spelled(within)} after the visit. "
        f"Intervals: 95 %, allowing for several visits "
        f"per customer; p: Holm over {family} changes. All changes together: within the channel of the visit. A "
        "difference is no effect: those who change may differ from those who stay",
    )
    words = {"channels": names, "visits": said[0], "outcome": said[1]}
    return Handoffs(counts=counts, small_cells=data.small_cells, definition=card, **words)
