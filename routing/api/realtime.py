"""`/v1/realtime`: a WebSocket on both sides, frames unchanged. The provider's is open before the caller's is accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import structlog

from keys.auth import Caller
from routing import gateway as gateways
from routing import pipeline
from routing.api import incoming
from routing.api.authentication import GatewayKeyAuthentication
from routing.call import Endpoint, Json, Reply, Upload
from routing.errors import GatewayError, InternalError, InvalidRequest, NotFound, UpstreamError
from routing.exchange import Exchange
from routing.frames import Closing, Opened, Text

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# A browser can send no headers, so SDKs put the key among the subprotocols, and name this one for the answer.
_KEY_PROTOCOL = "openai-insecure-api-key."
_PROTOCOL = "realtime"
_ROUTES = frozenset({"/v1/realtime", "/realtime"})
_NORMAL = 1000
_GOING_AWAY = 1001
_BROKEN = 1011
# A reason has at most this many bytes (RFC 6455, 5.5).
_REASON_BYTES = 123

log = structlog.get_logger(__name__)


class CallersFrames:
    """See `routing.frames.Frames`: what the caller sends, until it leaves."""

    content_type = ""
    size_bytes = 0

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.left: Closing | None = None
        self.closed: Closing | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                self.left = Closing(message.get("code") or _GOING_AWAY, message.get("reason") or "")
                return
            text = message.get("text")
            yield Text(text.encode()) if text is not None else message["bytes"]

    def edited(self, fields: Json) -> Upload:
        raise InvalidRequest("Parameters of a WebSocket are in its query or in its events.", param="override_params")


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket from its handshake to its close."""
    await receive()  # websocket.connect
    gateway = await gateways.current()
    headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
    protocols = [protocol.strip() for protocol in headers.pop("sec-websocket-protocol", "").split(",")]
    key = next((protocol for protocol in protocols if protocol.startswith(_KEY_PROTOCOL)), None)
    if key is not None and "authorization" not in headers:
        headers["authorization"] = f"Bearer {key.removeprefix(_KEY_PROTOCOL)}"
    call = incoming.begin_socket(scope, Endpoint.REALTIME if scope["path"] in _ROUTES else "", headers)
    exchange = Exchange(call, Caller(gateway.snapshots.default_workspace_id))
    frames = CallersFrames(receive)
    try:
        if not call.endpoint:
            raise NotFound(f"Unknown route of a WebSocket: {scope['path']}.", code="unknown_route")
        exchange.caller, provider_key = GatewayKeyAuthentication().identify(call, gateway)
        exchange.call = incoming.opened(call, exchange.caller, provider_key, frames)
        reply = await pipeline.run(exchange, provider_key, gateway.snapshot, gateway)
    except GatewayError as error:
        pipeline.fail(exchange, error, gateway)
        await _refuse(error, exchange, scope, send)
        return
    except Exception:  # a bug must not show the caller its insides
        log.exception("a call failed inside the gateway", trace_id=call.trace_id)
        bug = InternalError("The gateway failed while it worked on this call; its log has the details under the trace id.")
        pipeline.fail(exchange, bug, gateway)
        await _refuse(bug, exchange, scope, send)
        return
    told = [(name.encode(), value.encode("latin1")) for name, value in {**reply.headers, **exchange.headers()}.items()]
    chosen = _PROTOCOL if _PROTOCOL in protocols else None
    try:
        await _relay(reply, frames, send, {"type": "websocket.accept", "subprotocol": chosen, "headers": told})
    except OSError:
        return  # the caller is gone; the provider's side was closed on the way out


async def _relay(reply: Reply, frames: CallersFrames, send: Send, accept: Mapping[str, Any]) -> None:
    """The provider's frames to the caller, and how it closed; the caller's own go the other way meanwhile."""
    assert not isinstance(reply.body, bytes)  # noqa: S101 - frames come in pieces
    async with aclosing(reply.body) as pieces:
        await send(accept)
        try:
            async for piece in pieces:
                if isinstance(piece, Text):
                    await send({"type": "websocket.send", "text": piece.decode()})
                elif piece and not isinstance(piece, Opened):
                    await send({"type": "websocket.send", "bytes": piece})
            closing = frames.closed or Closing(_NORMAL, "")
        except GatewayError as error:
            closing = Closing(_BROKEN, error.message)
    if frames.left is None:
        reason = closing.reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        await send({"type": "websocket.close", "code": closing.code, "reason": reason})


async def _refuse(error: GatewayError, exchange: Exchange, scope: Scope, send: Send) -> None:
    """The error as the answer to the handshake."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:_REASON_BYTES]})
        return
    headers = {"content-type": "application/json", **exchange.headers(), **error.headers()}
    if not isinstance(error, UpstreamError):
        headers["x-portkey-gateway-exception"] = "true"
    body = orjson.dumps(error.body())
    headers["content-length"] = str(len(body))
    told = [(name.encode(), value.encode("latin1")) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": told})
    await send({"type": "websocket.http.response.body", "body": body})
