"""Flows: by hand, a slow twin, one ledger, any partitioning, small cells, what is drawn, and who is not there yet."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.journeys.made import MIN, study
from tests.paths.walks import JOURNEYS, PERIODS, UNKNOWN, WORDS, anchored, apart, part_of, sessions_of
from tests.study.test_law import same
from toolkit.errors import UsageError
from toolkit.paths.flow import BUSIEST, LEFT, OTHER, PENDING, PLACES, Trail, count_flow, count_visits
from toolkit.study.engine import run

CODES = st.sampled_from([(), (0,), (1, 2)])
TRAILS = st.builds(Trail, CODES, CODES, st.sampled_from([0, 5, 15]), st.integers(2, 5))
NAMED = st.lists(st.sampled_from([(), (0,), (3, 1), (0, 1, 2, 3, 4)]), min_size=5, max_size=5)
UNTIL = st.sampled_from([1 << 40, 45, 20])


def walked(words, *, since=0):
    return [((since + i) * MIN, word) for i, word in enumerate(words)]


def moved(result):
    """How many by (step, from, to)."""
    return {(row["step"], row["from"], row["to"]): row[f"n_{result.unit}s"] for row in result.rows()}


def one_by_one(journeys, trail, period, until):
    """(customer, events from the start on) of every flow."""
    start = {WORDS[code] for code in trail.start}
    if not start:
        yield from anchored(journeys, trail.gap, period, until)
        return
    for customer, events in enumerate(journeys):
        found = [
            (s, i) for s in sessions_of(events, trail.gap, until) for i, (_, word, _) in enumerate(s) if word in start
        ]
        inside = [(s, i) for s, i in found if period[0] <= s[i][0] < period[1]]
        if inside:
            session, i = inside[0]
            yield customer, session[i:]


def places_of(events, trail):
    """Where a flow is at each step, and whether it was watched for longer than the pause there."""
    goal, found = {WORDS[code] for code in trail.goal}, []
    for _, word, over in events[: trail.steps]:
        found.append(("goal", True) if word in goal else (word, over))
        if word in goal:
            return found
    if len(found) < trail.steps:
        found.append((LEFT if found[-1][1] else PENDING, True))
    return found


def place(name, codes):
    """The place of a name at a step."""
    ends = {"goal": BUSIEST + 1, LEFT: BUSIEST + 2, PENDING: BUSIEST + 3}
    named = [[*WORDS, UNKNOWN][code] for code in codes]
    return ends.get(name, named.index(name) if name in named else BUSIEST)


def test_three_journeys_are_followed_by_hand():
    shop = {
        "x": walked("abc"),
        "y": walked("ab") + walked("ac", since=60),
        "z": walked("ba"),
        "late": walked("a", since=500),
    }
    result = tk.flow(study(shop), goal=["c"], steps=3)
    assert moved(result) == {
        (1, "a", "b"): 2,
        (1, "a", "c"): 1,
        (1, "b", "a"): 1,
        (1, "a", PENDING): 1,
        (2, "b", "c"): 1,
        (2, "b", LEFT): 1,
        (2, "a", LEFT): 1,
    }
    assert result.ledgers[0] == {"shown": 5, "other": 0, "converted": 0, "left": 0, "pending": 0, "all": 5}
    assert result.ledger == {"shown": 0, "other": 0, "converted": 2, "left": 2, "pending": 1, "all": 5}
    shares = {(row["step"], row["from"], row["to"]): row["out_share"] for row in result.rows()}
    assert shares[1, "a", "b"] == 2 / 3 and np.isnan(shares[1, "a", PENDING])
    assert result.headline["n_sessions"] == 4 and result.headline["conversion_rate"] == 1 / 2


def test_from_a_touchpoint_each_customer_is_followed_once():
    shop = {
        "x": walked("caba") + walked("ac", since=60),
        "y": walked("cb"),
        "z": walked("abb"),
        "w": walked("b", since=500),
    }
    result = tk.flow(study(shop), start="a", goal=[], steps=3)
    assert moved(result) == {(1, "a", "b"): 2, (2, "b", "a"): 1, (2, "b", "b"): 1}
    assert result.unit == "customer" and result.headline["left_rate"] == 0


def test_a_start_is_no_goal():
    data = study({"x": walked(["purchase", "order confirmation", "purchase"]), "y": walked("b", since=500)})
    assert tk.flow(data, steps=2).ledgers[0]["converted"] == 1
    assert tk.flow(data, start="purchase", steps=3).ledger["shown"] == 1


@given(JOURNEYS, TRAILS, NAMED, PERIODS, UNTIL)
def test_following_one_by_one_finds_the_same_moves(journeys, trail, named, period, until):
    begun, moves, customers, matured, whole = Counter(), Counter(), set(), Counter(), Counter()
    for customer, events in one_by_one(journeys, trail, period, until):
        at = places_of(events, trail)
        begun[place(at[0][0], named[0])] += 1
        for step in range(len(at) - 1):
            move = step, place(at[step][0], named[step]), place(at[step + 1][0], named[step + 1])
            moves[move] += 1
            customers.add((*move, customer))
            matured[move] += at[step][1]
        if events[0][0] + trail.gap * (trail.steps - 1) <= until:
            whole += Counter({"all": 1, at[-1][0]: 1})
    counts = count_flow(part_of(journeys, period=period, until=until), trail=trail, named=tuple(named[: trail.steps]))
    assert counts.begun.tolist() == [begun[i] for i in range(PLACES)]
    expected = Counter(move[:3] for move in customers)
    for table, found in ((moves, counts.moves), (expected, counts.customers), (matured, counts.matured.sum(axis=0))):
        assert {tuple(i): int(found[tuple(i)]) for i in np.argwhere(found)} == {k: n for k, n in table.items() if n}
    assert counts.whole.sum(axis=0).tolist() == [whole["all"], whole["goal"], whole[LEFT]]
    assert counts.matured[:, :, :, PLACES - 1].sum() == 0


@given(JOURNEYS, TRAILS, PERIODS, UNTIL)
def test_visits_are_those_one_by_one(journeys, trail, period, until):
    met = [
        (step, name, customer)
        for customer, events in one_by_one(journeys, trail, period, until)
        for step, (name, _) in enumerate(places_of(events, trail))
        if name not in ("goal", LEFT, PENDING)
    ]
    counts = count_visits(part_of(journeys, period=period, until=until), trail=trail)
    for flows, found in ((met, counts.flows), (set(met), counts.customers)):
        expected = Counter((step, [*WORDS, UNKNOWN].index(name)) for step, name, _ in flows)
        assert {tuple(i): int(found[tuple(i)]) for i in np.argwhere(found)} == expected


@given(JOURNEYS, TRAILS, NAMED)
def test_customers_counted_apart_add_up(journeys, trail, named):
    settings = {"trail": trail, "named": tuple(named[: trail.steps])}
    part = part_of(journeys, until=45)
    parts = [count_flow(some, **settings) for some in apart(part)]
    assert same(type(parts[0]).sum(parts), count_flow(part, **settings))
    visits = [count_visits(some, trail=trail) for some in apart(part)]
    assert same(type(visits[0]).sum(visits), count_visits(part, trail=trail))


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same(shop, partitions):
    settings = {"trail": Trail((), (2,), 30 * MIN, 4), "named": ((0, 1), (5,), (), (3, 4, 6))}
    assert same(run(shop, count_flow, **settings), run(shop, count_flow, partitions=partitions, **settings))


@pytest.mark.parametrize(
    "asked", [{}, {"start": "product page", "within": "7d"}, {"start": ["cart", "home page"], "goal": []}, {"steps": 8}]
)
@pytest.mark.parametrize("small_cells", [0, 30])
def test_at_every_step_all_who_began_are_accounted_for(shop, asked, small_cells):
    result = tk.flow(replace(shop, small_cells=small_cells), **asked)
    for step, ledger in enumerate(result.ledgers):
        assert sum(n for name, n in ledger.items() if name != "all") == ledger["all"] > 0
        assert len(result.named[step]) <= BUSIEST
    began = set(result.named[0]) | {OTHER}
    assert {row["from"] for row in result.rows() if row["step"] == 1} <= began
    if not small_cells:
        assert sum(moved(result).values()) == result.counts.moves.sum()
    elif result.unit == "customer":
        assert min(moved(result).values()) >= small_cells
    assert result.hidden.any() == bool(small_cells)


def test_first_moves_are_the_transitions_from_first_touchpoints(shop, events):
    first = (events.customer_id != events.customer_id.shift()) | (events.timestamp.diff() > np.timedelta64(30, "m"))
    session = first.cumsum()
    heads = events.groupby(session).touchpoint.first()
    then = events.groupby(session).touchpoint.nth(1).set_axis(session[events.groupby(session).nth(1).index])
    result = tk.flow(shop, goal=[], steps=2)
    named = [set(names) for names in result.named]
    pairs = zip(heads, then.reindex(heads.index).tolist(), strict=True)
    expected = Counter(
        (a if a in named[0] else OTHER, LEFT if b != b else b if b in named[1] else OTHER) for a, b in pairs
    )
    found = Counter()
    for (_, since, to), n in moved(result).items():
        found[since, LEFT if to == PENDING else to] += n
    assert found == expected


def test_a_flow_from_nowhere_or_of_too_many_steps_is_refused(shop):
    with pytest.raises(UsageError, match="did you mean 'product page'"):
        tk.flow(shop, start="product pag")
    for steps in (1, 9, "3"):
        with pytest.raises(UsageError, match="from 2 to 8"):
            tk.flow(shop, steps=steps)


def test_a_place_of_too_few_customers_stands_with_the_others_and_takes_one_along():
    shop = {f"a{i}": walked("ab") for i in range(9)} | {f"c{i}": walked("cb") for i in range(7)} | {"d": walked("db")}
    result = tk.flow(study(shop | {"late": walked("b", since=500)}, small_cells=5), steps=2, goal=[])
    assert result.named[0] == ("a",) and moved(result) == {(1, "a", "b"): 9, (1, OTHER, "b"): 8}


def test_nothing_in_the_period_is_said_and_not_drawn(shop):
    empty = tk.flow(shop.between("2040-01-01", "2041-01-01"))
    assert empty.say() == ["No session began in the period."] and empty.rows() == []
    assert "cannot be shown" in tk.show(empty).say()[0]


def test_the_bands_are_as_wide_as_the_moves(shop):
    from matplotlib.patches import PathPatch

    result = tk.flow(shop, start="product page")
    bands = [patch.get_path().vertices for patch in tk.plot(result).patches if isinstance(patch, PathPatch)]
    wide = sorted(band[0][1] - band[7][1] for band in bands)
    shown = result.counts.moves[~result.hidden]
    assert wide == pytest.approx(sorted(shown[shown > 0] / result.ledger["all"]))
    assert wide == pytest.approx(sorted(band[3][1] - band[4][1] for band in bands))


def test_who_is_not_watched_long_enough_does_not_bend_the_shares():
    """More and more come until the end; four in ten go on, after any time within the pause."""
    rng, gap, end, n = np.random.default_rng(2), 1_000, 3_000, 6_000
    begin, wait = (end * np.sqrt(rng.random(n))).astype(int), rng.integers(1, gap, n)
    on = rng.random(n) < 0.4
    journeys = [[(t, "a"), (t + w, "b")][: 1 + go] for t, w, go in zip(begin, wait, on, strict=True)]
    part = part_of(journeys, period=(0, 1 << 40), until=end)
    counts = count_flow(part, trail=Trail((0,), (), gap, 2), named=((0,), (1,)))
    moves, matured = counts.moves[0, 0], counts.matured.sum(axis=0)[0, 0]
    assert matured[0] / matured.sum() == pytest.approx(0.4, abs=0.03)
    assert moves[0] / moves[:-1].sum() > 0.45
