"""What AWS's services do: they write binary event streams, and check signatures."""

import hashlib
import hmac
import struct
import zlib
from urllib.parse import quote

import orjson

_STRING = 7


def framed(head, payload, length=None):
    """A message with these very bytes as its headers, and `length` in place of its own."""
    lengths = struct.pack("!II", length or 16 + len(head) + len(payload), len(head))
    body = lengths + struct.pack("!I", zlib.crc32(lengths)) + head + payload
    return body + struct.pack("!I", zlib.crc32(body))


def message(headers, payload):
    """One message; `headers` are texts."""
    head = b"".join(
        bytes((len(name),)) + name.encode() + bytes((_STRING,)) + len(value).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    return framed(head, payload)


def event(kind, data):
    """An event with a JSON object, padded as the service pads it to hide the length of a token."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, orjson.dumps({**data, "p": "abcdefg"}))


def exception(kind, text):
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, orjson.dumps({"message": text}))


def events(*pairs):
    return b"".join(event(kind, data) for kind, data in pairs)


def signature_holds(method, path, headers, body, *, secret, service="bedrock"):
    """Whether a request that came over the wire is signed as AWS describes signature version 4, read from its own words.

    `path` is the path as it came, still encoded; AWS encodes it once more. `headers` has lower-case names.
    """
    algorithm, _, rest = headers["authorization"].partition(" ")
    fields = dict(item.strip().split("=", 1) for item in rest.split(","))
    _, date, region, named, end = fields["Credential"].split("/")
    path, _, query = path.partition("?")
    signed = fields["SignedHeaders"].split(";")
    request = "\n".join(
        (
            method,
            quote(path, safe="/-_.~"),
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join((algorithm, headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert (algorithm, named, end) == ("AWS4-HMAC-SHA256", service, "aws4_request")
    assert {"host", "x-amz-date"} <= set(signed)
    return hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), fields["Signature"])
