"""The ten traps: data on which each guard fires, data on which it is silent; and the samples, where none is wrong."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.house import ROOT
from tests.journeys.made import MIN, study
from toolkit.errors import MissingData, UsageError
from toolkit.journeys.traps import TRAPS, fired
from toolkit.results import Definition, Result

DAY = 24 * 60 * MIN
EDGES = {"first": [(0, "news")], "last": [(60 * DAY, "news")]}
WORDS = ("blog", "search", "video", "advert", "review")


def verdict(trap, *results, **caption):
    [row] = [row for row in tk.check_traps(*results, **caption).rows() if row["trap"] == trap]
    return row["verdict"]


def going(customers, *, seed=1, odds=0.0, begin=10 * DAY, cart=0.0):
    """Journeys from "in" to "out": touches at random, a cart for all who go on to "out" and a share of the others."""
    rng, shop = np.random.default_rng(seed), {}
    for i in range(customers):
        length = int(rng.geometric(0.25)) - 1
        won = rng.random() < 1 / (1 + np.exp(1 - odds * (length - 3)))
        touches = [(begin + (j + 1) * 60 * MIN, WORDS[rng.integers(5)]) for j in range(length)]
        last = begin + (length + 1) * 60 * MIN
        touches += [(last, "cart")] if cart and (won or rng.random() < cart) else []
        shop[f"c{i}"] = [(begin, "in"), *touches, *([(last + MIN, "out")] if won else [])]
    return shop


def gone(shop, **settings):
    return tk.associations(study(shop | EDGES), ["in", "out"], within="7d", **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought(Result):
    """A measure as an analyst might write it."""

    cells: list
    definition: Definition

    def rows(self):
        return self.cells


def test_a_rate_without_a_denominator_fires_and_a_named_one_is_silent(shop):
    funnel = tk.funnel(shop)
    assert verdict("unnamed denominators", funnel) == "not found"
    nameless = replace(funnel, definition=replace(funnel.definition, denominator=""))
    assert verdict("unnamed denominators", nameless) == "found"
    cells = [{"page": "front page", "n_customers": 90, "buy_rate": 0.5, "open_rate": 0.4}]
    half = Bought(cells=cells, definition=Definition(measure="Bought", denominator="buy: customers who saw the page"))
    assert [text for text in fired(half)] == ["The card does not say what open is a share of."]


def test_much_left_out_without_a_word_fires_and_little_is_silent():
    rare = {f"c{i}": [(0, "a"), (MIN, "b"), (2 * MIN, f"page {i}")] for i in range(60)}
    assert verdict("silent population cuts", tk.transitions(study(rare, small_cells=5))) == "found"
    usual = {f"c{i}": [(0, "a"), (MIN, "b"), (2 * MIN, f"page {i % 3}")] for i in range(60)}
    assert verdict("silent population cuts", tk.transitions(study(usual, small_cells=5))) == "not found"


def test_what_is_left_out_is_not_silent_once_it_is_said():
    moves = tk.transitions(study({f"c{i}": [(0, "a"), (MIN, f"page {i}")] for i in range(60)}, small_cells=5))
    card = replace(moves.definition, notes=("120 of 180 transitions are hidden.",))
    assert verdict("silent population cuts", replace(moves, definition=card)) == "not found"


def test_watching_those_who_convert_for_less_time_fires_and_as_long_is_silent():
    quick = going(200)
    assert verdict("survivorship", gone(quick, watch="window")) == "found"
    assert verdict("survivorship", gone(quick)) == "not found"
    slow = {f"c{i}": [(0, "in"), (DAY, "blog"), (7 * DAY if i % 2 else 8 * DAY, "out")] for i in range(40)}
    assert verdict("survivorship", gone(slow, watch="window")) == "not found"


def test_length_that_moves_the_odds_fires_and_length_that_does_not_is_silent():
    assert verdict("exposure confounding", gone(going(1_500, odds=0.5))) == "found"
    assert verdict("exposure confounding", gone(going(1_500))) == "not found"


def test_a_conversion_under_another_name_fires_and_a_usual_touchpoint_is_silent():
    shop = going(300)
    told = {
        name: [*events[:-1], (events[-1][0] - 1_000_000, "thanks"), events[-1]]
        if events[-1][1] == "out" and i % 3
        else events
        for i, (name, events) in enumerate(shop.items())
    }
    assert verdict("target leakage", gone(told)) == "found" and verdict("structural lift", gone(told)) == "not found"
    assert verdict("target leakage", gone(shop)) == "not found"


def test_a_step_that_none_can_leave_out_fires_until_it_is_a_step_of_the_funnel():
    shop = study(going(300, cart=0.2) | EDGES)
    assert verdict("structural lift", tk.associations(shop, ["in", "out"])) == "found"
    assert verdict("structural lift", tk.associations(shop, ["in", "cart", "out"])) == "not found"


def test_what_only_those_met_who_got_far_fires_where_it_stands_out():
    shop, rng = {}, np.random.default_rng(1)
    for i in range(600):
        cart, won = rng.random(2) < 0.5
        seen = [(0, "in"), *[(60 * MIN * (j + 1), WORDS[rng.integers(5)]) for j in range(3)]]
        seen += [(300 * MIN, "cart"), (301 * MIN, "offer" if i % 3 else "blog")] if cart else [(300 * MIN, "blog")]
        shop[f"c{i}"] = [(t + 10 * DAY, word) for t, word in [*seen, *([(302 * MIN, "out")] if cart and won else [])]]
    data = study(shop | EDGES)
    assert verdict("structural lift", tk.associations(data, ["in", "cart", "out"])) == "found"
    both = {name: [(t, "cart" if word == "in" else word) for t, word in events] for name, events in shop.items()}
    assert verdict("structural lift", tk.associations(study(both | EDGES), ["cart", "out"])) == "not found"


def test_few_customers_fire_and_hidden_ones_are_silent():
    few = {f"c{i}": [(0, "a"), (MIN, "b")] for i in range(40)} | {f"d{i}": [(0, "rare")] for i in range(3)}
    assert verdict("small cells without n", tk.touchpoints(study(few, small_cells=0))) == "found"
    assert verdict("small cells without n", tk.touchpoints(study(few, small_cells=5))) == "not found"
    card = Definition(measure="Bought", denominator="customers")
    assert verdict("small cells without n", Bought(cells=[{"page": "a", "buy_rate": 0.5}], definition=card)) == "found"


def test_journeys_cut_by_either_edge_of_the_log_fire_and_whole_ones_are_silent():
    late = {f"c{i}": [(i * DAY, "in"), (i * DAY + MIN, "out" if i % 2 else "blog")] for i in range(30)}
    for measure in (tk.associations, tk.funnel):
        assert verdict("censoring at the edges", measure(study(late), ["in", "out"], within="14d")) == "found"
        assert (
            verdict("censoring at the edges", measure(study(late | EDGES), ["in", "out"], within="1d")) == "not found"
        )
    [seen] = fired(tk.associations(study(late | EDGES), ["in", "out"], within="5d"))
    assert seen == "Of the journeys 16.7 % begin when the log does, with nothing known of before."


@pytest.mark.parametrize(
    "caption",
    [
        "Search drives sales.",
        "Reviews lead to more orders.",
        "They convert because of the video.",
        "Thanks to the newsletter they come back.",
        "The advert increased conversion.",
        "Søgning fører til flere køb.",
        "Det skyldes nyhedsbrevet.",
        "Sökning leder till fler köp.",
        "Nyhetsbrevet ökar försäljningen.",
        "Die Suche führt zu mehr Käufen.",
        "Der Newsletter steigert den Umsatz.",
    ],
)
def test_a_caption_that_names_a_cause_fires(caption, shop):
    assert verdict("association worded as cause", tk.funnel(shop), caption=caption) == "found"


@pytest.mark.parametrize(
    "caption",
    [
        "Customers who convert met search more often.",
        "Search does not cause anything we could see: never because of it.",
        "Most go on from the product page to the cart, at their own pace.",
        "Danach kommt der Warenkorb.",
    ],
)
def test_a_caption_that_says_what_goes_together_is_silent(caption, shop):
    assert verdict("association worded as cause", tk.funnel(shop), caption=caption) == "not found"


def test_a_touchpoint_called_like_a_cause_is_no_cause():
    moves = tk.transitions(study({f"c{i}": [(0, "test drives"), (MIN, "thanks to you")] for i in range(9)}))
    assert verdict("association worded as cause", moves, caption="From test drives to thanks to you.") == "not found"


def test_a_number_that_is_not_the_figures_fires_and_its_own_is_silent(shop):
    trap, funnel = "another number in the caption", tk.funnel(replace(shop, locale="da"))
    rate = next(text for text in funnel.say()[0].split() if "," in text)
    assert verdict(trap, funnel, caption=f"{rate} % nåede igennem.") == "not found"
    assert verdict(trap, funnel, caption="97,35 % nåede igennem.") == "found"
    assert verdict(trap, funnel) == "not found"
    with pytest.raises(UsageError, match="A caption belongs to one result; here are 2"):
        tk.check_traps(funnel, funnel, caption="97 %")


def test_what_cannot_be_told_is_said_and_gaps_are_passed_over():
    orders = pd.DataFrame({"order_id": [1], "timestamp": ["2026-01-01"], "revenue": [9.0], "currency": "DKK"})
    gap = tk.attempt(tk.touchpoints, tk.open_data({"orders": orders.assign(customer_id="a")}))
    inventory = tk.touchpoints(study({f"c{i}": [(0, "a"), (MIN, "purchase")] for i in range(9)}))
    rows = {row["trap"]: row for row in tk.check_traps(inventory, gap).rows()}
    assert list(rows) == list(TRAPS) and len(rows) == 10
    assert rows["survivorship"]["verdict"] == "cannot tell"
    assert rows["survivorship"]["seen"] == "Touchpoints: it does not say how long each was watched"
    twice = tk.check_traps(inventory, inventory).rows()[2]["seen"]
    assert twice.count("it does not say how long each was watched") == 2
    assert {row["verdict"] for row in tk.check_traps(gap).rows()} == {"cannot tell"}


def test_the_verdicts_are_read_aloud():
    found = tk.check_traps(gone(going(200), watch="window"))
    assert found.say() == ["1 of ten traps found: survivorship."]
    assert tk.check_traps(gone(going(200))).say() == ["None of the ten traps is found."]


def test_what_fired_stands_on_the_result_itself():
    found = gone(going(200), watch="window")
    assert found.note.startswith("Who converted is watched for") and found.definition.notes == tuple(fired(found))


SAMPLES = ROOT / "data" / "samples" / "webshop"
MEASURES = {  # of a study alone
    *("touchpoints", "sessions", "transitions", "sales", "activity", "identities", "allows", "funnel", "associations"),
    *("time_to_convert", "common_paths", "whole_paths", "flow", "exits", "loops", "repeated_contacts", "handoffs"),
    *(
        "cart_handoffs",
        "omnichannel",
        "stitching",
        "touchpoint_map",
        "vitals",
        "attribution",
        "pitfalls",
        "funnel_trend",
    ),
    *("journey_map", "consistency"),
}
TRUE = {  # what does fire on the samples, and is so
    ("associations", "structural lift"): "recommendations stand in the cart",
    ("whole_paths", "silent population cuts"): "a fifth of the sessions took paths of their own",
    ("attribution", "censoring at the edges"): "a month's lookback at the end of fourteen",
}


@pytest.fixture(scope="module")
def samples():
    return tk.open_data(SAMPLES, tz="Europe/Copenhagen")


@pytest.mark.parametrize("name", [name for name in tk.__all__ if name in MEASURES])
def test_no_guard_fires_falsely_on_the_samples(name, samples):
    try:
        result = getattr(tk, name)(samples)
    except MissingData:
        pytest.skip("the samples lack what it needs")
    seen = {row["trap"]: row["seen"] for row in tk.check_traps(result).rows() if row["verdict"] == "found"}
    assert {trap: text for trap, text in seen.items() if (name, trap) not in TRUE} == {}


def test_the_notebooks_breakdowns_walk_into_no_trap(samples):
    results = [
        tk.funnel(samples, by="device"),
        tk.funnel(samples, rules=tk.FunnelRules(entry="first")),
        tk.stages(tk.touchpoints(samples)),
        tk.division(samples, "consent"),
        tk.associations(samples, by="channel"),
        tk.transitions(samples, within="30min"),
    ]
    assert tk.check_traps(*results).say() == ["None of the ten traps is found."]
