"""Odds ratios: published, by statsmodels, by law, at the edges, and by how often their intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from toolkit.errors import UsageError
from toolkit.stats.strata import odds_ratio, pooled_odds

BERKELEY = np.array(  # Bickel, Hammel and O'Connell 1975, as R's UCBAdmissions: men admitted, refused, women likewise
    [
        [512, 313, 89, 19],
        [353, 207, 17, 8],
        [120, 205, 202, 391],
        [138, 279, 131, 244],
        [53, 138, 94, 299],
        [22, 351, 24, 317],
    ]
)
CELLS = arrays(np.int64, (4, 5), elements=st.integers(0, 30))


def margins(a, b, c, d):
    return a, a + b, a + c, a + b + c + d


def pooled(cells):
    """One odds ratio of strata × 4 cells."""
    odds = pooled_odds(*(margin[:, None] for margin in margins(*np.asarray(cells, float).T)))
    return [float(x[0]) for x in odds]


def test_berkeleys_admissions_by_department_are_those_r_publishes():
    ratio, low, high, _ = pooled(BERKELEY)
    assert [ratio, low, high] == pytest.approx([0.9046968, 0.7719074, 1.0603298], rel=1e-3)  # less one half's stratum
    raw = odds_ratio(*margins(*BERKELEY.sum(axis=0)))
    assert float(raw.ratio) == pytest.approx(1.8411, rel=1e-3) and float(raw.p) < 1e-10


@given(CELLS)
def test_statsmodels_gives_the_same_with_the_stratum_of_halves(cells):
    ratio, low, high, p = pooled(cells.T)
    if not (cells[0] * cells[3] + cells[1] * cells[2]).any():
        assert np.isnan([ratio, low, high, p]).all()
        return
    tables = [np.array([[a, b], [c, d]], float) for a, b, c, d in cells.T if a + b + c + d]
    other = StratifiedTable([*tables, np.full((2, 2), 0.5)])
    assert ratio == pytest.approx(other.oddsratio_pooled)
    assert (low, high) == pytest.approx(other.oddsratio_pooled_confint())
    assert p == pytest.approx(2 * norm.sf(abs(other.logodds_pooled) / other.logodds_pooled_se))


@given(st.lists(st.integers(1, 60), min_size=4, max_size=4))
def test_statsmodels_gives_the_same_raw_ratio(cells):
    odds, other = odds_ratio(*margins(*cells)), Table2x2(np.reshape(cells, (2, 2)) + 0.5)
    assert [float(x) for x in odds[:3]] == pytest.approx([other.oddsratio, *other.oddsratio_confint()])
    assert float(odds.p) == pytest.approx(other.log_oddsratio_pvalue())


@given(CELLS)
def test_who_did_not_meet_it_have_the_inverse_ratio(cells):
    one, other = pooled(cells.T), pooled(cells[[2, 3, 0, 1]].T)
    assert one[:3] == pytest.approx([1 / other[0], 1 / other[2], 1 / other[1]], nan_ok=True)


@given(CELLS)
def test_p_and_interval_never_disagree(cells):
    _, low, high, p = pooled(cells.T)
    assert np.isnan(p) or (p < 0.05) == (low > 1 or high < 1)


@given(CELLS)
def test_strata_that_cannot_tell_change_nothing(cells):
    more = np.vstack([cells.T, [[7, 0, 9, 0], [0, 3, 0, 4], [2, 5, 0, 0], [0, 0, 0, 0]]])
    assert pooled(more) == pytest.approx(pooled(cells.T), nan_ok=True)


def test_more_of_the_same_narrows_the_interval():
    (_, low, high, _), (_, lower, higher, _) = pooled(BERKELEY), pooled(BERKELEY * 4)
    assert low < lower < higher < high


@pytest.mark.parametrize(
    ("cells", "known"),
    [
        ((0, 9, 5, 20), True),
        ((5, 0, 5, 20), True),
        ((0, 9, 0, 20), False),
        ((4, 0, 7, 0), False),
        ((0, 0, 5, 9), False),
    ],
    ids=["none who met it converted", "all did", "nobody converted", "everybody did", "nobody met it"],
)
def test_the_ratio_is_finite_where_anything_can_be_told(cells, known):
    ratio, low, high, p = pooled([cells])
    raw = odds_ratio(*margins(*np.array(cells)))
    assert np.isfinite([ratio, low, high, p]).all() == np.isfinite(raw).all() == known


def test_a_part_larger_than_its_whole_is_refused():
    with pytest.raises(UsageError, match="outside 0 to n"):
        odds_ratio([5], [4], [9], [20])
    with pytest.raises(UsageError, match="outside 0 to n"):
        pooled_odds([[1]], [[4]], [[9]], [[10]])


STUDIES = {  # strata of (who met it, who did not, chance to convert of the latter)
    "one large": [(200, 800, 0.2)],
    "few met it": [(12, 800, 0.15)],
    "unequal": [(20, 60, 0.1), (30, 40, 0.2), (15, 20, 0.3), (10, 10, 0.4), (5, 4, 0.5)],
    "pairs": [(1, 1, 0.3)] * 200,
    "many small": [(2, 3, 0.2)] * 100,
    "rare": [(3, 300, 0.01)] * 20 + [(6, 100, 0.02)] * 20,
}


@pytest.mark.parametrize("truth", [0.3, 1, 3])
@pytest.mark.parametrize("study", STUDIES)
def test_intervals_hold_the_truth_as_often_as_they_say(study, truth):
    rng, (met, others, chance) = np.random.default_rng(1), np.array(STUDIES[study]).T
    odds = truth * chance / (1 - chance)
    draws = (3_000, len(met))
    a, c = rng.binomial(met.astype(int), odds / (1 + odds), draws), rng.binomial(others.astype(int), chance, draws)
    found = pooled_odds(a.T, met[:, None], (a + c).T, (met + others)[:, None])
    assert np.mean((found.low <= truth) & (truth <= found.high)) >= 0.93
