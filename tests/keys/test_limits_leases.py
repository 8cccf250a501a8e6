"""What calls hold: given back when nobody renews it, settled exactly once, and kept through a loss of Redis."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis.asyncio

from keys.limits import NANO, Limit, Period, Unit, counter, scripts
from keys.limits.admission import HELD_MAX
from keys.limits.windows import prefix
from routing.errors import RateLimited, Unavailable
from tests.keys.limits_over import Server, limits_over

W = "ws"
EPOCH = f"{prefix(W)}epoch"


def limit(unit, cap, period=Period.DAY, owner="key:1"):
    return Limit(owner, "API key 'ci'", unit, period, cap)


TOKENS = limit(Unit.TOKENS, 1000)
BUDGET = limit(Unit.COST, 5 * NANO, Period.TOTAL)
CALLS = limit(Unit.REQUESTS, 10)
SLOTS = limit(Unit.CONCURRENCY, 2, Period.TOTAL)
ALL = (TOKENS, BUDGET, CALLS, SLOTS)


@pytest.fixture
async def client(servers):
    async with redis.asyncio.Redis.from_url(servers.new_redis_url(), decode_responses=True) as client:
        await client.set(EPOCH, "first")
        yield client


@pytest.fixture
async def server(client):
    server = Server(client)
    yield server
    await server.close()


@pytest.fixture
async def limits(server):
    return limits_over(server, fail_closed=True)


async def take(limits, *several, tokens=100, cost_nano=7):
    return await limits.admit(W, several or ALL, tokens=tokens, cost_nano=cost_nano, now=time.time())


async def values(client, *several):
    found = await client.mget([counter(W, one, time.time())[0] for one in several or ALL])
    return [int(value or 0) for value in found]


async def lapse(client):
    """All leases have run out."""
    for member in await client.zrange(f"{prefix(W)}leases", 0, -1):
        await client.zadd(f"{prefix(W)}leases", {member: 1})


async def test_a_slot_is_free_again_when_its_call_ends(limits, server, client):
    first = await take(limits, SLOTS)
    await take(limits, SLOTS)
    with pytest.raises(RateLimited, match="2 calls at once") as caught:
        await take(limits, SLOTS)
    assert caught.value.headers() == {"retry-after": "1"}
    limits.settle(first, tokens=5, cost_nano=5)
    await server.settled()
    await take(limits, SLOTS)
    assert await values(client, SLOTS) == [2]


async def test_what_a_dead_process_held_is_given_back_by_the_next_admission(limits, server, client):
    dead = limits_over(server, fail_closed=True)
    await take(dead)
    await dead.close()
    await lapse(client)
    await take(limits, tokens=1, cost_nano=1)
    assert await values(client) == [1, 1, 1, 1]


async def test_what_is_renewed_is_not_given_back(server, client):
    limits = limits_over(server, fail_closed=True, lease_s=0)
    await take(limits)
    await lapse(client)
    limits._lease_s = 60
    for holding in limits._held.values():
        holding.renewed -= 60
    await limits.tick()
    await take(limits, tokens=1, cost_nano=1)
    assert await values(client) == [101, 8, 2, 2]
    await limits.close()


async def test_a_call_that_outlives_its_lease_is_settled_to_the_truth(limits, server, client):
    taken = await take(limits)
    await lapse(client)
    await client.eval(scripts.SWEEP_ALL, 2, f"{prefix(W)}leases", f"{prefix(W)}lapsed", prefix(W))
    assert await values(client) == [0, 0, 0, 0]
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]


async def test_settling_while_redis_is_away_is_made_up_for_once(limits, server, client):
    taken = await take(limits)
    server.away = True
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    assert limits.held == 1
    server.away = False
    await limits.tick()
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]
    assert limits.held == 0


async def test_a_settlement_whose_answer_is_lost_counts_once(limits, server, client):
    taken = await take(limits)
    server.deaf = True
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    server.deaf = False
    await limits.tick()
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]
    assert limits.held == 0


async def test_settling_twice_changes_nothing(limits, server, client):
    taken = await take(limits)
    limits.settle(taken, tokens=70, cost_nano=9)
    limits.settle(taken, tokens=500, cost_nano=500)
    await server.settled()
    limits.settle(taken, tokens=500, cost_nano=500)
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]


async def test_a_call_that_never_was_gives_everything_back(limits, server, client):
    limits.release(await take(limits))
    await server.settled()
    assert await values(client) == [0, 0, 0, 0]


async def test_a_caller_who_hangs_up_while_being_let_in_holds_nothing(server, client):
    limits = limits_over(server, fail_closed=True)
    arrived, go_on = asyncio.Event(), asyncio.Event()
    straight = server.run

    async def slowly(source, keys, args):
        answer = await straight(source, keys, args)
        arrived.set()
        await go_on.wait()
        return answer

    limits._run = slowly
    caller = asyncio.create_task(take(limits))
    await arrived.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await server.settled()
    assert await values(client) == [0, 0, 0, 0]
    assert limits.held == 0
    await limits.close()


# --- Redis is away ---------------------------------------------------------------------------------------------------------


async def test_fail_closed_refuses_and_gives_back_what_may_have_been_taken(limits, server, client):
    server.deaf = True
    with pytest.raises(Unavailable) as caught:
        await take(limits)
    assert (caught.value.status, caught.value.code) == (503, "limits_unavailable")
    server.deaf = False
    await server.settled()
    await limits.tick()
    await server.settled()
    assert await values(client) == [0, 0, 0, 0]


@pytest.mark.parametrize("way", ["away", "deaf"])
async def test_fail_open_lets_calls_pass_and_counts_them_later(server, client, way):
    limits = limits_over(server)
    setattr(server, way, True)
    taken = await take(limits, tokens=5000)
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    setattr(server, way, False)
    for _ in range(2):
        await limits.tick()
        await server.settled()
    assert await values(client) == [70, 9, 1, 0]
    await limits.close()


async def test_what_waits_for_redis_is_bounded(server, monkeypatch):
    monkeypatch.setattr("keys.limits.admission.HELD_MAX", 5)
    limits = limits_over(server)
    server.away = True
    for _ in range(8):
        limits.settle(await take(limits), tokens=1, cost_nano=1)
        await server.settled()
    assert limits.held <= 6
    assert HELD_MAX >= 10_000
    await limits.close()


# --- Redis has lost everything -----------------------------------------------------------------------------------------------


async def test_lost_counters_refuse_until_they_are_rebuilt(server, client):
    async def rebuild(workspace_id):
        assert workspace_id == W
        await client.set(EPOCH, "second")
        await client.set(counter(W, TOKENS, time.time())[0], 950)

    limits = limits_over(server, fail_closed=True, rebuild=rebuild)
    await client.flushdb()
    with pytest.raises(RateLimited, match="950 used"):
        await take(limits)
    await limits.close()


async def test_nobody_waits_for_ever_for_counters(server, client, monkeypatch):
    monkeypatch.setattr("keys.limits.admission.REBUILD_WAIT_S", 0.01)
    never = asyncio.Event()

    async def rebuild(workspace_id):
        await never.wait()

    limits = limits_over(server, fail_closed=True, rebuild=rebuild)
    await client.flushdb()
    with pytest.raises(Unavailable) as caught:
        await take(limits)
    assert caught.value.code == "limits_rebuilding"
    never.set()
    await limits.close()


async def test_open_limits_go_on_and_are_rebuilt_beside_the_calls(server, client):
    asked = asyncio.Event()

    async def rebuild(workspace_id):
        asked.set()

    limits = limits_over(server, rebuild=rebuild)
    await client.flushdb()
    await take(limits)
    await asked.wait()
    assert await values(client) == [100, 7, 1, 1]
    await limits.close()


async def test_running_calls_hold_again_what_redis_has_lost(limits, server, client):
    taken = await take(limits)
    await client.flushdb()
    await client.set(EPOCH, "second")
    await limits.tick()
    assert await values(client) == [100, 7, 1, 1]
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]


async def test_a_call_that_ended_after_the_loss_counts_in_full_and_once(limits, server, client):
    taken = await take(limits)
    await client.flushdb()
    await client.set(EPOCH, "second")
    server.deaf = True
    limits.settle(taken, tokens=70, cost_nano=9)
    await server.settled()
    server.deaf = False
    await limits.tick()
    await server.settled()
    assert await values(client) == [70, 9, 1, 0]


async def test_two_groups_are_one_step_and_are_settled_apart(limits, server, client):
    other = limit(Unit.TOKENS, 500, owner="vkey:1")
    mine, its = await limits.admit_each(W, [(TOKENS,), (other,)], tokens=100, cost_nano=0, now=time.time())
    assert server.admissions() == 1
    limits.settle(its, tokens=0, cost_nano=0)
    limits.settle(mine, tokens=30, cost_nano=0)
    await server.settled()
    assert await values(client, TOKENS, other) == [30, 0]
