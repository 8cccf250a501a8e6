"""Asks the gateway whether it is ready, in as little code as that needs (the standard HTTP client costs megabytes)."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of GET /ready; `detail` is one line on what is missing."""

    ready: bool
    detail: str = ""


def probe(url: str, *, seconds: float = 2.0) -> Readiness:
    """Never raises: a gateway that does not answer is not ready."""
    parts = urlsplit(url)
    request = f"GET /ready HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("ascii")
    answer = b""
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=seconds) as client:
            client.sendall(request)
            while len(answer) < 65536 and (part := client.recv(4096)):
                answer += part
    except OSError as error:
        return Readiness(ready=False, detail=f"(no answer: {error})")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return Readiness(ready=True)
    return Readiness(ready=False, detail=f"({_failing(body)})")


def _failing(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body))[:300]
    except ValueError:
        return body.decode(errors="replace").strip()[:300]
