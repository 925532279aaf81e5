"""Attribution: how rules share conversions among the channels before them, and how far the rules agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolkit.catalogue import normalise
from toolkit.credit.count import Asked, AttributionCounts, count_attribution, count_words
from toolkit.credit.holdout import Holdout, goal_of, holdout
from toolkit.credit.result import CURE, FEW, NO_TOUCH, NOT_CAUSAL, Attribution, estimate, shown_rows
from toolkit.credit.rules import SHARED, AttributionRules
from toolkit.errors import MissingData, UsageError, need_a, one_of, several
from toolkit.journeys.coverage import need_events
from toolkit.results import Definition
from toolkit.schema import TABLES
from toolkit.shown import safe_text, show_number
from toolkit.study.clock import duration
from toolkit.study.data import EVER, Data
from toolkit.study.engine import run

OWN = ("website", "product page", "checkout")  # families of pages a visit leads through, whatever brought it
AFTER = ("onboarding", "service")  # stages that follow from a purchase
MOST = 30  # channels that stand alone


def attribution(
    data: Data,
    goal: str | Sequence[str] | None = None,
    *,
    lookback: str = "30d",
    by: str = "channel",
    rules: AttributionRules | None = None,
) -> Attribution:
    """Credits conversions to the channels whose touches came before them, by seven rules.

    Args:
        data: the study; `between` sets the period of the conversion.
        goal: touchpoints that are the conversion; the catalogue's purchases when left out.
        lookback: longest time from a touch to the conversion it is credited with, inclusive.
        by: what is credited: channel, campaign, touchpoint, or another events column of words.
        rules: which touches count, the settings of the rules, and holdouts to show beside them.

    Returns:
        One row per channel: its least and most credit across rules, and its credit by each rule, with intervals. The
        credits of a rule sum to all conversions; those nothing touched stand in a row of their own.

    Raises:
        MissingData: the study has no events, no such column, or no conversion that the catalogue knows.
        UsageError: a touchpoint does not occur, or there is no such column.

    Method:
        First, last, linear, position, time decay; Shapley's value (each conversion shared equally among its distinct
        channels); Markov of order 1, solved exactly, with journeys that failed. A journey ends at its conversion.
        Intervals: customers resampled in 1,024 groups, 1,000 times.

    Example:
        >>> import toolkit as tk
        >>> credit = tk.attribution(tk.open_data(tk.make_data(400, rng=1)), "purchase")
        >>> round(sum(row["n_markov"] for row in credit.rows())) == credit.conversions
        True
    """
    need_events(data, "attribution")
    rules = AttributionRules() if rules is None else rules
    need_a("rules", rules, AttributionRules)
    goal = goal_of(data, goal, "Attribution")
    _can_credit(data, by)
    touches, notes = _touches(data, goal, rules)
    kind = np.zeros(len(data.vocabulary("touchpoint")) + 1, np.int8)
    kind[list(data.codes(touches))], kind[list(data.codes(goal))] = 1, 2
    labels, place = _labels(data, by, kind)
    currencies, minor, places = _currencies(data, goal)
    asked = Asked(kind=kind, by=by, place=place, window=duration(lookback), rules=rules, currencies=places)
    counts = run(data, count_attribution, asked=asked)
    names, shown = shown_rows(counts, [*labels, NO_TOUCH], data.small_cells)
    credit = estimate(counts, shown)
    held, gaps = _holdouts(data, goal, lookback, rules.holdouts, labels)
    few = {label: FEW for label, n in zip(labels, counts.customers, strict=False) if n and label not in names}
    row_of = {word: few.get(labels[i], labels[i]) for word, i in zip(data.vocabulary(by), place, strict=False)}
    costs, unspent = _costs(data, by, row_of)
    notes = [*notes, *_guards(counts, credit[0, 0], data.locale), *gaps, *unspent]
    return Attribution(
        counts=counts,
        by=by,
        names=tuple(names),
        credit=credit[:, 0],
        money=credit[:, 1:] / np.array(minor)[:, None, None],
        currencies=currencies,
        costs=costs,
        holdouts=held,
        definition=_card(data, goal, touches, lookback, by, rules, notes),
    )


def _can_credit(data: Data, by: str) -> None:
    columns = sorted(name.split(".", 1)[1] for name in data.vocabularies if name.startswith("events."))
    if by not in columns and by in TABLES["events"]:
        raise MissingData(f"Attribution by {by}", f"{by} in events", f"a column {by} in events")
    if by not in columns:
        raise one_of("by", by, columns)


def _touches(data: Data, goal: list[str], rules: AttributionRules) -> tuple[list[str], list[str]]:
    """The touchpoints that count as touches, and what must be said about it."""
    if rules.touches is not None:
        return [name for name in several(rules.touches) if name not in goal], []
    others = [name for name in data.vocabulary("touchpoint") if name not in goal]
    placed = {name: data.catalogue.place(name) for name in others}
    counted = [n for n, place in placed.items() if not place or (place.family not in OWN and place.stage not in AFTER)]
    if counted or not others:
        return counted, []
    return others, ["No touchpoint is known as one that brings customers, so every event before a conversion counts."]


def _labels(data: Data, by: str, kind: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The channels that stand alone, the others and the unknown; and the place of each code among them."""
    words, unknown = data.vocabulary(by), f"(no {by})"
    if len(words) <= MOST:
        return [*words, unknown], np.append(np.arange(len(words)), len(words))
    met = run(data, count_words, by=by, kind=kind).words
    alone = np.sort(np.argsort(-met[:-1], kind="stable")[:MOST])
    place = np.full(len(words) + 1, MOST)
    place[alone], place[-1] = np.arange(MOST), MOST + 1
    return [*(words[i] for i in alone), "(others)", unknown], place


def _currencies(data: Data, goal: list[str]) -> tuple[tuple[str, ...], list[int], dict[str, np.ndarray]]:
    """All currencies with "" for the unknown last, their minor units, and by table the place of each code among them.

    Orders are asked where the conversion is a purchase.
    """
    from babel.numbers import get_currency_precision

    bought = all(data.catalogue.role_of(name) == "purchase" for name in goal)
    tables = ("events", "orders") if bought and "orders" in data.tables else ("events",)
    own = {table: data.vocabulary("currency", table) for table in tables}
    every = (*sorted(set().union(*own.values())), "")
    places = {table: np.array([every.index(word) for word in (*words, "")]) for table, words in own.items()}
    return every, [10 ** get_currency_precision(word.upper()) for word in every], places


def _costs(data: Data, by: str, label: Mapping[str, str]) -> tuple[dict[tuple[str, str], float], list[str]]:
    """What was spent by row and currency in the period, and why it is not said."""
    if "campaigns" not in data.tables or by not in data.tables["campaigns"].columns:
        return {}, []
    if data.view.chosen is not None or data.view.only:
        return {}, ["Costs are known for all customers together, so they are not set against the credit of some."]
    frame, costs = data.frame("campaigns"), {}
    for (word, currency), cost in frame.groupby([by, "currency"], observed=True)["cost"].sum().items():
        row = label.get(word, word)
        costs[row, currency] = costs.get((row, currency), 0) + float(cost)
    return {key: cost for key, cost in costs.items() if cost > 0}, []


def _holdouts(
    data: Data, goal: list[str], lookback: str, asked: Mapping[str, str], labels: list[str]
) -> tuple[dict[str, Holdout], list[str]]:
    """The holdouts asked for, over their own period; what must be said of them, and which others there may be."""
    ever, held, notes = replace(data, view=replace(data.view, period=EVER)), {}, []
    for channel, experiment in asked.items():
        try:
            held[channel] = holdout(ever, experiment, goal, within=lookback)
            if channel not in labels:
                notes.append(f"{experiment} is named for {channel!r}, which is none of {', '.join(labels)}.")
            notes += [f"{experiment}: {note}" for note in held[channel].definition.notes]
        except (MissingData, UsageError) as gap:
            notes.append(str(gap))
    for experiment in sorted(set(data.vocabulary("experiment_id", "exposures")) - set(asked.values())):
        about = [name for name in labels if f" {normalise(name)} " in f" {normalise(experiment)} "]
        notes += [f"The experiment {experiment} may have tested {name}: name it in holdouts." for name in about]
    return held, [safe_text(note, 600) for note in notes]


def _guards(counts: AttributionCounts, credit: np.ndarray, locale: str) -> list[str]:
    touched, bare, failed, _ = counts.journeys.tolist()
    unsure = bool(touched and np.isnan(credit[:, -1]).any())
    unpriced, tied = (show_number(n, "count", locale) for n in (counts.unpriced, counts.tied))
    fired = {
        "Most conversions have no touch; if other touchpoints bring customers, name them in rules.": bare > touched,
        "Markov's rule cannot tell: of no journey that converted has the last touch had the whole window.": unsure,
        "No journey failed, so Markov's rule knows nothing that could be lost.": touched and not failed,
        f"{unpriced} conversions have no known value; returns are too low.": 0 < counts.unpriced < touched + bare,
        f"{tied} conversions have a touch of their own moment behind them; it counts as before.": counts.tied,
    }
    return [note for note, fires in fired.items() if fires]


def _card(
    data: Data, goal: list[str], touches: list[str], lookback: str, by: str, rules: AttributionRules, notes: list[str]
) -> Definition:
    how = "; ".join(f"{name}: {text}" for name, text in SHARED.items())
    return data.definition(
        f"Credit by {by}",
        unit="conversion",
        population=f"conversions ({', '.join(goal)}) in the period; touches: {', '.join(touches)}",
        window=f"touches up to {lookback} before the conversion, inclusive, and after the one before; a path that no "
        "conversion follows so long has failed",
        denominator="all conversions, those without a touch included",
        rules=how.format(by=by, half_life=rules.half_life, ends=rules.ends)
        + "; markov: order 1, removal effect, solved exactly, over journeys that had the whole window since their last "
        "touch, failed ones included. Intervals: 95 %, customers resampled in 1024 groups, 1000 times. "
        f"{NOT_CAUSAL} {CURE}",
        notes=tuple(notes),
    )
