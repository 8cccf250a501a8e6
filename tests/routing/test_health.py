"""Breakers, shared between processes through a real Redis; pools; measurements. Two `Breakers` here are two processes."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest

from routing import health
from routing.breakers import Breakers, Subject, is_failure
from routing.call import Breaker, Pool, Target
from routing.errors import InvalidRequest, ProviderError, RateLimited, StreamBroken, UpstreamTimeout, UpstreamUnreachable
from routing.measures import AGES_AFTER_S, FAILURE_MS, Measures
from routing.patience import DEADLINE
from routing.pools import MAX_WAITING, Pools
from routing.providers import table
from routing.redis import RedisPipe

OPENAI = table.find("openai")
WHOM = Subject("subject-1", '{"workspace_id":"w","provider":"p","host":"h","model":null,"virtual_key_id":null}')
NOBODY = "redis://127.0.0.1:1"
FAST = Breaker(failure_threshold=3, cooldown_ms=150)


def target(**fields):
    return Target("config", OPENAI, "https://llm.example/v1", **fields)


def status(code):
    return ProviderError("no", status=code, error_type=None, param=None, code=None)


async def until(condition, what):
    """Waits for what another process has to hear."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


@pytest.fixture
def url(servers):
    return servers.new_redis_url()


@pytest.fixture
async def process(url):
    """Makes the breakers of a process."""
    made = []

    def start(address=url):
        pipe = RedisPipe(address)
        made.append((pipe, Breakers(pipe)))
        return made[-1][1]

    yield start
    for pipe, breakers in made:
        await breakers.close()
        await pipe.close()


async def fail(breakers, times=1, breaker=FAST):
    for _ in range(times):
        (await breakers.admit(WHOM, breaker)).failed()
        await asyncio.sleep(0)


async def open_in(breakers, breaker=FAST):
    await fail(breakers, breaker.failure_threshold, breaker)
    await until(lambda: breakers.open_for_s(WHOM) is not None, "the breaker did not open")


async def cooled(breakers):
    await until(lambda: breakers.open_for_s(WHOM) is None, "the cooldown did not end")


# --- Opening -----------------------------------------------------------------------------------------------------------


async def test_failures_in_a_row_open_it(process):
    one = process()
    await fail(one, 2)
    await asyncio.sleep(0.05)
    assert one.open_for_s(WHOM) is None
    await fail(one)
    await until(lambda: one.open_for_s(WHOM) is not None, "the breaker did not open")
    assert await one.admit(WHOM, FAST) is None


async def test_it_stays_open_in_its_process_while_redis_counts(process):
    """Failures that come at once are told one by one; the answer to the first of them must not let calls through again."""
    one = process()
    watches = [await one.admit(WHOM, FAST) for _ in range(3)]
    for watch in watches:
        watch.failed()
    seen = set()
    for _ in range(200):
        seen.add(one.is_open(WHOM))
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert seen == {True}
    assert one.is_open(WHOM)


async def test_a_success_in_between_starts_the_count_anew(process):
    one = process()
    for _ in range(3):
        await fail(one, 2)
        await asyncio.sleep(0.03)
        (await one.admit(WHOM, FAST)).succeeded()
        await asyncio.sleep(0.06)
    assert one.open_for_s(WHOM) is None


async def test_failures_of_several_processes_add_up_and_all_of_them_hear_of_it(process):
    slow = dataclasses.replace(FAST, cooldown_ms=5_000)
    processes = [process(), process(), process()]
    for one in processes:
        await one.admit(WHOM, slow)
    for one in processes:
        await fail(one, 1, slow)
    for one in processes:
        await until(lambda one=one: one.open_for_s(WHOM) is not None, "a process did not hear of it")
        assert 4 < one.open_for_s(WHOM) <= 5


async def test_a_process_that_starts_later_hears_of_it(process):
    slow = dataclasses.replace(FAST, cooldown_ms=5_000)
    await open_in(process(), slow)
    late = process()
    await late.admit(Subject("another", "{}"), slow)
    await until(lambda: late.open_for_s(WHOM) is not None, "the late process did not hear of it")


@pytest.mark.parametrize(("failures", "opens"), [(4, False), (5, True)])
async def test_a_share_of_failures_opens_it_once_there_are_enough_calls(process, failures, opens):
    by_share = Breaker(failure_threshold_percentage=50, minimum_requests=10, cooldown_ms=1_000)
    one = process()
    for number in range(10):
        watch = await one.admit(WHOM, by_share)
        watch.failed() if number % 2 == 0 and number // 2 < failures else watch.succeeded()
        await asyncio.sleep(0)
        if number < 9:
            assert one.open_for_s(WHOM) is None
    await asyncio.sleep(0.1)
    assert (one.open_for_s(WHOM) is not None) == opens


@pytest.mark.parametrize(
    ("error", "codes", "verdict"),
    [
        (None, (), False),
        (status(500), (), True),
        (status(529), (), True),
        (status(429), (), False),
        (status(401), (), False),
        (status(429), (429,), True),
        (status(500), (429,), False),
        (UpstreamUnreachable("gone"), (429,), True),
        (StreamBroken("cut"), (429,), True),
        (UpstreamTimeout("late"), (429,), True),
        (UpstreamTimeout("the call's own", code=DEADLINE), (), None),
        (InvalidRequest("ours"), (), None),
        (RateLimited("ours", retry_after_s=1), (429,), None),
        (GeneratorExit(), (), None),
        (asyncio.CancelledError(), (), None),
    ],
)
def test_what_counts_against_a_target(error, codes, verdict):
    assert is_failure(error, Breaker(1, failure_status_codes=frozenset(codes))) is verdict


async def test_who_leaves_is_not_counted(process):
    one = process()
    for _ in range(10):
        (await one.admit(WHOM, FAST)).ended(GeneratorExit())
    await asyncio.sleep(0.05)
    assert one.open_for_s(WHOM) is None


# --- The probe ---------------------------------------------------------------------------------------------------------


async def test_after_the_cooldown_exactly_one_call_of_all_processes_is_the_probe(process):
    processes = [process(), process()]
    for one in processes:
        await one.admit(WHOM, FAST)
    await open_in(processes[0])
    await until(lambda: processes[1].open_for_s(WHOM) is not None, "the other process did not hear of it")
    for one in processes:
        await cooled(one)

    let_through = await asyncio.gather(*(one.admit(WHOM, FAST) for one in processes * 20))

    assert [bool(watch.probe) for watch in let_through if watch is not None] == [True]


async def test_a_probe_that_succeeds_closes_it_everywhere(process):
    one, other = process(), process()
    await other.admit(WHOM, FAST)
    await open_in(one)
    await until(lambda: other.open_for_s(WHOM) is not None, "the other process did not hear of it")
    await cooled(one)
    (await one.admit(WHOM, FAST)).succeeded()
    await until(lambda: one._states[WHOM.id].open_until == 0, "it did not close")
    await until(lambda: other._states[WHOM.id].open_until == 0, "it did not close in the other process")
    assert not (await other.admit(WHOM, FAST)).probe


async def test_a_probe_that_fails_opens_it_for_another_cooldown(process):
    one = process()
    await open_in(one)
    await cooled(one)
    (await one.admit(WHOM, FAST)).failed()
    await asyncio.sleep(0.02)
    assert one.open_for_s(WHOM) is not None
    await cooled(one)
    assert (await one.admit(WHOM, FAST)).probe


async def test_a_probe_whose_caller_leaves_lets_another_one_try(process):
    one = process()
    await open_in(one)
    await cooled(one)
    (await one.admit(WHOM, FAST)).ended(asyncio.CancelledError())
    await asyncio.sleep(0.02)
    assert (await one.admit(WHOM, FAST)).probe


async def test_outcomes_of_calls_from_before_the_opening_change_nothing(process):
    one = process()
    early = await one.admit(WHOM, FAST)
    await open_in(one)
    early.succeeded()
    await asyncio.sleep(0.03)
    assert one.open_for_s(WHOM) is not None


# --- Without Redis -----------------------------------------------------------------------------------------------------


async def test_without_redis_a_process_counts_for_itself(process):
    one, other = process(NOBODY), process(NOBODY)
    await other.admit(WHOM, FAST)
    await open_in(one)
    assert other.open_for_s(WHOM) is None
    await cooled(one)
    probe = await one.admit(WHOM, FAST)
    assert probe.probe
    assert await one.admit(WHOM, FAST) is None
    probe.succeeded()
    await until(lambda: one._states[WHOM.id].open_until == 0, "it did not close")


async def test_without_redis_a_share_opens_it_too(process):
    by_share = Breaker(failure_threshold_percentage=50, minimum_requests=4, cooldown_ms=1_000)
    one = process(NOBODY)
    for number in range(4):
        watch = await one.admit(WHOM, by_share)
        watch.failed() if number % 2 else watch.succeeded()
        await asyncio.sleep(0)
    await until(lambda: one.open_for_s(WHOM) is not None, "the breaker did not open")


# --- For people --------------------------------------------------------------------------------------------------------


async def test_open_breakers_can_be_listed(process, url):
    assert await asyncio.to_thread(health.states, url) == []
    guarded = target(virtual_key_id="vk", breaker=Breaker(2, cooldown_ms=5_000), override_params={"model": "m"})
    whom, one = health.subject("w", guarded), process()
    for _ in range(2):
        (await one.admit(whom, guarded.breaker)).failed()
    for _ in range(100):
        if found := await asyncio.to_thread(health.states, url):
            break

    (shown,) = found

    assert (shown.id, shown.workspace_id, shown.provider, shown.host) == (whom.id, "w", "openai", "llm.example")
    assert (shown.model, shown.virtual_key_id, shown.failures, shown.state) == ("m", "vk", 2, "open")
    assert shown.since == pytest.approx(time.time(), abs=5)
    assert shown.until - shown.since == pytest.approx(5)


def test_a_target_is_known_by_what_may_fail_apart():
    plain = target(api_key="k", breaker=FAST)
    others = [
        target(api_key="other", breaker=FAST),
        target(virtual_key_id="vk", breaker=FAST),
        target(api_key="k", breaker=FAST, override_params={"model": "m"}),
        target(api_key="k", breaker=dataclasses.replace(FAST, failure_threshold=4)),
        target(api_key="k", breaker=FAST, options={"region": "eu"}),
        dataclasses.replace(plain, base_url="https://other.example/v1"),
    ]
    ids = {health.subject("w", one).id for one in [plain, *others]} | {health.subject("w2", plain).id}
    assert len(ids) == len(others) + 2
    assert health.subject("w", dataclasses.replace(plain, path="elsewhere")).id == health.subject("w", plain).id
    assert "k" not in health.subject("w", target(api_key="sk-secret")).label.replace("workspace", "").replace(
        "virtual_key_id", ""
    )


# --- Pools -------------------------------------------------------------------------------------------------------------


TWO = Pool(2, acquire_timeout_ms=50)


async def test_a_pool_lends_no_more_than_it_has_and_says_when_to_come_back():
    pools = Pools()
    taken = [await pools.take("w", target(), TWO) for _ in range(2)]
    with pytest.raises(RateLimited) as caught:
        await pools.take("w", target(), TWO)
    assert (caught.value.status, caught.value.code) == (429, "connection_pool_exhausted")
    assert caught.value.headers()["retry-after"] == "1"
    await pools.take("w2", target(), TWO)
    await pools.take("w", dataclasses.replace(target(), provider=table.find("anthropic")), TWO)
    taken[0].free()
    await pools.take("w", target(), TWO)


async def test_who_waits_is_served_in_order_and_who_leaves_takes_nothing_along():
    pools, served = Pools(), []
    patient = Pool(1, acquire_timeout_ms=5_000)
    first = await pools.take("w", target(), patient)

    async def wait(name):
        slot = await pools.take("w", target(), patient)
        served.append(name)
        slot.free()

    waiting = [asyncio.ensure_future(wait(name)) for name in "abcd"]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    first.free()
    await asyncio.wait(waiting)
    assert served == ["a", "c", "d"]
    assert pools._lines == {}


async def test_a_slot_that_comes_in_the_moment_of_leaving_is_handed_on():
    pools = Pools()
    one = Pool(1, acquire_timeout_ms=5_000)
    first = await pools.take("w", target(), one)
    leaving = asyncio.ensure_future(pools.take("w", target(), one))
    await asyncio.sleep(0)
    first.free()
    leaving.cancel()
    await asyncio.wait([leaving])
    (await pools.take("w", target(), one)).free()
    assert pools._lines == {}


async def test_the_line_of_those_who_wait_is_bounded():
    pools = Pools()
    one = Pool(1, acquire_timeout_ms=60_000)
    await pools.take("w", target(), one)
    waiting = [asyncio.ensure_future(pools.take("w", target(), one)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await pools.take("w", target(), one)
    for one_of_them in waiting:
        one_of_them.cancel()
    await asyncio.wait(waiting)


# --- Measurements ------------------------------------------------------------------------------------------------------


class Watchless:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self):
        return self.now


def test_measurements_follow_the_newest_and_age():
    clock = Watchless()
    measures = Measures(clock)

    def take(seconds, failed=False):
        measuring = measures.begin("t")
        assert measures.busy("t") == 1
        clock.now += seconds
        measuring.began(failed=failed)
        measuring.ended()

    assert (measures.latency_ms("t"), measures.busy("t")) == (None, 0)
    take(0.2)
    assert measures.latency_ms("t") == pytest.approx(200)
    take(0.4)
    assert 200 < measures.latency_ms("t") < 400
    take(0.001, failed=True)
    assert measures.latency_ms("t") > FAILURE_MS * 0.3, "a failure that comes fast is no good answer"
    clock.now += AGES_AFTER_S + 1
    assert measures.latency_ms("t") is None, "it is tried again"
    take(0.1)
    assert measures.latency_ms("t") == pytest.approx(100), "and the past is forgotten"
    assert measures.busy("t") == 0
