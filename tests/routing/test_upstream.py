"""The wire to providers, against small real servers on loopback that do what servers do wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from routing import upstream as upstreams
from routing.call import UpstreamRequest
from routing.egress import EgressGuard
from routing.errors import GatewayError, InvalidRequest, StreamBroken, UpstreamInvalid, UpstreamUnreachable
from routing.upstream import connect

OPEN = EgressGuard.parse(["127.0.0.0/8", "::1", "localhost"])
SECRET = "sk-SECRET"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Server:
    """Gives each connection to `serve`; counts them and keeps the requests' heads."""

    def __init__(self, serve, context=None):
        self._serve = serve
        self._context = context
        self.connections = 0
        self.requests = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info):
        self._server.close()

    async def _connected(self, reader, writer):
        self.connections += 1
        try:
            while head := await self._head(reader):
                self.requests.append(head)
                await self._serve(writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except ConnectionError:
            return  # the client went away, which is what some tests are about
        finally:
            writer.close()

    @staticmethod
    async def _head(reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return head + await reader.readexactly(int(length.partition(b":")[2]))


def answering(*pieces, close=False):
    """Writes these bytes, each by itself."""

    async def serve(writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if close:
            writer.close()

    return serve


def whole(body, head=JSON):
    return answering(head + b"content-length: %d\r\n\r\n" % len(body) + body)


@pytest.fixture
async def upstream():
    async def mock(request):
        return f"mock {request.url}"

    made = connect(OPEN, mock)
    yield made
    await made.close()


def request(url, **fields):
    return UpstreamRequest(
        url, {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}, b'{"a": 1}', **fields
    )


async def failure(upstream, url):
    with pytest.raises(GatewayError) as caught:
        await exchange(upstream, url)
    assert SECRET not in f"{caught.value.message} {caught.value.body()}"
    return caught.value


async def exchange(upstream, url):
    response = await upstream.send(request(url))
    try:
        return await response.read()
    finally:
        await response.close()


async def collect(pieces):
    return [piece async for piece in pieces]


# --- Answers -----------------------------------------------------------------------------------------------------------------


async def test_it_sends_what_it_is_given_and_nothing_of_its_own(upstream):
    async with Server(whole(b"{}")) as server:
        response = await upstream.send(request(f"http://127.0.0.1:{server.port}/v1/chat/completions?x=1"))
        assert (response.status, await response.read()) == (200, b"{}")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert (first, body) == ("POST /v1/chat/completions?x=1 HTTP/1.1", b'{"a": 1}')
    assert {header.partition(":")[0].lower() for header in headers} == {
        *("host", "authorization", "content-type", "content-length", "accept"),
    }


async def test_headers_are_found_whatever_their_case(upstream):
    async with Server(whole(b"{}", JSON + b"X-Request-ID: r1\r\n")) as server:
        response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
        assert response.headers["x-request-id"] == "r1"
        await response.read()


async def test_a_connection_is_used_again_once_its_answer_is_read(upstream):
    async with Server(whole(b'{"ok": true}')) as server:
        for _ in range(3):
            response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
            await response.read()
            await response.close()
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_whose_answer_was_left_is_given_up(upstream):
    async with Server(answering(JSON + b"content-length: 100\r\n\r\nhalf")) as server:
        for _ in range(2):
            response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
            await response.close()
            await response.close()
        assert server.connections == 2


async def test_a_stream_comes_piece_by_piece(upstream):
    go_on = asyncio.Event()

    async def serve(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await go_on.wait()  # the second piece is sent only when the first has arrived
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")

    async with Server(serve) as server:
        response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
        pieces = response.chunks()
        assert await anext(pieces) == b"first"
        go_on.set()
        assert await collect(pieces) == [b"second"]


async def test_an_error_status_is_an_answer_like_any_other(upstream):
    async with Server(whole(b'{"error": 1}', b"HTTP/1.1 429 Too Many\r\nretry-after: 3\r\n")) as server:
        response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
        assert (response.status, response.headers["retry-after"], await response.read()) == (429, "3", b'{"error": 1}')


async def test_the_scheme_chooses_the_transport(upstream):
    assert await upstream.send(request("mock://local/v1")) == "mock mock://local/v1"


# --- Faults ----------------------------------------------------------------------------------------------------------------


async def test_a_port_where_nobody_listens(upstream):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = await failure(upstream, f"http://127.0.0.1:{port}/v1?key={SECRET}")
    assert isinstance(error, UpstreamUnreachable)
    assert (error.status, error.message) == (502, "127.0.0.1 refuses connections or cannot be reached.")
    assert error.is_network


async def test_a_name_that_does_not_exist(upstream):
    error = await failure(upstream, f"http://nowhere.invalid/v1?key={SECRET}")
    assert (type(error), error.status) == (UpstreamUnreachable, 502)
    assert error.message == "The host name nowhere.invalid cannot be resolved."


async def test_a_certificate_that_nobody_vouches_for(upstream, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's side of the failed handshake
    async with Server(whole(b"{}"), context) as server:
        error = await failure(upstream, f"https://127.0.0.1:{server.port}/v1?key={SECRET}")
    assert (type(error), error.status) == (UpstreamUnreachable, 502)
    assert error.message == "No secure connection to 127.0.0.1: its certificate or TLS is not acceptable."


async def test_tls_spoken_to_a_server_without(upstream):
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(upstream, f"https://127.0.0.1:{port}/v1?key={SECRET}")
    assert (type(error), error.status) == (UpstreamUnreachable, 502)
    assert error.message.startswith("No secure connection to 127.0.0.1")


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", close=True), "not HTTP"),
        (answering(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", close=True), "not HTTP"),
        (answering(close=True), "broke the connection"),
        (answering(b"HTTP/1.1 20", close=True), "broke the connection"),
    ],
    ids=["another protocol", "a bad length", "nothing", "half a head"],
)
async def test_what_is_no_answer(upstream, serve, words):
    async with Server(serve) as server:
        error = await failure(upstream, f"http://127.0.0.1:{server.port}/v1?key={SECRET}")
    assert isinstance(error, UpstreamUnreachable)
    assert (error.status, error.is_network) == (502, True)
    assert error.message.startswith("127.0.0.1 ")
    assert words in error.message


BROKEN_BODIES = {
    "a body shorter than its length": JSON + b"content-length: 100\r\n\r\n{",
    "a chunked body without its end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    "gzip that is none": JSON + b"content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!",
}


@pytest.mark.parametrize("raw", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_breaks_off(upstream, raw):
    async with Server(answering(raw, close=True)) as server:
        error = await failure(upstream, f"http://127.0.0.1:{server.port}/")
        assert (type(error), error.status, error.is_network) == (StreamBroken, 502, True)
        response = await upstream.send(request(f"http://127.0.0.1:{server.port}/"))
        with pytest.raises(StreamBroken):
            await collect(response.chunks())
        await response.close()


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
async def test_redirects_are_not_followed(upstream, status):
    async with Server(whole(b"", b"HTTP/1.1 %d Moved\r\nlocation: http://evil.example/?k=SECRET\r\n" % status)) as server:
        error = await failure(upstream, f"http://127.0.0.1:{server.port}/")
        assert len(server.requests) == 1
    assert isinstance(error, UpstreamInvalid)
    assert f"status {status}" in error.message


async def test_an_answer_beyond_all_bounds_is_not_kept(upstream, monkeypatch):
    monkeypatch.setattr(upstreams, "MAX_ANSWER_BYTES", 100_000)
    async with Server(whole(b"x" * 100_001)) as server:
        error = await failure(upstream, f"http://127.0.0.1:{server.port}/")
    assert isinstance(error, UpstreamInvalid)
    assert "larger than 100000 bytes" in error.message


async def test_a_provider_that_never_answers(monkeypatch):
    monkeypatch.setattr(upstreams, "IDLE_TIMEOUT_S", 0.1)
    impatient = connect(OPEN, None)

    async def silent(writer):
        await asyncio.Event().wait()

    async with Server(silent) as server:
        error = await failure(impatient, f"http://127.0.0.1:{server.port}/")
        await impatient.close()
    assert (type(error), error.status, error.code) == (UpstreamUnreachable, 504, "upstream_timeout")


async def test_a_stream_that_falls_silent(monkeypatch):
    monkeypatch.setattr(upstreams, "IDLE_TIMEOUT_S", 0.1)
    impatient = connect(OPEN, None)

    async def falls_silent(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with Server(falls_silent) as server:
        response = await impatient.send(request(f"http://127.0.0.1:{server.port}/"))
        pieces = response.chunks()
        assert await anext(pieces) == b"first"
        with pytest.raises(StreamBroken, match=r"silent for 0\.1 seconds"):
            await anext(pieces)
        await response.close()
        await impatient.close()


# --- The egress guard --------------------------------------------------------------------------------------------------------

FORBIDDEN = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "localhost"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[fe80::1]", "[64:ff9b::7f00:1]", "１２７.0.0.1", "127.0.0.1."),
]


@pytest.mark.parametrize("host", FORBIDDEN)
async def test_a_private_address_is_closed_in_every_spelling(host):
    closed = connect(EgressGuard(), None)
    async with Server(whole(b"{}")) as server:
        error = await failure(closed, f"http://{host}:{server.port}/v1?key={SECRET}")
        assert server.connections == 0
    await closed.close()
    assert isinstance(error, InvalidRequest)
    assert error.param == "custom_host"
    assert "GATEHOUSE_PRIVATE_HOSTS" in error.message or "is not a URL" in error.message


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "0x7f000001"])
async def test_the_refusal_of_a_private_host_tells_how_to_allow_it(host):
    closed = connect(EgressGuard(), None)
    error = await failure(closed, f"http://{host}:9/")
    await closed.close()
    assert (error.status, error.code) == (400, "private_host")
    assert error.message == f"{host.strip('[]')} is a private address; list it in GATEHOUSE_PRIVATE_HOSTS to allow it"


async def test_a_refused_address_stays_refused():
    closed = connect(EgressGuard(), None)
    for _ in range(2):
        assert (await failure(closed, "http://127.0.0.1:9/")).code == "private_host"
    await closed.close()


async def test_a_listed_name_may_be_private(upstream):
    async with Server(whole(b"{}")) as server:
        response = await upstream.send(request(f"http://localhost:{server.port}/"))
        assert await response.read() == b"{}"


@pytest.mark.parametrize("url", ["http://[::1/", "http://host:port/", "http://ho\udc00st/"])
async def test_what_is_no_url_is_refused(upstream, url):
    error = await failure(upstream, url)
    assert (type(error), error.param) == (InvalidRequest, "custom_host")


async def test_parsed_addresses_are_remembered_up_to_a_bound(upstream, monkeypatch):
    monkeypatch.setattr(upstreams, "_URLS_MAX", 2)
    async with Server(whole(b"{}")) as server:
        for number in range(5):
            response = await upstream.send(request(f"http://127.0.0.1:{server.port}/{number}"))
            await response.read()
        assert len(server.requests) == 5


def self_signed(directory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
