"""How many customers a comparison needs, what it can see, and how surely: each the inverse of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import nct, t

from toolkit.errors import UsageError
from toolkit.stats.checks import outside

MOST = 1e13  # customers; what needs more is out of reach
SURE = 200  # standard errors; beyond, the non-central t is not computed reliably


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A comparison of a treatment with control that is still to come. Customers are those of control.

    Attributes:
        mean: control's share, mean or ratio, > 0.
        sd: standard deviation between customers (of a ratio: of its linearised values); 0 = a share.
        split: customers of the treatment per customer of control, > 0.
        level: 0–1.
        null: relative difference to be ruled out, one-sidedly: −0.01 = "lower by 1 %", 0.02 = "higher by 2 %". 0 = any
            difference at all, two-sided.
        factor: by how much clusters, looks and covariates raise or lower the customers needed.

    Method:
        Shares: the normal test with the pooled standard error at null 0 (R's power.prop.test). Others: Welch's t
        (R's power.t.test where the arms are even).

    Example:
        >>> purchase, revenue = Comparison(mean=0.02), Comparison(mean=5, sd=1)
        >>> round(purchase.n(rel=0.5), 2), round(revenue.power(20, rel=0.2), 7)
        (3825.15, 0.8689528)
    """

    mean: float
    sd: float = 0.0
    split: float = 1.0
    level: float = 0.95
    null: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.mean < (math.inf if self.sd else 1) and self.sd >= 0 and 0 < self.split < math.inf):
            told = f"Nothing can be planned from mean {self.mean!r}, sd {self.sd!r} and split {self.split!r}."
            raise UsageError(f"{told} Give a share between 0 and 1, or a mean with its standard deviation, above 0.")

    def power(self, n: float, rel: float) -> float:
        """The chance to see a relative difference with n customers in control, 0–1."""
        n, tail, ratio = n / self.factor, outside(self.level) / (1 if self.null else 2), 1 + self.null
        apart = (rel - self.null) * self.mean * (1 if (-self.null or rel) > 0 else -1)
        if not self.sd:
            treatment, pooled = self.mean * (1 + rel), self.mean * (1 + self.split * (1 + rel)) / (1 + self.split)
            if not 0 < treatment < 1:
                raise UsageError(f"A share of {self.mean:g} cannot change by {rel:+.0%}; give a smaller difference.")
            spread = treatment * (1 - treatment) / self.split + ratio**2 * self.mean * (1 - self.mean)
            null = spread if self.null else pooled * (1 - pooled) * (1 + 1 / self.split)
            return float(ndtr((apart * math.sqrt(n) + ndtri(tail) * math.sqrt(null)) / math.sqrt(spread)))
        errors = self.sd**2 / (self.split * n), (ratio * self.sd) ** 2 / n
        df = sum(errors) ** 2 / (errors[0] ** 2 / (self.split * n - 1) + errors[1] ** 2 / (n - 1))
        return float(nct.sf(t.isf(tail, df), df, min(apart / math.sqrt(sum(errors)), SURE)))

    def n(self, rel: float, power: float = 0.8) -> float:
        """Customers in control from which on a relative difference is seen with this power; NaN where never."""
        return _root(lambda n: self.power(n, rel) - power, self._fewest, MOST)

    def mde(self, n: float, power: float = 0.8, sign: int = 1) -> float:
        """The smallest relative difference seen with n customers in control; NaN where there is none.

        With a null it is the smallest that is ruled out when nothing differs.
        """
        sign = math.copysign(1, self.null or sign)
        most = 1 if sign < 0 else MOST if self.sd or self.null else 1 / self.mean - 1

        def gap(size: float) -> float:
            there, rel = (replace(self, null=sign * size), 0) if self.null else (self, sign * size)
            return there.power(n, rel) - power

        return sign * _root(gap, 1e-9, most * (1 - 1e-9)) if n > self._fewest else math.nan

    @property
    def _fewest(self) -> float:
        return (1 + max(1, 1 / self.split)) * self.factor


def _root(gap, low: float, high: float) -> float:
    """Where a rising function crosses 0, searched by size; NaN where it stays below."""
    if gap(low) >= 0 or gap(high) < 0:
        return low if gap(low) >= 0 else math.nan
    return math.exp(brentq(lambda x: gap(math.exp(x)), math.log(low), math.log(high), xtol=1e-13))


def design_effect(size: float, icc: float, cv: float = 0.0) -> float:
    """How many more customers are needed when whole clusters, such as stores, are given a variant.

    Args:
        size: mean customers per cluster.
        icc: how alike customers of one cluster are, 0–1.
        cv: standard deviation of the cluster sizes over their mean.

    Method:
        1 + ((1 + CV²) m − 1) ICC (Eldridge, Ashby and Kerry 2006, doi:10.1093/ije/dyl129).

    Example:
        >>> design_effect(50, 0.02)
        1.98
    """
    return 1 + ((1 + cv**2) * size - 1) * icc
