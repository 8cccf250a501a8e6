"""The format of a spool file, with no I/O: one frame a record, each complete or recognisably not.

A frame is a 12-byte head (four bytes of magic, the payload's length, the payload's CRC-32, little endian) and the payload. The
magic lets a reader find the next frame after bytes that a failing disk has changed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

MAGIC = b"\xf5GR\x01"
_HEAD = struct.Struct("<4sII")
HEAD_BYTES = _HEAD.size
# Far above any record: a longer length is damage.
MAX_PAYLOAD_BYTES = 256 * 1024 * 1024

Buffer = bytes | mmap.mmap

_pack = _HEAD.pack


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file: one whole frame (`payload` is set), or bytes that are none."""

    start: int
    end: int
    payload: bytes | None


def frame(payload: bytes) -> bytes:
    """The bytes that keep `payload`."""
    return _pack(MAGIC, len(payload), crc32(payload)) + payload


def spans(data: Buffer, offset: int = 0, end: int | None = None) -> Iterator[Span]:
    """`data` from `offset` to `end`, cut into whole frames and the damaged stretches between them, in order."""
    end = len(data) if end is None else end
    while offset < end:
        found = _whole_frame(data, offset, end)
        if found is None:
            following = _next_frame(data, offset + 1, end)
            yield Span(offset, following, None)
            offset = following
        else:
            yield found
            offset = found.end


def payloads(data: bytes) -> list[bytes]:
    """The payloads of a stretch that holds whole frames only. Raises ValueError for anything else."""
    found = []
    for span in spans(data):
        if span.payload is None:
            raise ValueError(f"bytes {span.start} to {span.end} of {len(data)} are not a whole frame")
        found.append(span.payload)
    return found


def _whole_frame(data: Buffer, offset: int, end: int) -> Span | None:
    start = offset + HEAD_BYTES
    if start > end:
        return None
    magic, length, checksum = _HEAD.unpack_from(data, offset)
    stop = start + length
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES or stop > end:
        return None
    payload = data[start:stop]
    return Span(offset, stop, payload) if crc32(payload) == checksum else None


def _next_frame(data: Buffer, offset: int, end: int) -> int:
    """Where the next whole frame begins, or `end`."""
    while (found := data.find(MAGIC, offset, end)) >= 0:
        if _whole_frame(data, found, end) is not None:
            return found
        offset = found + 1
    return end
