import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from toolkit.errors import UsageError
from toolkit.stats import adjust_p
from toolkit.stats.many import adjust

PUBLISHED = [  # Benjamini and Hochberg 1995, section 4.2
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
]
families = st.lists(st.floats(0, 1), min_size=1, max_size=12)
methods = st.sampled_from(["holm", "bh"])


def test_three_tests_are_adjusted_by_hand():
    assert adjust([0.01, 0.04, 0.03]).p == pytest.approx([0.03, 0.06, 0.06])
    assert adjust([0.01, 0.04, 0.03], "bh").p == pytest.approx([0.03, 0.04, 0.04])


def test_the_published_example_rejects_four_by_bh_and_three_by_holm():
    assert np.sum(adjust(PUBLISHED, "bh").p <= 0.05) == 4
    assert np.sum(adjust(PUBLISHED, "holm").p <= 0.05) == 3


@given(families)
def test_bh_equals_statsmodels(p):
    assert adjust(p, "bh").p == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)


def slow_holm(p):
    """The step-down rule, one test at a time."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, floor = [0.0] * len(p), 0.0
    for step, place in enumerate(order):
        floor = max(floor, min(1.0, (len(p) - step) * p[place]))
        adjusted[place] = floor
    return adjusted


@given(families)
def test_holm_equals_the_step_down_rule(p):
    assert adjust(p, "holm").p == pytest.approx(slow_holm(p), abs=1e-12)


@given(families, methods)
def test_adjusting_never_makes_a_p_smaller_nor_changes_the_order(p, method):
    found = adjust(p, method).p
    assert np.all(found >= np.array(p) - 1e-12) and np.all(found <= 1)
    assert np.all(np.diff(found[np.argsort(p)]) >= -1e-12)


@given(families, st.integers(0, 5), methods)
def test_what_is_unknown_stays_unknown_and_does_not_count(p, unknown, method):
    mixed = [*p, *[math.nan] * unknown]
    found = adjust(mixed, method)
    assert found.family == len(p)
    assert np.array_equal(found.p[: len(p)], adjust(p, method).p) and np.isnan(found.p[len(p) :]).all()


@pytest.mark.parametrize("p", [[], [math.nan, math.nan]])
def test_no_test_at_all_is_a_family_of_none(p):
    found = adjust(p)
    assert found.family == 0 and len(found.p) == len(p) and np.isnan(found.p).all()


def test_the_shape_and_the_input_are_kept():
    p = np.array([[0.01, 0.2], [math.nan, 0.04]])
    before = p.copy()
    assert adjust(p).p.shape == (2, 2)
    np.testing.assert_array_equal(p, before)


@pytest.mark.slow
def test_holm_raises_a_false_alarm_and_bh_a_false_share_as_often_as_they_may():
    rng = np.random.default_rng(25)
    null = rng.uniform(size=(4_000, 10))
    assert np.mean([(adjust(p).p < 0.05).any() for p in null]) == pytest.approx(0.05, abs=0.011)
    effect = 2 * norm.sf(abs(rng.normal(3.0, 1.0, (4_000, 10))))
    called = np.array([adjust(p, "bh").p < 0.05 for p in np.hstack([null, effect])])
    false_share = called[:, :10].sum(axis=1) / np.maximum(called.sum(axis=1), 1)
    assert np.mean(false_share) == pytest.approx(0.05 * 10 / 20, abs=0.004)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(UsageError, match=r"method is 'hom' \(did you mean 'holm'\?\); choose one of 'holm', 'bh'"):
        adjust([0.1], "hom")


@pytest.mark.parametrize("p", [[0.5, 1.5], [-0.1, math.nan]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(UsageError, match="give probabilities, 0 to 1"):
        adjust(p)


def test_the_room_offers_it_as_adjust_p():
    assert adjust_p is adjust
