"""Several channels: a slow twin agrees, counts add, and how devices are read is said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import EVER, MIN
from toolkit.places.omnichannel import MOST, OmnichannelCounts, count_omnichannel
from toolkit.study.engine import run
from toolkit.study.table import Columns, JourneyTable, Part

CHANNELS, DEVICES, TOUCHPOINTS = ("app", "store", "web"), ("desktop", "mobile"), ("home", "purchase")
GAP = 30 * MIN
event = st.tuples(
    st.integers(0, 12).map(lambda n: n * 10 * MIN), *(st.integers(-1, n) for n in (2, 1)), st.integers(0, 1)
)
journeys = st.lists(
    st.lists(event, max_size=8).map(lambda some: sorted(some, key=lambda e: e[0])), min_size=1, max_size=6
)


def part_of(people, period=EVER):
    rows = [row for events in people for row in events]
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(4)]
    table = JourneyTable(
        np.cumsum([0, *map(len, people)]),
        Columns.of(dict(zip(("timestamp", "channel", "device", "touchpoint"), columns, strict=True))),
    )
    words = {"events.channel": CHANNELS, "events.device": DEVICES, "events.touchpoint": TOUCHPOINTS}
    return Part(
        hashes=np.arange(len(people), dtype=np.uint64) << np.uint64(54),
        known=np.ones(len(people), bool),
        tables={"events": table},
        attributes=Columns({}),
        vocabularies=words,
        period=period,
        observed_until=1 << 62,
    )


def twin(people, period):
    """Customer by customer, session by session."""
    used = np.zeros((2, 2, MOST + 1), int)
    sums = {name: np.zeros(2, int) for name in ("sessions", "mixed", "followed", "changed")}
    for events in people:
        inside = [row for row in events if period[0] <= row[0] < period[1]]
        visits = []
        for row in events:
            if not visits or row[0] - visits[-1][-1][0] > GAP:
                visits.append([])
            visits[-1].append(row)
        for way in (0, 1):
            if inside:
                bought = any(row[3] == 1 for row in inside)
                used[way, int(bought), len({row[1 + way] for row in inside} - {-1})] += 1
            for i, visit in enumerate(visits):
                if not period[0] <= visit[0][0] < period[1]:
                    continue
                number = len({row[1 + way] for row in visit} - {-1})
                sums["sessions"][way] += number > 0
                sums["mixed"][way] += number > 1
                pair = (visit[0][1 + way], visits[i - 1][0][1 + way]) if i else (-1, -1)
                sums["followed"][way] += min(pair) >= 0
                sums["changed"][way] += min(pair) >= 0 and pair[0] != pair[1]
    return used, sums


@given(journeys, st.sampled_from([EVER, (20 * MIN, 90 * MIN)]))
def test_a_slow_twin_agrees(people, period):
    counts, (used, sums) = count_omnichannel(part_of(people, period), gap=GAP, goal=(1,)), twin(people, period)
    assert np.array_equal(counts.used, used)
    for name, expected in sums.items():
        assert np.array_equal(getattr(counts, name).sum(axis=0), expected), name


@given(journeys, journeys)
def test_counts_add(some, others):
    apart = [count_omnichannel(part_of(people), gap=GAP, goal=(1,)) for people in (some, others, [[]])]
    both = count_omnichannel(part_of([*some, *others, []]), gap=GAP, goal=(1,))
    assert np.array_equal(OmnichannelCounts.sum(apart).used, both.used)


def test_partitions_give_the_same(till):
    settings = {"gap": GAP, "goal": till.codes(["purchase"])}
    whole, split = (run(till, count_omnichannel, partitions=n, **settings) for n in (1, 64))
    assert all(np.array_equal(getattr(whole, f), getattr(split, f)) for f in OmnichannelCounts.__dataclass_fields__)


def test_everybody_seen_is_of_one_channel_of_several_or_unknown(shop):
    ledger = tk.omnichannel(shop).ledger
    assert ledger["one"] + ledger["several"] + ledger["unknown"] == ledger["all"] == shop.customers


def test_without_channels_it_is_said_which_column_would_bring_them():
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
    data = tk.open_data(events, tz="UTC")
    assert "a column channel in events" in tk.attempt(tk.omnichannel, data).say()[0]
    assert "device_id in events" in tk.attempt(tk.stitching, data).say()[0]


def test_the_planted_shared_devices_are_found():
    shop = tk.make_data(4_000, rng=7)
    planted = shop.truth["planted"]["shared devices"]["expected"]["share of device ids"]
    low, high, _ = tk.stitching(tk.open_data(shop, tz="Europe/Copenhagen")).shared.interval()
    assert low <= planted <= high
    alone = tk.make_data(1_000, rng=7, truth=tk.Truth(shared_devices=0.0))
    assert tk.stitching(tk.open_data(alone, tz="Europe/Copenhagen")).shared.count == 0


@pytest.fixture(scope="module")
def before_login():
    """The shop where nobody was known on a device before their second session on the web or in the app."""
    shop = tk.make_data(600, rng=5)
    events = shop["events"].to_pandas()
    first = events.groupby("device_id")["session_id"].transform("first")
    nameless = events["device_id"].notna() & (events["session_id"] == first)
    events.loc[nameless, "customer_id"] = None
    return {"events": events}, int(nameless.sum())


def test_results_are_shown_under_every_rule_where_events_lack_a_customer(before_login):
    tables, nameless = before_login
    found = tk.stitching(tk.open_data(tables, tz="UTC"))
    rows = {row["events without a customer"]: row for row in found.rows()}
    assert list(rows) == ["left out", "live", "replay"]
    assert (
        rows["left out"]["n_given"] == 0 < rows["live"]["n_given"] + 1 <= rows["replay"]["n_given"] + 1 <= nameless + 1
    )
    assert rows["replay"]["n_customers"] < rows["live"]["n_customers"]
    assert "quote the rule" in found.say()[0]


def test_a_period_is_kept_under_every_rule(before_login):
    tables, _ = before_login
    data = tk.open_data(tables, tz="UTC")
    whole, spring = tk.stitching(data), tk.stitching(data.between("2026-03-01", "2026-06-01"))
    assert all(a["n_customers"] > b["n_customers"] for a, b in zip(whole.rows(), spring.rows(), strict=True))
