"""Holdouts: by hand, a twin in pandas, what is left out, and what makes them doubtful."""

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.study.test_law import same
from toolkit.errors import MissingData, UsageError
from toolkit.stats.scores import score_interval
from toolkit.study.engine import run


def study(exposures, purchases, as_of="2026-03-01"):
    """Exposures (customer, variant, moment) in one experiment, and purchases (customer, moment)."""
    bought = pd.DataFrame(purchases, columns=["customer_id", "timestamp"]).assign(touchpoint="purchase")
    given = pd.DataFrame(exposures, columns=["customer_id", "variant", "exposed_at"]).assign(experiment_id="quiet")
    return tk.open_data({"events": bought, "exposures": given}, tz="UTC", as_of=as_of, small_cells=0)


def test_who_bought_within_the_window_is_counted_by_hand():
    exposures = [(f"c{i}", "control", "2026-01-01") for i in range(5)]
    exposures += [(f"t{i}", "treatment", "2026-01-01") for i in range(4)]
    purchases = [("c0", "2026-01-01"), ("c1", "2026-01-31"), ("c2", "2026-01-31 00:00:01"), ("c3", "2025-12-31")]
    purchases += [("t0", "2026-01-09"), ("t0", "2026-01-10"), ("t1", "2025-12-01"), ("t1", "2026-01-02")]
    row = tk.holdout(study(exposures, purchases), "quiet", within="30d").rows()[0]
    assert (row["n_control"], row["n_treatment"]) == (5, 4)
    assert (row["control_rate"], row["treatment_rate"]) == (2 / 5, 2 / 4)
    low, high = score_interval(2, 5, 2, 4)
    assert (row["rate_diff_low"], row["rate_diff_high"]) == pytest.approx((float(low), float(high)))


def test_the_young_and_those_given_both_are_left_out_and_counted():
    exposures = [("a", "control", "2026-01-01"), ("a", "treatment", "2026-01-05"), ("b", "control", "2026-01-01")]
    exposures += [("b", "control", "2026-02-20"), ("c", "treatment", "2026-02-20"), ("d", "treatment", "2026-01-02")]
    exposures += [("e", "other", "2026-01-02")]
    result = tk.holdout(study(exposures, [("d", "2026-01-03")]), "quiet", within="30d")
    assert result.ledger == {"shown": 2, "pending": 1, "excluded": 1, "all": 4}
    assert "1 customers were given several variants" in result.note
    other = tk.holdout(study(exposures, [("d", "2026-01-03")]), "quiet", planned={"treatment": 1, "other": 1})
    assert other.control.n == 1 and other.treatment.n == 1 and other.counts.mixed == 1


def test_a_split_unlike_the_plan_is_said():
    exposures = [(f"{variant}{i}", variant, "2026-01-01") for variant, n in SIZES.items() for i in range(n)]
    data = study(exposures, [("control1", "2026-01-02")])
    assert "not split as planned" in tk.holdout(data, "quiet").note
    assert "not split" not in tk.holdout(data, "quiet", planned={"control": 1, "treatment": 2}).note


SIZES = {"control": 200, "treatment": 400}


def test_what_is_missing_is_said_and_what_is_wrong_is_refused():
    data = study([("a", "control", "2026-01-01"), ("b", "treatment", "2026-01-01")], [("a", "2026-01-02")])
    with pytest.raises(MissingData, match="no experiment_id 'quite' in exposures; it has quiet"):
        tk.holdout(data, "quite")
    with pytest.raises(UsageError, match="variant is 'held'"):
        tk.holdout(data, "quiet", planned={"held": 1, "treatment": 1})
    with pytest.raises(MissingData, match="exposures in it in the period"):
        tk.holdout(data.between("2026-02-01", "2026-03-01"), "quiet")
    with pytest.raises(MissingData, match="the study has no exposures"):
        tk.holdout(
            tk.open_data(pd.DataFrame({"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["purchase"]})),
            "quiet",
        )


@pytest.mark.parametrize("experiment", ["retargeting-holdout", "free-shipping"])
@pytest.mark.parametrize("days", [7, 90])
def test_pandas_finds_the_same(till, experiment, days):
    exposed = till.frame("exposures").query("experiment_id == @experiment")
    bought = till.frame("orders").query("not cancelled")  # each is one purchase event, of the same moment
    end = pd.Timestamp(till.observed_until, unit="us", tz="UTC")
    exposed = exposed[exposed.exposed_at <= end - pd.Timedelta(days=days)]
    pairs = exposed.merge(bought, on="customer_id", how="left")
    pairs["won"] = (pairs.timestamp >= pairs.exposed_at) & (
        pairs.timestamp <= pairs.exposed_at + pd.Timedelta(days=days)
    )
    won = pairs.groupby(["variant", "customer_id"], observed=True).won.any().groupby("variant", observed=True)
    result = tk.holdout(till, experiment, within=f"{days}d")
    for arm, share in (("control", result.control), ("treatment", result.treatment)):
        assert (share.count, share.n) == (won.sum()[arm], won.size()[arm])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "__kwdefaults__", {"partitions": 7})
        assert same(tk.holdout(till, experiment, within=f"{days}d").counts, result.counts)


def test_the_planted_lift_of_free_shipping_is_found_and_retargeting_has_none():
    data = tk.open_data("data/samples/webshop")
    free, ads = (tk.holdout(data, name, within="30d") for name in ("free-shipping", "retargeting-holdout"))
    assert free.interval().low > 0 and ads.interval().low < 0 < ads.interval().high
    assert np.isclose(free.diff, 0.076, atol=0.06)
