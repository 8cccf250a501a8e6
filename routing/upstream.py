"""The wire to providers: connection pools, time-outs, egress guard, and the only map from a client library's errors to ours.

A request goes out through the transport of its URL's scheme: HTTP through aiohttp, ``mock`` through the built-in provider.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import yarl
from aiohttp import abc as aiohttp_abc

from routing.call import UpstreamRequest
from routing.egress import EgressGuard, EgressRefused
from routing.errors import GatewayError, InvalidRequest, StreamBroken, UpstreamInvalid, UpstreamUnreachable
from routing.upstream_ws import Sockets

CONNECT_TIMEOUT_S = 10.0
# Silence on an open connection, before the first byte or between two pieces, after which it counts as broken.
IDLE_TIMEOUT_S = 600.0
# An idle connection is given up before the far end, whose usual time-outs start at 60 s, closes it under a request.
KEEPALIVE_S = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_URLS_MAX = 1024


class UpstreamResponse(Protocol):
    """An answer whose body has not been read. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body. Raises an UpstreamError when it breaks off or passes the bound."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's pieces as they arrive. Raises StreamBroken when it breaks off."""
        ...

    async def close(self) -> None:
        """Gives the connection up unless the body was read to its end. May be called twice."""
        ...


Transport = Callable[[UpstreamRequest], Awaitable[UpstreamResponse]]


class Upstream:
    """All transports by URL scheme. Lives on one event loop; `close` ends its connections."""

    def __init__(self, transports: Mapping[str, Transport], close: Callable[[], Awaitable[None]]) -> None:
        self._transports = transports
        self.close = close

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The answer's status and headers. Raises `UpstreamUnreachable`, or `InvalidRequest` for a host that is off limits."""
        return await self._transports[request.url.partition(":")[0]](request)


def connect(guard: EgressGuard, mock: Transport) -> Upstream:
    http = _Http(guard)
    sockets = http.sockets()

    async def close() -> None:
        await sockets.close()
        await http.close()

    transports: dict[str, Transport] = {"http": http.send, "https": http.send, "ws": sockets.send, "wss": sockets.send}
    return Upstream({**transports, "mock": mock}, close)


class _GuardedResolver(aiohttp_abc.AbstractResolver):
    """The system's resolver behind the egress guard."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp_abc.ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for entry in found:
            self._guard.check(host, entry["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


class _Http:
    """aiohttp, with everything off that a gateway must not do by itself: cookies, redirects, environment proxies."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._urls: dict[str, yarl.URL] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=_GuardedResolver(guard),
                ttl_dns_cache=30,
                keepalive_timeout=KEEPALIVE_S,
                family=socket.AF_UNSPEC,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_TIMEOUT_S),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            read_bufsize=256 * 1024,
        )

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        body, headers = request.body, request.headers
        data: bytes | AsyncIterator[bytes] | None
        if isinstance(body, bytes):
            data = body or None  # no body at all, where there is none
        else:
            data, headers = body.chunks(), {**headers, "content-length": str(body.size_bytes)}
        bounds: dict[str, Any] = {}
        if request.connect_ms is not None:
            bounds["timeout"] = aiohttp.ClientTimeout(total=None, connect=request.connect_ms / 1000, sock_read=IDLE_TIMEOUT_S)
        try:
            response = await self._session.request(
                request.method,
                self._url(request.url),
                data=data,
                headers=headers,
                allow_redirects=False,
                **bounds,
            )
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _failure(request.url, error) from error
        if 300 <= response.status < 400:
            response.close()
            raise UpstreamInvalid(f"The provider answered with a redirect (status {response.status}); check the base URL.")
        return _HttpResponse(response)

    def _url(self, text: str) -> yarl.URL:
        """The parsed URL, its literal address checked: the resolver never sees those."""
        url = self._urls.get(text)
        if url is None:
            try:
                url = _as_written(text)
            except ValueError as error:
                raise InvalidRequest("The provider's base URL is not a URL.", param="custom_host") from error
            host = url.host or ""
            try:
                ipaddress.ip_address(host)
            except ValueError:
                pass
            else:
                self._guard.check(host, host)
            if len(self._urls) >= _URLS_MAX:
                self._urls.clear()
            self._urls[text] = url
        return url

    def sockets(self) -> Sockets:
        """WebSockets by the same rules."""
        return Sockets(self._session.connector, self._url, _failure)

    async def close(self) -> None:
        await self._session.close()


def _as_written(text: str) -> yarl.URL:
    """The URL with its path and query as they are, where they can be sent so. Raises ValueError."""
    url = yarl.URL(text)
    if not (text.isascii() and text.isprintable()) or " " in text:
        return url
    parts = urlsplit(text)
    return yarl.URL.build(
        scheme=url.scheme, authority=url.raw_authority, path=parts.path or "/", query_string=parts.query, encoded=True
    )


def _failure(url: str, error: Exception) -> GatewayError:
    """What went wrong before there was an answer, in our words."""
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):  # also an unusual IPv4 address, or a name that IDNA cannot write
        return InvalidRequest("The provider's base URL is not a URL.", param="custom_host")
    refusal = getattr(error, "os_error", error)  # what the resolver raises comes back wrapped
    if isinstance(refusal, EgressRefused):
        return InvalidRequest(str(refusal), param="custom_host", code="private_host")
    return _unreachable(url, error)


def _unreachable(url: str, error: Exception) -> UpstreamUnreachable:
    """aiohttp's and the system's errors in our words; the host is named, the rest of the URL may hold a credential."""
    host = urlsplit(url).hostname
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamUnreachable(f"No connection to {host} in time.", status=504, code="upstream_timeout")
    if isinstance(error, aiohttp.ServerTimeoutError | asyncio.TimeoutError):
        return UpstreamUnreachable(f"No answer from {host} in time.", status=504, code="upstream_timeout")
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return UpstreamUnreachable(f"The host name {host} cannot be resolved.", status=502)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return UpstreamUnreachable(f"No secure connection to {host}: its certificate or TLS is not acceptable.", status=502)
    if isinstance(error, aiohttp.ClientConnectorError):
        return UpstreamUnreachable(f"{host} refuses connections or cannot be reached.", status=502)
    if isinstance(error, aiohttp.ClientResponseError):
        return UpstreamUnreachable(f"{host} answered with something that is not HTTP.", status=502)
    return UpstreamUnreachable(f"{host} broke the connection before it answered.", status=502)


class _HttpResponse:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # compares names without case

    async def read(self) -> bytes:
        content = self._response.content
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await content.readany():
                pieces.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise UpstreamInvalid(f"The provider's answer is larger than {MAX_ANSWER_BYTES} bytes.")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise StreamBroken("The provider broke off in the middle of its answer.") from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while piece := await content.readany():
                yield piece
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise StreamBroken(
                f"The provider was silent for {IDLE_TIMEOUT_S:g} seconds in the middle of its stream."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken("The provider broke the stream off before it was complete.") from error

    async def close(self) -> None:
        self._response.close()
