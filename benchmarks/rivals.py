"""The same measures in raw SQL (DuckDB) and in pandas, as one would write them; every result is a flat dict."""

from __future__ import annotations

from pathlib import Path

STEPS = ("product page", "cart", "checkout", "purchase")
GOAL = "purchase"
OWN = ("blog post", "category page", "home page", "product page", "site search", "wish list")
GAP, NEAR, WINDOW = 30 * 60, (24 * 60, 36 * 60), 7 * 86_400  # seconds

SESSIONS = """
with pauses as (
  select *, us - lag(us) over w as before, lead(us) over w - us as behind
  from events window w as (partition by customer_id order by us, line)),
numbered as (
  select *, sum(coalesce(before > {gap}, true)::int) over (partition by customer_id order by us, line) as session
  from pauses),
sessions as (
  select customer_id, count(*) n, max(us) - min(us) long, bool_or(touchpoint = '{goal}') sold,
    arg_min(touchpoint, (us, line)) in {own} as own,
    coalesce(bool_or(behind between {near[0]} and {near[1]}), false) near
  from numbered group by customer_id, session)
select count(*) sessions, count(distinct customer_id) customers, sum(n) events, sum(long) as microseconds,
  count_if(n = 1) single, count_if(own) begun, count_if(n = 1 and own and not sold) bounces, count_if(near) near,
  quantile_cont(long / 1e6, .5) median_length, quantile_cont(n, .5) median_size
from sessions
"""

TRANSITIONS = """
with neighbours as (
  select customer_id, touchpoint, lag(touchpoint) over w as before, lead(touchpoint) over w as behind,
    us - lag(us) over w as wait
  from events window w as (partition by customer_id order by us, line)),
pairs as (
  select customer_id, coalesce(before, '(start)') a, touchpoint b, wait from neighbours union all
  select customer_id, touchpoint, '(end)', null from neighbours where behind is null)
select a, b, count(*) n, count(distinct customer_id) customers, quantile_cont(wait / 1e6, .5) median,
  quantile_cont(wait / 1e6, .95) p95
from pairs group by a, b
"""

# Step rows of one moment stand in step order. A row of a step is reached when the latest entry among the rows of the
# step before it is young enough; the deepest, then earliest completed, then latest entered chain counts.
LATEST = """
select * exclude latest, case when step = {step} and us - latest.us <= {window} then latest end e{step}
from (select *, last_value(e{before} ignore nulls) over (partition by customer_id order by us, step, line) as latest
  from {source})
"""
DEEPEST = """
create or replace temp table reached as
select customer_id, max(step) depth, arg_min(entry, (-step, us, -entry.line)) entry
from (select customer_id, step, us, coalesce(e4, e3, e2, e1) entry from {source}) where entry is not null
group by customer_id
"""
NEXT = """
select w.*, t{step} from {source} w left join (
  select v.customer_id, min(s.us) t{step} from {source} v join steps s
  on s.customer_id = v.customer_id and s.step = {step} and s.us >= v.t{before} and v.depth >= {step} group by 1)
using (customer_id)
"""


def duckdb_events(path: Path):
    """A connection with two threads that may spill, and the events as a view."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": "2GB", "threads": 2, "temp_directory": str(path.parent / "spill")})
    rows = f"read_parquet('{path}', file_row_number = true)"
    con.execute(f"create view events as select *, epoch_us(timestamp) as us, file_row_number as line from {rows}")
    return con


def sql_sessions(path: Path) -> dict:
    sql = SESSIONS.format(gap=GAP * 10**6, near=[seconds * 10**6 for seconds in NEAR], goal=GOAL, own=OWN)
    found = duckdb_events(path).execute(sql)
    return dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))


def sql_transitions(path: Path) -> dict:
    rows = duckdb_events(path).execute(TRANSITIONS).fetchall()
    names = ("n", "customers", "median", "p95")
    return {f"{a} → {b}: {name}": value for a, b, *values in rows for name, value in zip(names, values, strict=True)}


def sql_funnel(path: Path) -> dict:
    con, window = duckdb_events(path), WINDOW * 10**6
    cases = " ".join(f"when '{name}' then {step}" for step, name in enumerate(STEPS, 1))
    con.execute(
        f"create temp table steps as select customer_id, case touchpoint {cases} end step, us, line, "
        "coalesce(device, '(unknown)') device from events where step is not null"
    )
    seen, ripe = con.execute(f"select count(distinct customer_id), max(us) - {window} from events").fetchone()
    found = {"seen": seen}
    for name, only in (("matured", f"and us <= {ripe}"), ("reached", "")):
        source = f"(select *, case when step = 1 {only} then struct_pack(us, line, device) end e1 from steps)"
        for step in (2, 3, 4):
            source = f"({LATEST.format(step=step, before=step - 1, window=window, source=source)})"
        con.execute(DEEPEST.format(source=source))
        counted = con.execute("select entry.device, depth, count(*) from reached group by all").fetchall()
        found |= {f"{name} {device} {depth}": n for device, depth, n in counted}
    young = f"select customer_id from steps where step = 1 and us > {ripe}"
    pending = f"select entry.device, count(*) from reached where depth < 4 and customer_id in ({young}) group by all"
    found |= {f"pending {device}": n for device, n in con.execute(pending).fetchall()}
    con.execute("create temp table walk1 as select customer_id, depth, entry.us t1 from reached")
    for step in (2, 3, 4):
        walk = NEXT.format(step=step, before=step - 1, source=f"walk{step - 1}")
        con.execute(f"create temp table walk{step} as {walk}")
        for name, since in (("before", step - 1), ("entry", 1)):
            median = f"select quantile_cont((t{step} - t{since}) / 1e6, .5) from walk{step}"
            found[f"median {name} {step}"] = con.execute(median).fetchone()[0]
    return found


def frame_of(path: Path, *columns: str):
    import pandas as pd

    frame = pd.read_parquet(path, columns=["customer_id", "timestamp", "touchpoint", *columns])
    return frame.sort_values(["customer_id", "timestamp"], kind="stable", ignore_index=True)


def pandas_sessions(path: Path) -> dict:
    events = frame_of(path)
    pause = events.groupby("customer_id").timestamp.diff().dt.total_seconds()
    events["session"] = (pause.isna() | (pause > GAP)).cumsum()
    behind = pause.shift(-1)
    events["near"], events["sold"] = behind.between(*NEAR), events.touchpoint == GOAL
    per = events.groupby("session").agg(
        customer=("customer_id", "first"),
        begin=("timestamp", "first"),
        end=("timestamp", "last"),
        n=("touchpoint", "size"),
        sold=("sold", "any"),
        first=("touchpoint", "first"),
        near=("near", "any"),
    )
    length, own = per.end - per.begin, per["first"].isin(OWN)
    return {
        "sessions": len(per),
        "customers": per.customer.nunique(),
        "events": per.n.sum(),
        "microseconds": length.astype("int64").sum(),
        "single": (per.n == 1).sum(),
        "begun": own.sum(),
        "bounces": ((per.n == 1) & own & ~per.sold).sum(),
        "near": per.near.sum(),
        "median_length": length.dt.total_seconds().median(),
        "median_size": per.n.median(),
    }


def pandas_transitions(path: Path) -> dict:
    import pandas as pd

    events = frame_of(path)
    by = events.groupby("customer_id")
    pairs = pd.DataFrame({"a": by.touchpoint.shift().fillna("(start)"), "b": events.touchpoint})
    pairs["customer"], pairs["wait"] = events.customer_id, by.timestamp.diff().dt.total_seconds()
    last = events[~events.customer_id.duplicated(keep="last")]
    ends = pd.DataFrame({"a": last.touchpoint, "b": "(end)", "customer": last.customer_id})
    per = pd.concat([pairs, ends]).groupby(["a", "b"])
    columns = {"n": per.size(), "customers": per.customer.nunique()}
    columns |= {"median": per.wait.median(), "p95": per.wait.quantile(0.95)}
    return {f"{a} → {b}: {name}": v for name, column in columns.items() for (a, b), v in column.items()}


def pandas_funnel(path: Path) -> dict:
    import pandas as pd

    events = frame_of(path, "device")
    seen, ripe = events.customer_id.nunique(), events.timestamp.max() - pd.Timedelta(seconds=WINDOW)
    rows = events[events.touchpoint.isin(STEPS)].sort_values("timestamp", kind="stable")
    steps = [rows.loc[rows.touchpoint == name, ["customer_id", "timestamp"]] for name in STEPS]
    entries = rows[rows.touchpoint == STEPS[0]].rename(columns={"device": "group"}).drop(columns="touchpoint")
    entries["entry"], entries["group"] = entries.timestamp, entries.group.astype(object).fillna("(unknown)")

    def best(reached):
        done = [reached.drop_duplicates("customer_id").assign(depth=1)]
        for depth, step in enumerate(steps[1:], 2):
            reached = pd.merge_asof(step, reached, on="timestamp", by="customer_id").dropna(subset="entry")
            reached = reached[reached.timestamp - reached.entry <= pd.Timedelta(seconds=WINDOW)]
            done.append(reached.drop_duplicates("customer_id").assign(depth=depth))
        return pd.concat(done).drop_duplicates("customer_id", keep="last")

    found, chains = {"seen": seen}, best(entries)
    for name, some in (("matured", best(entries[entries.timestamp <= ripe])), ("reached", chains)):
        found |= {f"{name} {group} {depth}": n for (group, depth), n in some.groupby(["group", "depth"]).size().items()}
    young = entries.customer_id[entries.timestamp > ripe]
    pending = chains[(chains.depth < len(STEPS)) & chains.customer_id.isin(young)]
    found |= {f"pending {group}": n for group, n in pending.groupby("group").size().items()}
    at = chains[["customer_id", "entry", "depth"]].rename(columns={"entry": "timestamp"}).assign(entry=chains.entry)
    for depth, step in enumerate(steps[1:], 2):
        at = at[at.depth >= depth].sort_values("timestamp")
        reached = step.assign(reached=step.timestamp)
        at = pd.merge_asof(at, reached, on="timestamp", by="customer_id", direction="forward")
        found[f"median before {depth}"] = (at.reached - at.timestamp).dt.total_seconds().median()
        found[f"median entry {depth}"] = (at.reached - at.entry).dt.total_seconds().median()
        at["timestamp"] = at.pop("reached")
    return found
