"""Ten traps of reading journeys: for each a guard that says when a result has walked into it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, log, nan

from toolkit.errors import UsageError, need_a
from toolkit.results import Definition, Result
from toolkit.shown import cell_parts, is_number, kind_of, show_number
from toolkit.study.attempt import Missing

FIRED, SILENT, UNCLEAR = "found", "not found", "cannot tell"
LEFT_OUT = ("hidden", "other", "longer", "excluded", "unknown", "alone")  # of a ledger
DID_NOT = ("not converted", "dropped", "failed", "left")  # of a ledger: who did not convert
NOTICEABLE = 0.1  # share of a population that must not be lost without a word
AS_LONG = 1.2  # times as long is no longer as long
ALL, NOT_ALL = 0.97, 0.9  # share that is as good as everyone; share that surely is not
TIMES = 20  # as often among those who converted is nearly never among the others
LIMIT = 5  # people of whom nothing is shown
CAUSE = re.compile(  # also in the languages of the samples, into which catalogues and captions are translated
    r"(?<!not )(?<!never )(?<!ikke )(?<!inte )(?<!nicht )\b(driv(?:es?|en by|ers?|ing)|leads? to|led to|because of"
    r"|due to|thanks to|caus(?:es?|ed|ing)|results? in|boost(?:s|ed)?|(?:increas|rais|improv)(?:es|ed)"
    r"|fører til|førte til|skyldes|på grund af|takket være|forårsager|øger"
    r"|leder till|ledde till|beror på|på grund av|tack vare|orsakar|ökar"
    r"|führ(?:t|en|te) zu|wegen|dank|aufgrund|verursach(?:t|en)|bewirk(?:t|en)|steiger(?:t|n)|erhöh(?:t|en))\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f’]\d+)*")


class Unclear(str):
    """Why a result does not tell whether it has walked into a trap."""


def denominators(result: Result, caption: str) -> str | None:
    """Unnamed denominators: a rate whose whole the card does not name."""
    card, rows, nameless = result.definition, result.rows(), []
    told = f"{card.denominator} {card.rules}".lower()
    general = any(":" not in clause for clause in card.denominator.split(";"))
    alike = general or all(_name(row).lower() in told for row in rows)  # one whole for all, or one for each row
    for key in dict.fromkeys(re.sub("_(low|high)$", "", key) for row in rows for key in row):
        *parts, kind = key.split("_")
        header = result.columns.get(key, " ".join(parts))
        words = *(word for word in header.split() if len(word) > 4), *parts, f"{kind}s"
        if kind_of(key) == "rate" and not (card.denominator if alike else any(word in told for word in words)):
            nameless.append(header)
    return f"The card does not say what {_listed(nameless)} is a share of." if nameless else None


def cuts(result: Result, caption: str) -> str | None:
    """Silent population cuts: a ledger that does not add up, or much left out without a word."""
    if not (ledger := getattr(result, "ledger", None)):
        return Unclear("it keeps no ledger of its population")
    whole, out = ledger["all"], sum(n for name, n in ledger.items() if name.startswith(LEFT_OUT))
    if (counted := sum(ledger.values()) - whole) != whole:
        return f"The ledger accounts for {_said(result, counted, 'count')} of {_said(result, whole, 'count')}."
    if out <= NOTICEABLE * whole:
        return None
    ways = [
        _said(result, out, "count"),
        _said(result, whole - out, "count"),
        _said(result, out / whole),
        _said(result, 1 - out / whole),
    ]
    told = _numbers(*result.say(), result.note, *result.definition.card().values())
    return None if _numbers(*ways) & told else f"{ways[2]} of all are in no row of their own, and nothing says so."


def survivorship(result: Result, caption: str) -> str | None:
    """Survivorship: only those who converted are looked at, or they are watched for less time than the others."""
    ledger = getattr(result, "ledger", {})
    if "converted" in ledger and not any(name.startswith(DID_NOT) for name in ledger):
        return "Only those who converted are counted: nothing says how they differ from the others."
    if not hasattr(result, "watched"):
        return Unclear("it does not say how long each was watched") if _compared(result) else None
    if not min(result.watched) or abs(log(result.watched[0] / result.watched[1])) < log(AS_LONG):
        return None
    won, others = (_said(result, seconds, "seconds") for seconds in result.watched)
    return f"Who converted is watched for {won} on average, the others for {others}: more time to meet everything."


def exposure(result: Result, caption: str) -> str | None:
    """Exposure confounding: longer journeys meet more of everything, and more of them convert."""
    rows = [row for row in result.rows() if not isnan(row.get("raw_odds", nan) + row.get("odds_ratio", nan))]
    if not rows:
        return Unclear("it does not set like against like") if _compared(result) else None
    pairs = ("raw_odds", "odds_ratio"), ("odds_ratio", "raw_odds")
    moved = [row for row in rows if not any(_within(row, key, row[other]) for key, other in pairs)]
    if not (apart := [row for row in moved if not _within(row, "raw_odds", 1)]):
        return None
    most = max(apart, key=lambda row: abs(log(row["raw_odds"] / row["odds_ratio"])))
    raw, alike = (_said(result, most[key], "number") for key in ("raw_odds", "odds_ratio"))
    return (
        f"How long a journey is moves {len(apart)} of {len(rows)} odds ratios, most that of {_name(most)}: "
        f"{raw} raw, {alike} like for like."
    )


def leakage(result: Result, caption: str) -> str | None:
    """Target leakage: what is compared is the conversion under another name, or comes with it only."""
    rows = [row for row in result.rows() if _name(row) not in getattr(result, "goal", ()) and _n_of(row) > 2 * LIMIT]
    only = [
        _name(row)
        for row in rows
        if row.get("conversion_rate", 0) > ALL or row.get("converting_share_low", 0) > TIMES * row.get("other_share", 1)
    ]
    return (
        f"Hardly anyone has {_listed(only)} without converting: is it the conversion by another name?" if only else None
    )


def structure(result: Result, caption: str) -> str | None:
    """Structural lift: what nobody can convert without, or meets before a step, seems to go with converting."""
    rows = [row for row in _compared(result) if _name(row) not in getattr(result, "goal", ())]
    forced = [_name(row) for row in rows if row["converting_share"] > ALL and row["other_share"] < NOT_ALL]
    told = [
        f"Nearly all who converted met {_listed(forced)}: is it a step that none can leave out? Then name it among the "
        "steps: as long as it is compared it pushes the others down."
    ] * bool(forced)
    late = [
        f"{_name(row)} (after {row['only_after']})"
        for row in rows
        if row.get("only_after") and row["p_adjusted"] < 0.05
    ]
    told += [f"Met only by who has got so far: {_listed(late)}. Their odds tell of the step before them, too."] * bool(
        late
    )
    return " ".join(told) or None


def small_cells(result: Result, caption: str) -> str | None:
    """Small cells without n: a figure without the number it is of, or of very few."""
    rows, limit = result.rows(), max(getattr(result, "small_cells", LIMIT), LIMIT)
    rows = [row for row in rows if any(kind_of(key) in ("rate", "points", "rel") or "odds" in key for key in row)]
    if any(isnan(_n_of(row)) for row in rows):
        return "Figures stand without the number of people or events they are of."
    few = [row for row in rows if 0 < _n_of(row) < limit]
    return f"{len(few)} of {len(rows)} rows are of fewer than {limit}." if few else None


def censoring(result: Result, caption: str) -> str | None:
    """Censoring at the edges of the log: journeys that began before it, or go on after it."""
    ledger, early = getattr(result, "ledger", {}), getattr(result, "early_share", 0.0)
    if "pending" not in ledger:
        return Unclear("it does not count whom the edges of the log cut off")
    late = ledger["pending"] / max(ledger["all"] - ledger.get("never entered", 0), 1)
    told = [f"{_said(result, late)} may go on after the last event seen"] * (late > NOTICEABLE)
    told += [f"{_said(result, early)} begin when the log does, with nothing known of before"] * (early > NOTICEABLE)
    return f"Of the journeys {' and '.join(told)}." if told else None


def cause(result: Result, caption: str) -> str | None:
    """Association worded as cause: a verb that promises an effect, in the caption or in what is said."""
    said = " ".join([caption, *result.say(), result.definition.measure])
    for word in sorted({v for row in result.rows() for v in row.values() if isinstance(v, str) and v}, key=len)[::-1]:
        said = said.replace(word, "…")
    found = CAUSE.search(said)
    return f"Worded as a cause: “{said[max(found.start() - 30, 0) : found.end() + 30].strip()}”." if found else None


def caption_numbers(result: Result, caption: str) -> str | None:
    """A caption whose number is not the figure's."""
    card, rows = result.definition, [*result.rows(), getattr(result, "headline", {})]
    rows.append({f"n_{name}": n for name, n in getattr(result, "ledger", {}).items()})
    own = [part for row in rows for key in row for part in cell_parts(row, key, card.locale, card.tz)]
    strange = sorted(_numbers(caption) - _numbers(*own, *result.say(), result.note, *card.card().values()))
    return f"The figure has no {_listed(strange)}, which its caption names." if strange else None


TRAPS: dict[str, Callable[[Result, str], str | None]] = {
    "unnamed denominators": denominators,
    "silent population cuts": cuts,
    "survivorship": survivorship,
    "exposure confounding": exposure,
    "target leakage": leakage,
    "structural lift": structure,
    "small cells without n": small_cells,
    "censoring at the edges": censoring,
    "association worded as cause": cause,
    "another number in the caption": caption_numbers,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traps(Result):
    """What ten guards saw in some results.

    Attributes:
        seen: trap → for each result its measure and the sentence; None where the guard saw nothing.
        definition: the card.
    """

    seen: dict[str, list[tuple[str, str | None]]]
    definition: Definition

    def rows(self) -> list[dict]:
        """One row per trap: found, not found or cannot tell, and what its guard saw in which result."""
        rows = []
        for trap, sentences in self.seen.items():
            told = [f"{measure}: {text}" for measure, text in sentences if text and not isinstance(text, Unclear)]
            unclear = [f"{measure}: {text}" for measure, text in sentences if isinstance(text, Unclear)]
            verdict = FIRED if told else UNCLEAR if len(unclear) == len(sentences) else SILENT
            rows.append({"trap": trap, "verdict": verdict, "seen": " ".join(told or unclear)})
        return rows

    def say(self) -> list[str]:
        """How many of the ten fired, and which."""
        saw = [row["trap"] for row in self.rows() if row["verdict"] == FIRED]
        return [f"{len(saw)} of ten traps found: {', '.join(saw)}." if saw else "None of the ten traps is found."]


def check_traps(*results: Result, caption: str = "") -> Traps:
    """Whether results walk into one of the ten traps of reading journeys.

    Args:
        *results: what measures returned; what could not be shown is passed over.
        caption: the words below the figure of one result, where they are not the result's own.

    Returns:
        Ten rows: the trap, whether it is found, not found or its guard cannot tell, and what it saw.

    Raises:
        UsageError: no result, something that is none, or a caption with several.

    Example:
        >>> import toolkit as tk
        >>> moves = tk.transitions(tk.open_data(tk.make_data(200, rng=1)))
        >>> rows = tk.check_traps(moves, caption="Search drives 4,242 customers to the cart.").rows()
        >>> [row["trap"] for row in rows if row["verdict"] == "found"][-2:]
        ['association worded as cause', 'another number in the caption']
    """
    if not results:
        raise UsageError("There is no result to look at; give what measures returned: check_traps(funnel, flow).")
    for result in results:
        need_a("A result", result, Result)
    shown = [result for result in results if not isinstance(result, Missing)]
    if caption and len(shown) != 1:
        raise UsageError(f"A caption belongs to one result; here are {len(shown)}.")
    seen = {trap: [(one.definition.measure, guard(one, caption)) for one in shown] for trap, guard in TRAPS.items()}
    return Traps(seen=seen, definition=Definition(measure="Traps"))


def fired(result: Result) -> list[str]:
    """The sentences of the guards that fire on a result: notes for its card.

    Example:
        >>> import toolkit as tk
        >>> fired(tk.sessions(tk.open_data(tk.make_data(50, rng=1))))
        []
    """
    found = [guard(result, "") for guard in TRAPS.values()]
    return [text for text in found if text and not isinstance(text, Unclear)]


def _compared(result: Result) -> list[dict]:
    """The rows that set customers who converted beside the others."""
    return [row for row in result.rows() if "converting_share" in row and "other_share" in row]


def _name(row: dict) -> str:
    return str(next(iter(row.values())))


def _n_of(row: dict) -> float:
    """The number that a row is of: the largest of its counts."""
    return max((n for key, n in row.items() if kind_of(key) == "count" and is_number(n)), default=nan)


def _within(row: dict, key: str, value: float) -> bool:
    return row[f"{key}_low"] <= value <= row[f"{key}_high"]


def _said(result: Result, value: float, kind: str = "rate") -> str:
    return show_number(value, kind, result.definition.locale)


def _listed(words: list[str]) -> str:
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def _numbers(*texts: str) -> set[str]:
    return set(_NUMBER.findall(" ".join(texts)))
