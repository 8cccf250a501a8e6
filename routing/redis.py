"""Redis for the hot path: commands of one tick of the loop share a write, and a dead Redis costs one time-out, not many.

redis-py costs some 150 us of CPU a command on asyncio, most of it in streams, time-outs and checks made anew for each.
Here hiredis packs and parses, commands go out on one connection without waiting for each other's answers, and one timer watches
them all: about 30 us. Whatever is off the hot path uses redis-py.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
import redis.asyncio
import structlog
from redis.connection import parse_url
from redis.exceptions import RedisError

from keys.limits import RedisUnavailable

TIMEOUT_S = 0.25
# After a failure Redis is left alone for this long: calls fail at once instead of waiting for a time-out each.
COOL_DOWN_S = 1.0
# What nobody waits for rides along with the next command, or goes by itself after this.
LATER_S = 0.02
# A subscription on which nothing was said for this long says so.
LULL_S = 5.0

log = structlog.get_logger(__name__)


class Script:
    """A Lua script, called by its SHA-1; a server that has not seen it yet is sent the source."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


@dataclass(eq=False, slots=True)
class _Command:
    script: Script
    keys: Sequence[str]
    args: Sequence[int | str]
    answer: asyncio.Future[Any]
    since: float = field(default_factory=time.monotonic)
    with_source: bool = False

    def packed(self) -> bytes:
        named = ("EVAL", self.script.source) if self.with_source else ("EVALSHA", self.script.sha)
        return _packed(*named, len(self.keys), *self.keys, *self.args)


def _packed(*words: str | int) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stubs know tuples of one item only
    return packed


class _Wire(asyncio.Protocol):
    """One open connection. Answers come in the order of the commands; `due` holds who waits for them."""

    def __init__(self, pipe: RedisPipe) -> None:
        self._pipe = pipe
        self._reader = hiredis.Reader(notEnoughData=self)
        self._transport: asyncio.Transport | None = None
        self.due: deque[_Command | asyncio.Future[Any]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport, not its type.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not self:
            self._pipe.take(self.due.popleft(), reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.lost(self, exc or ConnectionError("the connection was closed"))

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class RedisPipe:
    """One connection of one event loop, opened by the first command and again by the first one after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._wire: _Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: list[_Command] = []
        self._watch: asyncio.TimerHandle | None = None
        self._down_until = 0.0

    @property
    def database(self) -> int:
        return int(self._options.get("db") or 0)

    @property
    def is_down(self) -> bool:
        return time.monotonic() < self._down_until

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[int | str]) -> Any:
        """The script's result. Raises RedisUnavailable."""
        return await self.ask(script, keys, args)

    def ask(self, script: Script, keys: Sequence[str], args: Sequence[int | str]) -> asyncio.Future[Any]:
        """The same for who has something else to do meanwhile."""
        answer = self._enqueue(script, keys, args)
        asyncio.get_running_loop().call_soon(self._flush)  # after the other calls of this tick have queued theirs
        return answer

    def ask_later(self, script: Script, keys: Sequence[str], args: Sequence[int | str]) -> asyncio.Future[Any]:
        """The same for who is in no hurry: the command rides along with others."""
        answer = self._enqueue(script, keys, args)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(LATER_S, self._flush)
        return answer

    def run_later(self, script: Script, keys: Sequence[str], args: Sequence[int | str]) -> None:
        """The same with nobody waiting; a failure is logged."""
        self.ask_later(script, keys, args).add_done_callback(_log_failure)

    async def messages(self, channel: str) -> AsyncGenerator[bytes | None]:
        """What is published on a channel, without end. None says that something may have been missed: after each subscription,
        and while nothing is said."""
        is_lost = False
        while True:
            client = redis.asyncio.Redis.from_url(self._url, socket_connect_timeout=TIMEOUT_S)
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(channel)
                    is_lost = False
                    yield None
                    while True:
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=LULL_S)
                        yield None if message is None else message["data"]
            except (RedisError, OSError, TimeoutError) as error:
                if not is_lost:
                    log.warning("the subscription was lost", channel=channel, error=str(error))
                is_lost = True
                await asyncio.sleep(COOL_DOWN_S)
            finally:
                await client.aclose()

    def _enqueue(self, script: Script, keys: Sequence[str], args: Sequence[int | str]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.is_down:
            answer.set_exception(RedisUnavailable("Redis did not answer a moment ago"))
        else:
            self._waiting.append(_Command(script, keys, args, answer))
        return answer

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._wire is None:
            if self._opening is None:
                self._opening = asyncio.get_running_loop().create_task(self._open())
            return
        batch, self._waiting = self._waiting, []
        self._wire.due.extend(batch)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(TIMEOUT_S, self._look)
        self._write(b"".join([command.packed() for command in batch]))

    def _write(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.write(data)

    def _look(self) -> None:
        """Gives the connection up when its oldest command has waited too long."""
        self._watch = None
        oldest = self._wire.due[0] if self._wire is not None and self._wire.due else None
        if not isinstance(oldest, _Command):
            return
        left_s = oldest.since + TIMEOUT_S - time.monotonic()
        if left_s <= 0:
            self.lost(self._wire, TimeoutError(f"no answer within {TIMEOUT_S:g} s"))
        else:
            self._watch = asyncio.get_running_loop().call_later(left_s, self._look)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._wire = await self._connect()
        except (OSError, TimeoutError, RedisUnavailable) as error:
            self.lost(None, error)
        finally:
            self._opening = None
        self._flush()

    async def _connect(self) -> _Wire:
        options, loop = self._options, asyncio.get_running_loop()
        wire = _Wire(self)
        if path := options.get("path"):
            await loop.create_unix_connection(lambda: wire, path)
        else:
            secure = ssl.create_default_context() if "SSL" in options.get("connection_class", type(None)).__name__ else None
            await loop.create_connection(lambda: wire, options.get("host", "localhost"), options.get("port", 6379), ssl=secure)
        if password := options.get("password"):
            await self._ask(wire, "AUTH", *filter(None, (options.get("username"), password)))
        if database := options.get("db"):
            await self._ask(wire, "SELECT", str(database))
        return wire

    async def _ask(self, wire: _Wire, *words: str) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        wire.due.append(answer)
        wire.write(_packed(*words))
        if isinstance(reply := await answer, hiredis.ReplyError):
            raise RedisUnavailable(f"{words[0]} was refused: {reply}")

    def take(self, asked: _Command | asyncio.Future[Any], reply: Any) -> None:
        """An answer from the wire, for whoever still waits for it."""
        answer = asked.answer if isinstance(asked, _Command) else asked
        if answer.done():  # its caller hung up
            return
        if not isinstance(reply, hiredis.ReplyError) or not isinstance(asked, _Command):
            answer.set_result(reply)
        elif str(reply).startswith("NOSCRIPT") and not asked.with_source:
            asked.with_source = True
            self._waiting.append(asked)
            self._flush()
        else:
            answer.set_exception(RedisUnavailable(str(reply)))

    def lost(self, wire: _Wire | None, error: Exception) -> None:
        """Ends a connection, or the attempt to get one: who waits for an answer is told, who comes soon after too."""
        if wire is not None and wire is not self._wire and not wire.due:
            return
        orphans: list[_Command | asyncio.Future[Any]] = [*(wire.due if wire else ()), *self._waiting]
        if wire is not None:
            wire.due.clear()
            wire.close()
        self._wire, self._waiting = None, []
        if not orphans:
            return  # an idle connection that the server closed: the next command opens another
        self._down_until = time.monotonic() + COOL_DOWN_S
        log.error("redis is not answering", error=str(error) or type(error).__name__)
        for asked in orphans:
            answer = asked.answer if isinstance(asked, _Command) else asked
            if not answer.done():
                answer.set_exception(RedisUnavailable(str(error) or type(error).__name__))

    async def exists(self, key: str) -> bool:
        """Whether a key is there; false too where Redis does not answer."""
        try:
            return bool(await self._client.exists(key))
        except (RedisError, OSError, TimeoutError):
            return False

    async def ping(self) -> bool:
        try:
            return bool(await self._client.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Sends what still waits, and gives its answers a moment to come."""
        self._flush()
        if self._opening is not None:
            await self._opening
        if self._wire is not None:
            if pending := [asked.answer for asked in self._wire.due if isinstance(asked, _Command)]:
                await asyncio.wait(pending, timeout=TIMEOUT_S)
            self._wire.close()
            self._wire = None
        if self._watch is not None:
            self._watch.cancel()
        await self._client.aclose()


def _log_failure(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled() and answer.exception() is not None:
        log.warning("a counter was not settled", error=str(answer.exception()))
