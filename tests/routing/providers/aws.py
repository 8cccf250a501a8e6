"""AWS's binary event stream, as the service writes it."""

import struct
import zlib

import orjson

_STRING = 7


def message(headers, payload):
    """One message; `headers` are texts."""
    head = b"".join(
        bytes((len(name),)) + name.encode() + bytes((_STRING,)) + len(value).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    body = lengths + struct.pack("!I", zlib.crc32(lengths)) + head + payload
    return body + struct.pack("!I", zlib.crc32(body))


def event(kind, data):
    """An event with a JSON object, padded as the service pads it to hide the length of a token."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, orjson.dumps({**data, "p": "abcdefg"}))


def exception(kind, text):
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, orjson.dumps({"message": text}))


def events(*pairs):
    return b"".join(event(kind, data) for kind, data in pairs)
