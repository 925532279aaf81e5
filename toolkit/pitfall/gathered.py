"""Counts behind the pitfalls: devices, letters, purchases analytics missed, touchpoints in the dark, voices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.intake.purchases import FROM_ORDER
from toolkit.journeys.scales import share_of_scale
from toolkit.pitfall.cells import Cells, placed
from toolkit.pitfall.visits import FINISHED, LEFT, WAITED, Asked, outcomes
from toolkit.study.clock import DAY
from toolkit.study.table import Part

ON_DEVICE = (FINISHED, LEFT, WAITED)


def count_devices(part: Part, *, asked: Asked, channels: Mapping[str, int], devices: Mapping[str, int]) -> Cells:
    """Checkouts, visits and pages by measure × channel (last: unknown), on each kind of device."""
    size, found = len(channels) + 1, outcomes(part, asked)
    rows, did = (np.concatenate(columns) for columns in zip(*(found[name] for name in ON_DEVICE), strict=True))
    measure = np.repeat(np.arange(len(ON_DEVICE)), [len(found[name][0]) for name in ON_DEVICE])
    stratum = measure * size + placed(part, "events", "channel", channels, size - 1)[rows]
    group = placed(part, "events", "device", devices)[rows]
    return Cells.of(part.bucket[part.table.customer[rows]], stratum, group, did, (len(ON_DEVICE) * size, 2))


def count_letters(part: Part, *, letters: tuple[Sequence[int], Sequence[int]], personal: Mapping[str, int]) -> Cells:
    """Opened letters of a known campaign, by whether it is personal: does a click follow within a day?

    Args:
        part: some customers.
        letters: touchpoint codes of opens, and of clicks.
        personal: 1 or 0 for each campaign.
    """
    table, code = part.table, part.table["touchpoint"]
    kind = placed(part, "events", "campaign", personal)
    row = np.flatnonzero(np.isin(code, letters[0]) & part.anchored(table.time) & (kind >= 0))
    row = row[table.time[row] <= part.observed_until - DAY]
    clicked, owner = table.kept(np.isin(code, letters[1])), table.customer[row]
    place = np.maximum(clicked.last_before(owner, table.time[row], inclusive=False) + 1, clicked.offsets[owner])
    there = np.flatnonzero(place < clicked.offsets[owner + 1])
    near = clicked.time[place[there]] - table.time[row[there]] <= DAY
    hit = np.zeros(len(row), bool)
    hit[there] = near & (clicked["campaign"][place[there]] == table["campaign"][row[there]])
    return Cells.of(part.bucket[owner], kind[row] * 0, kind[row], hit, (1, 2))


def count_lost(part: Part, *, purchase: Sequence[int]) -> Cells:
    """Purchases of customers whom analytics saw within the day before: does only the order tell of it?"""
    table = part.table
    came = table[FROM_ORDER] != 1
    sold = np.flatnonzero(np.isin(table["touchpoint"], purchase) & part.anchored(table.time))
    seen = table.kept(came)
    last = seen.last_before(table.customer[sold], table.time[sold])
    sold, last = sold[last >= 0], last[last >= 0]
    sold = sold[table.time[sold] - seen.time[last] <= DAY]
    return Cells.of(part.bucket[table.customer[sold]], sold * 0, sold * 0, ~came[sold], (1, 1))


def count_known(part: Part, *, purchase: Sequence[int]) -> Cells:
    """Events by touchpoint: is a purchase of the customer known, at any time?"""
    table, v = part.table, len(part.words("touchpoint"))
    buys = table.per_customer(np.isin(table["touchpoint"], purchase)) > 0
    came = table[FROM_ORDER] != 1 if FROM_ORDER in table else True
    row = np.flatnonzero(part.anchored(table.time) & came)
    owner = table.customer[row]
    return Cells.of(part.bucket[owner], row * 0, table["touchpoint"][row], buys[owner], (1, v))


def count_voices(part: Part, *, about: Mapping[str, int]) -> Cells:
    """Customers who speak of each touchpoint, in feedback or by a score below the middle; last: who speak at all."""
    said, size = [], len(about) + 1
    for name in ("feedback", "responses"):
        if name in part.tables:
            table = part.tables[name]
            low = share_of_scale(part) < 0.5 if name == "responses" else True
            rows = np.flatnonzero(part.anchored(table.time))
            place = np.where(low, placed(part, name, "touchpoint", about), -1)[rows]
            owner = table.customer[rows].astype(np.int64)
            said += [owner[place >= 0] * size + place[place >= 0], owner * size + size - 1]
    owner, place = np.divmod(np.unique(np.concatenate(said)), size)
    return Cells.of(part.bucket[owner], place * 0, place, place * 0, (1, size))
