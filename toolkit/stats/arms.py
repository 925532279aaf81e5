"""Effects from sums: what is counted of each arm, whatever the pieces it was counted in, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toolkit.counts import BIN_SHIFT, Additive, Tally
from toolkit.stats.effects import BEYOND, FEWEST, Effect
from toolkit.stats.scores import Z95

BIN = 2.0 ** (BIN_SHIFT - 52) / 12**0.5  # standard error of a value known by its bin of a Tally, of the value
LOST = 1e-12  # of the mean square: a variance below this is rounding
TINY = 1e-150  # in place of a variance of 0
SKEW_RULE = 355  # units for each squared skewness (Kohavi and others 2014, doi:10.1145/2623330.2623341)


@dataclass(frozen=True, slots=True)
class Sums(Additive):
    """What a comparison needs to know of the units of an arm: additive, for many arms or metrics at once.

    Attributes:
        n: units; its axes are the leading axes of the others.
        total: … × k, sums of k variables: the metric, for a ratio what stands below the line, then covariates.
        cross: … × k × k, sums of their products.

    Example:
        >>> sums = Sums.of([[1.0, 2.0], [3.0, 2.0]]) + Sums.of([[5.0, 2.0]])
        >>> sums.n.item(), sums.total.tolist(), sums.cross.tolist()
        (3.0, [9.0, 6.0], [[35.0, 18.0], [18.0, 12.0]])
    """

    n: np.ndarray
    total: np.ndarray
    cross: np.ndarray

    @classmethod
    def of(cls, values) -> Sums:
        """Sums over units: … × units × variables."""
        values = np.asarray(values, float)
        n = np.full(values.shape[:-2], float(values.shape[-2]))
        return cls(n, values.sum(axis=-2), np.swapaxes(values, -1, -2) @ values)

    def __getitem__(self, place) -> Sums:
        """The sums at a place of the leading axes."""
        return Sums(self.n[place], self.total[place], self.cross[place])

    def pick(self, *variables: int) -> Sums:
        """The sums of some variables, in the order given."""
        places = np.array(variables)
        return Sums(self.n, self.total[..., places], self.cross[..., places[:, None], places])


def mean_effect(control: Sums, treatment: Sums) -> Effect:
    """The difference of two means.

    Args:
        control: sums whose first variable is the metric.
        treatment: the same of the other arm.

    Method:
        Welch 1947.

    Example:
        >>> effect = mean_effect(Sums.of([[1.0], [3.0]]), Sums.of([[4.0], [6.0]]))
        >>> float(effect.diff), float(effect.df.round(6)), float(effect.p.round(4))
        (3.0, 2.0, 0.1679)
    """
    return adjusted_effect(control.pick(0), treatment.pick(0))


def ratio_effect(control: Sums, treatment: Sums) -> Effect:
    """The difference of two ratios of sums, such as revenue per order; units are customers, or clusters of them.

    Args:
        control: sums whose first two variables stand above and below the line.
        treatment: the same of the other arm.

    Method:
        The variance of (y − R·d) / d̄ over units (Deng, Knoblich and Lu 2018, doi:10.1145/3219819.3219919), then Welch.

    Example:
        >>> effect = ratio_effect(Sums.of([[8, 4], [6, 2], [1, 1]]), Sums.of([[9, 3], [5, 3], [6, 2]]))
        >>> float(effect.control.round(3)), float(effect.treatment.round(3)), float(effect.p.round(3))
        (2.143, 2.5, 0.587)
    """
    return adjusted_effect(control.pick(0, 1), treatment.pick(0, 1), ratio=True)


def adjusted_effect(control: Sums, treatment: Sums, ratio: bool = False) -> Effect:
    """The difference of two means or ratios, freed of what covariates from before the exposure explain.

    Args:
        control: sums of the metric (for a ratio: above, then below the line), then of covariates.
        treatment: the same of the other arm.
        ratio: whether the second variable stands below the line; give it the same two sums of the time before.

    Returns:
        The effect. A covariate that does not vary in an arm is left out, and all are where an arm has fewer than 50
        units; with none left it is the unadjusted effect to the last bit.

    Method:
        A slope per arm, towards the covariates' mean over both arms (Lin 2013, doi:10.1214/12-AOAS583), with the
        variance of that mean (Negi and Wooldridge 2021, doi:10.1080/07474938.2020.1824732).

    Example:
        >>> rng = np.random.default_rng(1)
        >>> before = rng.normal(10, 3, (2, 500))
        >>> arms = [Sums.of(np.column_stack([x + rng.normal(0, 1, 500), x])) for x in before]
        >>> round(float(adjusted_effect(*arms).se / mean_effect(*arms).se), 2)
        0.32
    """
    first = 2 if ratio else 1
    arms, whole = [_arm(control, first), _arm(treatment, first)], _arm(control + treatment, first)
    used = arms[0].varies & arms[1].varies & (np.minimum(control.n, treatment.n) >= FEWEST)[..., None]
    spread = np.where(_pairs(used, used), whole.spread / whole.n[..., None, None], 0)
    values, slopes, variances, df = zip(*(_adjusted(arm, whole.means, spread, used) for arm in arms), strict=True)
    cov = np.einsum("...i,...ij,...j", slopes[0], spread, slopes[1])
    return Effect(*values, control.n, treatment.n, *variances, *df, cov, ~used.all(axis=-1))


def quantile_effect(control: Tally, treatment: Tally, q: float, groups: int = 1, errors=None) -> Effect:
    """The differences of quantiles.

    Args:
        control: values of control by group; a group is a metric, a segment or a simulated experiment.
        treatment: the same of the other arm.
        q: share below, 0–1.
        groups: how many groups there are.
        errors: where values come in clusters, the standard errors of the shares below the quantile, one of each arm
            (2 × groups, from `ratio_effect`); left out, those of independent units.

    Method:
        A quantile's error is its reach at the limits of the share below it, over twice their z (Woodruff 1952,
        doi:10.1080/01621459.1952.10483443); normal. Beyond the exact limit of a Tally its bin's width is added.

    Example:
        >>> arms = [Tally.of(np.zeros(400, int), np.arange(400) * by) for by in (1.0, 1.2)]
        >>> effect = quantile_effect(*arms, 0.5)
        >>> effect.diff.round(1), effect.se.round(1)
        (array([39.9]), array([15.6]))
    """
    values, variances, sizes = [], [], []
    for i, tally in enumerate((control, treatment)):
        n = tally.n(groups=groups)
        reach = Z95 * (np.sqrt(q * (1 - q) / np.maximum(n, 1)) if errors is None else np.asarray(errors, float)[i])
        low, value, high = (tally.quantile(np.clip(q + side * reach, 0, 1), groups=groups) for side in (-1, 0, 1))
        known = (q - reach > 0) & (q + reach < 1) & (n > 1)
        variance = ((high - low) / (2 * Z95)) ** 2 + (0 if tally.exact else (BIN * value) ** 2)
        values.append(value), variances.append(np.where(known, variance, np.nan)), sizes.append(n)
    rough = np.minimum(*sizes) * min(q, 1 - q) < BEYOND
    return Effect(*values, *sizes, *variances, np.inf, np.inf, rough=rough)


def skewness(sums: Sums, ratio: bool = False) -> np.ndarray:
    """How skewed a metric is, by which its units are judged to be enough (`SKEW_RULE`); NaN where it does not vary.

    Args:
        sums: of the metric and its square; for a ratio of what stands above and below the line, then their squares.
        ratio: whether the second variable stands below the line.

    Method:
        Third moment over the cube of the standard deviation; of a ratio those of y − R·d, which carry its error. With
        fewer than 355 units for each squared skewness, an interval of the mean is not to be trusted.

    Example:
        >>> values = np.array([0.0, 0.0, 0.0, 4.0])
        >>> float(skewness(Sums.of(np.column_stack([values, values**2]))).round(4))
        1.1547
    """
    y, cross = sums.total[..., 0], sums.cross
    d = dd = ddd = sums.n  # of a mean, below the line stands 1
    yd, ydd, yyd = y, y, cross[..., 0, 0]
    if ratio:
        d, dd, ddd, yd = sums.total[..., 1], cross[..., 1, 1], cross[..., 1, 3], cross[..., 0, 1]
        ydd, yyd = cross[..., 0, 3], cross[..., 1, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = y / d
        square = (cross[..., 0, 0] - 2 * r * yd + r**2 * dd) / sums.n
        cube = (cross[..., 0, 2 if ratio else 1] - 3 * r * yyd + 3 * r**2 * ydd - r**3 * ddd) / sums.n
        return cube / np.where(square > LOST * cross[..., 0, 0] / sums.n, square, np.nan) ** 1.5


class _Arm(NamedTuple):
    """Value and variance of the units, and how the covariates go with it."""

    n: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    means: np.ndarray
    along: np.ndarray
    spread: np.ndarray
    varies: np.ndarray


def _arm(sums: Sums, first: int) -> _Arm:
    """The first variable, or with first = 2 its ratio to the second, made linear; what follows are covariates."""
    with np.errstate(divide="ignore", invalid="ignore"):
        n = sums.n[..., None, None]
        mean, square = sums.total / sums.n[..., None], sums.cross / n
        spread = (square - _pairs(mean, mean)) * (n / np.where(n > 1, n - 1, np.nan))
        value, weights = mean[..., 0], np.ones_like(mean[..., :1])
        if first == 2:
            below = np.where(mean[..., 1] == 0, np.nan, mean[..., 1])
            value = value / below
            weights = np.stack([1 / below, -value / below], axis=-1)
    sizes = np.diagonal(square, axis1=-2, axis2=-1)
    variance = np.einsum("...i,...ij,...j", weights, spread[..., :first, :first], weights)
    rounding = LOST * (weights**2 * sizes[..., :first]).sum(axis=-1)
    return _Arm(
        n=sums.n,
        value=value,
        variance=np.where(variance < rounding, 0, variance),
        means=mean[..., first:],
        along=np.einsum("...i,...ij->...j", weights, spread[..., :first, first:]),
        spread=spread[..., first:, first:],
        varies=np.diagonal(spread, axis1=-2, axis2=-1)[..., first:] > LOST * sizes[..., first:],
    )


def _adjusted(arm: _Arm, means: np.ndarray, error: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, ...]:
    """Value at the means of the covariates (whose variance is error), slopes, variance and degrees of freedom."""
    inside = np.where(_pairs(used, used), arm.spread, 0)
    along, apart = np.where(used, arm.along, 0), np.where(used, arm.means - means, 0)
    scale = np.sqrt(np.where(used, np.diagonal(inside, axis1=-2, axis2=-1), 1))
    inside = inside / _pairs(scale, scale)
    inverse = np.linalg.pinv(inside, rcond=1e-10, hermitian=True)
    slope = np.einsum("...ij,...j", inverse, along / scale) / scale
    df = arm.n - 1 - np.rint(np.einsum("...ij,...ij", inverse, inside))
    left = arm.variance - (slope * along).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(left < LOST * arm.variance, 0, left) * ((arm.n - 1) / df) / arm.n
    more = np.einsum("...i,...ij,...j", slope, error, slope)  # known so well that only the arm's own part is uncertain
    return arm.value - (slope * apart).sum(axis=-1), slope, own + more, df * (1 + more / np.maximum(own, TINY)) ** 2


def _pairs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., :, None] * other[..., None, :]
