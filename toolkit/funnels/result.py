"""What a funnel answers: rates by step or by group, with their intervals and differences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from toolkit.privacy import suppress
from toolkit.results import Definition, Interval, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.clusters import clustered_rate, effective
from toolkit.stats.many import adjust
from toolkit.stats.shares import newcombe, newcombe_p, wilson

if TYPE_CHECKING:
    from toolkit.funnels.funnel import FunnelCounts

UNKNOWN = "(unknown)"
NO_PREVIOUS = dict.fromkeys(("of_previous_rate", "of_previous_rate_low", "of_previous_rate_high"), float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(Result):
    """A counted funnel.

    Attributes:
        counts: what was counted.
        other: the same by the other entry rule.
        other_entry: that rule in words.
        whole: the same with no step missed, where some may be; else None.
        optional: numbers of the steps that may be missed.
        steps: names of the steps.
        unit: what is counted: customer, session or attempt.
        by: what it is broken down by, or None.
        words: names of the groups; the counts have one group more, the unknown.
        small_cells: groups of fewer customers are not shown.
        definition: the card.
    """

    counts: FunnelCounts
    other: FunnelCounts
    other_entry: str
    whole: FunnelCounts | None
    optional: tuple[int, ...]
    steps: tuple[str, ...]
    unit: str
    by: str | None
    words: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "median_seconds": "since the step before (median)",
        "conversion_rate_diff": "against the rest",
        "n_entered": "with the whole window",
        "n_matured": "with the whole window",
        "n_converted": "converted",
        "of_entered_rate": "of those who entered",
        "of_previous_rate": "of the step before",
        "of_all_share": "of all",
        "whole_rate": "of those who entered, no step missed",
    }
    aside: ClassVar = ("of_all_share",)

    def rows(self) -> list[dict]:
        """One row per step, or with `by` one row per group."""
        return self.step_rows() if self.by is None else self.group_rows()

    def step_rows(self) -> list[dict]:
        """One row per step: units so far and matured, the three rates, median seconds since the step before."""
        so_far, matured = (counts.sum(axis=0) for counts in (self.counts.reached, self.counts.matured))
        k, before = len(self.steps), self._before()
        median = self.counts.waits.quantile(0.5, groups=2 * k)
        of_entered, of_previous = self._shares(self.counts, [0] * k), self._shares(self.counts, before)
        for rates in of_entered[1:]:
            rates[0] = np.nan  # everyone who entered entered: no estimate, so no interval
        whole = self._shares(self.whole, [0] * k) if self.whole else ()
        return [
            {
                "step": step,
                f"n_{self.unit}s": int(so_far[i]),
                "n_matured": int(matured[i]),
                **_named("of_entered_rate", of_entered, i),
                **(_named("whole_rate", whole, i) if whole and i else {}),
                **(_named("of_previous_rate", of_previous, i) if i else NO_PREVIOUS),
                "of_all_share": float(so_far[i] / self.counts.seen) if self.counts.seen else float("nan"),
                "median_seconds": float(median[i]) if i else float("nan"),
            }
            for i, step in enumerate(self.steps)
        ]

    def _before(self) -> list[int]:
        """The number of the step before each that may not be missed; of the first itself."""
        steps = range(len(self.steps))
        return [max((before for before in steps[:step] if before not in self.optional), default=0) for step in steps]

    def _shares(self, counts: FunnelCounts, of: list[int], level: float = 0.95) -> tuple[np.ndarray, ...]:
        """Each step's matured units as a share of those of another step, with intervals."""
        if len(counts.by_bucket):
            units = counts.by_bucket.sum(axis=1)
            return clustered_rate(units, units[:, of], level)
        units = counts.matured.sum(axis=0)
        return _rates(units, units[of], level)

    def wait_rows(self) -> list[dict]:
        """One row per step but the first: time since the step before and since the entry, of those who reached it."""
        k, waits = len(self.steps), self.counts.waits
        n, quartiles = waits.n(groups=2 * k), [waits.quantile(q, groups=2 * k) for q in (0.25, 0.5, 0.75)]
        return [
            {
                "step": step,
                "since": since,
                f"n_{self.unit}s": int(n[group]),
                "mean_seconds": float(self.counts.waited[group] / n[group] / 1000) if n[group] else float("nan"),
                "median_seconds": float(quartiles[1][group]),
                "lower_quartile_seconds": float(quartiles[0][group]),
                "upper_quartile_seconds": float(quartiles[2][group]),
            }
            for i, step in enumerate(self.steps[1:], start=1)
            for since, group in (("step before", i), ("entry", k + i))
        ]

    def group_rows(self) -> list[dict]:
        """One row per group: entered, converted, conversion with interval, difference from the rest, adjusted p."""
        names, (so_far, customers) = [*self.words, UNKNOWN], self.counts.customers.T
        entered, converted, there = self.counts.matured[:, 0], self.counts.matured[:, -1], so_far > 0
        hidden = np.zeros(len(names), bool)
        hidden[there] = suppress(customers[there], self.small_cells) | (so_far[there] < self.small_cells)
        shown = np.flatnonzero(there & ~hidden)
        mine, rest = ([part[shown] for part in parts] for parts in self._sizes())
        rate, low, high = _rates(*mine)
        diff_low, diff_high = newcombe(*rest, *mine)
        p, _ = adjust(newcombe_p(*rest, *mine), "holm")
        with np.errstate(invalid="ignore", divide="ignore"):
            diff = rate - rest[0] / rest[1]
        rows = [
            {
                self.by: names[group],
                "n_entered": int(entered[group]),
                "n_converted": int(converted[group]),
                **_named("conversion_rate", (rate, low, high), i),
                **_named("conversion_rate_diff", (diff, diff_low, diff_high), i),
                "p_adjusted": float(p[i]),
            }
            for i, group in enumerate(shown)
        ]
        return sorted(rows, key=lambda row: -row["n_entered"]) + self._hidden_row(entered, converted, hidden)

    def _sizes(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Matured units that converted, and all, per group and of the rest; clustered ones as effective numbers."""
        if not len(self.counts.by_bucket):
            mine = self.counts.matured[:, -1], self.counts.matured[:, 0]
            return mine, tuple(part.sum() - part for part in mine)
        units = self.counts.by_bucket[:, :, [-1, 0]]
        found = []
        for some in (units, units.sum(axis=1, keepdims=True) - units):
            rate, size = effective(some[..., 0], some[..., 1])
            found.append((rate * size, size))
        return found[0], found[1]

    @property
    def family(self) -> int:
        """How many groups' p-values were adjusted together."""
        return sum(row.get("p_adjusted", np.nan) >= 0 for row in self.group_rows())

    def _hidden_row(self, entered, converted, hidden) -> list[dict]:
        """The groups too small to show, together, where they are enough customers together."""
        n = int(entered[hidden].sum())
        if not hidden.any() or n < max(self.small_cells, 1) or len(self.counts.by_bucket):
            return []
        rate, low, high = _rates(converted[hidden].sum(keepdims=True), np.array([n]))
        row = {self.by: f"({int(hidden.sum())} small groups together)", "n_entered": n}
        row |= {"n_converted": int(converted[hidden].sum())}
        return [row | _named("conversion_rate", (rate, low, high), 0)]

    @property
    def headline(self) -> dict:
        """The conversion of matured entries: rate with interval, entered and converted."""
        entered, *_, converted = self.counts.matured.sum(axis=0)
        what = f"{self.steps[0]} to {self.steps[-1]}, {self.definition.window.split(',')[0]}"
        counts = {"n_entered": int(entered), "n_converted": int(converted)}
        last = tuple(some[-1:] for some in self._shares(self.counts, [0] * len(self.steps)))
        return counts | _named("conversion_rate", last, 0) | {"what": what}

    def interval(self, level: float = 0.95) -> Interval:
        """The interval of the conversion of matured entries."""
        _, low, high = self._shares(self.counts, [0] * len(self.steps), level)
        return Interval(float(low[-1]), float(high[-1]), level)

    @property
    def ledger(self) -> dict[str, int]:
        """Converted, dropped, pending and never entered; together everyone seen."""
        reached = self.counts.reached.sum(axis=0)
        pending = int(self.counts.pending.sum())
        entered, converted = int(reached[0]), int(reached[-1])
        return {
            "converted": converted,
            "dropped": entered - converted - pending,
            "pending": pending,
            "never entered": self.counts.seen - entered,
            "all": self.counts.seen,
        }

    def say(self) -> list[str]:
        """Conversion, largest loss, the other entry rule, who is on the way; of groups, the one that differs most."""
        locale, row = self.definition.locale, self.headline
        if row["conversion_rate"] != row["conversion_rate"]:
            return [self.note or "No conversion rate is known."]
        if self.by:
            return self._say_groups()
        rate, n = self._rate(row["conversion_rate"], _bounds(row)), show_number(row["n_entered"], "count", locale)
        who = f"{n} customers who"
        if len(self.counts.by_bucket):
            customers = show_number(int(self.counts.customers[0, 1]), "count", locale)
            who = f"{n} {self.unit}s ({customers} customers) that"
        said = [f"{rate} of the {who} began with {self.steps[0]} reached {self.steps[-1]} {self._window}."]
        said += [self._say_loss(), self._say_whole(), self._say_rule()]
        if pending := int(self.counts.pending.sum()):
            n = show_number(pending, "count", locale)
            said.append(
                f"{n} {self.unit}s are still on their way: their latest entry has not had its whole window yet."
            )
        return [sentence for sentence in said if sentence]

    @property
    def _window(self) -> str:
        """The time everyone has, in words."""
        return f"within {self.definition.window.partition(' from ')[0]}"

    def _say_whole(self) -> str:
        """The conversion of those who missed no step, where some may be missed."""
        if self.whole is None:
            return ""
        rate, low, high = (float(some[-1]) for some in self._shares(self.whole, [0] * len(self.steps)))
        names = " and ".join(self.steps[number] for number in self.optional)
        return f"By way of {names} it is {self._rate(rate, (low, high))}."

    def _say_loss(self) -> str:
        """The largest loss between two steps, and the next if chance could have ordered them."""
        rows = [row for number, row in enumerate(self.step_rows()) if number not in self.optional]
        losses = [
            (f"from {before['step']} to {row['step']}", 1 - row["of_previous_rate"], _turned(row), before["n_matured"])
            for before, row in pairwise(rows)
            if row["of_previous_rate"] == row["of_previous_rate"]
        ]
        if len(losses) < 2:
            return ""
        first, second = sorted(losses, key=lambda loss: -loss[1])[:2]
        sizes = [show_number(loss[3], "count", self.definition.locale) for loss in (first, second)]
        said = f"The largest loss is {first[0]}: {self._rate(*first[1:3])} of the {sizes[0]} {self.unit}s do not go on"
        close = second[2][1] >= first[2][0]
        next_ = f"; {second[0]} it is {self._rate(*second[1:3])} of {sizes[1]}, and chance may have ordered the two."
        return said + (next_ if close else ".")

    def _say_rule(self) -> str:
        """What the other entry rule would have said."""
        other = replace(self, counts=self.other, by=None).headline
        low, high = other["conversion_rate_low"], other["conversion_rate_high"]
        rate = self._rate(other["conversion_rate"], (low, high))
        return f"Counted from {self.other_entry} it would be {rate}: quote the rule with the rate."

    def _rate(self, value: float, bounds: tuple[float, float]) -> str:
        locale = self.definition.locale
        band = show_interval(value, bounds, "rate", locale)
        return show_number(value, "rate", locale) + (f" ({band})" if band else "")

    def _say_groups(self) -> list[str]:
        rows = [row for row in self.group_rows() if row.get("p_adjusted", 1) < 0.05]
        if not rows:
            return [f"No group by {self.by} differs from the rest by more than chance allows."]
        row = max(rows, key=lambda r: abs(r["conversion_rate_diff"]) * r["n_entered"])
        gap, side = self._gap(row)
        rate = self._rate(row["conversion_rate"], _bounds(row))
        said = f"With {self.by} {row[self.by]} {rate} convert, {gap} {side} the rest"
        twin = next((r for r in replace(self, counts=self.other).group_rows() if r[self.by] == row[self.by]), None)
        if twin and twin["p_adjusted"] < 0.05 and (twin["conversion_rate_diff"] < 0) == (side == "below"):
            return [f"{said}."]
        if twin is None or twin["conversion_rate_diff"] != twin["conversion_rate_diff"]:
            return [f"{said}; counted from {self.other_entry} it is not known."]
        gap, side = self._gap(twin)
        if twin["p_adjusted"] < 0.05:
            return [f"{said}; but counted from {self.other_entry} {gap} {side}: the rules contradict each other."]
        return [
            f"{said}; but counted from {self.other_entry} only {gap} {side}, which chance can "
            "explain: do not build on it yet."
        ]

    def _gap(self, row: dict) -> tuple[str, str]:
        """How far a group lies from the rest, as a size with interval, and on which side."""
        locale, diff = self.definition.locale, row["conversion_rate_diff"]
        bounds = [row["conversion_rate_diff_low"], row["conversion_rate_diff_high"]]
        low, high = sorted(-bound if diff < 0 else bound for bound in bounds)
        size = show_number(abs(diff), "points", locale).lstrip("+")
        return f"{size} ({show_interval(abs(diff), (low, high), 'points', locale)})", "below" if diff < 0 else "above"


def _bounds(row: dict) -> tuple[float, float]:
    return row["conversion_rate_low"], row["conversion_rate_high"]


def _turned(row: dict) -> tuple[float, float]:
    """Bounds of the share that does not go on."""
    return 1 - row["of_previous_rate_high"], 1 - row["of_previous_rate_low"]


def _rates(count: np.ndarray, n: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, ...]:
    """Rates with Wilson intervals; NaN where nobody could."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (count / np.where(n > 0, n, np.nan), *wilson(count, n, level))


def _named(name: str, rates: tuple[np.ndarray, ...], i: int) -> dict[str, float]:
    return {f"{name}{end}": float(values[i]) for end, values in zip(("", "_low", "_high"), rates, strict=True)}
