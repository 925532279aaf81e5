"""The inventory: a twin in pandas, the ledger, and customers with little."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.journeys.made import MIN, study


def pandas_inventory(events, goal, period):
    new = (events.customer_id != events.customer_id.shift()) | (events.timestamp.diff() > pd.Timedelta("30min"))
    rows = events.assign(session=new.cumsum())
    rows["alone"] = rows.groupby("session").touchpoint.transform("size") == 1
    rows["entry"] = new
    rows = rows[(rows.timestamp >= period[0]) & (rows.timestamp < period[1])]
    sold = rows[rows.touchpoint == goal].groupby("customer_id").timestamp.min()
    done = rows.customer_id.map(sold)
    met = rows[done.isna() | (rows.timestamp <= done)]
    per = rows.groupby("touchpoint")
    found = pd.DataFrame({"n_events": per.size(), "n_customers": per.customer_id.nunique()})
    found["n_sessions"] = per.session.nunique()
    entries = rows[rows.entry].groupby("touchpoint").alone
    found["bounce_rate"] = entries.mean()
    found.loc[goal, "bounce_rate"] = 0.0  # a session that only buys has done what it came for
    converted, others = len(sold), rows.customer_id.nunique() - len(sold)
    for key, who, n in (("converting_share", done.notna(), converted), ("other_share", done.isna(), others)):
        found[key] = met[who[met.index]].groupby("touchpoint").customer_id.nunique() / n
        found[key] = found[key].fillna(0)
    return found


@pytest.mark.parametrize("period", [("1990-01-01", "2990-01-01"), ("2025-11-01", "2026-02-01")])
def test_pandas_makes_the_same_inventory(shop, events, period):
    expected = pandas_inventory(events, "purchase", [pd.Timestamp(day, tz="Europe/Copenhagen") for day in period])
    result = tk.touchpoints(shop.between(*period), goal=["purchase"])
    found = pd.DataFrame(result.rows()).set_index("touchpoint").sort_index()[expected.columns]
    asked = found.bounce_rate.notna()
    assert set(asked.index[asked]) and not asked.all()  # some touchpoints ask for nothing more
    pd.testing.assert_frame_equal(found.drop(columns="bounce_rate"), expected.drop(columns="bounce_rate"))
    pd.testing.assert_series_equal(found.bounce_rate[asked], expected.bounce_rate[asked])


def test_load_time_is_the_mean_of_what_was_measured(shop, events):
    rows = {row["touchpoint"]: row["load_seconds"] for row in tk.touchpoints(shop).rows()}
    expected = events.groupby("touchpoint").load_ms.mean() / 1000
    assert rows == pytest.approx(expected.to_dict(), nan_ok=True)


def test_what_is_hidden_and_what_is_shown_are_all_events(shop, events):
    result = tk.touchpoints(replace(shop, small_cells=100))
    ledger = result.ledger
    assert ledger["shown"] + ledger["hidden"] == ledger["all"] == len(events)
    assert sum(row["n_events"] for row in result.rows()) == ledger["shown"] < ledger["all"]
    assert min(row["n_customers"] for row in result.rows()) >= 100


def test_touches_after_the_first_conversion_do_not_count_as_met_before_it():
    data = study({"buyer": [(0, "ad"), (MIN, "purchase"), (2 * MIN, "review")], "other": [(0, "ad"), (1, "review")]})
    rows = {row["touchpoint"]: row for row in tk.touchpoints(data).rows()}
    assert rows["review"]["converting_share"] == 0 and rows["review"]["other_share"] == 1
    assert rows["purchase"]["converting_share"] == 1 and rows["ad"]["converting_share"] == 1


def test_without_anyone_who_converted_their_share_is_unknown():
    rows = tk.touchpoints(study({"c": [(0, "page")]})).rows()
    assert np.isnan(rows[0]["converting_share"]) and rows[0]["other_share"] == 1


def test_nothing_in_the_period_is_said():
    empty = tk.touchpoints(study({"c": [(0, "page")]}).between("2030-01-01", "2030-02-01"))
    assert empty.rows() == [] and np.isnan(empty.coverage)
    assert empty.say() == ["No touchpoint was met by enough customers in the period."]
