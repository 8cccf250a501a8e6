"""Trying targets until one answers: retries, back-off, time-outs, streams, and the list of what was tried.

The provider is an object handed to the gateway, and the loop's clock jumps ahead whenever everybody waits: nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import statistics
import time
from decimal import Decimal
from email.utils import formatdate
from types import SimpleNamespace

import orjson
import pytest

from keys.auth import Caller
from keys.limits import NOTHING, Limit, Period, Reservation, Unit
from routing import attempts
from routing.breakers import Breakers
from routing.call import Call, Retry, Target, Timeouts
from routing.errors import (
    BudgetExceeded,
    GatewayError,
    InvalidRequest,
    ProviderError,
    RateLimited,
    StreamBroken,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from routing.exchange import Exchange
from routing.health import Health
from routing.plan import Branch, Plan
from routing.pools import Pools
from routing.providers import table
from routing.redis import RedisPipe

CHAT = {"object": "chat.completion", "model": "m-1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
HELLO = b'data: {"choices": [{"index": 0, "delta": {"content": "hello"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
FAILURE = b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'
LIMIT = Limit("vkey:1", "virtual key 'v'", Unit.REQUESTS, Period.MINUTE, 1)


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while somebody works and jumps to the next alarm when nobody does."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, min((alarm.when() for alarm in self._scheduled if not alarm.cancelled()), default=0))
        super()._run_once()


class Response:
    """A provider's answer: a body, or the pieces of a stream; a piece may be an error or a wait in seconds."""

    def __init__(self, status=200, body=CHAT, headers=None, pieces=None, wait_s=0.0):
        self.status = status
        self.headers = headers or {"content-type": "application/json"}
        self.wait_s = wait_s
        self.closed = 0
        self._body = body if isinstance(body, bytes) else orjson.dumps(body)
        self._pieces = pieces

    async def read(self):
        return self._body

    async def chunks(self):
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                yield piece
            else:
                await asyncio.sleep(piece)

    async def close(self):
        self.closed += 1


class Upstream:
    """Gives its answers one after the other, and keeps what it was sent and when."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.times = []
        self.responses = []

    async def send(self, request):
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep(answer.wait_s)
        self.responses.append(answer)
        return answer


class LimitBook:
    """Keeps what is admitted and settled; `refusals` are raised first."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.admitted = []
        self.settled = []

    async def admit(self, workspace_id, limits, *, tokens, cost_nano, now):
        if self.refusals and (refusal := self.refusals.pop(0)) is not None:
            raise refusal
        self.admitted.append((workspace_id, tuple(limits), tokens, cost_nano))
        return Reservation(f"counter-{len(self.admitted)}")

    def settle(self, reservation, *, tokens, cost_nano):
        self.settled.append((reservation.id, tokens, cost_nano))


def target(path="config", **fields):
    return Target(path, table.find("openai"), "https://llm.example/v1", **{"api_key": "sk-1", **fields})


def fallback(*targets, on=None):
    named = (dataclasses.replace(one, path=f"config.targets[{index}]") for index, one in enumerate(targets))
    return Branch("fallback", tuple(named), on_status_codes=on and frozenset(on))


def exchange_of(root, *, stream=False):
    body = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], **({"stream": True} if stream else {})}
    call = Call("id", "chat/completions", body, orjson.dumps(body), {}, "trace", {}, time.monotonic(), 0)
    exchange = Exchange(call, Caller("w", "k"))
    exchange.plan = Plan(root)
    return exchange


def gateway_over(upstream, limits=None):
    """As much of a gateway as an attempt needs; every call costs a millionth of a dollar."""
    prices = SimpleNamespace(call_cost=lambda provider, names, usage, at_us, tariffs: Decimal("0.000001"))
    health = Health(Breakers(RedisPipe("redis://127.0.0.1:1")), prices)
    return SimpleNamespace(upstream=upstream, limits=limits or LimitBook(), prices=prices, health=health, pools=Pools())


@dataclasses.dataclass
class Trial:
    """What came of one run."""

    exchange: Exchange
    upstream: Upstream
    limits: LimitBook
    reply: object = None
    error: GatewayError | None = None
    content: bytes = b""
    stream_error: Exception | None = None
    seconds: float = 0.0

    @property
    def waits(self):
        return [later - earlier for earlier, later in itertools.pairwise(self.upstream.times)]

    @property
    def tried(self):
        return [(attempt.path.removeprefix("config.targets"), attempt.status) for attempt in self.exchange.attempts]


def run(root, *answers, stream=False, limits=None):
    """Runs a call over these answers of the provider, to the end of its body."""
    trial = Trial(exchange_of(root, stream=stream), Upstream(*answers), limits or LimitBook())

    async def go():
        try:
            trial.reply = await attempts.run(trial.exchange, gateway_over(trial.upstream, trial.limits))
        except GatewayError as error:
            trial.error = error
            return
        if isinstance(trial.reply.body, bytes):
            trial.content = trial.reply.body
            return
        try:
            async for piece in trial.reply.body:
                trial.content += piece
        except GatewayError as error:
            trial.stream_error = error

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(go())
        trial.seconds = runner.get_loop().time()
    assert all(response.closed for response in trial.upstream.responses), "a connection was left open"
    return trial


def failing(status, headers=None):
    return Response(status, {"error": {"message": f"no: {status}"}}, headers)


RETRIES = Retry(attempts=3, initial_delay_ms=1000)


# --- One target ------------------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_with_its_usage_and_model():
    trial = run(target(), Response())
    assert (trial.reply.status, orjson.loads(trial.content)) == (200, CHAT)
    assert (trial.reply.model, trial.reply.usage.prompt_tokens, trial.reply.usage.completion_tokens) == ("m-1", 3, 2)
    assert (trial.tried, trial.exchange.retry_count, trial.exchange.reached_provider) == ([("config", 200)], 0, True)


def test_headers_of_the_answer_pass_but_not_those_of_the_connection():
    passed = {"X-Request-Id": "r-1", "openai-processing-ms": "5", "x-ratelimit-remaining": "9"}
    kept_back = [
        "Content-Type",
        "Set-Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "X-Portkey-Provider",
        "Server",
    ]
    headers = passed | dict.fromkeys(kept_back, "x")
    assert run(target(), Response(headers=headers)).reply.headers == {
        "x-request-id": "r-1",
        "openai-processing-ms": "5",
        "x-ratelimit-remaining": "9",
    }


def test_without_a_retry_an_error_is_given_back_at_once():
    trial = run(target(), failing(503))
    assert isinstance(trial.error, ProviderError)
    assert (trial.error.status, trial.error.provider, trial.seconds) == (503, "openai", 0)
    assert (trial.tried, trial.exchange.retry_count) == ([("config", 503)], 0)


@pytest.mark.parametrize(
    ("retry", "answers", "statuses", "count"),
    [
        (RETRIES, [503, 200], [503, 200], 1),
        (RETRIES, [429, 500, 504, 200], [429, 500, 504, 200], 3),
        (RETRIES, [503, 503, 503, 503], [503, 503, 503, 503], -1),
        (RETRIES, [400], [400], 0),
        (RETRIES, [401], [401], 0),
        (RETRIES, [408], [408], 0),
        (RETRIES, [503, 400], [503, 400], 1),
        (Retry(attempts=1, on_status_codes=frozenset({418})), [418, 200], [418, 200], 1),
        (Retry(attempts=1, on_status_codes=frozenset({418})), [503], [503], 0),
        (Retry(attempts=1, on_status_codes=frozenset()), [503], [503], 0),
    ],
)
def test_listed_statuses_are_tried_again(retry, answers, statuses, count):
    trial = run(target(retry=retry), *(Response() if status == 200 else failing(status) for status in answers))
    assert [status for _, status in trial.tried] == statuses
    assert trial.exchange.retry_count == count
    assert (trial.error is None) == (answers[-1] == 200)


def test_a_network_failure_is_retried_whatever_the_list_says():
    retry = Retry(attempts=2, on_status_codes=frozenset({418}))
    trial = run(target(retry=retry), UpstreamUnreachable("gone"), StreamBroken("cut"), Response())
    assert [status for _, status in trial.tried] == [502, 502, 200]


def test_a_retry_equals_the_first_try():
    trial = run(target(retry=RETRIES), failing(500), failing(500), Response())
    first, *others = trial.upstream.requests
    assert [request for request in others if request != first] == []


def test_an_answer_that_is_none_is_an_error_with_a_status_of_its_own():
    trial = run(target(), Response(200, b"<html>"))
    assert isinstance(trial.error, UpstreamInvalid)
    assert trial.error.provider == "openai"


# --- Waiting -----------------------------------------------------------------------------------------------------------------


def waits(retry, *answers):
    return run(target(retry=retry), *answers, Response()).waits


def test_delays_double_with_jitter_around_them():
    for waited, planned in zip(waits(Retry(5, max_delay_ms=32_000), *[failing(503)] * 5), [1, 2, 4, 8, 16], strict=True):
        assert planned * 0.8 <= waited <= planned * 1.2


def test_delays_are_capped():
    capped = Retry(6, initial_delay_ms=100, backoff_factor=10, max_delay_ms=300)
    first, *others = waits(capped, *[failing(503)] * 6)
    assert 0.08 <= first <= 0.12
    assert all(0.24 <= waited <= 0.3 for waited in others)
    assert len(set(others)) == 5, "jitter spreads them below the cap"


def test_a_constant_back_off_stays():
    constant = Retry(4, initial_delay_ms=500, backoff_factor=1)
    assert all(0.4 <= waited <= 0.6 for waited in waits(constant, *[failing(503)] * 4))


def test_jitter_spreads_evenly():
    several = [waits(Retry(1), failing(503))[0] for _ in range(200)]
    assert statistics.mean(several) == pytest.approx(1, abs=0.05)
    assert statistics.stdev(several) > 0.05


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7.5 "}, 7.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "2500"}, 2.5),
        ({"retry-after-ms": "100", "x-ms-retry-after-ms": "200", "retry-after": "9"}, 0.1),
        ({"retry-after-ms": "-5"}, 0),
        ({"retry-after": "59.9"}, 59.9),
        ({"retry-after": formatdate(0, usegmt=True)}, 0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 -0000"}, 0),
    ],
)
def test_the_providers_own_wish_replaces_the_back_off(headers, waited):
    wish = Retry(1, use_retry_after=True)
    assert waits(wish, failing(429, headers)) == pytest.approx([waited], abs=0.001)


def test_a_wish_may_be_a_date():
    date = formatdate(time.time() + 20, usegmt=True)
    (waited,) = waits(Retry(1, use_retry_after=True), failing(429, {"retry-after": date}))
    assert 18 < waited <= 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry-after", "60"),
        ("retry-after", "3600.5"),
        pytest.param("retry-after", formatdate(time.time() + 7200, usegmt=True), id="a date in two hours"),
        ("retry-after-ms", "60000"),
        ("retry-after-ms", "inf"),
        ("x-ms-retry-after-ms", "1e9999"),
    ],
)
def test_too_long_a_wish_ends_the_tries(name, value):
    trial = run(target(retry=Retry(3, use_retry_after=True)), failing(429, {name: value}))
    assert (trial.error.status, len(trial.tried), trial.exchange.retry_count) == (429, 1, -1)


@pytest.mark.parametrize(
    "headers",
    [
        *({"retry-after": value} for value in ["soon", "", "²", "-5", "nan", "1.2.3", "Mon, 99 Foo 2026 00:00:00 GMT"]),
        {"retry-after": "Mon, 01 Jan 2026 00:00:00 +99999999999999999999"},
        {"retry-after": "Mon, 01 Jan 99999 00:00:00 GMT"},
        {"retry-after-ms": "soon"},
        {},
    ],
)
def test_a_wish_that_means_nothing_leaves_the_back_off(headers):
    (waited,) = waits(Retry(1, use_retry_after=True), failing(429, headers))
    assert 0.8 <= waited <= 1.2


@pytest.mark.parametrize(("use", "status"), [(False, 429), (True, 503)])
def test_the_wish_counts_only_where_asked_for_and_on_429(use, status):
    (waited,) = waits(Retry(1, use_retry_after=use), failing(status, {"retry-after": "30"}))
    assert waited < 2


# --- Time-outs ---------------------------------------------------------------------------------------------------------------


def test_a_time_out_ends_a_try_and_says_how_long_it_was():
    trial = run(target(timeouts=Timeouts(attempt_ms=500)), Response(wait_s=10))
    assert isinstance(trial.error, UpstreamTimeout)
    assert (trial.error.status, trial.error.provider, trial.seconds) == (408, "openai", 0.5)
    assert trial.error.message == "Request exceeded the timeout sent in the request: 500ms"
    assert trial.exchange.attempts[0].error.startswith("request_timeout: ")


@pytest.mark.parametrize(("codes", "tries"), [({408}, 2), ({503}, 1)])
def test_a_time_out_is_retried_only_where_408_is_listed(codes, tries):
    retry = Retry(1, frozenset(codes), initial_delay_ms=0)
    trial = run(target(timeouts=Timeouts(attempt_ms=500), retry=retry), Response(wait_s=10), Response())
    assert len(trial.tried) == tries


def test_each_try_has_the_whole_time_out():
    retry = Retry(1, frozenset({408}), initial_delay_ms=0)
    trial = run(target(timeouts=Timeouts(attempt_ms=500), retry=retry), Response(wait_s=10), Response(wait_s=0.4))
    assert trial.reply.status == 200


def test_a_stream_that_has_begun_is_not_cut_by_the_time_out():
    trial = run(target(timeouts=Timeouts(attempt_ms=500)), Response(pieces=[0.4, HELLO, 30, DONE]), stream=True)
    assert trial.content == HELLO + DONE


def test_a_stream_that_does_not_begin_in_time_is():
    trial = run(target(timeouts=Timeouts(attempt_ms=500)), Response(pieces=[0.6, HELLO]), stream=True)
    assert trial.error.status == 408


# --- Streams -----------------------------------------------------------------------------------------------------------------


def test_a_stream_flows_piece_by_piece_and_closes_its_connection():
    trial = run(target(), Response(pieces=[HELLO, HELLO, DONE]), stream=True)
    assert (trial.content, trial.stream_error) == (HELLO + HELLO + DONE, None)
    assert trial.reply.translator.done


@pytest.mark.parametrize(
    "pieces",
    [
        [StreamBroken("cut")],
        [HELLO[:10], StreamBroken("cut")],
        [],
        [b": ping\n\n"[:3]],
        [FAILURE],
    ],
    ids=["cut", "cut in the first event", "empty", "half a comment", "an error event"],
)
def test_a_stream_that_fails_before_its_first_event_is_tried_again(pieces):
    retry = Retry(1, frozenset({500}))
    trial = run(target(retry=retry), Response(pieces=pieces), Response(pieces=[HELLO, DONE]), stream=True)
    assert trial.content == HELLO + DONE
    assert len(trial.tried) == 2


def test_a_stream_that_fails_before_its_first_event_falls_back():
    root = fallback(target(), target())
    trial = run(root, Response(pieces=[StreamBroken("cut")]), Response(pieces=[HELLO, DONE]), stream=True)
    assert (trial.content, trial.exchange.target.path) == (HELLO + DONE, "config.targets[1]")


@pytest.mark.parametrize("end", [[StreamBroken("cut")], [], [FAILURE]], ids=["cut", "ended early", "an error event"])
def test_nothing_is_tried_again_after_the_first_event(end):
    root = fallback(target(retry=RETRIES), target())
    trial = run(root, Response(pieces=[HELLO, *end]), stream=True)
    assert trial.content.startswith(HELLO)
    assert isinstance(trial.stream_error, GatewayError)
    assert trial.tried == [("[0]", 200)]


def test_an_error_status_on_a_stream_call_is_an_ordinary_error():
    trial = run(target(), failing(429), stream=True)
    assert trial.error.status == 429


def test_a_stream_that_is_passed_over_for_the_next_target_closes_its_connection():
    root = fallback(target(), target(), on={200})
    trial = run(root, Response(pieces=[HELLO, DONE]), Response(pieces=[DONE]), stream=True)
    assert trial.content == DONE
    assert [response.closed for response in trial.upstream.responses] == [1, 1]


@pytest.mark.parametrize("started", [False, True])
def test_a_caller_who_leaves_closes_the_connection(started):
    response = Response(pieces=[HELLO, 100, DONE])

    async def go():
        reply = await attempts.run(exchange_of(target(), stream=True), gateway_over(Upstream(response)))
        if started:
            await anext(reply.body)
        await reply.body.aclose()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(go())
    assert response.closed


def test_a_caller_who_leaves_while_a_try_runs_is_noted_without_a_status():
    upstream = Upstream(Response(wait_s=100))
    exchange = exchange_of(target(retry=RETRIES))

    async def go():
        trying = asyncio.ensure_future(attempts.run(exchange, gateway_over(upstream)))
        await asyncio.sleep(1)
        trying.cancel()
        await asyncio.wait([trying])
        assert trying.cancelled()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(go())
    (attempt,) = exchange.attempts
    assert (attempt.status, attempt.error) == (None, None)
    assert len(upstream.requests) == 1


# --- Several targets ---------------------------------------------------------------------------------------------------------


def test_retries_come_before_the_next_target_and_count_for_each():
    root = fallback(target(retry=Retry(1)), target(retry=Retry(2)))
    trial = run(root, failing(503), failing(503), failing(503), Response())
    assert trial.tried == [("[0]", 503), ("[0]", 503), ("[1]", 503), ("[1]", 200)]
    assert (trial.exchange.retry_count, trial.exchange.target.path) == (1, "config.targets[1]")


def test_when_all_fail_the_last_answer_is_the_answer():
    trial = run(fallback(target(), target()), failing(503), failing(429))
    assert (trial.error.status, trial.exchange.target.path) == (429, "config.targets[1]")


def test_the_list_of_tries_tells_model_duration_and_error():
    first, second = target(override_params={"model": "claude"}), target()
    trial = run(fallback(first, second), UpstreamUnreachable("gone"), Response())
    lost, won = trial.exchange.attempts
    assert (lost.model, lost.provider, lost.error) == ("claude", "openai", "upstream_unreachable: gone")
    assert (won.model, won.error) == ("gpt", None)
    assert lost.duration_ms >= 0


def test_a_host_that_is_off_limits_is_neither_retried_nor_passed_on():
    refusal = InvalidRequest("private", param="custom_host", code="private_host")
    trial = run(fallback(target(retry=RETRIES), target()), refusal)
    assert (trial.error, trial.tried) == (refusal, [("[0]", 400)])


# --- What is refused before a try --------------------------------------------------------------------------------------------


def test_a_target_without_a_credential_is_refused_unsent():
    trial = run(target(api_key=None))
    assert (trial.error.code, trial.error.param) == ("missing_provider_key", "config.api_key")
    assert (trial.tried, trial.upstream.requests) == ([("config", 400)], [])


def test_a_target_that_does_not_offer_the_endpoint_is_refused_unsent():
    exchange = exchange_of(Target("config", table.find("anthropic"), "https://llm.example/v1", api_key="k"))
    exchange.call = dataclasses.replace(exchange.call, endpoint="embeddings")
    with pytest.raises(GatewayError, match="does not offer embeddings") as caught, asyncio.Runner() as runner:
        runner.run(attempts.run(exchange, gateway_over(Upstream())))
    assert caught.value.code == "unsupported_endpoint"


def test_an_expired_virtual_key_leaves_the_call_to_the_next_target():
    root = fallback(target(expires_at=time.time() - 1), target(expires_at=time.time() + 100))
    trial = run(root, Response())
    assert trial.tried == [("[0]", 403), ("[1]", 200)]
    alone = run(target(expires_at=time.time() - 1))
    assert (alone.error.code, alone.error.param) == ("expired_virtual_key", "config.virtual_key")


def test_a_virtual_keys_limits_are_taken_from_once_for_all_tries():
    trial = run(target(limits=(LIMIT,), retry=RETRIES), failing(503), failing(503), Response())
    assert trial.limits.admitted == [("w", (LIMIT,), 526, 1000)]
    assert trial.exchange.target_reservation.id == "counter-1"
    assert trial.limits.settled == []


@pytest.mark.parametrize("refusal", [RateLimited("full", retry_after_s=1), BudgetExceeded("used up")])
def test_a_full_virtual_key_leaves_the_call_to_the_next_target(refusal):
    root = fallback(target(limits=(LIMIT,), retry=RETRIES), target(limits=(LIMIT,)))
    trial = run(root, Response(), limits=LimitBook(refusal))
    assert trial.tried == [("[0]", refusal.status), ("[1]", 200)]
    assert trial.exchange.target_reservation.id == "counter-1"


def test_moving_on_gives_the_reservation_of_the_target_before_back():
    root = fallback(target(limits=(LIMIT,)), target(limits=(LIMIT,)), target())
    trial = run(root, failing(503), failing(503), Response())
    assert [name for name, *_ in trial.limits.settled] == ["counter-1", "counter-2"]
    assert trial.exchange.target_reservation is NOTHING
