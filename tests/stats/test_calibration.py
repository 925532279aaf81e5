"""The calibration in small: the scenarios of benchmarks/calibration.py with few customers, few times."""

import numpy as np
import pytest

from benchmarks.calibration import BOUNDS, SCENARIOS, outside

RUNS = 2_500
CHANCE = 3 * np.sqrt(0.05 * 0.95 / RUNS)
SMALL = [scenario for scenario in SCENARIOS if scenario.method == "share" or sum(scenario.n) <= 1_100]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: f"{scenario.method}, {scenario.name}, {scenario.n}")
def test_false_alarms_and_coverage_are_what_they_say_or_the_guard_speaks(scenario):
    found = scenario.measure(np.random.default_rng(30), RUNS)
    for cell, (low, high) in BOUNDS.items():
        assert low - CHANCE < found[cell] < high + CHANCE or found["guard"] > 0.5
    assert found["unknown"] == 0


def test_a_cell_outside_its_bounds_is_named():
    right = {"alarms": 0.05, "margin": 0.05, "diff": 0.95, "rel": 0.95}
    assert outside(right) == [] and outside(right | {"rel": 0.93, "alarms": 0.061}) == ["alarms", "rel"]
