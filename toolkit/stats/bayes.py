"""A Bayesian second opinion in closed form: chance to win, and what a choice would gain or cost on average."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, ndtr

CAUTION = "This does not make up for looking several times."


class Belief(NamedTuple):
    """What to believe of a treatment against control, given the prior.

    Args:
        chance: probability that the treatment is better, 0–1.
        gain: mean of what the treatment adds where it is better, 0 where not; in units of the metric.
        loss: mean of what is lost by choosing the treatment: what control is ahead by, 0 where it is not.
        prior: the prior, in words.
    """

    chance: float
    gain: float
    loss: float
    prior: str


def believe_shares(control_count: int, control_n: int, treatment_count: int, treatment_n: int) -> Belief:
    """Two shares, each as likely as any other before the data.

    Args:
        control_count: customers of control that did.
        control_n: customers of control.
        treatment_count: customers of the treatment that did.
        treatment_n: customers of the treatment.

    Method:
        Beta(1, 1) priors; Evan Miller's closed form of P(B > A) (2014); gain and loss by the same, one count raised.

    Example:
        >>> belief = believe_shares(100, 10_000, 120, 10_000)
        >>> round(belief.chance, 7), round(belief.gain, 8), round(belief.loss, 10)
        (0.9120125, 0.00205978, 6.01809e-05)
    """
    a_c, b_c, a_t, b_t = (
        control_count + 1,
        control_n - control_count + 1,
        treatment_count + 1,
        treatment_n - treatment_count + 1,
    )
    control, treatment = a_c / (a_c + b_c), a_t / (a_t + b_t)
    chance, more_c, more_t = _wins(a_c, b_c, a_t, b_t), _wins(a_c + 1, b_c, a_t, b_t), _wins(a_c, b_c, a_t + 1, b_t)
    gain, loss = treatment * more_t - control * more_c, control * (1 - more_c) - treatment * (1 - more_t)
    return Belief(chance, max(gain, 0.0), max(loss, 0.0), "any share as likely as any other")


def believe_lift(lift: float, se: float, prior_sd: float = 0.1) -> Belief:
    """A relative lift, drawn towards none by what lifts usually are.

    Args:
        lift: relative difference, treatment against control.
        se: its standard error, > 0.
        prior_sd: how large relative lifts usually are, as a standard deviation around 0, > 0.

    Method:
        Normal likelihood, normal prior.

    Example:
        >>> belief = believe_lift(0.05, 0.03)
        >>> round(belief.chance, 3), round(belief.gain, 4), round(belief.loss, 4)
        (0.945, 0.0465, 0.0007)
    """
    kept = prior_sd**2 / (prior_sd**2 + se**2)
    mean, sd = lift * kept, se * math.sqrt(kept)
    density, chance = sd * math.exp(-((mean / sd) ** 2) / 2) / math.sqrt(2 * math.pi), float(ndtr(mean / sd))
    prior = f"lifts around 0 with a standard deviation of {100 * prior_sd:g} %"
    return Belief(chance, density + mean * chance, density - mean * (1 - chance), prior)


def _wins(a_c: int, b_c: int, a_t: int, b_t: int) -> float:
    """The chance that a Beta(a_t, b_t) exceeds a Beta(a_c, b_c)."""
    i = np.arange(a_t)
    return float(np.exp(betaln(a_c + i, b_c + b_t) - np.log(b_t + i) - betaln(1 + i, b_t) - betaln(a_c, b_c)).sum())
