"""Loops: customers who come to the same touchpoint again, and who have to ask the service again."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Tally, by_bucket, distinct_per_key
from toolkit.errors import MissingData
from toolkit.journeys.coverage import need_events
from toolkit.results import Definition, Result
from toolkit.shown import kind_of, show_interval, show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.many import adjust
from toolkit.stats.rest import against_rest
from toolkit.study.clock import duration, spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

SERVICE = "customer service"  # the catalogue's family of contacts
AT_ONCE, LATER, REPEAT, REDO = (1, 2, 3), (4, 5, 6), (1, 4), (2, 5)  # kinds of LoopCounts.kinds
AGAIN = AT_ONCE + LATER


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCounts(Additive):
    """What loops add up to; v touchpoints.

    Attributes:
        kinds: 1,024 × v × 7 int32 visits that had the whole window: 0 not again; again at once in the same channel,
            another, unknown; later in the same channel, another, unknown.
        customers: v int64 different customers with such a visit.
        looping: v int64 different customers who came again.
        pending: v int64 visits whose window is not over.
        waits: tally of seconds until the next visit, by touchpoint.
    """

    kinds: np.ndarray
    customers: np.ndarray
    looping: np.ndarray
    pending: np.ndarray
    waits: Tally


def count_loops(part: Part, *, place: np.ndarray, window: int, cases: bool) -> LoopCounts:
    """Counts the visits of the period by whether the customer comes to the same place again.

    Args:
        part: some customers.
        place: place of each touchpoint code; −1 = not looked at.
        window: longest time until the next visit, µs, inclusive.
        cases: whether a visit within the window of the one before is left out, and a touchpoint stands for its channel
            where that is unknown.
    """
    table, v = part.table, len(place)
    code, owner, time = table["touchpoint"].astype(np.int64), table.customer, table.time
    here = np.append(place, -1)[code]  # an unknown touchpoint, −1, finds the last
    after = _next_visit(here, owner)
    again = (after >= 0) & (time[after] - time <= window)
    seen = (here >= 0) & part.anchored(time)
    if cases:
        seen[after[again]] = False
    over = time <= part.observed_until - window
    rows = np.flatnonzero(seen & over)
    came, then = again[rows], after[rows]
    kind = np.where(came, np.where(then == rows + 1, 1, 4) + _channel_kind(part, rows, then, cases), 0)
    bucket, again_rows = part.bucket[owner[rows]], rows[came]
    return LoopCounts(
        kinds=by_bucket(bucket, None, code[rows] * 7 + kind, v * 7).reshape(-1, v, 7).astype(np.int32),
        customers=distinct_per_key(owner[rows], code[rows], v),
        looping=distinct_per_key(owner[again_rows], code[again_rows], v),
        pending=np.bincount(code[seen & ~over], minlength=v),
        waits=Tally.of(code[again_rows], (time[then[came]] - time[again_rows]) / 1e6),
    )


def _next_visit(here: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For each row the customer's next one at the same place, −1 where there is none."""
    order = np.argsort(here.astype(np.int16), kind="stable")  # 16 bits are sorted by counting
    same = (np.diff(here[order]) == 0) & (np.diff(owner[order]) == 0)
    after = np.full(len(here), -1)
    after[order[:-1][same]] = order[1:][same]
    return after


def _channel_kind(part: Part, rows: np.ndarray, then: np.ndarray, cases: bool) -> np.ndarray:
    """0 the same channel, 1 another, 2 unknown."""
    unknown = np.full(len(part.table), -1, np.int16)
    channel, code = part.table.columns.get("channel", unknown), part.table["touchpoint"]
    one, other = channel[rows], channel[then]
    doubt = np.where(code[rows] != code[then], 1, 0) if cases else 2
    return np.where((one < 0) | (other < 0), doubt, one != other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops(Result):
    """Where customers come again.

    Attributes:
        counts: what was counted.
        names: touchpoints, in the order of the counts.
        within: the window in words.
        small_cells: touchpoints of fewer customers are not shown.
        definition: the card.
    """

    counts: LoopCounts
    names: tuple[str, ...]
    within: str
    small_cells: int
    definition: Definition

    shown_rows: ClassVar = 15
    columns: ClassVar = {
        "self_loop_rate": "again at once",
        "repetition_rate": "again later",
        "redo_share": "of these elsewhere",
        "again_rate_diff": "against the rest",
        "median_seconds": "until then (median)",
    }

    def rows(self) -> list[dict]:
        """One row per touchpoint, furthest above the rest first.

        Columns: customers, visits, rates of coming again at once and after something else, share of these in another
        channel, median time until then, difference of both rates together from all other touchpoints, adjusted p.
        """
        shown, kinds = self._shown(), self.counts.kinds
        rest = against_rest(kinds[..., list(AGAIN)].sum(axis=-1), kinds.sum(axis=-1))
        gap = [ends[shown] for ends in (rest.diff, rest.diff_low, rest.diff_high)]
        p, kinds = adjust(rest.p[shown], "holm").p, kinds[:, shown]
        at_once, later = _rates(kinds, AT_ONCE, range(7)), _rates(kinds, LATER, range(7))
        few = self.counts.looping[shown] < self.small_cells
        redo = [np.where(few, np.nan, ends) for ends in _rates(kinds, REDO, REPEAT + REDO)]
        median = self.counts.waits.quantile(0.5, groups=len(self.names))[shown]
        rows = [
            {"touchpoint": self.names[t], "n_customers": int(self.counts.customers[t])}
            | {"n_visits": int(kinds[:, i].sum())}
            | with_interval("self_loop_rate", at_once, i)
            | with_interval("repetition_rate", later, i)
            | with_interval("redo_share", redo, i)
            | {"median_seconds": float(median[i])}
            | with_interval("again_rate_diff", gap, i)
            | {"p_adjusted": float(p[i])}
            for i, t in enumerate(shown)
        ]
        return sorted(rows, key=lambda row: (-np.nan_to_num(row["again_rate_diff"]), row["touchpoint"]))

    def _shown(self) -> np.ndarray:
        return np.flatnonzero(self.counts.customers >= max(self.small_cells, 1))

    @property
    def ledger(self) -> dict[str, int]:
        """Visits that were followed by another one and that were not, hidden and pending ones; together all."""
        by_kind = self.counts.kinds.sum(axis=0, dtype=np.int64)
        shown, over, pending = by_kind[self._shown()], int(by_kind.sum()), int(self.counts.pending.sum())
        found = {"again": int(shown[:, 1:].sum()), "not again": int(shown[:, 0].sum())}
        return found | {"hidden": over - int(shown.sum()), "pending": pending, "all": over + pending}

    def say(self) -> list[str]:
        """Where customers come again most above the rest, and where they have to do it elsewhere."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return [f"No touchpoint has enough visits that are {spelled(self.within)} old."]
        clear = [row for row in rows if row["p_adjusted"] < 0.05 and row["again_rate_diff"] > 0]
        said = [
            f"No touchpoint is come to again within {spelled(self.within)} more often than the rest, beyond chance."
        ]
        if clear:
            more = f" {len(clear) - 1} more stand out." if len(clear) > 1 else ""
            diff = in_words(clear[0], "again_rate_diff", locale)
            said = [
                f"Of all visits, those to {clear[0]['touchpoint']} are most often followed by another one there within "
                f"{spelled(self.within)}: {diff} against the rest.{more}"
            ]
        elsewhere = max((r for r in rows if r["redo_share_low"] > 0), key=itemgetter("redo_share_low"), default=None)
        if elsewhere:
            share = in_words(elsewhere, "redo_share", locale)
            said.append(f"Of those who come to {elsewhere['touchpoint']} again, {share} do so in another channel.")
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedContacts(Loops):
    """Contacts with the service that are followed by another one; the counts are of first contacts."""

    columns: ClassVar = {"n_contacts": "first contacts", "median_seconds": "until then (median)"}

    def rows(self) -> list[dict]:
        """One row per touchpoint of the first contact, most customers first.

        Columns: first contacts, customers, rates of another contact in another channel and in the same, median time.
        """
        median = self.counts.waits.quantile(0.5, groups=len(self.names))
        return [
            {"first_contact": self.names[t], "n_contacts": int(self.counts.kinds[:, t].sum())}
            | {"n_customers": int(self.counts.customers[t])}
            | self._rates(self.counts.kinds[:, [t]])
            | {"median_seconds": float(median[t])}
            for t in sorted(self._shown(), key=lambda t: -self.counts.customers[t])
        ]

    def _rates(self, kinds: np.ndarray) -> dict[str, float]:
        kinds = kinds.sum(axis=1, keepdims=True)
        other, same = _rates(kinds, REDO, range(7)), _rates(kinds, REPEAT, range(7))
        return with_interval("other_channel_rate", other) | with_interval("same_channel_rate", same)

    @property
    def headline(self) -> dict:
        """Share of first contacts that are followed by one in another channel."""
        few = (
            self.counts.kinds.sum(axis=(1, 2)) > 0
        ).sum() < self.small_cells  # each filled bucket is a customer or more
        what = f"first contacts followed by one in another channel within {spelled(self.within)}"
        return (
            {"n_contacts": int(self.counts.kinds.sum())} | self._rates(self.counts.kinds * (not few)) | {"what": what}
        )

    def say(self) -> list[str]:
        """How often a contact is not the last, here and elsewhere."""
        row, locale = self.headline, self.definition.locale
        if row["other_channel_rate"] != row["other_channel_rate"]:
            return [f"Too few first contacts are {spelled(self.within)} old."]
        n = show_number(row["n_contacts"], "count", locale)
        other, same = (in_words(row, f"{which}_channel_rate", locale) for which in ("other", "same"))
        return [
            f"{other} of {n} first contacts with the service are followed by one in another channel within "
            f"{spelled(self.within)}, {same} by one in the same."
        ]


def loops(data: Data, *, within: str = "7d") -> Loops:
    """How often customers come to the same touchpoint again: at once or later, in the same channel or another.

    Args:
        data: the study; `between` sets the period of the visit that may be followed.
        within: longest time until the next visit, inclusive, such as "7d".

    Returns:
        One row per touchpoint that enough customers met.

    Raises:
        MissingData: the study has no events.

    Method:
        A visit is one event. Again at once: the customer's next event is at the same touchpoint; again later: something
        else comes between. Elsewhere (redo): in another channel. Against the rest: `against_rest`, p by Holm.

    Example:
        >>> import toolkit as tk
        >>> rows = tk.loops(tk.open_data(tk.make_data(200, rng=1))).rows()
        >>> 0 <= rows[0]["self_loop_rate"] <= 1
        True
    """
    need_events(data, "loops")
    names = data.vocabulary("touchpoint")
    counts = run(data, count_loops, place=np.arange(len(names)), window=duration(within), cases=False)
    family = int((counts.customers >= max(data.small_cells, 1)).sum())
    card = data.definition(
        "Loops",
        unit="visit (one event)",
        population="visits in the period whose window is over; the next visit may lie after the period",
        window=f"{spelled(within)} until the customer's next visit to the same touchpoint, inclusive",
        denominator="visits; elsewhere: visits that were followed by another one, both channels known",
        rules="again at once: the next event; again later: after something else. Events of one moment: input order. "
        "Intervals: 95 %, allowing for several visits per customer; against the rest: all other visits, p by Holm over "
        f"{family} touchpoints",
    )
    return Loops(counts=counts, names=names, within=within, small_cells=data.small_cells, definition=card)


def repeated_contacts(data: Data, *, within: str = "3d") -> RepeatedContacts:
    """How often a contact with the service is followed by another one, in another channel or in the same.

    Args:
        data: the study; `between` sets the period of the first contact.
        within: longest time until the next contact, inclusive, such as "3d".

    Returns:
        One row per touchpoint of the first contact; `headline` has all of them together.

    Raises:
        MissingData: no touchpoint is a contact by the catalogue.

    Method:
        A first contact has no other one within the window before it; the customer's next contact decides. Where a
        channel is unknown, another touchpoint counts as another channel.

    Example:
        >>> import toolkit as tk
        >>> tk.repeated_contacts(tk.open_data(tk.make_data(500, rng=1))).headline["other_channel_rate"] > 0.1
        True
    """
    names = data.vocabulary("touchpoint")
    contacts = [name for name in names if (place := data.catalogue.place(name)) and place.family == SERVICE]
    if not contacts:
        raise MissingData(
            "repeated contacts", f"touchpoints of {SERVICE}", "the helpdesk's export of calls, chats, mails"
        )
    place = np.where(np.isin(np.arange(len(names)), data.codes(contacts)), 0, -1)
    counts = run(data, count_loops, place=place, window=duration(within), cases=True)
    card = data.definition(
        "Repeated contacts",
        unit="first contact",
        population=f"contacts in the period ({', '.join(contacts)}) without another one in the "
        f"{spelled(within)} before, "
        "whose window is over",
        window=f"{spelled(within)} until the customer's next contact, inclusive; it may lie after the period",
        denominator="first contacts",
        rules="another channel: where a channel is unknown, another touchpoint. Intervals: 95 %, allowing for several "
        "contacts per customer. Why a customer comes again is not known: it may be another matter",
    )
    return RepeatedContacts(counts=counts, names=names, within=within, small_cells=data.small_cells, definition=card)


def in_words(row: dict, key: str, locale: str) -> str:
    """A rate or a difference of a row as text, with its interval."""
    kind = kind_of(key)
    band = show_interval(row[key], (row[f"{key}_low"], row[f"{key}_high"]), kind, locale)
    return f"{show_number(row[key], kind, locale)} ({band})"


def with_interval(name: str, ends, i: int = 0) -> dict[str, float]:
    """The cells of a value and its interval, from arrays of values, lows and highs."""
    return {f"{name}{end}": float(values[i]) for end, values in zip(("", "_low", "_high"), ends, strict=False)}


def _rates(kinds: np.ndarray, some, among) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of some kinds among others by touchpoint, with interval."""
    return clustered_rate(kinds[..., list(some)].sum(axis=-1), kinds[..., list(among)].sum(axis=-1))
