"""The load: closed loops of requests, and many paced streams at once, on bare asyncio protocols.

The result of a run is checked as it comes in: an answer that is not 200, a stream that ends early or with other than the
chunks it was asked for, counts as an error.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import orjson
import uvloop

_PATH = "/v1/chat/completions"
_TOKEN = b'" token"'
_DONE = b"data: [DONE]"
_CHUNKED_END = b"0\r\n\r\n"
_STREAM_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls go in, and with which headers."""

    port: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, body: Mapping[str, object]) -> bytes:
        payload = orjson.dumps(body)
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "accept": "application/json",
            "content-type": "application/json",
            "content-length": str(len(payload)),
            "user-agent": "gatehouse-bench",
            **self.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {_PATH} HTTP/1.1\r\n{lines}\r\n".encode() + payload


@dataclass(slots=True)
class Requests:
    """What a closed loop measured. Latencies are in seconds."""

    seconds: float
    latencies: list[float]
    errors: int
    first_error: str = ""

    @property
    def sent(self) -> int:
        return len(self.latencies) + self.errors


@dataclass(slots=True)
class Streams:
    """What many streams at once measured, in seconds.

    `first_token` and `lags`: how much later than the pace says the first chunk came and a stream ended.
    """

    seconds: float
    chunks: int
    sent: int
    errors: int
    first_token: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    first_error: str = ""


@dataclass(frozen=True, slots=True)
class StreamShape:
    """`streams` at once, each of `chunks` chunks, `pause_ms` apart."""

    streams: int
    chunks: int
    pause_ms: float

    @property
    def pause(self) -> float:
        return self.pause_ms / 1000

    @property
    def seconds(self) -> float:
        """From the request to the last event: the upstream also pauses before the first chunk and after the last."""
        return (self.chunks + 1) * self.pause

    def __str__(self) -> str:
        return f"{self.streams} streams x {self.chunks} chunks x {self.pause_ms:g} ms"


def chat_body(model: str = "gpt-4o-mini", **more: object) -> dict[str, object]:
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is an AI gateway? Answer in two sentences."},
    ]
    return {"model": model, "messages": messages, "max_tokens": 100, "temperature": 0.7, **more}


class _Loop(asyncio.Protocol):
    """One caller: sends the next request when the answer to the last one is complete, until the time is over."""

    def __init__(self, request: bytes, until: float, result: Requests) -> None:
        self._request = request
        self._until = until
        self._result = result
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is a look-alike, no subclass
        self._send()

    def _send(self) -> None:
        self._buffer = b""
        self._needed: int | None = None
        self._started = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._needed is None:
            self._needed = _answer_length(self._buffer)
        if self._needed is None:
            return
        complete = self._buffer.endswith(_CHUNKED_END) if self._needed < 0 else len(self._buffer) >= self._needed
        if complete:
            self._count()

    def _count(self) -> None:
        now = time.perf_counter()
        if self._buffer.startswith(b"HTTP/1.1 200"):
            self._result.latencies.append(now - self._started)
        else:
            self._result.errors += 1
            self._result.first_error = self._result.first_error or self._buffer[:400].decode("latin-1")
        if now < self._until:
            self._send()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self._result.errors += 1
            self._result.first_error = self._result.first_error or "connection closed by the server"
            self._finish()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)
        self._transport.close()


def _answer_length(buffer: bytes) -> int | None:
    """The length of the whole answer; -1 where it is chunked; None while the head is incomplete."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].lower()
    _, found, rest = head.partition(b"content-length:")
    return end + 4 + int(rest.split(b"\r\n", 1)[0]) if found else -1


class _Stream(asyncio.Protocol):
    """One event stream from its request to ``[DONE]``."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._tail = b""
        self.head = b""
        self.tokens = 0
        self.first: float | None = None
        self.finished: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is a look-alike, no subclass
        self.started = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.head:
            self.head = data[:400]
            if not data.startswith(b"HTTP/1.1 200"):
                self.close()
                return
        # A chunk may be cut anywhere: the tail is one byte shorter than what is looked for, so nothing counts twice.
        text = self._tail + data
        self.tokens += text.count(_TOKEN)
        if self.first is None and self.tokens:
            self.first = time.perf_counter() - self.started
        if _DONE in text and not self.finished.done():
            self.finished.set_result(time.perf_counter() - self.started)
            self._transport.close()
        self._tail = self._cut(text)

    @staticmethod
    def _cut(text: bytes) -> bytes:
        tail = text[-(len(_DONE) - 1) :]
        position = tail.rfind(_TOKEN)
        return tail if position < 0 else tail[position + len(_TOKEN) :]

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


async def _requests(door: Door, concurrency: int, seconds: float) -> Requests:
    result = Requests(0.0, [], 0)
    request = door.request(chat_body())
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    callers: list[_Loop] = []
    for _ in range(concurrency):
        _, caller = await loop.create_connection(lambda: _Loop(request, started + seconds, result), "127.0.0.1", door.port)
        callers.append(caller)
    await asyncio.wait_for(asyncio.gather(*(caller.finished for caller in callers)), seconds + 30)
    result.seconds = time.perf_counter() - started
    return result


async def _one_stream(door: Door, shape: StreamShape, number: int, request: bytes, result: Streams) -> None:
    # Not all in the same tick: callers do not come in step.
    await asyncio.sleep(number * 0.3 / shape.streams)
    _, stream = await asyncio.get_running_loop().create_connection(lambda: _Stream(request), "127.0.0.1", door.port)
    try:
        took = await asyncio.wait_for(stream.finished, _STREAM_LIMIT_SECONDS)
    except TimeoutError:
        took = None
        stream.close()
    result.chunks += stream.tokens
    if took is None or stream.tokens != shape.chunks or not stream.head.startswith(b"HTTP/1.1 200"):
        result.errors += 1
        result.first_error = result.first_error or f"{stream.tokens} chunks of {shape.chunks}: {stream.head.decode('latin-1')}"
        return
    result.first_token.append((stream.first or 0.0) - shape.pause)
    result.lags.append(took - shape.seconds)


async def _streams(door: Door, shape: StreamShape) -> Streams:
    model = f"stream-{shape.chunks}-{shape.pause_ms:g}"
    request = door.request(chat_body(model, stream=True, stream_options={"include_usage": True}))
    result = Streams(0.0, 0, shape.streams, 0)
    started = time.perf_counter()
    await asyncio.gather(*(_one_stream(door, shape, number, request, result) for number in range(shape.streams)))
    result.seconds = time.perf_counter() - started
    return result


@contextmanager
def _without_gc() -> Iterator[None]:
    """The collector's pauses would show up as the contestant's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_requests(door: Door, concurrency: int, seconds: float) -> Requests:
    with _without_gc():
        return uvloop.run(_requests(door, concurrency, seconds))


def run_streams(door: Door, shape: StreamShape) -> Streams:
    with _without_gc():
        return uvloop.run(_streams(door, shape))
