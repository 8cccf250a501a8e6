"""A real server on loopback that plays vendors: it answers as they document it, or goes wrong in the way that a test asks for.

`FakeProvider` is one server for many tests. Each test takes a `Lane`, a base URL of its own: what is sent there follows the
lane's script and is kept in `lane.received`. The wire formats and the checks of what came in are in tests/vendors.py; a request
that a vendor would refuse gets the vendor's 400, and stands in `lane.problems`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests import vendors
from tests.vendors import Content

# A test that waits for longer than this has failed.
PATIENCE_S = 15.0

Behaviour = Callable[["Turn"], Awaitable[None]]


@dataclass
class Received:
    """One request, as it came; `headers` has lower-case names. `left`: the client went away before the answer was complete."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    left: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Lane:
    """One test's part of the server. `url` is the base URL that a vendor would have, version path included."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.url = f"{root}/v1"
        self.received: list[Received] = []
        self.problems: list[str] = []
        self._script: list[Behaviour] = [answer()]
        self._changed = threading.Condition()

    def will(self, *behaviours: Behaviour) -> Self:
        """What the next requests meet, one after the other; the last one stays for all that follow."""
        self._script = list(behaviours)
        return self

    def take(self, received: Received) -> Behaviour:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def wait_for(self, count: int) -> list[Received]:
        """The requests, once there are that many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, PATIENCE_S):
                raise AssertionError(f"the provider was asked {len(self.received)} times, not {count}")
        return self.received

    @property
    def last(self) -> Received:
        return self.received[-1]


class Turn:
    """One request and the connection to answer it on."""

    def __init__(self, received: Received, lane: Lane, connection: _Connection) -> None:
        self.received = received
        self.lane = lane
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def whole(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        given = {"content-type": "application/json", **(headers or {})}
        self.write(head(status, {"content-length": str(len(body)), **given}) + body)

    async def pause(self, seconds: float) -> None:
        """Waits, or raises `ConnectionError` as soon as the client is gone."""
        try:
            async with asyncio.timeout(seconds):
                await self._connection.gone.wait()
        except TimeoutError:
            return
        raise ConnectionError

    async def drain(self) -> None:
        """Waits until the client has read most of what was written, or raises `ConnectionError` when it is gone."""
        while self._connection.transport.get_write_buffer_size() > 1024 * 1024:
            await self.pause(0.002)
        if self._connection.gone.is_set():
            raise ConnectionError

    def hang_up(self) -> None:
        """Ends the connection after what was written."""
        self._connection.transport.close()

    def reset(self) -> None:
        """Breaks the connection off."""
        self._connection.transport.abort()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Fake", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1")


# --- Behaviours that are right ---------------------------------------------------------------------------------------


def answer(
    content: Content | None = None,
    *,
    delay: float = 0.0,
    pause: float = 0.0,
    headers: Mapping[str, str] | None = None,
    fault: Fault | None = None,
) -> Behaviour:
    """A good answer, whole or streamed as the request asks. `delay` is before it, `pause` between events, in seconds.

    A stream meets the `fault` instead of its end.
    """

    async def behave(turn: Turn) -> None:
        await turn.pause(delay)
        if problem := vendors.problem(turn.received.method, turn.received.path, turn.received.headers, turn.received.body):
            turn.lane.problems.append(problem)
            turn.whole(400, vendors.error(turn.received.path, problem, "invalid_request_error"))
        elif turn.received.body and turn.received.json.get("stream"):
            await _stream(turn, vendors.events(turn.received.path, turn.received.json, content), pause, headers or {}, fault)
        else:
            body = vendors.whole(turn.received.path, json.loads(turn.received.body or b"{}"), content)
            turn.whole(200, body, {**vendors.ANSWER_HEADERS, **(headers or {})})

    return behave


async def _stream(turn: Turn, events: list[bytes], pause: float, headers: Mapping[str, str], fault: Fault | None) -> None:
    kind = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
    turn.write(head(200, {**kind, **vendors.ANSWER_HEADERS, **headers}))
    for number, event in enumerate(events):
        if fault is not None and number == fault.after:
            while fault.hold is not None and not fault.hold.is_set():
                await turn.pause(0.005)
            await fault.happen(turn, event)
            return
        if number:
            await turn.pause(pause)
        turn.write(_chunk(event))
    turn.write(b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# --- Behaviours that are wrong ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What befalls a stream in place of event number `after` (from 0), and not before `hold` is set."""

    happen: Callable[[Turn, bytes], Awaitable[None]]
    after: int
    hold: threading.Event | None = None


def cut_in_event(after: int) -> Fault:
    """Half an event, then the connection breaks."""

    async def happen(turn: Turn, event: bytes) -> None:
        half = event[: len(event) // 2]
        turn.write(b"%x\r\n%s" % (len(event), half))
        turn.hang_up()

    return Fault(happen, after)


def end_early(after: int) -> Fault:
    """The body ends as it should for HTTP, at the border of an event, but the vendor's last event is missing."""

    async def happen(turn: Turn, event: bytes) -> None:
        turn.write(b"0\r\n\r\n")

    return Fault(happen, after)


def stall(after: int) -> Fault:
    """Nothing more comes; the connection stays open."""

    async def happen(turn: Turn, event: bytes) -> None:
        await turn.pause(600)

    return Fault(happen, after)


def error_event(after: int, message: str = "The server had an error.") -> Fault:
    """The vendor's own error event."""

    async def happen(turn: Turn, event: bytes) -> None:
        turn.write(_chunk(vendors.error_event(turn.received.path, message)) + b"0\r\n\r\n")

    return Fault(happen, after)


def garbage_event(after: int) -> Fault:
    async def happen(turn: Turn, event: bytes) -> None:
        turn.write(_chunk(b'data: {"choices": [{"usage": {"error"\n\n') + b"0\r\n\r\n")

    return Fault(happen, after)


def status(code: int, message: str = "The provider is out of order.", headers: Mapping[str, str] | None = None) -> Behaviour:
    """The vendor's error with that status."""

    async def behave(turn: Turn) -> None:
        turn.whole(code, vendors.error(turn.received.path, message, vendors.type_of(code)), headers)

    return behave


def sends(body: bytes, *, code: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Those very bytes as the body."""

    async def behave(turn: Turn) -> None:
        turn.whole(code, body, headers)

    return behave


def html_page() -> Behaviour:
    page = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
    return sends(page, headers={"content-type": "text/html"})


def half_json() -> Behaviour:
    return sends(b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "mess')


def redirect(to: str) -> Behaviour:
    return sends(b"", code=307, headers={"location": to})


def too_short() -> Behaviour:
    """A body shorter than its content-length, then the end of the connection."""

    async def behave(turn: Turn) -> None:
        turn.write(head(200, {"content-type": "application/json", "content-length": "5000"}) + b'{"id": "chatcmpl-1", ')
        turn.hang_up()

    return behave


def no_http() -> Behaviour:
    async def behave(turn: Turn) -> None:
        turn.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        turn.hang_up()

    return behave


def too_long() -> Behaviour:
    """A body longer than its content-length, then the end of the connection."""

    async def behave(turn: Turn) -> None:
        turn.write(
            head(200, {"content-type": "application/json", "content-length": "10"}) + b'{"id": "chatcmpl-1", "choices": []}'
        )
        turn.hang_up()

    return behave


def cut_chunk() -> Behaviour:
    """A whole answer in chunks, of which the last one never comes."""

    async def behave(turn: Turn) -> None:
        turn.write(
            head(200, {"content-type": "application/json", "transfer-encoding": "chunked"}) + _chunk(b'{"id": "chatcmpl-1", ')
        )
        turn.hang_up()

    return behave


def drips(pause: float = 0.05) -> Behaviour:
    """An answer without end, a byte at a time."""

    async def behave(turn: Turn) -> None:
        turn.write(head(200, {"content-type": "application/json", "transfer-encoding": "chunked"}))
        while True:
            turn.write(_chunk(b" "))
            await turn.pause(pause)

    return behave


def floods(megabytes: int) -> Behaviour:
    """An answer of that size. It waits for the client to read, as a real server does."""

    async def behave(turn: Turn) -> None:
        size = megabytes * 1024 * 1024
        turn.write(head(200, {"content-type": "application/json", "content-length": str(size)}))
        for _ in range(megabytes):
            turn.write(b"x" * (1024 * 1024))
            await turn.drain()

    return behave


def filtered() -> Behaviour:
    """The refusal of a content filter, as vendors that have one send it."""
    error = {"message": "The prompt was refused.", "type": None, "param": "prompt", "code": "content_filter"}
    return sends(json.dumps({"error": error}).encode(), code=400)


def comments(count: int = 3, pause: float = 0.0) -> Behaviour:
    """A stream that keeps the connection alive with comments, and then ends as if it were complete for HTTP."""

    async def behave(turn: Turn) -> None:
        turn.write(head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for _ in range(count):
            turn.write(_chunk(b": keep-alive\n\n"))
            await turn.pause(pause)
        turn.write(b"0\r\n\r\n")

    return behave


def in_one_piece(fault_after: int, last: bytes) -> Behaviour:
    """The first events of a stream and `last`, all in one write."""

    async def behave(turn: Turn) -> None:
        events = vendors.events(turn.received.path, turn.received.json, None)[:fault_after]
        turn.write(
            head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            + _chunk(b"".join([*events, last]))
            + b"0\r\n\r\n"
        )

    return behave


def hangs() -> Behaviour:
    """No answer, not even a status."""

    async def behave(turn: Turn) -> None:
        await turn.pause(600)

    return behave


def resets() -> Behaviour:
    """The connection breaks before the answer."""

    async def behave(turn: Turn) -> None:
        turn.reset()

    return behave


# --- The server ------------------------------------------------------------------------------------------------------


class FakeProvider:
    """The server, on a thread of its own. Start it with `with`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fake provider")
        self._started = threading.Event()
        self._numbers = itertools.count(1)
        self._lanes: dict[str, Lane] = {}
        self._connections: set[_Connection] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def lane(self) -> Lane:
        name = f"lane{next(self._numbers)}"
        self._lanes[name] = Lane(f"http://127.0.0.1:{self.port}/{name}")
        return self._lanes[name]

    def find(self, path: str) -> Lane | None:
        return self._lanes.get(path.lstrip("/").partition("/")[0])

    def connected(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def disconnected(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """Requests of one connection, one after the other."""

    transport: asyncio.Transport

    def __init__(self, provider: FakeProvider) -> None:
        self.gone = asyncio.Event()
        self._provider = provider
        self._buffer = b""
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._provider.connected(self)
        self._task = asyncio.ensure_future(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._more.set()
        self._provider.disconnected(self)

    async def _serve(self) -> None:
        while (received := await self._next()) is not None:
            lane = self._provider.find(received.path)
            if lane is None:
                self.transport.write(head(404, {"content-length": "0"}))
                continue
            behave = lane.take(received)
            try:
                await behave(Turn(received, lane, self))
                if self.gone.is_set():
                    received.left.set()
            except ConnectionError:
                received.left.set()
            finally:
                received.over.set()

    async def _next(self) -> Received | None:
        while b"\r\n\r\n" not in self._buffer:
            if not await self._read():
                return None
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not await self._read():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Received(method, path, headers, body)

    async def _read(self) -> bool:
        self._more.clear()
        if not self.gone.is_set():
            await self._more.wait()
        return not self.gone.is_set()


class Refusing:
    """An address of this machine where nobody listens, and nobody else can begin to."""

    def __enter__(self) -> str:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
