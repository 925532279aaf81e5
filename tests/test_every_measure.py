"""Every measure on studies that lack almost everything: it answers, or says what is missing; it never breaks."""

import inspect

import pytest

import toolkit as tk
from tests.studies import SAMPLES, events_only, orders_only
from toolkit.errors import UsageError
from toolkit.simulate import write_data

LATER = ("2030-01-01", "2030-02-01")
ASKED = {
    "division": ["country"],
    "compare_maps": ["country"],
    "holdout": ["retargeting-holdout"],
    "readout": ["free-shipping"],
}
NO_MEASURES = {"about", "attempt", "check_split", "plan_experiment"}  # with tests of their own


def takes_a_study(name):
    thing = getattr(tk, name)
    return inspect.isfunction(thing) and next(iter(inspect.signature(thing).parameters), "") == "data"


MEASURES = [name for name in tk.__all__ if name not in NO_MEASURES and takes_a_study(name)]


@pytest.fixture(scope="module", params=["events only", "orders only", "three customers"])
def bare(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare") / "study"
    if request.param == "three customers":
        return tk.open_data(write_data(folder, customers=3, seed=2), tz="Europe/Copenhagen")
    return tk.open_data({"events only": events_only, "orders only": orders_only}[request.param](folder), tz="UTC")


def said(result):
    html = result._repr_html_()
    assert str(result) and ("<table" in html or 'class="missing"' in html)
    assert not any("nan" in sentence.split() for sentence in result.say())
    try:
        tk.show(result)
    except UsageError as no_figure:
        assert "has no figure" in str(no_figure) or "has no words" in str(no_figure)


def test_the_list_of_measures_is_not_empty():
    assert {"funnel", "journey_map", "attribution", "pitfalls", "vitals"} <= set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_answers_or_says_what_is_missing(bare, name):
    said(tk.attempt(getattr(tk, name), bare, *ASKED.get(name, ())))


@pytest.mark.parametrize("name", MEASURES)
def test_a_period_without_data_breaks_nothing(bare, name):
    said(tk.attempt(getattr(tk, name), bare.between(*LATER), *ASKED.get(name, ())))


@pytest.fixture(scope="module")
def samples():
    return tk.open_data(SAMPLES)


@pytest.mark.parametrize("name", MEASURES)
def test_a_ledger_adds_up_to_all(samples, name):
    ledger = getattr(getattr(tk, name)(samples, *ASKED.get(name, ())), "ledger", None)
    for one in [ledger] if isinstance(ledger, dict) else []:
        assert sum(n for part, n in one.items() if part != "all") == one["all"] > 0


VIEWS = {  # views that account for the same: what "all" is in their ledgers
    "customers": ("funnel", "associations", "omnichannel", "time_to_convert"),
    "sessions": ("flow", "whole_paths"),
    "events": ("touchpoints", "journey_map", "exits", "loops"),
}


@pytest.mark.parametrize("unit", VIEWS)
def test_views_account_for_one_population(samples, unit):
    seen = {name: getattr(tk, name)(samples).ledger["all"] for name in VIEWS[unit]}
    counted = {"customers": samples.customers, "sessions": tk.sessions(samples).n}
    assert set(seen.values()) == {counted.get(unit, seen[VIEWS[unit][0]])}, seen


def test_every_purchase_is_credited_once(samples):
    credit = tk.attribution(samples, "purchase")
    assert credit.conversions == len(samples.frame("orders").query("not cancelled"))
