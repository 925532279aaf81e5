"""Groups against one another within what is alike: counts that add, differences with intervals, one test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.counts import BUCKETS, Additive, by_bucket
from toolkit.study.table import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells(Additive):
    """Units (int64), their values and the squares of these (float64), each 1,024 × strata × groups."""

    n: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, bucket, stratum, group, value, shape: tuple[int, int]) -> Cells:
        """Counts units by stratum and group; those with a code of −1 are left out.

        Args:
            bucket: bucket of each unit's customer.
            stratum: code of what it is alike with.
            group: code of the group it belongs to.
            value: 0–1.
            shape: strata, groups.
        """
        kept, value = (stratum >= 0) & (group >= 0), np.asarray(value, np.float64)
        key = (np.asarray(stratum, np.int64) * shape[1] + group)[kept]
        sums = (by_bucket(bucket[kept], w, key, shape[0] * shape[1]) for w in (None, value[kept], value[kept] ** 2))
        n, total, squares = (one.reshape(BUCKETS, *shape) for one in sums)
        return cls(n=n, total=total, squares=squares)

    def at(self, strata: slice) -> Cells:
        """Only these strata."""
        return Cells(n=self.n[:, strata], total=self.total[:, strata], squares=self.squares[:, strata])


def placed(part: Part, table: str, column: str, places: Mapping[str, int], other: int = -1) -> np.ndarray:
    """The place of each row's word; `other` for a word without one, and where the column is absent."""
    rows = part.tables[table]
    if column not in rows:
        return np.full(len(rows), other)
    return np.array([*(places.get(word, other) for word in part.words(column, table)), other])[rows[column]]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Each group against the others of its strata; NaN where there is nothing to compare with.

    Attributes:
        n: units compared (int64).
        mean: their mean.
        diff: mean difference from the others; error: its standard error; df: degrees of freedom.
        p: that no group differs.
    """

    n: np.ndarray
    mean: np.ndarray
    diff: np.ndarray
    error: np.ndarray
    df: np.ndarray
    p: float

    @property
    def known(self) -> np.ndarray:
        """The groups that can be compared, by number."""
        return np.flatnonzero(~np.isnan(self.error))

    def ends(self, i: int, level: float) -> tuple[float, float, float]:
        """Difference of a group and its interval."""
        from scipy.stats import t

        margin = t.isf((1 - level) / 2, self.df[i]) * self.error[i]
        return float(self.diff[i]), float(self.diff[i] - margin), float(self.diff[i] + margin)


def gaps(cells: Cells, least: int = 2, against: int | None = None) -> Gaps:
    """Compares each group with the others, stratum by stratum, as its own units are spread over the strata.

    Args:
        cells: what was counted.
        least: groups with fewer customers (filled buckets) are left out, among the others too.
        against: the one group that all are compared with; all others when left out.

    Returns:
        One entry per group.

    Method:
        Direct standardisation to the group's own strata; variance by linearisation over the buckets (Cochran 1977,
        Sampling Techniques, 6.4), at least that of units on their own; Student's t, filled buckets less one. p: the
        smallest of the groups' own, times their number (two groups that face each other are one).

    Example:
        >>> empty = np.zeros((1024, 1, 2))
        >>> gaps(Cells(n=empty.astype(int), total=empty, squares=empty)).diff
        array([nan, nan])
    """
    from scipy.stats import t

    used = cells.n.any(axis=(0, 2))
    enough = cells.n.any(axis=1).sum(axis=0) >= least
    n, total, squares = (np.where(enough, part[:, used], 0) for part in (cells.n, cells.total, cells.squares))
    rest, rest_sum = (_others(part, against) for part in (n, total))
    own, other = n.sum(axis=0), rest.sum(axis=0)
    shared = (own > 0) & (other > 0)
    size = np.where(shared, own, 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, rest_mean, weight = total.sum(axis=0) / own, rest_sum.sum(axis=0) / other, own / size
        pull = (total - n * mean) / size - weight / other * (rest_sum - rest * rest_mean)
        clustered = (np.where(shared, pull, 0).sum(axis=1) ** 2).sum(axis=0)
        everyone, centre = (part.sum(axis=(0, 2))[:, None] for part in (n, total))
        spread = squares.sum(axis=(0, 2))[:, None] / everyone - (centre / everyone) ** 2
        alone = np.where(shared, weight**2 * spread * (1 / own + 1 / other), 0).sum(axis=0)
        filled = np.where(shared, n, 0).any(axis=1).sum(axis=0)
        error = np.sqrt(np.fmax(clustered * filled / (filled - 1), np.fmax(alone, 0)))
        diff = np.where(shared, weight * (mean - rest_mean), 0).sum(axis=0)
        shown = np.where(shared, total.sum(axis=0), 0).sum(axis=0) / size
    diff, error, df = (np.where(filled >= max(least, 2), part, np.nan) for part in (diff, error, filled - 1.0))
    each = 2 * t.sf(np.abs(diff) / error, df)
    family = np.isfinite(each).sum()
    p = min(np.nanmin(each) * (1 if family == 2 and against is None else family), 1) if family else np.nan
    return Gaps(size, shown, diff, error, df, float(p))


def _others(part: np.ndarray, against: int | None) -> np.ndarray:
    """For each group the sum of the others, or the one to compare with."""
    if against is None:
        return part.sum(axis=2, keepdims=True) - part
    return part[:, :, [against]] * (np.arange(part.shape[2]) != against)
