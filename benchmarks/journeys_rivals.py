"""Runs of three, attribution and responses in time, in raw SQL (DuckDB) and in pandas, as one would write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rivals import GAP, GOAL, duckdb_events, frame_of

TOUCHES = (
    *("blog post", "cart reminder", "check-in", "event visit", "follow-up message", "loyalty reward"),
    *("loyalty sign-up", "loyalty tier", "newsletter", "newsletter click", "online review", "organic search"),
    *("print ad", "product video", "recommendation", "referral", "retargeting ad", "search ad"),
    *("social ad", "social post", "social share", "store visit", "webinar", "written review"),
)
LOOKBACK, HALF_LIFE = 30 * 86_400, 7 * 86_400  # seconds
RULES = ("first", "last", "linear", "position", "decay", "shapley", "markov")
NO_CHANNEL, NO_TOUCH = "(no channel)", "(no touch)"
START, WON, LOST = "(start)", "(conversion)", "(null)"

RUNS = """
with pauses as (
  select *, us - lag(us) over w as before from events window w as (partition by customer_id order by us, line)),
numbered as (
  select *, sum(coalesce(before > {gap}, true)::int) over (partition by customer_id order by us, line) as session
  from pauses),
runs as (
  select customer_id, touchpoint a, lead(touchpoint) over w as b, lead(touchpoint, 2) over w as c
  from numbered window w as (partition by customer_id, session order by us, line))
select a, b, c, count(*), count(distinct customer_id) from runs where c is not null group by all
"""

# A touch belongs to the customer's next conversion, if that comes soon enough; the others make paths that failed.
LINKED = """
create temp table linked as
with touches as (select * from events where touchpoint in {touches}),
sold as (select customer_id, us as sold_at, min(line) as sale from events where touchpoint = '{goal}' group by all),
joined as (
  select t.*, sale, sold_at from touches t
  asof left join sold s on t.customer_id = s.customer_id and t.us <= s.sold_at)
select customer_id, us, line, coalesce(channel, '{none}') channel, sale, sold_at - us as age,
  coalesce(sold_at - us <= {window}, false) as there from joined
"""
CREDITS = """
with placed as (
  select *, count(*) over journey as size, row_number() over (partition by sale order by us, line) as place,
    row_number() over (partition by sale, channel order by us, line) as nth,
    pow(2, -age / {half}) as weight from linked where there window journey as (partition by sale)),
weighed as (select *, sum(weight) over journey as weights, sum((nth = 1)::int) over journey as channels
  from placed window journey as (partition by sale))
select channel, sum((place = 1)::int), sum((place = size)::int), sum(1 / size),
  sum(case when size < 3 then 1 / size when place in (1, size) then .4 else .2 / (size - 2) end),
  sum(weight / weights), sum((nth = 1)::int / channels)
from weighed group by channel
"""
PATHS = """
create temp table walks as
with breaks as (
  select *, coalesce(lag(sale) over w is distinct from sale or us - lag(us) over w > {window}, true) as new
  from linked where not there window w as (partition by customer_id order by us, line)),
failed as (select *, sum(new::int) over (order by customer_id, us, line) as path from breaks),
walked as (select sale as path, true as won, channel, us, line from linked where there
  union all select path, false, channel, us, line from failed)
select *, max(us) over journey <= {ripe} as ripe, lag(channel) over steps as before, lead(channel) over steps as behind
from walked window journey as (partition by won, path), steps as (partition by won, path order by us, line)
"""
MOVES = """
select coalesce(before, '{start}'), channel, count(*) from walks where ripe group by all union all
select channel, if(won, '{won}', '{lost}'), count(*) from walks where ripe and behind is null group by all
"""

ATTACHED = """
with last as (select customer_id, us, arg_max(touchpoint, line) touchpoint from events group by all)
select touchpoint, count(*), sum((r.us - last.us) // 1000) from
  (select customer_id, epoch_us(timestamp) as us from '{responses}') r
  asof left join last on r.customer_id = last.customer_id and r.us >= last.us group by touchpoint
"""


def sql_runs_of_three(path: Path) -> dict:
    found = {}
    for *run, n, customers in duckdb_events(path).execute(RUNS.format(gap=GAP * 10**6)).fetchall():
        found |= {f"{' > '.join(run)}: n": n, f"{' > '.join(run)}: customers": customers}
    return found


def sql_attribution(path: Path) -> dict:
    con, window = duckdb_events(path), LOOKBACK * 10**6
    con.execute(LINKED.format(touches=TOUCHES, goal=GOAL, none=NO_CHANNEL, window=window)).fetchall()
    credits = con.execute(CREDITS.format(half=HALF_LIFE * 1e6)).fetchall()
    until, sold = con.execute(f"select max(us), count_if(touchpoint = '{GOAL}') from events").fetchone()
    con.execute(PATHS.format(window=window, ripe=until - window)).fetchall()
    moves = con.execute(MOVES.format(start=START, won=WON, lost=LOST)).fetchall()
    touched = con.execute("select count(distinct sale) from linked where there").fetchone()[0]
    ends = "select count_if(not won and ripe), count_if(not won and not ripe) from walks where behind is null"
    failed, pending = con.execute(ends).fetchone()
    return _all_rules({channel: row for channel, *row in credits}, moves, (touched, sold - touched, failed, pending))


def _all_rules(credits: dict, moves: list[tuple], journeys: tuple[int, ...]) -> dict:
    """Credits by channel and rule, Markov's from the chain with each channel taken out in turn."""
    touched, bare, failed, pending = map(int, journeys)
    known = {"converted": touched, "converted without a touch": bare, "failed": failed, "pending": pending}
    names = sorted({name for a, b, _ in moves for name in (a, b)} - {START, WON, LOST})
    place = {name: i for i, name in enumerate([*names, START, WON, LOST])}
    steps = np.zeros((len(place), len(place)))
    for a, b, n in moves:
        steps[place[a], place[b]] += n
    whole = _chance(steps, place)
    effect = {}
    for name in names:
        without = steps.copy()
        without[:, place[LOST]] += without[:, place[name]]
        without[:, place[name]] = 0
        effect[name] = 1 - _chance(without, place) / whole
    found = known | {"all": sum(known.values())}
    for name in {*names, *credits}:
        own = [*credits.get(name, [0] * 6), effect.get(name, 0) / sum(effect.values()) * touched]
        found |= {f"{name}: credit by {rule}": float(value) for rule, value in zip(RULES, own, strict=True)}
    return found | {f"{NO_TOUCH}: credit by {rule}": bare for rule in RULES}


def _chance(steps: np.ndarray, place: dict) -> float:
    """The chance to get from the start to a conversion."""
    k = place[START] + 1
    chance = steps[:k] / np.maximum(steps[:k].sum(axis=1, keepdims=True), 1)
    return np.linalg.solve(np.eye(k) - chance[:, :k], chance[:, place[WON]])[place[START]]


def sql_asof(path: Path) -> dict:
    found = {}
    rows = duckdb_events(path).execute(ATTACHED.format(responses=path.parent / "responses.parquet")).fetchall()
    for touchpoint, n, waited in rows:
        found |= {f"{touchpoint}: responses": n, f"{touchpoint}: waited": waited} if touchpoint else {"alone": n}
    return found


def pandas_runs_of_three(path: Path) -> dict:
    events = frame_of(path)
    pause = events.groupby("customer_id").timestamp.diff().dt.total_seconds()
    session = (pause.isna() | (pause > GAP)).cumsum()
    steps = events.groupby(session).touchpoint
    runs = events[["customer_id"]].assign(a=events.touchpoint, b=steps.shift(-1), c=steps.shift(-2)).dropna()
    per = runs.groupby(["a", "b", "c"]).customer_id.agg(["size", "nunique"])
    found = {}
    for run, n, customers in per.itertuples():
        found |= {f"{' > '.join(run)}: n": n, f"{' > '.join(run)}: customers": customers}
    return found


def pandas_attribution(path: Path) -> dict:
    import pandas as pd

    events = frame_of(path, "channel")
    window, until = pd.Timedelta(seconds=LOOKBACK), events.timestamp.max()
    events["channel"] = events.channel.astype(object).fillna(NO_CHANNEL)
    sales = events[events.touchpoint == GOAL]
    sold = sales.drop_duplicates(["customer_id", "timestamp"])[["customer_id", "timestamp"]]
    sold = sold.assign(sale=np.arange(len(sold)), sold_at=sold.timestamp).sort_values("timestamp", kind="stable")
    touches = events[events.touchpoint.isin(TOUCHES)].reset_index(names="line").sort_values("timestamp", kind="stable")
    keys = {"on": "timestamp", "by": "customer_id", "direction": "forward"}
    linked = pd.merge_asof(touches, sold, **keys).sort_values("line", ignore_index=True)
    age = linked.sold_at - linked.timestamp
    there = age <= window
    mine, lost = linked[there].assign(age=age[there]), linked[~there]
    new = (lost.customer_id != lost.customer_id.shift()) | (lost.sale.fillna(-1) != lost.sale.fillna(-1).shift())
    lost = lost.assign(path=(new | (lost.timestamp.diff() > window)).cumsum())
    moves, ended = [], []
    for walks, key, end in ((mine, "sale", WON), (lost, "path", LOST)):
        per = walks.groupby(key)
        ripe = per.timestamp.transform("max") <= until - window
        before, last = per.channel.shift().fillna(START), ~walks[key].duplicated(keep="last")
        moves += [(a, b, n) for (a, b), n in walks[ripe].groupby([before[ripe], "channel"]).size().items()]
        moves += [(a, end, n) for a, n in walks[ripe & last].groupby("channel").size().items()]
        ended.append((int((ripe & last).sum()), int((~ripe & last).sum())))
    touched = mine.sale.nunique()
    return _all_rules(_pandas_credits(mine), moves, (touched, len(sales) - touched, *ended[1]))


def _pandas_credits(mine) -> dict:
    per = mine.groupby("sale")
    size, place = per.line.transform("size"), per.cumcount() + 1
    ends = (place == 1) | (place == size)
    weight = np.exp2(-mine.age.dt.total_seconds() / HALF_LIFE)
    one = ~mine.duplicated(["sale", "channel"])
    shares = {
        "first": place == 1,
        "last": place == size,
        "linear": 1 / size,
        "position": np.where(size < 3, 1 / size, np.where(ends, 0.4, 0.2 / np.maximum(size - 2, 1))),
        "decay": weight / weight.groupby(mine.sale).transform("sum"),
        "shapley": one / one.groupby(mine.sale).transform("sum"),
    }
    summed = mine[["channel"]].assign(**shares).groupby("channel").sum()
    return {channel: row for channel, *row in summed.itertuples()}


def pandas_asof(path: Path) -> dict:
    import pandas as pd

    events = frame_of(path).sort_values("timestamp", kind="stable")
    asked = pd.read_parquet(path.parent / "responses.parquet", columns=["customer_id", "timestamp"])
    events["event_at"] = events.timestamp
    found = pd.merge_asof(asked.sort_values("timestamp"), events, on="timestamp", by="customer_id")
    waited = (found.timestamp - found.event_at) // pd.Timedelta(milliseconds=1)
    per = waited.groupby(found.touchpoint).agg(["size", "sum"])
    rows = {"alone": int(found.touchpoint.isna().sum())}
    for touchpoint, n, milliseconds in per.itertuples():
        rows |= {f"{touchpoint}: responses": n, f"{touchpoint}: waited": milliseconds}
    return rows
