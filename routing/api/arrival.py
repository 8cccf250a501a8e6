"""A request as it comes in over ASGI: its body is read when the view asks for it, and then its caller is watched.

So nobody can make the gateway hold a body before it is known who sends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from routing.errors import BodyTooLarge

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class HungUp(Exception):
    """The caller went away before its request was complete."""


class Arrival:
    """One request's messages. Made in the task that answers, which is cancelled when the caller hangs up after its body.

    `max_bytes` bounds a body that is read whole.
    """

    __slots__ = ("_answering", "_max_bytes", "_receive", "_watching", "hung_up")

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._answering = asyncio.current_task()
        self._watching: asyncio.Future[Any] | None = None
        self.hung_up = False

    async def whole(self) -> bytes:
        """The whole body. Raises `BodyTooLarge` without reading the rest, and `HungUp`."""
        max_bytes = self._max_bytes
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            self._watch()
            return body
        pieces = bytearray()
        while message["type"] == "http.request":
            pieces += message.get("body", b"")
            if len(pieces) > max_bytes:
                raise _too_large(max_bytes)
            if not message.get("more_body"):
                self._watch()
                return bytes(pieces)
            message = await self._receive()
        raise HungUp

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; the sender is held back while nobody asks for more. Raises `HungUp`."""
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise HungUp
            if body := message.get("body", b""):
                yield body
            if not message.get("more_body"):
                self._watch()
                return

    def close(self) -> None:
        """Ends the watch."""
        if self._watching is not None:
            self._watching.cancel()

    def _watch(self) -> None:
        self._watching = asyncio.ensure_future(self._receive())
        self._watching.add_done_callback(self._look)

    def _look(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and done.result()["type"] == "http.disconnect" and self._answering is not None:
            self.hung_up = True
            self._answering.cancel()


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {max_bytes} bytes (GATEHOUSE_MAX_BODY_BYTES).")
