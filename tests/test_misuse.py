"""What is given in the wrong form is refused with what would be right, or taken as it was plainly meant."""

import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import UsageError

MISUSES = {
    "rules as a dict": (
        lambda data: tk.funnel(data, rules={"entry": "first"}),
        "rules is of type dict; give a FunnelRules",
    ),
    "rules of a trend": (lambda data: tk.funnel_trend(data, rules={"entry": "first"}), "give a FunnelRules"),
    "rules of a wait": (
        lambda data: tk.time_to_convert(data, rules="first"),
        "rules is of type str; give a FunnelRules",
    ),
    "rules of credit": (lambda data: tk.attribution(data, rules={"ends": 0.3}), "give a AttributionRules"),
    "no credit": (lambda data: tk.spend(tk.funnel(data)), "credit is of type Funnel; give a Attribution"),
    "no result": (lambda data: tk.check_traps("funnel"), "A result is of type str"),
    "nothing": (lambda data: tk.check_traps(), "There is no result to look at"),
    "no map": (lambda data: tk.journey_map(data).against("spring"), "other is of type str; give a JourneyMap"),
    "groups of nothing": (lambda data: tk.differing_paths(data, groups=("DK", "SE")), "name the attribute"),
}
ONE_WORD = {
    "flow": lambda data, goal: tk.flow(data, goal=goal),
    "whole paths": lambda data, goal: tk.whole_paths(data, goal=goal),
    "touchpoints": lambda data, goal: tk.touchpoints(data, goal=goal),
    "hand-offs": lambda data, goal: tk.handoffs(data, goal=goal),
    "differing paths": lambda data, goal: tk.differing_paths(data, goal=goal),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_answered_with_what_would_be_right(till, misuse):
    asked, sentence = MISUSES[misuse]
    with pytest.raises(UsageError, match=sentence):
        asked(till)


@pytest.mark.parametrize("measure", ONE_WORD)
def test_one_word_for_a_goal_is_one_goal_and_not_its_letters(till, measure):
    asked = ONE_WORD[measure]
    assert asked(till, "cart").to_frame().equals(asked(till, ["cart"]).to_frame())


def test_without_a_conversion_nothing_is_said_to_cost():
    cost = {"date": ["2026-01-01"], "channel": ["web"], "campaign": ["spring"], "cost": [100.0], "currency": ["DKK"]}
    seen = {"customer_id": ["a", "b"], "timestamp": ["2026-01-01", "2026-03-01"], "touchpoint": ["blog", "purchase"]}
    shop = {"events": pd.DataFrame(seen).assign(channel="web"), "campaigns": pd.DataFrame(cost)}
    quiet = tk.open_data(shop, tz="UTC").between("2026-01-01", "2026-02-01")
    assert tk.spend(tk.attribution(quiet)).say() == ["No conversion falls in the period, so none has a cost."]


def test_a_holdout_named_for_a_channel_that_does_not_occur_is_said(till):
    experiment = "retargeting-holdout"
    rules = tk.AttributionRules(holdouts={"wep": experiment})
    notes = tk.attribution(till, rules=rules).definition.notes
    assert any(note.startswith(f"{experiment} is named for 'wep', which is none of ") for note in notes)
