"""Sequences of touchpoints that one group of customers shows more than another, at the same length of journey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Sparse
from toolkit.errors import MissingData, UsageError, one_of, several
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import session_starts
from toolkit.paths.common import THEN
from toolkit.paths.loops import in_words, with_interval
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.stats.many import adjust
from toolkit.stats.shares import wilson
from toolkit.stats.strata import pooled_odds
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

GAP = "30min"
LENGTHS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 17, 22, 29, 40, 60, 100])  # shortest journey of each stratum
CELLS = 2 * len(LENGTHS)
FEWEST = 20  # customers of both groups together, below which no sequence is compared
OUTCOME = ("converting", "other")
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceCounts(Additive):
    """What sequences of two groups add up to; a cell is a group and a stratum of journey length.

    Attributes:
        shown: customers who show a sequence, by sequence × CELLS + cell.
        people: CELLS int64 customers.
        neither: int64 customers in neither group, or without an event that counts.
    """

    shown: Sparse
    people: np.ndarray
    neither: int


def count_differences(
    part: Part, *, by: str | None, pair: tuple[int, ...], goal: tuple[int, ...], forced: tuple[int, ...]
) -> DifferenceCounts:
    """Counts who shows which two or three touchpoints one right after the other, in sessions that begin in the period.

    Args:
        part: some customers.
        by: customer attribute of which `pair` are two codes; None = who converts, and the others.
        pair: codes of the two groups.
        goal: touchpoint codes of the conversion, which journeys end before; none unless it makes the groups.
        forced: touchpoint codes that a conversion needs; no part of the length, or little else would fit into it.
    """
    table, v = part.table, len(part.words("touchpoint"))
    code, owner = (column.astype(np.int64) for column in (table["touchpoint"], table.customer))
    first = session_starts(table, duration(GAP))
    starts = np.flatnonzero(first)
    seen = np.repeat(part.anchored(table.time[starts]), np.diff(starts, append=len(table))) & (code >= 0)
    present = int((table.per_customer(seen) > 0).sum())
    if by is None:
        met = np.flatnonzero(np.isin(code, goal) & part.anchored(table.time))[::-1]
        done = np.full(len(part), NEVER)
        done[owner[met]] = table.time[met]
        group = np.where(done < NEVER, 0, 1)
        seen &= (table.time < done[owner]) & ~np.isin(code, goal)
    else:
        group = np.select([part.attributes[by] == word for word in pair], (0, 1), -1)
    length = table.per_customer(seen & ~np.isin(code, forced))
    compared = (group >= 0) & (table.per_customer(seen) > 0)
    cell = group * len(LENGTHS) + np.searchsorted(LENGTHS, length, side="right") - 1
    two = seen & ~first & compared[owner]
    two[1:] &= seen[:-1]
    three = two.copy()
    three[1:] &= two[:-1]
    pairs, ends = np.flatnonzero(two), np.flatnonzero(three)
    key = np.append(code[pairs - 1] * v + code[pairs], (code[ends - 2] * v + code[ends - 1]) * v + code[ends] + v * v)
    size = v**3 + v**2
    both = np.sort(np.append(owner[pairs], owner[ends]) * size + key)
    who, key = np.divmod(both[np.append(True, np.diff(both) != 0)[: len(both)]], size)
    people = np.bincount(cell[compared], minlength=CELLS)
    return DifferenceCounts(
        shown=Sparse.of(key * CELLS + cell[who], np.ones((len(key), 1), np.int64)),
        people=people,
        neither=present - int(people.sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingPaths(Result):
    """Which sequences one group shows more than the other.

    Attributes:
        counts: what was counted.
        names: touchpoints, in the order of the codes.
        groups: names of the two groups.
        forced: touchpoints that lie on the way to every conversion, where that makes the groups.
        least: share of the customers who must show a sequence.
        small_cells: shares of fewer customers are not shown.
        definition: the card.
    """

    counts: DifferenceCounts
    names: tuple[str, ...]
    groups: tuple[str, str]
    forced: tuple[str, ...]
    least: float
    small_cells: int
    definition: Definition

    shown_rows: ClassVar = 15

    @property
    def columns(self) -> dict[str, str]:
        """Headers that name the groups."""
        one, other = self.groups
        return {"first_share": one, "second_share": other, "odds": f"odds, {one} to {other}"}

    def rows(self) -> list[dict]:
        """One row per sequence that enough customers show, clearest difference first.

        Columns: the sequence, customers who show it, share of each group, odds ratio at the same journey length,
        adjusted p, whether it holds a step of every conversion (such sequences stand last, without p).
        """
        keys, by_cell = self._enough()
        people, paths = self.counts.people.reshape(2, -1), [self._path(key) for key in keys.tolist()]
        shown, total = by_cell.sum(axis=2), people.sum(axis=1)
        margins = by_cell[:, 0].T, by_cell.sum(axis=1).T, people[0][:, None], people.sum(axis=0)[:, None]
        odds, forced = (
            pooled_odds(*margins),
            np.array([bool({*path} & {*self.forced}) for path in paths], bool),
        )
        p = adjust(np.where(forced, np.nan, odds.p), "bh").p
        shares = shown / np.maximum(total, 1), *wilson(shown, np.broadcast_to(total, shown.shape))
        few = (shown > 0) & (shown < self.small_cells)
        one, other = (tuple(np.where(few, np.nan, ends)[:, group] for ends in shares) for group in (0, 1))
        ratio = [np.where(few.any(axis=1), np.nan, ends) for ends in odds]
        rows = [
            {"sequence": THEN.join(path), "n_customers": int(shown[i].sum())}
            | with_interval("first_share", one, i)
            | with_interval("second_share", other, i)
            | with_interval("odds", ratio, i)
            | {"p_adjusted": float(p[i]), "on_the_way": bool(forced[i])}
            for i, path in enumerate(paths)
        ]
        return sorted(rows, key=lambda row: (row["on_the_way"], np.nan_to_num(row["p_adjusted"]), row["sequence"]))

    def _enough(self) -> tuple[np.ndarray, np.ndarray]:
        """Sequences that enough customers show, and customers by sequence, group and stratum."""
        key, cell = np.divmod(self.counts.shown.keys, CELLS)
        keys, place = np.unique(key, return_inverse=True)
        by_cell = np.zeros((len(keys), CELLS), np.int64)
        by_cell[place, cell] = self.counts.shown.counts[:, 0]
        kept = by_cell.sum(axis=1) >= max(self.least * self.counts.people.sum(), FEWEST, self.small_cells)
        return keys[kept], by_cell[kept].reshape(-1, 2, len(LENGTHS))

    def _path(self, key: int) -> list[str]:
        v = len(self.names)
        codes = [key] if key < v * v else [*divmod(key - v * v, v)][::-1]
        return [self.names[code] for code in (*divmod(codes[-1], v), *codes[:-1])]

    @property
    def ledger(self) -> dict[str, int]:
        """Customers of the two groups and of neither; together everyone seen in the period."""
        one, other = self.counts.people.reshape(2, -1).sum(axis=1).tolist()
        return {"first": one, "second": other, "neither": self.counts.neither, "all": one + other + self.counts.neither}

    def say(self) -> list[str]:
        """How many sequences differ, and the clearest of them."""
        rows, locale = [row for row in self.rows() if not row["on_the_way"]], self.definition.locale
        if not rows:
            return ["No sequence is shown by enough customers of the two groups."]
        clear, (one, other) = [row for row in rows if row["p_adjusted"] < 0.05], self.groups
        n, many = (show_number(len(some), "count", locale) for some in (rows, clear))
        said = [
            f"{many if clear else 'None'} of {n} sequences differ between {one} and {other} customers beyond chance, "
            "at the same length of journey."
        ]
        if clear and clear[0]["odds"] == clear[0]["odds"]:
            row = clear[0]
            first, second, odds = (in_words(row, key, locale) for key in ("first_share", "second_share", "odds"))
            said.append(
                f"Clearest: {row['sequence']}, shown by {first} of {one} and {second} of {other} customers; at the "
                f"same length of journey the odds are {odds} to 1."
            )
        return said


def differing_paths(
    data: Data,
    *,
    by: str | None = None,
    groups: tuple[str, str] | None = None,
    goal: Sequence[str] | None = None,
    least: float = 0.01,
) -> DifferingPaths:
    """Sequences of two or three touchpoints that one group of customers shows more than another.

    Args:
        data: the study; `between` sets the period in which the sessions begin.
        by: customer attribute or label; left out: customers who convert, up to their first conversion, and the others.
        groups: the two values of `by` to compare; not needed where it has just two.
        goal: touchpoints that are the conversion; the catalogue's purchases when left out.
        least: share of the customers who must show a sequence for it to be compared, 0–1.

    Returns:
        One row per sequence.

    Raises:
        MissingData: the study has no such attribute, or no conversion is known.
        UsageError: the attribute is unknown, or does not give two groups.

    Method:
        Touchpoints one right after the other within a session (30 minutes), counted once per customer. Odds ratio
        pooled over strata of journey length (`pooled_odds`: Mantel and Haenszel), p two-sided, Benjamini–Hochberg.

    Example:
        >>> import toolkit as tk
        >>> found = tk.differing_paths(tk.open_data(tk.make_data(400, rng=1)), by="country", groups=("DK", "SE"))
        >>> found.ledger["first"] > found.ledger["second"]
        True
    """
    need_events(data, "differing paths")
    names = data.vocabulary("touchpoint")
    if groups and by is None:
        raise UsageError(f"groups is {tuple(groups)!r}, and by is left out: name the attribute they are values of.")
    pair, goals, forced = _pair(data, by, groups), (), ()
    if by is None:
        goals = several(goal or data.catalogue.names_with_role("purchase", names))
        forced = tuple(name for role in ("cart", "checkout") for name in data.catalogue.names_with_role(role, names))
        if not goals:
            raise MissingData("differing paths", "touchpoint known as a purchase", "a catalogue.toml that places it")
    codes = tuple(data.vocabulary(by, "customers").index(word) for word in pair) if by else ()
    counts = run(data, count_differences, by=by, pair=codes, goal=data.codes(goals), forced=data.codes(forced))
    cut = f"; journeys end before the first {' or '.join(goals)}, with all of its moment" if goals else ""
    card = data.definition(
        "Differing paths" + (f" by {by}" if by else ": converting and other customers"),
        unit="customer",
        population=f"{pair[0]} and {pair[1]} customers with an event in the sessions that begin in the period",
        window=f"a session: a pause of more than {GAP} begins a new one",
        denominator="customers of the group",
        rules=f"sequences of two or three touchpoints, one right after the other, that at least {least:.3g} of the "
        f"customers and {FEWEST} show{cut}. Shares: Wilson, 95 %. Odds: pooled over strata of journey length "
        "(events), Mantel–Haenszel, 95 %, not adjusted; p: of that interval, Benjamini–Hochberg over the sequences. A "
        "difference is no effect"
        + (f"; {' and '.join(forced)} lie on the way to it: no p, no part of the length" if forced else ""),
    )
    words = {"names": names, "groups": pair, "forced": forced, "least": least}
    return DifferingPaths(counts=counts, small_cells=data.small_cells, definition=card, **words)


def _pair(data: Data, by: str | None, groups: tuple[str, str] | None) -> tuple[str, str]:
    """The names of the two groups."""
    if by is None:
        return OUTCOME
    known = [name.split(".", 1)[1] for name in data.vocabularies if name.startswith("customers.")]
    if not known:
        raise MissingData(f"differing paths by {by}", f"customers with {by}", "the CRM's customer export")
    if by not in known:
        raise one_of("by", by, known)
    words = data.vocabulary(by, "customers")
    chosen = tuple(groups or words)
    for word in chosen:
        if word not in words:
            raise one_of(by, word, words)
    if len(set(chosen)) != 2:
        raise UsageError(
            f"{by} gives {len(set(chosen))} groups; name two of them with groups=(…, …): {', '.join(words)}."
        )
    return chosen
