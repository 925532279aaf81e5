"""The canonical tables say of themselves what docs, checks and the store need."""

import pandas as pd
import pandera.errors
import pytest

from toolkit.errors import UsageError
from toolkit.schema import KEYED, OWN_UNIT, TABLES, pandera_schema

RESPONSE = {"timestamp": [pd.Timestamp("2026-01-01", tz="UTC")], "instrument": ["nps"], "score": [9.0]}


def test_every_table_has_required_columns_first_and_a_meaning_for_each():
    for columns in TABLES.values():
        required = [column.required for column in columns.values()]
        assert required[0]
        assert required == sorted(required, reverse=True)
        assert all(column.meaning and not column.meaning.endswith(".") for column in columns.values())


def test_a_table_whose_rows_have_a_customer_says_when():
    for table, when in KEYED.items():
        assert table == "order_lines" or TABLES[table][when].kind == "moment"
    assert {
        table for table in KEYED if not TABLES[table].get("customer_id", TABLES["events"]["customer_id"]).required
    } == {*OWN_UNIT}


def test_pandera_takes_a_right_frame_with_further_columns():
    frame = pandera_schema("responses").validate(pd.DataFrame(RESPONSE | {"mood": ["good"]}))
    assert list(frame) == ["timestamp", "instrument", "score", "mood"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"score": [11.0]}, "less_than_or_equal_to"),
        ({"score": [-1.0]}, "greater_than_or_equal_to"),
        ({"instrument": ["NPS "]}, "isin"),
        ({"timestamp": [None]}, "not_nullable"),
    ],
)
def test_pandera_refuses_what_the_schema_excludes(change, why):
    with pytest.raises((pandera.errors.SchemaError, pandera.errors.SchemaErrors), match=why) as error:
        pandera_schema("responses").validate(pd.DataFrame(RESPONSE | change), lazy=True)
    assert error


def test_a_table_nobody_knows_is_refused_with_the_near_miss():
    with pytest.raises(UsageError, match="did you mean 'orders'"):
        pandera_schema("order")
