"""The ASGI application: calls of `/v1` take the lean way, everything else Django's stock handler.

Django's own handler costs about 1,650 us of CPU a request before any work, most of it thread hops for signals and synchronous
middleware. Model calls need neither; the lean way resolves the URL, builds the request, awaits the view and sends the answer,
for about 100 us. Which way a request goes is decided by its view: a `GatewayView` is lean, and works under either handler.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache
from io import BytesIO
from typing import Any

import structlog
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve

from routing import gateway as gateways
from routing.api import realtime
from routing.api.arrival import Arrival, HungUp, Receive
from routing.api.responses import EventStream
from routing.api.views import GatewayView
from routing.errors import GatewayError

Scope = dict[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# Allocations between two runs of the garbage collector over young objects: some hundred calls.
GC_ALLOCATIONS = 50_000

log = structlog.get_logger(__name__)


class LeanHandler(ASGIHandler):
    """One per process. `max_body_bytes` bounds what is read of a model call's JSON."""

    def __init__(self, max_body_bytes: int) -> None:
        super().__init__()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await realtime.serve(scope, receive, send)
        elif scope["type"] == "http" and (match := _lean_match(scope["path"])) is not None:
            await self._serve(match, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _serve(self, match: ResolverMatch, scope: Scope, receive: Receive, send: Send) -> None:
        """One call. A caller who hangs up cancels it, wherever it is."""
        request = _request(scope)
        request.resolver_match = match
        arrival = request.arrival = Arrival(receive, self._max_body_bytes)  # type: ignore[attr-defined] # the view reads the body from it
        try:
            response = await match.func(request, *match.args, **match.kwargs)
            await _send(response, send)
        except HungUp:
            return
        except asyncio.CancelledError:
            if not arrival.hung_up:
                raise  # the server is stopping
        finally:
            arrival.close()


def _request(scope: Scope) -> ASGIRequest:
    try:
        return ASGIRequest(scope, BytesIO())
    except ValueError:
        # Django reads parameters of the content type that it cannot decode. The view judges the header by itself.
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        return ASGIRequest({**scope, "headers": [*headers, (b"content-type", b"invalid/parameters")]}, BytesIO())


async def _send(response: HttpResponseBase, send: Send) -> None:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
    if not isinstance(response, EventStream):
        content = response.content  # type: ignore[attr-defined]
        headers.append((b"content-length", b"%d" % len(content)))
        await send(start)
        await send({"type": "http.response.body", "body": content})
        return
    try:
        async with aclosing(response.events):
            await send(start)
            async for piece in response.events:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except GatewayError:
        return  # without an end: the server breaks the connection off, and nobody takes a part for the whole
    await send({"type": "http.response.body"})


@lru_cache(maxsize=1024)
def _lean_match(path: str) -> ResolverMatch | None:
    """The view of a path that goes the lean way; None for the stock handler's."""
    try:
        match = resolve(path)
    except Resolver404:
        return None
    view = getattr(match.func, "cls", None)
    return match if isinstance(view, type) and issubclass(view, GatewayView) else None


def _calm_the_collector() -> None:
    """Keeps the garbage collector off what lives as long as the process, and lets it come more seldom for the rest.

    Out of the box it runs every 700 allocations, twice a call, and walks over Django's whole heap again and again: a third of
    the CPU of a loaded gateway. Reference counting frees nearly all that a call makes; what cycles remain wait a little longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Starts the gateway with the server and closes it with it."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await gateways.current()
            _calm_the_collector()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await gateways.shut_down()
            await send({"type": "lifespan.shutdown.complete"})
            return
