"""What every statistic asks of its numbers before it starts."""

from __future__ import annotations

import numpy as np

from toolkit.errors import UsageError


def outside(level: float) -> float:
    """The share of studies whose interval misses: one minus the level.

    Args:
        level: 0–1, both excluded.

    Raises:
        UsageError: when level is anything else.

    Example:
        >>> outside(0.75)
        0.25
    """
    if not 0 < level < 1:
        raise UsageError(f"level is {level!r}; give a rate between 0 and 1, such as 0.95.")
    return 1 - level


def whole(what: str, value: float) -> int:
    """A count as an int.

    Args:
        what: its name in the error.
        value: a whole number, ≥ 0; 12.0 will do.

    Raises:
        UsageError: when value is anything else.

    Example:
        >>> whole("n", 12.0)
        12
    """
    if not (value >= 0 and value % 1 == 0):
        raise UsageError(f"{what} is {value!r}; give a whole number, 0 or more.")
    return int(value)


def counts_within(count, n) -> tuple[np.ndarray, np.ndarray]:
    """Counts and what they are counted among, as float arrays of one shape; where n is 0, it becomes NaN.

    Args:
        count: units that did, 0 to n; NaN is unknown.
        n: units in all.

    Raises:
        UsageError: when a count is negative or larger than its n.

    Example:
        >>> counts_within([1, 0], [4, 0])
        (array([1., 0.]), array([ 4., nan]))
    """
    count, n = np.broadcast_arrays(np.asarray(count, float), np.asarray(n, float))
    wrong = (count < 0) | (count > n)
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        raise UsageError(
            f"{wrong.sum()} of {wrong.size} counts lie outside 0 to n "
            f"(the first is {count[first]:g} of {n[first]:g}); give counts with the n they are counted among."
        )
    return count, np.where(n == 0, np.nan, n)
