"""The rules of a funnel where they can be chosen, and the search that steps and rules ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from toolkit.errors import MissingData, UsageError, need_a, one_of, raise_all
from toolkit.funnels.chains import Search
from toolkit.journeys.coverage import need_events
from toolkit.journeys.steps import Step, steps_of
from toolkit.study.clock import duration
from toolkit.study.data import Data

ENTRIES = {
    "best": "the entry that gets deepest",
    "first": "the first entry in the period",
    "every": "every attempt, a new one opening only after conversion, time-out or exclusion of the one before",
}
ORDERS = {"ordered": "in order, others may lie between", "strict": "in order, nothing between", "any": "in any order"}
TIES = {"favour": "events of one moment in the order that helps", "file": "events of one moment in input order"}
UNITS = ("customer", "session")
CHOICES = 5  # touchpoints named when nothing says which steps to take
MOST_OPTIONAL = 4  # each doubles the ways through


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRules:
    """The rules of a funnel where they can be chosen.

    Attributes:
        entry: "best" – the entry that lets the unit get deepest; "first" – the clock starts at the first entry in the
            period and never restarts; "every" – each attempt counts, and a new one opens only after conversion,
            time-out or exclusion of the one before (ties favoured: the moment that ends one opens no other).
        order: "ordered" – others may lie between the steps; "strict" – nothing may (under "every" what does ends the
            attempt); "any" – all steps within the window, in any order, from whichever comes first; no event may be
            two different steps then.
        ties: "favour" – events of one moment stand in the order that helps; "file" – in input order.
        unit: "customer", or "session" – the steps must happen within one session.
        gap: the pause that begins a new session.
        exclude: steps (as `funnel` takes them) that end an attempt when met between two steps. What is excluded is no
            step itself.
        optional: steps, up to four, that may be missed; neither the first nor the last, and not in any order.

    Example:
        >>> FunnelRules(entry="first", order="strict").ties
        'favour'
    """

    entry: str = "best"
    order: str = "ordered"
    ties: str = "favour"
    unit: str = "customer"
    gap: str = "30min"
    exclude: Sequence = ()
    optional: Sequence = ()

    def __post_init__(self) -> None:
        named = {"entry": ENTRIES, "order": ORDERS, "ties": TIES, "unit": UNITS}
        wrong = [(name, options) for name, options in named.items() if getattr(self, name) not in options]
        problems = [one_of(name, getattr(self, name), options).problems[0] for name, options in wrong]
        if self.order == "any" and self.optional:
            problems.append('optional steps have no place in order="any": leave them out of the steps.')
        raise_all(UsageError, problems)

    @property
    def counted(self) -> str:
        """What is counted: customer, session or attempt."""
        return "attempt" if self.entry == "every" else self.unit

    @property
    def short(self) -> str:
        """What differs from the usual, for a title."""
        said = {"first": "first entry", "every": "every attempt", "strict": "nothing between", "any": "any order"}
        said = [said.get(self.entry), said.get(self.order), "by session" if self.unit == "session" else None]
        return "".join(f", {what}" for what in said if what)


def in_words(rules: FunnelRules, search: Search) -> str:
    """The rules of a search, for the card."""
    said = [ENTRIES[rules.entry], ORDERS[rules.order], TIES[rules.ties]]
    if rules.unit == "session":
        said.append(f"within one session (a pause of more than {rules.gap} ends it)")
    if search.exclude:
        said.append(f"an attempt ends at {', '.join(step.name for step in search.exclude)}")
    if search.optional:
        said.append(f"may be missed: {', '.join(search.steps[number].name for number in search.optional)}")
    return "; ".join(said)


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
    need_a("rules", rules, FunnelRules)
    found = steps_of(data, _roles(data) if steps is None else steps)
    if not 2 <= len(found) <= 64:
        raise UsageError(f"A funnel has 2 to 64 steps; here are {len(found)}.")
    gap = duration(rules.gap) if rules.unit == "session" else 0
    further = {"exclude": steps_of(data, rules.exclude), "optional": _optional(data, found, rules.optional)}
    _no_step(found, further["exclude"])
    search = Search(found, duration(within), rules.entry, rules.ties, rules.order, gap, **further)
    names = tuple(step.name for step in found)
    if rules.order == "any":
        _apart(found)
        names = (f"any of {', '.join(names)}", *(f"{n} of them" for n in range(2, len(names))), f"all {len(names)}")
    return search, names


def _optional(data: Data, steps: tuple[Step, ...], optional: Sequence) -> tuple[int, ...]:
    """The numbers of the steps that may be missed."""
    asked, names = [step.name for step in steps_of(data, optional)], [step.name for step in steps]
    lost = [name for name in asked if name not in names[1:-1] or name in (names[0], names[-1])]
    problems = [one_of("optional", name, names[1:-1]).problems[0] for name in lost]
    raise_all(UsageError, [f"{problem} The first and the last step cannot be missed." for problem in problems])
    numbers = tuple(number for number, name in enumerate(names) if name in asked)
    if len(numbers) > MOST_OPTIONAL:
        raise UsageError(f"{len(numbers)} steps may be missed; {MOST_OPTIONAL} is the most.")
    return numbers


def _no_step(steps: tuple[Step, ...], exclude: tuple[Step, ...]) -> None:
    """Refuses to exclude what a step consists of."""
    gone = {code for step in exclude if not step.further for code in step.touchpoints}
    lost = [step.name for step in steps if step.touchpoints is not None and gone.issuperset(step.touchpoints)]
    problems = [
        f"{name} is a step and excluded too, so it could never be reached. Leave it out of one." for name in lost
    ]
    raise_all(UsageError, problems)


def _apart(steps: tuple[Step, ...]) -> None:
    """Refuses steps in any order of which one event could be two: there is no telling which."""

    def differ(one: Step, other: Step) -> bool:
        pairs = ((mine, its) for mine in one.conditions for its in other.conditions if mine.column == its.column)
        return any(mine.codes and its.codes and set(mine.codes).isdisjoint(its.codes) for mine, its in pairs)

    pairs = [pair for pair in combinations(steps, 2) if pair[0].conditions != pair[1].conditions and not differ(*pair)]
    problems = [f"In any order one event could be both {one.name} and {other.name}." for one, other in pairs]
    raise_all(UsageError, [f"{problem} Ask in order, or for words that set them apart." for problem in problems])


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
