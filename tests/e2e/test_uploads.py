"""Large bodies on their way through: bounded memory, nothing left behind, and nothing held for strangers."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.product import Product, new_trace
from tests.fakes import Lane, Turn, head
from tests.sink import PIECE, Sink
from tests.stack import wait_until

MIB = 1024 * 1024
LARGE = 200 * MIB
# What one call may add to a process: its buffers, whatever the size of the file.
ROOM = 20 * MIB
PATH = "/v1/audio/transcriptions"
_HEAD = (
    b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\nContent-Type: audio/wav\r\n\r\n'
)
_TAIL = b"\r\n--xyz--\r\n"


def form(size: int) -> Iterator[bytes]:
    yield _HEAD
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield _TAIL


def headers(product: Product, virtual_key: str, size: int) -> dict[str, str]:
    return {
        "x-portkey-api-key": product.api_key,
        "x-portkey-virtual-key": virtual_key,
        "content-type": "multipart/form-data; boundary=xyz",
        "content-length": str(len(_HEAD) + size + len(_TAIL)),
    }


class Memory:
    """What the gateway's process has at most, from now on."""

    def __init__(self, product: Product) -> None:
        process = product.stack.pid("gateway.1")
        self._proc = Path(f"/proc/{process}")
        (self._proc / "clear_refs").write_text("5")  # the peak begins again with what there is now
        assert b"gateway_project.server" in (self._proc / "cmdline").read_bytes()
        self._before = self._peak()

    def _peak(self) -> int:
        lines = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024

    @property
    def growth(self) -> int:
        return self._peak() - self._before


def test_a_large_upload_takes_no_memory_and_arrives_whole(product: Product) -> None:
    with Sink() as sink:
        virtual_key = product.virtual_key(sink.url)
        with httpx.Client(timeout=60) as client:
            client.post(
                f"{product.url}{PATH}", content=form(MIB), headers=headers(product, virtual_key, MIB)
            ).raise_for_status()
            memory = Memory(product)
            answered = client.post(f"{product.url}{PATH}", content=form(LARGE), headers=headers(product, virtual_key, LARGE))

    assert answered.json() == {"text": "heard"}
    expected = hashlib.sha256()
    for piece in form(LARGE):
        expected.update(piece)
    assert (sink.size, sink.digest) == (len(_HEAD) + LARGE + len(_TAIL), expected.hexdigest())
    assert "transfer-encoding" not in sink.headers
    assert memory.growth < ROOM
    assert list(product.stack.paths.uploads.iterdir()) == []


def test_a_large_download_takes_no_memory_and_arrives_whole(product: Product) -> None:
    digest, size = hashlib.sha256(), 0
    with Sink(sends=LARGE) as sink:
        virtual_key = product.virtual_key(sink.url)
        memory = Memory(product)
        given = {"x-portkey-api-key": product.api_key, "x-portkey-virtual-key": virtual_key}
        with httpx.stream("GET", f"{product.url}/v1/files/file-1/content", headers=given, timeout=60) as answered:
            assert answered.headers["content-length"] == str(LARGE)
            for piece in answered.iter_raw():
                digest.update(piece)
                size += len(piece)

    expected = hashlib.sha256()
    for _ in range(LARGE // len(PIECE)):
        expected.update(PIECE)
    assert (size, digest.hexdigest()) == (LARGE, expected.hexdigest())
    assert memory.growth < ROOM


def raw(product: Product, path: str, *lines: str) -> bytes:
    """What the gateway answers to these headers alone: the body they announce never comes."""
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=10) as connection:
        connection.sendall("\r\n".join([f"POST {path} HTTP/1.1", "host: gateway", *lines, "", ""]).encode())
        return connection.recv(65536)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(PATH, "multipart/form-data; boundary=x"), ("/v1/chat/completions", "application/json"), ("/v1/files", "text/plain")],
)
def test_nobody_waits_for_the_body_of_a_stranger(product: Product, path: str, kind: str) -> None:
    answered = raw(product, path, "x-portkey-api-key: gh-wrong", f"content-type: {kind}", "content-length: 20000000")
    assert answered.startswith(b"HTTP/1.1 401 ")


def test_an_upload_beyond_the_bound_is_refused_before_it_comes(product: Product) -> None:
    lines = (f"x-portkey-api-key: {product.api_key}", "x-portkey-virtual-key: mock")
    answered = raw(product, PATH, *lines, "content-type: multipart/form-data; boundary=x", "content-length: 700000000")
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b"GATEHOUSE_MAX_UPLOAD_BYTES" in answered


def test_a_caller_who_leaves_in_the_middle_leaves_nothing_behind(product: Product, virtual_key: str, lane: Lane) -> None:
    uploads = product.stack.paths.uploads
    open_files = Path(f"/proc/{product.stack.pid('gateway.1')}/fd")

    def held() -> int:
        return sum(str(uploads) in str(link.readlink()) for link in open_files.iterdir() if link.is_symlink())

    given = headers(product, virtual_key, 8 * MIB)
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=10) as connection:
        lines = [f"POST {PATH} HTTP/1.1", "host: gateway", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode() + _HEAD + PIECE * 64)
        wait_until(lambda: held() == 1, "the upload was not put on disk")
    wait_until(lambda: held() == 0, "the upload was kept")
    assert lane.received == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no form at all",
        b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1',
        b"--xyz\r\nContent-Type: text/plain\r\n\r\nwithout a name\r\n--xyz--\r\n",
        b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"x" * (MIB + 1) + b"\r\n--xyz--\r\n",
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1001 + b"--xyz--\r\n",
    ],
    ids=["empty", "no form", "cut", "no name", "a field too long", "too many parts"],
)
def test_a_broken_form_is_refused(product: Product, content: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=xyz"}
    answered = product.call(path=PATH, virtual_key="mock", content=content, headers=kind)
    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "invalid_form"), answered.text


def test_a_form_without_a_boundary_is_refused(product: Product) -> None:
    answered = product.call(path=PATH, virtual_key="mock", content=b"x", headers={"content-type": "multipart/form-data"})
    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "invalid_form")


def test_a_form_where_none_belongs_is_refused(product: Product) -> None:
    kind = {"content-type": "multipart/form-data; boundary=xyz"}
    answered = product.call(virtual_key="mock", content=_HEAD + _TAIL, headers=kind)
    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "invalid_content_type")


def test_the_log_shows_a_forms_fields_and_files_but_not_their_content(product: Product) -> None:
    trace = new_trace()
    kind = {"content-type": "multipart/form-data; boundary=xyz"}
    content = b"".join(form(len(PIECE)))
    answered = product.call(path=PATH, virtual_key="mock", content=content, headers=kind, trace_id=trace)
    assert answered.json()["text"] == f"You sent long.wav with {len(PIECE)} bytes."
    record = product.admin("GET", f"/v1/logs/{product.record(trace)['id']}")
    request = record["request"] if isinstance(record["request"], dict) else json.loads(record["request"])
    file = {"name": "file", "filename": "long.wav", "content_type": "audio/wav", "bytes": len(PIECE)}
    assert request == {"model": "whisper-1", "files": [file]}


def test_a_body_that_breaks_off_breaks_off_for_the_caller_too(product: Product, lane: Lane, virtual_key: str) -> None:
    async def cut(turn: Turn) -> None:
        turn.write(head(200, {"content-type": "audio/mpeg", "content-length": "500000"}) + b"\xff" * 1000)
        turn.hang_up()

    lane.will(cut)
    trace = new_trace()
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
    with pytest.raises(httpx.RemoteProtocolError):
        product.call(body, path="/v1/audio/speech", virtual_key=virtual_key, trace_id=trace)
    record = product.record(trace)
    assert (record["status"], record["error_code"]) == (502, "upstream_stream_broken")


def test_a_body_without_a_length_that_breaks_off_does_too(product: Product, lane: Lane, virtual_key: str) -> None:
    async def cut(turn: Turn) -> None:
        turn.write(head(200, {"content-type": "audio/mpeg", "transfer-encoding": "chunked"}) + b"4\r\nabcd\r\n")
        turn.hang_up()

    lane.will(cut)
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
    with pytest.raises(httpx.RemoteProtocolError):
        product.call(body, path="/v1/audio/speech", virtual_key=virtual_key)


def test_the_log_holds_no_bytes_of_audio(product: Product) -> None:
    trace = new_trace()
    body = {"model": "mock", "voice": "alloy", "input": "Hello there"}
    answered = product.call(body, path="/v1/audio/speech", virtual_key="mock", trace_id=trace)
    assert (answered.content[:4], answered.headers["content-type"]) == (b"RIFF", "audio/wav")
    record = product.admin("GET", f"/v1/logs/{product.record(trace)['id']}")
    assert "RIFF" not in json.dumps(record)
