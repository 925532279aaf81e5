"""The funnel equals a twin that tries every entry and every chain, ties included."""

from collections import Counter

import numpy as np
import pytest

from tests.funnels.twin import Asked, best_chain, entries_of, funnel_of
from tests.journeys.made import EVER, part
from toolkit.funnels.chains import chains, step_rows
from toolkit.funnels.funnel import count_funnel

TOUCHPOINTS, DEVICES = ("a", "b", "c", "d"), ("desktop", "mobile")
MANY = 800

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
    whole = part(journeys, TOUCHPOINTS, period=asked.period, until=asked.until)
    return count_funnel(whole, search=asked.search(TOUCHPOINTS), by="device")


def by_device(counts):
    """A table, groups first, as the counter the twin keeps."""
    names = [*DEVICES, None]
    return Counter({(names[g], *rest): n for (g, *rest), n in np.ndenumerate(counts) if n})


def same(counts, told, k):
    assert by_device(counts.reached) == told.reached
    assert by_device(counts.matured) == told.matured
    assert by_device(counts.pending[:, None]) == Counter({(name, 0): n for name, n in told.pending.items()})
    assert by_device(counts.customers[:, :1]) == Counter({(name, 0): n for name, n in told.people.items()})
    assert (counts.seen, counts.tied) == (told.seen, told.tied)
    if len(counts.by_bucket):
        assert (counts.by_bucket.sum(axis=0) == counts.matured).all()
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
            asked = Asked(FUNNELS[name], 6, entry, period=period, until=until)
            same(counted(journeys, asked), funnel_of(journeys, asked), 3)


RULES = {
    "strict": {"order": "strict"},
    "strict, first entry": {"order": "strict", "entry": "first"},
    "strict, every attempt": {"order": "strict", "entry": "every"},
    "strict, excluded": {"order": "strict", "exclude": ("d",)},
    "any order": {"order": "any"},
    "any order, first entry": {"order": "any", "entry": "first"},
    "any order, every attempt": {"order": "any", "entry": "every"},
    "any order, excluded": {"order": "any", "exclude": ("d",)},
    "any order, every attempt, excluded": {"order": "any", "entry": "every", "exclude": ("d",)},
    "excluded": {"exclude": ("d",)},
    "excluded, first entry": {"exclude": ("d",), "entry": "first"},
    "excluded, every attempt": {"exclude": ("d",), "entry": "every"},
    "every attempt": {"entry": "every"},
    "by session": {"gap": 2},
    "by session, every attempt, excluded": {"gap": 2, "entry": "every", "exclude": ("d",)},
    "by session, any order, first entry": {"gap": 2, "order": "any", "entry": "first"},
    "one may be missed": {"optional": (1,)},
    "one may be missed, strict": {"optional": (1,), "order": "strict"},
    "one may be missed, every attempt": {"optional": (1,), "entry": "every"},
    "one may be missed, excluded, first entry": {"optional": (1,), "exclude": ("d",), "entry": "first"},
}
SOME = [
    "three steps",
    "a step of two touchpoints",
    "a step that returns",
    "a step at once again",
    "four steps that overlap",
]


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("rules", RULES)
def test_every_rule_is_the_twins(rules, name, monkeypatch):
    if "any order" in rules and name == "four steps that overlap":
        pytest.skip("refused: one event could be two steps")
    monkeypatch.setattr("tests.funnels.test_funnel_twin.MANY", 120)
    steps = FUNNELS[name]
    for moments in (4, 12):  # the coarser the clock, the more ties
        rng = np.random.default_rng([len(rules), len(name), moments])
        journeys = some_journeys(rng, moments, most=8)
        for ties in ("favour", "file"):
            for window, until in (
                (moments // 3, 1 << 62),
                (moments // 2, moments - moments // 4),
                (2 * moments, 1 << 62),
            ):
                period = (moments // 4, moments) if until > moments else EVER
                asked = Asked(steps, window, ties=ties, period=period, until=until, **RULES[rules])
                same(counted(journeys, asked), funnel_of(journeys, asked), len(steps))


def test_two_steps_that_may_be_missed_are_the_twins():
    steps = (("a",), ("b",), ("c",), ("d",))
    journeys = some_journeys(np.random.default_rng(8), 9, most=9)[:500]
    for ties in ("favour", "file"):
        for entry in ("best", "every"):
            for order in ("ordered", "strict"):
                asked = Asked(steps, 5, entry, ties, order, optional=(1, 2))
                same(counted(journeys, asked), funnel_of(journeys, asked), 4)


def test_each_customers_chain_is_the_twins():
    journeys = [sorted(events, key=lambda e: e[0]) for events in some_journeys(np.random.default_rng(5), 9)]
    asked = Asked(FUNNELS["a step of two touchpoints"], 4)
    whole, search = part(journeys, TOUCHPOINTS), asked.search(TOUCHPOINTS)
    found = chains(step_rows(whole, search), search)
    for mine, events, start in zip(found, journeys, whole.table.offsets[:-1], strict=True):
        chain = best_chain(events, asked, entries_of(events, asked)) or (-1, -1, -1)
        times = [[events[row - low][0] for row in rows if row >= 0] for rows, low in ((mine, start), (chain, 0))]
        assert times[0] == times[1]
        assert (mine[0] - start if mine[0] >= 0 else -1) == chain[0]
