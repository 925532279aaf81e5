"""Funnels: how far customers get through ordered steps, who is still on the way, and how groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.counts import BUCKETS, Additive, Tally, distinct_per_key
from toolkit.errors import MissingData, UsageError, one_of
from toolkit.funnels.chains import NOWHERE, Search, chains, matured, step_rows, units
from toolkit.funnels.result import Funnel
from toolkit.funnels.rules import ENTRIES, FunnelRules, in_words, search_for
from toolkit.funnels.ties import tied
from toolkit.results import Definition
from toolkit.schema import TABLES
from toolkit.shown import show_number
from toolkit.study.clock import spelled
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import JourneyTable, Part

MOST_CELLS = 4_096  # groups times steps where counts are kept by bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelCounts(Additive):
    """What a funnel adds up to; g groups (the last one: unknown), k steps, units: customers, sessions or attempts.

    Attributes:
        seen: int64 units with any event in the period; attempts in all.
        reached: g × k int64 units that reached each step, all entries.
        matured: the same over entries that had the whole window.
        by_bucket: 1,024 × g × k int64, the matured by bucket; empty where the unit is the customer.
        customers: g × 2 int64 different customers who entered, and with a matured entry.
        pending: g int64 units not through whose latest entry still has time.
        tied: int64 customers or sessions whose outcome hangs on the order of events of one moment.
        waits: tally of seconds; group j: step j since the step before, group k + j: since the entry.
        waited: 2k int64 milliseconds in all, of the same groups.
    """

    seen: int
    reached: np.ndarray
    matured: np.ndarray
    by_bucket: np.ndarray
    customers: np.ndarray
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
    rows = step_rows(part, search)
    found = chains(rows, search)
    ripe, young = matured(part, rows, search, found)
    waiting = found[young & (found[:, -1] == NOWHERE)]
    group, groups = _groups(part, by)
    found, ripe = (some[some[:, 0] != NOWHERE] for some in (found, ripe))
    keys = [group(some[:, 0]) for some in (found, ripe)]
    by_step = [_by_step(some, key, groups) for some, key in zip((found, ripe), keys, strict=True)]
    customers = [counts[:, 0] for counts in by_step]
    by_bucket = np.zeros((0, groups, 1), np.int64)
    if search.clustered:
        owners = [part.table.customer[some[:, 0]] for some in (found, ripe)]
        customers = [distinct_per_key(*owned, groups) for owned in zip(owners, keys, strict=True)]
        by_bucket = _by_step(ripe, part.bucket[owners[1]] * groups + keys[1], BUCKETS * groups)
        by_bucket = by_bucket.reshape(BUCKETS, groups, -1)
    return FunnelCounts(
        seen=len(found) if search.entry == "every" else _seen(part, search),
        reached=by_step[0],
        matured=by_step[1],
        by_bucket=by_bucket,
        customers=np.column_stack(customers),
        pending=np.bincount(group(waiting[:, 0]), minlength=groups),
        tied=_tied(rows, search, found),
        **_waits(part.table.time, found),
    )


def _seen(part: Part, search: Search) -> int:
    """Units with any event in the period."""
    running = np.append(0, np.cumsum(part.anchored(part.table.time)))
    return int((np.diff(running[units(part, search)]) > 0).sum())


def _groups(part: Part, by: str | None):
    """A function from entry rows to group codes, and how many groups there are."""
    if by is None:
        return lambda rows: np.zeros(len(rows), np.int64), 1
    own = bool(part.words(by, "customers"))
    size = len(part.words(by, "customers" if own else "events"))

    def group(rows: np.ndarray) -> np.ndarray:
        codes = part.attributes[by][part.table.customer[rows]] if own else part.table[by][rows]
        return np.where(codes < 0, size, codes).astype(np.int64)

    return group, size + 1


def _by_step(found: np.ndarray, key: np.ndarray, size: int) -> np.ndarray:
    """Units by key and step reached."""
    return np.column_stack([np.bincount(key[column != NOWHERE], minlength=size) for column in found.T])


def _tied(rows: JourneyTable, search: Search, found: np.ndarray) -> int:
    """Units whose outcome, the steps taken and in how many attempts, is another under the other rule for ties."""
    some = rows.of(tied(rows))
    if not len(some):
        return 0
    other = chains(some, replace(search, ties="file" if search.ties == "favour" else "favour"))
    outcomes = []
    for chain in (found, other[other[:, 0] != NOWHERE]):
        place = np.minimum(np.searchsorted(some["row"], chain[:, 0]), len(some) - 1)
        chain, place = (each[some["row"][place] == chain[:, 0]] for each in (chain, place))
        unit = some.customer[place]
        outcomes.append([np.bincount(unit, weights, len(some.sizes)) for weights in (None, (chain >= 0).sum(axis=1))])
    return int((np.array(outcomes[0]) != np.array(outcomes[1])).any(axis=0).sum())


def _waits(time: np.ndarray, found: np.ndarray) -> dict[str, Tally | np.ndarray]:
    k, before = found.shape[1], found[:, 0]
    spent = [np.zeros(0, np.int64)] * 2 * k
    for step in range(1, k):
        there = found[:, step] != NOWHERE
        for group, since in ((step, before), (k + step, found[:, 0])):
            spent[group] = time[found[there, step]] - time[since[there]]
        before = np.where(there, found[:, step], before)
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
        rules: entry, order, ties, unit, exclusions, optional steps; the defaults of `FunnelRules` when left out.

    Returns:
        Without `by` one row per step: units so far, and rates of matured entries (those that had the whole window) with
        Wilson intervals; where a customer may have several units (sessions, attempts), clustered by customer. With
        `by` one row per group: its conversion and the difference from the rest (Newcombe; p adjusted by Holm).

    Raises:
        MissingData: no steps were given and the catalogue finds none.
        UsageError: a step does not occur, there are not 2 to 64 of them, or nothing to break down by of that name.

    Method:
        Entry "best": for each step the latest entry among chains that reached it, one pass (METHODS in docs). A unit
        that did not convert is pending while any entry is younger than the window, and matured rates leave young
        entries out, converters included.

    Example:
        >>> import toolkit as tk
        >>> data = tk.open_data(tk.make_data(200, rng=1))
        >>> [row["step"] for row in tk.funnel(data, ["cart", "purchase"]).rows()]
        ['cart', 'purchase']
    """
    rules = rules or FunnelRules()
    search, names = search_for(data, steps, within, rules)
    _can_divide(data, by)
    words = () if by is None else (data.vocabulary(by, "customers") or data.vocabulary(by))
    if search.clustered and (len(words) + 1) * len(names) > MOST_CELLS:
        most = f"a funnel by {rules.counted} takes {MOST_CELLS // len(names) - 1:,} at most"
        raise UsageError(f"{by} has {len(words):,} values; {most}. Choose a coarser one.")
    other = replace(search, entry="first" if search.entry == "best" else "best")
    asked = [search, other, *([replace(search, optional=())] if search.optional and by is None else [])]
    counts, others, *whole = (run(data, count_funnel, search=each, by=by) for each in asked)
    each = f" of each {rules.unit}" if search.entry == "every" else ""
    found = Funnel(
        counts=counts,
        other=others,
        other_entry=ENTRIES[other.entry] + each,
        whole=whole[0] if whole else None,
        optional=search.optional,
        steps=names,
        unit=rules.counted,
        by=by,
        words=words,
        small_cells=data.small_cells,
        definition=_card(data, within, rules, search, by),
    )
    notes = _guards(counts, within, rules, data)
    card = replace(found.definition, notes=tuple(notes))
    tests = f" ({found.family} tests)" if by else ""
    return replace(found, definition=replace(card, rules=card.rules + tests))


def _card(data: Data, within: str, rules: FunnelRules, search: Search, by: str | None) -> Definition:
    each = rules.counted
    steps = (
        f"of entered: matured entries; of previous: those at the step before; of all: every {each} seen in the period"
    )
    how = "Intervals: " + ("Wilson" if each == "customer" else "Wilson, clustered by customer") + ", 95 %"
    if by is None:
        how += "; times: all chains, matured or not"
    else:
        how += "; difference from the rest: Newcombe, 95 %, not adjusted; p: of that interval, Holm over the groups"
    return data.definition(
        f"Funnel{f' by {by}' if by else ''}{rules.short}",
        unit=each,
        population=f"{each}s whose entry lies in the period; rates: entries that had the whole window (matured)",
        window=f"{spelled(within)} from entry, inclusive; steps may fall after the period",
        denominator="matured entries of the group" if by else steps,
        rules=f"{in_words(rules, search)}. {how}",
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


def _guards(counts: FunnelCounts, within: str, rules: FunnelRules, data: Data) -> list[str]:
    notes = []
    if counts.reached.sum() and not counts.matured.sum():
        notes.append(f"No entry had the whole window of {within} before observation ended, so no rate is known yet.")
    elif not counts.reached.sum():
        notes.append(f"No {rules.unit} entered in the period.")
    if counts.tied:
        n = show_number(counts.tied, "count", data.locale)
        notes.append(f"For {n} {rules.unit}s the outcome hangs on the order of events of one moment.")
    return notes
