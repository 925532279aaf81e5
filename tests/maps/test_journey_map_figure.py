"""The journey map as a sheet: its numbers are the rows', nothing overlaps or leaves the sheet, whatever the words."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.house import ROOT
from toolkit.maps.lanes import FEELING, VOLUME

LONG = "Anbefaler os til venner, familie og $x^2$ {kolleger} fra den anden ende af landet"


@pytest.fixture(scope="module")
def sample():
    return tk.open_data(ROOT / "data" / "samples" / "webshop")


def awkward(stages=9, words=LONG):
    """Long names everywhere, nine stages of the data's own, few answers, all of them bad."""
    rng = np.random.default_rng(5)
    stage = rng.integers(0, stages, 3_000)
    events = pd.DataFrame({"customer_id": rng.integers(0, 500, 3_000), "channel": [f"{words} {k % 4}" for k in stage]})
    events["timestamp"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 10**7, 3_000), unit="s")
    events["touchpoint"] = [f"{k} {words} {n}" for k, n in zip(stage, rng.integers(0, 5, 3_000), strict=True)]
    events["stage"] = [f"{k} {words}" for k in stage]
    asked = events.head(90)[["customer_id", "timestamp", "touchpoint"]].assign(
        instrument="csat", score=1 + stage[:90] % 3
    )
    return tk.open_data({"events": events, "responses": asked}, tz="Europe/Copenhagen", locale="da")


def drawn(result):
    axes = tk.plot(result)
    figure = axes.get_figure()
    figure.canvas.draw()
    return figure, axes


def boxes(figure, axes):
    renderer = figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in axes.texts if t.get_text().strip()]


def clashes(figure, axes):
    """Pairs of texts that lie on each other, and texts that leave the sheet."""
    found, (width, height) = boxes(figure, axes), figure.canvas.get_width_height()
    out = [text for text, box in found if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    for (one, a), (two, b) in combinations(found, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2.5:
            out.append((one, two))
    return out


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_sheet_is_a3_and_nothing_on_it_overlaps(sample):
    for result in (tk.journey_map(sample), tk.journey_map(sample, quotes=True)):
        figure, axes = drawn(result)
        assert figure.get_size_inches() * 25.4 == pytest.approx([420, 297], abs=0.5)
        assert clashes(figure, axes) == []


@pytest.mark.parametrize("stages", [1, 4, 9, 12])
def test_long_names_and_many_stages_stay_in_their_columns(stages):
    result = tk.journey_map(awkward(stages))
    figure, axes = drawn(result)
    assert len(result.stages) == stages and clashes(figure, axes) == []
    texts = [text.get_text() for text in axes.texts]
    assert any("…" in text for text in texts)
    assert any("3 further stages are in the table" in text for text in texts) == (stages == 12)


def test_a_map_with_nothing_in_most_cells_is_drawn(sample):
    events = sample.frame("events").head(60)[["customer_id", "timestamp", "touchpoint"]]
    figure, axes = drawn(tk.journey_map(tk.open_data({"events": events})))
    assert clashes(figure, axes) == []
    assert sum(text.get_text() == "?" for text in axes.texts) == 8


def test_the_numbers_on_the_sheet_are_those_of_the_rows(sample):
    result = tk.journey_map(sample)
    _, axes = drawn(result)
    texts = [text.get_text() for text in axes.texts]
    for row in result.rows():
        if row["value"] == row["value"] and row["lane"] in ("reach", "go on", "time until then", FEELING, VOLUME):
            number, _, interval = row["text"].split("; ")[0].rstrip(")").partition(" (")
            assert number in texts and interval in [*texts, ""]
    events = [cell.value for cell in result.cells(VOLUME).values()]
    bars = [
        patch.get_xy()
        for patch in axes.patches
        if patch.get_facecolor()[:3] == pytest.approx((0.663, 0.796, 0.89), abs=0.01)
    ]
    heights = np.array([np.ptp(bar[:, 1]) for bar in bars])
    assert heights / heights.max() == pytest.approx(np.array(events) / max(events), abs=0.01)


def test_faces_stand_where_the_scores_are(sample):
    result = tk.journey_map(sample)
    _, axes = drawn(result)
    faces = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() > 15]
    depth = [float(line.get_ydata()[0]) for line in faces]
    scores = [cell.value for cell in result.cells(FEELING).values()]
    assert np.corrcoef(depth, scores)[0, 1] == pytest.approx(-1)  # y runs from the top


def test_the_difference_of_two_maps_is_drawn_with_signs_and_not_by_colour_alone(sample):
    one, two = (
        tk.journey_map(sample.between(*p)) for p in (("2026-05-01", "2026-08-01"), ("2026-02-01", "2026-05-01"))
    )
    found = one.against(two)
    figure, axes = drawn(found)
    assert clashes(figure, axes) == []
    texts = [text.get_text() for text in axes.texts]
    assert all(row["text"].split(" (")[0] in texts for row in found.rows())
    clear = sum(row["p_adjusted"] < 0.05 for row in found.rows())
    assert len([patch for patch in axes.patches if len(patch.get_xy()) == 4]) == clear > 0  # triangles, closed
    assert tk.show(found).alt.startswith("Difference of two journey maps: ")
