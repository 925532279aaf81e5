"""A simulation has the form it promises: canonical tables, the same every time, written whole or not at all."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from toolkit import simulate
from toolkit.catalogue import Catalogue
from toolkit.errors import UsageError
from toolkit.schema import KNOWN_PROPERTIES, TABLES
from toolkit.simulate import Truth, make_data, persona_codes, write_data
from toolkit.simulate.voices import write_texts


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(tmp_path):
    first, again, streamed = (tmp_path / name for name in ("first", "again", "streamed"))
    make_data(300, rng=5).write(first)
    make_data(300, rng=5).write(again)
    write_data(streamed, customers=300, seed=5)
    assert "journey simulate first --customers 300 --seed 5" in (first / "README.md").read_text("utf-8")
    for path in sorted(set(first.iterdir()) - {first / "README.md"}):
        assert path.read_bytes() == (again / path.name).read_bytes() == (streamed / path.name).read_bytes(), path.name
    assert not make_data(300, rng=6)["events"].equals(make_data(300, rng=5)["events"])


def test_chunks_do_not_show_and_are_told_as_they_are_done(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate.make, "CHUNK", 100)
    done = []
    folder = write_data(tmp_path, customers=250, seed=5, progress=lambda *at: done.append(at))
    assert done == [(100, 250), (200, 250), (250, 250)]
    for name, table in make_data(250, rng=5).items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table), name
    ids = pq.read_table(folder / "feedback.parquet")["feedback_id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_a_folder_of_somebodys_own_tables_is_left_alone(tmp_path):
    (tmp_path / "orders.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"holds orders\.csv, which no simulation wrote"):
        write_data(tmp_path, customers=5)
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_a_simulation_that_fails_leaves_the_old_one_whole(tmp_path):
    write_data(tmp_path, customers=20, seed=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_data(tmp_path, customers=20, seed=2, progress=stop)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("customers", "seed"), [(0, 7), (-1, 7), (5, -1)])
def test_no_customers_or_a_negative_seed_is_refused(customers, seed):
    with pytest.raises(UsageError, match="give 1 or more customers"):
        make_data(customers, rng=seed)


def test_one_customer_is_enough():
    assert all(make_data(1, rng=seed)["customers"].num_rows == 1 for seed in range(5))


@pytest.mark.parametrize("name", TABLES)
def test_a_canonical_table_is_well_formed(shop, name):
    table = shop.data[name]
    extra = {"device_id", "stage"} if name == "events" else set()
    assert set(table.column_names) ^ set(TABLES[name]) <= extra
    assert table.num_rows > 0
    for column, rule in TABLES[name].items():
        if column == "stage":
            continue
        values = table[column]
        assert values.null_count == 0 or not rule.required, column
        assert values.null_count < len(values), column
        if rule.others:
            assert set(values.drop_null().unique().to_pylist()) <= set(rule.others)
        if rule.kind == "moment" and name not in ("campaigns", "customers"):
            assert str(values.type) == "timestamp[us, tz=UTC]"
            assert str(min(values.drop_null().to_pylist())) >= "2025-06-30 22:00", column


def test_events_are_complete_ordered_and_inside_the_period(shop):
    events = shop.data["events"]
    who, at = events["customer_id"].to_numpy(), events["timestamp"].to_numpy()
    assert ((who[1:] > who[:-1]) | ((who[1:] == who[:-1]) & (at[1:] >= at[:-1]))).all()
    assert np.datetime64("2025-06-30T22") < at.min() and at.max() < np.datetime64("2026-08-31T22")
    assert len(set(who)) == shop.customers
    keys = [field.name for field in events.schema.field("properties").type]
    assert keys == list(KNOWN_PROPERTIES)
    assert all(shop.one(f"select count(properties.{key}) from events")[0] > 0 for key in keys)


def test_every_touchpoint_is_in_the_catalogue_and_every_stage_and_role_occurs(shop):
    names = [name for (name,) in shop.all("select distinct touchpoint from events")]
    catalogue = Catalogue.load()
    assert catalogue.coverage(names).unplaced == ()
    assert {catalogue.place(name).stage for name in names} == set(catalogue.stages)
    assert catalogue.steps(names) == ("product page", "cart", "checkout", "purchase")


def test_journeys_look_like_journeys(shop):
    events, single, most, buyers = shop.one(
        "with c as (select count(*) n, bool_or(touchpoint = 'purchase') b from events group by customer_id) "
        "select avg(n), avg((n <= 3)::int), max(n), avg(b::int) from c"
    )
    assert 8 < events < 13 and single > 0.2 and most > 200 and 0.15 < buyers < 0.25
    pauses = "timestamp - lag(timestamp) over (partition by session_id order by timestamp)"
    assert shop.one(f"select max(epoch(p)) from (select {pauses} p from events where session_id is not null)")[0] < 1800
    assert shop.one("select count(*) from events where device is null and channel in ('web', 'app')")[0] == 0


def test_orders_agree_with_their_lines_and_with_the_purchase_events(shop):
    lines = "(select order_id, sum(quantity * price) paid, sum(quantity) pieces from order_lines group by 1)"
    wrong = "abs(revenue + discount - paid) > 0.01 or items <> pieces"
    assert shop.one(f"select count(*) from orders join {lines} using (order_id) where {wrong}")[0] == 0
    same = (
        "e.customer_id = o.customer_id and e.timestamp = o.timestamp and e.value = o.revenue and e.channel = o.channel"
    )
    bought = "(from events where touchpoint = 'purchase')"
    assert shop.one(f"select count(*) from {bought} e anti join orders o on {same}")[0] == 0
    assert shop.one("select count(distinct order_id) = count(*) from orders")[0]


def test_the_record_is_json_and_names_every_parameter(shop):
    truth = json.loads(json.dumps(shop.truth))
    assert truth["synthetic"] is True
    named = [key for item in truth["planted"].values() for key in item["parameters"]]
    assert sorted(named) == sorted(Truth.__dataclass_fields__)
    assert all(item["where"] and item["expected"] for item in truth["planted"].values())
    assert truth["rows"]["events"] == len(shop.data["events"])


def test_small_simulations_carry_the_hidden_codes():
    data = make_data(200, rng=3)
    assert data.truth["personas"] == "".join(map(str, persona_codes(np.arange(200), 3)))
    assert len(data.truth["feedback themes"]) == len(data.truth["feedback good"]) == len(data["feedback"])


def test_remarks_hardly_repeat_and_are_in_four_languages():
    rng, n = np.random.default_rng(1), 20_000
    ask = {"language": rng.integers(0, 4, n), "theme": rng.integers(0, 8, n), "good": rng.random(n) < 0.5}
    ask["source"] = rng.integers(0, 9, n)
    texts = np.array(write_texts(rng, ask).to_pylist())
    assert 1 - len(set(texts)) / n < 0.02
    assert not any("{" in text or "  " in text or len(text) < 20 for text in texts)
    for language, sign in enumerate(["og", "och", "and", "und"]):
        assert np.mean([f" {sign} " in text for text in texts[ask["language"] == language]]) > 0.1


def test_remarks_say_what_their_theme_and_tone_ask_for():
    theme, good = np.repeat([0, 1, 7], 40), np.repeat([False, False, True], 40)
    ask = {"language": np.full(120, 2), "theme": theme, "good": good}
    texts = write_texts(np.random.default_rng(1), ask).to_pylist()
    assert (
        sum("deliver" in text or "parcel" in text or "courier" in text or "depot" in text for text in texts[:40]) > 30
    )
    assert sum("charged" in text or "card" in text or "payment" in text for text in texts[40:80]) > 30
