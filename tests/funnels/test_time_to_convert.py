"""Time to convert: published times, a twin, laws, what cutting observation early does, groups, edges, the figure."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.funnels.test_funnel import at, grouped
from tests.funnels.twin import Asked, best_chain, entries_of, step
from tests.journeys.made import EVER, MIN, part, study
from toolkit.errors import UsageError
from toolkit.funnels.chains import Search
from toolkit.funnels.convert import count_time_to_convert
from toolkit.study.engine import run

HOUR, DAY = 60 * MIN, 24 * 60 * MIN


def times(result):
    """Seconds to conversion, each as often as it occurred."""
    spent = result.counts.spent
    done = spent.groups % 2 == 0
    return np.repeat(spent.values[done], spent.counts[done]).tolist()


# published


def test_posthogs_times_from_the_entry():
    """Of three who sign up two buy, three hours later; nobody was watched for the whole week."""
    data = study(
        {
            "p1": at(["12:00", "13:00", "15:00"], ["sign up", "play movie", "buy"]),
            "p2": at(["14:00", "16:00"], ["sign up", "play movie"]),
            "p3": at(["14:00", "16:00", "17:00"], ["sign up", "play movie", "buy"]),
        }
    )
    result = tk.time_to_convert(data, ["sign up", "play movie", "buy"], within="7d")
    assert times(result) == [10_800, 10_800] and result.rows()[0]["half_seconds"] == 10_800
    assert result.ledger == {"converted": 2, "dropped": 0, "pending": 1, "never entered": 0, "all": 3}
    assert "the curve ends after 3 h" in result.note


@pytest.mark.parametrize(("within", "expected", "dropped"), [("14d", [300, 900], 0), ("5min", [300], 2)])
def test_posthogs_window_is_inclusive(within, expected, dropped):
    data = study(
        {
            "p1": at(["14:00", "14:05"], ["sign up", "view"]),
            "p2": at(["14:03"], ["sign up"]),
            "p3": at(["12:00", "12:15"], ["sign up", "view"]),
            "p4": at(["15:00"], ["something else"]),
        }
    )
    result = tk.time_to_convert(data, ["sign up", "view"], within=within)
    assert times(result) == expected and result.ledger["dropped"] == dropped
    assert np.mean(times(result)) == {"14d": 600, "5min": 300}[within]


# a twin, and laws

EVENT = st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.sampled_from(["desktop", "mobile", None]))
JOURNEYS = st.lists(st.lists(EVENT, max_size=8), min_size=1, max_size=6)
SHARED, APART = (("a",), ("b",), ("a", "c")), (("a",), ("b",), ("c",))  # in any order no event may be two steps


def counted(journeys, asked):
    whole = part(journeys, "abc", period=asked.period, until=asked.until)
    return count_time_to_convert(whole, search=asked.search("abc"), by="device")


def told(journeys, asked):
    """(device at entry, seconds, converted) of each customer who entered, and how many had the window and did not."""
    spent, through = Counter(), Counter()
    for journey in journeys:
        events = sorted((e for e in journey if e[0] <= asked.until), key=lambda e: e[0])
        chain = best_chain(events, asked, entries_of(events, asked))
        if not chain:
            continue
        entry, _, device = events[chain[0]]
        if chain[-1] >= 0:
            spent[device, (events[chain[-1]][0] - entry) / 1e6, True] += 1
        elif asked.until - entry >= asked.window:
            through[device] += 1
        else:
            spent[device, (asked.until - entry) / 1e6, False] += 1
    return spent, through


@given(
    JOURNEYS,
    st.builds(
        Asked,
        steps=st.just(SHARED),
        window=st.integers(0, 40),
        entry=st.just("first"),
        ties=st.sampled_from(["favour", "file"]),
        order=st.sampled_from(["ordered", "strict", "any"]),
        period=st.sampled_from([EVER, (5, 30)]),
        until=st.integers(0, 45),
    ).map(lambda asked: replace(asked, steps=APART) if asked.order == "any" else asked),
)
def test_the_counts_are_the_twins(journeys, asked):
    mine, (spent, through) = counted(journeys, asked), told(journeys, asked)
    names, tally = ["desktop", "mobile", None], mine.spent
    pairs = zip(tally.groups.tolist(), tally.values.tolist(), tally.counts.tolist(), strict=True)
    assert Counter({(names[g // 2], value, g % 2 == 0): n for g, value, n in pairs}) == spent
    assert Counter({name: n for name, n in zip(names, mine.through.tolist(), strict=True) if n}) == through


@given(JOURNEYS, JOURNEYS, st.integers(0, 40))
def test_customers_counted_apart_add_up_to_customers_counted_together(some, others, window):
    asked = Asked(SHARED, window, "first", until=30)
    whole = counted(some + others, asked)
    apart = type(whole).sum([counted(journeys, asked) for journeys in (some, [], others)])
    assert whole.seen == apart.seen and (whole.through == apart.through).all()
    for name in ("groups", "values", "counts"):
        assert (getattr(whole.spent, name) == getattr(apart.spent, name)).all()


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same_counts(shop, partitions):
    settings = {"search": Search((step(0), step(1)), DAY, "first"), "by": "device"}
    whole, parts = (run(shop, count_time_to_convert, partitions=n, **settings) for n in (1, partitions))
    assert whole.seen == parts.seen and whole.through.tolist() == parts.through.tolist()
    assert whole.spent.values.tobytes() == parts.spent.values.tobytes()
    assert whole.spent.counts.tolist() == parts.spent.counts.tolist()


def test_the_funnel_by_the_first_entry_divides_everyone_alike(shop):
    steps = ["product page", "cart", "purchase"]
    result = tk.time_to_convert(shop, steps, within="7d")
    theirs = tk.funnel(shop, steps, within="7d", rules=tk.FunnelRules(entry="first"))
    assert result.ledger == theirs.ledger
    *parts, whole = result.ledger.values()
    assert sum(parts) == whole == shop.customers and min(parts) >= 0


# censoring

TRUTH, WINDOW, END = 0.128, 30 * DAY, 60 * DAY


def visits(rng, n):
    """Customers who come back: each visit is an entry, a few lead to a conversion days later; more and more arrive."""
    first = END * np.sqrt(rng.random(n))
    journeys = []
    for begin, visits, converts, wait in zip(
        first, rng.geometric(0.4, n), rng.random(n) < TRUTH, WINDOW * rng.beta(1.2, 1.6, n), strict=True
    ):
        entries = begin + np.append(0, np.cumsum(rng.exponential(6 * DAY, visits - 1)))
        events = [(int(entry), "a", None) for entry in entries]
        journeys.append([*events, (int(begin + wait), "b", None)] if converts else events)
    return journeys


@pytest.mark.slow
def test_ending_observation_early_leaves_the_curve_where_it_was():
    """Converted / (converted + dropped) is twice the truth; a clock that the outcome sets is wrong too."""
    rng, found = np.random.default_rng(3), {"first": [], "best": [], "tempting": []}
    search = Search((step(0), step(1)), WINDOW, "first")
    card = tk.time_to_convert(study({"x": [(0, "a"), (1, "b")]}), ["a", "b"])
    for _ in range(100):
        whole = part(visits(rng, 400), "ab", until=END)
        for entry in ("first", "best"):
            counts = count_time_to_convert(whole, search=replace(search, entry=entry), by=None)
            result = replace(card, counts=counts, window=WINDOW / 1e6)
            found[entry].append(1 - result.curve().at([WINDOW / 2e6, WINDOW / 1e6])[0])
            if entry == "first":
                found["tempting"].append(
                    result.ledger["converted"] / (counts.through.sum() + result.ledger["converted"])
                )
    from scipy.stats import beta

    truth = np.array([TRUTH * beta(1.2, 1.6).cdf(0.5), TRUTH])
    assert np.mean(found["first"], axis=0) == pytest.approx(truth, abs=0.005)
    assert np.mean(found["tempting"]) > 1.8 * TRUTH
    assert np.abs(np.mean(found["best"], axis=0) - truth).max() > 0.008


# groups, edges


def test_groups_are_taken_at_entry_and_small_ones_are_hidden():
    data = study(grouped(("mobile", 40, 10), ("desktop", 60, 30), ("watch", 3, 1)), small_cells=5)
    result = tk.time_to_convert(data, ["a", "b"], by="device")
    assert [(row["device"], row["n_entered"], row["n_converted"]) for row in result.rows()] == [("desktop", 60, 30)]
    assert result.headline["n_entered"] == 103
    all_ = tk.time_to_convert(replace(data, small_cells=0), ["a", "b"], by="device")
    assert [row["n_entered"] for row in all_.rows()] == [60, 40, 3]
    assert all_.rows()[0]["converted_share"] == pytest.approx(0.5) and "With device desktop, 50.0 %" in all_.say()[0]
    assert len(all_.quartile_rows()) == 9


EDGES = {  # journeys, settings, what is said
    "nobody entered": ({"c": [(0, "b")], "d": [(DAY, "a")]}, ["b", "a"], "No customer entered"),
    "nobody converted": ({"c": [(0, "a")], "d": [(50 * DAY, "b")]}, ["a", "b"], "It happened to none of the 1"),
    "one event": ({"c": [(0, "a")], "d": [(0, "b")]}, ["a", "b"], "Nobody was watched for the whole 30d"),
    "all at once": ({"c": [(0, "a"), (0, "b")]}, ["a", "b"], "100.0 %"),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    journeys, steps, sentence = EDGES[name]
    data = study(journeys)
    data = data.between("2030-01-01", "2030-02-01") if name == "nobody entered" else data
    result = tk.time_to_convert(data, steps)
    *parts, whole = result.ledger.values()
    assert sum(parts) == whole and sentence in " ".join([*result.say(), result.note])
    assert str(result) and result._repr_html_() and tk.show(result)


def test_the_clock_always_runs_from_the_first_entry_and_sessions_have_none():
    data = study({"c": [(0, "a"), (DAY, "a"), (2 * DAY, "b")], "d": [(50 * DAY, "a")]})
    for rules in (None, tk.FunnelRules(entry="best"), tk.FunnelRules(entry="every")):
        assert times(tk.time_to_convert(data, ["a", "b"], rules=rules)) == [2 * 86_400]
    with pytest.raises(UsageError, match=r"waits of tk\.funnel"):
        tk.time_to_convert(data, ["a", "b"], rules=tk.FunnelRules(unit="session"))


def test_the_figure_shows_the_results_numbers(till):
    result = tk.time_to_convert(till, ["product page", "purchase"])
    axes = tk.plot(result)
    line = axes.get_lines()[0]
    curve = result.curve()
    assert line.get_ydata()[-1] == result.headline["converted_share"]
    assert (1 - line.get_ydata() == curve.at(line.get_xdata())[0]).all()
    marks = {float(mark.get_xdata()[0]) for mark in axes.get_lines()[1:]}
    assert marks == {result.headline[f"{name}_seconds"] for name in ("quarter", "half", "three_quarters")}
    assert f"{curve.at_risk[-1] - curve.events[-1]:,.0f}" in {text.get_text() for text in axes.texts}
