"""Funnels: how far customers get through ordered steps, who is still on the way, and how groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.counts import Additive, Tally
from toolkit.errors import MissingData, one_of
from toolkit.funnels.chains import NOWHERE, Search, chains, step_rows
from toolkit.funnels.result import Funnel
from toolkit.funnels.rules import ENTRIES, TIES, FunnelRules, search_for
from toolkit.funnels.ties import tied
from toolkit.results import Definition
from toolkit.schema import TABLES
from toolkit.shown import show_number
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import JourneyTable, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelCounts(Additive):
    """What a funnel adds up to; g groups (the last one: unknown), k steps.

    Attributes:
        seen: int64 customers with any event in the period.
        reached: g × k int64 customers by deepest step reached, all entries.
        matured: the same over entries that had the whole window.
        pending: g int64 customers not through whose latest entry still has time.
        tied: int64 customers whose outcome hangs on the order of events of one moment.
        waits: tally of seconds; group j: step j since the step before, group k + j: since the entry.
        waited: 2k int64 milliseconds in all, of the same groups.
    """

    seen: int
    reached: np.ndarray
    matured: np.ndarray
    pending: np.ndarray
    tied: int
    waits: Tally
    waited: np.ndarray


def count_funnel(part: Part, *, search: Search, by: str | None) -> FunnelCounts:
    """Counts chains of one partition.

    Args:
        part: some customers.
        search: steps and rules.
        by: events column (its value at entry) or customer attribute; None = one group.
    """
    table = part.table
    matching = step_rows(part, search)
    found = chains(matching, search)
    matured, young = _matured(part, matching, search, found)
    group, groups = _groups(part, by)
    waiting = young & (found[:, -1] == NOWHERE)
    return FunnelCounts(
        seen=int((table.per_customer(part.anchored(table.time)) > 0).sum()),
        reached=_by_depth(found, group, groups),
        matured=_by_depth(matured, group, groups),
        pending=np.bincount(group(found[waiting, 0], waiting), minlength=groups),
        tied=_tied(matching, search, found),
        **_waits(table.time, found),
    )


def _matured(part: Part, matching: JourneyTable, search: Search, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chains over entries that had the whole window, and which customers have an entry that had not."""
    early = matching["entry"] & (matching.time > part.observed_until - search.window)
    young = matching.per_customer(early) > 0
    if not young.any():
        return found, young
    matured, again = found.copy(), matching.of(young)
    again["entry"][again.time > part.observed_until - search.window] = False
    matured[young] = chains(again, search)
    return matured, young


def _groups(part: Part, by: str | None):
    """A function from entry rows (and the mask of their customers) to group codes, and how many groups there are."""
    if by is None:
        return lambda rows, customers: np.zeros(len(rows), np.int64), 1
    own = bool(part.words(by, "customers"))
    size = len(part.words(by, "customers" if own else "events"))

    def group(rows: np.ndarray, customers: np.ndarray) -> np.ndarray:
        codes = part.attributes[by][customers] if own else part.table[by][rows]
        return np.where(codes < 0, size, codes).astype(np.int64)

    return group, size + 1


def _by_depth(found: np.ndarray, group, groups: int) -> np.ndarray:
    """Customers by group and deepest step reached."""
    k, entered = found.shape[1], found[:, 0] >= 0
    depth = (found[entered] >= 0).sum(axis=1)
    key = group(found[entered, 0], entered) * k + depth - 1
    return np.bincount(key, minlength=groups * k).reshape(groups, k)


def _tied(matching: JourneyTable, search: Search, found: np.ndarray) -> int:
    """Customers whose depth is another under the other rule for ties."""
    some = tied(matching)
    other = replace(search, ties="file" if search.ties == "favour" else "favour")
    return int(((chains(matching.of(some), other) >= 0).sum(axis=1) != (found[some] >= 0).sum(axis=1)).sum())


def _waits(time: np.ndarray, found: np.ndarray) -> dict[str, Tally | np.ndarray]:
    k = found.shape[1]
    spent = [np.zeros(0, np.int64)] * 2 * k
    for step in range(1, k):
        there = found[found[:, step] != NOWHERE]
        for group, since in ((step, step - 1), (k + step, 0)):
            spent[group] = time[there[:, step]] - time[there[:, since]]
    groups = np.repeat(np.arange(2 * k), [len(some) for some in spent])
    waited = np.array([(some // 1000).sum() for some in spent])  # µs of many customers would not fit
    return {"waits": Tally.of(groups, np.concatenate(spent) / 1e6), "waited": waited}


def funnel(
    data: Data,
    steps: Sequence | None = None,
    *,
    within: str = "7d",
    by: str | None = None,
    rules: FunnelRules | None = None,
) -> Funnel:
    """How far customers get through ordered steps within a window.

    Args:
        data: the study; `between` sets the period of the entry.
        steps: in order, at least two; each a touchpoint, a list of touchpoints (any of them), or a dict such as
            {"touchpoint": "checkout", "device": "mobile", "load_ms": ">= 3000"} (see `journeys.steps.steps_of`). Left
            out: the touchpoints with the catalogue's roles view, cart, checkout, purchase.
        within: longest time from entry to the last step, inclusive, such as "7d".
        by: events column, taken at entry, or customer attribute to break down by.
        rules: entry and ties.

    Returns:
        Without `by` one row per step: customers so far, and rates of matured entries (those that had the whole window)
        with Wilson intervals. With `by` one row per group: its conversion and the difference from the rest (Newcombe;
        p adjusted by Holm).

    Raises:
        MissingData: no steps were given and the catalogue finds none.
        UsageError: a step does not occur, there are not 2 to 64 of them, or nothing to break down by of that name.

    Method:
        Entry "best": for each step the latest entry among chains that reached it, one pass (METHODS in docs). A
        customer who did not convert is pending while any entry is younger than the window, and matured rates leave
        young entries out, converters included.

    Example:
        >>> import toolkit as tk
        >>> data = tk.open_data(tk.make_data(200, rng=1))
        >>> [row["step"] for row in tk.funnel(data, ["cart", "purchase"]).rows()]
        ['cart', 'purchase']
    """
    rules = rules or FunnelRules()
    search, names = search_for(data, steps, within, rules)
    _can_divide(data, by)
    other = replace(search, entry="first" if search.entry == "best" else "best")
    counts, others = (run(data, count_funnel, search=each, by=by) for each in (search, other))
    words = () if by is None else (data.vocabulary(by, "customers") or data.vocabulary(by))
    return Funnel(
        counts=counts,
        other=others,
        other_entry=ENTRIES[other.entry],
        steps=names,
        by=by,
        words=words,
        small_cells=data.small_cells,
        definition=_card(data, within, rules, by, _guards(counts, within, data)),
    )


def _card(data: Data, within: str, rules: FunnelRules, by: str | None, notes: list[str]) -> Definition:
    steps = "of entered: matured entries; of previous: those at the step before; of all: everyone seen in the period"
    groups = "matured entries of the group"
    how = "Intervals: Wilson, 95 %" + ("; times: all chains, matured or not" if by is None else "")
    if by is not None:
        how += "; difference from the rest: Newcombe, 95 %, not adjusted; p: of that interval, Holm over the groups"
    measure = "Funnel" + (f" by {by}" if by else "") + (", first entry" if rules.entry == "first" else "")
    return data.definition(
        measure,
        unit="customer",
        population="customers whose entry lies in the period; rates: entries that had the whole window (matured)",
        window=f"{within} from entry, inclusive; steps may fall after the period",
        denominator=groups if by else steps,
        rules=f"{ENTRIES[rules.entry]}; in order, others may lie between; {TIES[rules.ties]}. {how}",
        notes=tuple(notes),
    )


def _can_divide(data: Data, by: str | None) -> None:
    """Refuses a breakdown that is impossible: a canonical column that did not come is missing data."""
    columns = sorted(
        {name.split(".", 1)[1] for name in data.vocabularies if name.split(".")[0] in ("events", "customers")}
    )
    if by is None or by in columns:
        return
    if by in TABLES["events"] or by in TABLES["customers"]:
        table = "events" if by in TABLES["events"] else "customers"
        raise MissingData(f"A funnel by {by}", f"{by} in {table}", f"a column {by} in {table}")
    raise one_of("by", by, columns)


def _guards(counts: FunnelCounts, within: str, data: Data) -> list[str]:
    notes = []
    if counts.reached.sum() and not counts.matured.sum():
        notes.append(f"No entry had the whole window of {within} before observation ended, so no rate is known yet.")
    elif not counts.reached.sum():
        notes.append("No customer entered in the period.")
    if counts.tied:
        n = show_number(counts.tied, "count", data.locale)
        notes.append(f"For {n} customers the outcome hangs on the order of events of one moment.")
    return notes
