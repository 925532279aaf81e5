"""attempt(): a gap is a result, any other error stays an error."""

import pytest

import toolkit as tk
from tests.study.made import events, opened
from toolkit.errors import MissingData, UsageError


def shop(_):
    raise MissingData("sales", "<b>orders</b>", "an export")


@pytest.fixture
def data():
    return opened(events(("a", "2026-01-01", "cart")))


def test_what_the_data_lacks_is_a_result_with_the_reason(data):
    gap = tk.attempt(shop, data)
    assert gap.say() == [gap.rows()[0]["cannot be shown"]]
    assert gap.definition.measure == "Shop: not shown"
    assert "&lt;b&gt;orders" in gap._repr_html_()


def test_a_gap_is_passed_on_to_what_builds_on_it(data):
    gap = tk.attempt(shop, data)
    assert tk.attempt(tk.sessions, gap) is gap


def test_what_is_there_is_taken(data):
    assert tk.attempt(tk.sessions, data, gap="10min").n == 1


def test_a_wrong_setting_is_no_gap(data):
    with pytest.raises(UsageError, match="no length of time"):
        tk.attempt(tk.sessions, data, gap="soon")
