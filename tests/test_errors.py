import pickle

import pytest

from toolkit.errors import (
    SHOWN,
    BusyError,
    DataError,
    MissingExtra,
    ReportError,
    ToolkitError,
    UsageError,
    one_of,
    raise_all,
)


@pytest.mark.parametrize("kind", [DataError, UsageError, ReportError, BusyError])
def test_every_error_is_of_the_family_and_a_value_error(kind):
    assert issubclass(kind, ToolkitError) and issubclass(kind, ValueError)


def test_one_problem_is_the_message_itself():
    error = DataError("events has no rows.")
    assert str(error) == "events has no rows."
    assert error.problems == ("events has no rows.",)


def test_an_error_without_a_sentence_has_no_problems():
    assert DataError().problems == () and str(DataError()) == ""


def test_many_problems_are_a_short_list_and_all_are_kept():
    sentences = [f"row {row} has no customer." for row in range(SHOWN + 3)]
    error = DataError(*sentences)
    lines = str(error).splitlines()
    assert lines[0] == f"{SHOWN + 3} problems:"
    assert lines[-1] == "and 3 more; error.problems has all of them."
    assert len(lines) == SHOWN + 2
    assert error.problems == tuple(sentences)


@pytest.mark.parametrize(
    "error", [DataError("a.", "b."), UsageError("a."), MissingExtra("Reading from Spark", "spark")]
)
def test_errors_survive_the_way_between_processes(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and str(back) == str(error)


def test_a_missing_extra_is_an_import_error_that_names_the_command():
    error = MissingExtra("Reading from Spark", "spark")
    assert isinstance(error, ImportError) and not isinstance(error, ToolkitError)
    assert 'pip install "journey-toolkit[spark]"' in str(error)
    assert error.extra == "spark"


def test_one_of_lists_every_option_in_order():
    error = one_of("period", "fortnight", ["day", "week", "month"])
    assert type(error) is UsageError
    assert str(error) == "period is 'fortnight'; choose one of 'day', 'week', 'month'."


@pytest.mark.parametrize(
    ("value", "options", "suggested"),
    [("monht", ["day", "month"], "'month'"), ("MONTH", ["day", "month"], "'month'"), (12, [1, 120], "120")],
)
def test_one_of_suggests_the_near_miss(value, options, suggested):
    assert f"(did you mean {suggested}?)" in str(one_of("period", value, options))


def test_one_of_without_options_says_so():
    assert str(one_of("touchpoint", "cart", [])) == "touchpoint is 'cart', and there is nothing to choose from."


def test_one_of_keeps_options_that_differ_only_in_case():
    assert "'Cart', 'cart'" in str(one_of("touchpoint", "checkout", ["Cart", "cart"]))


def test_raise_all_raises_once_for_all_problems():
    with pytest.raises(DataError, match="2 problems") as caught:
        raise_all(DataError, (sentence for sentence in ["a.", "b."]))
    assert caught.value.problems == ("a.", "b.")


def test_raise_all_is_silent_without_problems():
    raise_all(DataError, [])
