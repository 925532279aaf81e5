"""Attribution of studies: published answers, what is a touch, what conversions are worth and cost, who is shown."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.study.test_law import same
from toolkit.credit.count import count_attribution
from toolkit.credit.result import FEW, NO_TOUCH, RULES, estimate
from toolkit.errors import MissingData, UsageError
from toolkit.study.attempt import Missing
from toolkit.study.engine import run

DAYS = "2026-09-{:02d}"


def events(*rows, **more):
    """Rows of (customer, day of September 2026, touchpoint, channel) and further columns."""
    columns = dict(zip(("customer_id", "timestamp", "touchpoint", "channel"), zip(*rows, strict=True), strict=True))
    columns["timestamp"] = [DAYS.format(day) if isinstance(day, int) else day for day in columns["timestamp"]]
    return pd.DataFrame(columns | more)


def opened(frame, **tables):
    return tk.open_data({"events": frame} | tables, tz="UTC", as_of="2026-12-31", small_cells=0)


def by_rule(result, rule):
    return {row[result.by]: row[f"n_{rule}"] for row in result.rows()}


ADOBE = events(
    ("v", 15, "search ad", "paid search"),
    ("v", 18, "social post", "social"),
    ("v", 24, "newsletter", "e-mail"),
    ("v", 24, "social ad", "display"),
    ("v", 24, "purchase", "web"),
    value=[None, None, None, None, 50.0],
    currency=[None, None, None, None, "USD"],
)


def test_adobes_fifty_dollars():
    result = tk.attribution(opened(ADOBE))
    money = result.money[0, result.currencies.index("USD")]
    found = {rule: dict(zip(result.names, money[:, RULES.index(rule)].tolist(), strict=True)) for rule in RULES}
    assert found["linear"] == pytest.approx(
        {"display": 12.5, "e-mail": 12.5, "paid search": 12.5, "social": 12.5}, abs=1e-9
    )
    decay = {"display": 16.88, "e-mail": 16.88, "paid search": 6.92, "social": 9.32}
    assert found["decay"] == pytest.approx(decay, abs=0.005)
    assert found["first"]["paid search"] == 50 and found["last"]["display"] == 50
    assert found["position"] == pytest.approx({"display": 20, "e-mail": 5, "paid search": 20, "social": 5})


def test_bryls_journeys_get_his_credits():
    rows = [("a", 1, "social post", "c1"), ("a", 2, "social post", "c2"), ("a", 3, "social post", "c3")]
    rows += [("a", 4, "purchase", "web"), ("b", 1, "social post", "c1"), ("c", 1, "social post", "c2")]
    result = tk.attribution(opened(events(*rows, ("c", 2, "social post", "c3"))))
    assert by_rule(result, "markov") == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4})
    assert result.ledger == {"converted": 1, "converted without a touch": 0, "failed": 2, "pending": 0, "all": 3}


def test_a_journey_ends_at_its_conversion_and_the_next_begins_after_it():
    rows = [("a", 1, "social post", "social"), ("a", 2, "purchase", "web"), ("a", 3, "purchase", "web")]
    result = tk.attribution(opened(events(*rows)))
    assert by_rule(result, "linear") == {"social": 1, NO_TOUCH: 1}


def test_young_paths_are_pending_and_young_converters_stay_out_of_markovs_chances():
    rows = [("a", 1, "social post", "social"), ("a", 2, "purchase", "web"), ("b", 3, "social post", "social")]
    frame = events(*rows, ("c", 1, "organic search", "search"))
    data = tk.open_data({"events": frame}, tz="UTC", as_of="2026-09-20", small_cells=0)
    result = tk.attribution(data, lookback="30d")
    assert result.ledger["pending"] == 2 and result.ledger["failed"] == 0
    assert by_rule(result, "linear")["social"] == 1 and np.isnan(by_rule(result, "markov")["social"])
    assert "Markov's rule cannot tell" in result.note
    old = tk.attribution(replace(data, observed_until=data.observed_until + 30 * 86_400_000_000))
    assert old.ledger["failed"] == 2 and by_rule(old, "markov")["social"] == 1


def test_what_brings_customers_is_a_touch_and_what_follows_is_not():
    names = ["social ad", "home page", "cart", "parcel delivered", "newsletter", "zorp"]
    rows = [("a", day, name, name) for day, name in enumerate(names, start=1)]
    data = opened(events(*rows, ("a", 9, "purchase", "web")))
    assert set(by_rule(tk.attribution(data), "linear")) == {"social ad", "newsletter", "zorp"}
    named = tk.AttributionRules(touches=["home page", "purchase"])
    assert by_rule(tk.attribution(data, rules=named), "linear") == {"home page": 1}
    goal = tk.attribution(data, "newsletter")
    assert {channel for channel, n in by_rule(goal, "last").items() if n} == {"social ad"}


def test_where_only_pages_are_known_every_event_before_a_conversion_counts():
    data = opened(events(("a", 1, "home page", "ads"), ("a", 2, "cart", "mail"), ("a", 3, "purchase", "mail")))
    result = tk.attribution(data)
    assert by_rule(result, "linear") == {"ads": 0.5, "mail": 0.5} and "every event before a conversion" in result.note


def test_a_touch_of_no_campaign_is_a_touch_all_the_same():
    rows = [("a", 1, "social ad", "ads"), ("a", 2, "social ad", "ads"), ("a", 3, "purchase", "web")]
    result = tk.attribution(opened(events(*rows, campaign=["spring", None, None])), by="campaign")
    assert by_rule(result, "linear") == {"spring": 0.5, "(no campaign)": 0.5}
    assert list(by_rule(result, "linear"))[-1] == "(no campaign)"


def test_of_very_many_campaigns_the_most_met_stand_alone():
    rows = [("a", 1 + i % 20, "social ad", "ads") for i in range(80)]
    names = [f"c{i}" for i in range(40)] * 2
    frame = events(*rows, ("a", 25, "social ad", "ads"), ("a", 29, "purchase", "web"), campaign=[*names, "c39", None])
    found = by_rule(tk.attribution(opened(frame), by="campaign"), "linear")
    assert len(found) == 31 and found["c39"] == pytest.approx(3 / 81) and found["(others)"] == pytest.approx(20 / 81)


SOLD = [
    ("a", 1, "social ad", "ads"),
    ("a", 2, "purchase", "web"),
    ("b", 1, "newsletter", "mail"),
    ("b", 5, "purchase", "web"),
]


def orders(*rows):
    return pd.DataFrame(rows, columns=["order_id", "customer_id", "timestamp", "revenue", "currency", "cancelled"])


def test_the_order_tells_what_a_purchase_is_worth_and_currencies_stay_apart():
    shop = orders(
        ("1", "a", "2026-09-02 00:00:09", 70.0, "DKK", False),
        ("2", "b", "2026-09-05", 900.0, "JPY", False),
        ("3", "b", "2026-09-05 01:00", -5.0, "JPY", False),
        ("4", "c", "2026-09-07", 11.0, "DKK", True),
        ("5", "d", "2026-09-08", 13.0, "DKK", False),
    )
    frame = events(*SOLD, value=[None, 1.0, None, 2.0], currency=[None, "DKK", None, "DKK"])
    result = tk.attribution(opened(frame, orders=shop))
    worth = {currency: result.money[0, i, :, 0].sum() for i, currency in enumerate(result.currencies)}
    assert worth == {"DKK": 83, "JPY": 900, "": 0} and result.conversions == 3
    assert by_rule(result, "first") == {"ads": 1, "mail": 1, NO_TOUCH: 1}
    goal = tk.attribution(opened(frame, orders=shop), "newsletter")
    assert goal.money[0].sum() == 0 and goal.conversions == 1


def test_the_value_of_the_event_counts_where_there_are_no_orders_and_the_unknown_is_said():
    frame = events(*SOLD, value=[None, 8.0, None, None], currency=[None, "DKK", None, None])
    result = tk.attribution(opened(frame))
    assert result.money[0].sum(axis=(0, 1)).tolist() == [8] * len(RULES)
    assert "1 conversions have no known value" in result.note


def spent(*rows):
    return pd.DataFrame(rows, columns=["date", "channel", "campaign", "cost", "currency"])


COSTS = spent(
    ("2026-09-01", "ads", "x", 30.0, "DKK"),
    ("2026-09-03", "ads", "x", 10.0, "DKK"),
    ("2026-09-03", "ads", "x", 4.0, "EUR"),
    ("2026-09-01", "radio", "y", 9.0, "DKK"),
    ("2026-09-01", "mail", "z", 0.0, "DKK"),
    ("2027-09-01", "ads", "x", 99.0, "DKK"),
)


def test_what_a_conversion_costs_and_returns_currency_by_currency():
    frame = events(*SOLD, value=[None, 80.0, None, 20.0], currency=[None, "DKK", None, "DKK"])
    result = tk.spend(tk.attribution(opened(frame, campaigns=COSTS)))
    rows = {(row["channel"], row["currency"]): row for row in result.rows()}
    assert set(rows) == {("ads", "DKK"), ("ads", "EUR"), ("radio", "DKK")}
    crowns, euros, radio = rows["ads", "DKK"], rows["ads", "EUR"], rows["radio", "DKK"]
    assert (crowns["cost_money"], crowns["least_money"], crowns["most_return"]) == (40, 40, 2)
    assert crowns["why"] == "" and euros["least_money"] == 4
    assert np.isnan(euros["most_return"]) and "no conversion has a value in this currency" in euros["why"]
    assert np.isinf(radio["most_money"]) and "a rule credits nothing" in radio["why"] and radio["most_return"] == 0
    assert result.rows()[0] is not radio and result.say()[0].startswith("A conversion credited to radio costs most")


def test_costs_follow_the_period_and_are_not_set_against_some_customers():
    data = opened(events(*SOLD), campaigns=COSTS)
    assert tk.attribution(data.between("2026-09-02", "2026-09-04")).costs == {("ads", "DKK"): 10, ("ads", "EUR"): 4}
    some = tk.attribution(data.segment({"a": "one", "b": "two"}, "one"))
    assert some.costs == {} and "not set against the credit of some" in some.note
    gap = tk.spend(tk.attribution(opened(events(*SOLD))))
    assert isinstance(gap, Missing) and "no costs by channel" in gap.say()[0]


def test_credit_after_few_customers_is_shown_together():
    rows = [row for i in range(9) for row in ((f"a{i}", 1, "social ad", "ads"), (f"a{i}", 2, "purchase", "web"))]
    for channel, many in (("mail", 3), ("search", 4)):
        for i in range(many):
            rows += [(f"{channel}{i}", 1, "newsletter", channel), (f"{channel}{i}", 2, "purchase", "web")]
    data = replace(opened(events(*rows), campaigns=COSTS), small_cells=5)
    result = tk.attribution(data)
    assert by_rule(result, "linear") == {"ads": 9, FEW: 7}
    assert tk.attribution(replace(data, small_cells=50)).rows() == []


def test_what_is_missing_is_said_and_what_is_wrong_is_refused():
    data = opened(events(*SOLD).drop(columns="channel"))
    with pytest.raises(MissingData, match="channel in events"):
        tk.attribution(data)
    with pytest.raises(UsageError, match="by is 'touchpoin'"):
        tk.attribution(data, by="touchpoin")
    with pytest.raises(UsageError, match="did you mean 'purchase'"):
        tk.attribution(data, "purchas", by="touchpoint")
    with pytest.raises(MissingData, match="knows as purchase"):
        tk.attribution(opened(events(("a", 1, "zorp", "x"))))
    with pytest.raises(UsageError, match=r"ends is 0\.7"):
        tk.AttributionRules(ends=0.7)


def test_without_a_conversion_there_is_nothing_to_credit():
    result = tk.attribution(opened(events(*SOLD)).between("2026-10-01", "2026-11-01"))
    assert result.rows() == [] and result.say() == ["No conversion falls in the period, so there is nothing to credit."]
    assert tk.show(result).say()[0].startswith("Credit by channel cannot")


@pytest.mark.parametrize("by", ["channel", "campaign", "touchpoint"])
def test_any_partitioning_gives_the_same_counts_and_credit_is_conserved(till, by):
    whole = tk.attribution(till, by=by)
    for partitions in (7, 64) if by == "channel" else (7,):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "__kwdefaults__", {"partitions": partitions})
            assert same(tk.attribution(till, by=by).counts, whole.counts)
    assert whole.credit[0].sum(axis=0).tolist() == pytest.approx([whole.conversions] * len(RULES))
    orders_ = till.frame("orders").dropna(subset="customer_id")
    revenue = orders_[~orders_["cancelled"] & (orders_["revenue"] >= 0)]["revenue"].sum()
    assert whole.money[0].sum(axis=(0, 1)).tolist() == pytest.approx([revenue] * len(RULES))


def test_a_period_divides_the_conversions(till):
    months = [tk.attribution(till.between(*ends)) for ends in (("", "2026-01-01"), ("2026-01-01", ""))]
    whole = tk.attribution(till)
    for rule in ("first", "linear", "decay", "shapley"):
        parts = [by_rule(month, rule) for month in months]
        for channel, n in by_rule(whole, rule).items():
            assert sum(part.get(channel, 0) for part in parts) == pytest.approx(n)
    assert sum(month.ledger["all"] for month in months) == whole.ledger["all"]


def test_the_result_reads_itself_aloud_and_is_never_causal(till):
    result = tk.attribution(till, rules=tk.AttributionRules(holdouts={"retargeting": "retargeting-holdout"}))
    said, top = result.say(), result.rows()[0]
    assert said[0].startswith(f"Depending on the rule, {top['channel']} is credited with")
    assert (
        said[1].startswith("Rules credit retargeting with")
        and "the holdout that withheld it sees no difference" in said[1]
    )
    assert (
        "not causal" in said[-1]
        and "not causal" in result.definition.rules
        and "A holdout tells" in result.definition.rules
    )
    assert tk.show(result).png[1:4] == b"PNG"
    suggested = tk.attribution(till)
    assert "The experiment retargeting-holdout may have tested retargeting" in suggested.note
    unheard = tk.attribution(till, rules=tk.AttributionRules(holdouts={"retargeting": "retargetting"}))
    assert unheard.holdouts == {} and "retargeting-holdout. They come with" in unheard.note


def test_the_figure_draws_the_results_numbers(till):
    result = tk.attribution(till)
    axes = tk.plot(result)
    rows = [row for row in result.rows() if row["channel"] != NO_TOUCH]
    for rule, marks in zip(RULES, axes.collections[1::2], strict=True):  # for each rule its intervals, then its marks
        shares = [row[f"n_{rule}"] / result.conversions for row in rows]
        assert marks.get_offsets()[:, 0].tolist() == pytest.approx(shares)
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars == [pytest.approx((row["least_share"], row["most_share"])) for row in rows]
    assert f"not drawn: {NO_TOUCH}" in axes.get_xlabel()


def test_every_rule_credits_the_planted_channel_that_changes_nothing():
    data = tk.open_data("data/samples/webshop")
    result = tk.attribution(data, rules=tk.AttributionRules(holdouts={"retargeting": "retargeting-holdout"}))
    row = next(row for row in result.rows() if row["channel"] == "retargeting")
    assert all(row[f"n_{rule}_low"] > 0.05 * result.conversions for rule in RULES)
    assert row["rate_diff_low"] < 0 < row["rate_diff_high"]


def test_the_dear_social_ads_are_seen():
    data = tk.open_data("data/samples/webshop")
    each = {row["campaign"]: row for row in tk.spend(tk.attribution(data, by="campaign")).rows()}
    for dear in ("social-home", "social-outdoor"):
        for fair in ("search-brand", "search-generic"):
            assert each[dear]["least_money_low"] > each[fair]["least_money_high"]


JOURNEY = {"ads": 0.5, "mail": 0.3, "search": 0.2}


def _shop(rng, customers):
    """Journeys of one to four touches; the chance to buy grows with mail."""
    from tests.credit.attribution_twin import BUY, TOUCH

    sizes = rng.integers(1, 5, customers)
    picked = rng.choice(list(JOURNEY), sizes.sum(), p=list(JOURNEY.values()))
    journeys = []
    for touches in np.split(picked, np.cumsum(sizes)[:-1]):
        path = [(int(i), TOUCH, channel, None, None) for i, channel in enumerate(touches)]
        buys = rng.random() < 0.15 + 0.1 * (touches == "mail").sum()
        journeys.append([*path, (9, BUY, None, 100, "DKK")] if buys else path)
    return journeys


@pytest.mark.slow
def test_the_intervals_hold_the_truth_as_often_as_they_say():
    from tests.credit.attribution_twin import Asking, asked_of, part

    asked, rng, n = asked_of(Asking(1_000_000)), np.random.default_rng(3), 700

    def credit(customers):
        counts = count_attribution(part(_shop(rng, customers), until=10_000_000), asked=asked)
        return estimate(counts, np.eye(5))[:, 0]

    truth = credit(60_000)[0] * n / 60_000
    found = np.array([credit(n) for _ in range(80)])
    covered = ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean(axis=0)[:3]
    assert covered.min() >= 0.85 and 0.92 <= covered.mean() <= 0.98
