import math
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass
from html.parser import HTMLParser
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.results import SHOWN_ROWS, Definition, Interval, Result

BUYERS = Definition(measure="Buyers", unit="customers", notes=("Few customers.",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Result):
    """A result as plain as can be."""

    columns: ClassVar = {"page": "where"}

    lines: tuple
    definition: Definition = BUYERS

    def rows(self):
        return [dict(line) for line in self.lines]


ROWS = (
    {"page": "front", "n_customers": 12345, "buy_rate": 0.042, "buy_rate_low": 0.0388, "buy_rate_high": 0.0451},
    {"page": "cart", "n_customers": 0, "buy_rate": math.nan, "buy_rate_low": math.nan, "buy_rate_high": math.nan},
)


class Parsed(HTMLParser):
    """The elements and the words of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def count(self, tag, **attributes):
        return sum(name == tag and attributes.items() <= attrs.items() for name, attrs in self.tags)


def test_the_text_table_is_aligned_and_merges_the_interval():
    assert str(Table(lines=ROWS)).splitlines() == [
        "Buyers",
        "where  customers        buy rate",
        "--------------------------------",
        "front     12,345  4.2 %  3.9–4.5",
        "cart           0      –",
        "Note: Few customers.",
    ]


def test_the_html_table_has_caption_scopes_and_a_span_for_the_interval():
    page = Table(lines=ROWS)._repr_html_()
    parsed = Parsed(page)
    assert parsed.count("th", scope="col") == 3 and parsed.count("th", scope="row") == 2
    assert parsed.count("td", **{"class": "num"}) == 4
    assert "<caption>Buyers</caption>" in page
    assert '4.2 %<span class="interval">3.9–4.5</span>' in page
    assert '–<span class="interval"></span>' in page
    assert '<p class="guard">Few customers.</p>' in page
    assert re.search(r'<details class="definition"><summary>How this was counted</summary>.*customers', page)
    assert parsed.count("script") == 0


def test_every_style_stays_within_our_own_class():
    style = re.search("<style>(.*)</style>", Table(lines=ROWS)._repr_html_()).group(1)
    selectors = [part for rule in style.split("}")[:-1] for part in rule.split("{")[0].split(",")]
    assert selectors and all(selector.startswith("table.result ") for selector in selectors)


def test_the_locale_of_the_definition_rules_all_forms():
    danish = Table(lines=ROWS, definition=Definition(measure="Buyers", locale="da"))
    assert "12.345  4,2 %  3,9–4,5" in str(danish)
    assert "<td" in danish._repr_html_() and "4,2 %" in danish._repr_html_()


def test_a_definition_with_nothing_to_say_shows_no_details():
    assert "<details" not in Table(lines=ROWS, definition=Definition(measure="Buyers"))._repr_html_()


def test_bounds_without_their_value_are_columns_of_their_own():
    table = str(Table(lines=({"page": "a", "x_rate_low": 0.1, "x_rate_high": 0.2},)))
    assert "x rate low" in table and "10.0 %" in table


def test_one_bound_alone_is_not_merged():
    assert "x low" in str(Table(lines=({"page": "a", "x": 1.0, "x_low": 0.5},)))


def test_no_rows_is_said():
    empty = Table(lines=())
    assert "(no rows)" in str(empty) and "(no rows)" in empty._repr_html_()


def test_rows_may_differ_in_their_keys():
    table = Table(lines=({"page": "a", "n_x": 1}, {"page": "b", "n_y": 2}))
    assert str(table).splitlines()[3:5] == ["a      1  –", "b      –  2"]


def test_a_long_table_is_cut_when_shown_and_whole_as_a_frame():
    table = Table(lines=tuple({"page": f"page {i}", "n_x": i} for i in range(SHOWN_ROWS + 5)))
    assert "and 5 more rows" in str(table) and "and 5 more rows" in table._repr_html_()
    assert len(table.to_frame()) == SHOWN_ROWS + 5


def test_the_frame_keeps_full_precision_and_all_columns():
    frame = Table(lines=ROWS).to_frame()
    assert list(frame.columns) == list(ROWS[0])
    assert frame.buy_rate_low[0] == 0.0388


HOSTILE = '<script>alert("x")</script>\u202e&'


def test_text_from_outside_is_escaped_wherever_it_stands():
    definition = Definition(measure=HOSTILE, unit=HOSTILE, notes=(HOSTILE,))
    page = Table(lines=({HOSTILE: HOSTILE, "n_x": 1},), definition=definition)._repr_html_()
    parsed = Parsed(page)
    assert parsed.count("script") == 0 and "\u202e" not in page
    assert parsed.words.count('<script>alert("x")</script>&') == 5


@given(st.text())
def test_no_text_breaks_out_of_its_cell(text):
    parsed = Parsed(Table(lines=({"page": text, "n_x": 1},))._repr_html_())
    assert [tag for tag, _ in parsed.tags].count("th") == 3


@given(
    st.lists(st.fixed_dictionaries({"page": st.text(max_size=5), "x": st.floats(), "n_y": st.integers()}), min_size=1)
)
def test_all_lines_of_a_text_table_fit_under_the_rule(rows):
    _, _, rule, *lines = str(Table(lines=tuple(rows))).split("\n")[: len(rows) + 3]
    assert set(rule) == {"-"} and all(len(line) <= len(rule) for line in lines)


def test_results_are_small_frozen_and_travel():
    table = Table(lines=ROWS[:1])
    assert not hasattr(table, "__dict__")
    with pytest.raises(FrozenInstanceError):
        table.lines = ()
    assert pickle.loads(pickle.dumps(table)) == table
    assert repr(table) == repr(pickle.loads(pickle.dumps(table)))


def test_the_note_says_which_guards_fired_and_say_is_silent_by_default():
    assert Table(lines=ROWS).note == "Few customers."
    assert Table(lines=ROWS).say() == []


def test_a_result_without_rows_is_unfinished():
    with pytest.raises(TypeError, match="rows"):
        Result()


def test_the_card_leaves_out_what_is_empty():
    card = Definition(measure="x", unit="customers", seen_through="channel = email only").card()
    assert card == {"unit": "customers", "seen through": "channel = email only"}


def test_an_interval_is_a_pair_with_a_level():
    low, high, level = Interval(0.1, 0.2)
    assert (low, high, level) == (0.1, 0.2, 0.95)


def test_showing_results_waits_with_pandas_and_babel_until_they_are_needed():
    code = "import sys, toolkit.results; print(sorted({'pandas', 'babel', 'numpy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
