"""AWS's binary event stream (``application/vnd.amazon.eventstream``): bytes in, messages out. No I/O.

A message is a prelude (its length, the length of its headers, a CRC of both), the headers, the payload and a CRC of it all, in
network byte order. The format is described in the Amazon Transcribe guide under "Event stream encoding".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from routing.errors import UpstreamInvalid

_PRELUDE = struct.Struct("!III")
_UINT32 = struct.Struct("!I")
_OVERHEAD = _PRELUDE.size + _UINT32.size
# More than this is a fault or an attack on our memory; AWS itself sends no larger payload.
MAX_MESSAGE_BYTES = 24 * 1024 * 1024
_STRING = 7
# How many bytes the value of a header takes, by its type: true, false, byte, short, int, long, timestamp, UUID.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
# Those whose length stands before them, in two bytes: bytes and strings.
_COUNTED = (6, _STRING)


class Message(NamedTuple):
    """One message. `headers` holds those that are texts, such as ``:event-type``."""

    headers: dict[str, str]
    payload: bytes


class FrameDecoder:
    """Reads messages, whatever the pieces in which they come. Keeps half a message until the rest is there."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are now complete. Raises `UpstreamInvalid` for bytes that are none, as soon as that is clear."""
        buffer = self._buffer
        buffer += data
        while buffer:
            # The largest message has a first byte of 1: a page or a JSON object is known by its first character.
            if buffer[0] > MAX_MESSAGE_BYTES >> 24:
                raise UpstreamInvalid("The provider's answer is not a binary event stream.")
            if len(buffer) < _PRELUDE.size:
                return
            total, headers_length, prelude_crc = _PRELUDE.unpack_from(buffer)
            if zlib.crc32(memoryview(buffer)[:8]) != prelude_crc:
                raise UpstreamInvalid("A message of the provider's binary event stream has a wrong checksum.")
            if not _OVERHEAD + headers_length <= total <= MAX_MESSAGE_BYTES:
                raise UpstreamInvalid("A message of the provider's binary event stream has an impossible length.")
            if len(buffer) < total:
                return
            message = bytes(memoryview(buffer)[:total])
            del buffer[:total]
            yield _message(message, headers_length)


def _message(data: bytes, headers_length: int) -> Message:
    (crc,) = _UINT32.unpack_from(data, len(data) - 4)
    if zlib.crc32(memoryview(data)[:-4]) != crc:
        raise UpstreamInvalid("A message of the provider's binary event stream has a wrong checksum.")
    end = _PRELUDE.size + headers_length
    try:
        headers = dict(_headers(data[_PRELUDE.size : end]))
    except (IndexError, KeyError, UnicodeDecodeError):
        raise UpstreamInvalid("A message of the provider's binary event stream has headers that cannot be read.") from None
    return Message(headers, data[end:-4])


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """The headers whose values are texts. Raises IndexError, KeyError or UnicodeDecodeError where they are broken."""
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind = data[at + 1 : name_end].decode(), data[name_end]
        at = name_end + 1
        length = _FIXED[kind] if kind not in _COUNTED else (data[at] << 8) + data[at + 1]
        at += 2 * (kind in _COUNTED)
        if at + length > len(data):
            raise IndexError
        if kind == _STRING:
            yield name, data[at : at + length].decode()
        at += length
