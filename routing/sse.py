"""Event streams (``text/event-stream``): bytes in, events out, and back. No I/O.

Two readers stand here. `Splitter` only finds where whole events end and gives the bytes on as they are: it is for streams that
pass through. `Decoder` reads every event and is for streams that are translated. Both keep half an event until the rest comes
and both refuse to keep more than `MAX_EVENT_BYTES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from routing.errors import UpstreamInvalid

# A base64 image in one event is a few MiB; more than this is a fault or an attack on our memory.
MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
# What may stand before the first line.
_BLANK = b" \t\r\n" + _BOM
# What the lines of a stream begin with: data, event, id, retry, a comment. HTML and JSON begin otherwise.
_FIRST_BYTES = frozenset(b"deir:")
# An event with the blank line that ends it, and further blank lines behind it.
_BLOCK = re.compile(rb".*?\n\r?\n(?:\r?\n)*", re.DOTALL)


class Event(NamedTuple):
    """One event. `name` is ``message`` where the stream names none; `data` is UTF-8, its lines joined by a line feed."""

    name: str
    data: bytes


class Splitter:
    """Cuts a byte stream into runs of whole events, bytes unchanged. Lines may end in LF or CRLF."""

    __slots__ = ("_limit", "tail")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        # What came after the last whole event.
        self.tail = bytearray()

    def feed(self, data: bytes) -> bytes:
        """All events that are now complete, or nothing. Raises `UpstreamInvalid` for an event beyond the limit."""
        tail = self.tail
        if not tail and data.endswith(b"\n\n"):
            return data
        # The blank line may have begun in the bytes before: two of them are enough to see it.
        start = max(len(tail) - 2, 0)
        tail += data
        end = max(_after(tail, b"\n\n", start), _after(tail, b"\n\r\n", start))
        run = bytes(memoryview(tail)[:end])
        del tail[:end]
        if len(tail) > self._limit:
            raise UpstreamInvalid(f"An event of the provider's stream is larger than {self._limit} bytes.")
        return run


class Decoder:
    """Reads events. Lines may end in LF, CRLF or CR, in any mixture; comments, ``id`` and ``retry`` are read over."""

    __slots__ = ("_after_cr", "_fresh", "_splitter")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._splitter = Splitter(limit)
        self._after_cr = False
        self._fresh = True

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises `UpstreamInvalid` for an event beyond the limit."""
        if not data:
            return []
        run = self._splitter.feed(self._normalise(data))
        if not run:
            return []
        if self._fresh:
            self._fresh = False
            run = run.removeprefix(_BOM)
        return [event for block in blocks(run) if (event := parse(block)) is not None]

    def _normalise(self, data: bytes) -> bytes:
        # A CR ends its line at once, so that an event never waits for the byte behind it; an LF that follows is part of it.
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
            if not data:
                return data
        self._after_cr = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data


def blocks(run: bytes) -> Iterator[bytes]:
    """The events of a run that `Splitter` gave, each with its blank line; joined they are the run again."""
    return (match.group() for match in _BLOCK.finditer(run))


def parse(block: bytes) -> Event | None:
    """The event in one block; None where it carries no data, such as a comment that keeps the connection open."""
    name = b""
    data: list[bytes] = []
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    if not data:
        return None
    return Event(name.decode(errors="replace") or "message", data[0] if len(data) == 1 else b"\n".join(data))


def may_begin(data: bytes | bytearray) -> bool:
    """Whether these first bytes can be those of an event stream: a page or a JSON object is known by its first character."""
    start = data.lstrip(_BLANK)
    return not start or start[0] in _FIRST_BYTES


def encode(data: bytes, name: str | None = None) -> bytes:
    """One event on the wire. `data` may have several lines; the stream's reader gets them back joined by a line feed."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    if b"\n" not in data and b"\r" not in data:
        return head + b"data: " + data + b"\n\n"
    # bytes.splitlines() would drop a last empty line.
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def _after(buffer: bytearray, separator: bytes, start: int) -> int:
    """Where the last `separator` ends, 0 when there is none at or behind `start`."""
    found = buffer.rfind(separator, start)
    return 0 if found < 0 else found + len(separator)
