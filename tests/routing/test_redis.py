"""The pipe to Redis: one round trip a tick, one time-out a failure, and back by itself."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

import pytest
import redis.asyncio
from structlog.testing import CapturingLogger

from keys.limits import RedisUnavailable
from routing import redis as pipes
from routing.redis import RedisPipe, Script
from tests.stack import EmbeddedServers, wait_until

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A Valkey that may be killed."""
    with tempfile.TemporaryDirectory(prefix="gh-", dir="/tmp") as directory, EmbeddedServers(Path(directory)) as servers:
        yield servers


@pytest.fixture
async def url(servers):
    return servers.new_redis_url()


@pytest.fixture
async def pipe(url):
    pipe = RedisPipe(url)
    yield pipe
    await pipe.close()


@pytest.fixture
async def mortal(own):
    """A pipe to the Valkey that may be killed; it runs again afterwards."""
    pipe = RedisPipe(own.redis_url)
    await pipe.run(Script(ADD), ["warm"], [1])
    yield pipe
    own.resume("valkey")
    await pipe.close()


@pytest.fixture
async def count(url):
    """How often a command was called, by the server's own statistics."""
    async with redis.asyncio.Redis.from_url(url) as client:

        async def calls(name: str) -> int:
            stats = await client.info("commandstats")
            return stats.get(f"cmdstat_{name}", {}).get("calls", 0)

        yield calls


def until_up(pipe):
    wait_until(lambda: not pipe.is_down, "the cool-down never ends")


async def test_it_runs_a_script(pipe):
    assert await pipe.run(Script(ADD), ["k"], [5]) == 5
    assert await pipe.run(Script(ADD), ["k"], [-2]) == 3


async def test_calls_of_one_tick_share_a_write(url, pipe, monkeypatch):
    script = Script(ADD)
    await pipe.run(script, ["k"], [0])
    writes = []
    real = pipe._write
    monkeypatch.setattr(pipe, "_write", lambda data: writes.append(data.count(b"EVALSHA")) or real(data))
    assert sorted(await asyncio.gather(*(pipe.run(script, ["k"], [1]) for _ in range(20)))) == list(range(1, 21))
    assert writes == [20]
    await pipe.run(script, ["k"], [1])
    assert writes == [20, 1]


async def test_a_script_is_sent_once(pipe, count):
    script = Script(f"{ADD} -- {uuid.uuid4()}")
    before = await count("eval")
    for _ in range(3):
        await pipe.run(script, ["k"], [1])
    await asyncio.gather(*(pipe.run(script, ["k"], [1]) for _ in range(3)))
    assert await count("eval") == before + 1


@pytest.mark.parametrize("at_once", [1, 5])
async def test_it_recovers_from_a_server_that_forgot_its_scripts(url, pipe, at_once):
    script, other = Script(ADD), Script("return ARGV[1] + 1")
    await asyncio.gather(pipe.run(script, ["k"], [1]), pipe.run(other, ["k"], [1]))
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.script_flush()
    calls = [pipe.run(script, ["k"], [1]) for _ in range(at_once)] + [pipe.run(other, [], [i]) for i in range(at_once - 1)]
    answers = await asyncio.gather(*calls)
    assert sorted(answers[:at_once]) == list(range(2, at_once + 2))
    assert answers[at_once:] == [i + 1 for i in range(at_once - 1)]
    assert not pipe.is_down


@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_script_that_fails_fails_its_own_call_and_nobody_elses(pipe, at_once):
    good, bad = Script(ADD), Script("return redis.call('INCRBY', KEYS[1], 'x')")
    calls = [pipe.run(bad, ["k"], [1])] + [pipe.run(good, ["k"], [1]) for _ in range(at_once - 1)]
    failed, *others = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(failed, RedisUnavailable)
    assert sorted(others) == list(range(1, at_once))
    assert not pipe.is_down, "a server that answers is not down"
    assert await pipe.run(good, ["k"], [1])


async def test_a_caller_that_hangs_up_disturbs_nobody(pipe):
    script = Script(ADD)
    calls = [asyncio.ensure_future(pipe.run(script, ["k"], [1])) for _ in range(3)]
    await asyncio.sleep(0)  # the calls are waiting for their tick
    calls[1].cancel()
    first, cancelled, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (isinstance(first, int), isinstance(last, int)) == (True, True)
    assert isinstance(cancelled, asyncio.CancelledError)


async def test_closing_waits_for_what_was_sent_for_later(url):
    pipe = RedisPipe(url)
    pipe.run_later(Script(ADD), ["k"], [7])
    await asyncio.sleep(0)
    await pipe.close()
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.get("k") == b"7"


async def test_it_says_what_is_there(url, pipe):
    assert await pipe.ping()
    assert not await pipe.exists("k")
    await pipe.run(Script(ADD), ["k"], [1])
    assert await pipe.exists("k")


async def test_what_nobody_waits_for_goes_by_itself(url, pipe):
    for _ in range(3):
        pipe.run_later(Script(ADD), ["k"], [1])
    with redis.Redis.from_url(url) as client:
        await asyncio.to_thread(wait_until, lambda: client.get("k") == b"3", "it never went")


async def test_nothing_is_there_without_a_server():
    pipe = RedisPipe("redis://127.0.0.1:1/0")
    assert not await pipe.ping()
    assert not await pipe.exists("k")
    await pipe.close()


async def test_a_dead_server_costs_one_time_out_and_then_nothing(caplog):
    pipe = RedisPipe("redis://127.0.0.1:1/0")
    started = time.monotonic()
    outcomes = await asyncio.gather(*(pipe.run(Script(ADD), ["k"], [1]) for _ in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RedisUnavailable}
    assert time.monotonic() - started < 2 * pipes.TIMEOUT_S
    started = time.monotonic()
    assert pipe.is_down
    for _ in range(100):
        with pytest.raises(RedisUnavailable, match="a moment ago"):
            await pipe.run(Script(ADD), ["k"], [1])
    pipe.run_later(Script(ADD), ["k"], [1])  # is logged, not raised
    await asyncio.sleep(0)
    assert time.monotonic() - started < pipes.TIMEOUT_S
    await pipe.close()


async def test_a_server_that_hangs_costs_one_time_out(own, mortal):
    own.pause("valkey")
    started = time.monotonic()
    with pytest.raises(RedisUnavailable):
        await mortal.run(Script(ADD), ["k"], [1])
    assert pipes.TIMEOUT_S * 0.9 < time.monotonic() - started < pipes.TIMEOUT_S * 3
    assert mortal.is_down
    own.resume("valkey")
    until_up(mortal)
    assert await mortal.run(Script(ADD), ["after-hang"], [1]) == 1


async def test_who_comes_during_a_time_out_does_not_wait_for_a_second_one(own, mortal):
    own.pause("valkey")
    started = time.monotonic()
    first = asyncio.ensure_future(mortal.run(Script(ADD), ["k"], [1]))
    await asyncio.sleep(pipes.TIMEOUT_S / 2)
    second = asyncio.ensure_future(mortal.run(Script(ADD), ["k"], [1]))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RedisUnavailable}
    assert time.monotonic() - started < pipes.TIMEOUT_S * 1.8


async def test_a_server_that_dies_in_the_middle_is_found_again_when_it_is_back(own, mortal, monkeypatch):
    monkeypatch.setattr(pipes, "COOL_DOWN_S", 0.1)
    script = Script(ADD)
    await mortal.run(script, ["k"], [1])
    own.pause("valkey")
    calls = [asyncio.ensure_future(mortal.run(script, ["k"], [1])) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.to_thread(own.kill, "valkey")
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RedisUnavailable}
    own.restart("valkey")
    until_up(mortal)
    # The new server knows no script.
    assert await mortal.run(script, ["after-kill"], [1]) == 1


async def test_no_caller_waits_for_ever_where_sending_breaks(url, pipe, monkeypatch):
    await pipe.run(Script(ADD), ["k"], [1])

    def broken(data):
        raise RuntimeError("a bug")

    monkeypatch.setattr(pipe, "_write", broken)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with asyncio.timeout(5):
        with pytest.raises(RedisUnavailable):
            await pipe.run(Script(ADD), ["k"], [1])


async def test_a_subscription_that_cannot_be_had_is_told_once(monkeypatch):
    again = asyncio.Event()
    tries = []

    def client(url, **options):
        tries.append(url)
        if len(tries) > 3:
            again.set()
        return connect(url, **options)

    connect = redis.asyncio.Redis.from_url
    monkeypatch.setattr(redis.asyncio.Redis, "from_url", client)
    monkeypatch.setattr(pipes, "COOL_DOWN_S", 0.0)
    # Not capture_logs: a logger that has spoken before keeps its way out.
    told = CapturingLogger()
    monkeypatch.setattr(pipes, "log", told)
    listening = asyncio.ensure_future(anext(RedisPipe("redis://127.0.0.1:1").messages("news")))
    await asyncio.wait_for(again.wait(), 10)
    listening.cancel()
    await asyncio.wait([listening])
    assert [call.args for call in told.calls] == [("the subscription was lost",)]
