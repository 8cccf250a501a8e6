"""Trying targets until one answers: strategy, retries with back-off, time-outs. A retry equals the first try."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from keys.limits import NOTHING
from routing import metering, patience, relay, resume, strategies, witnesses
from routing.call import Attempt, Call, Endpoint, Outcome, Reply, Target, UpstreamRequest
from routing.errors import (
    BreakerOpen,
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    Unsupported,
    UpstreamError,
    UpstreamInvalid,
)
from routing.health import subject
from routing.patience import Deadline
from routing.providers import adapters, passed_on
from routing.providers.body import Bytes
from routing.upstream import UpstreamResponse
from routing.witnesses import Witnesses

if TYPE_CHECKING:
    from keys.limits import Limit
    from routing.breakers import Subject, Watch
    from routing.exchange import Exchange
    from routing.gateway import Gateway
    from routing.health import View


async def run(exchange: Exchange, gateway: Gateway) -> Reply:
    """The first answer that the strategy accepts; of a stream, its first token has come. Raises the last target's error."""
    try:
        walking = _Run(exchange, gateway)
        reply = await walking.start()
        if exchange.plan.stream_resume and not isinstance(reply.body, bytes) and resume.may_resume(exchange.call, reply):
            reply.body = resume.resuming(reply, reply.body, walking.resume)
            await anext(reply.body)  # as in `_send`
        return reply
    except GatewayError as error:
        if exchange.target is not None and not exchange.target.strict:
            error.tried = tuple(
                {"target": one.path, "provider": one.provider, "model": one.model, "status": one.status, "error": one.error}
                for one in exchange.attempts
            )
        raise


class _Run:
    """The walk of one call over its targets. It can go on after a reply, for a stream that breaks."""

    __slots__ = ("_context", "_exchange", "_gateway", "_repeats", "_view", "_walk")

    def __init__(self, exchange: Exchange, gateway: Gateway) -> None:
        call, plan = exchange.call, exchange.plan
        if plan.deadline_ms is not None:
            exchange.deadline = Deadline.of(plan.deadline_ms, call.started)
        self._exchange = exchange
        self._gateway = gateway
        self._view = gateway.health.seen_by(exchange.caller.workspace_id, streams=call.stream)
        self._context = strategies.Context(call, self._view)
        self._context.thrifty = exchange.reservation.near
        self._walk = strategies.walk(plan.root, self._context)
        self._repeats = 0

    async def start(self) -> Reply:
        try:
            target = next(self._walk)
        except StopIteration:
            _note_skipped(self._exchange, self._context)
            raise _nobody_left(self._exchange, self._context) from None
        return await self._from(target)

    async def _from(self, target: Target) -> Reply:
        exchange = self._exchange
        reply: Reply | None = None  # of the last target that was tried
        last: tuple[Target, int, str] | None = None
        try:
            while True:
                outcome, fresh = await _try(exchange, target, self._gateway, self._context, self._view)
                if outcome is not None:
                    if reply is not None:
                        await _drop(reply)
                    last, reply = (target, exchange.retry_count, exchange.breaker), fresh
                if fresh is not None and exchange.plan.stream_resume and resume.may_resume(exchange.call, fresh):
                    return fresh  # the walk stays where it is
                target = self._walk.send(outcome)
        except StopIteration as end:
            outcome = end.value
        _note_skipped(exchange, self._context)
        if last is None or outcome is None:
            raise _nobody_left(exchange, self._context)
        exchange.target, exchange.retry_count, exchange.breaker = last
        if reply is None:
            assert outcome.error is not None  # noqa: S101 - there is either a reply or the error in its place
            raise outcome.error from None
        return reply

    async def resume(self, error: UpstreamError, reply: Reply, transcript: resume.Transcript) -> AsyncGenerator[bytes]:
        """The rest of a broken stream, by the same target where its retries allow that, else by the next one."""
        exchange, gateway = self._exchange, self._gateway
        part = metering.bill(exchange, gateway.prices)
        exchange.parts.append(part)
        gateway.limits.settle(exchange.target_reservation, tokens=part.tokens, cost_nano=part.cost_nano)
        exchange.target_reservation = NOTHING
        exchange.mark_broken(error)
        reply.translator = resume.Spent(part.model)
        call, exchange.call = exchange.call, transcript.continued(exchange.call)
        try:
            fresh = await self._from(self._next(error))
        finally:
            exchange.call = call
        assert not isinstance(fresh.body, bytes)  # noqa: S101 - a stream was asked for
        reply.translator = fresh.translator
        return fresh.body

    def _next(self, error: UpstreamError) -> Target:
        """Whom to ask after a break. Raises the error where there is nobody."""
        target = self._exchange.target
        assert target is not None  # noqa: S101 - its stream has broken
        if self._repeats < target.retry.attempts and (error.is_network or error.status in target.retry.on_status_codes):
            self._repeats += 1
            return target
        try:
            return self._walk.send(Outcome(error.status, error))
        except StopIteration:
            raise error from None


async def _try(
    exchange: Exchange, target: Target, gateway: Gateway, context: strategies.Context, view: View
) -> tuple[Outcome | None, Reply | None]:
    """How a target did, None where it was left alone. Raises its error where there is no time for another one."""
    if context.skipped:
        _note_skipped(exchange, context)
    exchange.target = target
    try:
        reply = await _with_retries(exchange, target, gateway, view if context.measured else None)
    except _LeftAlone:
        context.skip(strategies.Step(target, "its breaker lets one other call find out", "breaker", 1.0))
        return None, None
    except GatewayError as error:
        if exchange.deadline is not None and exchange.deadline.left_s() <= 0:
            raise
        return Outcome(error.status, error), None
    return Outcome(reply.status), reply


async def _drop(reply: Reply) -> None:
    if not isinstance(reply.body, bytes):
        await reply.body.aclose()


class _LeftAlone(Exception):
    """The target's breaker does not let this call through after all."""


def _note_skipped(exchange: Exchange, context: strategies.Context) -> None:
    """Into the log with the targets that their breakers kept out. That others were not eligible is no event."""
    for step in context.skipped[exchange.skips_noted :]:
        exchange.skips_noted += 1
        if step.skipped == "breaker":
            exchange.attempts.append(_line(exchange, step.target, time.monotonic(), 0.0, _left_alone(step)))


def _left_alone(step: strategies.Step) -> BreakerOpen:
    return BreakerOpen(f"{step.target.path}: {step.reason}.", retry_after_s=max(1, math.ceil(step.wait_s)))


def _nobody_left(exchange: Exchange, context: strategies.Context) -> GatewayError:
    """The error of a call that no target may take."""
    kept_out = [step for step in context.skipped if step.skipped == "breaker"]
    if kept_out:
        soonest = min(kept_out, key=lambda step: step.wait_s)
        exchange.target, exchange.retry_count, exchange.breaker = soonest.target, 0, "open"
        return _left_alone(soonest)
    reasons = "; ".join(f"{step.target.path}: {step.reason}" for step in context.skipped)
    return InvalidRequest(f"No target takes this call. {reasons}.", param="config", code="no_target")


async def _with_retries(exchange: Exchange, target: Target, gateway: Gateway, view: View | None) -> Reply:
    """One target, tried as often as its config allows. `view` is there where the call is to be measured."""
    exchange.retry_count = 0
    exchange.breaker = ""
    try:
        await _admit(exchange, target, gateway)
    except GatewayError as error:
        exchange.attempts.append(_line(exchange, target, time.monotonic(), 0.0, error))
        raise
    retry = target.retry
    number = 0
    while True:
        watch = await _watch(exchange, target, gateway) if target.breaker is not None else None
        try:
            return await _once(exchange, target, gateway, watch, view)
        except UpstreamError as error:
            if not retry.attempts or not (error.is_network or error.status in retry.on_status_codes):
                raise
            if number == retry.attempts or not await _wait(exchange, target, gateway, error, number):
                exchange.retry_count = -1
                raise
        number += 1
        exchange.retry_count = number


async def _wait(exchange: Exchange, target: Target, gateway: Gateway, error: UpstreamError, number: int) -> bool:
    """The time before the next try; false where there is to be none."""
    delay = patience.delay_s(target.retry, number, error, exchange.waited_s)
    if delay is None:
        return False
    delay_s, is_wish = delay
    if exchange.deadline is not None and exchange.deadline.left_s() <= delay_s:
        return False
    await asyncio.sleep(delay_s)
    if is_wish:
        exchange.waited_s += delay_s
    # A breaker that has opened meanwhile, by this call's failures or by others', ends the tries, and no retry is a probe.
    return target.breaker is None or not gateway.health.breakers.is_open(_subject(exchange, target))


def _subject(exchange: Exchange, target: Target) -> Subject:
    return subject(exchange.caller.workspace_id, target)


async def _watch(exchange: Exchange, target: Target, gateway: Gateway) -> Watch:
    """The breaker's leave for one try. Raises `_LeftAlone`."""
    assert target.breaker is not None  # noqa: S101 - the caller has looked
    watch = await gateway.health.breakers.admit(_subject(exchange, target), target.breaker)
    if watch is None:
        raise _LeftAlone
    exchange.breaker = "half-open" if watch.probe else "closed"
    return watch


def check_target(call: Call, target: Target) -> None:
    """Raises what the gateway itself has against sending a call to a target; the next one may still serve."""
    provider = target.provider
    if call.endpoint == Endpoint.PROXY and Endpoint.PROXY not in provider.supports:
        raise NotFound(f"Unknown route: /v1/{call.path}. {provider.label} has no others.", code="unknown_route")
    if not adapters.serves(call.endpoint, provider):
        raise Unsupported(f"{provider.id} does not offer {call.endpoint}.", param="model", code="unsupported_endpoint")
    if target.expires_at is not None and target.expires_at <= time.time():
        raise Forbidden("The virtual key has expired.", param=f"{target.path}.virtual_key", code="expired_virtual_key")
    if target.paused:
        raise Forbidden("The virtual key is paused.", param=f"{target.path}.virtual_key", code="paused_virtual_key")
    if target.fence is not None:
        for name in (target.model or call.model, *_alternatives(call)):
            target.fence.check_model(name)
    if provider.needs_key and not target.api_key:
        raise InvalidRequest(
            f"There is no credential for {provider.id}: send its key as Authorization: Bearer <key>, or name a virtual key.",
            param=f"{target.path}.api_key",
            code="missing_provider_key",
        )


def _alternatives(call: Call) -> list[str]:
    """Further models that the caller lets the provider choose from."""
    models = call.body.get("models")
    return [str(name) for name in models] if isinstance(models, list) else []


async def _admit(exchange: Exchange, target: Target, gateway: Gateway) -> None:
    """The target's own conditions, the virtual key's limits and the model's; over them the next target may still serve."""
    check_target(exchange.call, target)
    if exchange.reserved_for is target and exchange.target_reservation is not NOTHING:
        return  # taken when the call was let in
    if exchange.target_reservation is not NOTHING:  # of the target before, which did not serve
        if any(attempt.path == exchange.reserved_for.path for attempt in exchange.attempts if exchange.reserved_for):
            gateway.limits.settle(exchange.target_reservation, tokens=0, cost_nano=0)
        else:
            gateway.limits.release(exchange.target_reservation)
        exchange.target_reservation = NOTHING
    if limits := limits_of(exchange, target):
        tokens, cost_nano = metering.estimate(exchange.call, target, gateway.prices)
        exchange.target_reservation = await gateway.limits.admit(
            exchange.caller.workspace_id, limits, tokens=tokens, cost_nano=cost_nano, now=time.time()
        )
        exchange.reserved_for = target


def limits_of(exchange: Exchange, target: Target) -> tuple[Limit, ...]:
    """What holds for calls to this target: its virtual key's limits and its model's."""
    return (*target.limits, *exchange.workspace_limits.of_model(target.model or exchange.call.model))


async def _once(exchange: Exchange, target: Target, gateway: Gateway, watch: Watch | None, view: View | None) -> Reply:
    """One try, and its line in the log."""
    began = started = time.monotonic()
    heard_by: Witnesses | None = None
    failure: GatewayError | None = None
    reply: Reply | None = None
    try:
        if target.pool is not None or watch is not None or view is not None:
            async with asyncio.timeout_at(None if exchange.deadline is None else exchange.deadline.at):
                heard_by = await witnesses.gather(exchange.caller.workspace_id, target, gateway, watch, view)
            started = time.monotonic()
        clock = patience.clock(target, exchange.deadline, stream=exchange.call.stream)
        if clock is None or clock.begin is None:
            reply = await _send(exchange, target, gateway, clock, heard_by)
        else:
            try:
                async with asyncio.timeout_at(clock.begin.at):
                    reply = await _send(exchange, target, gateway, clock, heard_by)
            except TimeoutError:
                raise clock.begin.error() from None
        return reply
    except TimeoutError:
        assert exchange.deadline is not None  # noqa: S101 - all others have been given their names
        failure = exchange.deadline.error()
        raise failure from None
    except GatewayError as error:
        failure = error
        if isinstance(error, UpstreamError):
            error.provider = target.provider.id
        raise
    finally:
        if heard_by is not None:
            heard_by.began(failure, reply)
        elif watch is not None:
            watch.left()
        exchange.attempts.append(_line(exchange, target, began, (time.monotonic() - started) * 1000, failure or reply))


def _line(exchange: Exchange, target: Target, started: float, duration_ms: float, end: GatewayError | Reply | None) -> Attempt:
    """A try for the log; one without an end is one that the caller cut short."""
    failure = f"{end.code}: {end.message}" if isinstance(end, GatewayError) else None
    model, started_ms = target.model or exchange.call.model, (started - exchange.call.started) * 1000
    return Attempt(target.path, target.provider.id, model, end.status if end else None, duration_ms, failure, started_ms)


async def _send(
    exchange: Exchange, target: Target, gateway: Gateway, clock: patience.Clock | None, heard_by: Witnesses | None
) -> Reply:
    call = exchange.call
    if (answer := adapters.answered_here(call, target)) is not None:
        return Reply(200, answer.body, {}, answer.usage, answer.model)
    dialect = adapters.dialect_for(call, target)
    request = dialect.request(call, target)
    exchange.dropped = request.dropped
    response = await _ask(request, target, gateway)
    exchange.reached_provider = True
    handed_on = False
    try:
        if not 100 <= response.status <= 599:
            raise UpstreamInvalid(f"The provider answered with status {response.status}, which HTTP does not know.")
        if not 200 <= response.status < 300:
            error = dialect.error(target, response.status, await response.read())
            error.retry_after_s = patience.retry_after_s(response.headers)
            error.passed_on = passed_on.headers(response.headers, target.provider.id)
            error.content_type = response.headers.get("content-type")
            raise error
        headers = passed_on.headers(response.headers, target.provider.id)
        if not dialect.streams(call, target):
            answer = dialect.reply(call, target, await relay.whole(response, clock))
            return Reply(200, answer.body, headers, answer.usage, answer.model)
        translator = dialect.stream(call, target)
        status = 200
        if isinstance(translator, Bytes):
            status = response.status
            headers |= translator.begin(response.headers)
        pieces = untimed = response.chunks()
        if clock is not None and (clock.end is not None or clock.idle_ms is not None):
            pieces = relay.timed(untimed, clock)
        beginning = await relay.begin(untimed if clock is not None and clock.bounds_beginning else pieces, translator)
        body = relay.relay(beginning, pieces, translator, response, None if heard_by is None else heard_by.ended)
        await anext(body)  # a generator that was never started would not close the connection when it is closed
        handed_on = True
        return Reply(status, body, headers, translator=translator)
    finally:
        if not handed_on:
            await response.close()


async def _ask(request: UpstreamRequest, target: Target, gateway: Gateway) -> UpstreamResponse:
    """The answer to the request, or to the last one of those that follow from it."""
    while True:
        if target.timeouts.connect_ms is not None:
            request = dataclasses.replace(request, connect_ms=target.timeouts.connect_ms)
        if target.provider.signer is not None:
            request = await target.provider.signer(request, target, gateway.upstream.send)
        response = await gateway.upstream.send(request)
        if request.then is None or response.status != 200:
            return response
        try:
            request = request.then(await response.read())
        finally:
            await response.close()
