"""Counts add up to the same in any pieces and any order; statistics of them agree with theory."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit import counts
from toolkit.counts import BUCKETS, Additive, Tally, adds, by_bucket, distinct_per_key, hash_sample, mix, resample

LIMIT = 40  # in place of 65,536, so that small data crosses it
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-9, 1.5, 1e300, 1.7976931348623157e308]), st.floats(0, 1e9)
)


@pytest.fixture
def low_limit(monkeypatch):
    monkeypatch.setattr(counts, "EXACT_LIMIT", LIMIT)


def fields(tally):
    return tally.groups.tolist(), tally.values.tolist(), tally.counts.tolist(), tally.exact


@dataclass(frozen=True, slots=True)
class Inner(Additive):
    n: int


@dataclass(frozen=True, slots=True)
class Outer(Additive):
    total: np.ndarray
    first: int = adds("min")
    last: int = adds("max")
    codes: np.ndarray = adds("union")
    inner: Inner = None


def outer(n):
    return Outer(np.array([n, 1]), n, n, np.array([n, 7]), Inner(n))


def test_each_field_adds_as_it_declares():
    both = outer(3) + outer(9)
    assert (both.total.tolist(), both.first, both.last, both.codes.tolist()) == ([12, 2], 3, 9, [3, 7, 9])
    assert both.inner == Inner(12)


def test_adding_leaves_the_parts_as_they_were():
    one, two = outer(3), outer(9)
    Outer.sum([one, two])
    assert (one.total.tolist(), two.total.tolist()) == ([3, 1], [9, 1])


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), NUMBERS), max_size=40), min_size=1, max_size=6), st.randoms())
def test_a_tally_is_the_same_from_any_pieces_in_any_order(pieces, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "EXACT_LIMIT", LIMIT)
        whole = tally_of([pair for piece in pieces for pair in piece])
        tallies = [tally_of(piece) for piece in pieces]
        random.shuffle(tallies)
        together = Tally.sum(tallies)
        one_by_one = tallies[0]
        for tally in tallies[1:]:
            one_by_one = one_by_one + tally
        assert fields(together) == fields(one_by_one) == fields(whole)
        assert whole.exact == (len({(g, v + 0.0) for piece in pieces for g, v in piece}) <= LIMIT)


def tally_of(pairs):
    groups, values = zip(*pairs, strict=True) if pairs else ((), ())
    return Tally.of(np.array(groups, np.int64), np.array(values, np.float64))


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.floats(0, 1))
def test_the_quantile_of_an_exact_tally_is_numpys(values, q):
    found = tally_of([(0, value) for value in values]).quantile(q, groups=1)[0]
    assert found == pytest.approx(np.quantile(values, q), rel=1e-12)


def test_quantiles_go_group_by_group_and_an_empty_group_has_none():
    tally = Tally.of(np.array([0, 2, 2, 2]), np.array([5.0, 1.0, 2.0, 9.0]))
    assert np.array_equal(tally.quantile(0.5, groups=4), [5, np.nan, 2, np.nan], equal_nan=True)
    assert tally.n(groups=4).tolist() == [1, 0, 3, 0]


def test_whole_numbers_and_the_same_as_floats_give_one_tally():
    groups, whole = np.array([0, 1, 0, 0]), np.array([3, 0, 3, 70_000])
    assert fields(Tally.of(groups, whole)) == fields(Tally.of(groups, whole.astype(float)))
    small = np.array([3, 0, 3, 7])
    assert fields(Tally.of(groups, small)) == fields(Tally.of(groups, small.astype(np.float64)))


@given(st.lists(st.floats(5e-324, 1.7e308), min_size=LIMIT + 5, max_size=90, unique=True))
def test_a_bin_is_at_most_0_39_per_cent_wide(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "EXACT_LIMIT", LIMIT)
        tally = tally_of([(0, value) for value in values])
    assert not tally.exact
    assert tally.counts.sum() == len(values)
    for value in values:
        nearest = tally.values[np.abs(tally.values - value).argmin()]
        assert abs(nearest - value) <= value / 512 or value < 2.3e-308  # half a bin; below: subnormal, near zero


def test_beyond_the_limit_zero_stays_zero(low_limit):
    tally = Tally.of(np.zeros(100, np.int64), np.append(np.zeros(50), np.arange(1.0, 51)))
    assert (tally.exact, tally.values[0], tally.counts[0]) == (False, 0.0, 50)
    assert tally.quantile(0.25, groups=1)[0] == 0


def test_an_empty_tally_has_no_quantile_and_adds_nothing():
    nothing, some = tally_of([]), tally_of([(0, 3.0)])
    assert np.isnan(nothing.quantile(0.5, groups=1)[0])
    assert nothing.n(groups=2).tolist() == [0, 0]
    assert fields(nothing + some) == fields(some)


def test_many_keys_are_sorted_and_few_are_counted_with_one_result(low_limit, monkeypatch):
    rng = np.random.default_rng(4)
    groups, values = rng.integers(0, 50, 3_000), rng.exponential(1e5, 3_000)
    counted = Tally.sum([Tally.of(groups[:2_000], values[:2_000]), Tally.of(groups[2_000:], values[2_000:])])
    monkeypatch.setattr(counts, "DENSE", 0)
    again = Tally.sum([Tally.of(groups[:2_000], values[:2_000]), Tally.of(groups[2_000:], values[2_000:])])
    assert fields(counted) == fields(again)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=60), st.sampled_from([5, 70_000]))
def test_distinct_owners_are_counted_whatever_the_order(rows, size):
    owner, key = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    expected = Counter(key for _, key in set(rows))
    found = distinct_per_key(owner, key, size)
    assert {i: n for i, n in enumerate(found.tolist()) if n} == expected
    assert len(found) == size


def test_mixed_hashes_are_uniform_and_purposes_and_seeds_independent():
    hashes = np.random.default_rng(1).integers(0, 1 << 63, 50_000, dtype=np.uint64)
    mixed = {name: mix(hashes, *name) / 2.0**64 for name in [("a", 0), ("b", 0), ("a", 1)]}
    for values in mixed.values():
        assert stats.kstest(values, "uniform").pvalue > 0.001
    pairs = np.corrcoef([hashes / 2.0**64, *mixed.values()])
    assert np.abs(pairs - np.eye(4)).max() < 0.02


def test_mixed_hashes_are_uniform_within_one_bucket():
    hashes = np.arange(20_000, dtype=np.uint64)  # neighbours, all in bucket 0
    assert stats.kstest(mix(hashes, "split") / 2.0**64, "uniform").pvalue > 0.001


def test_a_sample_by_hash_does_not_depend_on_the_partition():
    hashes = np.random.default_rng(2).integers(0, 1 << 63, 1_000, dtype=np.uint64)
    whole = set(hashes[hash_sample(hashes, 20, "quotes")].tolist())
    halves = [half[hash_sample(half, 20, "quotes")] for half in np.split(hashes, 2)]
    again = np.concatenate(halves)
    assert set(again[hash_sample(again, 20, "quotes")].tolist()) == whole


def test_money_by_bucket_stays_a_whole_number():
    huge = np.array([2**60, 1, 2**60 + 1])
    total = by_bucket(np.array([3, 3, 9]), huge)
    assert total.dtype == np.int64
    assert (total[3, 0], total[9, 0], total.sum()) == (2**60 + 1, 2**60 + 1, 2**61 + 2)


def test_rows_and_numbers_are_summed_by_bucket_and_group():
    bucket, group = np.array([0, 0, 1_023]), np.array([0, 1, 1])
    assert by_bucket(bucket, None, group, 2)[[0, 1_023]].tolist() == [[1, 1], [0, 1]]
    assert by_bucket(bucket, np.array([0.5, 1.5, 2.5]), group, 2)[[0, 1_023]].tolist() == [[0.5, 1.5], [0, 2.5]]


def test_resampled_totals_have_the_mean_and_the_spread_that_theory_gives():
    rng = np.random.default_rng(5)
    per_bucket = rng.poisson(20, (BUCKETS, 1)).astype(float)
    totals = resample(per_bucket, 4_000, rng=1)[:, 0]
    assert totals.mean() == pytest.approx(per_bucket.sum(), rel=0.002)
    assert totals.var() == pytest.approx(BUCKETS * per_bucket.var(), rel=0.1)


def test_resampled_columns_keep_their_correlation():
    rng = np.random.default_rng(6)
    one = rng.normal(size=BUCKETS)
    columns = np.stack([one, 0.8 * one + 0.6 * rng.normal(size=BUCKETS)], axis=1)
    totals = resample(columns, 4_000, rng=1)
    assert np.corrcoef(totals.T)[0, 1] == pytest.approx(np.corrcoef(columns.T)[0, 1], abs=0.03)


def test_the_share_of_customers_has_the_spread_of_a_binomial():
    rng = np.random.default_rng(7)
    bucket, yes = rng.integers(0, BUCKETS, 50_000), rng.random(50_000) < 0.1
    totals = resample(np.hstack([by_bucket(bucket[yes]), by_bucket(bucket)]), 4_000, rng=1)
    assert (totals[:, 0] / totals[:, 1]).std() == pytest.approx(np.sqrt(0.1 * 0.9 / 50_000), rel=0.1)
