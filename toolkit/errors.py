"""Every exception that is raised on purpose.

A sentence says what is wrong (with the value), where and how often, and what to do. All problems of one
input are collected and raised once.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 8  # problems in the message; error.problems has all of them


class ToolkitError(ValueError):
    """Something the reader can put right.

    Args:
        *problems: one full sentence each.

    Example:
        >>> error = ToolkitError("events has no rows.", "orders has no column 'revenue'.")
        >>> error.problems
        ('events has no rows.', "orders has no column 'revenue'.")
        >>> print(error)
        2 problems:
        - events has no rows.
        - orders has no column 'revenue'.
    """

    @property
    def problems(self) -> tuple[str, ...]:
        """All the sentences, also those the message leaves out."""
        return tuple(str(problem) for problem in self.args)

    def __str__(self) -> str:
        if len(self.problems) < 2:
            return "".join(self.problems)
        lines = [f"{len(self.problems)} problems:", *(f"- {problem}" for problem in self.problems[:SHOWN])]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more; error.problems has all of them.")
        return "\n".join(lines)


class DataError(ToolkitError):
    """The data that came in cannot be used as it is.

    Example:
        >>> raise DataError("events has no rows.")
        Traceback (most recent call last):
        toolkit.errors.DataError: events has no rows.
    """


class UsageError(ToolkitError):
    """A parameter or a name is wrong.

    Example:
        >>> raise UsageError("level is 95; give it as a rate between 0 and 1, such as 0.95.")
        Traceback (most recent call last):
        toolkit.errors.UsageError: level is 95; give it as a rate between 0 and 1, such as 0.95.
    """


class ReportError(ToolkitError):
    """A report could not be made, or only in part.

    Example:
        >>> raise ReportError("04-conversion stopped after 600 seconds.")
        Traceback (most recent call last):
        toolkit.errors.ReportError: 04-conversion stopped after 600 seconds.
    """


class BusyError(ToolkitError):
    """Another run holds the folder.

    Example:
        >>> raise BusyError("reports/webshop is in use by another run; wait for it, or give another --out.")
        Traceback (most recent call last):
        toolkit.errors.BusyError: reports/webshop is in use by another run; wait for it, or give another --out.
    """


class MissingData(ToolkitError):
    """The study lacks what a measure needs; notebooks say so and go on (`attempt`).

    Args:
        measure: what was asked for, such as "sales".
        needs: the table or column it needs.
        source: what brings it, in the analyst's words.

    Example:
        >>> print(MissingData("sales", "orders", "the shop's order export"))
        Sales cannot be shown: the study has no orders. They come with the shop's order export.
    """

    def __init__(self, measure: str, needs: str, source: str) -> None:
        measure = measure[:1].upper() + measure[1:]
        super().__init__(f"{measure} cannot be shown: the study has no {needs}. They come with {source}.")


class MissingExtra(ImportError):
    """An optional part is not installed.

    Args:
        purpose: what was asked for, such as "Reading from Spark".
        extra: the extra that brings it, such as "spark".

    Example:
        >>> print(MissingExtra("Reading from Spark", "spark"))
        Reading from Spark needs an optional part: pip install "journey-toolkit[spark]"
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.extra = extra

    def __str__(self) -> str:
        purpose, extra = self.args
        return f'{purpose} needs an optional part: pip install "journey-toolkit[{extra}]"'


def one_of(what: str, value: object, options: Iterable[object]) -> UsageError:
    """The error for a value that is none of the options: it lists them all and suggests the near miss.

    Args:
        what: the name of the parameter, such as "method".
        value: what was given.
        options: what would have been right, in the order to be shown.

    Returns:
        The error, to be raised by the caller.

    Example:
        >>> print(one_of("method", "hom", ["holm", "bh"]))
        method is 'hom' (did you mean 'holm'?); choose one of 'holm', 'bh'.
    """
    options = list(options)
    if not options:
        return UsageError(f"{what} is {value!r}, and there is nothing to choose from.")
    folded = [str(option).casefold() for option in options]
    near = get_close_matches(str(value).casefold(), folded, n=1)
    hint = f" (did you mean {options[folded.index(near[0])]!r}?)" if near else ""
    return UsageError(f"{what} is {value!r}{hint}; choose one of {', '.join(map(repr, options))}.")


def several(words: str | Iterable[str]) -> list[str]:
    """One word or several as a list: a text is one word, never its letters.

    Example:
        >>> several("purchase"), several(["cart", "purchase"])
        (['purchase'], ['cart', 'purchase'])
    """
    return [words] if isinstance(words, str) else list(words)


def need_a(what: str, value: object, *kinds: type) -> None:
    """Raise the error for a value of another kind than what is asked for.

    Args:
        what: the name of the parameter, such as "rules".
        value: what was given.
        *kinds: the classes of which it must be one.

    Raises:
        UsageError: it is none of them.

    Example:
        >>> need_a("within", 7, str)
        Traceback (most recent call last):
        toolkit.errors.UsageError: within is of type int; give a str.
    """
    if not isinstance(value, kinds):
        raise UsageError(
            f"{what} is of type {type(value).__name__}; give a {' or a '.join(k.__name__ for k in kinds)}."
        )


def raise_all(kind: type[ToolkitError], problems: Iterable[str]) -> None:
    """Raise one error for all problems; do nothing when there are none.

    Args:
        kind: the error to raise.
        problems: one full sentence each.

    Raises:
        ToolkitError: of the given kind, when there is at least one problem.

    Example:
        >>> raise_all(DataError, [])
        >>> raise_all(DataError, ["events has no rows."])
        Traceback (most recent call last):
        toolkit.errors.DataError: events has no rows.
    """
    if found := tuple(problems):
        raise kind(*found)
