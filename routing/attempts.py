"""Trying targets until one answers: strategy, retries with back-off, time-outs. A retry equals the first try."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from keys.limits import NOTHING
from routing import metering, strategies
from routing.call import Attempt, Endpoint, Outcome, Reply, Retry, Target, UpstreamRequest
from routing.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    StreamBroken,
    Unsupported,
    UpstreamError,
    UpstreamInvalid,
    UpstreamTimeout,
)
from routing.providers import adapters, passed_on
from routing.providers.base import StreamTranslator
from routing.providers.body import Bytes
from routing.upstream import UpstreamResponse

if TYPE_CHECKING:
    from routing.exchange import Exchange
    from routing.gateway import Gateway

# Longer wishes of Retry-After than this are not waited for (portkey-wire 4.3).
MAX_RETRY_AFTER_S = 60.0
JITTER = 0.2
# How long the end of a complete stream may keep us.
LINGER_S = 0.05
_jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing


async def run(exchange: Exchange, gateway: Gateway) -> Reply:
    """The first answer that the strategy accepts; of a stream, its first events have come. Raises the last target's error."""
    context = strategies.Context(exchange.call)
    walk = strategies.walk(exchange.plan.root, context)
    try:
        target = next(walk)
    except StopIteration:
        raise _nobody_left(context) from None
    while True:
        exchange.target = target
        reply: Reply | None = None
        try:
            reply = await _with_retries(exchange, target, gateway)
            outcome = Outcome(reply.status)
        except GatewayError as error:
            outcome = Outcome(error.status, error)
        try:
            target = walk.send(outcome)
        except StopIteration:
            if reply is None:
                assert outcome.error is not None  # noqa: S101 - there is either a reply or the error in its place
                raise outcome.error from None
            return reply
        if reply is not None and not isinstance(reply.body, bytes):
            await reply.body.aclose()


def _nobody_left(context: strategies.Context) -> GatewayError:
    """The error of a call that no target may take."""
    return InvalidRequest(
        "No target takes this call: " + "; ".join(f"{step.target.path}: {step.reason}" for step in context.skipped) + ".",
        param="config",
        code="no_target",
    )


async def _with_retries(exchange: Exchange, target: Target, gateway: Gateway) -> Reply:
    """One target, tried as often as its config allows."""
    exchange.retry_count = 0
    try:
        await _admit(exchange, target, gateway)
    except GatewayError as error:
        exchange.attempts.append(_line(exchange, target, 0.0, error))
        raise
    retry = target.retry
    for number in range(retry.attempts + 1):
        exchange.retry_count = number
        try:
            return await _once(exchange, target, gateway)
        except UpstreamError as error:
            if not retry.attempts or not (error.is_network or error.status in retry.on_status_codes):
                raise
            delay_s = _delay_s(retry, number, error)
            if number == retry.attempts or delay_s is None:
                exchange.retry_count = -1
                raise
            await asyncio.sleep(delay_s)
    raise AssertionError("the last try returns or raises")


async def _admit(exchange: Exchange, target: Target, gateway: Gateway) -> None:
    """The virtual key's own limits and expiry; over them the next target may still serve."""
    provider = target.provider
    if exchange.call.endpoint == Endpoint.PROXY and Endpoint.PROXY not in provider.supports:
        raise NotFound(f"Unknown route: /v1/{exchange.call.path}. {provider.label} has no others.", code="unknown_route")
    if not adapters.serves(exchange.call.endpoint, provider):
        raise Unsupported(f"{provider.id} does not offer {exchange.call.endpoint}.", param="model", code="unsupported_endpoint")
    if target.expires_at is not None and target.expires_at <= time.time():
        raise Forbidden("The virtual key has expired.", param=f"{target.path}.virtual_key", code="expired_virtual_key")
    if provider.needs_key and not target.api_key:
        raise InvalidRequest(
            f"There is no credential for {provider.id}: send its key as Authorization: Bearer <key>, or name a virtual key.",
            param=f"{target.path}.api_key",
            code="missing_provider_key",
        )
    if exchange.target_reservation is not NOTHING:  # of the target before, which did not serve
        gateway.limits.settle(exchange.target_reservation, tokens=0, cost_nano=0)
        exchange.target_reservation = NOTHING
    if target.limits:
        tokens, cost_nano = metering.estimate(exchange.call, target, gateway.prices)
        exchange.target_reservation = await gateway.limits.admit(
            exchange.caller.workspace_id, target.limits, tokens=tokens, cost_nano=cost_nano, now=time.time()
        )


def _delay_s(retry: Retry, number: int, error: UpstreamError) -> float | None:
    """Seconds before the try after try `number` (from 0); None where waiting makes no sense."""
    if retry.use_retry_after and error.status == 429 and error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s < MAX_RETRY_AFTER_S else None
    delay_ms = min(retry.initial_delay_ms * retry.backoff_factor**number, retry.max_delay_ms)
    return float(delay_ms * _jitter.uniform(1 - JITTER, 1 + JITTER) / 1000)


async def _once(exchange: Exchange, target: Target, gateway: Gateway) -> Reply:
    """One try, and its line in the log."""
    started = time.monotonic()
    failure: GatewayError | None = None
    reply: Reply | None = None
    try:
        if target.timeouts.attempt_ms is None:
            reply = await _send(exchange, target, gateway)
        else:
            async with asyncio.timeout(target.timeouts.attempt_ms / 1000):
                reply = await _send(exchange, target, gateway)
        return reply
    except TimeoutError:
        failure = UpstreamTimeout(f"Request exceeded the timeout sent in the request: {target.timeouts.attempt_ms}ms")
        failure.provider = target.provider.id
        raise failure from None
    except GatewayError as error:
        failure = error
        if isinstance(error, UpstreamError):
            error.provider = target.provider.id
        raise
    finally:
        exchange.attempts.append(_line(exchange, target, (time.monotonic() - started) * 1000, failure or reply))


def _line(exchange: Exchange, target: Target, duration_ms: float, end: GatewayError | Reply | None) -> Attempt:
    """A try for the log; one without an end is one that the caller cut short."""
    failure = f"{end.code}: {end.message}" if isinstance(end, GatewayError) else None
    model = target.model or exchange.call.model
    return Attempt(target.path, target.provider.id, model, end.status if end else None, duration_ms, failure)


async def _send(exchange: Exchange, target: Target, gateway: Gateway) -> Reply:
    call = exchange.call
    if (answer := adapters.answered_here(call, target)) is not None:
        return Reply(200, answer.body, {}, answer.usage, answer.model)
    dialect = adapters.dialect_for(call, target)
    request = dialect.request(call, target)
    response = await _ask(request, target, gateway)
    exchange.reached_provider = True
    handed_on = False
    try:
        if not 100 <= response.status <= 599:
            raise UpstreamInvalid(f"The provider answered with status {response.status}, which HTTP does not know.")
        if not 200 <= response.status < 300:
            error = dialect.error(target, response.status, await response.read())
            error.retry_after_s = _retry_after_s(response)
            error.passed_on = passed_on.headers(response.headers, target.provider.id)
            error.content_type = response.headers.get("content-type")
            raise error
        headers = passed_on.headers(response.headers, target.provider.id)
        if not dialect.streams(call, target):
            answer = dialect.reply(call, target, await response.read())
            return Reply(200, answer.body, headers, answer.usage, answer.model)
        translator = dialect.stream(call, target)
        status = 200
        if isinstance(translator, Bytes):
            status = response.status
            headers |= translator.begin(response.headers)
        pieces = response.chunks()
        relay = _relay(await _first(pieces, translator), pieces, translator, response)
        await anext(relay)  # a generator that was never started would not close the connection when it is closed
        handed_on = True
        return Reply(status, relay, headers, translator=translator)
    finally:
        if not handed_on:
            await response.close()


async def _ask(request: UpstreamRequest, target: Target, gateway: Gateway) -> UpstreamResponse:
    """The answer to the request, or to the last one of those that follow from it."""
    while True:
        if target.provider.signer is not None:
            request = await target.provider.signer(request, target, gateway.upstream.send)
        response = await gateway.upstream.send(request)
        if request.then is None or response.status != 200:
            return response
        try:
            request = request.then(await response.read())
        finally:
            await response.close()


async def _first(pieces: AsyncIterator[bytes], translator: StreamTranslator) -> bytes:
    """The first events, so that a stream that fails before them can still be retried or fall back."""
    async for data in pieces:
        if (out := translator.feed(data)) or translator.done:
            return out
    if translator.ends_with_body:
        return b""
    raise StreamBroken("The provider ended its stream before it sent anything.")


async def _relay(
    first: bytes, pieces: AsyncIterator[bytes], translator: StreamTranslator, response: UpstreamResponse
) -> AsyncGenerator[bytes]:
    """An empty piece for `_send`, then the stream; ends well only when the provider said that it is complete."""
    try:
        yield b""
        yield first
        if not translator.done:
            async for data in pieces:
                if out := translator.feed(data):
                    yield out
                if translator.done:
                    break
            else:
                if not translator.ends_with_body:
                    raise StreamBroken("The provider broke the stream off before it was complete.")
                translator.done = True
        await _to_the_end(pieces)
    finally:
        await response.close()


async def _to_the_end(pieces: AsyncIterator[bytes]) -> None:
    """The few bytes behind the last event, without which the connection cannot be used again.

    They have mostly come with the event. A provider that keeps its stream open is not waited for, and one that breaks it off
    now breaks nothing: the answer is complete.
    """
    with contextlib.suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(LINGER_S):
            async for _ in pieces:
                pass


def _retry_after_s(response: UpstreamResponse) -> float | None:
    """Seconds from retry-after-ms, x-ms-retry-after-ms or retry-after (seconds or an HTTP date)."""
    get = response.headers.get
    try:
        if milliseconds := get("retry-after-ms") or get("x-ms-retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        if not (value := get("retry-after")):
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None  # a header that says nothing
