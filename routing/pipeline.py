"""The straight path of a call: admit -> attempts -> settle and record at the end of the body.

`run` takes a call whose caller and plan are known and gives its reply. It knows no vendor, no Django and no HTTP view; whatever
fails is recorded here and raised to the edge, which turns it into an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from analytics.recorder import EVENT_STREAM
from keys.limits import NOTHING
from routing import attempts, metering
from routing.call import Reply
from routing.errors import BudgetExceeded, GatewayError, RateLimited
from routing.exchange import Exchange
from routing.plan import resolve

if TYPE_CHECKING:
    from keys.limits import Limit, Reservation
    from routing.gateway import Gateway
    from routing.snapshot import Snapshot


async def run(exchange: Exchange, provider_key: str | None, snapshot: Snapshot, gateway: Gateway) -> Reply:
    """The reply to a call. Raises `GatewayError`; both ways, the call ends up settled and in the log exactly once."""
    call, caller = exchange.call, exchange.caller
    try:
        exchange.plan = resolve(call.headers, caller, provider_key, snapshot, call.model)
        exchange.workspace_limits = snapshot.limits_of(caller.workspace_id)
        await _admit(exchange, gateway)
        reply = exchange.reply = await attempts.run(exchange, gateway)
        if isinstance(reply.body, bytes):
            finish(exchange, gateway, reply.body)
        else:
            reply.body = _follow(exchange, reply.body, gateway)
            await anext(reply.body)  # a generator that was never started would record nothing when it is closed
    except GatewayError as error:
        fail(exchange, error, gateway)
        raise
    except asyncio.CancelledError:
        exchange.cancelled = True
        finish(exchange, gateway)
        raise
    return reply


def fail(exchange: Exchange, error: GatewayError, gateway: Gateway) -> None:
    """Settles and records a call that `run` did not end: refused before it, or broken by a bug of ours."""
    exchange.error = error
    finish(exchange, gateway)


def answered(exchange: Exchange, gateway: Gateway) -> None:
    """Records a call that the gateway answered by itself."""
    finish(exchange, gateway)


async def _admit(exchange: Exchange, gateway: Gateway) -> None:
    """Takes the call, its tokens and its price, both estimated, from all limits that are known to hold for it, in one step.

    Those of the target that comes first are among them. Where others come after it, its limits alone refuse nothing yet: the
    attempts meet them again and go on to the next target.
    """
    caller, root = exchange.caller, exchange.plan.root
    rules = exchange.workspace_limits
    limits = (*caller.limits, *rules.whole, *rules.of_metadata(exchange.call.metadata), *exchange.plan.limits)
    target = metering.first_target(root)
    its_limits = attempts.limits_of(exchange, target) if metering.begins_with(root, target) else ()
    if not limits and not its_limits:
        return
    tokens, cost_nano = metering.estimate(exchange.call, target, gateway.prices)
    groups = [limits, its_limits]
    try:
        taken = await _take(exchange, gateway, groups, tokens, cost_nano)
    except (RateLimited, BudgetExceeded):
        if target is root or not its_limits:
            raise
        taken = await _take(exchange, gateway, [limits], tokens, cost_nano) if limits else []
    exchange.reservation, exchange.target_reservation = (*taken, NOTHING, NOTHING)[:2]
    if len(taken) > 1:
        exchange.reserved_for = target


async def _take(
    exchange: Exchange, gateway: Gateway, groups: list[tuple[Limit, ...]], tokens: int, cost_nano: int
) -> list[Reservation]:
    return await gateway.limits.admit_each(
        exchange.caller.workspace_id, groups, tokens=tokens, cost_nano=cost_nano, now=time.time()
    )


async def _follow(exchange: Exchange, pieces: AsyncGenerator[bytes], gateway: Gateway) -> AsyncGenerator[bytes]:
    """An empty piece for `run`, then the stream as it is, settled and recorded just before its last piece, however it ends."""
    reply = exchange.reply
    assert reply is not None and reply.translator is not None  # noqa: S101, PT018 - run() made it a stream
    kept = gateway.recorder.keeper(reply.headers.get("content-type", EVENT_STREAM))
    try:
        async with aclosing(pieces):
            yield b""
            async for piece in pieces:
                exchange.mark_first_byte()
                kept.append(piece)
                if reply.translator.done:
                    finish(exchange, gateway, kept.content())
                yield piece
            if reply.translator.done:  # only the end of the body told
                finish(exchange, gateway, kept.content())
    except GatewayError as error:
        exchange.error = error
        exchange.mark_broken(error)
        raise
    finally:
        # Neither complete nor broken: the caller hung up.
        exchange.cancelled = exchange.error is None and not exchange.finished
        finish(exchange, gateway, kept.content())


def finish(exchange: Exchange, gateway: Gateway, content: bytes = b"") -> None:
    """Settles and records a call, once."""
    if exchange.finished:
        return
    exchange.finished = True
    of_the_last = metering.bill(exchange, gateway.prices)
    bill = metering.together([*exchange.parts, of_the_last]) if exchange.parts else of_the_last
    for reservation, used in ((exchange.reservation, bill), (exchange.target_reservation, of_the_last)):
        if reservation is not NOTHING:
            gateway.limits.settle(reservation, tokens=used.tokens, cost_nano=used.cost_nano)
    gateway.recorder.record(exchange, bill, content)
