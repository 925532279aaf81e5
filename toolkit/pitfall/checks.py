"""The nine checks: each turns counts into figures with limits, and says what else is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from toolkit.catalogue import device_of, normalise
from toolkit.credit.attribution import attribution
from toolkit.errors import MissingData
from toolkit.journeys.coverage import EXPORTS, need_events
from toolkit.paths.handoffs import cart_handoffs
from toolkit.paths.loops import repeated_contacts
from toolkit.pitfall.cells import gaps
from toolkit.pitfall.consistency import Alike, consistency, named
from toolkit.pitfall.findings import LEVEL, Figure, Finding, level_of, why
from toolkit.pitfall.gathered import ON_DEVICE, count_devices, count_known, count_letters, count_lost, count_voices
from toolkit.pitfall.replies import ReplyCounts, count_replies, slope
from toolkit.pitfall.visits import FINISHED, Asked
from toolkit.shown import safe_text, show_number
from toolkit.stats.clusters import clustered_rate
from toolkit.stats.shares import wilson
from toolkit.study.data import Data
from toolkit.study.engine import run

RELEVANT = 0.05  # of a scale, or percentage points
ENOUGH = 30  # customers of a channel, or of a touchpoint
LOST = 0.01  # of the orders
UPLIFT, TO_ALL = 0.02, 0.5  # clicks per opened letter; letters for all
DEAR, BUDGET = 2.0, 0.05  # times the cost of the others; of the money spent
SPOKEN_OF = 0.0075  # of the customers who speak
PERSONAL = ("for you", "personal", "personalised", "personalized", "til dig", "för dig", "personlig", "für dich")


def inconsistent(data: Data, gap: str) -> Finding:
    """Channels in which customers fare worse than in the others, like with like."""
    found = consistency(data, gap=gap)
    compared = {name: one for name, one in found.compared(ENOUGH).items() if name in ("csat", FINISHED)}
    family, figures = sum(len(one.known) for one in compared.values()), []
    for measure, one in compared.items():
        for i in one.known:
            what = f"{named(measure)} in {safe_text(found.channels[i], 40)}, minus the other channels, of its scale"
            figures.append(Figure.of(what, one.ends(i, level_of(family)), -RELEVANT, one.n[i], "points"))
    figures.sort(key=lambda figure: -figure.beyond)
    missing = "" if "csat" in compared else f"a channel column in {EXPORTS['responses'][1]}"
    return Finding(figures=tuple(figures), evidence=found.say()[0], missing=missing)


def neglected(data: Data, gap: str) -> Finding:
    """Mobile against desktop in the same channel: checkouts finished, visits left at once, slow pages."""
    need_events(data, "neglected mobile")
    devices = {word: int(kind == "mobile") for word in data.vocabulary("device") if (kind := device_of(word))}
    source = f"{EXPORTS['events'][1]}, with device (mobile, desktop), load_ms, and touchpoints the catalogue knows"
    if {0, 1} - set(devices.values()):
        raise MissingData("neglected mobile", "events on mobile and on desktop", source)
    channels, figures = Alike.of(data).channels, []
    cells = run(data, count_devices, asked=Asked.of(data, gap), channels=channels, devices=devices)
    for i, name in enumerate(ON_DEVICE):
        size = len(channels) + 1
        found = gaps(cells.at(slice(i * size, (i + 1) * size)), data.small_cells)
        if 1 in found.known:
            what, limit = f"{name}, mobile minus desktop", RELEVANT if i else -RELEVANT
            figures.append(Figure.of(what, found.ends(1, level_of(3)), limit, found.n.sum(), "points"))
    missing = source if len(figures) < len(ON_DEVICE) else ""
    evidence = f"In the same channel: {'; '.join(figure.said(data.locale) for figure in figures)}."
    return Finding(figures=tuple(figures), evidence=evidence, missing=missing)


def untracked(data: Data) -> Finding:
    """Purchases that analytics missed, and traffic at touchpoints that no purchase is known after."""
    need_events(data, "analytics ignored")
    names, purchase = data.vocabulary("touchpoint"), _purchases(data)
    if not purchase:
        raise MissingData("analytics ignored", "purchases", EXPORTS["orders"][1])
    known = run(data, count_known, purchase=purchase)
    dark = (known.n.any(axis=(1)).sum(axis=0) >= ENOUGH) & ~known.total.any(axis=(0, 1))
    share = clustered_rate(known.n[:, 0, dark].sum(axis=1)[:, None], known.n.sum(axis=2), LEVEL)
    what = "events at touchpoints none of whose customers has a known purchase"
    figures, missing = [Figure.of(what, share, RELEVANT, known.n.sum())], EXPORTS["orders"][1]
    if data.store.manifest["input_rows"].get("orders"):
        lost, missing = run(data, count_lost, purchase=purchase), ""
        share = clustered_rate(lost.total[:, 0], lost.n[:, 0], LEVEL)
        if 0 < lost.n.sum() == lost.total.sum():  # nothing tracks purchases, or under a name that nobody knows
            source = "a catalogue.toml that places what the events call a purchase"
            raise MissingData("analytics ignored", "purchase events of a known name", source)
        figures.insert(0, Figure.of("orders without a purchase event", share, LOST, lost.n.sum()))
    listed = _listed([names[i] for i in np.flatnonzero(dark)])
    evidence = f"Met only by customers without a known purchase: {listed}."
    evidence = evidence if listed else "No touchpoint is met only by customers without a known purchase."
    return Finding(figures=tuple(figures), evidence=evidence, missing=missing)


def ignored(data: Data) -> Finding:
    """Requests that nobody has acted on for a week."""
    counts = _replies(data, "feedback ignored")
    share = clustered_rate(counts.requests.total[:, 0], counts.requests.n[:, 0], LEVEL)
    n = counts.requests.n[:, 0].sum()
    age = show_number(float(counts.open_days.quantile(0.5, groups=1)[0]), "days", data.locale)
    figure = Figure.of("requests without reply or status after a week", share, RELEVANT, n)
    return Finding(
        figures=(figure,), evidence=f"Those that are open have waited {age} (median)." if figure.value else ""
    )


def fragmented(data: Data) -> Finding:
    """Carts left after a change of channel, and contacts that have to be made again elsewhere."""
    carts = "carts taken on to the checkout, after a change of channel minus staying"
    again = "contacts repeated in another channel within 3 days"
    figures, reasons, missing = [], [], []
    for measure, key, n, what, limit in (
        (cart_handoffs, "goal_rate_diff", "n_moved", carts, -RELEVANT),
        (repeated_contacts, "other_channel_rate", "n_contacts", again, RELEVANT),
    ):
        try:
            row = measure(data).headline
        except MissingData as gap:
            reasons.append(why(gap)[0])
            missing.append(why(gap)[1])
            continue
        ends = np.array([row[f"{key}{end}"] for end in ("", "_low", "_high")])
        if row[n] < max(data.small_cells, 1) or np.isnan(ends).any():
            missing.append("more customers who change channel, or ask again")
        else:
            figures.append(Figure.of(what, ends, limit, row[n], "points" if limit < 0 else "rate"))
    said = "; ".join(figure.said(data.locale) for figure in figures)
    return Finding(
        figures=tuple(figures), evidence=f"Measured: {said}." if said else " ".join(reasons), missing="; ".join(missing)
    )


def impersonal(data: Data, personal: Collection[str] | None) -> Finding:
    """Letters meant for somebody are clicked more, yet most letters are meant for all."""
    names, campaigns = data.vocabulary("touchpoint"), data.vocabulary("campaign")
    place = {name: getattr(data.catalogue.place(name), "name", "") for name in names}
    letters = [data.codes(n for n in names if place[n] == kind) for kind in ("newsletter", "newsletter click")]
    if not (all(letters) and campaigns):
        source = "the mail tool's export of opens and clicks, one row per customer and letter, with its campaign"
        raise MissingData("no personalisation", "letters opened and clicked by customer, with their campaign", source)
    said = {name for name in campaigns if any(f" {word} " in f" {normalise(name)} " for word in PERSONAL)}
    meant = {name: int(name in (said if personal is None else personal)) for name in campaigns}
    cells = run(data, count_letters, letters=letters, personal=meant)
    found, n = gaps(cells, data.small_cells), cells.n[:, 0]
    if 1 not in found.known:
        source = "letters to some customers only, by what they did; name their campaigns: pitfalls(data, personal=[…])"
        raise MissingData("no personalisation", "letters of both kinds, personal ones and others", source)
    clicks = "clicks per opened letter, personal minus others"
    uplift = Figure.of(clicks, found.ends(1, LEVEL), UPLIFT, n.sum(), "points")
    share = clustered_rate(n[:, [0]], n.sum(axis=1, keepdims=True), LEVEL)
    to_all = Figure.of("Opened letters that were meant for all", share, TO_ALL, n.sum())
    listed = _listed([name for name, own in meant.items() if own])
    evidence = f"{to_all.said(data.locale)}. Taken as personal: {listed}."
    return Finding(figures=(uplift, to_all), together=True, evidence=evidence)


def slow(data: Data) -> Finding:
    """Many wait long for a reply, and those who wait longer are less content."""
    _need(data, "slow response", "responses")
    counts, locale = _replies(data, "slow response"), data.locale
    n, requests = int(counts.felt[:, :, 0].sum()), counts.requests
    share = clustered_rate(requests.total[:, 1], requests.n[:, 1], LEVEL)
    late = Figure.of("requests that waited more than 4 hours", share, RELEVANT, requests.n[:, 1].sum())
    what = "CSAT of those who waited ten times as long, minus the others, of its scale"
    duller = Figure.of(what, slope(counts.felt, LEVEL), -RELEVANT, n, "points")
    evidence = f"{_waits(counts, locale)}; {late.said(locale)}."
    back = gaps(counts.back, data.small_cells)
    if 1 in back.known:
        what = "Bought again within 90 days, replied to after a day minus sooner"
        evidence += f" {Figure.of(what, back.ends(1, LEVEL), RELEVANT, 0, 'points').said(locale)}."
    missing = "CSAT answers after the reply, with their customer" if n < data.small_cells else ""
    return Finding(figures=(duller, late), together=True, evidence=evidence, missing=missing)


def costly(data: Data) -> Finding:
    """A paid touchpoint takes a good part of the money and costs far more per conversion than the others."""
    _need(data, "costs not weighed", "campaigns", "touchpoint")
    credit, source = attribution(data, by="touchpoint"), EXPORTS["campaigns"][1]
    if data.view.chosen is not None or data.view.only:
        source = "a view of all customers and events; costs are known for all together only"
    money = dict.fromkeys((currency for _, currency in credit.costs), 0.0)
    for (_, currency), cost in credit.costs.items():
        money[currency] += cost
    main = max(money, key=money.get, default="")
    paid = {name: cost for (name, currency), cost in credit.costs.items() if currency == main}
    digital = {n: c for n, c in paid.items() if getattr(data.catalogue.place(n), "kind", "") != "physical"}
    tried = [n for n, c in digital.items() if n in credit.names and c >= BUDGET * sum(digital.values())]
    figures = [one for name in tried if (one := _dear(credit, digital, name, level_of(len(tried))))]
    if not figures:
        raise MissingData("costs not weighed", "costs of two touchpoints that conversions are credited to", source)
    most = max(paid, key=paid.get)
    share = show_number(paid[most] / sum(paid.values()), "rate", data.locale)
    evidence = f"{safe_text(most, 40)} takes most of the money, {share}. Compared: {_listed(tried)}."
    return Finding(figures=tuple(sorted(figures, key=lambda one: -one.beyond)), evidence=evidence)


def _dear(credit, costs: dict[str, float], name: str, level: float) -> Figure | None:
    """Cost per conversion over that of the others, by the rule that is kindest to the touchpoint."""
    from scipy.special import ndtri

    at = {n: credit.names.index(n) for n in costs if n in credit.names}
    own, rest = credit.credit[:, at.pop(name)], credit.credit[:, list(at.values())]
    total = rest[0].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (costs[name] / own[0]) / ((sum(costs.values()) - costs[name]) / total)
        errors = np.log(own[2] / own[1]) ** 2 + ((rest[2] - rest[1]) ** 2).sum(axis=0) / total**2
    if not np.isfinite(ratio * errors).any():
        return None
    rule = int(np.nanargmin(np.where(np.isfinite(ratio * errors), ratio, np.nan)))
    reach = np.exp(np.sqrt(errors[rule]) / 2 * ndtri((1 + level) / 2) / ndtri((1 + LEVEL) / 2))
    what = (
        f"cost of a conversion credited to {safe_text(name, 40)}, times that of the others, by the rule kindest to it"
    )
    return Figure.of(what, (ratio[rule], ratio[rule] / reach, ratio[rule] * reach), DEAR, own[0, rule], "ratio")


def unasked(data: Data) -> Finding:
    """Actions for touchpoints that next to no customer speaks of."""
    _need(data, "goals set from inside", "actions")
    _need(data, "goals set from inside", "feedback", "touchpoint")
    actions = data.frame("actions")["touchpoint"]
    if actions.empty:
        raise MissingData("goals set from inside", "actions in the period", EXPORTS["actions"][1])
    about = {name: i for i, name in enumerate(sorted(set(actions)))}
    n = run(data, count_voices, about=about).n.sum(axis=(0, 1))
    low, high = wilson(n[:-1], np.full(len(about), n[-1]), level_of(len(about)))
    met = {name for table in ("events", "feedback", "responses") for name in data.vocabulary("touchpoint", table)}
    idle = {name for name, i in about.items() if high[i] < SPOKEN_OF and name in met}
    backed = {name for name, i in about.items() if low[i] >= SPOKEN_OF}
    share, most = float(actions.isin(idle).mean()), float((~actions.isin(backed)).mean())
    what = "actions for what hardly any customer speaks of"
    people, few = show_number(int(n[-1]), "count", data.locale), show_number(SPOKEN_OF, "rate", data.locale)
    said = (
        f"{int(actions.isin(idle).sum())} of {len(actions)} actions: fewer than {few} of the {people} customers who "
        f"gave feedback or a score complain of {_listed(sorted(idle))}."
    )
    missing = "more feedback, with the touchpoint it is about" if most > share else ""
    figure = Figure.of(what, (share, share, most), RELEVANT, len(actions))
    return Finding(figures=(figure,), evidence=said if idle else "", missing=missing)


def _need(data: Data, pitfall: str, table: str, *columns: str) -> None:
    """Raises MissingData where the table, or all of the columns, are absent."""
    manifest, listed = data.store.manifest, " or ".join(columns)
    if not manifest["input_rows"].get(table) or (columns and not {*columns} & {*manifest["kinds"][table]}):
        raise MissingData(pitfall, table, EXPORTS[table][1] + (f", with {listed}" if listed else ""))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(safe_text(name, 40) for name in names[:5]) + (" and others" if len(names) > 5 else "")


def _purchases(data: Data) -> tuple[int, ...]:
    return data.codes(data.catalogue.names_with_role("purchase", data.vocabulary("touchpoint")))


def _replies(data: Data, pitfall: str) -> ReplyCounts:
    _need(data, pitfall, "feedback", "first_reply_at", "resolved_at", "status")
    counts = run(data, count_replies, purchase=_purchases(data))
    if counts.requests.n.sum() < 2 * max(data.small_cells, 1):
        raise MissingData(pitfall, "requests a week old or older", EXPORTS["feedback"][1])
    return counts


def _waits(counts: ReplyCounts, locale: str) -> str:
    """Within what time half and nine in ten of the requests have a reply; those without one come last."""
    said, all_, answered = "", counts.requests.n[:, 0].sum(), max(counts.wait_hours.counts.sum(), 1)
    for share, many in ((0.5, "half"), (0.9, "nine in ten")):
        if (reach := share * all_ / answered) > 1:
            return f"Of all requests{said and f'{said};'} fewer than {many} have a reply at all"
        hours = float(counts.wait_hours.quantile(reach, groups=1)[0])
        said += f"{',' * bool(said)} {many} have a reply within {show_number(hours / 24, 'days', locale)}"
    return f"Of all requests{said}"
