"""Pitfalls: the nine ways in which customer-journey work goes wrong, each as a figure with a verdict."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.errors import MissingData, several
from toolkit.pitfall import checks
from toolkit.pitfall.findings import CANNOT_TELL, NOT_SEEN, SEEN, Figure, Finding, why
from toolkit.results import Definition, Result
from toolkit.shown import show_number
from toolkit.study.data import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitfalls(Result):
    """The nine pitfalls, each with what was found.

    Attributes:
        findings: by pitfall, in the field's order.
        definition: the card.
    """

    findings: dict[str, Finding]
    definition: Definition

    columns: ClassVar = {"limit": "matters beyond", "n": "counted", "evidence": "what else is known"}

    def rows(self) -> list[dict]:
        """One row per pitfall: those seen first, the clearest ahead, then those that cannot be told, then the others.

        Columns: the verdict; the figure it rests on in words, its value with interval, the limit beyond which it
        matters, units behind it; what else is known; and what would tell where it cannot be told.
        """
        rows = []
        for name, finding in self._ranked():
            figure = finding.leading or Figure.of("not known", (np.nan,) * 3, np.nan, 0)
            rows.append(
                {"pitfall": name, "verdict": finding.verdict, "figure": figure.what}
                | {
                    "value": figure.value,
                    "value_low": figure.band[0],
                    "value_high": figure.band[1],
                    "value_kind": figure.kind,
                }
                | {"limit": figure.limit, "limit_kind": figure.kind, "n": figure.n}
                | {"evidence": finding.evidence, "would tell": finding.would_tell}
            )
        return rows

    def _ranked(self) -> list[tuple[str, Finding]]:
        order = (SEEN, CANNOT_TELL, NOT_SEEN)

        def key(item: tuple[str, Finding]) -> tuple:
            lead = item[1].leading
            return order.index(item[1].verdict), -np.nan_to_num(lead.beyond if lead else 0)

        return sorted(self.findings.items(), key=key)

    @property
    def headline(self) -> dict:
        """How many are seen."""
        verdicts = [finding.verdict for finding in self.findings.values()]
        return {"n_seen": verdicts.count(SEEN), "n_not_seen": verdicts.count(NOT_SEEN), "n_pitfalls": len(verdicts)}

    def say(self) -> list[str]:
        """How many are seen, which is the clearest, and what cannot be told."""
        seen, unknown = ([name for name, one in self._ranked() if one.verdict == v] for v in (SEEN, CANNOT_TELL))
        said = [
            f"{len(seen)} of the {len(self.findings)} pitfalls are seen"
            + (f", the clearest first: {', '.join(seen)}." if seen else ".")
        ]
        if seen:
            lead = self.findings[seen[0]].leading
            said.append(f"The clearest pitfall is {seen[0]}: {lead.said(self.definition.locale)}.")
        if unknown:
            said.append(f"It cannot be told of {', '.join(unknown)}; the table says what would tell.")
        return said


def pitfalls(data: Data, *, gap: str = "30min", personal: Collection[str] | None = None) -> Pitfalls:
    """The nine pitfalls of customer-journey work, each measured: seen, not seen, or what it takes to tell.

    Args:
        data: the study; `between` sets the period.
        gap: longest pause within a session.
        personal: campaigns whose letters are meant for somebody; left out: those whose name says so ("for you").

    Returns:
        One row per pitfall.

    Method:
        Each figure has a limit beyond which it matters. Seen: the whole interval of a figure lies beyond its limit. Not
        seen: no interval reaches twice the limit. Else it cannot be told (after three-sided testing: Goeman, Solari and
        Stijnen 2010, doi:10.1002/sim.4002). Chance alone shows a pitfall in 5 % of studies at most (Bonferroni).

    Example:
        >>> import toolkit as tk
        >>> len(tk.pitfalls(tk.open_data(tk.make_data(300, rng=1))).rows())
        9
    """
    if personal is not None:
        personal = several(personal)
        data.codes(personal, "campaign")
    asked = {
        "inconsistent experience between channels": lambda: checks.inconsistent(data, gap),
        "neglected mobile": lambda: checks.neglected(data, gap),
        "analytics ignored": lambda: checks.untracked(data),
        "feedback ignored": lambda: checks.ignored(data),
        "fragmented channels": lambda: checks.fragmented(data),
        "no personalisation": lambda: checks.impersonal(data, personal),
        "slow response": lambda: checks.slow(data),
        "costs not weighed": lambda: checks.costly(data),
        "goals set from inside": lambda: checks.unasked(data),
    }
    findings = {}
    for name, check in asked.items():
        try:
            findings[name] = check()
        except MissingData as missing:
            reason, source = why(missing)
            findings[name] = Finding(evidence=reason, missing=source)
    return Pitfalls(findings=findings, definition=_card(data))


def _card(data: Data) -> Definition:
    return data.definition(
        "Pitfalls",
        unit="as each figure says",
        population="of the period",
        rules="seen: a whole interval lies beyond its limit; not seen: none reaches twice the limit; else it cannot be "
        "told. Chance alone shows a pitfall in 5 % of studies at most (Bonferroni). Channels: csat and checkouts "
        "finished, within families of touchpoints, channels of 30 customers or more. Mobile: within a channel. "
        "Analytics: orders of customers it saw within the day before; touchpoints met by 30 customers or more. "
        "Feedback: tickets, chats, calls, reviews, posts, a week old. Personalisation: clicks within a day; seen only "
        "where most letters are for all. Slow: the next CSAT answer within a day, by source; seen only where more than "
        "5 % wait more than 4 hours. Costs: paid digital touchpoints with 5 % of the money or more. Goals: actions for "
        f"what fewer than {show_number(checks.SPOKEN_OF, 'rate', data.locale)} of the customers speak of, in feedback "
        "or by a score below the middle",
    )
