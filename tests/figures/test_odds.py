"""The figure of odds ratios: its marks stand where the numbers are, and what stands out does so without colour."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.collections import PathCollection

import toolkit as tk
from toolkit.figures.odds import MARKS


@pytest.fixture(scope="module")
def drawn(till):
    found = tk.associations(till)
    axes = tk.plot(found)
    yield {row["touchpoint"]: row for row in found.rows()}, axes
    plt.close("all")


def test_dots_stand_at_the_odds_ratios_raw_above_like_for_like(drawn):
    rows, axes = drawn
    dots = [
        tuple(dot.get_offsets()[0])
        for dot in axes.collections
        if isinstance(dot, PathCollection) and len(dot.get_offsets())
    ]
    names = [label.get_text() for label in axes.get_yticklabels()]
    edge = axes.get_xlim()[1]
    expected = [(rows[name][key], y) for y, name in enumerate(names) for key in ("raw_odds", "odds_ratio")]
    shown = [(min(max(value, 1 / edge), edge), y) for value, y in expected]
    assert [(pytest.approx(x), round(y)) for x, y in dots[: len(shown)]] == shown
    assert len(names) == 16 and "16 of" in axes.get_xlabel()


def test_what_stands_out_is_bold_and_has_a_mark_of_its_own(drawn):
    rows, axes = drawn
    bold = {label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"}
    assert bold == {name for name, row in rows.items() if row["reading"].startswith("met")} != set()
    assert len({mark for mark, _, _ in MARKS.values()}) == 2
