"""What goes with converting: what customers met on the way, compared like for like. Associations, never effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from toolkit.errors import MissingData, UsageError, one_of
from toolkit.funnels.met import AssociationCounts, count_associations
from toolkit.funnels.rules import ENTRIES, TIES, FunnelRules, search_for
from toolkit.journeys.traps import ALL, fired
from toolkit.results import Definition, Result
from toolkit.schema import TABLES
from toolkit.shown import show_interval, show_number
from toolkit.stats.many import adjust
from toolkit.stats.shares import wilson
from toolkit.stats.strata import odds_ratio, pooled_odds
from toolkit.study.clock import spelled
from toolkit.study.data import Data
from toolkit.study.engine import run

WATCH = {
    "alike": "after each event on the way, customers with as many of them so far, the last at about the same time "
    "since entry: who converted before the next against who did not",
    "window": "customers with as many events on the way in all, who did not convert watched for the whole window",
}
MORE, LESS, CHANCE, UNKNOWN = "met more often", "met less often", "chance can explain", "cannot tell"
ENDS = ("", "_low", "_high")
MOST_WORDS = 1_000
MOST_NAMED = 2  # in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Associations(Result):
    """What customers who converted met more, or less, often than others.

    Attributes:
        counts: what was counted.
        words: what may be met, in the order of the counts.
        by: the events column they come from.
        steps: names of the funnel's steps.
        watch: how like is set against like.
        window_seconds: the funnel's window.
        small_cells: words that fewer customers met, or fewer did not, are left out of the rows.
        definition: the card.
    """

    counts: AssociationCounts
    words: tuple[str, ...]
    by: str
    steps: tuple[str, ...]
    watch: str
    window_seconds: float
    small_cells: int
    definition: Definition

    columns: ClassVar = {
        "n_customers": "met it",
        "converting_share": "of those who convert",
        "other_share": "of the others",
        "raw_odds": "odds ratio, raw",
        "odds_ratio": "odds ratio, like for like",
        "reading": "those who convert",
    }
    aside: ClassVar = ("raw_odds", "p_raw")

    @property
    def shown(self) -> np.ndarray:
        """Places of the words that enough customers met, and enough did not."""
        met, limit = self.counts.met.sum(axis=0), max(self.small_cells, 1)
        return np.flatnonzero((met >= limit) & (self.counts.people.sum() - met >= limit))

    def rows(self) -> list[dict]:
        """One row per word, highest odds ratio first.

        Columns: customers who met it, the share of those who converted and of the others that did, odds ratio raw and
        like for like, p of both adjusted over the words shown, how to read the latter, and the step of the funnel
        before which it is not met.
        """
        counts, met, people = self.counts, self.counts.met[:, self.shown], self.counts.people[:, None]
        telling = (counts.alike > 0).all(axis=0)  # other strata have nobody to compare with
        alike, alike_met = counts.alike[:, telling, None], counts.alike_met[:, telling][..., self.shown]
        raw = odds_ratio(met[1], met.sum(axis=0), people[1], people.sum())
        like = pooled_odds(alike_met[1], alike_met.sum(axis=0), alike[1], alike.sum(axis=0))
        named = {"converting_share": self._share(1), "other_share": self._share(0), "raw_odds": raw, "odds_ratio": like}
        values = {f"{name}{end}": x for name, xs in named.items() for end, x in zip(ENDS, xs[:3], strict=True)}
        values |= {"p_raw": adjust(raw.p, "bh").p, "p_adjusted": adjust(like.p, "bh").p}
        rows = [
            {self.by: self.words[place], "n_customers": int(met[:, i].sum())}
            | {k: float(x[i]) for k, x in values.items()}
            for i, place in enumerate(self.shown)
        ]
        for place, row in zip(self.shown, rows, strict=True):
            late = np.flatnonzero(counts.after[:, place] > ALL * row["n_customers"])
            row["reading"] = _reading(row["odds_ratio"], row["p_adjusted"])
            row["only_after"] = self.steps[late[-1] + 1] if len(late) else ""
        return sorted(rows, key=lambda row: (-np.nan_to_num(row["odds_ratio"], nan=-1), row[self.by]))

    def _share(self, who: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of those who did (1) or did not (0) convert that met each word shown; few are not told."""
        met, people = self.counts.met[who, self.shown], int(self.counts.people[who])
        told = (people > 0) & ((met == 0) | (met >= self.small_cells))
        return tuple(np.where(told, x, np.nan) for x in (met / max(people, 1), *wilson(met, np.full(len(met), people))))

    @property
    def family(self) -> int:
        """How many words were compared: the p are adjusted over them."""
        return sum(row["reading"] != UNKNOWN for row in self.rows())

    @property
    def ledger(self) -> dict[str, int]:
        """Compared (converted or not), pending (their window is not over), never entered; together everyone seen."""
        (others, converted), young, seen = self.counts.people.tolist(), self.counts.young, self.counts.seen
        ledger = {"converted": converted, "not converted": others, "pending": young}
        return ledger | {"never entered": seen - others - converted - young, "all": seen}

    @property
    def watched(self) -> tuple[float, float]:
        """Mean seconds over which converting customers are watched, and those with whom they are compared."""
        seconds = self.counts.waited / max(int(self.counts.people[1]), 1) / 1000
        return seconds, seconds if self.watch == "alike" else self.window_seconds

    @property
    def early_share(self) -> float:
        """Share of the customers compared whose entry lies less than a window after the log's first event."""
        return self.counts.early / max(int(self.counts.people.sum()), 1)

    def say(self) -> list[str]:
        """What stands out like for like, how much would without that care, and what it does not tell."""
        rows = self.rows()
        if not rows:
            return [f"No {self.by} was met by enough of the customers compared, so nothing can be told."]
        more = sorted((row for row in rows if row["reading"] == MORE), key=lambda row: -row["odds_ratio_low"])
        less = sorted((row for row in rows if row["reading"] == LESS), key=lambda row: row["odds_ratio_high"])
        named = [f"{self._named(some)} {how} often" for how, some in (("more", more), ("less", less)) if some]
        alike, raw = "others who had met as much by then", sum(row["p_raw"] < 0.05 for row in rows)
        return [
            f"Customers who convert met {', and '.join(named) or f'no {self.by} more or less often'} than {alike}.",
            f"Of {self.family} {self.by}s compared like for like {len(more + less)} stand out from chance; {raw} would "
            "if the length of journeys were left out of account.",
            "This says what goes together; what would happen if more customers met it, only an experiment can tell.",
        ]

    def _named(self, rows: list[dict]) -> str:
        told, more, locale = [], len(rows) - MOST_NAMED, self.definition.locale
        for row in rows[:MOST_NAMED]:
            band = show_interval(row["odds_ratio"], (row["odds_ratio_low"], row["odds_ratio_high"]), "ratio", locale)
            told.append(f"{row[self.by]} (odds ratio {show_number(row['odds_ratio'], 'ratio', locale)}, {band})")
        return ", ".join(told) + (f" and {more} other{'s' * (more > 1)}" if more > 0 else "")


def _reading(ratio: float, p: float) -> str:
    return UNKNOWN if np.isnan(p) else CHANCE if p >= 0.05 else MORE if ratio > 1 else LESS


def associations(
    data: Data, steps: Sequence | None = None, *, within: str = "7d", by: str = "touchpoint", watch: str = "alike"
) -> Associations:
    """What customers who converted met on the way more, or less, often than comparable others.

    Args:
        data: the study; `between` sets the period of the entry.
        steps: of the funnel, as `funnel` takes them: the first is the entry, the last the conversion.
        within: longest time from entry to conversion, inclusive, such as "7d".
        by: events column whose words are compared, such as "channel".
        watch: "alike" – customers are compared after each event on the way, with as many so far by about the same time;
            "window" – once, with as many in all, which gives those who do not convert more time to meet everything.

    Returns:
        One row per word that enough customers met: odds ratios raw and like for like, with intervals, p adjusted by
        Benjamini and Hochberg. The funnel's own steps are left out: they are met by construction.

    Raises:
        MissingData: no steps were given and the catalogue finds none, or the study lacks a canonical column `by`.
        UsageError: `by` or `watch` is no such thing, `by` has too many words, or the funnel cannot be.

    Method:
        Each customer's first entry in the period, so that the outcome does not choose it; entries that had the whole
        window; events strictly between entry and conversion. Raw: `odds_ratio`, the others watched for the window.
        Like for like: after each event, who converted before the next is set against who did not, by number of events
        and time since entry (`pooled_odds`; person-time as in D'Agostino 1990, doi:10.1002/sim.4780091214).

    Example:
        >>> import toolkit as tk
        >>> found = tk.associations(tk.open_data(tk.make_data(400, rng=1)), ["product page", "purchase"])
        >>> sorted(found.ledger)
        ['all', 'converted', 'never entered', 'not converted', 'pending']
    """
    if watch not in WATCH:
        raise one_of("watch", watch, WATCH)
    words, (search, names) = _words(data, by), search_for(data, steps, within, FunnelRules(entry="first"))
    began = data.store.manifest["tables"]["events"]["low"] or 0
    found = Associations(
        counts=run(data, count_associations, search=search, by=by, watch=watch, began=began),
        words=words,
        by=by,
        steps=names,
        watch=watch,
        window_seconds=search.window / 1e6,
        small_cells=data.small_cells,
        definition=data.definition(
            "What goes with converting" + (f", by {by}" if by != "touchpoint" else ""),
            unit="customer",
            population=f"customers whose first entry ({names[0]}) in the period had the whole window",
            window=f"{spelled(within)} from entry, inclusive; met: strictly between entry and {names[-1]}",
            denominator="of converting: customers compared who converted; of others: customers compared who did not",
            rules=f"{ENTRIES['first']}, which the outcome cannot choose; {TIES['favour']}; the funnel's steps are no "
            "events on the way. Raw: odds ratio with 0.5 added to each cell, who did not convert watched for the whole "
            f"window. Like for like: Mantel and Haenszel; {WATCH[watch]}. An association, no effect",
        ),
    )
    return replace(found, definition=_completed(found))


def _words(data: Data, by: str) -> tuple[str, ...]:
    """The words to compare, or why there are none."""
    columns = sorted(name.split(".", 1)[1] for name in data.vocabularies if name.startswith("events."))
    if by in TABLES["events"] and by not in columns:
        raise MissingData(f"What goes with converting by {by}", f"{by} in events", f"events that say {by}")
    if by not in columns:
        raise one_of("by", by, columns)
    if len(words := data.vocabulary(by)) > MOST_WORDS:
        raise UsageError(f"{by} has {len(words):,} different words; compare a column with at most {MOST_WORDS:,}.")
    return words


def _completed(found: Associations) -> Definition:
    """The card with what is known once it is counted: the family of tests, who is hidden, the guards that fired."""
    card, few = found.definition, int((found.counts.met.sum(axis=0) > 0).sum()) - len(found.shown)
    hidden = f"; {few} more are not shown: fewer than {found.small_cells} customers met them, or did not" if few else ""
    how = (
        f"Intervals: 95 %, not adjusted; p: Benjamini and Hochberg over the {found.family} {found.by}s compared{hidden}"
    )
    nobody = "No entry had the whole window before observation ended, so there is nobody to compare."
    notes = fired(found) if found.counts.people.sum() else [nobody]
    return replace(card, rules=f"{card.rules}. {how}", notes=tuple(notes))
