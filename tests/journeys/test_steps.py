"""Steps: what matches, against pandas; how they are named; what cannot be; the edges in one table."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

import toolkit as tk
from tests.study.made import frame, opened
from toolkit.errors import MissingData, UsageError
from toolkit.journeys.steps import matches, steps_of
from toolkit.study.engine import parts

ROWS = [  # touchpoint, device, load_ms, error, value, currency
    ("checkout", "mobile", 3000, "PSP-504", 99.95, "DKK"),
    ("checkout", "tablet", 2999.5, None, 100, "JPY"),
    ("checkout", None, None, None, None, "DKK"),
    ("cart", "desktop", 4000, "504", 12.5, None),
    (None, "mobile", 0, None, 0, "KWD"),
]


@pytest.fixture(scope="module")
def data():
    table = frame("touchpoint device load_ms error value currency", *ROWS)
    table["touchpoint"] = table.touchpoint.fillna("(others)")
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(ROWS)), unit="h")
    table = table.assign(customer_id="c", timestamp=at)
    return opened(table)


def found(data, step):
    """The rows that match, by number."""
    [part] = parts(data) if data.store.manifest["tables"]["events"]["rows"] < 50 else [next(parts(data))]
    return np.flatnonzero(matches(part, *steps_of(data, [step]))).tolist()


MATCHES = {
    "a touchpoint": ("checkout", [0, 1, 2]),
    "touchpoints": (["cart", "checkout"], [0, 1, 2, 3]),
    "all must hold": ({"touchpoint": "checkout", "device": "mobile"}, [0]),
    "any of the words": ({"device": ["mobile", "tablet"]}, [0, 1, 4]),
    "at least": ({"load_ms": ">= 3000"}, [0, 3]),
    "more": ({"load_ms": ">3000"}, [3]),
    "less, and what is unknown is not less": ({"load_ms": "< 3000"}, [1, 4]),
    "at most a number of decimals": ({"load_ms": " <=  2999.5 "}, [1, 4]),
    "between": ({"load_ms": ">= 1 and < 3000"}, [1]),
    "a bare number": ({"load_ms": 4000}, [3]),
    "nought": ({"load_ms": 0}, [4]),
    "a number that is a word": ({"error": 504}, [3]),
    "money in units of each row's currency": ({"value": ">= 99.95"}, [0, 1]),
    "money at a bare number": ({"value": 12.5}, [3]),
    "money that is unknown is not less": ({"value": "< 50"}, [3, 4]),
    "less than nothing": ({"value": "< 0"}, []),
    "three conditions": ({"load_ms": ">= 3000", "error": "PSP-504", "value": "< 100", "touchpoint": "checkout"}, [0]),
    "nothing at all has it all": ({"touchpoint": "cart", "error": "PSP-504"}, []),
}


@pytest.mark.parametrize("name", MATCHES)
def test_what_matches(data, name):
    step, expected = MATCHES[name]
    assert found(data, step) == expected


@pytest.mark.parametrize("name", MATCHES)
def test_a_step_survives_yaml_and_json(data, name):
    step, expected = MATCHES[name]
    assert found(data, yaml.safe_load(yaml.safe_dump(step))) == found(data, json.loads(json.dumps(step))) == expected


NAMES = {
    "cart": "cart",
    ("cart", "checkout"): "cart / checkout",
    '{"load_ms": ">=3000", "device": ["mobile", "tablet"], "touchpoint": "checkout"}': (
        "checkout · load_ms >= 3000 · device mobile / tablet"
    ),
    '{"value": ">= 1 and < 20", "load_ms": 4000}': "value >= 1 and < 20 · load_ms == 4000",
}


@pytest.mark.parametrize("given", NAMES)
def test_a_step_is_named_for_display(data, given):
    step = json.loads(given) if given[0] == "{" else given if isinstance(given, str) else list(given)
    assert steps_of(data, [step])[0].name == NAMES[given]


def test_steps_that_are_ready_pass_and_one_alone_will_do(data):
    [step] = steps_of(data, "cart")
    assert steps_of(data, step) == steps_of(data, [step]) == steps_of(data, {"touchpoint": "cart"}) == (step,)


def test_predicates_agree_with_pandas(shop):
    events = shop.frame("events")
    events["load_ms"] = [(known or {}).get("load_ms") for known in events.properties]
    step = {"channel": "web", "load_ms": ">= 2500", "device": ["mobile", "tablet"]}
    expected = events.query("channel == 'web' and load_ms >= 2500 and device in ['mobile', 'tablet']")
    got = sum(int(matches(part, *steps_of(shop, [step])).sum()) for part in parts(shop))
    assert got == len(expected) > 0
    dear = sum(int(matches(part, *steps_of(shop, [{"value": "> 500"}])).sum()) for part in parts(shop))
    assert dear == (events.value > 500).sum() > 0


def test_a_funnel_of_predicates_is_one_of_the_events_that_remain(till):
    mobile = till.only(device="mobile")
    steps = [{"touchpoint": word, "device": "mobile"} for word in ("product page", "cart", "checkout")]
    one = tk.funnel(till, steps, within="1d").counts.reached
    assert (one == tk.funnel(mobile, ["product page", "cart", "checkout"], within="1d").counts.reached).all()


WRONG = {
    "all at once": (
        ["chekout", {"devise": "mobile", "device": "watch", "load_ms": "fast"}],
        r"(?s)4 problems.*'chekout' \(did you mean 'checkout'\?\).*'devise' \(did you mean 'device'\?\).*'watch'.*"
        r"load_ms is compared with 'fast'",
    ),
    "options": ([{"gadget": "x"}], "choose one of 'touchpoint', 'device', 'load_ms', 'error', 'value', 'currency'"),
    "nothing": ([{}], "A step is empty"),
    "no word": ([{"device": []}], "asks for no device at all"),
    "nothing of a word": ([{"device": None}], "device is 'None'"),
    "a comma": ([{"load_ms": ">= 3,5"}], "a decimal point"),
    "a lone sign": ([{"load_ms": "= 3"}], "with one of >=, <=, ==, >, <"),
    "code": ([{"load_ms": "> __import__('os')"}], "load_ms is compared with"),
    "a truth": ([{"load_ms": True}], "load_ms is compared with True"),
    "no number": ([{"load_ms": float("nan")}], "load_ms is compared with nan"),
    "numbers in a row": ([{"load_ms": [1, 2]}], r"load_ms is compared with \[1, 2\]"),
    "a number": ([5], "touchpoint is '5'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_explained(data, name):
    steps, sentence = WRONG[name]
    with pytest.raises(UsageError, match=sentence):
        steps_of(data, steps)


def test_a_canonical_column_that_did_not_come_is_missing_data(data):
    with pytest.raises(MissingData, match="no channel and scroll_share in events"):
        steps_of(data, [{"channel": "web", "scroll_share": "> 0.5"}])


def test_purchases_made_from_orders_can_be_asked_for_their_value():
    bought = frame(
        "order_id customer_id timestamp revenue", ("1", "a", "2026-01-01", 100), ("2", "b", "2026-01-02", 900)
    )
    data = opened({"orders": bought.assign(currency="DKK", channel="web")})
    assert found(data, {"touchpoint": "purchase", "value": ">= 500", "channel": "web"}) in ([0], [1])
