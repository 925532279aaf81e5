"""Slow twins, written from the definitions in plain Python: every entry and every chain of a customer is tried."""

from collections import Counter
from dataclasses import dataclass, field

from toolkit.journeys.steps import Condition, Step

MIN = 60_000_000
DAY = 24 * 60 * MIN


def step(*codes):
    """A step of touchpoints by code."""
    return Step("", (Condition("touchpoint", codes),))


@dataclass(frozen=True)
class Asked:
    """A funnel as the twin takes it; events are (time, touchpoint, device) in input order."""

    steps: tuple[tuple[str, ...], ...]
    window: int
    entry: str = "best"
    ties: str = "favour"
    period: tuple[int, int] = (-(1 << 62), 1 << 62)
    until: int = 1 << 62


@dataclass
class Told:
    """What the twin counts; depths are keyed (device at entry, steps reached)."""

    reached: Counter = field(default_factory=Counter)
    matured: Counter = field(default_factory=Counter)
    pending: Counter = field(default_factory=Counter)
    tied: int = 0
    since_before: dict = field(default_factory=dict)
    since_entry: dict = field(default_factory=dict)


def entries_of(events, asked):
    may = [
        i
        for i, (time, touchpoint, _) in enumerate(events)
        if touchpoint in asked.steps[0] and asked.period[0] <= time < asked.period[1]
    ]
    return may[:1] if asked.entry == "first" else may


def chains_from(events, asked, chain):
    """Every chain that begins like this one, this one included."""
    yield chain
    if len(chain) == len(asked.steps):
        return
    last = chain[-1]
    for i, (time, touchpoint, _) in enumerate(events):
        later = i > last if asked.ties == "file" else time >= events[last][0] and i not in chain
        if later and touchpoint in asked.steps[len(chain)] and time - events[chain[0]][0] <= asked.window:
            yield from chains_from(events, asked, (*chain, i))


def chain_that_counts(events, asked, entries):
    """Deepest, then earliest done, then latest entered; of equals the one that takes each step earliest."""

    def merit(chain):
        done = chain[-1] if asked.ties == "file" else events[chain[-1]][0]
        return len(chain), -done, chain[0], [-events[i][0] for i in chain]

    return max((c for entry in entries for c in chains_from(events, asked, (entry,))), key=merit, default=())


def funnel_of(journeys, asked):
    """Counts of many customers; each journey is its events in input order."""
    told = Told()
    for journey in journeys:
        events = sorted((e for e in journey if e[0] <= asked.until), key=lambda e: e[0])
        _count(told, events, asked)
    return told


def _count(told, events, asked):
    entries = entries_of(events, asked)
    chain = chain_that_counts(events, asked, entries)
    ripe = [i for i in entries if events[i][0] <= asked.until - asked.window]
    matured = chain_that_counts(events, asked, ripe)
    other = Asked(asked.steps, asked.window, asked.entry, "file" if asked.ties == "favour" else "favour", asked.period)
    told.tied += len(chain) != len(chain_that_counts(events, other, entries))
    for found, tally in ((chain, told.reached), (matured, told.matured)):
        if found:
            tally[events[found[0]][2], len(found)] += 1
    if chain and len(chain) < len(asked.steps) and len(ripe) < len(entries):
        told.pending[events[chain[0]][2]] += 1
    times = [events[i][0] for i in chain]
    for step in range(1, len(times)):
        told.since_before.setdefault(step, []).append((times[step] - times[step - 1]) / 1e6)
        told.since_entry.setdefault(step, []).append((times[step] - times[0]) / 1e6)
