"""JourneyTable: ranges may be empty, and the last row before a moment is found inside the customer's own rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.study.made import table

JOURNEYS = st.lists(
    st.lists(st.integers(-5, 5).map(lambda n: n * 2**58), max_size=6).map(sorted), min_size=1, max_size=8
)


def tabled(journeys):
    return table(np.cumsum([0, *map(len, journeys)]), [time for journey in journeys for time in journey])


@given(
    JOURNEYS,
    st.lists(st.tuples(st.integers(0, 7), st.integers(-6, 6).map(lambda n: n * 2**58 + 1)), max_size=20),
    st.booleans(),
)
def test_the_last_row_before_a_moment_is_what_a_loop_finds(journeys, questions, inclusive):
    data, questions = tabled(journeys), [(who % len(journeys), at) for who, at in questions]
    questions += [(who, at) for who, journey in enumerate(journeys) for at in journey]

    def slow(who, at):
        seen = [i for i, time in enumerate(journeys[who]) if time < at or (inclusive and time == at)]
        return int(data.offsets[who]) + seen[-1] if seen else -1

    who, at = (np.array([q[i] for q in questions], np.int64) for i in (0, 1))
    assert data.last_before(who, at, inclusive=inclusive).tolist() == [slow(*q) for q in questions]


@given(JOURNEYS)
def test_sums_first_rows_and_moments_survive_customers_without_rows(journeys):
    data = tabled(journeys)
    times = data.time
    assert data.per_customer(np.ones(len(data), bool)).tolist() == [len(journey) for journey in journeys]
    assert data.customer.tolist() == [who for who, journey in enumerate(journeys) for _ in journey]
    assert np.flatnonzero(data.first).tolist() == [
        int(data.offsets[who]) for who, journey in enumerate(journeys) if journey
    ]
    expected = [(who, time) for who, journey in enumerate(journeys) for time in journey]
    assert len(set(data.moment.tolist())) == len(set(expected))
    assert (times == [time for _, time in expected]).all()


@given(JOURNEYS, st.data())
def test_rows_and_customers_can_be_left_out(journeys, draw):
    data = tabled(journeys)
    keep = np.array(draw.draw(st.lists(st.booleans(), min_size=len(data), max_size=len(data))), bool)
    fewer = data.kept(keep)
    assert fewer.time.tolist() == data.time[keep].tolist()
    assert fewer.sizes.tolist() == data.per_customer(keep).tolist()
    chosen = np.array([bool(journey) for journey in journeys])
    some = fewer.of(chosen)
    assert len(some.sizes) == chosen.sum()
    assert len(some) == len(fewer)
