"""The nine pitfalls: on the samples, against truth over seeds, one at a time, by hand, by law, and on thin data."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.studies import SAMPLES, events_only, orders_only
from toolkit.counts import Tally
from toolkit.errors import UsageError
from toolkit.pitfall import gathered
from toolkit.pitfall.consistency import Alike
from toolkit.pitfall.findings import CANNOT_TELL, NOT_SEEN, SEEN, Figure, Finding
from toolkit.pitfall.replies import count_replies, slope
from toolkit.pitfall.visits import Asked
from toolkit.study.engine import run

PITFALLS = {  # what plants each, set so that nothing is planted
    "inconsistent experience between channels": {"phone_gap": 0.0, "slow_reply": 0.0, "mobile_checkout": 1.0},
    "neglected mobile": {"mobile_checkout": 1.0, "mobile_load": 1.0},
    "analytics ignored": {"tracking_loss": 0.0},
    "feedback ignored": {"unanswered": 0.0},
    "fragmented channels": {"handoff": 0.0, "repeat_contact": 0.0},
    "no personalisation": {"for_you": 1.0},
    "slow response": {"slow_reply": 0.0},
    "costs not weighed": {"social_cost": 1.0},
    "goals set from inside": {"idle_action": False},
}


def verdicts(n, seed, truth=None):
    data = tk.open_data(tk.make_data(n, rng=seed, truth=truth), tz="Europe/Copenhagen", cache=False)
    return {name: finding.verdict for name, finding in tk.pitfalls(data).findings.items()}


def test_on_the_samples_all_nine_decide_and_are_seen_as_planted():
    found = tk.pitfalls(tk.open_data(SAMPLES))
    assert {name: finding.verdict for name, finding in found.findings.items()} == dict.fromkeys(PITFALLS, SEEN)
    assert found.headline["n_seen"] == 9 and "cannot be told" not in " ".join(found.say())


@pytest.mark.slow
def test_over_twenty_seeds_the_verdicts_are_those_of_the_truth():
    found = [verdicts(10_000, seed) for seed in range(20)]
    assert sum(one == dict.fromkeys(PITFALLS, SEEN) for one in found) >= 18


@pytest.mark.slow
def test_where_nothing_is_planted_chance_shows_a_pitfall_in_five_studies_of_a_hundred_at_most():
    found = [verdicts(1_200, seed, tk.Truth.nothing()) for seed in range(20)]
    seen = Counter(name for one in found for name, verdict in one.items() if verdict == SEEN)
    assert seen.total() <= 0.05 * 9 * 20 and max(seen.values(), default=0) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("pitfall", PITFALLS)
def test_a_pitfall_that_was_not_planted_is_not_seen_among_eight_that_were(pitfall):
    found = verdicts(8_000, 1, tk.Truth(**PITFALLS[pitfall]))
    assert found.pop(pitfall) != SEEN
    also = {"inconsistent experience between channels": {"slow response", "neglected mobile"}}.get(pitfall, set())
    assert {name for name, verdict in found.items() if verdict != SEEN} <= also


SAID = {  # low, high (limit 0.05): verdict
    (0.06, 0.09): SEEN,
    (0.06, 0.30): SEEN,
    (0.04, 0.09): NOT_SEEN,
    (-0.30, 0.09): NOT_SEEN,
    (0.04, 0.11): CANNOT_TELL,
    (float("nan"), float("nan")): CANNOT_TELL,
}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("ends", "verdict"), SAID.items())
def test_a_verdict_follows_from_the_interval_and_the_limit(ends, verdict, side):
    low, high = sorted(side * end for end in ends)
    figure = Figure(what="", value=(low + high) / 2, low=low, high=high, limit=side * 0.05, n=10)
    assert Finding(figures=(figure,)).verdict == verdict
    assert bool(Finding(figures=(figure,)).would_tell) == (verdict == CANNOT_TELL)


def figure_of(low, high, limit=0.05):
    return Figure(what="", value=(low + high) / 2, low=low, high=high, limit=limit, n=10)


def test_several_figures_decide_one_for_all_or_all_together():
    beyond, short, open_ = figure_of(0.1, 0.2), figure_of(0, 0.01), figure_of(0, 0.3)
    assert Finding(figures=(short, beyond)).verdict == SEEN
    assert Finding(figures=(short, open_)).verdict == CANNOT_TELL
    assert Finding(figures=(short,), missing="an export").verdict == CANNOT_TELL
    assert Finding(figures=(beyond,), missing="an export").verdict == SEEN
    assert Finding(figures=(beyond, open_), together=True).verdict == CANNOT_TELL
    assert Finding(figures=(open_, short), together=True).verdict == NOT_SEEN
    assert Finding(figures=(beyond, beyond), together=True).verdict == SEEN
    assert Finding(figures=(short, beyond)).leading is beyond and Finding().verdict == CANNOT_TELL


def test_how_much_more_data_would_tell_is_the_square_of_how_much_narrower_the_interval_must_be():
    assert figure_of(-0.1, 0.1).times == pytest.approx(1), "to reach just up to twice the limit"
    assert Finding(figures=(figure_of(-0.2, 0.2),)).would_tell == "about 4 times as much data"
    assert Finding(figures=(figure_of(-9, 9.2),)).would_tell == "many times as much data"


COUNTED = {
    "devices": lambda data: (
        gathered.count_devices,
        {"asked": Asked.of(data, "30min"), "channels": Alike.of(data).channels, "devices": {"desktop": 0, "mobile": 1}},
    ),
    "letters": lambda data: (
        gathered.count_letters,
        {"letters": (data.codes(["newsletter"]), data.codes(["newsletter click"])), "personal": {"letter-for-you": 1}},
    ),
    "lost": lambda data: (gathered.count_lost, {"purchase": data.codes(["purchase"])}),
    "known": lambda data: (gathered.count_known, {"purchase": data.codes(["purchase"])}),
    "voices": lambda data: (gathered.count_voices, {"about": {"checkout": 0, "support email": 1}}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_any_partitioning_gives_the_same_counts(till, name):
    count, settings = COUNTED[name](till)
    whole, parts = (run(till, count, partitions=n, **settings) for n in (1, 64))
    assert whole.n.sum() > 0
    for field in ("n", "total", "squares"):
        assert np.array_equal(getattr(whole, field), getattr(parts, field))


def test_any_partitioning_gives_the_same_replies_to_the_last_bit(till):
    whole, parts = (run(till, count_replies, partitions=n, purchase=till.codes(["purchase"])) for n in (1, 64))
    assert np.array_equal(whole.felt, parts.felt) and whole.felt.any()
    for name in ("requests", "back"):
        assert np.array_equal(getattr(whole, name).total, getattr(parts, name).total)
    for name in ("open_days", "wait_hours"):
        one, other = (getattr(counts, name) for counts in (whole, parts))
        assert isinstance(one, Tally) and one.quantile(0.5, groups=1) == other.quantile(0.5, groups=1)


@pytest.fixture(scope="module")
def feedback(till):
    return till.frame("feedback").query("source in ('ticket', 'chat', 'call', 'review', 'social')")


def test_requests_without_a_reply_agree_with_a_count_in_pandas(till, feedback):
    until = pd.Timestamp(till.observed_until, unit="us", tz="UTC")
    old = feedback[feedback.timestamp <= until - pd.Timedelta("7D")]
    waited = old.first_reply_at.where(old.first_reply_at <= until) - old.timestamp
    counts = run(till, count_replies, purchase=())
    assert counts.requests.n[:, 0].sum() == len(old)
    assert counts.requests.total.sum(axis=(0, 2)).tolist() == [waited.isna().sum(), (~(waited <= "4h")).sum()]
    assert counts.wait_hours.quantile(0.5, groups=1)[0] == pytest.approx(
        waited.median().total_seconds() / 3600, rel=4e-3
    )


def test_the_wait_and_the_answer_after_it_agree_with_a_walk_through_the_rows(till, feedback):
    answers = till.frame("responses").query("instrument == 'csat'").sort_values("timestamp", kind="stable")
    known, x, y = dict(list(answers.groupby("customer_id"))), [], []
    for row in feedback.dropna(subset=["first_reply_at", "customer_id"]).itertuples():
        after = known.get(row.customer_id, answers[:0])
        after = after[(after.timestamp > row.first_reply_at)][:1]
        soon = after[
            (after.timestamp <= row.first_reply_at + pd.Timedelta("1D")) & (after.touchpoint == row.touchpoint)
        ]
        if len(soon):
            x.append(np.log10(max((row.first_reply_at - row.timestamp).total_seconds() / 3600, 0.25)))
            y.append((soon.score.iloc[0] - 1) / 4)
    sums = run(till, count_replies, purchase=()).felt.sum(axis=(0, 1))
    assert sums.tolist() == pytest.approx([len(x), sum(x), sum(y), np.dot(x, x), np.dot(x, y)], rel=0.02)


def test_the_slope_is_that_of_least_squares_with_an_intercept_per_source():
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(8)
    rows = pd.DataFrame({"x": rng.normal(size=300), "s": rng.integers(0, 3, 300), "b": rng.integers(0, 1024, 300)})
    rows["y"] = 0.2 * rows.s - 0.1 * rows.x + rng.normal(size=300)
    sums = np.zeros((1024, 3, 5))
    np.add.at(sums, (rows.b, rows.s), np.column_stack([rows.x**0, rows.x, rows.y, rows.x**2, rows.x * rows.y]))
    value, low, high = slope(sums, 0.95)
    fit = smf.ols("y ~ x + C(s)", rows).fit(cov_type="cluster", cov_kwds={"groups": rows.b})
    assert value == pytest.approx(fit.params["x"])
    assert (high - low) / 2 == pytest.approx(1.98 * fit.bse["x"], rel=0.05)


def test_lost_purchases_agree_with_the_orders_that_have_no_event(simulated, till):
    events = simulated["events"].to_pandas().query("touchpoint == 'purchase'")
    orders = simulated["orders"].to_pandas()
    orders = orders[~orders["cancelled"]]
    seen = orders.merge(events, on=["customer_id", "timestamp"])
    counts = run(till, gathered.count_lost, purchase=till.codes(["purchase"]))
    assert (counts.n.sum(), counts.total.sum()) == (len(orders), len(orders) - len(seen))


DAY = pd.Timestamp("2026-03-01", tz="UTC")


def tiny(**tables):
    events = [("a", 0, "newsletter", "for-you"), ("a", 0.1, "newsletter click", "for-you")]
    events += [("b", 0, "newsletter", "for-you"), ("b", 2, "newsletter click", "for-you"), ("b", 9, "cart", None)]
    events += [("c", 1, "newsletter", "weekly"), ("c", 1.5, "newsletter click", "for-you"), ("d", 40, "cart", None)]
    frame = pd.DataFrame(events, columns=["customer_id", "timestamp", "touchpoint", "campaign"])
    frame["timestamp"] = DAY + pd.to_timedelta(frame["timestamp"], unit="D")
    return tk.open_data({"events": frame} | tables, small_cells=1)


def test_a_click_counts_for_the_letter_of_its_campaign_within_a_day():
    data = tiny()
    letters = data.codes(["newsletter"]), data.codes(["newsletter click"])
    counts = run(data, gathered.count_letters, letters=letters, personal={"for-you": 1, "weekly": 0})
    assert (counts.n.sum(axis=0).tolist(), counts.total.sum(axis=0).tolist()) == ([[1, 2]], [[0.0, 1.0]])


def test_voices_are_customers_who_complain_once_or_often_and_low_scores():
    said = pd.DataFrame({"feedback_id": range(4), "timestamp": DAY, "source": "ticket", "text": "…"})
    said = said.assign(customer_id=["a", "a", "b", "c"], touchpoint=["cart", "cart", "cart", "help page"])
    scores = pd.DataFrame({"timestamp": DAY, "instrument": "csat", "score": [2, 3, 5], "touchpoint": "cart"})
    data = tiny(feedback=said, responses=scores.assign(customer_id=["a", "d", "c"]))
    counts = run(data, gathered.count_voices, about={"cart": 0, "social post": 1})
    assert counts.n.sum(axis=(0, 1)).tolist() == [2, 0, 4]


def test_an_action_for_a_word_that_is_no_touchpoint_is_not_called_idle(till):
    actions = pd.DataFrame({"action_id": ["1"], "touchpoint": ["slow parcels"], "owner": "x", "started_at": DAY})
    tables = {name: till.frame(name) for name in ("events", "feedback")}
    found = tk.pitfalls(tk.open_data(tables | {"actions": actions}, tz="UTC")).findings["goals set from inside"]
    assert found.verdict == CANNOT_TELL and "feedback" in found.would_tell


@pytest.mark.parametrize("make", [events_only, orders_only])
def test_thin_data_cannot_tell_and_names_the_exports(make, tmp_path):
    found = tk.pitfalls(tk.open_data(make(tmp_path / "study"), tz="Europe/Copenhagen", cache=False))
    rows = {row["pitfall"]: row for row in found.rows()}
    assert {row["verdict"] for row in rows.values()} == {CANNOT_TELL} and len(rows) == 9
    assert all(row["would tell"] and row["evidence"] for row in rows.values())
    assert "helpdesk" in rows["feedback ignored"]["would tell"] and "survey" in rows["slow response"]["would tell"]
    assert "0 of the 9" in found.say()[0] and str(found)


def test_a_few_customers_never_make_a_pitfall():
    found = tk.pitfalls(tk.open_data(tk.make_data(8, rng=1), tz="Europe/Copenhagen", cache=False))
    assert SEEN not in {finding.verdict for finding in found.findings.values()}


def test_campaigns_can_be_named_as_personal(till):
    finding = tk.pitfalls(till, personal=["letter-weekly"]).findings["no personalisation"]
    assert "letter-weekly" in finding.evidence and finding.leading.value < 0 and finding.verdict == NOT_SEEN
    none = tk.pitfalls(till, personal=[]).findings["no personalisation"]
    assert none.verdict == CANNOT_TELL and "personal=" in none.would_tell


def test_a_segment_has_no_costs_of_its_own(till):
    ids = till.frame("customers")["customer_id"]
    some = till.segment(pd.Series("x", index=ids[:700]), "x")
    assert "a view of all customers" in tk.pitfalls(some).findings["costs not weighed"].would_tell


def test_what_is_seen_stands_first_and_the_figure_shows_every_row(till):
    import matplotlib.pyplot as plt

    found = tk.pitfalls(till)
    rows, order = found.rows(), [SEEN, CANNOT_TELL, NOT_SEEN]
    assert [row["verdict"] for row in rows] == sorted((row["verdict"] for row in rows), key=order.index)
    ax = tk.plot(found)
    words = [text.get_text() for text in ax.texts]
    assert [row["pitfall"] for row in rows] == [word for word in words if word in PITFALLS]
    shown = {float(dots.get_offsets()[0, 0]) for dots in ax.collections if type(dots).__name__ == "PathCollection"}
    assert all(
        any(abs(row["value"] / row["limit"] - x) < 1e-9 for x in shown) for row in rows if row["verdict"] == SEEN
    )
    plt.close(ax.get_figure())


def test_purchases_under_a_name_nobody_knows_are_no_proof_that_analytics_is_ignored():
    moments = pd.date_range("2026-01-01", periods=200, freq="h", tz="UTC")
    who = [f"c{i}" for i in range(200)]
    seen = pd.DataFrame({"customer_id": who, "timestamp": moments, "touchpoint": "zorp"})
    sold = pd.DataFrame({"order_id": who, "customer_id": who, "timestamp": moments, "revenue": 9.0, "currency": "DKK"})
    rows = tk.pitfalls(tk.open_data({"events": seen, "orders": sold})).rows()
    [row] = [row for row in rows if row["pitfall"] == "analytics ignored"]
    assert row["verdict"] == CANNOT_TELL and "catalogue.toml" in str(row)


def test_a_campaign_named_as_personal_that_never_was_is_refused(till):
    with pytest.raises(UsageError, match="campaign is 'no such'"):
        tk.pitfalls(till, personal="no such")
