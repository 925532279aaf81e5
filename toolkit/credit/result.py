"""What attribution found: each channel's credit by each rule, and the range across the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import resample
from toolkit.credit.count import AttributionCounts
from toolkit.credit.holdout import Holdout
from toolkit.credit.rules import SHARED, removal_effects
from toolkit.privacy import suppress
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number

RULES = (*SHARED, "markov")
NO_TOUCH, FEW = "(no touch)", "(few customers)"
REPLICATES = 1_000
NOT_CAUSAL = "A credit is not causal: it tells where touches stood, not what they changed."
CURE = "A holdout tells: keep a channel from customers drawn at random, record both groups in exposures, and compare."


def estimate(counts: AttributionCounts, shown: np.ndarray) -> np.ndarray:
    """Credits by all rules, with 95 % bootstrap intervals.

    Args:
        counts: what was counted.
        shown: rows × (k + 1), which channels make each row.

    Returns:
        3 × (1 + c) × rows × rules: values and their bounds; conversions, then minor units of each currency.
    """
    value = shown @ _all_rules(counts.credits.sum(axis=0), counts.moves.sum(axis=0))
    drawn = [resample(part, REPLICATES, rng=1) for part in (counts.credits, counts.moves)]
    bounds = np.quantile(np.nan_to_num(shown @ _all_rules(*drawn)), [0.025, 0.975], axis=0)
    return np.concatenate([value[None], np.where(np.isnan(value), np.nan, bounds)])


def _all_rules(credits: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Credits … × (1 + c) × (k + 1) × rules, Markov's behind: its shares of what the channels have together."""
    effects = removal_effects(moves)[1][..., None, :]
    together = credits[..., :-1, 0].sum(axis=-1, keepdims=True)
    own = np.where(together != 0, effects / effects.sum(axis=-1, keepdims=True) * together, 0)
    return np.concatenate([credits, np.append(own, credits[..., -1:, 0], axis=-1)[..., None]], axis=-1)


def shown_rows(counts: AttributionCounts, labels: list[str], small_cells: int) -> tuple[list[str], np.ndarray]:
    """Which channels stand alone, and which together because too few customers converted after them.

    Returns:
        Names, and rows × (k + 1) flags: which channels make each row.
    """
    met = np.append(counts.moves.sum(axis=(0, 1))[:-2] > 0, False) | (counts.customers > 0)
    hidden = suppress(counts.customers, small_cells)
    alone = np.flatnonzero(met & ~hidden)
    names, shown = [labels[i] for i in alone], np.eye(len(labels))[alone]
    if hidden.any() and counts.customers[hidden].sum() >= small_cells:
        names, shown = [*names, FEW], np.vstack([shown, hidden])
    return names, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution(Result):
    """Conversions credited to channels by seven rules.

    Attributes:
        counts: what was counted.
        by: what is credited, such as "channel".
        names: the rows: channels, and last what nothing touched.
        credit: 3 × rows × rules float64 conversions: value, lower and upper bound.
        money: 3 × currencies × rows × rules float64 of the currency's unit.
        currencies: their codes.
        costs: (channel, currency) → what was spent on it in the period.
        holdouts: channel → the experiment that withheld it.
        definition: the card.
    """

    counts: AttributionCounts
    by: str
    names: tuple[str, ...]
    credit: np.ndarray
    money: np.ndarray
    currencies: tuple[str, ...]
    costs: dict[tuple[str, str], float]
    holdouts: dict[str, Holdout]
    definition: Definition

    columns: ClassVar = {
        "least_share": "credited at least",
        "most_share": "at most",
        "n_first": "by first touch",
        "n_last": "by last touch",
        "n_linear": "alike to all",
        "n_markov": "by Markov chain",
        "rate_diff": "holdout's lift",
    }
    aside: ClassVar = ("n_position", "n_decay", "n_shapley")

    @property
    def conversions(self) -> int:
        """All conversions of the period."""
        return int(self.counts.journeys[:2].sum())

    def rows(self) -> list[dict]:
        """One row per channel, most credited first; the unknown, the hidden and what nothing touched come last.

        Columns: least and most credit across rules as shares of all conversions; conversions by each rule, with
        interval; where a holdout tested the channel, its lift.
        """
        rows, ends = [], ("", "_low", "_high")
        for i, name in enumerate(self.names if self.conversions else ()):
            share = self.credit[0, i] / self.conversions
            row = {self.by: name, "least_share": float(np.nanmin(share)), "most_share": float(np.nanmax(share))}
            for rule, values in zip(RULES, self.credit[:, i].T.tolist(), strict=True):
                row |= {f"n_{rule}{end}": value for end, value in zip(ends, values, strict=True)}
            if self.holdouts:
                lift = self.holdouts[name].rows()[0] if name in self.holdouts else {}
                row |= {f"rate_diff{end}": lift.get(f"rate_diff{end}", float("nan")) for end in ends}
            rows.append(row)
        return sorted(rows, key=lambda row: (row[self.by].startswith("("), -row["most_share"]))

    @property
    def ledger(self) -> dict[str, int]:
        """Journeys: converted after touches or without, failed, pending; together all."""
        names = ("converted", "converted without a touch", "failed", "pending")
        counts = dict(zip(names, self.counts.journeys.tolist(), strict=True))
        return counts | {"all": sum(counts.values())}

    def say(self) -> list[str]:
        """The channel with most credit and how far the rules agree; what a holdout says; that it is not causal."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No conversion falls in the period, so there is nothing to credit."]
        n = show_number(self.conversions, "count", locale)
        top = f"{rows[0][self.by]} is credited with {self._range(rows[0])}"
        said = [f"Depending on the rule, {top} of the {n} conversions."]
        for row in [row for row in rows if row[self.by] in self.holdouts][:1]:
            lift = self.holdouts[row[self.by]]
            low, high, _ = lift.interval()
            seen = "no difference beyond chance" if low <= 0 <= high else "a difference"
            band = show_interval(lift.diff, (low, high), "points", locale)
            found = f"sees {seen}, {show_number(lift.diff, 'points', locale)} ({band})" if band else "cannot tell yet"
            said.append(f"Rules credit {row[self.by]} with {self._range(row)}; the holdout that withheld it {found}.")
        return [*said, NOT_CAUSAL]

    def _range(self, row: dict) -> str:
        ends = (row["least_share"], row["most_share"])
        return " to ".join(show_number(share, "rate", self.definition.locale) for share in ends)
