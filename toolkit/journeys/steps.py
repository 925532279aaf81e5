"""Steps: what an event must be to count as a step of a funnel, or as the start or return of a cohort."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from toolkit.errors import MissingData, UsageError, one_of, raise_all
from toolkit.schema import KNOWN_PROPERTIES, TABLES
from toolkit.study.data import Data
from toolkit.study.sort import UNKNOWN
from toolkit.study.table import Part

COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}
KINDS = ("word", "number", "whole", "money")  # of the columns that the store holds and a step can ask about
_TERM = re.compile(r"\s*(>=|<=|==|>|<)\s*([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column of an event must hold.

    Attributes:
        column: events column.
        codes: the words that will do, for a column of words.
        compare: one of `COMPARE`, for numbers and money.
        limits: what to compare with; of money in minor units by currency, the last for an unknown currency.
    """

    column: str
    codes: tuple[int, ...] = ()
    compare: str = ""
    limits: tuple[float, ...] = ()

    def holds(self, part: Part, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Whether each event (of these rows) meets it; what is unknown does not."""
        values = part.table[self.column][rows]
        if not self.compare:
            will_do = np.zeros(len(part.words(self.column)) + 1, bool)
            will_do[list(self.codes)] = True
            return will_do[values]  # an unknown word, −1, finds the last
        limit = self.limits[0]
        if len(self.limits) > 1:
            limit = np.array(self.limits)[part.table["currency"][rows]]
        return COMPARE[self.compare](values, limit) & (values != UNKNOWN)


@dataclass(frozen=True, slots=True)
class Step:
    """An event that counts.

    Attributes:
        name: how it is shown.
        conditions: all must hold; the touchpoint's, where there is one, stands first.
    """

    name: str
    conditions: tuple[Condition, ...]

    @property
    def touchpoints(self) -> tuple[int, ...] | None:
        """Codes of the touchpoints it may be; None = any."""
        return self.conditions[0].codes if self.conditions[0].column == "touchpoint" else None

    @property
    def further(self) -> tuple[Condition, ...]:
        """The conditions on other columns."""
        return self.conditions if self.touchpoints is None else self.conditions[1:]


def matches(part: Part, step: Step) -> np.ndarray:
    """Whether each event is the step.

    Example:
        >>> import toolkit as tk
        >>> from toolkit.study.engine import parts
        >>> data = tk.open_data(tk.make_data(50, rng=1))
        >>> [slow] = steps_of(data, [{"channel": "web", "load_ms": ">= 3000"}])
        >>> slow.name, bool(matches(next(parts(data)), slow).any())
        ('channel web · load_ms >= 3000', True)
    """
    found = np.ones(len(part.table), bool)
    for condition in step.conditions:
        found &= condition.holds(part)
    return found


def steps_of(data: Data, steps: Iterable | str | Mapping | Step) -> tuple[Step, ...]:
    """Steps as an analyst writes them, made ready to be looked for.

    Args:
        data: the study.
        steps: each a touchpoint; a list of touchpoints, any of which will do; or a dict of events columns, all of which
            must hold: a word or a list of words, any of which will do; a number; or for numbers and money (in units of
            its currency) a comparison, such as ">= 3000" or ">= 100 and < 500". What is unknown never matches.

    Returns:
        One `Step` per step.

    Raises:
        UsageError: columns, words or comparisons that cannot be; all of them at once.
        MissingData: a canonical column that this study has not.

    Example:
        >>> import toolkit as tk
        >>> data = tk.open_data(tk.make_data(200, rng=1))
        >>> [step.name for step in steps_of(data, ["cart", {"touchpoint": "checkout", "device": ["mobile", "tablet"]}])]
        ['cart', 'checkout · device mobile / tablet']
    """
    given = [steps] if isinstance(steps, str | Mapping | Step) else list(steps)
    problems, missing = [], []
    found = tuple(step if isinstance(step, Step) else _step(data, step, problems, missing) for step in given)
    raise_all(UsageError, dict.fromkeys(problems))
    if missing:
        columns = f"{' and '.join(dict.fromkeys(missing))} in events"
        raise MissingData(f"A step by {missing[0]}", columns, f"events that say {missing[0]}")
    return found


def _step(data: Data, given, problems: list[str], missing: list[str]) -> Step:
    wanted = given if isinstance(given, Mapping) else {"touchpoint": given}
    kinds = _kinds(data)
    names, conditions = [], []
    if not wanted:
        problems.append('A step is empty. Give it a touchpoint, or columns such as {"channel": "web"}.')
    for column in sorted(wanted, key=lambda name: name != "touchpoint"):
        if column in kinds:
            try:
                name, made = _conditions(data, column, kinds[column], wanted[column])
            except UsageError as error:
                problems += error.problems
                continue
            names.append(name if column == "touchpoint" else f"{column} {name}")
            conditions += made
        elif column in TABLES["events"] or column in KNOWN_PROPERTIES:
            missing.append(column)
        else:
            problems += one_of("A column of a step", column, kinds).problems
    return Step(" · ".join(names), tuple(conditions))


def _kinds(data: Data) -> dict[str, str]:
    """The columns of the events that a step can ask about, with their kinds."""
    declared = {name: column.kind for name, column in TABLES["events"].items()}
    kinds = declared | data.store.manifest["kinds"].get("events", {})  # purchases made from orders bring further ones
    held = data.store.manifest["tables"]["events"]["columns"]
    return {name: kinds[name] for name in held if kinds.get(name) in KINDS}


def _conditions(data: Data, column: str, kind: str, value) -> tuple[str, list[Condition]]:
    """What a column must hold, and how that is said."""
    if kind == "word":
        words = list(value) if isinstance(value, list | tuple | set) else [value]
        words = [str(word).lower() if isinstance(word, bool) else str(word) for word in words]
        if not words:
            raise UsageError(f"A step asks for no {column} at all. Give one word or several.")
        return " / ".join(words), [Condition(column, data.codes(words, column))]
    terms, minors = _terms(column, value), _minors(data) if kind == "money" else [1]
    made = [Condition(column, compare=sign, limits=tuple(float(n * minor) for minor in minors)) for sign, n in terms]
    return " and ".join(f"{sign} {number}" for sign, number in terms), made


def _terms(column: str, value) -> list[tuple[str, Decimal]]:
    """The comparisons of a number or of a text such as ">= 100 and < 500"."""
    text = value if isinstance(value, str) else f"== {value}"
    found = [_TERM.fullmatch(term) for term in text.split(" and ")]
    if not all(found):
        raise UsageError(
            f"{column} is compared with {value!r}. Give a number, or a comparison such as "
            f'">= 3000" or ">= 100 and < 500", with one of {", ".join(COMPARE)} and a decimal point.'
        )
    return [(term[1], Decimal(term[2])) for term in found]


def _minors(data: Data) -> list[int]:
    """Minor units in a unit of each currency, then of an unknown one."""
    from babel.numbers import get_currency_precision

    return [*(10 ** get_currency_precision(word) for word in data.vocabulary("currency")), 100]
