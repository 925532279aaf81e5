"""Consistency between channels: against a count by hand in pandas, by law, by calibration, and at the edges."""

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import MissingData, UsageError
from toolkit.pitfall.cells import Cells, gaps
from toolkit.pitfall.consistency import Alike, count_consistency
from toolkit.pitfall.visits import Asked
from toolkit.study.engine import run


def cells_of(stratum, group, value, bucket=None, shape=None):
    stratum, group = np.asarray(stratum), np.asarray(group)
    bucket = np.arange(len(group)) % 1024 if bucket is None else bucket
    return Cells.of(bucket, stratum, group, np.asarray(value, float), shape or (stratum.max() + 1, group.max() + 1))


def test_two_groups_of_one_kind_are_compared_as_welch_does():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(5)
    one, other = rng.random(40), rng.random(60) ** 2
    found = gaps(cells_of(np.zeros(100, int), np.repeat([0, 1], [40, 60]), np.concatenate([one, other])))
    assert found.diff[0] == pytest.approx(one.mean() - other.mean())
    welch = (one.mean() - other.mean()) / ttest_ind(one, other, equal_var=False).statistic
    assert found.error[0] == pytest.approx(welch, rel=0.03)
    assert found.diff.tolist() == pytest.approx((-found.diff[::-1]).tolist())


def test_groups_are_compared_only_where_they_are_alike():
    stratum, group = [0] * 4 + [1] * 4, [0, 0, 1, 1, 0, 0, 0, 2]
    found = gaps(cells_of(stratum, group, [1, 1, 0.5, 0.5, 0, 0, 0, 1]), least=1)
    assert found.n.tolist() == [5, 2, 1]
    assert found.diff[:2].tolist() == pytest.approx([(2 * 0.5 + 3 * -1) / 5, -0.5])
    assert np.isnan(found.error[2]), "one unit has no spread"
    alone = gaps(cells_of([0, 0, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0]))
    assert np.isnan(alone.diff).all() and np.isnan(alone.p)


def test_against_one_group_each_other_is_compared_with_it_alone():
    found = gaps(cells_of([0] * 9, [0, 0, 0, 1, 1, 1, 2, 2, 2], [1, 0.8, 0.9, 0.1, 0.2, 0, 0.5, 0.4, 0.6]), against=2)
    assert found.diff[:2].tolist() == pytest.approx([0.4, -0.4]) and np.isnan(found.diff[2])


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(10, 30, 60), (50, 50, 200)])
@pytest.mark.parametrize("rate", [0.08, 0.5])
def test_intervals_hold_the_truth_as_often_as_they_say_with_several_visits_per_customer(sizes, rate):
    rng, rounds, missed, small = np.random.default_rng(3), 600, np.zeros(3), 0
    customer = np.repeat(np.arange(sum(sizes)), 3)
    group = np.repeat([0, 1, 2], sizes)[customer]
    for _ in range(rounds):
        bucket = rng.integers(0, 1024, sum(sizes))[customer]
        did = rng.random(len(customer)) < rng.beta(3 * rate, 3 * (1 - rate), sum(sizes))[customer]
        found = gaps(cells_of(group * 0, group, did, bucket, (1, 3)))
        ends = [found.ends(i, 0.95) for i in range(3)]
        missed += [not low <= 0 <= high for _, low, high in ends]
        small += found.p < 0.05
    assert (missed / rounds).max() < 0.075 and small / rounds < 0.06


@pytest.fixture(scope="module")
def answers(till):
    frame = till.frame("responses").query("instrument == 'csat'")
    family = {name: till.catalogue.place(name).family for name in frame["touchpoint"].unique()}
    return frame.assign(family=frame["touchpoint"].map(family), share=(frame["score"] - 1) / 4)


def test_csat_gaps_agree_with_a_count_in_pandas(till, answers):
    rows = {row["channel"]: row for row in tk.consistency(till).rows() if row["measure"] == "csat"}
    for channel, row in rows.items():
        diffs, n = [], []
        for _, alike in answers.groupby("family"):
            own, rest = (alike.loc[mask, "share"] for mask in (alike.channel == channel, alike.channel != channel))
            if len(own) and len(rest):
                diffs.append(own.mean() - rest.mean())
                n.append(len(own))
        assert (row["n"], row["gap_share_diff"]) == (sum(n), pytest.approx(np.average(diffs, weights=n)))
    assert rows.keys() >= {"phone", "chat", "email"} and "parcel" not in rows


def test_checkouts_finished_agree_with_a_count_in_pandas(shop, events):
    at = events["timestamp"].astype("int64")
    events = events.assign(session=(events.customer_id.ne(events.customer_id.shift()) | at.diff().gt(30 * 60 * 10**6)))
    events["session"] = events["session"].cumsum()
    first = events[events.touchpoint == "checkout"].groupby("session").first()
    bought = events[events.touchpoint == "purchase"].groupby("session")["timestamp"].last()
    first = first[first.timestamp <= events.timestamp.max() - pd.Timedelta("30min")]
    did = (bought.reindex(first.index) >= first.timestamp).groupby(first.channel).agg(["size", "mean"])
    rows = {row["channel"]: row for row in tk.consistency(shop).rows() if row["measure"] == "checkouts finished"}
    for channel, row in rows.items():
        assert (row["n"], row["mean_share"]) == (did["size"][channel], pytest.approx(did["mean"][channel]))


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same_counts_to_the_last_bit(till, partitions):
    settings = {"asked": Asked.of(till, "30min"), "alike": Alike.of(till)}
    whole, parts = (run(till, count_consistency, partitions=n, **settings) for n in (1, partitions))
    for name in ("n", "total", "squares"):
        assert np.array_equal(getattr(whole.cells, name), getattr(parts.cells, name))
    assert whole.unknown.tolist() == parts.unknown.tolist()


def test_answers_and_visits_are_all_accounted_for(till):
    ledger = tk.consistency(till).ledger
    assert ledger["shown"] + ledger["alone"] + ledger["unknown"] == ledger["all"] > ledger["shown"] > 0


@pytest.mark.slow
def test_the_planted_phone_gap_is_found_against_chat_within_service():
    data = tk.open_data(tk.make_data(9_000, rng=4), tz="Europe/Copenhagen")
    rows = tk.consistency(data, against="chat").rows()
    phone = next(row for row in rows if (row["measure"], row["channel"]) == ("csat", "phone"))
    points = [4 * phone[f"gap_share_diff{end}"] for end in ("_low", "_high")]
    assert points[0] < -0.6 < points[1] < -0.3, "0.6 points were taken from the phone"


def test_nothing_planted_leaves_channels_alike():
    data = tk.open_data(tk.make_data(3_000, rng=2, truth=tk.Truth.nothing()), tz="Europe/Copenhagen")
    assert tk.consistency(data).say() == ["0 of 5 measures differ between channels beyond chance."]


def test_what_stands_out_is_said_in_points_of_the_scale(till):
    said = tk.consistency(till).say()
    assert said[0].startswith("2 of 5 measures differ") and "on the scale from 1 to 5" in said[1]


def study(**responses):
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-02-01"], "touchpoint": ["cart"]})
    given = {"timestamp": "2026-01-02", "instrument": "csat", "touchpoint": "chat"} | responses
    return tk.open_data({"events": events, "responses": pd.DataFrame(given)}, small_cells=2)


def test_answers_on_another_scale_are_taken_as_shares_of_it():
    scores = {"score": [1, 5, 1, 7, 4, 9], "scale": ["1-5", "1-5", "1-7", "1-7", "1-7", "1-7"]}
    data = study(**scores, channel=["chat", "chat", "phone", "phone", "phone", "phone"])
    rows = {row["channel"]: row for row in tk.consistency(data).rows()}
    assert {name: (row["n"], row["mean_share"]) for name, row in rows.items()} == {"chat": (2, 0.5), "phone": (3, 0.5)}


def test_too_few_customers_are_not_shown():
    found = tk.consistency(study(score=[5, 5, 1], channel=["chat", "chat", "phone"]))
    assert found.rows() == [] and "No measure" in found.say()[0] and np.isnan(found.headline["gap_share_diff"])


def test_without_channels_it_says_what_brings_them():
    with pytest.raises(MissingData, match="a channel column"):
        tk.consistency(study(score=[5, 4]))
    with pytest.raises(UsageError, match="did you mean 'phone'"):
        tk.consistency(study(score=[5, 4], channel=["phone", "chat"]), against="phon")


def test_the_figure_shows_the_numbers_of_the_result(till):
    import matplotlib.pyplot as plt

    found = tk.consistency(till)
    ax = tk.plot(found)
    dots = [dots for dots in ax.collections if type(dots).__name__ == "PathCollection"]
    shown = sorted(float(one.get_offsets()[0, 0]) for one in dots)
    assert shown == pytest.approx(sorted(row["gap_share_diff"] for row in found.rows()))
    plt.close(ax.get_figure())
