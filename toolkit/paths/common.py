"""Paths: touchpoints one right after the other, counted as short runs and as whole sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, Sparse
from toolkit.errors import UsageError, several
from toolkit.journeys.coverage import need_events
from toolkit.journeys.sessions import session_starts
from toolkit.journeys.transitions import END
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.shares import wilson
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

LENGTHS = range(2, 7)
LONGEST = 10  # touchpoints of a whole path; longer ones stand together
THEN = " > "
UNKNOWN = "(unknown)"
NOTHING = "(nothing)"
INTERVALS = "Intervals: Wilson, 95 %, allowing for customers who take a path several times"


@dataclass(frozen=True, slots=True)
class Walk:
    """The touchpoints of some customers as they are walked through.

    Attributes:
        code: touchpoint of each place, 1 … v, and v + 1 where it is unknown.
        owner: its customer.
        over: whether observation went on for longer than the gap after it; always, without a gap.
        starts: places at which a session (or journey) begins, ascending; ends: where each has ended.
        anchored: whether each began in the period.
    """

    code: np.ndarray
    owner: np.ndarray
    over: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    anchored: np.ndarray

    @classmethod
    def of(cls, part: Part, gap: int | None, repeats: bool) -> Walk:
        """Walks through a partition; without repeats, a touchpoint again at once is the same place."""
        table = part.table
        code = table["touchpoint"].astype(np.int32) + 1
        code[code == 0] = len(part.words("touchpoint")) + 1
        first, over, owner = table.first, np.ones(len(table), bool), table.customer
        if gap is not None:
            first, over = session_starts(table, gap), table.time <= part.observed_until - gap
        anchored = part.anchored(table.time[first])
        if not repeats:
            place = np.flatnonzero(first | np.append(True, code[1:] != code[:-1])[: len(code)])
            last = np.append(place[1:], len(code))[: len(place)] - 1
            code, owner, over, first = code[place], owner[place], over[last], first[place]
        starts = np.flatnonzero(first)
        return cls(code, owner, over, starts, np.append(starts[1:], len(code))[: len(starts)], anchored)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCounts(Additive):
    """How often each path was taken; v touchpoints, a path's key is the number whose digits to the base v + 2 they are.

    Attributes:
        paths: by path: how often; by how many different customers; and, summed over the customers, how often one took
            it and what follows is known, squared.
        after: by path × (v + 2) + what follows (0 is the end): how often; and, summed over the customers, how often
            with one, squared, and times how often it is known of the path.
        apart: int64 whole paths too long to have a key, and those not over yet.
    """

    paths: Sparse
    after: Sparse
    apart: np.ndarray


def count_common_paths(part: Part, *, length: int, gap: int | None, repeats: bool) -> PathCounts:
    """Counts runs of touchpoints within the sessions, or journeys, that begin in the period.

    Args:
        part: some customers.
        length: touchpoints of a run.
        gap: longest pause within a session, µs; None takes whole journeys.
        repeats: whether a touchpoint again at once counts again.
    """
    walk, base = Walk.of(part, gap, repeats), len(part.words("touchpoint")) + 2
    runs = np.maximum(walk.ends - walk.starts - (length - 1), 0) * walk.anchored
    until = np.cumsum(runs)
    first = np.repeat(walk.starts - until + runs, runs) + np.arange(runs.sum())
    key = np.zeros(max(len(walk.code) - length + 1, 0), np.int64)
    for step in range(length):
        key = key * base + walk.code[step : step + len(key)]
    following = np.append(walk.code, np.int32(0))[first + length]
    following[until[runs > 0] - 1] = 0
    return _counted(key[first], walk.owner[first], following, walk.over[first + length - 1], base)


def count_whole_paths(part: Part, *, goal: tuple[int, ...], gap: int | None, repeats: bool) -> PathCounts:
    """Counts the sessions, or journeys, that begin in the period by all their touchpoints up to the goal.

    Args:
        part: some customers.
        goal: touchpoint codes that are the conversion; what follows is the first of them, or the end.
        gap: longest pause within a session, µs; None takes whole journeys.
        repeats: whether a touchpoint again at once counts again.
    """
    walk, base = Walk.of(part, gap, repeats), len(part.words("touchpoint")) + 2
    goals = np.flatnonzero(np.isin(walk.code - 1, goal))
    reached = np.append(goals, len(walk.code))[np.searchsorted(goals, walk.starts)]
    size = np.minimum(reached, walk.ends) - walk.starts
    over, short = walk.over[walk.ends - 1], size <= longest(base - 2)
    told = walk.anchored & over & short
    first, size, reached = walk.starts[told], size[told], reached[told]
    key = np.zeros(len(first), np.int64)
    for step in range(size.max(initial=0)):
        on = size > step
        key[on] = key[on] * base + walk.code[first[on] + step]
    following = np.append(walk.code, np.int32(0))[reached] * (reached < walk.ends[told])
    apart = (walk.anchored & over & ~short).sum(), (walk.anchored & ~over).sum()
    return _counted(key, walk.owner[first], following, np.ones(len(key), bool), base, apart)


def _counted(key, owner, following, known, base: int, apart=(0, 0)) -> PathCounts:
    order = np.argsort(key.astype(np.min_scalar_type(int(key.max(initial=0)))), kind="stable")  # 16 bits are fast
    path, owner = key.take(order), owner.take(order)
    new = np.append(True, (path[1:] != path[:-1]) | (owner[1:] != owner[:-1]))[: len(path)]
    each, place = np.diff(np.flatnonzero(new), append=len(path)), np.cumsum(new) - 1  # one place per path and customer
    known, path = known.take(order), path[new]
    then, place = (place * base + following.take(order))[known], place[known]
    told = np.bincount(place, minlength=len(each))
    several = told[place] > 1  # only where a customer took a path again is there anything to sort
    again, often = _runs(np.sort(then[several]))
    then, often = np.append(then[~several], again), np.append(np.ones(len(then) - several.sum(), np.int64), often)
    place, code = np.divmod(then, base)
    return PathCounts(
        paths=Sparse.of(path, np.column_stack((each, np.ones_like(each), told**2))),
        after=Sparse.of(path[place] * base + code, np.column_stack((often, often**2, often * told[place]))),
        apart=np.array(apart, np.int64),
    )


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of sorted values, and how often each comes."""
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    return values[starts], np.diff(starts, append=len(values))


def longest(v: int) -> int:
    """Touchpoints of the longest path whose key, and what follows, fit an int64, among v different ones."""
    return min(LONGEST, int(63 / np.log2(v + 2)) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonPaths(Result):
    """The paths that customers take most.

    Attributes:
        counts: what was counted.
        names: touchpoints by code.
        length: touchpoints of a path; None = whole sessions or journeys.
        unit: "session" or "journey".
        small_cells: paths of fewer customers are not listed.
        definition: the card.
    """

    counts: PathCounts
    names: tuple[str, ...]
    length: int | None
    unit: str
    small_cells: int
    definition: Definition

    shown_rows: ClassVar = 15
    columns: ClassVar = {"n_times": "how often", "path_share": "of all", "next_share": "of matured"}

    def rows(self) -> list[dict]:
        """One row per path, most frequent first: how often, customers, share of all; then what comes of it.

        Whether a touchpoint comes again at once; of runs the most usual next step or end, and its share of those after
        which it is known (matured); of whole paths the share that goes on to the goal.
        """
        (keys, counts), total = self._listed(), self.ledger["all"]
        words, following, told = [END, *self.names, UNKNOWN], *self._after(keys)
        rates = self._rates(keys, following, told)
        rows = []
        for i, (times, customers) in enumerate(counts[:2].T.tolist()):
            codes = self._codes(int(keys[i]))
            row = {"path": THEN.join(words[code] for code in codes) or NOTHING, "n_times": times}
            row |= {"n_customers": customers, "path_share": times / total}
            row["again"] = any(code == then for code, then in pairwise(codes))
            if self.length:
                row |= {"next": words[following[i]] if told[i] else "", "n_matured": int(told[i])}
            name = "next_share" if self.length else "conversion_rate"
            row |= {f"{name}{end}": value for end, value in zip(("", "_low", "_high"), rates[i], strict=True)}
            rows.append(row)
        return rows

    def _listed(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys and counts (columns × paths) of the paths that enough customers took, most frequent first."""
        times, customers, _ = self.counts.paths.counts.T
        place = np.flatnonzero(customers >= max(self.small_cells, 1))
        place = place[np.argsort(-times[place], kind="stable")]
        return self.counts.paths.keys[place], self.counts.paths.counts[place].T

    def _codes(self, key: int) -> list[int]:
        codes = []
        while key:
            key, code = divmod(key, len(self.names) + 2)
            codes.append(code)
        return codes[::-1]

    def _after(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each path what follows most often (of whole ones: the end), and how often anything is known to."""
        path, code = np.divmod(self.counts.after.keys, len(self.names) + 2)
        n = self.counts.after.counts[:, 0]
        running = np.concatenate(([0], np.cumsum(n)))
        first = np.searchsorted(path, keys)
        told = running[np.searchsorted(path, keys, side="right")] - running[first]
        most = np.append(code[np.lexsort((code, -n, path))], 0)[first]
        return (most if self.length else np.zeros_like(keys)) * (told > 0), told

    def _rates(self, keys: np.ndarray, following: np.ndarray, n: np.ndarray) -> list[tuple[float, float, float]]:
        """Shares of what follows with intervals, customers being the clusters (as `clustered_rate`, from sums)."""
        _, owners, own = self.counts.paths.at(keys)
        count, squares, times = self.counts.after.at(keys * (len(self.names) + 2) + following)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = count / np.where(n > 0, n, np.nan)
            spread = (squares - 2 * rate * times + rate**2 * own) * owners / np.maximum(owners - 1, 1)
            deff = np.where((rate > 0) & (rate < 1), spread / (n * rate * (1 - rate)), n / owners)
            effective = n / np.maximum(deff, 1)
        low, high = wilson(rate * effective, effective)
        bounds = (rate, low, high) if self.length else (1 - rate, 1 - high, 1 - low)  # of whole paths: no end
        return list(zip(*(bound.tolist() for bound in bounds), strict=True))

    @property
    def ledger(self) -> dict[str, int]:
        """Paths listed, others (too few customers took them), whole ones too long, not over yet; together all."""
        (longer, pending), shown = self.counts.apart.tolist(), int(self._listed()[1][0].sum())
        parts = {"shown": shown, "other": int(self.counts.paths.counts[:, 0].sum()) - shown}
        parts |= {"longer": longer, "pending": pending}
        return parts | {"all": sum(parts.values())}

    def say(self) -> list[str]:
        """The most frequent path, one that repeats nothing at once where there is one, and what comes of it."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No path was taken by enough customers."]
        row = next((row for row in rows if not row["again"]), rows[0])
        n, customers = (show_number(row[key], "count", locale) for key in ("n_times", "n_customers"))
        share = show_number(row["path_share"], "rate", locale)
        what = f"path of {self.length} touchpoints within {self.unit}s" if self.length else f"whole {self.unit}"
        said = [f"The most frequent {what} is {row['path']}: {n} times by {customers} customers, {share} of all."]
        if self.length:
            on = f"the {self.unit} ends there" if row["next"] == END else f"it goes on to {row['next']}"
            follows = f"Most often {on}: {rate_of(row, 'next_share', locale)} of what follows."
            return [*said, follows] if row["next"] else said
        few = rows[: self.shown_rows]
        row = max(few, key=lambda row: row["conversion_rate_low"])
        if row["conversion_rate"] > 0:
            rate = rate_of(row, "conversion_rate", locale)
            said.append(f"Of the {len(few)} most frequent ones the goal follows most often on {row['path']}: {rate}.")
        return said


def rate_of(row: dict, key: str, locale: str) -> str:
    """A rate of a row with its interval, as it is said aloud.

    Example:
        >>> rate_of({"x_rate": 0.5, "x_rate_low": 0.4, "x_rate_high": 0.6}, "x_rate", "en")
        '50.0 % (40.0–60.0)'
    """
    band = show_interval(row[key], (row[f"{key}_low"], row[f"{key}_high"]), "rate", locale)
    return f"{show_number(row[key], 'rate', locale)} ({band})"


def common_paths(data: Data, *, length: int = 3, within: str | None = "30min", repeats: bool = True) -> CommonPaths:
    """The runs of consecutive touchpoints that customers take most often, and what follows them.

    Args:
        data: the study.
        length: touchpoints of a run, 2 to 6.
        within: longest pause within a session, such as "30min": runs then stay within sessions. None: whole journeys.
        repeats: whether a touchpoint again at once counts again (such runs are marked); False takes it once.

    Returns:
        One row per path that enough customers took: how often, customers, share of all runs of that length (they
        overlap), and the most usual next touchpoint, or end, with its share.

    Raises:
        MissingData: the study has no events.
        UsageError: the length is not 2 to 6, or too long for the many different touchpoints there are.

    Method:
        Each path is one whole number, so paths are counted by sorting numbers. What follows is told of paths that were
        watched for longer than the pause. Intervals: Wilson at the effective sample size, each customer a cluster
        (Cochran 1977, Sampling Techniques, 6.4).

    Example:
        >>> import toolkit as tk
        >>> len(tk.common_paths(tk.open_data(tk.make_data(200, rng=1)), length=2).rows()[0]["path"].split(" > "))
        2
    """
    need_events(data, "common paths")
    most = longest(len(data.vocabulary("touchpoint")))
    if length not in LENGTHS or length > most:
        raise UsageError(f"length is {length!r}; give a whole number from {LENGTHS[0]} to {min(LENGTHS[-1], most)}.")
    counts = run(data, count_common_paths, length=length, gap=duration(within) if within else None, repeats=repeats)
    of_all = "of all: all runs of that length, which overlap; of matured: runs whose next step or end is known"
    card = {"measure": f"Paths of {length} touchpoints", "denominator": of_all, "rules": _rules(data, repeats)}
    return _result(data, counts, length, within, card)


def whole_paths(
    data: Data, *, goal: Sequence[str] | None = None, within: str | None = "30min", repeats: bool = True
) -> CommonPaths:
    """The most common whole sessions, each as its touchpoints up to the goal, and how many go on to it.

    Args:
        data: the study.
        goal: touchpoints that are the conversion; the catalogue's purchases when left out.
        within: longest pause within a session, such as "30min"; None takes whole journeys, which may still go on.
        repeats: whether a touchpoint again at once counts again (such paths are marked); False takes it once.

    Returns:
        One row per path that enough customers took: how often, customers, share of all sessions, share that goes on to
        the goal. Sessions of more than ten touchpoints (fewer where there are very many different ones) have no row.

    Raises:
        MissingData: the study has no events.
        UsageError: a goal does not occur.

    Example:
        >>> import toolkit as tk
        >>> rows = tk.whole_paths(tk.open_data(tk.make_data(200, rng=1))).rows()
        >>> rows[0]["n_times"] >= rows[-1]["n_times"]
        True
    """
    need_events(data, "whole paths")
    names = data.vocabulary("touchpoint")
    goal = several(goal) if goal else data.catalogue.names_with_role("purchase", names)
    settings = {"gap": duration(within) if within else None, "repeats": repeats}
    counts = run(data, count_whole_paths, goal=data.codes(goal), **settings)
    unit = "session" if within else "journey"
    of_all = (
        f"of all: all {unit}s; those of more than {longest(len(names))} touchpoints and those not over are not listed"
    )
    rate = f"conversion: {unit}s with this path up to {' or '.join(goal) or 'a goal (none is known)'}, or without it"
    card = {"measure": f"Whole {unit}s", "denominator": f"{of_all}; {rate}", "rules": _rules(data, repeats)}
    return _result(data, counts, None, within, card)


def _rules(data: Data, repeats: bool) -> str:
    again = "counts again, and is marked" if repeats else "counts once"
    few = f"paths of fewer than {data.small_cells} customers are not listed"
    return f"a touchpoint again at once {again}; {few}. {INTERVALS}"


def _result(data: Data, counts: PathCounts, length: int | None, within: str | None, card: dict) -> CommonPaths:
    unit = "session" if within else "journey"
    return CommonPaths(
        counts=counts,
        names=data.vocabulary("touchpoint"),
        length=length,
        unit=unit,
        small_cells=data.small_cells,
        definition=data.definition(
            **card,
            unit="run of touchpoints" if length else unit,
            population=f"{unit}s that began in the period",
            window=f"a pause of more than {within} ends a session"
            if within
            else f"the whole journey so far; {END}: nothing more was seen",
        ),
    )
