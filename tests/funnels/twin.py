"""Slow twins, written from the definitions in plain Python: every entry and every chain of a unit is tried."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

from toolkit.funnels.chains import Search
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
    order: str = "ordered"
    gap: int = 0
    exclude: tuple[str, ...] = ()
    optional: tuple[int, ...] = ()
    period: tuple[int, int] = (-(1 << 62), 1 << 62)
    until: int = 1 << 62

    def search(self, words):
        """The same as the house takes it, codes being places in these words."""
        steps = tuple(step(*map(words.index, some)) for some in self.steps)
        exclude = tuple(step(words.index(word)) for word in self.exclude)
        return Search(steps, self.window, self.entry, self.ties, self.order, self.gap, exclude, self.optional)

    @property
    def favour(self):
        return self.ties == "favour"


@dataclass
class Told:
    """What the twin counts; units are keyed (device at entry, step reached)."""

    reached: Counter = field(default_factory=Counter)
    matured: Counter = field(default_factory=Counter)
    pending: Counter = field(default_factory=Counter)
    people: Counter = field(default_factory=Counter)
    seen: int = 0
    tied: int = 0
    since_before: dict = field(default_factory=dict)
    since_entry: dict = field(default_factory=dict)


def funnel_of(journeys, asked):
    """Counts of many customers; each journey is its events in input order."""
    told = Told()
    for journey in journeys:
        events, devices = sorted((e for e in journey if e[0] <= asked.until), key=lambda e: e[0]), set()
        for unit in units_of(events, asked.gap):
            devices |= set(_count(told, unit, asked))
        told.people.update(devices)
    return told


def units_of(events, gap):
    """The journey whole, or its sessions."""
    if not gap:
        return [events]
    starts = [i for i in range(len(events)) if i == 0 or events[i][0] - events[i - 1][0] > gap]
    return [events[low:high] for low, high in pairwise([*starts, len(events)])]


def _count(told, events, asked):
    entries = entries_of(events, asked)
    found = chains_that_count(events, asked, entries)
    ripe = [i for i in entries if events[i][0] <= asked.until - asked.window]
    if asked.entry == "every":
        matured = [chain for chain in found if chain[0] in ripe]
        told.seen += len(found)
    else:
        matured = chains_that_count(events, asked, ripe)
        told.seen += any(_inside(event, asked) for event in events)
    other = replace(asked, ties="file" if asked.favour else "favour")
    told.tied += _outcome(found) != _outcome(chains_that_count(events, other, entries_of(events, other)))
    for chains, tally in ((found, told.reached), (matured, told.matured)):
        for chain in chains:
            tally.update((events[chain[0]][2], number) for number, row in enumerate(chain) if row >= 0)
    for chain in found:
        young = chain[0] not in ripe if asked.entry == "every" else len(ripe) < len(entries)
        if young and chain[-1] < 0:
            told.pending[events[chain[0]][2]] += 1
        times = [(number, events[row][0]) for number, row in enumerate(chain) if row >= 0]
        for (_, before), (number, now) in pairwise(times):
            told.since_before.setdefault(number, []).append((now - before) / 1e6)
            told.since_entry.setdefault(number, []).append((now - times[0][1]) / 1e6)
    return [events[chain[0]][2] for chain in found]


def _outcome(chains):
    return len(chains), sum(row >= 0 for chain in chains for row in chain)


def _inside(event, asked):
    return asked.period[0] <= event[0] < asked.period[1]


def _serves(event, number, asked):
    return event[1] in asked.steps[number] and event[1] not in asked.exclude


def entries_of(events, asked):
    """The events that may open, in the period (of every attempt: at any time)."""
    numbers = range(len(asked.steps)) if asked.order == "any" else [0]
    may = [i for i, event in enumerate(events) if any(_serves(event, number, asked) for number in numbers)]
    if asked.entry != "every":
        may = [i for i in may if _inside(events[i], asked)]
    return may[:1] if asked.entry == "first" else may


def chains_that_count(events, asked, entries):
    """The chains, each with a place per step (−1 = not reached)."""
    if asked.entry == "every":
        return [chain for chain in attempts(events, asked, entries) if _inside(events[chain[0]], asked)]
    best = best_chain(events, asked, entries)
    return [best] if best else []


def best_chain(events, asked, entries):
    """Deepest, then earliest done, then latest entered, then missing fewest steps, then each step earliest."""

    def merit(chain):
        last = max(number for number, row in enumerate(chain) if row >= 0)
        done = events[chain[last]][0] if asked.favour else chain[last]
        entered = (events[chain[0]][0], -chain[0]) if asked.favour and asked.order == "any" else chain[0]
        taken = [row >= 0 for row in chain]
        return last, -done, entered, sum(taken), taken, [-events[row][0] for row in chain if row >= 0]

    if asked.order == "any":
        chains = [any_order(events, asked, entry) for entry in entries]
    else:
        rest = (-1,) * (len(asked.steps) - 1)
        chains = [c for entry in entries for c in chains_from(events, asked, (entry, *rest), 0)]
        chains = [c for c in chains if _allowed(events, asked, [row for row in c if row >= 0])]
    return max(chains, key=merit, default=())


def chains_from(events, asked, chain, last):
    """Every chain that begins like this one, this one included, whatever lies between."""
    yield chain
    for number in range(last + 1, len(asked.steps)):
        for i, event in enumerate(events):
            later = event[0] >= events[chain[last]][0] and i not in chain if asked.favour else i > chain[last]
            if later and _serves(event, number, asked) and event[0] - events[chain[0]][0] <= asked.window:
                yield from chains_from(events, asked, (*chain[:number], i, *chain[number + 1 :]), number)
        if number not in asked.optional:
            return


def _allowed(events, asked, rows):
    """Whether nothing lies between that must not."""
    if asked.favour:
        low, high = events[rows[0]][0], events[rows[-1]][0]
        between = [i for i, event in enumerate(events) if low < event[0] < high]
    else:
        between = range(rows[0] + 1, rows[-1])
    if asked.order == "strict":
        return all(i in rows for i in between)
    return not any(events[i][1] in asked.exclude for i in between)


def any_order(events, asked, entry):
    """The events at which one step more could be served."""
    start, rows = events[entry][0], [entry]
    beside = [i for i, event in enumerate(events) if event[0] >= start and i != entry] if asked.favour else []
    for i in beside or range(entry + 1, len(events)):
        if events[i][0] - start <= asked.window and _allowed(events, asked, [*rows[:1], i]):
            rows.append(i)
    found, served = [], 0
    for n in range(1, len(rows) + 1):
        most = _most(events, asked, rows[:n], frozenset())
        if most > served:
            found, served = [*found, rows[n - 1]], most
    return (*found, *[-1] * (len(asked.steps) - len(found)))


def _most(events, asked, rows, taken):
    """How many steps these events can serve, one each."""
    if not rows:
        return 0
    free = [n for n in range(len(asked.steps)) if n not in taken and _serves(events[rows[0]], n, asked)]
    used = [1 + _most(events, asked, rows[1:], taken | {n}) for n in free]
    return max([_most(events, asked, rows[1:], taken), *used])


def attempts(events, asked, entries):
    """One attempt after the other."""
    moments = [list(rows) for _, rows in groupby(range(len(events)), key=lambda i: events[i][0])]
    after = {i: rows[-1] + 1 if asked.favour else i + 1 for rows in moments for i in rows}
    end, found = 0, []
    while left := [i for i in entries if i >= end]:
        here = [i for i in left if events[i][0] == events[left[0]][0]] if asked.favour else left[:1]
        chain = best_chain(events, asked, here)
        found.append(chain)
        if chain[-1] >= 0 or asked.order == "strict":
            end = after[max(chain)]
            continue
        start = events[chain[0]][0]
        ends = [i for i, event in enumerate(events) if event[0] - start > asked.window]
        for i, event in enumerate(events):
            if event[1] in asked.exclude and (event[0] > start if asked.favour else i > chain[0]):
                ends.append(after[i])
        end = min([*ends, len(events)])
    return found
