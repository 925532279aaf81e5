"""Every touchpoint with the figure it lives by, or with the export that would bring it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toolkit.catalogue import device_of
from toolkit.counts import resample
from toolkit.journeys.coverage import EXPORTS, need_events
from toolkit.places.ads import campaigns_of
from toolkit.places.vital_counts import Asked, VitalCounts, count_vitals
from toolkit.results import Definition, Result
from toolkit.stats.clusters import clustered_rate
from toolkit.study.clock import duration
from toolkit.study.data import Data
from toolkit.study.engine import run

SESSION = duration("30min")
REVIEWS, REVIEW = "online review", "review"  # the family, and the source of feedback that is one
UNKNOWN = (float("nan"),) * 3
NEEDS = {  # column asked of a table: the columns it is made from
    "replied": ("first_reply_at",),
    "reply": ("first_reply_at",),
    "resolve": ("resolved_at",),
    "rating": ("rating",),
    "several": ("items",),
    "on_time": ("promised_at", "delivered_at"),
    "delivery": ("delivered_at",),
}
MEANS = {"rating": "number", "ces": "number", "nps": "number", "revenue": "money", "fields": "number"}


@cache
def recipes() -> dict[str, dict[str, Any]]:
    """How each figure is taken, by its name in the catalogue."""
    return tomllib.loads(Path(__file__).with_name("vitals.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """One figure of one family of touchpoints.

    Attributes:
        family: the catalogue's family.
        figure: its name.
        said: what it is, or what would bring it.
        found: value, low, high; NaN where unknown.
        kind: how it is shown.
        n: units behind it.
    """

    family: str
    figure: str
    said: str
    found: tuple[float, float, float] = UNKNOWN
    kind: str = "rate"
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals(Result):
    """The figures that touchpoints live by.

    Attributes:
        vitals: one per family that was met and figure.
        unmet: families of the catalogue that the data never meets.
        definition: the card.
    """

    vitals: tuple[Vital, ...]
    unmet: tuple[str, ...]
    definition: Definition

    columns: ClassVar = {"found": "value", "n_of": "of", "said": "what it is, or what would bring it"}
    shown_rows: ClassVar = 120

    def rows(self) -> list[dict]:
        """One row per touchpoint family and figure: value with interval, units, what it is or what would bring it."""
        return [
            {
                "touchpoint": vital.family,
                "figure": vital.figure,
                "found": vital.found[0],
                "found_low": vital.found[1],
                "found_high": vital.found[2],
                "found_kind": vital.kind,
                "n_of": vital.n if vital.kind != "count" else None,
                "said": vital.said,
            }
            for vital in self.vitals
        ]

    def of(self, family: str, figure: str) -> Vital:
        """One figure of one family."""
        return next(vital for vital in self.vitals if (vital.family, vital.figure) == (family, figure))

    def say(self) -> list[str]:
        """How many figures are known, and which kinds of touchpoint are not met at all."""
        known = sum(vital.found[0] == vital.found[0] for vital in self.vitals)
        said = [f"{known} of the {len(self.vitals)} figures that the touchpoints met here live by are known."]
        if self.unmet:
            said.append(f"Never met in this data: {', '.join(self.unmet)}. Are they missing, or only not tracked?")
        return said


def vitals(data: Data) -> Vitals:
    """Each family of touchpoints with the figures it lives by.

    Args:
        data: the study; `between` sets the period of the occasions, events, answers and orders.

    Returns:
        One row per family met and figure: its value with a 95 % interval, or what would bring it.

    Method:
        Occasions are events of the family with none of it in the time before; they are followed by what is looked for
        or not, and only those that had the whole time count. Shares: Wilson, allowing for customers with several;
        means and differences: customers resampled in 1,024 groups; medians: order statistics at the number of
        customers.

    Example:
        >>> import toolkit as tk
        >>> found = tk.vitals(tk.open_data(tk.make_data(300, rng=1)))
        >>> 0 < found.of("product page", "add-to-cart rate").found[0] < 1
        True
    """
    need_events(data, "the figures touchpoints live by")
    lives = _families(data)
    plans = {(family, figure): _plan(data, family, figure) for family, figures in lives.items() for figure in figures}
    asked = [ask for plan in plans.values() if isinstance(plan, tuple) for ask in plan]
    counts = run(data, count_vitals, asked=asked) if asked else None
    found, at = [], 0
    for (family, figure), plan in plans.items():
        if isinstance(plan, tuple):
            plan, at = _vital(data, counts, plan, at, (family, figure)), at + len(plan)
        found.append(plan)
    every = dict.fromkeys(place.family for place in data.catalogue.places if place.lives_by)
    return Vitals(
        vitals=tuple(found), unmet=tuple(family for family in every if family not in lives), definition=_card(data)
    )


def _families(data: Data) -> dict[str, tuple[str, ...]]:
    """The families of which there is an event, an answer or feedback, in the catalogue's order, with their figures."""
    words = {word for table in ("events", "responses", "feedback") for word in data.vocabulary("touchpoint", table)}
    met = {place.family for place in map(data.catalogue.place, words) if place}
    return {place.family: place.lives_by for place in data.catalogue.places if place.family in met and place.lives_by}


def _plan(data: Data, family: str, figure: str) -> tuple[Asked, ...] | Vital:
    """What is to be counted, or at once what cannot be, or what the campaigns say."""
    recipe = recipes().get(figure, {"how": "export", "said": "a source of your own"})
    how, column = recipe["how"], recipe.get("column", "")
    if how == "campaigns":
        found, kind, n, said = campaigns_of(data, family, recipe)
        return Vital(family=family, figure=figure, said=said, found=found, kind=kind, n=n)
    table = how if how in EXPORTS else "events"
    lacks = "" if how == "export" else _lacks(data, table, recipe)
    if how == "export" or lacks:
        return Vital(family=family, figure=figure, said=f"not known here; brought by {lacks or recipe['said']}")
    codes, by = _codes(data, recipe.get("from", "family"), family, table), "touchpoint"
    if table == "feedback" and family == REVIEWS and REVIEW in data.vocabulary("source", table):
        codes, by = (data.vocabulary("source", table).index(REVIEW),), "source"
    if table in ("responses", "feedback") and not codes and column != "nps":
        return Vital(family=family, figure=figure, said=f"not known here; brought by {table} that name this touchpoint")
    part = recipe.get("part", "")
    if how == "count":
        way = {"reach": "met", "customers": "met", "bounce": "bounce"}.get(column, "property")
        goal = _codes(data, "role purchase", family)
        return (Asked(way, codes, goal, SESSION, "" if column in ("reach", "bounce") else "count"),)
    if how == "follow":
        to, within = _codes(data, recipe["to"], family), duration(recipe["within"])
        if part == "devices":
            return tuple(Asked(how, codes, to, within, devices=some) for some in _devices(data))
        return (Asked(how, codes, to, within, part),)
    limit = next(((way, float(recipe[way])) for way in ("under", "over") if way in recipe), ("", 0.0))
    currency = data.vocabulary("currency", "orders").index(_main_currency(data)) if column == "revenue" else -1
    return (
        Asked(how, () if column == "nps" else codes, part=part, column=column, limit=limit, currency=currency, by=by),
    )


def _lacks(data: Data, table: str, recipe: Mapping[str, Any]) -> str:
    """The export that brings what a figure needs and the study has not; "" when nothing is missing."""
    facts, column = data.store.manifest["tables"].get(table), recipe.get("column", "")
    if not facts or not facts["rows"]:
        return EXPORTS[table][1]
    needs = NEEDS.get(column, (column,) if recipe["how"] == "property" else ())
    missing = [name for name in needs if name not in facts["columns"]]
    if missing:
        return f"{' and '.join(missing)} in {table}"
    if recipe.get("part") == "devices" and not all(_devices(data)):
        return "device in events (mobile, desktop)"
    for key in ("from", "to"):
        if key in recipe and recipe[key] != "family" and not _codes(data, recipe[key], ""):
            return f"events of {recipe[key].removeprefix('role ').removeprefix('only ').removeprefix('stage ')}"
    return ""


def _devices(data: Data) -> tuple[tuple[int, ...], ...]:
    """Codes of the words for a mobile and for a desktop."""
    words = data.vocabulary("device")
    return tuple(
        tuple(code for code, word in enumerate(words) if device_of(word) == kind) for kind in ("mobile", "desktop")
    )


def _codes(data: Data, what: str, family: str, table: str = "events") -> tuple[int, ...]:
    """Codes of the touchpoints that a recipe names: of the family, another family, a role, a stage, a name, or any."""
    kind, _, name = what.rpartition(" ") if what.split(" ")[0] not in ("role", "stage", "only") else what.partition(" ")
    found = []
    for code, word in enumerate(data.vocabulary("touchpoint", table)):
        place = data.catalogue.place(word)
        if what == "any":
            found.append(code)
        elif place:
            mine = {"role": place.role, "stage": place.stage, "only": place.name}.get(kind, place.family)
            wanted = name if kind in ("role", "stage", "only") else family if what == "family" else what
            found += [code] if mine == wanted else []
    return tuple(found)


def _main_currency(data: Data) -> str:
    return data.store.manifest["common"]["orders.currency"][0]


def _vital(data: Data, counts: VitalCounts, asked: tuple[Asked, ...], at: int, names: tuple[str, str]) -> Vital:
    """A counted figure, where enough customers stand behind it."""
    ask, recipe = asked[0], recipes()[names[1]]
    n = int(counts.n[:, at].sum())
    about = {"family": names[0], "figure": names[1], "said": recipe["said"]}
    if counts.customers[at : at + len(asked)].min() < max(data.small_cells, 1):
        young = " yet" if counts.young[at] else ""
        return Vital(**about | {"said": f"{recipe['said']}: too few customers{young} to show"})
    if ask.part == "count":
        total = float(counts.total[:, at].sum())
        return Vital(**about, found=(total, *UNKNOWN[1:]), kind="count", n=n)
    if ask.part in ("wait", "median"):
        return Vital(**about, found=_median(counts, at), kind="seconds", n=n)
    if len(asked) == 2:
        return Vital(**about, found=_gap(counts, at), kind="points", n=n + int(counts.n[:, at + 1].sum()))
    kind = MEANS.get(ask.column, "rate") if not ask.limit[0] else "rate"
    if ask.column in MEANS or ask.column.endswith("_share"):
        minor = 10.0 ** _decimals_of(_main_currency(data)) if ask.column == "revenue" else 1.0
        return Vital(**about, found=_mean(counts, at, minor), kind=kind, n=n)
    found = clustered_rate(counts.total[:, [at]], counts.n[:, [at]])
    return Vital(**about, found=tuple(float(value[0]) for value in found), n=n)


def _decimals_of(currency: str) -> int:
    from babel.numbers import get_currency_precision

    return get_currency_precision(currency.upper())


def _median(counts: VitalCounts, at: int) -> tuple[float, float, float]:
    """The median, and the order statistics that bound it as if each customer gave one value."""
    reach = 0.98 / np.sqrt(max(int(counts.customers[at]), 1))  # 1.96 standard errors of the share below the median
    return tuple(
        float(counts.values.quantile(q, groups=at + 1)[at]) for q in (0.5, max(0.5 - reach, 0), min(0.5 + reach, 1))
    )


def _mean(counts: VitalCounts, at: int, unit: float) -> tuple[float, float, float]:
    draws = resample(np.stack([counts.total[:, at], counts.n[:, at]], axis=1), 1_000, rng=1)
    with np.errstate(invalid="ignore"):
        drawn = draws[:, 0] / draws[:, 1] / unit
    return _spread(counts.total[:, at].sum() / counts.n[:, at].sum() / unit, drawn)


def _gap(counts: VitalCounts, at: int) -> tuple[float, float, float]:
    """The difference of two shares whose customers may be the same."""
    both = np.stack([counts.total[:, at : at + 2], counts.n[:, at : at + 2]], axis=1)
    draws = resample(both, 1_000, rng=1)
    shares = both.sum(axis=0)[0] / both.sum(axis=0)[1]
    with np.errstate(invalid="ignore"):
        drawn = draws[:, 0] / draws[:, 1]
    return _spread(shares[0] - shares[1], drawn[:, 0] - drawn[:, 1])


def _spread(value: float, draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(value), float(low), float(high)


def _card(data: Data) -> Definition:
    return data.definition(
        "The figure each touchpoint lives by",
        unit="as the row says; an occasion is a touchpoint with none of its family in the time before",
        population="occasions, events, answers and orders of the period that had the whole time named in the row",
        denominator="the number beside the value",
        rules="Shares: Wilson, 95 %, allowing for customers with several; means and differences: customers resampled "
        "in 1024 groups; medians: order statistics. What follows a touchpoint is no effect of it",
    )
