"""Every planted effect is found again by plain SQL, and a world with nothing planted shows none."""

import math

import numpy as np
import pytest
from scipy.stats import chisquare

from toolkit.catalogue import Catalogue


def near(share, n, expected, errors=4.0):
    """Whether a share of n lies within some standard errors of the one expected."""
    return abs(share - expected) < errors * math.sqrt(max(expected * (1 - expected), 1e-9) / n)


def test_personas_follow_from_the_rule_and_behave_apart(shop, plain):
    shares = np.bincount(shop.personas) / shop.customers
    assert shares.round(5).tolist() == list(shop.expected("personas").values())
    sql = "select avg((channel = 'store')::int) from events join personas using (customer_id) group by persona"
    for world, apart in ((shop, True), (plain, False)):
        stores = np.array(world.all(sql))
        assert (np.ptp(stores) > 0.2) == apart


def test_stage_transitions_are_those_recorded(shop):
    events, catalogue = shop.data["events"], Catalogue.load()
    who, names = events["customer_id"].to_numpy(), events["touchpoint"].combine_chunks().dictionary_encode()
    stage = np.array(catalogue.stage_codes(names.dictionary.to_pylist()))[names.indices.to_numpy()]
    counts = np.zeros((8, 8), int)
    same = who[1:] == who[:-1]
    np.add.at(counts, (stage[:-1][same], stage[1:][same]), 1)
    assert counts.tolist() == shop.expected("stage transitions", "counts")
    assert shop.expected("stage transitions", "stages") == tuple(catalogue.stages)


CHECKOUTS = """
    with s as (select any_value(device) filter (touchpoint = 'checkout') device, any_value(channel) filter
      (touchpoint = 'checkout') channel, min(timestamp) t, bool_or(touchpoint = 'purchase') bought
      from events where session_id is not null group by session_id having bool_or(touchpoint = 'checkout')),
    c as (select *, t >= '2026-03-08 23:00+00' and t < '2026-03-22 23:00+00' outage from s)
    select avg(bought::int), count(*) from c where """


@pytest.mark.parametrize("device", ["mobile", "desktop"])
def test_the_mobile_checkout_finishes_less_often(shop, device):
    share, n = shop.one(f"{CHECKOUTS} device = '{device}' and channel = 'web' and not outage")
    assert near(share, n, shop.expected("mobile checkout", device))
    assert shop.expected("mobile checkout", "mobile") < 0.75 * shop.expected("mobile checkout", "desktop")


@pytest.mark.parametrize(("outage", "name"), [(True, "during"), (False, "otherwise")])
def test_the_payment_incident_lasts_two_weeks(shop, outage, name):
    assert near(*shop.one(f"{CHECKOUTS} outage = {outage}"), shop.expected("payment incident", name))


def test_the_payment_incident_is_on_all_devices_and_leaves_its_own_error(shop):
    for device in ("mobile", "desktop"):
        during, usual = (shop.one(f"{CHECKOUTS} device = '{device}' and outage = {o}")[0] for o in (True, False))
        assert during < 0.65 * usual
    sql = "select min(timestamp)::text, max(timestamp)::text from events where properties.error = 'PSP-504'"
    first, last = shop.one(sql)
    assert "2026-03-08 23" < first < "2026-03-11" and "2026-03-20" < last < "2026-03-23 05"


def test_nothing_planted_leaves_no_mobile_gap_and_no_incident(plain):
    mobile, desktop = (plain.one(f"{CHECKOUTS} device = '{d}' and channel = 'web'") for d in ("mobile", "desktop"))
    assert near(*mobile, desktop[0])
    during, usual = (plain.one(f"{CHECKOUTS} outage = {o}") for o in (True, False))
    assert near(*during, usual[0])
    assert plain.one("select count(*) from events where properties.error = 'PSP-504'")[0] == 0


@pytest.mark.parametrize(("world", "low", "high"), [("shop", 2.0, 2.2), ("plain", 0.97, 1.03)])
def test_pages_load_slower_on_phones(world, low, high, request):
    ratio = request.getfixturevalue(world).one(
        "select median(properties.load_ms) filter (device = 'mobile') / median(properties.load_ms) filter "
        "(device = 'desktop') from events where channel = 'web'"
    )[0]
    assert low < ratio < high


LAST_CLICK = """
    with v as (select session_id, bool_or(touchpoint = 'retargeting ad') led, bool_or(touchpoint = 'checkout') checkout
    from events where session_id is not null group by 1) select avg(checkout::int) from v where led
"""


def test_last_click_loves_retargeting_only_where_it_is_planted(shop, plain):
    assert shop.one(LAST_CLICK)[0] > 2 * plain.one(LAST_CLICK)[0]


BOUGHT = "exists (from orders o where o.customer_id = x.customer_id and o.timestamp >= exposed_at)"
RETARGETED = """exists (from events e where e.customer_id = x.customer_id and touchpoint = 'retargeting ad'
    and e.timestamp between exposed_at and '2026-02-28 22:00+00')"""


def arms(world, experiment, outcome=BOUGHT):
    """Share with the outcome and n, by variant."""
    where = f"from exposures x where experiment_id = '{experiment}' group by 1"
    return {arm: (share, n) for arm, share, n in world.all(f"select variant, avg(({outcome})::int), count(*) {where}")}


def lift_of(world, experiment):
    (control, n), (treatment, m) = (arms(world, experiment)[arm] for arm in ("control", "treatment"))
    return treatment - control, math.sqrt(control * (1 - control) / n + treatment * (1 - treatment) / m)


def test_the_holdout_shows_that_retargeting_changes_nothing(shop):
    lift, error = lift_of(shop, "retargeting-holdout")
    assert abs(lift) < 3 * error
    shares = arms(shop, "retargeting-holdout", RETARGETED)
    assert shares["control"][0] == 0 and shares["treatment"][0] > 0.1


def test_free_shipping_lifts_the_share_that_buys_as_recorded(shop, plain):
    lift, error = lift_of(shop, "free-shipping")
    assert abs(lift - shop.expected("free-shipping", "lift")) < 3 * error and lift > 4 * error
    lift, error = lift_of(plain, "free-shipping")
    assert abs(lift) < 3 * error


def split_p(world, experiment):
    return chisquare([n for _, n in arms(world, experiment).values()]).pvalue


def test_only_the_new_checkouts_split_is_broken(shop, plain):
    assert split_p(shop, "new-checkout") < 1e-9
    assert min(split_p(shop, name) for name in ("free-shipping", "retargeting-holdout")) > 0.001
    assert min(split_p(plain, name) for name in ("free-shipping", "retargeting-holdout", "new-checkout")) > 0.001
    assert shop.one("select max(n) from (select count(*) n from exposures group by experiment_id, customer_id)")[0] == 1


@pytest.mark.parametrize("days", [30, 90, 180])
def test_second_orders_follow_the_retention_law(shop, days):
    sql = f"""
        with o as (select customer_id, timestamp t, row_number() over (partition by customer_id order by timestamp) k
          from orders),
        f as (from o where k = 1 and t < timestamptz '2026-08-31 22:00+00' - interval {days} day)
        select avg(coalesce(s.t <= f.t + interval {days} day, false)::int), count(*)
        from f left join (from o where k = 2) s using (customer_id)"""
    share, n = shop.one(sql)
    assert near(share, n, shop.expected("retention", f"within {days} days"))


def test_a_share_of_devices_is_shared_by_two(shop, plain):
    users = "(select count(distinct customer_id) n from events where device_id is not null group by device_id)"
    share, most = shop.one(f"select avg((n > 1)::int), max(n) from {users}")
    assert round(share, 5) == shop.expected("shared devices", "share of device ids")
    assert most == 2 and 0.01 < share < 0.04
    assert plain.one(f"select max(n) from {users}") == (1,)


def test_a_share_of_orders_lacks_its_purchase_event(shop, plain):
    sql = """select avg((e.timestamp is null)::int), count(*) from orders o left join
        (from events where touchpoint = 'purchase') e on e.customer_id = o.customer_id and e.timestamp = o.timestamp"""
    assert near(*shop.one(sql), shop.expected("tracking loss", "share"))
    assert plain.one(sql)[0] == 0


def test_the_happy_answer_more(shop, plain):
    nps = "100 * avg(case when score >= 9 then 1 when score <= 6 then -1 else 0 end)"
    for world in (shop, plain):
        points, n = world.one(f"select {nps}, count(*) from responses where instrument = 'nps'")
        bias = world.expected("response bias")
        assert points == pytest.approx(bias["answered"], abs=1e-3)
        assert bias["response rate"] == pytest.approx(n / (0.97 * len(world.data["orders"])), rel=0.03)
        assert (bias["answered"] > bias["asked"] + 15) == (world is shop)
    assert abs(bias["answered"] - bias["asked"]) < 4


SLOW = """
    select regr_slope(score, log2(hours)), count(*)
    from (select score, epoch(first_reply_at - f.timestamp) / 3600 as hours
      from feedback f join responses r on r.customer_id = f.customer_id and instrument = 'csat'
      and r.touchpoint = 'support email' and r.timestamp between first_reply_at and first_reply_at + interval 13 hour
      where source = 'ticket')
"""


def test_slow_replies_lower_satisfaction(shop, plain):
    slope, n = shop.one(SLOW)
    assert n > 300 and abs(slope - shop.expected("slow replies", "points per doubling")) < 0.06 and slope < -0.1
    assert abs(plain.one(SLOW)[0]) < 0.06


def test_touchpoints_differ_in_how_content_they_leave_customers(shop, plain):
    sql = "select touchpoint, avg(score), count(*) from responses where instrument = 'csat' group by 1"
    for world, apart in ((shop, True), (plain, False)):
        points = world.expected("contentment by touchpoint")
        means = {name: mean for name, mean, n in world.all(sql) if n >= 40 and name in points}
        assert len(means) > 12 and (np.ptp(list(means.values())) > 0.8) == apart
        if apart:
            assert np.corrcoef(list(means.values()), [points[name] for name in means])[0, 1] > 0.9


def csat(world, channel):
    return world.one(f"select avg(score) from responses where instrument = 'csat' and channel = '{channel}'")[0]


def test_the_phone_leaves_customers_less_content_than_the_chat(shop, plain):
    assert csat(shop, "chat") - csat(shop, "phone") > 0.3
    assert abs(csat(plain, "chat") - csat(plain, "phone")) < 0.15


LATE = """
    select avg(score) filter (delivered_at > promised_at) - avg(score) filter (delivered_at <= promised_at)
    from orders o join responses r on r.customer_id = o.customer_id and instrument = 'nps'
    and r.timestamp between delivered_at + interval 1 day and delivered_at + interval 6 day
"""


def test_late_parcels_lower_the_score(shop, plain):
    assert shop.one(LATE)[0] < -0.8
    assert abs(plain.one(LATE)[0]) < 0.25


CONTACTS = """
    with c as (select touchpoint, timestamp t, lag(touchpoint) over w before, lag(timestamp) over w earlier
      from events where touchpoint in ('phone call', 'chat', 'support email')
      window w as (partition by customer_id order by timestamp))
    select count(*) filter (t - earlier < interval 73 hour and before <> touchpoint), count(*) from c
"""


def test_contacts_are_repeated_in_another_channel(shop, plain):
    again, n = shop.one(CONTACTS)
    expected = shop.expected("repeated contacts", "second contacts per first contact")
    assert again / (n - again) == pytest.approx(expected, abs=0.05)
    again, n = plain.one(CONTACTS)
    assert again / n < 0.03


def test_letters_stay_unanswered_and_an_evening_shift_halves_the_wait(shop, plain):
    tickets = "from feedback where source = 'ticket' and timestamp < '2026-08-25'"
    share = shop.one(f"select avg((first_reply_at is null)::int), count(*) {tickets}")
    assert near(*share, shop.expected("unanswered", "share"))
    wait = "median(epoch(first_reply_at - timestamp)) filter (timestamp {} '2026-05-03 22:00+00')"
    sql = f"select {wait.format('>=')} / {wait.format('<')} {tickets}"
    assert shop.one(sql)[0] == pytest.approx(shop.expected("faster replies", "ratio"), rel=0.2)
    assert plain.one(sql)[0] == pytest.approx(1, rel=0.25)
    assert shop.one("select count(*) from feedback where status = 'open' and first_reply_at is not null")[0] == 0


HAND_OFF = """
    with v as (select customer_id, min(timestamp) t, any_value(channel) filter (channel in ('web', 'app')) c,
        bool_or(touchpoint = 'cart') cart, bool_or(touchpoint = 'checkout') checkout
      from events where session_id is not null group by session_id, customer_id),
    s as (select customer_id, timestamp t, 'store' c, false cart, false checkout
      from events where touchpoint = 'store visit'),
    a as (select *, lag(c) over (partition by customer_id order by t) before
      from (from v where c is not null union all by name from s)),
    f as (select customer_id, min(timestamp) bought from orders group by 1)
    select avg(checkout::int) filter (before <> c) / avg(checkout::int) filter (before = c)
    from a left join f using (customer_id) where cart and before is not null and (bought is null or t <= bought)
"""


def test_a_change_of_channel_loses_carts(shop, plain):
    assert shop.one(HAND_OFF)[0] < 0.8
    assert plain.one(HAND_OFF)[0] > 0.93


def test_personal_letters_are_clicked_more(shop, plain):
    sql = """
        with c as (select campaign, avg((touchpoint = 'newsletter click')::int) share from events
          where touchpoint in ('newsletter', 'newsletter click') and session_id is null group by 1)
        select max(share / (1 - share)) filter (campaign = 'letter-for-you')
          / max(share / (1 - share)) filter (campaign = 'letter-weekly') from c
    """
    assert shop.one(sql)[0] == pytest.approx(shop.expected("personal letters", "ratio"), rel=0.12)
    assert plain.one(sql)[0] == pytest.approx(1, rel=0.12)


def test_social_ads_cost_more_than_they_should(shop, plain):
    cost = "select sum(cost) / sum(clicks) / 4 from campaigns where touchpoint = 'social ad'"
    assert shop.one(cost)[0] == pytest.approx(shop.expected("dear social ads", "ratio"), rel=0.05)
    assert plain.one(cost)[0] == pytest.approx(1, rel=0.05)


def test_campaign_figures_are_those_of_the_events(shop):
    clicks = shop.one("select count(*) from events where campaign = 'search-brand'")[0]
    found, shown, days = shop.one(
        "select sum(clicks), sum(impressions), count(*) from campaigns where campaign = 'search-brand'"
    )
    assert found == clicks and shown > clicks and days > 400


def test_an_idle_action_is_there_only_where_planted(shop, plain):
    assert [len(world.data["actions"]) for world in (shop, plain)] == [4, 3]
    assert shop.one("select count(*) from feedback where touchpoint = 'social post'")[0] == 0
