"""The pieces of an answer on their way to the caller: held back until it has begun, then passed on, timed and ended well."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from routing.errors import StreamBroken, UpstreamError, UpstreamInvalid
from routing.patience import Clock
from routing.providers.base import StreamTranslator
from routing.upstream import MAX_ANSWER_BYTES, UpstreamResponse

# How long the end of a complete stream may keep us.
LINGER_S = 0.05
# An answer has begun too when this much has come without a token: comments without end must not fill the memory.
MAX_HELD_BYTES = 256 * 1024
# Behind each event; a stream that is no event stream is cut in odd places, which does no harm.
_AFTER_EVENT = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")

# Told once how a try ended: the error, None where the answer is complete.
Ended = Callable[[BaseException | None], None]


class Beginning(NamedTuple):
    """What came up to the first token; `error` is what broke the stream in the same breath."""

    content: bytes
    error: UpstreamError | None


async def begin(pieces: AsyncIterator[bytes], translator: StreamTranslator) -> Beginning:
    """Reads up to the first token, so that a stream that fails before it can still be retried or fall back.

    Role, comments and pings say nothing yet, whatever their status; they are held back until then.
    """
    held = b""
    async for data in pieces:
        content, error = _several(translator, data)
        held = held + content if held else content
        if translator.deltas or translator.done or (held and (translator.ends_with_body or len(held) > MAX_HELD_BYTES)):
            return Beginning(held, error)
        if error is not None:
            raise error
    if translator.ends_with_body:
        return Beginning(held, None)
    raise StreamBroken("The provider ended its stream before it sent anything.")


async def relay(  # noqa: C901 - the inner loop is the hottest of all, so it calls nobody
    beginning: Beginning,
    pieces: AsyncIterator[bytes],
    translator: StreamTranslator,
    response: UpstreamResponse,
    ended: Ended | None,
) -> AsyncGenerator[bytes]:
    """An empty piece for who made it, then the answer; ends well only when the provider said that it is complete."""
    error: BaseException | None = None
    try:
        yield b""
        if beginning.content:
            yield beginning.content
        if beginning.error is not None:
            raise beginning.error
        if not translator.done:
            feed = translator.feed
            async for data in pieces:
                if data.find(b"\n\n", 0, -1) < 0 and b"\r" not in data:
                    content = feed(data)
                    broken = None
                else:
                    content, broken = _several(translator, data)
                if content:
                    yield content
                if broken is not None:
                    raise broken
                if translator.done:
                    break
            else:
                _end(translator)
        await _to_the_end(pieces)
    except BaseException as caught:
        error = caught
        raise
    finally:
        if ended is not None:
            ended(None if translator.done else error)
        await response.close()


def _end(translator: StreamTranslator) -> None:
    """The body is over, which is the end of the answer only where nothing else says so."""
    if not translator.ends_with_body:
        raise StreamBroken("The provider broke the stream off before it was complete.")
    translator.done = True


def _several(translator: StreamTranslator, data: bytes) -> tuple[bytes, UpstreamError | None]:
    """What the caller gets of several events in one read. Where one is broken, the good ones before it are not lost."""
    if translator.ends_with_body:
        return translator.feed(data), None
    content: list[bytes] = []
    try:
        for event in _AFTER_EVENT.split(data):
            content.append(translator.feed(event))  # noqa: PERF401 - what came before an error is kept
    except UpstreamError as error:
        return b"".join(content), error
    return b"".join(content), None


async def timed(pieces: AsyncIterator[bytes], clock: Clock) -> AsyncGenerator[bytes]:
    """The pieces, with an error in place of the one that does not come in time. The bounds on the beginning are not its own."""
    loop = asyncio.get_running_loop()
    while True:
        idle_at = None if clock.idle_ms is None else loop.time() + clock.idle_ms / 1000
        end = clock.end if clock.end is not None and (idle_at is None or clock.end.at <= idle_at) else None
        try:
            async with asyncio.timeout_at(idle_at if end is None else end.at):
                data = await anext(pieces, None)
        except TimeoutError:
            raise (clock.idle_error() if end is None else end.error()) from None
        if data is None:
            return
        yield data


async def whole(response: UpstreamResponse, clock: Clock | None) -> bytes:
    """A body that is no stream. Raises an `UpstreamError` when it breaks off, falls silent or passes the bound."""
    if clock is None or clock.idle_ms is None:
        return await response.read()
    content = bytearray()
    async for data in timed(response.chunks(), clock):
        content += data
        if len(content) > MAX_ANSWER_BYTES:
            raise UpstreamInvalid(f"The provider's answer is larger than {MAX_ANSWER_BYTES} bytes.")
    return bytes(content)


async def _to_the_end(pieces: AsyncIterator[bytes]) -> None:
    """The few bytes behind the last event, without which the connection cannot be used again.

    They have mostly come with the event. A provider that keeps its stream open is not waited for, and one that breaks it off
    now breaks nothing: the answer is complete.
    """
    with contextlib.suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(LINGER_S):
            async for _ in pieces:
                pass
