"""The rules of a funnel where they can be chosen, and the search that steps and rules ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import MissingData, UsageError, one_of
from toolkit.funnels.chains import Search
from toolkit.journeys.coverage import need_events
from toolkit.journeys.steps import steps_of
from toolkit.study.clock import duration
from toolkit.study.data import Data

ENTRIES = {"best": "the entry that gets deepest", "first": "the first entry in the period"}
TIES = {"favour": "events of one moment in the order that helps", "file": "events of one moment in input order"}
CHOICES = 5  # touchpoints named when nothing says which steps to take


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRules:
    """The rules of a funnel where they can be chosen.

    Attributes:
        entry: "best" – the entry that lets the customer get deepest; "first" – the clock starts at the first entry in
            the period and never restarts.
        ties: "favour" – events of one moment stand in the order that helps; "file" – in input order.

    Example:
        >>> FunnelRules(entry="first").ties
        'favour'
    """

    entry: str = "best"
    ties: str = "favour"

    def __post_init__(self) -> None:
        for name, options in (("entry", ENTRIES), ("ties", TIES)):
            if getattr(self, name) not in options:
                raise one_of(name, getattr(self, name), options)


def search_for(
    data: Data, steps: Sequence | None, within: str, rules: FunnelRules | None = None
) -> tuple[Search, tuple[str, ...]]:
    """What to look for in each customer's events, and what the steps are called.

    Args:
        data: the study.
        steps: as `steps_of` takes them, 2 to 64; None = the touchpoints with the catalogue's roles.
        within: longest time from entry to the last step, inclusive, such as "7d".
        rules: the defaults of `FunnelRules` when left out.

    Returns:
        The search, for `step_rows` and `chains`; the names of its steps.

    Raises:
        MissingData: no steps were given and the catalogue finds none, or a step asks for a column that did not come.
        UsageError: steps or a window that cannot be.
    """
    rules = rules or FunnelRules()
    found = steps_of(data, _roles(data) if steps is None else steps)
    if not 2 <= len(found) <= 64:
        raise UsageError(f"A funnel has 2 to 64 steps; here are {len(found)}.")
    return Search(found, duration(within), rules.entry, rules.ties), tuple(step.name for step in found)


def _roles(data: Data) -> list[list[str]]:
    """The touchpoints with the catalogue's roles, in order."""
    vocabulary = data.vocabulary("touchpoint")
    found = [data.catalogue.names_with_role(role, vocabulary) for role in ("view", "cart", "checkout", "purchase")]
    if len(roles := [step for step in found if step]) >= 2:
        return roles
    need_events(data, "a funnel")
    common = ", ".join(data.store.manifest["common"].get("events.touchpoint", [])[:CHOICES])
    raise MissingData(
        "A funnel",
        "touchpoints that the catalogue knows as view, cart, checkout or purchase",
        f"a catalogue.toml that places yours, or with steps you name, such as two of the most frequent here: {common}",
    )
