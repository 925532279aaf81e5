"""What `check()` says of a study: its tables, and every finding about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.intake.finding import spoken
from toolkit.intake.purchases import CANCELLED, NO_ORDER
from toolkit.results import Definition, Result
from toolkit.schema import TABLES
from toolkit.shown import show_number
from toolkit.study.clock import DAY, shown
from toolkit.study.encode import OTHERS

if TYPE_CHECKING:
    from toolkit.study.data import Data

SEVERITY = ("warning", "note")  # the order in which findings are shown
MUCH = 0.1  # share of a table's rows above which a finding is more than an exception
ENOUGH_TIES = 0.2  # share of events at the moment of the one before, above which the clock is coarse


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Result):
    """Tables and findings.

    Attributes:
        found: one dict per finding: table, finding, n, severity ("there", "note", "warning").
        definition: the card.
    """

    found: tuple[dict, ...]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per table that is there, then one per finding: table, finding, n_rows, severity."""
        return [dict(row) for row in self.found]

    def say(self) -> list[str]:
        """How many findings need a look, and the largest."""
        wrong = [row for row in self.found if row["severity"] == "warning"]
        if not wrong:
            return ["Yes: every row could be read, and nothing was found that would mislead."]
        sizes = {row["table"]: max(row["n_rows"], 1) for row in self.found if row["severity"] == "there"}
        worst = max(wrong, key=lambda row: row["n_rows"] / sizes.get(row["table"], 1))
        much = worst["n_rows"] / sizes.get(worst["table"], 1) > MUCH
        answer = "Only in part" if much else "Yes, with exceptions"
        n = show_number(len(wrong), "count", self.definition.locale)
        largest = f"{worst['table']} {worst['finding']}".rstrip(".")
        return [f"{answer}: {n} finding{'s' * (len(wrong) > 1)} to look at, first of all that {largest}."]

    @property
    def warnings(self) -> list[str]:
        """The findings that need a look, as phrases."""
        return [f"{row['table']} {row['finding']}" for row in self.found if row["severity"] == "warning"]


def findings_of(data: Data) -> Check:
    """Everything known about a study's input, as `Check`."""
    manifest, found = data.store.manifest, []
    for name in TABLES:
        if name in data.tables:
            info = data.tables[name]
            span = f", {info.first_at[:10]} to {info.last_at[:10]}" if info.first_at and info.last_at else ""
            found.append(_row(name, f"is there{span}", info.rows, "there"))
    seen = [*_of_settings(data), *manifest["findings"]]
    place = {name: i for i, name in enumerate(TABLES)}
    seen.sort(key=lambda finding: (SEVERITY.index(finding["severity"]), place.get(finding["table"], len(place))))
    found += [_row(f["table"], spoken(f["text"], data.locale), f["n"], f["severity"]) for f in seen]
    card = data.definition("Tables and findings", unit="input rows")
    return Check(found=tuple(found), definition=card)


def _row(table: str, finding: str, n: int, severity: str) -> dict:
    return {"table": table, "finding": finding, "n_rows": n, "severity": severity}


def _of_settings(data: Data) -> list[dict]:
    """Findings that depend on how the study was opened."""
    manifest, found = data.store.manifest, []
    events = manifest["tables"]["events"]

    def add(table: str, text: str, n: int, severity: str = "warning") -> None:
        found.append({"table": table, "text": text, "n": n, "severity": severity})

    for name in manifest["unread"]:
        add(name, "is no table's name and was not read; the tables are " + ", ".join(TABLES), 0)
    for name in (name for name, rows in manifest["input_rows"].items() if not rows):
        add(name, "has a header and no rows; export it again", 0)
    if manifest["assumed_tz"] and not data.tz_given:
        table = "events" if "events" in data.tables else next(iter(data.tables))
        told = "has moments without a time zone; UTC was assumed (name the zone, such as Europe/Copenhagen)"
        add(table, told, manifest["input_rows"][table])
    if events["rows"] and events["ties"] / events["rows"] > ENOUGH_TIES:
        share = show_number(events["ties"] / events["rows"], "rate", data.locale)
        add("events", f"is coarse in time: {share} stand at the moment of the one before", events["ties"], "note")
    last = events["high"]
    if last is not None and data.observed_until - last > 2 * DAY:
        end, days = shown(last, data.zone)[:10], (data.observed_until - last) // DAY
        text = f"ends {end}, {days} days before as_of; the days between count as quiet"
        add("events", text, 0)
    ours = (CANCELLED, NO_ORDER, OTHERS)
    unplaced = data.catalogue.coverage([t for t in data.vocabulary("touchpoint") if t not in ours]).unplaced
    if unplaced:
        listed = ", ".join(unplaced[:6]) + (" …" if len(unplaced) > 6 else "")
        add(
            "events",
            f"has touchpoints the catalogue does not place in a stage ({listed}); place them in a catalogue.toml",
            len(unplaced),
            "note",
        )
    return found
