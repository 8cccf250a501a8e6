"""From replies and errors to Django's responses: the only place where an error becomes HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from routing.call import Endpoint, Json, Reply
from routing.errors import BodyTooLarge, GatewayError, ProviderError, UpstreamError
from routing.exchange import Exchange
from routing.providers import adapters

_EVENT_STREAM = "text/event-stream; charset=utf-8"


def success(reply: Reply, exchange: Exchange) -> HttpResponseBase:
    headers = {**reply.headers, **exchange.headers()}
    if isinstance(reply.body, bytes):
        return HttpResponse(reply.body, content_type="application/json", status=reply.status, headers=headers)
    content_type = headers.pop("content-type", _EVENT_STREAM)
    if content_type.startswith("text/event-stream"):
        headers["cache-control"] = "no-cache"
        headers["x-accel-buffering"] = "no"  # proxies that buffer by default would hold tokens back
    else:
        headers["x-content-type-options"] = "nosniff"  # a provider's file is no page of ours
    return EventStream(Events(reply, exchange.call.endpoint), content_type=content_type, status=reply.status, headers=headers)


class Events:
    """The stream, and where it breaks an error event in place of its end, so that nobody takes a part for the whole.

    Bytes of another kind can hold no error: it is raised, and the server must break the connection off. No generator, because
    closing it must close the stream even where nobody has begun to read.
    """

    def __init__(self, reply: Reply, endpoint: str) -> None:
        assert not isinstance(reply.body, bytes)  # noqa: S101 - a stream's is made of pieces
        self._pieces: AsyncGenerator[bytes] = reply.body
        self._reply = reply
        self._endpoint = endpoint
        # Of a call that passes through, the events are the provider's own.
        given = reply.headers.get("content-type", _EVENT_STREAM)
        self._tells = endpoint != Endpoint.PROXY and given.startswith("text/event-stream")

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except GatewayError as error:
            if not self._tells:
                raise
            # And then the generator has ended.
            return adapters.error_event(self._endpoint, error, self._reply.translator)

    async def aclose(self) -> None:
        await self._pieces.aclose()


class EventStream(StreamingHttpResponse):
    """Keeps `events` at hand: Django wraps what it streams in a generator whose closing would not reach them."""

    def __init__(self, events: Events, **options: Any) -> None:
        super().__init__(events, **options)
        self.events = events


def document(body: Json, exchange: Exchange) -> HttpResponse:
    """An answer of the gateway's own."""
    return HttpResponse(orjson.dumps(body), content_type="application/json", headers=exchange.headers())


def failure(error: GatewayError, exchange: Exchange) -> HttpResponse:
    headers = {**exchange.headers(), **error.headers()}
    if not isinstance(error, UpstreamError):
        headers["x-portkey-gateway-exception"] = "true"
    if isinstance(error, BodyTooLarge):
        headers["connection"] = "close"  # the rest of the body is not read
    if isinstance(error, ProviderError) and error.content is not None:  # the provider's words, to a caller who speaks them
        content_type = error.content_type or "application/octet-stream"
        return HttpResponse(error.content, content_type=content_type, status=error.status, headers=headers)
    body = orjson.dumps(adapters.error_body(exchange.call.endpoint, error))
    return HttpResponse(body, content_type="application/json", status=error.status, headers=headers)
