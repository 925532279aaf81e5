"""Measures on data that may lack what they need: the gap is a result too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from toolkit.errors import MissingData
from toolkit.results import Definition, Result
from toolkit.shown import safe_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Result):
    """A measure that cannot be shown, with the reason and what would bring it.

    Attributes:
        reason: the sentence.
        definition: the card.
    """

    reason: str
    definition: Definition

    def rows(self) -> list[dict]:
        """One row: the reason."""
        return [{"cannot be shown": self.reason}]

    def say(self) -> list[str]:
        """The reason."""
        return [self.reason]

    def _repr_html_(self) -> str:
        return f'<p class="missing">{escape(safe_text(self.reason, 600))}</p>'


def attempt(measure: Callable[..., Result], data: Any, *args: Any, **settings: Any) -> Result:
    """Takes a measure where the data allows it, and says what is missing where it does not.

    Args:
        measure: any measure, such as `tk.sales`.
        data: the study; or the result the measure is taken of, and if that is `Missing`, so is this.
        *args: passed on.
        **settings: passed on.

    Returns:
        The measure's result, or a `Missing` result with the reason.

    Example:
        >>> import pandas as pd, toolkit as tk
        >>> events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
        >>> tk.attempt(tk.sales, tk.open_data(events)).say()[0][:21]
        'Sales cannot be shown'
    """
    if isinstance(data, Missing):
        return data
    try:
        return measure(data, *args, **settings)
    except MissingData as gap:
        card = Definition(
            measure=f"{measure.__name__.replace('_', ' ').capitalize()}: not shown", locale=data.locale, tz=data.tz
        )
        return Missing(reason=str(gap), definition=card)
