"""Two arms compared: one statistic a metric answers every question, so no two answers can disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.stats.checks import outside
from toolkit.stats.scores import score_interval, score_ratio, score_ratio_z, score_z

FEW = 5  # expected in a cell, below which a guard speaks
FEWEST = 50  # units in each arm from which a covariate is used
BEYOND = 150  # units on either side of a quantile, below which its interval is rough (docs/calibration.md)
NOTES = {  # of what is unknown or left out; the first that holds is given
    "empty": "Nobody was counted in a group, so nothing can be compared.",
    "single": "Fewer than two units in a group, so nothing can be compared.",
    "undivided": "Nothing to divide by in a group, so its ratio is unknown.",
    "far": "Too few units for a quantile this far out.",
    "alike": "All values within each group are the same, so there is no spread to judge the difference by.",
    "zero": "Control cannot be told from zero, so no relative difference is reported.",
    "rough": f"Fewer than {BEYOND} units on one side of a quantile, so its interval is rough.",
    "dropped": f"A covariate does not vary, or a group has fewer than {FEWEST} units: it is left out.",
}


class _Asked:
    """What is asked of two arms; `statistic` answers."""

    __slots__ = ()

    @property
    def diff(self) -> np.ndarray:
        """Treatment minus control."""
        return self.treatment - self.control

    @property
    def z(self) -> np.ndarray:
        """The difference in standard errors."""
        return self.statistic()[0]

    @property
    def p(self) -> np.ndarray:
        """Two-sided p of no difference."""
        z, df = self.statistic()
        return 2 * _tail(np.abs(z), df)

    def p_above(self, margin, rel: bool = True) -> np.ndarray:
        """One-sided p, small where the lift exceeds the margin; −0.01: it is not worse by 1 % of control."""
        return _tail(*self.statistic(margin, rel))

    def p_below(self, margin, rel: bool = True) -> np.ndarray:
        """One-sided p, small where the lift stays under the margin; `rel=False`: the margin is a difference."""
        z, df = self.statistic(margin, rel)
        return _tail(-z, df)

    def p_within(self, margin, rel: bool = True) -> np.ndarray:
        """The p of two one-sided tests, small where the lift lies within ± margin (> 0)."""
        return np.maximum(self.p_above(np.negative(margin), rel), self.p_below(margin, rel))


@dataclass(frozen=True, slots=True)
class Effect(_Asked):
    """Two means, ratios or quantiles and their errors; every field may be an array.

    Attributes:
        control: value of control.
        treatment: value of treatment.
        n_c: units of control.
        n_t: units of treatment.
        var_c: variance of the value of control.
        var_t: variance of the value of treatment.
        df_c: degrees of freedom of var_c.
        df_t: degrees of freedom of var_t.
        cov: covariance of the two values; 0 without covariates.
        dropped: whether a covariate was left out.
        rough: whether a quantile has few units on one of its sides.

    Method:
        Welch 1947 (doi:10.1093/biomet/34.1-2.28); the relative lift by Fieller 1954
        (doi:10.1111/j.2517-6161.1954.tb00159.x) with the same critical value. A margin is tested at the margin.

    Example:
        >>> effect = Effect(10.0, 10.9, 400, 410, 9 / 400, 9.61 / 410, 399, 409)
        >>> [round(float(end), 4) for end in (*effect.interval(), *effect.rel_interval())]
        [0.4793, 1.3207, 0.0469, 0.1349]
    """

    control: np.ndarray
    treatment: np.ndarray
    n_c: np.ndarray
    n_t: np.ndarray
    var_c: np.ndarray
    var_t: np.ndarray
    df_c: np.ndarray
    df_t: np.ndarray
    cov: np.ndarray = 0.0
    dropped: np.ndarray = False
    rough: np.ndarray = False

    @property
    def se(self) -> np.ndarray:
        """Standard error of the difference; NaN where there is no spread to judge by."""
        return self._error(1.0)

    @property
    def df(self) -> np.ndarray:
        """Welch's degrees of freedom."""
        return self._df(1.0)

    @property
    def rel(self) -> np.ndarray:
        """The difference over the size of control; NaN where it has no 95 % interval."""
        return _over(self.diff, np.where(np.isnan(self.rel_interval()[0]), 0, np.abs(self.control)))

    @property
    def reason(self) -> np.ndarray:
        """Why something is unknown or left out; empty where all is well."""
        found = {
            "single": np.minimum(self.n_c, self.n_t) < 2,
            "undivided": np.isnan(self.diff),
            "far": np.isnan(self.var_c + self.var_t),
            "alike": np.isnan(self.se),
            "zero": np.isnan(self.rel),
            "rough": self.rough,
            "dropped": self.dropped,
        }
        return np.select(np.broadcast_arrays(*found.values()), [NOTES[name] for name in found], "")

    def statistic(self, null=0.0, rel: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Student's t against a stated lift, and its degrees of freedom; `rel`: stated relative to control."""
        ratio = 1 + np.sign(self.control) * null if rel else 1.0
        beyond = self.treatment - ratio * self.control - (0 if rel else null)
        return beyond / self._error(ratio), self._df(ratio)

    def interval(self, level: float = 0.95, crit=None) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the difference; `crit`: a sequential critical value in place of Student's."""
        margin = _critical(level, crit, self.df) * self.se
        return self.diff - margin, self.diff + margin

    def rel_interval(self, level: float = 0.95, crit=None, margin=0.0) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the relative difference; NaN where control may be zero at this level.

        Args:
            level: 0–1.
            crit: a sequential critical value in place of Student's.
            margin: the relative lift under test; it decides Student's degrees of freedom.
        """
        sign = np.where(np.asarray(self.control) < 0, -1, 1)
        squared = np.square(_critical(level, crit, self._df(1 + sign * margin)))
        wide, bend, slope = np.square(self.se), np.asarray(self.var_c), self.var_c - np.asarray(self.cov)
        sure = np.square(self.control) - squared * bend
        middle = self.diff * self.control + squared * slope
        root = wide * np.square(self.control) + 2 * slope * self.diff * self.control + bend * np.square(self.diff)
        root = np.sqrt(squared * np.maximum(root + squared * (slope**2 - bend * wide), 0))
        low, high = (_over(middle + side * root, np.where(sure > 0, sure, 0)) for side in (-sign, sign))
        return sign * low, sign * high

    def _error(self, ratio) -> np.ndarray:
        variance = self.var_t + ratio**2 * self.var_c - 2 * ratio * self.cov
        return np.sqrt(np.where(variance > 0, variance, np.nan))

    def _df(self, ratio) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.square(self.var_t) / self.df_t + np.square(ratio**2 * self.var_c) / self.df_c
            return self._error(ratio) ** 4 / parts


@dataclass(frozen=True, slots=True)
class ShareEffect(_Asked):
    """Two shares, asked as an `Effect` is and answered by the score statistic; every field may be an array.

    Attributes:
        control_count: units of control that did.
        control_n: units of control.
        treatment_count: units of treatment that did.
        treatment_n: units of treatment.

    Method:
        Miettinen and Nurminen 1985 (doi:10.1002/sim.4780040211), for the difference and for the ratio.

    Example:
        >>> effect = ShareEffect(48, 80, 56, 70)
        >>> [round(float(end), 4) for end in (*effect.interval(), *effect.rel_interval(), effect.p)]
        [0.0528, 0.3382, 0.079, 0.6721, 0.0083]
    """

    control_count: np.ndarray
    control_n: np.ndarray
    treatment_count: np.ndarray
    treatment_n: np.ndarray

    @property
    def control(self) -> np.ndarray:
        """Share of control; NaN where it is empty."""
        return _over(self.control_count, self.control_n)

    @property
    def treatment(self) -> np.ndarray:
        """Share of treatment; NaN where it is empty."""
        return _over(self.treatment_count, self.treatment_n)

    @property
    def se(self) -> np.ndarray:
        """Standard error of the difference, to weigh many by; never to judge one by."""
        parts = ((self.control, self.control_n), (self.treatment, self.treatment_n))
        return np.sqrt(sum(_over(share * (1 - share), n) for share, n in parts))

    @property
    def rel(self) -> np.ndarray:
        """The difference over control; NaN where nobody of control did."""
        return _over(self.diff, self.control)

    @property
    def few(self) -> np.ndarray:
        """Whether under 5 units of a group are expected to have done it, or not to have."""
        n = np.add(self.control_n, self.treatment_n)
        rate = _over(np.add(self.control_count, self.treatment_count), n)
        return np.minimum(self.control_n, self.treatment_n) * np.minimum(rate, 1 - rate) < FEW

    @property
    def reason(self) -> np.ndarray:
        """Why something is unknown; empty where all is well."""
        return np.select([np.isnan(self.diff), np.isnan(self.rel)], [NOTES["empty"], NOTES["zero"]], "")

    def statistic(self, null=0.0, rel: bool = False) -> tuple[np.ndarray, float]:
        """The score statistic against a stated lift, and its degrees of freedom; `rel`: stated relative to control."""
        return (score_ratio_z(*self._counts(), np.add(1, null)) if rel else score_z(*self._counts(), null)), np.inf

    def interval(self, level: float = 0.95, crit=None) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the difference; `crit`: a sequential critical value in place of the normal one."""
        return score_interval(*self._counts(), _critical(level, crit, np.inf))

    def rel_interval(self, level: float = 0.95, crit=None, margin=0.0) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the relative difference, the same at any margin; infinite above where nobody of control did."""
        low, high = score_ratio(*self._counts(), _critical(level, crit, np.inf))
        return low - 1, high - 1

    def _counts(self) -> tuple:
        return self.control_count, self.control_n, self.treatment_count, self.treatment_n


def _tail(z, df) -> np.ndarray:
    from scipy.special import stdtr

    return stdtr(df, np.negative(z))


def _critical(level: float, crit, df) -> np.ndarray:
    from scipy.special import stdtrit

    return stdtrit(df, 1 - outside(level) / 2) if crit is None else crit


def _over(above, below) -> np.ndarray:
    below = np.asarray(below, float)
    return np.divide(above, np.where(below == 0, np.nan, below))
