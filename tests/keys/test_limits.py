"""Rate limits and budgets: reserved all or nothing, settled to the truth, in calendar windows in UTC."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from decimal import Decimal

import pytest
import redis.asyncio

from keys.limits import NANO, NOTHING, Limit, Limits, Period, Unit, counter, scripts, to_nano, window
from routing.errors import BudgetExceeded, RateLimited
from routing.redis import RedisPipe, Script
from tests.keys.limits_over import Server, limits_over

W = "ws"
# Far in the future: Redis lets a counter of the past go at once.
NOW = dt.datetime(2093, 7, 15, 12, 30, 45, tzinfo=dt.UTC).timestamp()


def limit(unit, cap, period=Period.MINUTE, owner="key:1", label="API key 'ci'"):
    return Limit(owner, label, unit, period, cap)


RPM = limit(Unit.REQUESTS, 3)
TPM = limit(Unit.TOKENS, 1000)
BUDGET = limit(Unit.COST, 5 * NANO, Period.MONTH)


@pytest.fixture
async def client(servers):
    async with redis.asyncio.Redis.from_url(servers.new_redis_url(), decode_responses=True) as client:
        yield client


@pytest.fixture
async def pipe(servers):
    pipe = RedisPipe(servers.new_redis_url())
    yield pipe
    await pipe.close()


@pytest.fixture
async def redis_limits(client):
    """The limits over the real scripts, one round trip each; settling can be waited for."""
    server = Server(client)
    limits = limits_over(server)
    yield limits, server.settled
    await limits.close()


async def values(client, *limits, now=NOW):
    found = await client.mget([counter(W, one, now)[0] for one in limits])
    return [None if value is None else int(value) for value in found]


# --- Windows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        (Period.MINUTE, "2026-07-15T12:30:45.999", "2026-07-15T12:30", "2026-07-15T12:31"),
        (Period.MINUTE, "2026-12-31T23:59:59.5", "2026-12-31T23:59", "2027-01-01T00:00"),
        (Period.HOUR, "2026-07-15T12:30:45", "2026-07-15T12:00", "2026-07-15T13:00"),
        (Period.HOUR, "2026-12-31T23:00:00", "2026-12-31T23:00", "2027-01-01T00:00"),
        # Clocks change in Europe and America on these days; UTC knows nothing of it.
        (Period.HOUR, "2026-03-29T01:30:00", "2026-03-29T01:00", "2026-03-29T02:00"),
        (Period.DAY, "2026-03-29T05:00:00", "2026-03-29T00:00", "2026-03-30T00:00"),
        (Period.DAY, "2026-11-01T23:59:59", "2026-11-01T00:00", "2026-11-02T00:00"),
        (Period.DAY, "2028-02-29T12:00:00", "2028-02-29T00:00", "2028-03-01T00:00"),
        (Period.DAY, "2026-12-31T12:00:00", "2026-12-31T00:00", "2027-01-01T00:00"),
        (Period.WEEK, "2026-07-15T12:00:00", "2026-07-13T00:00", "2026-07-20T00:00"),
        (Period.WEEK, "2026-07-13T00:00:00", "2026-07-13T00:00", "2026-07-20T00:00"),
        (Period.WEEK, "2026-07-19T23:59:59", "2026-07-13T00:00", "2026-07-20T00:00"),
        (Period.WEEK, "2027-01-01T00:00:00", "2026-12-28T00:00", "2027-01-04T00:00"),
        (Period.MONTH, "2026-07-31T23:59:59", "2026-07-01T00:00", "2026-08-01T00:00"),
        (Period.MONTH, "2026-02-28T12:00:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        (Period.MONTH, "2028-02-29T12:00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        (Period.MONTH, "2026-12-31T23:59:59.999", "2026-12-01T00:00", "2027-01-01T00:00"),
        (Period.MONTH, "2027-01-01T00:00:00", "2027-01-01T00:00", "2027-02-01T00:00"),
    ],
)
def test_windows_follow_the_calendar_in_utc(period, now, start, end):
    def seconds(text):
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()

    assert window(period, seconds(now)) == (seconds(start), seconds(end))


def test_a_total_has_no_window():
    assert window(Period.TOTAL, NOW) == (0, 0)


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_the_machines_time_zone_changes_no_window(monkeypatch, zone):
    before = [window(period, NOW) for period in Period]
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert [window(period, NOW) for period in Period] == before
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("period", [period for period in Period if period is not Period.TOTAL])
def test_windows_join_without_gap_or_overlap(period):
    start, end = window(period, NOW)
    assert window(period, end - 0.001) == (start, end)
    assert window(period, end)[0] == end


def test_counters_of_one_workspace_share_a_hash_tag_and_differ_in_everything_else():
    several = [RPM, TPM, limit(Unit.REQUESTS, 3, Period.HOUR), limit(Unit.REQUESTS, 3, owner="vkey:1")]
    names = [counter(W, one, NOW)[0] for one in several] + [counter(W, RPM, NOW + 60)[0]]
    assert len(set(names)) == len(names)
    assert all("{ws}" in name for name in names)


@pytest.mark.parametrize(("period", "ttl"), [(Period.MINUTE, 15 + 60), (Period.HOUR, 29 * 60 + 15 + 60), (Period.TOTAL, 0)])
def test_a_counter_outlives_its_window_a_little(period, ttl):
    _, expiry = counter(W, limit(Unit.TOKENS, 1, period), NOW)
    assert expiry == (NOW + ttl if ttl else 0)


@pytest.mark.parametrize(
    ("usd", "nano"), [("1", 10**9), ("0.0000000015", 2), ("0.0000000005", 0), ("1234567.891", 1234567891000000), ("0", 0)]
)
def test_money_is_whole_nano_dollars(usd, nano):
    assert to_nano(Decimal(usd)) == nano


# --- Admission -----------------------------------------------------------------------------------------------------------


async def test_it_takes_from_every_limit_at_once(redis_limits, client):
    limits, _ = redis_limits
    taken = await limits.admit(W, [RPM, TPM, BUDGET], tokens=400, cost_nano=7, now=NOW)
    assert await values(client, RPM, TPM, BUDGET) == [1, 400, 7]
    assert [(one.unit, one.amount) for one in taken.counters] == [(Unit.REQUESTS, 1), (Unit.TOKENS, 400), (Unit.COST, 7)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_it_takes_from_none_where_one_is_full(redis_limits, client, order):
    limits, _ = redis_limits
    several = [[RPM, TPM, BUDGET][index] for index in order]
    await limits.admit(W, several, tokens=900, cost_nano=1, now=NOW)
    with pytest.raises(RateLimited, match="1000 tokens a minute, 900 used"):
        await limits.admit(W, several, tokens=101, cost_nano=1, now=NOW)
    assert await values(client, RPM, TPM, BUDGET) == [1, 900, 1]
    await limits.admit(W, several, tokens=100, cost_nano=1, now=NOW)


async def test_a_cap_is_reached_exactly(redis_limits):
    limits, _ = redis_limits
    for _ in range(3):
        await limits.admit(W, [RPM], tokens=1, cost_nano=0, now=NOW)
    with pytest.raises(RateLimited):
        await limits.admit(W, [RPM], tokens=1, cost_nano=0, now=NOW)


async def test_the_next_window_starts_at_nothing(redis_limits):
    limits, _ = redis_limits
    for _ in range(3):
        await limits.admit(W, [RPM], tokens=1, cost_nano=0, now=NOW)
    await limits.admit(W, [RPM], tokens=1, cost_nano=0, now=NOW + 60)


async def test_a_used_up_budget_stops_free_calls_too(redis_limits):
    limits, _ = redis_limits
    await limits.admit(W, [BUDGET], tokens=1, cost_nano=5 * NANO, now=NOW)
    with pytest.raises(BudgetExceeded):
        await limits.admit(W, [BUDGET], tokens=1, cost_nano=0, now=NOW)


async def test_owners_and_workspaces_do_not_share(redis_limits):
    limits, _ = redis_limits
    one = limit(Unit.REQUESTS, 1)
    await limits.admit(W, [one], tokens=1, cost_nano=0, now=NOW)
    await limits.admit("other", [one], tokens=1, cost_nano=0, now=NOW)
    await limits.admit(W, [limit(Unit.REQUESTS, 1, owner="key:2")], tokens=1, cost_nano=0, now=NOW)


async def test_without_limits_redis_is_not_asked():
    limits = Limits(None, None, fail_closed=True)
    assert await limits.admit(W, [], tokens=1, cost_nano=1, now=NOW) is NOTHING
    limits.settle(NOTHING, tokens=5, cost_nano=5)


async def test_money_stays_exact_up_to_millions(redis_limits, client):
    limits, _ = redis_limits
    big = limit(Unit.COST, 9_000_000 * NANO, Period.TOTAL)
    await limits.admit(W, [big], tokens=1, cost_nano=8_999_999 * NANO, now=NOW)
    await limits.admit(W, [big], tokens=1, cost_nano=NANO - 1, now=NOW)
    with pytest.raises(BudgetExceeded):
        await limits.admit(W, [big], tokens=1, cost_nano=2, now=NOW)
    await limits.admit(W, [big], tokens=1, cost_nano=1, now=NOW)
    assert await values(client, big) == [9_000_000 * NANO]


async def test_many_at_once_never_pass_the_cap(pipe):
    known = {source: Script(source) for source in (scripts.ADMIT, scripts.SETTLE)}
    limits = Limits(
        lambda source, keys, args: pipe.ask(known[source], keys, args),
        lambda source, keys, args: pipe.ask_later(known[source], keys, args),
        fail_closed=True,
    )
    several = [limit(Unit.REQUESTS, 50), limit(Unit.TOKENS, 10_000), limit(Unit.COST, NANO, Period.TOTAL)]

    async def one():
        try:
            return await limits.admit(W, several, tokens=100, cost_nano=NANO // 100, now=NOW)
        except RateLimited:
            return None

    outcomes = await asyncio.gather(*(one() for _ in range(200)))
    assert sum(outcome is not None for outcome in outcomes) == 50
    await limits.close()


async def test_counters_expire_with_their_window_and_totals_stay(redis_limits, client):
    limits, _ = redis_limits
    total = limit(Unit.COST, NANO, Period.TOTAL)
    now = time.time()
    await limits.admit(W, [RPM, total], tokens=1, cost_nano=1, now=now)
    assert 60 < await client.ttl(counter(W, RPM, now)[0]) <= 121
    assert await client.ttl(counter(W, total, now)[0]) == -1


# --- Settling ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "cost"), [(700, 9), (100, 2), (400, 7), (0, 0)])
async def test_the_truth_replaces_the_estimate_and_the_request_still_counts(redis_limits, client, tokens, cost):
    limits, settled = redis_limits
    taken = await limits.admit(W, [RPM, TPM, BUDGET], tokens=400, cost_nano=7, now=NOW)
    limits.settle(taken, tokens=tokens, cost_nano=cost)
    await settled()
    assert await values(client, RPM, TPM, BUDGET) == [1, tokens, cost]


async def test_settling_keeps_the_expiry_and_leaves_an_expired_counter_gone(redis_limits, client):
    limits, settled = redis_limits
    now = time.time()
    taken = await limits.admit(W, [TPM, BUDGET], tokens=10, cost_nano=7, now=now)
    await client.delete(counter(W, TPM, now)[0])
    limits.settle(taken, tokens=50, cost_nano=8)
    await settled()
    assert await values(client, TPM, BUDGET, now=now) == [None, 8]
    assert await client.ttl(counter(W, BUDGET, now)[0]) > 0


# --- Refusals ------------------------------------------------------------------------------------------------------------


async def refusal(limits, one, **amounts):
    """What refuses the call that is too much."""
    try:
        while True:
            await limits.admit(W, [one], **{"tokens": 600, "cost_nano": 3 * NANO, "now": NOW, **amounts})
    except (RateLimited, BudgetExceeded) as error:
        return error


async def test_a_rate_limit_says_which_and_when_to_come_back(redis_limits):
    error = await refusal(redis_limits[0], TPM)
    assert error.status == 429
    assert error.message == (
        "API key 'ci' has reached a limit: 1000 tokens a minute, 600 used. It resets at 2093-07-15T12:31:00Z."
    )
    assert error.headers() == {
        "retry-after": "15",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "400",
        "x-ratelimit-reset-tokens": "15s",
    }


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (Period.DAY, "5 USD per day. It resets at 2093-07-16T00:00:00Z."),
        (Period.WEEK, "5 USD per week. It resets at 2093-07-20T00:00:00Z."),
        (Period.MONTH, "5 USD per month. It resets at 2093-08-01T00:00:00Z."),
        (Period.TOTAL, "5 USD. It does not reset by itself: raise it in the console."),
    ],
)
async def test_a_budget_says_how_much_it_was_and_when_it_resets(redis_limits, period, words):
    error = await refusal(redis_limits[0], limit(Unit.COST, 5 * NANO, period))
    assert (error.status, error.code, error.headers()) == (412, "budget_exceeded", {})
    assert error.message == f"The budget of API key 'ci' is used up: {words}"


async def test_one_waits_a_second_at_least(redis_limits):
    error = await refusal(redis_limits[0], RPM, now=NOW + 14.999)
    assert error.headers()["retry-after"] == "1"
