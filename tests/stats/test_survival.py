"""Kaplan and Meier from counts: a published example, statsmodels row by row, laws, coverage, and the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import UsageError
from toolkit.stats.survival import kaplan_meier

# Freireich et al. 1963 (Blood 21:699–716), weeks in remission under 6-MP; + is censored
TIME = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35])
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])


def by_row(time, happened):
    return kaplan_meier(time, happened, 1 - np.asarray(happened))


def test_freireichs_remissions_as_published():
    curve = by_row(TIME, RELAPSED)
    changes = curve.surviving[curve.events > 0]
    assert changes.round(4).tolist() == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    share, low, high, left = curve.at([10])
    assert (share.round(4), low.round(4), high.round(4), left) == (0.7529, 0.5032, 0.8894, 15)
    assert curve.quantile(0.5)[:2] == (23, 13) and curve.quantile(0.5).high == np.inf


ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=60)


@given(ROWS, st.sampled_from([0.25, 0.4, 0.5, 0.75]), st.sampled_from([0.8, 0.95]))
def test_rows_give_what_statsmodels_gives(rows, q, level):
    from scipy.stats import norm
    from statsmodels.duration.survfunc import SurvfuncRight

    time, happened = np.array(rows).T
    if not happened.any():
        return
    theirs, mine = SurvfuncRight(time, happened), by_row(time, happened)
    there = mine.events > 0
    assert np.allclose(mine.surviving[there], theirs.surv_prob, atol=1e-12)
    assert (mine.at_risk[there] == theirs.n_risk).all() and (mine.events[there] == theirs.n_events).all()
    inner = theirs.surv_prob > 1e-9
    log, se = np.log(theirs.surv_prob[inner]), theirs.surv_prob_se[inner]
    wide = np.exp(norm.isf((1 - level) / 2) * se / theirs.surv_prob[inner] / -log)
    low, high = (limit[there][inner] for limit in mine.band(level))
    assert np.allclose(low, np.exp(log * wide)) and np.allclose(high, np.exp(log / wide))
    if not inner.all() or np.isclose(theirs.surv_prob, 1 - q).any():
        return  # at a share of exactly 1 − q statsmodels waits for the next event
    value, (first, last) = theirs.quantile(q), theirs.quantile_ci(q, 1 - level, method="cloglog")
    time = mine.quantile(q, level)
    assert np.array_equal(time.value, value, equal_nan=True)
    if np.isfinite(first):
        assert (time.low, time.high) == (first, last)


@given(ROWS)
def test_counts_give_what_rows_give_in_any_order(rows):
    time, happened = np.array(rows).T
    whole = by_row(time, happened)
    tallied = [np.bincount(time, kind, 13) for kind in (happened, 1 - happened)]
    backwards = kaplan_meier(np.arange(13)[::-1], *(kind[::-1] for kind in tallied))
    for name in ("time", "events", "at_risk"):
        assert (getattr(whole, name) == getattr(backwards, name)).all()
    twice = kaplan_meier(np.arange(13), *(2 * kind for kind in tallied))
    assert np.allclose(twice.surviving, whole.surviving)
    inside = (whole.surviving > 0) & (whole.events.cumsum() > 0)
    assert (twice.band()[0] >= whole.band()[0])[inside].all() and (twice.band()[1] <= whole.band()[1])[inside].all()


@given(ROWS)
def test_the_share_only_falls_and_lies_within_its_band(rows):
    curve = by_row(*np.array(rows).T)
    low, high = curve.band()
    assert (np.diff(curve.surviving) <= 0).all() and (np.diff(curve.at_risk) < 0).all()
    known = ~np.isnan(low)
    assert (low <= curve.surviving + 1e-12)[known].all() and (curve.surviving <= high + 1e-12)[known].all()
    for q in (0.1, 0.5, 0.9):
        time = curve.quantile_among(q)
        assert np.isnan(time.value) or time.low <= time.value <= time.high <= curve.time[-1]


def test_when_all_are_watched_the_shares_are_plain_shares():
    curve = kaplan_meier([0, 1, 2, 5], [1, 2, 0, 1], [0, 0, 4, 0])
    assert curve.surviving == pytest.approx([7 / 8, 5 / 8, 5 / 8, 0])
    three = kaplan_meier([0, 1, 2, 9], [1, 2, 1, 0], [0, 0, 0, 6])
    assert three.surviving == pytest.approx([0.9, 0.7, 0.6, 0.6])
    assert [three.quantile_among(q).value for q in (0.25, 0.5, 0.75, 1)] == [0, 1, 1, 2]


EDGES = {  # name: (times, events, censored), surviving, median, note
    "nobody": (([], [], []), [], np.nan, "Nobody was watched"),
    "counts of nobody": (([3], [0], [0]), [], np.nan, "Nobody was watched"),
    "nothing happened": (([2, 3], [0, 0], [1, 4]), [1, 1], np.nan, "It happened to none of the 5"),
    "all at once, at no time": (([0], [4], [0]), [0], 0, ""),
    "an event and a censoring of one time: the event first": (([1, 2], [1, 0], [1, 1]), [2 / 3, 2 / 3], np.nan, ""),
    "exactly half": (([1, 2, 3, 4], [1, 1, 1, 1], [0, 0, 0, 0]), [0.75, 0.5, 0.25, 0], 2, ""),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    counts, surviving, median, note = EDGES[name]
    curve = kaplan_meier(*counts)
    assert curve.surviving == pytest.approx(np.array(surviving))
    assert curve.quantile(0.5).value == pytest.approx(median, nan_ok=True) and curve.note.startswith(note)
    assert (curve.note == "") == (note == "")


def test_beyond_the_last_watched_nothing_is_known_unless_nobody_was_left():
    assert np.isnan(kaplan_meier([1, 5], [1, 0], [0, 3]).at([6])[0]).all()
    assert kaplan_meier([1, 5], [1, 1], [0, 0]).at([6])[0].tolist() == [0]


@pytest.mark.parametrize("bad", [([-1], [1], [0]), ([1], [-1], [0]), ([np.nan], [1], [0]), ([np.inf], [0], [1])])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(UsageError, match="1 of 1 times or counts"):
        kaplan_meier(*bad)


@pytest.mark.parametrize(("n", "share"), [(80, 0.7), (1_500, 0.12)])
def test_intervals_hold_the_truth_as_often_as_they_say(n, share):
    """People come more and more often and are watched for 10 or until 25; `share` of them ever get there."""
    from scipy.stats import beta

    waits, rng, hit = beta(1, 2.5, scale=10), np.random.default_rng(4), {"band": [], "all": [], "among": []}
    truth, quarter = 1 - share * waits.cdf([1.0, 9.0]), waits.ppf(0.25)
    for _ in range(800):
        watched = np.minimum(10, 25 - 25 * np.sqrt(rng.random(n)))
        wait = np.where(rng.random(n) < share, waits.rvs(n, random_state=rng), np.inf)
        curve = by_row(np.minimum(wait, watched), (wait <= watched).astype(int))
        _, low, high, _ = curve.at([1.0, 9.0])
        hit["band"] += list((low <= truth) & (truth <= high))
        for name, time in (("all", curve.quantile(0.25 * share)), ("among", curve.quantile_among(0.25))):
            hit[name].append(time.low <= quarter <= time.high)
    assert all(0.93 <= np.mean(hits) <= 0.975 for hits in hit.values()), {k: np.mean(v) for k, v in hit.items()}
