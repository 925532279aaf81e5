"""What attribution found: each channel's credit by each rule, and the range across the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from toolkit.counts import resample
from toolkit.credit.holdout import Holdout
from toolkit.credit.markov import removal_effects
from toolkit.credit.rules import SHARED
from toolkit.privacy import suppress
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number

if TYPE_CHECKING:
    from toolkit.credit.attribution import AttributionCounts

RULES = (*SHARED, "markov")
NO_TOUCH, FEW, OTHERS, UNKNOWN, UNNAMED = "(no touch)", "(few customers)", "(others)", "(unknown)", "(no campaign)"
APART = (OTHERS, UNKNOWN, UNNAMED, FEW, NO_TOUCH)  # rows that are no channel; in this order they come last
REPLICATES = 1_000
NOT_CAUSAL = "A credit is not causal: it tells where touches stood, not what they changed."


def estimate(counts: AttributionCounts, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Credits by all rules, with 95 % bootstrap intervals.

    Args:
        counts: what was counted.
        shown: rows × (k + 1), which channels make each row.

    Returns:
        Conversions: 3 × rows × rules, the value and its bounds; money in minor units: 3 × currencies × rows × rules.
    """
    found = []
    whole = [part.sum(axis=0) for part in (counts.credits, counts.values, counts.moves)]
    drawn = [resample(part, REPLICATES, rng=1) for part in (counts.credits, counts.values, counts.moves)]
    for credits, values, moves in (whole, drawn):
        effects = removal_effects(moves)[1]
        share = effects / effects.sum(axis=-1, keepdims=True)
        found.append([shown @ _with_markov(credits, share), shown @ _with_markov(values, share[..., None, :])])
    bounds = [np.quantile(np.nan_to_num(some), [0.025, 0.975], axis=0) for some in found[1]]
    return tuple(
        np.concatenate([value[None], np.where(np.isnan(value), np.nan, bound)])
        for value, bound in zip(found[0], bounds, strict=True)
    )


def _with_markov(credits: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Credits … × (k + 1) × rules and Markov's behind them: its shares of what the channels have together."""
    together = credits[..., :-1, 0].sum(axis=-1, keepdims=True)
    own = np.where(together > 0, share * together, 0)
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

    columns: ClassVar = {"least_share": "least", "most_share": "most", "rate_diff": "holdout's lift"}

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
        order = {name: 1 + i for i, name in enumerate(APART)}
        return sorted(rows, key=lambda row: (order.get(row[self.by], 0), -row["most_share"]))

    @property
    def headline(self) -> dict:
        """The most credited channel: its share of all conversions by the middle rule, from the least to the most."""
        nothing = dict.fromkeys(("least_share", "most_share", *(f"n_{rule}" for rule in RULES)), float("nan"))
        top = next(iter(self.rows()), {self.by: "nothing"} | nothing)
        middle = float(np.median([top[f"n_{rule}"] for rule in RULES])) / max(self.conversions, 1)
        row = {"n_conversions": self.conversions, "credit_share": middle}
        row |= {"credit_share_low": top["least_share"], "credit_share_high": top["most_share"]}
        return row | {"what": f"{top[self.by]}; middle rule, from the least to the most"}

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
        said = [
            f"Depending on the rule, {rows[0][self.by]} is credited with {self._range(rows[0])} of the {n} conversions."
        ]
        for row in [row for row in rows if row[self.by] in self.holdouts][:1]:
            lift = self.holdouts[row[self.by]]
            low, high, _ = lift.interval()
            seen = "no difference that chance cannot explain" if low <= 0 <= high else "a difference"
            diff, band = (
                show_number(lift.diff, "points", locale),
                show_interval(lift.diff, (low, high), "points", locale),
            )
            found = f"sees {seen}, {diff} ({band})" if band else "cannot tell yet"
            said.append(f"Rules credit {row[self.by]} with {self._range(row)}; the holdout that withheld it {found}.")
        return [*said, NOT_CAUSAL]

    def _range(self, row: dict) -> str:
        return " to ".join(
            show_number(row[key], "rate", self.definition.locale) for key in ("least_share", "most_share")
        )
