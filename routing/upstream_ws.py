"""WebSockets to providers, by the same rules as every other connection: egress guard, no redirects, the same errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import aiohttp  # noqa: TID251 - the other half of routing/upstream.py
import yarl

from routing.call import UpstreamRequest
from routing.errors import GatewayError, StreamBroken, UpstreamInvalid
from routing.frames import Closing, Frames, Opened, Text

CONNECT_TIMEOUT_S = 10.0
# A side that is silent for this long is asked for a sign of life, and given up without one.
HEARTBEAT_S = 30.0
MAX_FRAME_BYTES = 16 * 1024 * 1024
# Codes that say how a connection ended and may not be sent themselves (RFC 6455, 7.4.1), and what is sent in their place.
_UNSENDABLE = {1005: 1000, 1006: 1001, 1015: 1001}


class _Redirected(Exception):
    """The provider answered with a redirect."""


class Sockets:
    """Opens WebSockets over `connector`. `url` parses and checks an address, `error` maps what goes wrong to our words."""

    def __init__(
        self,
        connector: aiohttp.BaseConnector | None,
        url: Callable[[str], yarl.URL],
        error: Callable[[str, Exception], GatewayError],
    ) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trust_env=False,
            skip_auto_headers=("User-Agent",),
            trace_configs=[trace],
        )
        self._url = url
        self._error = error

    async def send(self, request: UpstreamRequest) -> SocketResponse:
        """The open connection as an answer with status 200, or the refusal as one with its status."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S if request.connect_ms is None else request.connect_ms / 1000):
                socket = await self._session.ws_connect(
                    self._url(request.url),
                    headers=request.headers,
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=5.0),
                )
        except _Redirected as error:
            raise UpstreamInvalid("The provider answered with a redirect; check the base URL.") from error
        except aiohttp.WSServerHandshakeError as error:
            if 200 <= error.status < 400:
                raise UpstreamInvalid("The provider answered, but opened no WebSocket.") from error
            return SocketResponse(None, None, error.status, error.headers or {})
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._error(request.url, error) from error
        return SocketResponse(socket, cast(Frames, request.body), 200, {})

    async def close(self) -> None:
        await self._session.close()


async def _refuse_redirect(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    raise _Redirected


class SocketResponse:
    """See `UpstreamResponse`: the provider's frames as pieces, while the caller's go the other way."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool] | None,
        frames: Frames | None,
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        self._socket = socket
        self._frames = frames
        self.status = status
        self.headers = headers

    async def read(self) -> bytes:
        return b""  # a refused handshake has no body that we could read

    async def chunks(self) -> AsyncIterator[bytes]:
        """First `Opened`, then frames until either side closes. Raises `StreamBroken` where the provider's side broke off."""
        socket, frames = self._socket, self._frames
        if socket is None or frames is None:
            return
        upwards = asyncio.create_task(_pump(frames, socket))
        try:
            yield Opened(b"\n")
            while True:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield Text(message.data.encode())
                elif message.type is aiohttp.WSMsgType.BINARY:
                    yield message.data
                elif message.type is aiohttp.WSMsgType.CLOSE:
                    frames.closed = Closing(_UNSENDABLE.get(message.data, message.data), message.extra or "")
                    return
                elif frames.left is not None:
                    return
                else:
                    raise StreamBroken("The provider broke the connection off.")
        finally:
            if frames.left is None:
                upwards.cancel()  # else it is about to close the connection, with the caller's own code
            await asyncio.gather(upwards, return_exceptions=True)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


async def _pump(frames: Frames, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
    """The caller's frames to the provider, and in the end the caller's way to close."""
    try:
        async for frame in frames.chunks():
            if isinstance(frame, Text):
                await socket.send_str(frame.decode())
            else:
                await socket.send_bytes(frame)
    except (aiohttp.ClientError, ConnectionError):
        return  # the provider is gone: whoever reads its frames will see it
    left = frames.left or Closing(1001, "")
    await socket.close(code=_UNSENDABLE.get(left.code, left.code), message=left.reason.encode()[:123])
