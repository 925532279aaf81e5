"""How often each test is wrong: false alarms without an effect, and how often intervals hold a true one.

    python benchmarks/calibration.py [--runs 20000] [--only shares]

Every scenario is simulated many times in one array call; a cell outside 4–6 % (false alarms) or 94–96 % (coverage) must
be one where the read-out's own guard speaks, else the script ends with 1. A cell that lies outside without a guard is
drawn four times more, and what all five say counts: chance alone puts some cell of so many outside.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1])]
from toolkit.counts import Tally  # noqa: E402
from toolkit.stats.arms import (  # noqa: E402
    SKEW_RULE,
    Sums,
    adjusted_effect,
    mean_effect,
    quantile_effect,
    ratio_effect,
    skewness,
)
from toolkit.stats.effects import BEYOND, Effect, ShareEffect  # noqa: E402

LIFT = 1.1  # of the treatment, where coverage is measured
CLUSTERS = 40  # per arm, below which whoever feeds in clusters should be wary
AT_ONCE = 4_000_000  # units drawn in one go
BOUNDS = {"alarms": (0.04, 0.06), "margin": (0.04, 0.06), "diff": (0.94, 0.96), "rel": (0.94, 0.96)}


class Drawn(NamedTuple):
    """Many simulated experiments without and with an effect, the truth of the latter, and whether a guard speaks."""

    null: Effect | ShareEffect
    lifted: Effect | ShareEffect
    diff: float
    rel: float
    guard: np.ndarray


@dataclass(frozen=True)
class Scenario:
    """One line of the table: what is measured, of whom, how many in control and treatment, and the guard watching."""

    method: str
    name: str
    n: tuple[int, int]
    guard: str
    draw: Callable[[np.random.Generator, int, tuple[int, int]], Drawn]
    cost: float = 1.0  # numbers drawn per unit

    def measure(self, rng: np.random.Generator, runs: int) -> dict:
        """Shares of the runs: false alarms, also of a margin met just so; intervals that hold; guard speaking."""
        size = max(1, min(runs, int(AT_ONCE / (sum(self.n) * self.cost))))
        found = []
        for start in range(0, runs, size):
            drawn = self.draw(rng, min(size, runs - start), self.n)
            null, lifted = drawn.null, drawn.lifted
            ends = [(lifted.interval(), drawn.diff), (lifted.rel_interval(), drawn.rel)]
            held = [np.where(np.isnan(low), np.nan, (low <= true) & (true <= high)) for (low, high), true in ends]
            tests = [np.where(np.isnan(p), np.nan, p < 0.05) for p in (null.p, lifted.p_above(drawn.rel))]
            found.append(np.broadcast_arrays(*tests, *held, np.asarray(drawn.guard, float)))
        cells = np.concatenate(found, axis=1)
        known = (float(np.nanmean(cell)) if (~np.isnan(cell)).any() else np.nan for cell in cells)
        return dict(zip((*BOUNDS, "guard"), known, strict=True)) | {"unknown": float(np.isnan(cells[0]).mean())}


def outside(found: dict) -> list[str]:
    """The cells that lie outside what is promised."""
    return [cell for cell, (low, high) in BOUNDS.items() if not low <= found[cell] <= high]


# what is drawn


def shares(rng, runs, n, rate):
    """Customers who convert."""
    c, t, lifted = (rng.binomial(size, p, runs) for size, p in ((n[0], rate), (n[1], rate), (n[1], rate * LIFT)))
    null = ShareEffect(c, n[0], t, n[1])
    return Drawn(null, ShareEffect(c, n[0], lifted, n[1]), rate * (LIFT - 1), LIFT - 1, null.few)


def scaled(sums: Sums, *rates: float) -> Sums:
    """The sums of the variables after each was multiplied."""
    rates = np.array(rates)
    return Sums(sums.n, sums.total * rates, sums.cross * np.outer(rates, rates))


def skewed(arms: list[Sums], n: tuple[int, int], ratio: bool = False) -> np.ndarray:
    """Whether an arm has too few units for how skewed it is."""
    need = [SKEW_RULE * skewness(sums, ratio) ** 2 for sums in arms]
    return (n[0] < need[0]) | (n[1] < need[1])


def revenue(rng, runs, n, spread, buyers=1.0):
    """Lognormal spend of a share of buyers, nothing of the others."""
    arms = []
    for size in n:
        bought = rng.binomial(size, buyers, runs) if buyers < 1 else np.full(runs, size)
        spend = rng.standard_normal((runs, bought.max()))
        np.exp(np.multiply(spend, spread, out=spend), out=spend)
        if buyers < 1:
            spend *= np.arange(bought.max()) < bought[:, None]
        sums = Sums.of(np.stack([spend, spend**2], axis=-1))
        arms.append(Sums(np.full(runs, float(size)), sums.total, sums.cross))
    mean = buyers * np.exp(spread**2 / 2)
    lifted = mean_effect(arms[0].pick(0), scaled(arms[1].pick(0), LIFT))
    return Drawn(mean_effect(*arms), lifted, mean * (LIFT - 1), LIFT - 1, skewed(arms, n))


def sessions(rng, runs, n):
    """Orders per session: eager customers come more often and order more often."""
    arms = []
    for size in n:
        eager = rng.gamma(2.0, 0.5, (runs, size))  # mean 1, mean square 1.5
        visits = 1 + rng.poisson(3 * eager)
        orders = rng.binomial(visits, np.minimum(0.05 + 0.1 * eager, 1))
        arms.append(Sums.of(np.stack([orders, visits, orders**2, visits**2], axis=-1)))
    rate = (0.05 + 0.25 + 0.3 * 1.5) / 4
    lifted = ratio_effect(arms[0], scaled(arms[1].pick(0, 1), LIFT, 1.0))
    return Drawn(ratio_effect(*arms), lifted, rate * (LIFT - 1), LIFT - 1, skewed(arms, n, ratio=True))


def clusters(rng, runs, n):
    """A share of customers where whole towns are drawn: towns differ in size and in rate (ICC 0.05)."""
    arms = []
    for size in n:
        people = 5 + rng.poisson(rng.gamma(2.0, 10.0, (runs, size)))
        bought = rng.binomial(people, rng.beta(0.2 * 19, 0.8 * 19, (runs, size)))
        arms.append(Sums.of(np.stack([bought, people], axis=-1)))
    lifted = ratio_effect(arms[0], scaled(arms[1], LIFT, 1.0))
    return Drawn(ratio_effect(*arms), lifted, 0.2 * (LIFT - 1), LIFT - 1, np.full(runs, min(n) < CLUSTERS))


def before_and_after(rng, runs, n, slope, uneven=0.0):
    """Spend with that of the time before as covariate; uneven: the effect grows with it."""
    arms = []
    for size in n:
        before = rng.gamma(4.0, 2.5, (runs, size))  # mean 10, sd 5
        arms.append(np.stack([slope * before + rng.normal(20, 5, (runs, size)), before], axis=-1))
    mean, few = slope * 10 + 20, np.zeros(runs, bool)
    null = adjusted_effect(*map(Sums.of, arms))
    arms[1][..., 0] += (LIFT - 1) * mean + uneven * (arms[1][..., 1] - 10)
    return Drawn(null, adjusted_effect(*map(Sums.of, arms)), mean * (LIFT - 1), LIFT - 1, few)


def spend_before_and_after(rng, runs, n):
    """Lognormal spend, a multiple of the lognormal spend of the time before."""
    arms = []
    for size in n:
        before = np.exp(0.5 * rng.standard_normal((runs, size)))
        spend = before * np.exp(0.5 * rng.standard_normal((runs, size)))
        arms.append(Sums.of(np.stack([spend, before, spend**2], axis=-1)))
    c, t = (sums.pick(0, 1) for sums in arms)
    few = skewed([sums.pick(0, 2) for sums in arms], n)
    return Drawn(
        adjusted_effect(c, t), adjusted_effect(c, scaled(t, LIFT, 1)), np.exp(0.25) * (LIFT - 1), LIFT - 1, few
    )


def normal(rng, runs, n, spread):
    """Normal values; the treatment's spread is larger."""
    c, t = (Sums.of(rng.normal(20, sd, (runs, size, 1))) for size, sd in zip(n, (5, 5 * spread), strict=True))
    return Drawn(mean_effect(c, t), mean_effect(c, scaled(t, LIFT)), 20 * (LIFT - 1), LIFT - 1, np.zeros(runs, bool))


def quantiles(rng, runs, n, q):
    """Quantiles of lognormal waits."""
    arms = [np.exp(rng.standard_normal((runs, size))) for size in n]
    tallies = [[Tally.of(np.arange(runs).repeat(a.shape[1]), a.ravel() * by) for a in arms] for by in (1.0, LIFT)]
    null = quantile_effect(*tallies[0], q, runs)
    lifted = quantile_effect(tallies[0][0], tallies[1][1], q, runs)
    true = np.exp(ndtri(q))
    return Drawn(null, lifted, true * (LIFT - 1), LIFT - 1, null.rough)


FEW, SKEW, TOWNS, NONE = "few conversions", "n < 355 · skew²", f"under {CLUSTERS} clusters", "–"
TAIL = f"under {BEYOND} units beyond"
EQUAL, UNEQUAL = [(50, 50), (1_000, 1_000)], [(450, 50), (50, 450)]


def lines(method, name, guard, draw, sizes, cost=1.0) -> list[Scenario]:
    return [Scenario(method, name, n, guard, draw, cost) for n in sizes]


RARE = [(300, 300), (2_000, 2_000), (20_000, 20_000), (2_700, 300), (18_000, 2_000), (2_000, 18_000)]
OFTEN = [(10, 10), (100, 100), (2_000, 2_000), (90, 10), (900, 100), (100, 900)]
MILD = [(200, 200), (1_100, 1_100), (9_900, 1_100), (1_100, 9_900)]
WILD = [(200, 200), (1_800, 200), (200, 1_800), (13_600, 13_600), (13_600, 122_400)]
BUYERS = [(2_700, 300), (2_900, 2_900), (26_100, 2_900)]
HEAVY = [(200, 200), (1_800, 200), (3_000, 3_000)]
MIDDLE, TOP = [(50, 50), (900, 100), (1_000, 1_000), (2_700, 300)], [(200, 200), (1_500, 1_500), (13_500, 1_500)]
SCENARIOS = [
    *lines("share", "1 % convert", FEW, partial(shares, rate=0.01), RARE, 1e-3),
    *lines("share", "30 % convert", FEW, partial(shares, rate=0.3), OFTEN, 1e-3),
    *lines("mean", "normal, equal spread", NONE, partial(normal, spread=1), [(20, 20), *UNEQUAL]),
    *lines("mean", "normal, spread 1 : 3", NONE, partial(normal, spread=3), [(20, 20), *UNEQUAL]),
    *lines("mean", "revenue, skew 1.75", SKEW, partial(revenue, spread=0.5), MILD),
    *lines("mean", "revenue, skew 6.2", SKEW, partial(revenue, spread=1.0), WILD),
    *lines("mean", "20 % buy, skew 2.8", SKEW, partial(revenue, spread=0.5, buyers=0.2), BUYERS),
    *lines("mean", "5 % buy, skew 20", SKEW, partial(revenue, spread=1.0, buyers=0.05), [(145_000, 145_000)], 0.1),
    *lines("ratio", "orders per session", SKEW, sessions, [*EQUAL, *UNEQUAL, (4_000, 4_000)], 4),
    *lines("ratio", "share, towns drawn", TOWNS, clusters, [(10, 10), (40, 40), (100, 100), (360, 40)], 4),
    *lines("covariate", "r² 0.5", NONE, partial(before_and_after, slope=1.0), [*EQUAL, *UNEQUAL], 2),
    *lines("covariate", "r² 0", NONE, partial(before_and_after, slope=0.0), EQUAL, 2),
    *lines("covariate", "effect grows with it", NONE, partial(before_and_after, slope=1.0, uneven=1.0), EQUAL, 2),
    *lines("covariate", "revenue, skew 2.9", SKEW, spend_before_and_after, HEAVY, 2),
    *lines("quantile", "median", TAIL, partial(quantiles, q=0.5), MIDDLE, 61),
    *lines("quantile", "90th percentile", TAIL, partial(quantiles, q=0.9), TOP, 61),
]


def said(scenario: Scenario, found: dict) -> str:
    """Which guard watches, in how many runs it spoke, and how many runs gave no answer."""
    spoke = f"{scenario.guard} ({found['guard']:.0%})" if scenario.guard != NONE else NONE
    return spoke + (f"; unknown in {found['unknown']:.1%}" if found["unknown"] else "")


def judged(scenario: Scenario, rng: np.random.Generator, runs: int) -> tuple[dict, str]:
    """What is found; where it lies outside and no guard speaks, over all of five times as many runs."""
    found = scenario.measure(rng, runs)
    if not outside(found) or found["guard"] > 0.5:
        return found, ""
    more = scenario.measure(rng, 4 * runs)
    return {cell: (found[cell] + 4 * more[cell]) / 5 for cell in found}, f"; {5 * runs:,} runs"


def main() -> int:
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--runs", type=int, default=20_000)
    reading.add_argument("--seed", type=int, default=1)
    reading.add_argument("--only", help="one method")
    given = reading.parse_args()
    print("| method | scenario | control / treatment | false alarms | margin beaten | lift held | rel. held | guard |")
    print("|---|---|---|---|---|---|---|---|")
    guarded, bare = [], []
    for place, scenario in enumerate(SCENARIOS):
        if given.only in (None, scenario.method):
            found, note = judged(scenario, np.random.default_rng([given.seed, place]), given.runs)
            wrong, n = outside(found), " / ".join(f"{size:,}" for size in scenario.n)
            shown = " | ".join(f"**{found[cell]:.2%}**" if cell in wrong else f"{found[cell]:.2%}" for cell in BOUNDS)
            print(
                f"| {scenario.method} | {scenario.name} | {n} | {shown} | {said(scenario, found)}{note} |", flush=True
            )
            if wrong:
                line = f"- {scenario.method}, {scenario.name}, {n}: {said(scenario, found)}"
                (guarded if found["guard"] > 0.5 else bare).append(line)
    for title, lines_ in (("Outside, and the guard speaks", guarded), ("Outside, and no guard speaks", bare)):
        print(f"\n{title}:\n\n" + "\n".join(lines_ or ["- none"]))
    print(f"\n{given.runs:,} runs each, seed {given.seed}; {time.process_time():.0f} CPU seconds")
    return bool(bare)


if __name__ == "__main__":
    sys.exit(main())
