"""Results drawn, with words."""

import struct

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import toolkit as tk
from tests.reports.made import HOSTILE, Steps
from toolkit.errors import UsageError
from toolkit.figures import colour, plot, show, themed
from toolkit.figures.show import DRAWN, markdown_text

A_CART = {"customer_id": ["a"], "timestamp": ["2026-01-01"], "touchpoint": ["cart"]}


def bars(result, ax):
    ax.barh(
        [row["step"] for row in result.rows()], [row["buy_rate"] for row in result.rows()], color=colour("treatment")
    )


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setitem(DRAWN, "Steps", f"{__name__}:bars")
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(bars=bars))
    yield
    plt.close("all")


def test_a_result_is_drawn_by_its_type_with_its_own_numbers():
    axes = plot(Steps())
    assert [patch.get_width() for patch in axes.patches] == [row["buy_rate"] for row in Steps().rows()]
    _, mine = plt.subplots()
    assert plot(Steps(), mine) is mine


def test_a_result_without_a_figure_says_so():
    with pytest.raises(UsageError, match=r"int has no figure; show it as a table\. Results with one: .*Steps"):
        plot(3)


def test_a_shown_figure_carries_its_description_and_a_caption_below():
    (picture, words), (caption, _) = show(Steps()).bundles()
    assert words["image/png"]["alt"].startswith("Conversion by checkout: 4.2% of customers")
    assert words["journey"]["measure"] == "Conversion by checkout"
    assert picture["image/png"].startswith("iVBOR") and caption["text/markdown"].startswith(
        "4.2% of customers who see a product buy within seven days."
    )
    assert plt.get_fignums() == []


def test_a_figure_is_as_wide_as_the_pages_column_at_144_dots():
    assert struct.unpack(">I", show(Steps()).png[16:20]) == (1008,)


def test_where_there_is_nothing_to_draw_the_gap_is_shown():
    one_event = tk.open_data(pd.DataFrame(A_CART), small_cells=0)
    gap = tk.attempt(tk.sales, one_event)
    assert show(gap) is gap
    empty = show(tk.transitions(one_event.between("2001-01-01", "2001-02-01")))
    assert empty.say()[0].startswith("Transitions cannot be shown: nothing of it falls in the period")
    alone = show(tk.touchpoints(one_event))
    assert alone.say()[0].startswith("This comparison cannot be shown") and "the shop's order export" in alone.say()[0]
    assert plt.get_fignums() == []


def test_axes_of_ones_own_need_words_of_ones_own():
    with themed():
        _, axes = plt.subplots()
    with pytest.raises(UsageError, match="describe it with alt="):
        show(axes)
    assert show(axes, alt="Nothing yet.", caption="*See*").caption == "*See*"


def test_names_from_outside_are_shown_letter_by_letter_in_a_caption():
    assert "<" not in markdown_text(HOSTILE).replace("\\<", "")
    assert show(Steps(place=HOSTILE), caption=None).caption


def test_colours_are_roles_and_the_notebooks_own_look_comes_back():
    with pytest.raises(UsageError, match="did you mean 'treatment'"):
        colour("treatmnt")
    before = plt.rcParams["axes.spines.top"]
    with themed():
        assert plt.rcParams["axes.spines.top"] is False
    assert plt.rcParams["axes.spines.top"] == before
