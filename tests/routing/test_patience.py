"""Time: the bounds of a try and of a call, wishes of Retry-After, streams that begin late or break in the middle of a read."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest

from routing import attempts
from routing.call import Breaker, Pool, Retry, Timeouts
from routing.errors import BreakerOpen, RateLimited, StreamBroken, UpstreamTimeout
from routing.patience import MAX_RETRY_AFTER_S, backoff_ms
from routing.plan import Plan
from routing.relay import MAX_HELD_BYTES
from tests.routing import test_attempts as trials
from tests.routing.test_attempts import DONE, FAILURE, HELLO, RETRIES, JumpingLoop, Response, failing, fallback, run, target

ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
PING = b": keep-alive\n\n"
BOUNDS = {
    "attempt_ms": "request_timeout",
    "first_token_ms": "first_token_timeout",
    "idle_ms": "idle_timeout",
    "total_ms": "total_timeout",
}


def within(**bounds):
    return target(timeouts=Timeouts(**bounds))


def run_plan(monkeypatch, root, *answers, stream=False, **plan):
    """As `run`, with the plan's own fields."""
    made = trials.exchange_of

    def exchange_of(root, *, stream=False):
        exchange = made(root, stream=stream)
        exchange.plan = Plan(root, **plan)
        return exchange

    monkeypatch.setattr(trials, "exchange_of", exchange_of)
    return run(root, *answers, stream=stream)


# --- One try -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOUNDS)
def test_a_stream_whose_first_token_does_not_come_is_a_408_that_names_the_bound(name):
    trial = run(within(**{name: 500}), Response(pieces=[ROLE, 2.0, HELLO, DONE]), stream=True)
    assert (trial.error.status, trial.error.code, trial.seconds) == (408, BOUNDS[name], 0.5)
    assert "500ms" in trial.error.message


@pytest.mark.parametrize("name", ["attempt_ms", "first_token_ms"])
def test_a_silence_before_the_first_token_is_allowed_where_its_time_is_bounded_by_itself(name):
    trial = run(within(idle_ms=500, **{name: 3000}), Response(pieces=[ROLE, 2.0, HELLO, DONE]), stream=True)
    assert trial.content == ROLE + HELLO + DONE


def test_a_silence_before_the_first_token_leads_to_the_next_target():
    root = fallback(within(idle_ms=500), target("config.targets[1]"))
    trial = run(root, Response(pieces=[ROLE, PING, 2.0, HELLO]), Response(pieces=[HELLO, DONE]), stream=True)
    assert (trial.content, [one.status for one in trial.exchange.attempts]) == (HELLO + DONE, [408, 200])


@pytest.mark.parametrize("name", BOUNDS)
def test_a_stream_that_has_begun_is_ended_only_by_silence_and_the_total(name):
    trial = run(within(**{name: 500}), Response(pieces=[HELLO, 2.0, HELLO, DONE]), stream=True)
    if name in ("idle_ms", "total_ms"):
        assert (trial.content, trial.stream_error.code, trial.stream_error.status) == (HELLO, BOUNDS[name], 408)
        assert trial.seconds == 0.5
    else:
        assert trial.content == HELLO + HELLO + DONE


def test_many_short_silences_are_none():
    trial = run(within(idle_ms=500), Response(pieces=[HELLO, 0.4, HELLO, 0.4, HELLO, 0.4, DONE]), stream=True)
    assert (trial.content, trial.stream_error) == (HELLO * 3 + DONE, None)


def test_the_first_token_has_no_time_out_where_there_are_no_tokens():
    assert run(within(first_token_ms=500), Response(wait_s=2.0)).reply.status == 200


@pytest.mark.parametrize("name", ["attempt_ms", "total_ms"])
def test_a_whole_answer_is_bounded_to_its_end(name):
    assert run(within(**{name: 500}), Response(wait_s=2.0)).error.code == BOUNDS[name]


def test_the_silence_in_a_whole_answer_is_bounded():
    trial = run(within(idle_ms=500), Response(pieces=[b'{"object": ', 2.0, b'"x"}']))
    assert (trial.error.status, trial.error.code) == (408, "idle_timeout")


def test_the_nearest_bound_is_the_one_that_is_named():
    trial = run(within(attempt_ms=900, first_token_ms=300, total_ms=600), Response(pieces=[5.0]), stream=True)
    assert (trial.error.code, trial.seconds) == ("first_token_timeout", 0.3)


def test_the_connection_has_a_time_out_of_its_own():
    trial = run(within(connect_ms=250), Response())
    assert trial.upstream.requests[0].connect_ms == 250
    assert run(target(), Response()).upstream.requests[0].connect_ms is None


# --- The whole call ----------------------------------------------------------------------------------------------------


def test_the_deadline_ends_a_try_and_no_other_target_follows(monkeypatch):
    root = fallback(target(retry=RETRIES), target())
    trial = run_plan(monkeypatch, root, Response(wait_s=10), deadline_ms=700)
    assert (trial.error.status, trial.error.code, trial.tried) == (408, "deadline_exceeded", [("[0]", 408)])
    assert trial.seconds == pytest.approx(0.7, abs=0.05)


def test_a_wait_that_would_pass_the_deadline_is_not_begun(monkeypatch):
    root = fallback(target(retry=dataclasses.replace(RETRIES, initial_delay_ms=5000)), target())
    trial = run_plan(monkeypatch, root, failing(503), Response(), deadline_ms=2000)
    assert trial.tried == [("[0]", 503), ("[1]", 200)]
    assert trial.seconds < 1


def test_giving_up_before_the_deadline_is_told_as_minus_one(monkeypatch):
    slow = target(retry=dataclasses.replace(RETRIES, initial_delay_ms=5000))
    trial = run_plan(monkeypatch, slow, failing(503), deadline_ms=2000)
    assert (trial.error.status, trial.exchange.retry_count) == (503, -1)


def test_the_deadline_ends_a_stream_too(monkeypatch):
    trial = run_plan(monkeypatch, target(), Response(pieces=[HELLO, 10.0, DONE]), stream=True, deadline_ms=700)
    assert (trial.content, trial.stream_error.code) == (HELLO, "deadline_exceeded")


def test_what_providers_wish_for_is_bounded_over_the_whole_call():
    wishes = Retry(5, use_retry_after=True)
    trial = run(target(retry=wishes), *[failing(429, {"retry-after": "25"})] * 3)
    assert trial.waits == [25, 25], "a third wait would pass the minute"
    assert (trial.error.status, trial.exchange.retry_count) == (429, -1)
    both = fallback(target(retry=wishes), target(retry=wishes))
    trial = run(both, *[failing(429, {"retry-after": "25"})] * 3, failing(429, {"retry-after": "25"}))
    assert sum(trial.waits) < MAX_RETRY_AFTER_S


def test_the_back_off_stays_finite():
    assert backoff_ms(Retry(10_000, initial_delay_ms=1000, backoff_factor=10, max_delay_ms=16_000), 9_999) == 16_000


# --- The first token ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[ROLE], [PING, PING], [PING, ROLE, PING], [ROLE + PING]])
@pytest.mark.parametrize("end", [[], [StreamBroken("cut")], [FAILURE]], ids=["ended", "cut", "an error event"])
def test_role_and_comments_are_no_answer_yet(before, end):
    trial = run(fallback(target(), target()), Response(pieces=[*before, *end]), Response(pieces=[HELLO, DONE]), stream=True)
    assert (trial.content, [path for path, _ in trial.tried]) == (HELLO + DONE, ["[0]", "[1]"])


def test_what_came_before_the_first_token_is_sent_with_it():
    trial = run(target(), Response(pieces=[PING, ROLE, PING, HELLO, DONE]), stream=True)
    assert trial.content == PING + ROLE + PING + HELLO + DONE


def test_comments_without_end_do_not_fill_the_memory():
    count = MAX_HELD_BYTES // len(PING) + 10
    trial = run(fallback(target(), target()), Response(pieces=[PING] * count), stream=True)
    assert isinstance(trial.stream_error, StreamBroken)
    assert len(trial.content) > MAX_HELD_BYTES


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("broken", [FAILURE, b'data: {"error" nonsense\n\n'], ids=["an error event", "garbage"])
def test_good_events_before_a_broken_one_in_the_same_read_reach_the_caller(broken, newline):
    at_once = (HELLO + HELLO + broken + HELLO).replace(b"\n", newline)
    trial = run(fallback(target(), target()), Response(pieces=[HELLO, at_once]), stream=True)
    assert trial.content.count(b"hello") == 3
    assert trial.stream_error is not None
    first = run(fallback(target(), target()), Response(pieces=[ROLE + HELLO + broken]), stream=True)
    assert (first.content, first.tried) == (ROLE + HELLO, [("[0]", 200)])
    assert first.stream_error is not None


def test_a_broken_event_before_the_first_token_of_the_same_read_is_still_routed_round():
    root = fallback(target(), target())
    trial = run(root, Response(pieces=[ROLE + FAILURE]), Response(pieces=[HELLO, DONE]), stream=True)
    assert trial.content == HELLO + DONE


# --- Breakers and pools around a try -----------------------------------------------------------------------------------


GUARDED = Breaker(failure_threshold=1, cooldown_ms=60_000)


def over(gateway, *answers):
    gateway.upstream.answers.extend(answers)
    return gateway


async def one(root, gateway, *answers, stream=False):
    """One call to its end: the exchange, and its error if there was one."""
    exchange = trials.exchange_of(root, stream=stream)
    try:
        reply = await attempts.run(exchange, over(gateway, *answers))
        if not isinstance(reply.body, bytes):
            async for _ in reply.body:
                pass
    except Exception as error:  # noqa: BLE001 - the tests look at it
        return exchange, error
    return exchange, None


async def test_a_target_is_left_alone_while_its_breaker_is_open():
    gateway, root = trials.gateway_over(trials.Upstream()), target(breaker=GUARDED)
    exchange, error = await one(root, gateway, failing(500))
    assert (error.status, exchange.headers()["x-gatehouse-breaker"]) == (500, "closed")
    exchange, error = await one(root, gateway)
    assert isinstance(error, BreakerOpen)
    assert (exchange.headers()["x-gatehouse-breaker"], exchange.attempts[0].status) == ("open", 503)
    assert 0 < int(error.headers()["retry-after"]) <= 60


async def test_a_real_error_goes_before_a_target_that_was_left_alone():
    gateway = trials.gateway_over(trials.Upstream())
    root = fallback(target(), target(breaker=GUARDED, api_key="other"))
    await one(root, gateway, failing(503), failing(500))
    exchange, error = await one(root, gateway, failing(502))
    assert (error.status, exchange.target.path) == (502, "config.targets[0]")
    assert [line.status for line in exchange.attempts] == [502, 503]


async def test_retries_stop_when_the_breaker_opens():
    gateway = trials.gateway_over(trials.Upstream())
    root = target(breaker=dataclasses.replace(GUARDED, failure_threshold=2), retry=Retry(5, initial_delay_ms=20))
    exchange, error = await one(root, gateway, failing(500), failing(500))
    assert (error.status, exchange.retry_count, len(exchange.attempts)) == (500, -1, 2)


async def test_a_stream_that_breaks_late_counts_against_its_target():
    gateway, root = trials.gateway_over(trials.Upstream()), target(breaker=GUARDED)
    _, error = await one(root, gateway, Response(pieces=[HELLO, StreamBroken("cut")]), stream=True)
    assert isinstance(error, StreamBroken)
    await asyncio.sleep(0.01)
    assert isinstance((await one(root, gateway))[1], BreakerOpen)


async def test_a_stream_that_ends_well_or_is_left_does_not():
    gateway, root = trials.gateway_over(trials.Upstream()), target(breaker=GUARDED)
    assert (await one(root, gateway, Response(pieces=[HELLO, DONE]), stream=True))[1] is None
    exchange = trials.exchange_of(root, stream=True)
    reply = await attempts.run(exchange, over(gateway, Response(pieces=[HELLO, 100, DONE])))
    await anext(reply.body)
    await reply.body.aclose()
    assert (await one(root, gateway, Response()))[1] is None


async def test_a_place_in_a_pool_is_kept_until_the_stream_is_over():
    gateway, root = trials.gateway_over(trials.Upstream()), target(pool=Pool(1, acquire_timeout_ms=10))
    reply = await attempts.run(trials.exchange_of(root, stream=True), over(gateway, Response(pieces=[HELLO, DONE])))
    exchange, error = await one(root, gateway)
    assert isinstance(error, RateLimited)
    assert [line.status for line in exchange.attempts] == [429]
    await reply.body.aclose()
    assert (await one(root, gateway, Response(), failing(500)))[1] is None
    assert (await one(root, gateway))[1].status == 500
    assert gateway.pools._lines == {}


def test_attempts_tell_when_they_began():
    trial = run(fallback(target(retry=Retry(1, initial_delay_ms=0)), target()), failing(503), failing(503), Response())
    began = [line.started_ms for line in trial.exchange.attempts]
    assert began == sorted(began)
    assert 0 <= began[0] <= (time.monotonic() - trial.exchange.call.started) * 1000


def test_the_deadline_ends_the_wait_in_a_pool():
    gateway, root = trials.gateway_over(trials.Upstream()), target(pool=Pool(1, acquire_timeout_ms=60_000))
    second = trials.exchange_of(root)
    second.plan = Plan(root, deadline_ms=500)

    async def go():
        reply = await attempts.run(trials.exchange_of(root, stream=True), over(gateway, Response(pieces=[HELLO, DONE])))
        with pytest.raises(UpstreamTimeout) as caught:
            await attempts.run(second, gateway)
        assert caught.value.code == "deadline_exceeded"
        await reply.body.aclose()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(go())
        assert runner.get_loop().time() < 1
    assert [line.status for line in second.attempts] == [408]


def test_a_caller_who_leaves_while_waiting_in_a_pool_leaves_no_trace_there():
    gateway, root = trials.gateway_over(trials.Upstream()), target(pool=Pool(1, acquire_timeout_ms=60_000))

    async def go():
        reply = await attempts.run(trials.exchange_of(root, stream=True), over(gateway, Response(pieces=[HELLO, DONE])))
        waiting = asyncio.ensure_future(attempts.run(trials.exchange_of(root), gateway))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await reply.body.aclose()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(go())
    assert gateway.pools._lines == {}
