"""Random experiments with ties, and a slow twin that counts each customer on its own."""

import numpy as np
import pandas as pd

import toolkit as tk

START = pd.Timestamp("2026-03-01", tz="UTC")
HALF = pd.Timedelta("30min")
WINDOW = pd.Timedelta(days=5)
VARIANTS = ["base", "new", "third"]
METRICS = [tk.share("buy"), tk.mean("points", covariate="before"), tk.ratio("revenue", "orders")]


def world(seed, customers=60, days=16):
    """Tables in which moments are few, so that events, orders and exposures often share one."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i}" for i in range(customers)])

    def at(n):
        half_hours = rng.integers(0, days, n) * 48 + rng.integers(20, 28, n)
        return START + pd.to_timedelta(half_hours * 30, unit="min")

    n = 6 * customers
    events = pd.DataFrame({"customer_id": rng.choice(ids[5:], n), "timestamp": at(n)})
    events["touchpoint"] = rng.choice(["see", "buy", "ask"], n)
    events["device"] = rng.choice(np.array(["phone", "desk", None], object), n)
    events["points"] = np.where(rng.random(n) < 0.3, np.nan, rng.normal(1, 3, n))
    n = 3 * customers
    orders = pd.DataFrame({"order_id": range(n), "customer_id": rng.choice(ids, n), "timestamp": at(n)})
    orders = orders.assign(revenue=rng.lognormal(3, 1, n).round(2), currency="EUR", cancelled=rng.random(n) < 0.1)
    n = 2 * customers
    given = pd.DataFrame({"customer_id": rng.choice(ids, n), "exposed_at": at(n)})
    given["experiment_id"] = rng.choice(["trial", "another"], n, p=[0.7, 0.3])
    usual = {name: VARIANTS[int(i)] for name, i in zip(ids, rng.choice(3, customers, p=[0.45, 0.45, 0.1]), strict=True)}
    stray = rng.random(n) < 0.1
    given["variant"] = np.where(stray, rng.choice(VARIANTS, n), given.customer_id.map(usual))
    given = pd.concat([given, given.iloc[:9]], ignore_index=True)
    people = pd.DataFrame({"customer_id": ids, "country": rng.choice(np.array(["DK", "SE", None], object), customers)})
    return {"events": events, "orders": orders, "exposures": given, "customers": people}


def opened(tables, **settings):
    asked = {"tz": "UTC", "small_cells": 0, "as_of": str(START + pd.Timedelta(days=14))} | settings
    return tk.open_data(tables, **asked)


def twin(data, planned=("base", "new"), period=(None, None)):
    """Each customer of the trial: variant, day, what was done before and after; and who was left out."""
    given = data.frame("exposures").query("experiment_id == 'trial'").astype({"variant": str})
    orders = data.frame("orders").query("not cancelled")
    events, orders = ({**dict([*t.groupby("customer_id")]), "": t[:0]} for t in (data.frame("events"), orders))
    end = pd.Timestamp(data.observed_until, unit="us", tz="UTC")
    found, out = [], {"mixed": 0, "other": 0, "rows": 0, "repeated": 0}
    for customer, rows in given.groupby("customer_id"):
        rows = rows.sort_values("exposed_at", kind="stable")
        since = rows.exposed_at.iloc[0]
        if (period[0] and since < period[0]) or (period[1] and since >= period[1]):
            continue
        out["rows"] += len(rows)
        before = rows.shift()
        out["repeated"] += int(((rows.variant == before.variant) & (rows.exposed_at == before.exposed_at)).sum())
        if rows.variant.nunique() > 1:
            out["mixed"] += 1
            continue
        if rows.variant.iloc[0] not in planned:
            out["other"] += 1
            continue
        mine, bought = (of.get(customer, of[""]) for of in (events, orders))
        one = {"variant": rows.variant.iloc[0], "since": since, "day": since.date().isoformat()}
        one |= {"young": since > end - WINDOW, "silent": mine.empty and bought.empty, "device": device(mine, since)}
        for name, low, high in (
            ("after", since, since + WINDOW),
            ("before", since - WINDOW, since - pd.Timedelta("1us")),
            ("early", since, since + WINDOW / 2),
            ("near before", since - HALF, since - pd.Timedelta("1us")),
            ("near after", since, since + HALF),
        ):
            seen, paid = (t[(t.timestamp >= low) & (t.timestamp <= high)] for t in (mine, bought))
            one[name] = [
                (float((seen.touchpoint == "buy").any()), 0.0),
                (seen.points.sum(), 0.0),
                (paid.revenue.sum(), float(len(paid))),
            ]
            one[f"{name} n"] = [(seen.touchpoint == "buy").sum(), seen.points.notna().sum(), len(paid)]
        found.append(one)
    return found, out


def device(events, since):
    """The last device in the half hour until a moment, else the first in that after it."""
    known = events[events.device.notna()].sort_values("timestamp", kind="stable")
    before = known[(known.timestamp <= since) & (known.timestamp >= since - HALF)]
    after = known[(known.timestamp > since) & (known.timestamp <= since + HALF)]
    return before.device.iloc[-1] if len(before) else after.device.iloc[0] if len(after) else "(unknown)"
