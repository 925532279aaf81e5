"""The rules of a funnel: published answers, each rule by hand, what is refused, what is said, the planted checkout."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toolkit as tk
from tests.journeys.made import MIN, study
from tests.study.test_law import same
from toolkit.errors import UsageError
from toolkit.funnels import funnel as room
from toolkit.funnels.funnel import count_funnel
from toolkit.funnels.rules import search_for
from toolkit.stats.clusters import clustered_rate
from toolkit.study.engine import run

ABC = ["a", "b", "c"]
DAY = 24 * 60 * MIN
SHOP = Path(__file__).parents[2] / "data/samples/webshop"


def paths(*words):
    """One customer per word, each letter an event, a minute apart."""
    return study({f"c{n}": [(i * MIN, letter) for i, letter in enumerate(word)] for n, word in enumerate(words)})


def units(data, steps, *, within="7d", **rules):
    """How many reached each step so far."""
    result = tk.funnel(data, list(steps), within=within, rules=tk.FunnelRules(**rules))
    return [row[f"n_{result.unit}s"] for row in result.rows()]


# published


def test_posthogs_strict_order():
    """Sign up u, page view v, buy i, anything else X: PostHog's eight paths give 7, 2 and 1."""
    assert units(paths("u", "vu", "uvXi", "iXvu", "vuXvi", "XuXv", "XuviX", "iv"), "uvi", order="strict") == [7, 2, 1]


def test_posthogs_any_order():
    """Of PostHog's eight paths 8 did one of the three, 5 did two, 3 did all."""
    assert units(paths("u", "vu", "uvXi", "ivu", "vuXi", "Xi", "vX", "iv"), "uvi", order="any") == [8, 5, 3]


def test_retentioneerings_sessions():
    """A and B in one session, C and D in the next: within a session A leads to B and never to D."""
    data = study({"u": [(0, "A"), (MIN, "B"), (DAY, "C"), (DAY + MIN, "D")]})
    assert units(data, "AB", unit="session") == [1, 1]
    assert (units(data, "AD", unit="session"), units(data, "AD")) == ([1, 0], [1, 1])


# by hand

BY_HAND = {
    "an attempt is over when it converts": (["abab", "aab"], "ab", {"entry": "every"}, [3, 3]),
    "an attempt that is open takes no other": (["aaab"], "ab", {"entry": "every"}, [1, 1]),
    "the step that ends an attempt opens no other": (["abab"], "aba", {"entry": "every"}, [1, 1, 1]),
    "exclusion ends an attempt, and another opens": (["axab"], "ab", {"entry": "every", "exclude": ["x"]}, [2, 1]),
    "what follows breaks a strict attempt": (["aab", "axb"], "ab", {"entry": "every", "order": "strict"}, [3, 1]),
    "strict: nothing between": (["ab", "axb", "xab"], "ab", {"order": "strict"}, [3, 2]),
    "strict: the first entry is not the best one": (["axab"], "ab", {"order": "strict", "entry": "first"}, [1, 0]),
    "any order: from whichever comes first": (["cab", "bx", "cc"], "abc", {"order": "any"}, [3, 1, 1]),
    "any order: a step asked for twice needs two": (["aa", "a"], "aa", {"order": "any"}, [2, 1]),
    "excluded between two steps": (["axb", "xab", "abx"], "ab", {"exclude": ["x"]}, [3, 2]),
    "excluded further on": (["abxc"], "abc", {"exclude": ["x"]}, [1, 1, 0]),
    "a later entry gets round what is excluded": (["axab"], "ab", {"exclude": ["x"]}, [1, 1]),
    "the first entry does not": (["axab"], "ab", {"exclude": ["x"], "entry": "first"}, [1, 0]),
    "excluded in any order": (["axb", "bxab"], "ab", {"exclude": ["x"], "order": "any"}, [2, 1]),
    "a step that may be missed": (["abc", "ac", "ab", "acb"], "abc", {"optional": ["b"]}, [4, 2, 3]),
    "taken where it does not delay": (["acbc", "abcc"], "abc", {"optional": ["b"]}, [2, 1, 2]),
    "missed in strict order": (["ac", "axc", "abc"], "abc", {"optional": ["b"], "order": "strict"}, [3, 1, 2]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    words, steps, rules, reached = BY_HAND[name]
    assert units(paths(*words), steps, **rules) == reached


@pytest.mark.parametrize(("again", "attempts"), [(5 * DAY, 1), (7 * DAY, 1), (7 * DAY + 1, 2)])
def test_an_attempt_is_open_until_its_window_is_over(again, attempts):
    data = study({"c": [(0, "a"), (again, "a"), (30 * DAY, "b")]})
    assert units(data, "ab", entry="every") == [attempts, 0]


def test_what_shares_a_moment_with_an_excluded_event_stands_on_the_side_that_helps():
    data = study({"c": [(0, "x"), (0, "a"), (MIN, "x"), (MIN, "b")], "d": [(0, "a"), (MIN, "x"), (2 * MIN, "b")]})
    assert units(data, "ab", exclude=["x"]) == [2, 1]
    assert units(data, "ab", exclude=["x"], ties="file") == [2, 0]


def test_every_attempt_is_matured_or_pending_by_its_own_entry():
    data = study({"c": [(0, "a"), (DAY, "b"), (19 * DAY, "a")], "d": [(20 * DAY, "z")]})
    result = tk.funnel(data, ["a", "b"], rules=tk.FunnelRules(entry="every"))
    assert result.ledger == {"converted": 1, "dropped": 0, "pending": 1, "never entered": 0, "all": 2}
    assert (result.headline["n_entered"], result.headline["n_converted"]) == (1, 1)


def test_a_session_seen_without_an_entry_never_entered():
    data = study({"c": [(0, "a"), (MIN, "b"), (DAY, "z"), (20 * DAY, "a")]})
    result = tk.funnel(data, ["a", "b"], within="1d", rules=tk.FunnelRules(unit="session"))
    assert result.ledger == {"converted": 1, "dropped": 0, "pending": 1, "never entered": 1, "all": 3}


def test_rates_are_shown_with_and_without_the_steps_that_may_be_missed():
    data, rules = paths("abc", "ac", "ab", "a", "z" * 60), tk.FunnelRules(optional=["b"])
    result = tk.funnel(data, ABC, within="5min", rules=rules)
    _, might, last = result.rows()
    assert (might["of_entered_rate"], last["of_entered_rate"], last["whole_rate"]) == (0.5, 0.5, 0.25)
    assert last["of_previous_rate"] == 0.5  # of those who entered: b is no condition
    assert "By way of b it is 25.0 %" in " ".join(result.say())


@pytest.mark.parametrize("rules", [{"entry": "every"}, {"unit": "session"}])
def test_intervals_of_several_units_of_a_customer_are_clustered(shop, rules):
    result = tk.funnel(shop, ["product page", "cart"], rules=tk.FunnelRules(**rules))
    per = result.counts.by_bucket[:, 0]
    expected = [float(value[0]) for value in clustered_rate(per[:, [1]], per[:, [0]])]
    row = result.rows()[1]
    assert [row[f"of_entered_rate{end}"] for end in ("", "_low", "_high")] == pytest.approx(expected)
    assert list(result.interval()[:2]) == pytest.approx(expected[1:])
    naive = tk.share_of(row["n_matured"], result.rows()[0]["n_matured"]).interval()
    assert naive.low > expected[1] and naive.high < expected[2]


def test_the_figure_draws_the_rates_and_marks_what_may_be_missed():
    data, rules = paths("abc", "ac", "ab", "a", "z" * 60), tk.FunnelRules(optional=["b"])
    result = tk.funnel(data, ABC, within="5min", rules=rules)
    ax = tk.plot(result)
    assert [bar.get_width() for bar in ax.patches] == [row["of_entered_rate"] for row in result.rows()]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, True, False]
    assert ax.collections[-1].get_offsets()[:, 0].tolist() == [row["whole_rate"] for row in result.rows()[1:]]


# groups


def test_a_group_of_few_customers_is_hidden_however_many_sessions_they_have():
    journeys = {f"c{n}": [(i * DAY, "a", "desktop") for i in range(3)] for n in range(30)}
    journeys |= {f"f{n}": [(i * DAY, "a", "fridge") for i in range(9)] for n in range(2)}
    journeys |= {f"m{n}": [(i * DAY, "a", "mobile") for i in range(3)] for n in range(30)}
    data = study(journeys | {"z": [(40 * DAY, "b", "mobile")]}, small_cells=5)
    for rules in ({"unit": "session"}, {"entry": "every"}):
        rows = tk.funnel(data, ["a", "b"], within="1d", by="device", rules=tk.FunnelRules(**rules)).rows()
        assert "fridge" not in {row["device"] for row in rows} and not any("together" in row["device"] for row in rows)


def test_the_card_names_how_many_tests_were_adjusted_for(shop):
    result = tk.funnel(shop, ["product page", "cart"], by="device")
    assert result.family == 3 and result.definition.rules.endswith("Holm over the groups (3 tests)")
    assert [tk.adjust([row["p_adjusted"] for row in result.rows()]).family] == [3]


def test_too_many_groups_by_bucket_are_refused(shop, monkeypatch):
    monkeypatch.setattr(room, "MOST_CELLS", 6)
    assert tk.funnel(shop, ["cart", "purchase"], by="device").rows()
    with pytest.raises(UsageError, match=r"device has 3 values; a funnel by attempt takes 2 at most"):
        tk.funnel(shop, ["cart", "purchase"], by="device", rules=tk.FunnelRules(entry="every"))


ALL = {"order": "strict", "entry": "every", "unit": "session", "exclude": ["chat"], "optional": ["cart"]}


@pytest.mark.parametrize("partitions", [7, 1_024])
@pytest.mark.parametrize("rules", [{}, ALL, {"order": "any", "ties": "file"}, {"entry": "every", "exclude": ["chat"]}])
def test_any_number_of_partitions_gives_the_same_counts(shop, rules, partitions):
    steps = ["product page", {"touchpoint": "checkout", "device": "mobile"}, "purchase"]
    steps[1:1] = ["cart"] if "optional" in rules else []
    search, _ = search_for(shop, steps, "2d", tk.FunnelRules(**rules))
    whole, parts = (run(shop, count_funnel, search=search, by="device", partitions=n) for n in (1, partitions))
    assert same(whole, parts) and whole.reached[:, -1].sum() > 0


# said


def test_the_ledger_adds_up_by_every_rule(shop):
    for rules in ({"order": "strict"}, {"order": "any"}, {"entry": "every"}, {"unit": "session"}, {"optional": "cart"}):
        result = tk.funnel(shop, ["product page", "cart", "checkout"], rules=tk.FunnelRules(**rules, exclude=["chat"]))
        *parts, whole = result.ledger.values()
        assert sum(parts) == whole and min(parts) >= 0 and result.say() and result._repr_html_()
        assert (result.counts.matured <= result.counts.reached).all()


def test_each_rule_says_which_other_it_can_be_held_against(shop):
    steps, said = ["product page", "cart"], {}
    for entry in ("best", "first", "every"):
        result = tk.funnel(shop, steps, rules=tk.FunnelRules(entry=entry))
        other = {"best": "first"}.get(entry, "best")
        against = tk.funnel(shop, steps, rules=tk.FunnelRules(entry=other)).headline["conversion_rate"]
        assert replace(result, counts=result.other).headline["conversion_rate"] == against
        said[entry] = " ".join(result.say())
    assert "Counted from the first entry in the period it would be" in said["best"]
    assert "Counted from the entry that gets deepest it would be" in said["first"]
    assert (
        "attempts (" in said["every"]
        and "Counted from the entry that gets deepest of each customer it" in said["every"]
    )


def test_the_card_states_the_rules(shop):
    rules = tk.FunnelRules(order="strict", unit="session", exclude=["chat"], optional=["cart"])
    card = tk.funnel(shop, ["product page", "cart", "purchase"], rules=rules).definition
    assert (card.measure, card.unit) == ("Funnel, nothing between, by session", "session")
    for said in ("in order, nothing between", "a pause of more than 30min", "ends at chat", "may be missed: cart"):
        assert said in card.rules
    assert "clustered by customer" in card.rules


# refused

WRONG = {
    "words that are no rules, all at once": ({"entry": "last", "unit": "visit"}, r"(?s)2 problems.*'every'.*'session'"),
    "a first step that may be missed": ({"optional": ["a"]}, "choose one of 'b'.*The first and the last"),
    "a step to be missed that is none": ({"optional": ["x"]}, "optional is 'x'; choose one of 'b'"),
    "missed in any order": ({"optional": ["b"], "order": "any"}, "no place in order"),
    "any order of steps that overlap": ({"order": "any"}, "both b and b / x.*set them apart"),
    "excluded though a step": ({"exclude": [["b", "x"]]}, "b is a step and excluded too"),
    "excluded and unknown": ({"exclude": ["y"]}, "touchpoint is 'y'"),
    "a pause that is no length of time": ({"unit": "session", "gap": "half an hour"}, "no length of time"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_explained(name):
    rules, sentence = WRONG[name]
    with pytest.raises(UsageError, match=sentence):
        tk.funnel(paths("abcx"), ABC if "overlap" not in name else [*ABC, ["b", "x"]], rules=tk.FunnelRules(**rules))


def test_words_of_another_column_set_steps_apart():
    data = study({"c": [(0, "a", "mobile"), (MIN, "a", "desktop")], "d": [(0, "a", "mobile"), (MIN, "a", "mobile")]})
    steps = [{"touchpoint": "a", "device": device} for device in ("desktop", "mobile")]
    assert units(data, steps, order="any") == [2, 1]


def test_at_most_four_steps_may_be_missed():
    with pytest.raises(UsageError, match="5 steps may be missed; 4 is the most"):
        tk.funnel(paths("abcdefg"), [*"abcdefg"], rules=tk.FunnelRules(optional=[*"bcdef"]))


@pytest.mark.parametrize("within", ["fourteen", "14", "7 moons", "0d", "-3d", "", "1e400d", "9" * 30 + "d"])
def test_a_window_that_is_no_length_of_time_says_how_to_write_one(within):
    with pytest.raises(UsageError, match="such as 30min or 7d"):
        tk.funnel(paths("ab"), ["a", "b"], within=within)


# the planted truth


def test_the_mobile_checkout_is_found_with_its_interval():
    """Sessions with a checkout on the web, outside the payment incident: truth.json's shares lie in the intervals."""
    planted = json.loads((SHOP / "truth.json").read_text())["planted"]
    expected, (first, last) = planted["mobile checkout"]["expected"], planted["payment incident"]["window"]
    steps, rules = [{"touchpoint": "checkout", "channel": "web"}, "purchase"], tk.FunnelRules(unit="session")
    data = tk.open_data(SHOP)
    for view in (data.between("", first), data.between(last, "")):
        result = tk.funnel(view, steps, within="1d", by="device", rules=rules)
        rows = {row["device"]: row for row in result.rows()}
        for device, share in expected.items():
            assert rows[device]["conversion_rate_low"] < share < rows[device]["conversion_rate_high"]
        assert rows["mobile"]["conversion_rate_diff_high"] < 0 and rows["mobile"]["p_adjusted"] < 0.001
        assert "With device mobile" in result.say()[0] and "below the rest" in result.say()[0]


def test_nothing_planted_leaves_no_mobile_checkout():
    truth = tk.Truth.nothing()
    data = tk.open_data(tk.make_data(3_000, rng=11, truth=truth), tz="Europe/Copenhagen")
    steps, rules = [{"touchpoint": "checkout", "channel": "web"}, "purchase"], tk.FunnelRules(unit="session")
    rows = {row["device"]: row for row in tk.funnel(data, steps, within="1d", by="device", rules=rules).rows()}
    assert rows["mobile"]["p_adjusted"] > 0.05 and np.isfinite(rows["mobile"]["conversion_rate_diff"])
