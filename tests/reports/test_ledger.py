"""What changed since the last run that can be compared."""

import json

import pytest

from toolkit.reports.ledger import change, make_ledger


def figure(value, half=None, name="conversion rate", kind="rate"):
    low, high = (None, None) if half is None else (value - half, value + half)
    return {
        "name": name,
        "value": value,
        "low": low,
        "high": high,
        "n": 1000,
        "kind": kind,
        "currency": None,
        "note": "",
    }


def run(name, until, figures, **changed):
    page = {
        "notebook": "04-conversion",
        "title": "Where?",
        "page": "04-conversion.html",
        "status": "completed",
        "records": figures,
        "about": {"observed_until": until},
        "parameters": {"within": "7d", "as_of": until},
    }
    record = {
        "study": "shop",
        "run": name,
        "made_at": f"2026-11-21T12:00:0{name[-1]}+00:00",
        "period": "",
        "shared": {},
        "notebooks": [page],
    }
    page |= {key: value for key, value in changed.items() if key in page}
    return record | {key: value for key, value in changed.items() if key in record}


@pytest.fixture
def kept(tmp_path):
    def keep(record):
        ledger = make_ledger(record, tmp_path)
        (tmp_path / record["run"]).mkdir()
        (tmp_path / record["run"] / "ledger.json").write_text(json.dumps(ledger))
        return ledger

    return keep


def test_a_change_is_marked_only_where_it_clears_the_noise():
    half = 0.003  # two equal halves: the noise is half·√2 = 0.00424
    assert change(figure(0.0443, half), figure(0.04, half))["clear"] is True
    assert change(figure(0.0442, half), figure(0.04, half))["clear"] is False
    assert change(figure(0.0358, half), figure(0.04, half)) == {"difference": pytest.approx(-0.0042), "clear": False}
    assert change(figure(0.0443, half), figure(0.04))["clear"] is None
    assert change(figure(0.04, half), None) is None and change(figure(None), figure(0.04)) is None


def test_the_last_run_on_earlier_data_is_what_a_run_is_compared_with(kept):
    first = kept(run("a1", "2026-03-31T22:00:00+00:00", [figure(0.040, 0.003)]))
    assert (
        first["compared_with"] is None
        and first["figures"][0]["change"] is None
        and first["figures"][0]["trend"] == [0.040]
    )
    kept(run("a2", "2026-04-30T22:00:00+00:00", [figure(0.030, 0.003)]))
    kept(run("a3", "2026-05-01T00:00:00+02:00", [figure(0.041, 0.003)]))  # the same data again, made later
    fourth = kept(run("a4", "2026-05-31T22:00:00+00:00", [figure(0.050, 0.003), figure(7, None, "new", "count")]))
    assert fourth["compared_with"]["run"] == "a3"
    assert fourth["figures"][0]["trend"] == [0.040, 0.041, 0.050] and fourth["figures"][0]["change"]["clear"]
    assert fourth["figures"][1]["change"] is None and fourth["figures"][1]["trend"] == [None, None, 7]


@pytest.mark.parametrize(
    "changed",
    [{"study": "other"}, {"period": "last-28-days"}, {"parameters": {"within": "30d"}}, {"notebook": "06-retention"}],
    ids=str,
)
def test_runs_that_asked_something_else_are_not_compared(kept, changed):
    kept(run("a1", "2026-03-31T22:00:00+00:00", [figure(0.040, 0.003)], **changed))
    assert kept(run("a2", "2026-04-30T22:00:00+00:00", [figure(0.050, 0.003)]))["compared_with"] is None


def test_a_figure_that_became_another_kind_is_new(kept):
    kept(run("a1", "2026-03-31T22:00:00+00:00", [figure(0.040)]))
    later = kept(run("a2", "2026-04-30T22:00:00+00:00", [figure(40, kind="count")]))
    assert later["figures"][0]["change"] is None


def test_a_failed_notebook_adds_no_figure_and_a_broken_ledger_stops_nothing(kept, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "ledger.json").write_text("{")
    assert kept(run("a1", "2026-03-31T22:00:00+00:00", [figure(0.04)], status="failed"))["figures"] == []


def test_a_figure_recorded_twice_counts_once(kept):
    ledger = kept(run("a1", "2026-03-31T22:00:00+00:00", [figure(0.04), figure(0.05)]))
    assert [one["value"] for one in ledger["figures"]] == [0.05]
