"""`Data`: a study, and the views of it that every measure takes first."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from toolkit.catalogue import STAGES, Catalogue
from toolkit.errors import DataError, UsageError, one_of, raise_all, several
from toolkit.intake.normal import OWN, WITH_CUSTOMER
from toolkit.intake.sources import named, quoted
from toolkit.results import Definition
from toolkit.schema import KEYED
from toolkit.study.check import Check, findings_of
from toolkit.study.clock import moment_of, shown, zone
from toolkit.study.encode import MOST_WORDS
from toolkit.study.store import FOLDER, Store, connect

EVER = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)


@dataclass(frozen=True)
class View:
    """What a filtered study shows.

    Attributes:
        period: UTC µs of the first moment of an anchor and of the first one too late.
        only: (events column, codes that stay).
        chosen: customers that stay, by position; None = all.
        segments: names of the segments they are in.
        labels: extra customer attributes, name → (code per position, words).
    """

    period: tuple[int, int] = EVER
    only: tuple[tuple[str, tuple[int, ...]], ...] = ()
    chosen: np.ndarray | None = field(default=None, repr=False)
    segments: tuple[str, ...] = ()
    labels: Mapping[str, tuple[np.ndarray, tuple[str, ...]]] = field(default_factory=dict, repr=False)


class TableInfo(NamedTuple):
    """What a study knows of one of its tables."""

    rows: int
    first_at: str | None
    last_at: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """A study: canonical tables, sorted by customer and time, with how to show them.

    Attributes:
        name: what the study is called.
        store: where its columns are.
        tz: zone in which days begin and moments are shown.
        locale: how numbers and dates are shown.
        observed_until: UTC µs up to which customers were watched.
        small_cells: groups of fewer customers are not shown.
        catalogue: stages and roles of touchpoints.
        view: filters in force.
        again: opens the same input once more, with other settings.
    """

    name: str
    store: Store
    tz: str
    locale: str
    observed_until: int
    small_cells: int
    catalogue: Catalogue = field(repr=False)
    tz_given: bool = True
    view: View = field(default_factory=View)
    again: Callable[..., Data] | None = field(default=None, repr=False)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The study's time zone."""
        return zone(self.tz)

    @cached_property
    def vocabularies(self) -> dict[str, tuple[str, ...]]:
        """The words of every encoded column, by "table.column"."""
        kept_ = {name: tuple(words) for name, words in self.store.manifest["vocabularies"].items()}
        return kept_ | {f"customers.{name}": words for name, (_, words) in self.view.labels.items()}

    def vocabulary(self, column: str, table: str = "events") -> tuple[str, ...]:
        """The words of a column, in the order of their codes; empty where the column is absent.

        Example:
            >>> import toolkit as tk
            >>> tk.open_data(tk.make_data(50, rng=1)).vocabulary("device")
            ('desktop', 'mobile', 'tablet')
        """
        return self.vocabularies.get(f"{table}.{column}", ())

    def codes(self, words: Iterable[str], column: str = "touchpoint") -> tuple[int, ...]:
        """The codes of words of an events column.

        Raises:
            UsageError: a word does not occur; all such words at once.
        """
        vocabulary, words = self.vocabulary(column), several(words)
        raise_all(UsageError, [one_of(column, w, vocabulary).problems[0] for w in words if w not in vocabulary])
        return tuple(vocabulary.index(word) for word in words)

    @property
    def tables(self) -> dict[str, TableInfo]:
        """The tables that are there: rows, first and last moment, columns."""
        found = {}
        for name, kinds in self.store.manifest["kinds"].items():
            facts = self.store.manifest["tables"].get(name, {})
            low, high = (
                shown(facts[end], self.zone) if facts.get(end) is not None else None for end in ("low", "high")
            )
            rows = self.store.manifest["input_rows"][name]
            found[name] = TableInfo(rows, low, high, tuple(kinds))
        return found

    @property
    def customers(self) -> int:
        """How many customers with an id the view holds."""
        if self.view.chosen is None:
            return self.store.manifest["customers"]
        known = self.store.read("known", "?", 0, self.store.manifest["positions"])
        return int((known & self.view.chosen).sum())

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The stages, as the catalogue shows them."""
        return tuple(self.catalogue.stages[stage] for stage in STAGES)

    def check(self) -> Check:
        """What is there, what is wrong with it, and what was done about it.

        Example:
            >>> import toolkit as tk
            >>> tk.open_data(tk.make_data(50, rng=1)).check().rows()[0]["table"]
            'events'
        """
        return findings_of(self)

    def between(self, start: str, end: str) -> Data:
        """The same study with each measure's anchor in [start, end): history and follow-up stay visible.

        Args:
            start: first day or moment, ISO; "" = from the beginning.
            end: first day or moment too late; "" = to the end.
        """
        low = moment_of(start, self.zone) if start else EVER[0]
        high = moment_of(end, self.zone) if end else EVER[1]
        if low >= high:
            raise UsageError(f"The period {start} to {end} is empty: the end must come after the start.")
        return replace(self, view=replace(self.view, period=(low, high)))

    def only(self, **columns: str | list[str]) -> Data:
        """The same customers with only the events that match; results say what they were seen through.

        Args:
            **columns: events column and the word, or words, that stay.
        """
        chosen = self.view.only
        for column, words in columns.items():
            there = [name.split(".", 1)[1] for name in self.vocabularies if name.startswith("events.")]
            if column not in there:
                raise one_of("events column", column, there)
            chosen += ((column, self.codes([words] if isinstance(words, str) else words, column)),)
        return replace(self, view=replace(self.view, only=chosen))

    def labelled(self, name: str, labels: Any) -> Data:
        """The same study with one more customer attribute, to break down by or to choose from.

        Args:
            name: what the attribute is called.
            labels: customer_id → word, as a mapping or a pandas Series.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        pairs = {str(customer): str(word) for customer, word in labels.items() if word is not None and word == word}
        words = tuple(sorted(set(pairs.values())))
        if len(words) > MOST_WORDS:
            raise UsageError(f"{name} has {len(words):,} different labels; give at most {MOST_WORDS:,}.")
        codes = np.array([*map({word: i for i, word in enumerate(words)}.get, pairs.values()), -1], np.int16)
        place = pc.index_in(self.store.ids, pa.array(list(pairs), pa.string())).fill_null(len(pairs)).to_numpy()
        found = codes[place]
        if pairs and found.max(initial=-1) < 0:
            raise DataError(
                f"None of the {len(pairs):,} customers of {name} is in this study. Write the ids alike in both."
            )
        return replace(self, view=replace(self.view, labels={**self.view.labels, name: (found, words)}))

    def segment(self, segments: Any, label: str) -> Data:
        """Only the customers of one segment, whole.

        Args:
            segments: customer_id → label, as a mapping or a pandas Series.
            label: the segment that stays.
        """
        labelled = self.labelled("segment", segments)
        codes, words = labelled.view.labels["segment"]
        if label not in words:
            raise one_of("segment", label, words)
        mask = codes == words.index(label)
        mask = mask if self.view.chosen is None else mask & self.view.chosen
        return replace(labelled, view=replace(labelled.view, chosen=mask, segments=(*self.view.segments, label)))

    def frame(self, name: str):
        """A table's rows as a pandas frame, with every column as it came and moments in the study's zone.

        Args:
            name: canonical table.

        Returns:
            One row per input row that can be used, within the view's period, customers and `observed_until`.
        """
        frames = self.store.manifest["frames"]
        if name not in frames:
            raise one_of("table", name, frames)
        self.store.check_sources()
        kinds = self.store.manifest["kinds"][name]
        moments = [column for column, kind in kinds.items() if kind == "moment"]
        mine, chosen = "", None
        if name in (*WITH_CUSTOMER, "order_lines"):
            known = f"not starts_with(customer::varchar, {quoted(OWN)})"
            mine, chosen = f"case when {known} then customer::varchar end as customer_id, ", self.view.chosen
        shown_at = ", ".join(f"make_timestamptz({named(c)}) as {named(c)}" for c in moments)
        columns = f"{mine}* exclude (row, customer)" + (f" replace ({shown_at})" if moments else "")
        rows = f"({frames[name].replace(FOLDER, quoted(self.store.folder)[1:-1])})"
        with connect(self.store.folder) as con:
            found = con.sql(f"select {columns} from {rows}{self._where(name, kinds)} order by row").to_arrow_table()
        frame = found.to_pandas()
        for column in moments:
            frame[column] = frame[column].dt.tz_convert(self.tz)
        if chosen is not None:
            frame = frame[frame["customer_id"].isin(self.store.ids.to_pandas()[chosen])].reset_index(drop=True)
        return frame

    def _where(self, name: str, kinds: Mapping[str, str]) -> str:
        when, terms = KEYED.get(name) or {"campaigns": "date", "actions": "started_at"}.get(name), []
        if when in kinds:
            low, high = self.view.period
            terms.append(f"coalesce({named(when)} <= {self.observed_until}, true)")
            terms += [f"{named(when)} >= {low} and {named(when)} < {high}"] if self.view.period != EVER else []
        if name == "events":
            terms += [
                f"{named(c)} in ({', '.join(quoted(self.vocabulary(c)[code]) for code in codes)})"
                for c, codes in self.view.only
            ]
        return f" where {' and '.join(terms)}" if terms else ""

    def definition(self, measure: str, **card: Any) -> Definition:
        """The card of a result of this study: locale, zone, period and filters filled in."""
        low, high = self.view.period
        first = max(low, self.store.manifest["tables"]["events"]["low"] or 0)
        last = min(high - 1, self.observed_until)
        period = f"{shown(first, self.zone)[:10]} to {shown(last, self.zone)[:10]}"
        if first > last:
            late = f"from {shown(max(low, 0), self.zone)[:10]}, after the end of the data"
            period = late if low > last else "before the data begins"
        seen = [f"{c} = {', '.join(self.vocabulary(c)[code] for code in codes)} only" for c, codes in self.view.only]
        seen += [f"customers of {segment} only" for segment in self.view.segments]
        until = f"{period}; observed until {shown(self.observed_until, self.zone)[:16].replace('T', ' ')} {self.tz}"
        return Definition(
            measure=measure, period=until, seen_through="; ".join(seen), locale=self.locale, tz=self.tz, **card
        )

    def provenance(self) -> dict[str, Any]:
        """Where the figures come from: input, rows, period, settings, versions."""
        manifest = self.store.manifest
        return {
            "study": self.name,
            "fingerprint": manifest["fingerprint"],
            "rows": manifest["input_rows"],
            "customers": self.customers,
            "observed_until": shown(self.observed_until, self.zone),
            "period": self.definition("").period,
            "seen_through": self.definition("").seen_through,
            "tz": self.tz,
            "tz_assumed": manifest["assumed_tz"] and not self.tz_given,
            "locale": self.locale,
            "small_cells": self.small_cells,
            "versions": {name: version(name) for name in ("journey-toolkit", "pandas", "numpy", "duckdb")}
            | {"python": platform.python_version()},
        }
