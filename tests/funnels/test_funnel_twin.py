"""The funnel equals a twin that tries every entry and every chain, ties included."""

from collections import Counter

import numpy as np
import pytest

from tests.funnels.twin import Asked, funnel_of, step
from tests.journeys.made import EVER, part
from toolkit.funnels.chains import Search, chains, step_rows
from toolkit.funnels.funnel import count_funnel

TOUCHPOINTS, DEVICES = ("a", "b", "c", "d"), ("desktop", "mobile")
MANY = 1_500

FUNNELS = {
    "two steps": (("a",), ("b",)),
    "three steps": (("a",), ("b",), ("c",)),
    "a step of two touchpoints": (("a", "d"), ("b",), ("c",)),
    "a step that returns": (("a",), ("b",), ("a",)),
    "a step at once again": (("a",), ("a",), ("b",)),
    "the same step three times": (("a",), ("a",), ("a",)),
    "steps that share a touchpoint": (("a", "b"), ("a",), ("c",)),
    "four steps that overlap": (("a", "b"), ("b", "c"), ("a", "c"), ("a",)),
}
CLOCKS = {"coarse": 4, "middling": 12, "fine": 1_000}  # how many different moments: the fewer, the more ties


def some_journeys(rng, moments, most=7):
    """Random journeys in input order of no order at all; some are empty."""
    sizes = rng.integers(0, most + 1, MANY)
    times, words = rng.integers(0, moments, sizes.sum()), rng.choice(TOUCHPOINTS, sizes.sum())
    devices = rng.choice([*DEVICES, None], sizes.sum())
    rows = list(zip(times.tolist(), words.tolist(), devices.tolist(), strict=True))
    ends = np.cumsum(sizes)
    return [rows[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def counted(journeys, asked):
    steps = tuple(step(*map(TOUCHPOINTS.index, words)) for words in asked.steps)
    whole = part(journeys, TOUCHPOINTS, period=asked.period, until=asked.until)
    return count_funnel(whole, search=Search(steps, asked.window, asked.entry, asked.ties), by="device")


def by_device(counter):
    """A g × k table as the counter the twin keeps."""
    names = [*DEVICES, None]
    return Counter({(names[g], depth + 1): n for (g, depth), n in np.ndenumerate(counter) if n})


def same(counts, told, k):
    assert by_device(counts.reached) == told.reached
    assert by_device(counts.matured) == told.matured
    assert Counter({name: n for name, n in zip([*DEVICES, None], counts.pending, strict=True) if n}) == told.pending
    assert counts.tied == told.tied
    waits = counts.waits
    for group in range(2 * k):
        expected = (told.since_before if group < k else told.since_entry).get(group % k, [])
        mine = waits.groups == group
        assert sorted(np.repeat(waits.values[mine], waits.counts[mine]).tolist()) == sorted(expected)
    assert waits.exact


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", FUNNELS)
def test_the_counts_are_the_twins(name, clock):
    moments, steps = CLOCKS[clock], FUNNELS[name]
    rng = np.random.default_rng([len(name), moments])
    journeys = some_journeys(rng, moments)
    for entry in ("best", "first"):
        for ties in ("favour", "file"):
            for window in (0, moments // 3, 2 * moments):
                asked = Asked(steps, window, entry, ties)
                same(counted(journeys, asked), funnel_of(journeys, asked), len(steps))


@pytest.mark.parametrize("entry", ["best", "first"])
@pytest.mark.parametrize("name", ["three steps", "a step that returns"])
def test_periods_and_the_end_of_observation_are_the_twins(name, entry):
    rng = np.random.default_rng(len(name))
    journeys = some_journeys(rng, 20)
    for period in (EVER, (5, 12), (12, 19), (30, 40)):
        for until in (1 << 62, 19, 11, -1):
            asked = Asked(FUNNELS[name], 6, entry, "favour", period, until)
            same(counted(journeys, asked), funnel_of(journeys, asked), 3)


def test_each_customers_chain_is_the_twins():
    from tests.funnels.twin import chain_that_counts, entries_of

    journeys = [sorted(events, key=lambda e: e[0]) for events in some_journeys(np.random.default_rng(5), 9)]
    asked = Asked(FUNNELS["a step of two touchpoints"], 4)
    whole = part(journeys, TOUCHPOINTS)
    search = Search((step(0, 3), step(1), step(2)), 4, "best", "favour")
    found = chains(step_rows(whole, search), search)
    for mine, events, start in zip(found, journeys, whole.table.offsets[:-1], strict=True):
        chain = chain_that_counts(events, asked, entries_of(events, asked))
        assert [events[row - start][0] for row in mine if row >= 0] == [events[i][0] for i in chain]
        assert (mine[0] - start if mine[0] >= 0 else None) == (chain[0] if chain else None)
