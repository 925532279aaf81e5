"""Spend: what a credited conversion costs and what the money returns, as far as the rules agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from toolkit.credit.result import Attribution
from toolkit.errors import MissingData, need_a
from toolkit.journeys.coverage import EXPORTS
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.attempt import Missing

UNPRICED = "no conversion has a value in this currency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend(Result):
    """Costs against credit.

    Attributes:
        credit: the attribution.
        definition: the card.
    """

    credit: Attribution
    definition: Definition

    columns: ClassVar = {
        "least_money": "a credited conversion costs at least",
        "most_money": "at most",
        "least_return": "credited per unit spent, at least",
        "most_return": "no more than",
    }

    def rows(self) -> list[dict]:
        """One row per channel and currency with costs, dearest conversions first.

        Columns: cost; cost per conversion under the rule that credits most and under the one that credits least; value
        credited per unit spent under the least and the most generous rule, of conversions in the same currency. Each
        with the interval of its rule. Where a rule credits nothing a conversion's cost is infinite.
        """
        shown, rows = self.credit, []
        for (name, currency), cost in shown.costs.items():
            at = [i for i, other in enumerate(shown.names) if other == name]
            credit = shown.credit[:, at].sum(axis=1)
            value = shown.money[:, [i for i, other in enumerate(shown.currencies) if other == currency]].sum(axis=1)
            value = value[:, at].sum(axis=1) / (cost if value.any() else np.nan)
            row = {shown.by: name, "currency": currency, "cost_money": cost}
            with np.errstate(divide="ignore"):
                row |= _ends("money", cost / credit[[0, 2, 1]]) | _ends("return", value)
            why = {"a rule credits nothing": np.isinf(row["most_money"]), UNPRICED: np.isnan(row["most_return"])}
            rows.append(row | {"why": "; ".join(reason for reason, holds in why.items() if holds)})
        return sorted(rows, key=lambda row: -row["most_money"])

    def say(self) -> list[str]:
        """The channel whose credited conversions are dearest."""
        if not self.credit.conversions:
            return ["No conversion falls in the period, so none has a cost."]
        row, show = self.rows()[0], partial(show_number, locale=self.definition.locale)
        each = f"{show(row['least_money'], 'money')} to {show(row['most_money'], 'money')} {row['currency']}"
        said = [f"A conversion credited to {row[self.credit.by]} costs most: {each}, depending on the rule."]
        back = f"{show(row['least_return'])} to {show(row['most_return'])}"
        return said + [f"What is spent on it is credited with {back} times its sum."] * (UNPRICED not in row["why"])


def _ends(key: str, values: np.ndarray) -> dict[str, float]:
    """The least and the most of the rules, each with its interval."""
    order, known = np.argsort(values[0]), int((~np.isnan(values[0])).sum())
    ends = {"least": values[:, order[0]], "most": values[:, order[known - 1]]}
    tails = ("", "_low", "_high")
    return {f"{end}_{key}{tail}": float(x) for end, some in ends.items() for tail, x in zip(tails, some, strict=True)}


def spend(credit: Attribution) -> Spend | Missing:
    """What a credited conversion costs and what the money returns, as far as the rules agree.

    Args:
        credit: what `attribution` found, by channel, campaign or touchpoint.

    Returns:
        One row per channel and currency; currencies are never added. Where no costs are known, why.

    Example:
        >>> import toolkit as tk
        >>> credit = tk.attribution(tk.open_data(tk.make_data(400, rng=1)), by="campaign")
        >>> tk.spend(credit).rows()[0]["currency"]
        'DKK'
    """
    if isinstance(credit, Missing):
        return credit
    need_a("credit", credit, Attribution)
    card = replace(
        credit.definition,
        measure=f"Cost of a credited conversion by {credit.by}",
        unit="conversion; money",
        denominator="conversions credited; money spent",
        rules="cost in the period over credit in the period, under the rules that credit least and most; return: value "
        "credited over cost, in one currency; costs are taken as exact, intervals are those of the credit",
    )
    if credit.costs:
        return Spend(credit=credit, definition=card)
    reason = MissingData(card.measure, f"costs by {credit.by}", EXPORTS["campaigns"][1])
    return Missing(reason=str(reason), definition=card)
