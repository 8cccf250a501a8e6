"""Calls at a steady rate or as fast as they go, over connections that stay open, at a tenth of what an HTTP library costs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.product import CHAT


@dataclass(frozen=True)
class Answered:
    """One answer: when it was asked for (seconds since the start of the run), and how long it took."""

    at_s: float
    seconds: float
    status: int
    headers: Mapping[str, str]


def request(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    content = json.dumps(body).encode()
    given = {"host": urlsplit(url).netloc, "content-type": "application/json", "content-length": str(len(content)), **headers}
    lines = [f"POST {CHAT} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def as_fast_as_they_go(url: str, message: bytes, *, count: int, connections: int = 16) -> list[Answered]:
    """`count` calls, as many at a time as there are connections."""

    async def go() -> list[Answered]:
        found: list[Answered] = []
        began, left = time.monotonic(), iter(range(count))

        async def work() -> None:
            wire = await _open(url)
            found.extend([await _ask(wire, message, began) for _ in left])
            wire[1].close()

        await asyncio.gather(*(work() for _ in range(connections)))
        return found

    return asyncio.run(go())


def at_a_rate(url: str, message: bytes, *, per_second: int, seconds: float) -> list[Answered]:
    """Calls that begin when their time has come, however long those before them take."""

    async def go() -> list[Answered]:
        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        began = time.monotonic()

        async def one(number: int) -> Answered:
            await asyncio.sleep(began + number / per_second - time.monotonic())
            wire = idle.pop() if idle else await _open(url)
            answered = await _ask(wire, message, began)
            idle.append(wire)
            return answered

        found = await asyncio.gather(*(one(number) for number in range(int(per_second * seconds))))
        for _, writer in idle:
            writer.close()
        return found

    return asyncio.run(go())


def percentile(answers: list[Answered], share: float) -> float:
    """Of the durations, in milliseconds."""
    ordered = sorted(one.seconds for one in answers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def _open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(url)
    return await asyncio.open_connection(where.hostname, where.port)


async def _ask(wire: tuple[asyncio.StreamReader, asyncio.StreamWriter], message: bytes, began: float) -> Answered:
    reader, writer = wire
    asked = time.monotonic()
    writer.write(message)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    await reader.readexactly(int(headers["content-length"]))
    return Answered(asked - began, time.monotonic() - asked, int(head[0].split(" ")[1]), headers)
