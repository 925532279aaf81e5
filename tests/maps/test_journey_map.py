"""The journey map: a slow twin, the law, grades, placing, small cells, lanes of others, words, differences."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.house import ROOT
from tests.journeys.made import part, study
from tests.study.test_law import same
from toolkit.errors import UsageError
from toolkit.maps.journey_map import journey_map
from toolkit.maps.lanes import FEELING, NEXT, PAINS, REACH, VOICES, VOLUME, WAIT
from toolkit.maps.placing import columns_of
from toolkit.maps.stage_counts import count_stages
from toolkit.study.clock import DAY
from toolkit.study.engine import run

MONTH = 30 * DAY
SAMPLES = ROOT / "data" / "samples" / "webshop"


def by_hand(journeys, stage_of, size, window, period, until):
    """Customers, entries, and moves on, with every event of every customer looked at."""
    reached, matured, gone, waits = [0] * size, [0] * size, [0] * size, [[] for _ in range(size)]
    for events in journeys:
        for i in range(size):
            entries = [time for time, name, *_ in events if stage_of[name] == i and period[0] <= time < period[1]]
            if not entries:
                continue
            reached[i] += 1
            entry = min(entries)
            if entry > until - window:
                continue
            matured[i] += 1
            later = [time for time, name, *_ in events if stage_of[name] > i and entry <= time <= entry + window]
            if later:
                gone[i] += 1
                waits[i].append((min(later) - entry) / 1e6)
    return reached, matured, gone, [float(np.median(some)) if some else None for some in waits]


def counted(counts):
    medians = counts.waits.quantile(0.5, groups=counts.reached.shape[1])
    columns = (counts.reached, counts.matured, counts.gone)
    return *(some.sum(axis=0).tolist() for some in columns), [None if m != m else m for m in medians.tolist()]


def places(stage_of, names):
    none = np.array([-1], np.int8)
    found = {"events": np.array([*(stage_of[name] for name in names), -1], np.int8), "own": none}
    return found | {"responses": none, "feedback": none, "failing": np.zeros(len(names) + 1, bool), "letters": none > 0}


EVENTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abcd"), st.none()), max_size=8)


@given(st.lists(EVENTS, max_size=8), st.integers(0, 6), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=300)
def test_the_twin_that_looks_at_every_event_counts_the_same_ties_included(journeys, window, start, until):
    stage_of = {"a": 0, "b": 1, "c": 2, "d": -1}
    journeys = [[event for event in events if event[0] <= until] for events in journeys]
    some = part(journeys, list("abcd"), period=(start, 10), until=until)
    found = count_stages(some, size=3, places=places(stage_of, "abcd"), window=window)
    expected = by_hand(journeys, stage_of, 3, window, (start, 10), until)
    assert counted(found)[:3] == expected[:3]
    assert counted(found)[3] == pytest.approx(expected[3])
    assert found.events.sum() == sum(start <= time < 10 for events in journeys for time, *_ in events)


@pytest.mark.parametrize("period", [("1990-01-01", "2100-01-01"), ("2025-11-01", "2026-02-01")])
def test_the_twin_agrees_on_a_shop_with_a_fine_and_a_coarse_clock(shop, events, period):
    stages = shop.stages
    stage_of = {name: stages.index(shop.catalogue.stage_of(name)) for name in set(events.touchpoint)}
    time = events.timestamp.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]").astype("int64")
    rows = list(zip(events.customer_id, time, events.touchpoint, strict=True))
    journeys = {}
    for customer, *event in rows:
        journeys.setdefault(customer, []).append(event)
    view = shop.between(*period)
    edges = [pd.Timestamp(day, tz="Europe/Copenhagen").value // 1000 for day in period]
    expected = by_hand(journeys.values(), stage_of, len(stages), MONTH, edges, shop.observed_until)
    result = journey_map(view)
    inside = [row for row in rows if edges[0] <= row[1] < edges[1]]
    seen = len({row[0] for row in inside})
    assert [cell.n for cell in result.cells(REACH).values()] == expected[0]
    assert [cell.value for cell in result.cells(REACH).values()] == pytest.approx([n / seen for n in expected[0]])
    assert [cell.n for cell in result.cells(NEXT).values()][:-1] == expected[1][:-1]
    shares = [g / n if n else np.nan for g, n in zip(expected[2], expected[1], strict=True)][:-1]
    assert [cell.value for cell in result.cells(NEXT).values()][:-1] == pytest.approx(shares, nan_ok=True)
    waits = [np.nan if wait is None else wait for wait in expected[3]][:-1]
    assert [cell.value for cell in result.cells(WAIT).values()][:-1] == pytest.approx(waits, nan_ok=True)
    volume = [sum(stage_of[row[2]] == i for row in inside) for i in range(len(stages))]
    assert [cell.n for cell in result.cells(VOLUME).values()] == volume


def feeling_by_hand(data, customer, time, touchpoint, stages, history):
    """Stage of one answer: of its touchpoint, else of the customer's last event within a month before."""
    if isinstance(touchpoint, str) and (stage := data.catalogue.stage_of(touchpoint)):
        return stage
    before = [event for event in history.get(customer, []) if time - pd.Timedelta(days=30) <= event[0] <= time]
    return data.catalogue.stage_of(before[-1][1]) if before else ""


@pytest.mark.parametrize("named", [True, False])
def test_pandas_feels_the_same_with_and_without_touchpoints_on_the_answers(simulated, named):
    tables = {name: simulated[name] for name in ("events", "responses", "feedback")}
    if not named:
        tables["responses"] = tables["responses"].drop_columns(["touchpoint"])
    data = tk.open_data(tables, tz="Europe/Copenhagen", small_cells=0)
    rows, history = data.frame("responses"), {}
    for event in data.frame("events").sort_values("timestamp", kind="stable").itertuples():
        history.setdefault(event.customer_id, []).append((event.timestamp, event.touchpoint))
    low = rows.scale.str.split("-").str[0].astype(float)
    high = rows.scale.str.split("-").str[1].astype(float)
    rows["felt"] = (2 * rows.score - low - high) / (high - low)
    about = rows.touchpoint if named else [None] * len(rows)
    rows["stage"] = [
        feeling_by_hand(data, *asked, data.stages, history)
        for asked in zip(rows.customer_id, rows.timestamp, about, strict=True)
    ]
    expected = rows[rows.stage != ""].groupby("stage").felt.agg(["mean", "size"])
    cells = {stage: cell for stage, cell in journey_map(data).cells(FEELING).items() if cell.n}
    assert {stage: cell.n for stage, cell in cells.items()} == expected["size"].to_dict()
    assert {stage: cell.value for stage, cell in cells.items()} == pytest.approx(expected["mean"].to_dict(), abs=1e-6)
    assert {cell.grade for cell in cells.values()} == {"measured" if named else "inferred"}
    assert all(cell.low <= cell.value <= cell.high for cell in cells.values() if cell.low == cell.low)


def test_messages_are_counted_as_pandas_counts_them(till):
    rows = till.frame("feedback")
    rows = rows[rows.source.isin(["ticket", "review", "chat", "call", "social"]) & rows.touchpoint.notna()]
    rows["stage"] = rows.touchpoint.map(till.catalogue.stage_of)
    open_ = rows.first_reply_at.isna() & rows.resolved_at.isna()
    for stage, cell in journey_map(till).cells(VOICES).items():
        mine = rows.stage == stage
        if mine.sum() and cell.grade == "measured":
            assert cell.value == pytest.approx(open_[mine].mean(), abs=0.01)
            assert cell.n >= mine.sum()  # and those that name no touchpoint


@pytest.mark.parametrize("partitions", [7, 64])
def test_any_partitioning_gives_the_same_counts(simulated, partitions):
    extra = simulated["customers"].slice(0, 40).to_pandas().assign(customer_id=[f"quiet {i}" for i in range(40)])
    customers = pd.concat([simulated["customers"].to_pandas(), extra])
    data = tk.open_data(dict(simulated) | {"customers": customers}, tz="Europe/Copenhagen", small_cells=0)
    columns = columns_of(data, tk.touchpoints(data))
    settings_ = {"size": len(columns.stages), "places": columns.places(data), "window": MONTH}
    whole, parts = (run(data, count_stages, partitions=n, **settings_) for n in (1, partitions))
    assert same(whole, parts) and whole.answers.sum() and whole.voices.sum() and whole.failures.sum()


@pytest.fixture(scope="module")
def sample():
    return tk.open_data(SAMPLES)


@pytest.fixture(scope="module")
def drawn(sample):
    return journey_map(sample)


def test_on_the_samples_four_of_five_cells_are_measured(drawn):
    assert drawn.graded["measured"] >= 0.8
    assert sum(drawn.graded.values()) == pytest.approx(1)
    assert drawn.headline["measured_share"] == drawn.graded["measured"]
    assert drawn.graded["inferred"] > 0 and {cell.grade for cell in drawn.cells("opportunities").values()} == {
        "inferred"
    }


def test_events_in_a_stage_and_in_none_are_all_events(sample, drawn):
    assert drawn.ledger["in a stage"] + drawn.ledger["in none"] == drawn.ledger["all"]
    other = journey_map(tk.open_data({"events": sample.frame("events").replace({"touchpoint": {"cart": "zorp"}})}))
    assert other.ledger["in none"] > 0 and "are in no stage" in other.note


def test_the_map_says_where_it_feels_worst_and_what_it_rests_on(drawn):
    said = drawn.say()
    assert said[0].startswith("It feels worst in service, +0.37 (0.32–0.43)")
    assert said[2].startswith("Of the cells ") and "are measured" in said[2]


def test_what_hurts_is_found_where_it_was_planted(drawn):
    pains = drawn.cells(PAINS)
    assert pains["purchase"].lines[0].startswith("payment failed")
    assert pains["service"].value > 0.16 and "score low" in pains["service"].lines[0]


def test_stages_of_the_datas_own_are_taken_for_ours_where_named_alike():
    frame = {"customer_id": ["a"] * 3, "timestamp": ["2026-01-01", "2026-01-02", "2026-01-03"]}
    frame |= {"touchpoint": ["zorp", "zorp", "cart"], "stage": ["Awareness", "SERVICE", None]}
    result = journey_map(tk.open_data({"events": pd.DataFrame(frame)}, tz="UTC", small_cells=0))
    assert result.stages == tk.open_data(SAMPLES).stages
    assert [stage for stage, cell in result.cells(REACH).items() if cell.n] == ["awareness", "purchase", "service"]


def test_other_words_for_stages_stand_where_what_happens_in_them_is_placed():
    names = ["newsletter", "social ad", "purchase", "zorp"]
    frame = {"customer_id": list("abcd"), "timestamp": ["2026-01-01"] * 4, "touchpoint": names}
    frame["stage"] = ["Bliver", "Opdager", "Køber", "Ukendt"]
    result = journey_map(tk.open_data({"events": pd.DataFrame(frame)}, tz="UTC", small_cells=0))
    assert result.stages == ("Opdager", "Køber", "Bliver", "Ukendt")
    assert "nothing tells the place of Ukendt" in result.note


def test_a_column_of_very_many_words_is_no_column_of_stages():
    events = pd.DataFrame({"customer_id": range(40), "timestamp": "2026-01-01", "touchpoint": "cart"})
    result = journey_map(tk.open_data({"events": events.assign(stage=[f"s{i}" for i in range(40)])}, tz="UTC"))
    assert result.cells(REACH)["purchase"].n == 40 and "40 words that are no stages" in result.note


def test_names_given_in_the_catalogue_head_the_columns(tmp_path, simulated):
    import pyarrow.parquet as pq

    pq.write_table(simulated["events"], tmp_path / "events.parquet")
    (tmp_path / "catalogue.toml").write_text('[stages]\nawareness = "Kendskab"\npurchase = "Köp"\n', encoding="utf-8")
    result = journey_map(tk.open_data(tmp_path, cache=False))
    assert result.stages[0] == "Kendskab" and result.cells(REACH)["Köp"].n > 100


def test_stages_that_few_customers_met_are_not_shown():
    journeys = {f"c{i}": [(0, "cart")] for i in range(9)} | {f"d{i}": [(0, "help page")] for i in range(4)}
    result = journey_map(study(journeys, small_cells=5))
    hidden = [row for row in result.rows() if row["stage"] == "service" and row["grade"] == "too few"]
    assert {row["lane"] for row in hidden} >= {"touchpoints", VOLUME, REACH, NEXT, WAIT}
    assert all(row["n"] == 0 and row["value"] != row["value"] and "too few" in row["text"] for row in hidden)
    assert "help page" not in str(result) + result._repr_html_() + result.mermaid()


def test_a_study_that_is_only_events_says_what_is_missing():
    result = journey_map(study({f"c{i}": [(0, "cart"), (DAY, "chat")] for i in range(9)}))
    assert "Nothing is known of how it feels" in result.note and "what customers say" in result.note
    assert {cell.grade for cell in result.cells(FEELING).values()} == {"assumed"}
    assert result.cells("channels")["purchase"].lines == ("none is known",)


def test_without_any_stage_or_event_the_gap_is_said(till):
    nothing = tk.attempt(journey_map, study({"c": [(0, "zorp")]}))
    assert nothing.say()[0].startswith("The journey map cannot be shown: the study has no touchpoint with a stage")
    orders = tk.open_data({"orders": till.frame("orders")})
    assert "no events" in tk.attempt(journey_map, orders).say()[0]
    empty = journey_map(study({"c": [(0, "cart")]}).between("2031-01-01", "2031-02-01"))
    assert empty.rows() == [] and empty.say() == ["No event falls in the period, so there is no map."]
    assert tk.show(empty).reason.startswith("Journey map cannot be shown")


def test_answers_outside_their_scale_are_left_out_and_said():
    events = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]})
    answers = {
        "timestamp": ["2026-01-02"] * 3,
        "instrument": ["csat"] * 3,
        "score": [5, 1, 7],
        "touchpoint": ["cart"] * 3,
    }
    tables = {"events": events, "responses": pd.DataFrame(answers)}
    result = journey_map(tk.open_data(tables, tz="UTC", small_cells=0, as_of="2026-06-01"))
    assert result.cells(FEELING)["purchase"].value == 0 and "1 answers lie outside their scale" in result.note


def lane(name, **cells):
    return SimpleNamespace(lane=name, by_stage=lambda: cells)


def test_a_lane_of_another_room_is_added_or_takes_the_place_of_ours(till):
    mine = lane("themes", service={"text": "late parcels <b>", "n": 40, "grade": "inferred"})
    felt = lane("emotion", service={"text": "sad", "value": -0.5, "low": -0.6, "high": -0.4, "n": 9})
    result = journey_map(till, lanes=[mine, felt])
    names = [found.name for found in result.lanes]
    assert names[-2:] == ["themes", "opportunities"] and names.count("emotion") == 1
    assert result.cells("themes")["service"].grade == "inferred"
    assert result.cells("themes")["purchase"].grade == "assumed"
    assert result.cells(FEELING)["service"].value == -0.5
    assert "late parcels &lt;b&gt;" in result._repr_html_()


def test_what_is_no_lane_is_refused(till):
    with pytest.raises(UsageError, match="lanes has a int; give results with a name `lane`"):
        journey_map(till, lanes=[3])
    with pytest.raises(UsageError, match="a stage of lane 'x' is 'servise'"):
        journey_map(till, lanes=[lane("x", servise={"text": ""})])
    with pytest.raises(UsageError, match="a grade of lane 'x' is 'guessed'"):
        journey_map(till, lanes=[lane("x", service={"text": "", "grade": "guessed"})])


def test_quotes_are_shown_only_when_asked_for_masked_and_of_enough_people(simulated, drawn):
    assert "quotes" not in [found.name for found in drawn.lanes]
    text = "Ring til mig på +45 12 34 56 78 eller skriv til mette@example.dk i dag"
    feedback = simulated["feedback"].to_pandas().assign(text=text)
    few = feedback[feedback.touchpoint != "chat"].assign(touchpoint="chat").head(4)
    rows = pd.concat([feedback[feedback.touchpoint == "product page"], few])
    data = tk.open_data({"events": simulated["events"], "feedback": rows}, tz="UTC", small_cells=5)
    quotes = journey_map(data, quotes=True).cells("quotes")
    assert quotes["purchase"].lines == ("“Ring til mig på [phone] eller skriv til [e-mail] i dag”",)
    assert quotes["service"].grade == "too few" and quotes["loyalty"].grade == "assumed"


TASK = re.compile(r"      (?!(?:journey|title|section|acc)\b)[^:;#\n]+: [1-5]: [^:;#\n,]+", re.IGNORECASE)
LINE = re.compile(rf"    (title|section) [^:;#\n]+|{TASK.pattern}", re.IGNORECASE)


@pytest.mark.parametrize("word", ["a: 5: me", "title of a page", "section 3; x", "%% gone", "#1", "a\nb", "x{y}"])
def test_whatever_a_touchpoint_is_called_mermaid_reads_a_journey(word):
    events = pd.DataFrame({"customer_id": range(8), "timestamp": "2026-01-01", "touchpoint": word, "stage": word})
    first, *lines = journey_map(tk.open_data({"events": events}, tz="UTC")).mermaid().split("\n")
    assert first == "journey" and len(lines) == 3
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert TASK.fullmatch(lines[-1])


def test_the_table_has_lanes_as_rows_and_stages_as_columns(drawn):
    html = drawn._repr_html_()
    heads = re.findall(r'<th scope="col">(.*?)</th>', html)
    assert heads == ["lane", *drawn.stages]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html)
    assert [name.split(":")[0] for name, _ in rows] == [found.name for found in drawn.lanes]
    assert all(cells.count("<td>") == len(drawn.stages) for _, cells in rows)
    assert "(inferred)" in html and "(assumed)" in html


def test_a_lane_called_opportunities_stands_once_and_names_with_colons_stay_whole(till):
    own = journey_map(till, lanes=[lane("opportunities", purchase={"text": "faster:  checkout"})])
    assert [found.name for found in own.lanes].count("opportunities") == 1
    assert own.cells("opportunities")["purchase"].lines == ("faster: checkout",)


@pytest.mark.parametrize("waiting", [4, 5])
def test_fewer_open_messages_than_may_be_shown_are_no_opportunity(waiting):
    moments = ["2026-01-01"] * 12
    rows = {"customer_id": range(12), "timestamp": moments, "touchpoint": ["chat"] * 12}
    replied = [None] * waiting + ["2026-01-02"] * (12 - waiting)
    messages = {**rows, "feedback_id": range(12), "source": "chat", "text": "hello", "first_reply_at": replied}
    tables = {"events": pd.DataFrame(rows), "feedback": pd.DataFrame(messages)}
    ideas = journey_map(tk.open_data(tables, tz="UTC", small_cells=5)).cells("opportunities")["service"].lines
    assert ("answer the 5 still waiting" in ideas) == (waiting == 5)
