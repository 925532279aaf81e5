"""The touchpoint map: every touchpoint with its stage, reach, part in journeys, association and satisfaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toolkit.counts import Additive, by_bucket, distinct_per_key, resample
from toolkit.credit.attribution import AFTER, OWN
from toolkit.errors import MissingData
from toolkit.funnels.associations import Associations, associations
from toolkit.journeys.coverage import need_events
from toolkit.journeys.scales import share_of_scale
from toolkit.journeys.touchpoints import NOT_PLACED, Touchpoints, touchpoints
from toolkit.results import Definition, Result
from toolkit.shown import show_interval, show_number
from toolkit.stats.shares import wilson
from toolkit.study.clock import DAY, duration
from toolkit.study.data import Data
from toolkit.study.engine import run
from toolkit.study.table import Part

PARTS = ("opener", "middle", "closer")
CLEAR = 0.5  # a part is named where it holds more than this share of the touchpoint's appearances
NAN = (float("nan"),) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCounts(Additive):
    """What the map adds up to; v touchpoints.

    Attributes:
        parts: 3 × v int64 journeys that converted in which the touchpoint came first, in between, last.
        journeys: v int64 journeys that converted with it.
        customers: v int64 customers with such a journey.
        converted: int64 conversions in the period, those without a touch included.
        felt: 1,024 × v float64 answers as shares of their scale.
        answers: 1,024 × v int64 answers.
        people: v int64 customers who answered.
    """

    parts: np.ndarray
    journeys: np.ndarray
    customers: np.ndarray
    converted: int
    felt: np.ndarray
    answers: np.ndarray
    people: np.ndarray


def count_map(part: Part, *, goal: Sequence[int], bring: Sequence[int], window: int, about: np.ndarray) -> MapCounts:
    """Counts journeys that end in a conversion of the period, and the answers of the period.

    Args:
        part: some customers.
        goal: touchpoint codes that are the conversion.
        bring: touchpoint codes that may bring customers.
        window: longest time from a touch to the conversion, µs, inclusive.
        about: events code of each touchpoint of the responses; the last for none, −1.
    """
    table, v = part.table, len(part.words("touchpoint"))
    code, owner = table["touchpoint"].astype(np.int64), table.customer
    sold = np.flatnonzero(np.isin(code, goal))
    touch = np.flatnonzero(np.isin(code, bring))
    number = np.searchsorted(sold, touch)  # the conversion that comes next in the file
    next_ = np.append(sold, 0)[number]
    mine = (number < len(sold)) & (owner[next_] == owner[touch]) & part.anchored(table.time[next_])
    mine &= table.time[next_] - table.time[touch] <= window
    touch, number = touch[mine], number[mine]
    first = np.append(True, np.diff(number) != 0)[: len(number)]
    last = np.append(first[1:], True)[: len(number)]
    came = code[touch]
    between = ~first & ~last
    shown = (came[first], came[last])
    return MapCounts(
        parts=np.stack(
            [
                np.bincount(shown[0], minlength=v),
                distinct_per_key(number[between], came[between], v),
                np.bincount(shown[1], minlength=v),
            ]
        ),
        journeys=distinct_per_key(number, came, v),
        customers=distinct_per_key(owner[touch], came, v),
        converted=int(part.anchored(table.time[sold]).sum()),
        **_felt(part, about, v),
    )


def _felt(part: Part, about: np.ndarray, v: int) -> dict[str, np.ndarray]:
    """Answers by touchpoint: the one they name, else the customer's last event in the day before."""
    if "responses" not in part.tables:
        return {"felt": np.zeros((1024, v)), "answers": np.zeros((1024, v), np.int64), "people": np.zeros(v, np.int64)}
    table, events = part.tables["responses"], part.table
    share, inside = share_of_scale(part), part.anchored(table.time)
    named = about[table["touchpoint"]] if "touchpoint" in table else np.full(len(table), -1)
    ask = np.flatnonzero(named < 0)
    last = events.last_before(table.customer[ask], table.time[ask])
    near = (last >= 0) & (table.time[ask] - events.time[last] <= DAY) if len(events) else np.zeros(len(ask), bool)
    named[ask[near]] = events["touchpoint"][last[near]]
    kept = inside & (named >= 0) & ~np.isnan(share)
    owner, at = table.customer[kept], named[kept]
    bucket = part.bucket[owner]
    return {
        "felt": by_bucket(bucket, share[kept], at, v),
        "answers": by_bucket(bucket, None, at, v),
        "people": distinct_per_key(owner, at, v),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchpointMap(Result):
    """Every touchpoint, and what it is to the journey.

    Attributes:
        counts: what was counted.
        inventory: reach and volume.
        goes_with: association with converting, or None where no funnel is known.
        stages: the study's stages, in order.
        kinds: digital, physical or both, by touchpoint; "" where the catalogue has no place for it.
        small_cells: groups of fewer customers are not shown.
        definition: the card.
    """

    counts: MapCounts
    inventory: Touchpoints
    goes_with: Associations | None
    stages: tuple[str, ...]
    kinds: tuple[str, ...]
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "n_customers": "customers",
        "reach_share": "reach",
        "n_journeys": "converting journeys",
        "opener_share": "opens of these",
        "closer_share": "closes of these",
        "odds_ratio": "odds ratio of converting",
        "felt_share": "satisfaction",
        "n_answers": "answers",
    }
    aside: ClassVar = ("kind", "n_events", "odds_ratio", "n_answers")

    def rows(self) -> list[dict]:
        """One row per touchpoint that enough customers met, widest reach first.

        Columns: stage, kind, customers, reach, events, journeys that convert with it, the share of these it opens and
        closes, its part, odds ratio of converting like for like, satisfaction as a share of the scale, answers.
        """
        inventory = {row["touchpoint"]: row for row in self.inventory.rows()}
        odds = {row["touchpoint"]: row for row in self.goes_with.rows()} if self.goes_with else {}
        felt = self._felt()
        seen, rows = int(self.inventory.counts.people.sum()), []
        low, high = wilson(self.inventory.counts.customers, np.full(len(self.kinds), seen))
        for name, met in inventory.items():
            i = self.inventory.names.index(name)
            row = {"touchpoint": name, "stage": self.inventory.stages[i] or NOT_PLACED, "kind": self.kinds[i]}
            row |= {"n_customers": met["n_customers"], "reach_share": met["reach_share"]}
            row |= {"reach_share_low": float(low[i]), "reach_share_high": float(high[i]), "n_events": met["n_events"]}
            row |= self._part(i)
            row |= {f"odds_ratio{end}": odds.get(name, {}).get(f"odds_ratio{end}", NAN[0]) for end in ENDS}
            rows.append(row | felt[i] | {"n_answers": int(self.counts.answers[:, i].sum())})
        return rows

    def _part(self, i: int) -> dict:
        """Where in journeys that convert a touchpoint stands, where enough customers have one."""
        n, parts = int(self.counts.journeys[i]), self.counts.parts[:, i]
        if self.counts.customers[i] < max(self.small_cells, 1):
            return {"n_journeys": n, "opener_share": NAN[0], "closer_share": NAN[0], "part": ""}
        at, total = int(parts.argmax()), parts.sum()
        part = PARTS[at] if parts[at] > CLEAR * total else "any"
        return {"n_journeys": n, "opener_share": parts[0] / n, "closer_share": parts[2] / n, "part": part}

    def _felt(self) -> list[dict]:
        """Mean satisfaction by touchpoint with its interval."""
        total, n = self.counts.felt, self.counts.answers
        draws = resample(np.stack([total, n], axis=1), 1_000, rng=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, drawn = total.sum(axis=0) / n.sum(axis=0), draws[:, 0] / draws[:, 1]
        rows = []
        for i, people in enumerate(self.counts.people):
            enough = people >= max(self.small_cells, 1)
            bounds = np.nanquantile(drawn[:, i], [0.025, 0.975]) if enough else NAN[:2]
            values = (mean[i], *bounds) if enough else NAN
            rows.append({f"felt_share{end}": float(value) for end, value in zip(ENDS, values, strict=True)})
        return rows

    def say(self) -> list[str]:
        """What reaches most, what opens and what closes journeys, where customers are least satisfied."""
        rows, locale = self.rows(), self.definition.locale
        if not rows:
            return ["No touchpoint was met by enough customers in the period."]
        top = rows[0]
        band = show_interval(top["reach_share"], (top["reach_share_low"], top["reach_share_high"]), "rate", locale)
        share = f"{show_number(top['reach_share'], 'rate', locale)} ({band})"
        said = [
            f"Customers meet us at {len(rows)} touchpoints; {top['touchpoint']} reaches most: {share} of all customers."
        ]
        for key, verb in (("opener", "opens"), ("closer", "closes")):
            named = [row for row in rows if row["part"] == key]
            if named:
                best = max(named, key=lambda row: row["n_journeys"] * row[f"{key}_share"])
                rate = show_number(best[f"{key}_share"], "rate", locale)
                n = show_number(best["n_journeys"], "count", locale)
                said.append(f"Of the {n} journeys that convert with {best['touchpoint']}, it {verb} {rate}.")
        felt = [row for row in rows if row["felt_share_high"] == row["felt_share_high"]]
        if felt:
            worst = min(felt, key=lambda row: row["felt_share_high"])
            value, band = worst["felt_share"], (worst["felt_share_low"], worst["felt_share_high"])
            shown = f"{show_number(value, 'rate', locale)} ({show_interval(value, band, 'rate', locale)})"
            said.append(f"Satisfaction is lowest at {worst['touchpoint']}: {shown} of the scale.")
        return said[:4]


ENDS = ("", "_low", "_high")


def touchpoint_map(
    data: Data, steps: Sequence | None = None, *, within: str = "7d", lookback: str = "30d", gap: str = "30min"
) -> TouchpointMap:
    """Every touchpoint with its stage, reach, part in journeys that convert, association and satisfaction.

    Args:
        data: the study.
        steps: of the funnel behind the association, as `associations` takes them.
        within: longest time from its first step to its last.
        lookback: longest time from a touch to the conversion it belongs to.
        gap: longest pause within a session.

    Returns:
        One row per touchpoint that enough customers met.

    Raises:
        MissingData: the study has no events.

    Method:
        A journey is a customer's touchpoints up to a purchase and after the one before, within the lookback, but for
        our own pages and what follows a purchase: the first of them opens it, the last closes it. Satisfaction:
        answers as shares of their scale, at the touchpoint they name, else at the customer's last event in the day
        before; customers resampled in 1,024 groups.

    Example:
        >>> import toolkit as tk
        >>> found = tk.touchpoint_map(tk.open_data(tk.make_data(300, rng=1)))
        >>> {row["part"] for row in found.rows()} <= {"opener", "middle", "closer", "any", ""}
        True
    """
    need_events(data, "the touchpoint map")
    inventory = touchpoints(data, gap=gap)
    names, place = inventory.names, data.catalogue.place
    about = np.array([names.index(w) if w in names else -1 for w in data.vocabulary("touchpoint", "responses")] + [-1])
    placed = {name: place(name) for name in names if name not in inventory.goal}
    bring = data.codes(n for n, p in placed.items() if not p or (p.family not in OWN and p.stage not in AFTER))
    settings = {"goal": data.codes(inventory.goal), "bring": bring, "window": duration(lookback), "about": about}
    counts = run(data, count_map, **settings)
    try:
        goes_with, notes = associations(data, steps, within=within), ()
    except MissingData as gap_:
        goes_with, notes = None, (f"{gap_} So no touchpoint is compared with converting.",)
    return TouchpointMap(
        counts=counts,
        inventory=inventory,
        goes_with=goes_with,
        stages=data.stages,
        kinds=tuple(found.kind if (found := place(name)) else "" for name in names),
        small_cells=data.small_cells,
        definition=data.definition(
            "Touchpoint map",
            unit="customer, journey or answer as named",
            population="events, conversions and answers of the period",
            window=f"journeys: {lookback} before a conversion ({', '.join(inventory.goal) or 'none is known'}); odds "
            f"ratio: {within} from entry",
            denominator="reach: customers with an event; opens, closes: journeys that convert with it",
            rules="Pages of our own and what follows a purchase neither open nor close a journey. A part is named "
            f"where it holds more than {100 * CLEAR:.0f} % of the appearances. Odds ratio: like for like, an "
            "association and no effect. Satisfaction: mean of answers as a share of their scale. Intervals: 95 %",
            notes=notes,
        ),
    )
