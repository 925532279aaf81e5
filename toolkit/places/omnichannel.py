"""One journey over many channels: how many customers use several, how often they change, and who is on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, by_bucket
from toolkit.errors import MissingData
from toolkit.intake.identity import RULES
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import session_starts
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.shares import share_of, wilson
from toolkit.study.clock import duration
from toolkit.study.data import Data, View
from toolkit.study.engine import run
from toolkit.study.table import Part

MOST = 9  # channels of a customer; more stand together
WAYS = ("channel", "device")
COUNTED = ("sessions", "mixed", "followed", "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class OmnichannelCounts(Additive):
    """What the use of channels adds up to.

    Attributes:
        used: 2 × 2 × 10 int64 customers seen in the period, by way (channel, device), whether they converted in it, and
            number of channels or devices (0: unknown; 9: or more).
        sessions: 1,024 × 2 int64 sessions that begin in the period with a known channel (device).
        mixed: 1,024 × 2 int64 of these, with events in more than one.
        followed: 1,024 × 2 int64 sessions with one before, the first event of both known.
        changed: 1,024 × 2 int64 of these, in another channel (on another device) than the one before.
    """

    used: np.ndarray
    sessions: np.ndarray
    mixed: np.ndarray
    followed: np.ndarray
    changed: np.ndarray


def count_omnichannel(part: Part, *, gap: int, goal: Sequence[int]) -> OmnichannelCounts:
    """Counts channels and devices of customers and of their sessions.

    Args:
        part: some customers.
        gap: longest pause within a session, µs.
        goal: touchpoint codes that are the conversion.
    """
    table = part.table
    inside = part.anchored(table.time)
    seen = table.per_customer(inside) > 0
    converted = table.per_customer(inside & np.isin(table["touchpoint"], goal)) > 0
    starts = np.flatnonzero(session_starts(table, gap))
    found = [_way(part, way, inside, starts) for way in WAYS]
    used = [
        np.bincount(converted[seen] * (MOST + 1) + number[seen], minlength=2 * (MOST + 1)).reshape(2, -1)
        for number, *_ in found
    ]
    mine, bucket = part.anchored(table.time[starts]), part.bucket[table.customer[starts]]
    flags = zip(*(flags for _, *flags in found), strict=True)
    columns = [np.column_stack([by_bucket(bucket[mine & flag])[:, 0] for flag in both]) for both in flags]
    return OmnichannelCounts(used=np.stack(used), **dict(zip(COUNTED, columns, strict=True)))


def _way(part: Part, way: str, inside: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Number of channels (devices) per customer, and four flags per session as `COUNTED` names them."""
    table, size = part.table, len(part.words(way))
    if not size or not len(table):
        nothing = np.zeros(len(starts), bool)
        return (np.zeros(len(table.sizes), np.int64), *[nothing] * 4)
    code = table[way]
    number = _distinct(table.customer, code, inside & (code >= 0), len(table.sizes), size)
    session = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(table))))
    within = _distinct(session, code, code >= 0, len(starts), size)
    first = code[starts]
    before = np.append(-1, first[:-1])[: len(first)]
    known = ~table.first[starts] & (first >= 0) & (before >= 0)
    return np.minimum(number, MOST), within > 0, within > 1, known, known & (first != before)


def _distinct(owner: np.ndarray, code: np.ndarray, counted: np.ndarray, owners: int, size: int) -> np.ndarray:
    """How many different codes each owner has."""
    met = np.zeros(owners * size, bool)
    met[owner[counted].astype(np.int64) * size + code[counted]] = True
    return met.reshape(owners, size).sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnichannel(Result):
    """How customers move over channels and devices.

    Attributes:
        counts: what was counted.
        small_cells: groups of fewer customers are not shown.
        definition: the card.
    """

    counts: OmnichannelCounts
    small_cells: int
    definition: Definition

    columns: ClassVar = {"found_share": "share", "n_of": "of"}

    def rows(self) -> list[dict]:
        """One row per figure that is known: its share with interval, and of how many customers or sessions."""
        several = self._several()
        sessions = clustered_rate(self.counts.mixed, self.counts.sessions)
        changes = clustered_rate(self.counts.changed, self.counts.followed)
        found = []
        for i, way in enumerate(WAYS):
            customers = int(self.counts.used[i, :, 1:].sum())
            begun, followed = int(self.counts.sessions[:, i].sum()), int(self.counts.followed[:, i].sum())
            found += [
                _row(f"customers who use two or more {way}s", several, i, customers),
                _row(f"sessions with two or more {way}s", sessions, i, begun),
                _row(f"sessions in another {way} than the one before", changes, i, followed),
            ]
        return [row for row in found if row["n_of"] >= max(self.small_cells, 1)]

    def _several(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of customers with two or more, of those with one or more, by way."""
        by_number = self.counts.used.sum(axis=1)
        count, n = by_number[:, 2:].sum(axis=1), by_number[:, 1:].sum(axis=1)
        return (count / np.where(n > 0, n, np.nan), *wilson(count, n))

    def by_number(self) -> list[dict]:
        """One row per number of channels: customers, their share, and the share of them that converted."""
        missed, converted = self.counts.used[0]
        n = missed + converted
        low, high = wilson(converted, n)
        least, most = wilson(n, np.full(len(n), n[1:].sum()))
        return [
            {
                "n_channels": i,
                "n_customers": int(n[i]),
                "customer_share": float(n[i] / n[1:].sum()),
                "customer_share_low": float(least[i]),
                "customer_share_high": float(most[i]),
                "converted_rate": float(converted[i] / n[i]),
                "converted_rate_low": float(low[i]),
                "converted_rate_high": float(high[i]),
            }
            for i in range(1, MOST + 1)
            if n[i] >= max(self.small_cells, 1)
        ]

    @property
    def ledger(self) -> dict[str, int]:
        """Customers of one channel, of several, and those whose channel is unknown; together everyone seen."""
        by_number = self.counts.used[0].sum(axis=0)
        one, several = int(by_number[1]), int(by_number[2:].sum())
        return {"one": one, "several": several, "unknown": int(by_number[0]), "all": int(by_number.sum())}

    @property
    def headline(self) -> dict:
        """The share of customers on two or more channels."""
        row = _row("", self._several(), 0, int(self.counts.used[0, :, 1:].sum()))
        return {"what": "customers who use two or more channels", **{k: v for k, v in row.items() if k != "figure"}}

    def say(self) -> list[str]:
        """How many use several channels, and how often the next session is in another."""
        rows, locale = {row["figure"]: row for row in self.rows()}, self.definition.locale
        said = []
        if row := rows.get("customers who use two or more channels"):
            n = show_number(row["n_of"], "count", locale)
            said.append(f"{_shown(row, locale)} of the {n} customers use two or more channels.")
        if row := rows.get("sessions in another channel than the one before"):
            said.append(f"{_shown(row, locale)} of the sessions that follow another begin in another channel.")
        return said or ["How many channels customers use is not known: too few events name one."]


def _row(figure: str, rates: tuple[np.ndarray, ...], i: int, n: int) -> dict:
    ends = ("", "_low", "_high")
    return {"figure": figure, **{f"found_share{e}": float(r[i]) for e, r in zip(ends, rates, strict=True)}, "n_of": n}


def _shown(row: dict, locale: str) -> str:
    bounds = row["found_share_low"], row["found_share_high"]
    band = show_interval(row["found_share"], bounds, "rate", locale)
    return f"{show_number(row['found_share'], 'rate', locale)} ({band})"


def omnichannel(data: Data, *, gap: str = "30min") -> Omnichannel:
    """How many customers use several channels and devices, and how often they change between sessions.

    Args:
        data: the study; `between` sets the period of the events and of the beginning of sessions.
        gap: longest pause within a session.

    Returns:
        One row per figure. `.by_number()` has the customers by number of channels.

    Raises:
        MissingData: the events name no channel.

    Example:
        >>> import toolkit as tk
        >>> tk.omnichannel(tk.open_data(tk.make_data(200, rng=1))).rows()[0]["figure"]
        'customers who use two or more channels'
    """
    need_events(data, "the use of several channels")
    if not data.vocabulary("channel"):
        raise MissingData("The use of several channels", "channel in events", "a column channel in events")
    goal = data.codes(data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint")))
    return Omnichannel(
        counts=run(data, count_omnichannel, gap=duration(gap), goal=goal),
        small_cells=data.small_cells,
        definition=data.definition(
            "Several channels",
            unit="customer or session, as named",
            population="customers seen in the period with a known channel (device); sessions that begin in it",
            window=f"a pause of more than {gap} begins a new session",
            denominator="the customers or sessions named in the row",
            rules="A session has the channel (device) of its first event. Intervals: Wilson, 95 %, for sessions "
            "allowing for customers with several. Whoever stays longer meets more channels: the share that converts by "
            "number of channels is no effect of them",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitching(Result):
    """How much the results hang on whose events are taken to be whose.

    Attributes:
        found: rule → several channels counted under it; one rule only where all events name a customer.
        facts: what the store saw: devices, shared, nameless events, given (by rule).
        definition: the card.
    """

    found: dict[str, Omnichannel]
    facts: dict[str, dict]
    definition: Definition

    columns: ClassVar = {
        "several_share": "on two or more channels",
        "converted_rate": "converted",
        "shared_share": "of several customers",
    }

    def rows(self) -> list[dict]:
        """One row per rule: events given a customer, customers seen, share on several channels, share converted."""
        rows = []
        for rule, result in self.found.items():
            used = result.counts.used[0]
            n, converted = int(used.sum()), share_of(int(used[1].sum()), int(used.sum()))
            head, bounds = result.headline, converted.interval()
            shared = share_of(self.facts[rule]["shared"], self.facts[rule]["devices"])
            rows.append(
                {
                    "events without a customer": rule or "left out",
                    "n_given": self.facts[rule]["given"],
                    "n_customers": n,
                }
                | {f"several{end}": head[f"found{end}"] for end in ("_share", "_share_low", "_share_high")}
                | {"converted_rate": converted.rate, "converted_rate_low": bounds[0], "converted_rate_high": bounds[1]}
                | {"n_devices": shared.n, "shared_share": shared.rate}
                | dict(zip(("shared_share_low", "shared_share_high"), shared.interval()[:2], strict=True))
            )
        return rows

    @property
    def shared(self):
        """Share of the devices that several customers used."""
        facts = self.facts[""]
        return share_of(facts["shared"], facts["devices"])

    def say(self) -> list[str]:
        """How far the rules lie apart, and how many devices are shared."""
        rows, locale = self.rows(), self.definition.locale
        said = ["Every event that has a device names its customer, so nothing hangs on how devices are read."]
        if len(rows) > 1:
            shares = sorted(row["several_share"] for row in rows)
            ends = " to ".join(show_number(share, "rate", locale) for share in (shares[0], shares[-1]))
            n = show_number(self.facts[""]["nameless"], "count", locale)
            said = [
                f"Depending on whom the {n} events without a customer are given to, the share of customers on two or "
                f"more channels is {ends}: quote the rule with the share."
            ]
        shared, devices = self.shared, show_number(self.facts[""]["devices"], "count", locale)
        rate = show_number(shared.rate, "rate", locale)
        band = show_interval(shared.rate, shared.interval()[:2], "rate", locale)
        return [*said, f"Of the devices ({devices}), {rate} ({band}) were used by several customers."]


def stitching(data: Data, *, gap: str = "30min") -> Stitching:
    """How much results depend on how events without a customer are given one by their device.

    Args:
        data: the study as opened, in a period or not; opened again under each rule where events lack a customer.
        gap: longest pause within a session.

    Returns:
        One row per rule: left out, "live", "replay" (see `open_data`). `.shared` has the share of shared devices.

    Raises:
        MissingData: the events have no device_id.

    Example:
        >>> import toolkit as tk
        >>> tk.stitching(tk.open_data(tk.make_data(200, rng=1))).rows()[0]["events without a customer"]
        'left out'
    """
    need_events(data, "the reading of devices")
    if "identity" not in data.store.manifest:
        source = "a web analytics export with the browser's or app's own id"
        raise MissingData("The reading of devices", "device_id in events", source)
    nameless = data.store.manifest["identity"]["nameless"]
    opened = {"": data} if not nameless else {rule: data.again(identity=rule) for rule in RULES}
    period = View(period=data.view.period)
    found = {rule: omnichannel(replace(one, view=period), gap=gap) for rule, one in opened.items()}
    card = replace(
        found[""].definition,
        measure="Whose events are whose",
        denominator="customers seen in the period; devices of the whole study",
        rules="; ".join(f"{rule or 'left out'}: {said}" for rule, said in RULES.items()),
        seen_through="",
    )
    facts = {rule: one.store.manifest["identity"] for rule, one in opened.items()}
    return Stitching(found=found, facts=facts, definition=card)
