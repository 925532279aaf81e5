"""Differing paths: by hand, by sets of Python, against statsmodels, and on labels drawn by lot."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import StratifiedTable

import toolkit as tk
from tests.paths.channelled import JOURNEYS, PERIODS, WORDS, channelled, in_order, same, shop, split, study
from toolkit.errors import MissingData, UsageError
from toolkit.paths.differences import CELLS, LENGTHS, DifferenceCounts, count_differences
from toolkit.study.engine import run

MINUTE = 60_000_000
GAP = 30


def sessions_of(events, period):
    """The sessions of one customer that begin in the period; an unknown touchpoint stays in them."""
    found = []
    for i, event in enumerate(events):
        if not i or event[0] - events[i - 1][0] > GAP:
            found.append([])
        found[-1].append(event)
    return [session for session in found if period[0] <= session[0][0] < period[1]]


def walked(journeys, groups, period, goal, forced):
    """Group, length and sequences of each customer; None for those in neither group."""
    for events, label in zip(in_order(journeys, 1 << 40), groups, strict=True):
        sessions = sessions_of(events, period)
        if not any(word for session in sessions for _, word, _ in session):
            continue
        met = [t for t, word, _ in events if word in goal and period[0] <= t < period[1]] if goal else []
        group = (0 if met else 1) if goal else {0: 0, 2: 1}.get(label)
        shown, length, there = set(), 0, False
        for session in sessions:
            words = [w if w not in goal and not (met and t >= met[0]) else None for t, w, _ in session]
            there |= any(words)
            length += sum(w is not None and w not in forced for w in words)
            for n in (2, 3):
                shown |= {tuple(words[i : i + n]) for i in range(len(words) - n + 1) if None not in words[i : i + n]}
        yield (group if there else None), length, shown


def sequence(key):
    codes = [key] if key < 9 else [*divmod(key - 9, 3)]
    return tuple(WORDS[code] for code in (*divmod(codes[0], 3), *codes[1:]))


LABELLED = JOURNEYS.flatmap(
    lambda journeys: st.tuples(
        st.just(journeys), st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=len(journeys), max_size=len(journeys))
    )
)
SETTINGS = st.sampled_from(
    [
        {"by": "group", "pair": (0, 2), "goal": (), "forced": ()},
        {"by": None, "pair": (), "goal": (2,), "forced": ()},
        {"by": None, "pair": (), "goal": (1, 2), "forced": (0,)},
    ]
)


@given(LABELLED, SETTINGS, PERIODS)
def test_a_walk_through_every_journey_finds_the_same_sequences(made, settings, period):
    journeys, groups = made
    part = channelled(journeys, period=period, unit=MINUTE, groups=groups)
    counts = count_differences(part, **settings)
    goal, forced = ([WORDS[code] for code in settings[name]] for name in ("goal", "forced"))
    found = list(walked(journeys, groups, period, goal, forced))
    cells = [
        (None if group is None else group * len(LENGTHS) + int((length >= LENGTHS).sum()) - 1, shown)
        for group, length, shown in found
    ]
    assert counts.people.tolist() == [sum(cell == one for cell, _ in cells) for one in range(CELLS)]
    assert counts.neither == sum(cell is None for cell, _ in cells)
    expected = Counter((path, cell) for cell, shown in cells if cell is not None for path in shown)
    keys = counts.shown.keys.tolist()
    assert {
        (sequence(key // CELLS), key % CELLS): n
        for key, n in zip(keys, counts.shown.counts[:, 0].tolist(), strict=True)
    } == expected


@given(LABELLED, SETTINGS)
def test_partitions_with_empty_ones_among_them_add_up_to_the_same(made, settings):
    journeys, groups = made
    parts = [
        count_differences(
            channelled([journeys[i] for i in some], unit=MINUTE, groups=[groups[i] for i in some]), **settings
        )
        for some in split(journeys)
    ]
    whole = count_differences(channelled(journeys, unit=MINUTE, groups=groups), **settings)
    assert same(DifferenceCounts.sum(parts), whole)


def test_a_study_is_the_sum_of_its_partitions(till):
    settings = {"by": "country", "pair": (0, 2), "goal": (), "forced": ()}
    whole, parts = (run(till, count_differences, partitions=n, **settings) for n in (1, 7))
    assert same(whole, parts) and len(whole.shown.keys) > 100


def test_odds_their_intervals_and_p_are_those_of_statsmodels(till):
    found = tk.differing_paths(till)
    keys, by_cell = found._enough()
    people = found.counts.people.reshape(2, -1)
    rows = {row["sequence"]: row for row in found.rows() if not row["on_the_way"]}
    at = [i for i, key in enumerate(keys.tolist()) if " > ".join(found._path(key)) in rows]
    p, half = [], np.full((2, 2), 0.5)
    for i in at:
        cells = zip(*by_cell[i], *people, strict=True)
        tables = [[[yes, yes1], [n - yes, n1 - yes1]] for yes, yes1, n, n1 in cells if n + n1]
        table = StratifiedTable(np.stack([half, *np.array(tables, float)], axis=2))
        row = rows[" > ".join(found._path(keys[i]))]
        assert row["odds"] == pytest.approx(table.oddsratio_pooled)
        assert (row["odds_low"], row["odds_high"]) == pytest.approx(table.oddsratio_pooled_confint())
        p.append(2 * norm.sf(abs(table.logodds_pooled / table.logodds_pooled_se)))
    expected = dict(zip(at, tk.adjust(p, "bh").p, strict=True))
    assert len(at) > 20
    for i, adjusted in expected.items():
        assert rows[" > ".join(found._path(keys[i]))]["p_adjusted"] == pytest.approx(adjusted)


def test_the_goal_is_in_no_sequence_and_nothing_after_it_counts():
    bought = [(0, "page", None), (0.001, "cart", None), (0.002, "purchase", None), (0.003, "thanks", None)]
    other = [(0, "page", None), (0.001, "page", None)]
    data = study({f"b{i}": bought for i in range(20)} | {f"o{i}": other for i in range(20)})
    rows = {row["sequence"]: row for row in tk.differing_paths(data).rows()}
    assert set(rows) == {"page > cart", "page > page"}
    assert (rows["page > page"]["first_share"], rows["page > page"]["second_share"]) == (0, 1)
    assert rows["page > cart"]["on_the_way"] and np.isnan(rows["page > cart"]["p_adjusted"])


def test_what_shares_the_moment_of_the_goal_does_not_count_either():
    same_day = [(0, "page", None), (1, "page", None), (1, "chat", None), (1, "purchase", None)]
    data = study(
        {f"b{i}": same_day for i in range(20)} | {f"o{i}": [(0, "page", None), (0, "chat", None)] for i in range(9)}
    )
    assert [row["sequence"] for row in tk.differing_paths(data, least=0).rows()] == []


def test_two_groups_are_asked_for_and_named(till):
    with pytest.raises(UsageError, match=r"country gives 4 groups; name two of them with groups="):
        tk.differing_paths(till, by="country")
    with pytest.raises(UsageError, match="country is 'XX'"):
        tk.differing_paths(till, by="country", groups=("DK", "XX"))
    with pytest.raises(UsageError, match="by is 'contry'"):
        tk.differing_paths(till, by="contry")
    with pytest.raises(MissingData, match="no customers with country"):
        tk.differing_paths(study({"x": [(0, "cart", None)]}), by="country")
    with pytest.raises(MissingData, match="known as a purchase"):
        tk.differing_paths(study({"x": [(0, "cart", None)]}))
    found = tk.differing_paths(till, by="country", groups=("DK", "SE"))
    assert "DK" in str(found) and "between DK and SE customers" in found.say()[0]
    assert tk.show(found).png


def test_the_ledger_holds_everyone_seen(till):
    for found in (tk.differing_paths(till), tk.differing_paths(till, by="country", groups=("DK", "SE"))):
        assert found.ledger["all"] == tk.sessions(till).rows()[0]["n_customers"]
        assert found.ledger["all"] == sum(n for name, n in found.ledger.items() if name != "all")


def test_shares_of_few_customers_are_not_shown():
    some = {f"a{i}": [(0, "page", None), (0.001, "chat", None)] for i in range(40)}
    few = {f"b{i}": [(0, "page", None), (0.001, "chat" if i < 3 else "page", None)] for i in range(40)}
    data = study(some | few, small_cells=5).labelled("kind", {name: name[0] for name in some | few})
    row = next(row for row in tk.differing_paths(data, by="kind").rows() if row["sequence"] == "page > chat")
    assert row["first_share"] == 1 and np.isnan(row["second_share"]) and np.isnan(row["odds"])
    assert row["p_adjusted"] < 0.001


def test_the_chase_of_the_retargeting_ad_is_among_the_clearest():
    found = tk.differing_paths(shop(4_000, 7))
    assert any("retargeting ad" in row["sequence"] and row["odds_low"] > 1 for row in found.rows()[:4])


@pytest.mark.slow
def test_labels_drawn_by_lot_name_a_sequence_in_few_worlds():
    named = []
    for seed in range(5):
        data = shop(1_500, seed)
        ids = data.frame("events")["customer_id"].unique()
        for share in (0.5, 0.2) * 10:
            drawn = np.random.default_rng([seed, len(named)]).random(len(ids)) < share
            labels = dict(zip(ids, np.where(drawn, "a", "b"), strict=True))
            rows = tk.differing_paths(data.labelled("lot", labels), by="lot").rows()
            named.append(min(row["p_adjusted"] for row in rows) < 0.05)
    assert sum(named) <= 0.05 * len(named)
