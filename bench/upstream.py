"""A provider that costs next to nothing: OpenAI's chat completions on a bare asyncio protocol.

Usable alone: ``python -m bench.upstream PORT``. The request's "model" steers the answer:

- ``stream-CHUNKS-PAUSE``, with ``"stream": true``: that many chunks, PAUSE milliseconds apart;
- ``status-CODE``: an error answer with that status;
- anything else: a whole answer at once.

It shares a core with the load generator, so every byte that can be made in advance is.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
from typing import Any, cast

import orjson
import uvloop

_TEXT = (
    "An AI gateway stands between applications and the providers of models. It gives them one address and one API, keeps the "
    "keys, tries again when a provider fails, and knows what every call has cost."
)
_HEAD_END = b"\r\n\r\n"


def _http(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def _usage(output_tokens: int) -> dict[str, Any]:
    return {"prompt_tokens": 24, "completion_tokens": output_tokens, "total_tokens": 24 + output_tokens}


@functools.lru_cache(maxsize=64)
def whole_answer(model: str) -> bytes:
    body = {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion",
        "created": 1735689600,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            **_usage(39),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_bench01234",
    }
    return _http(200, "application/json", orjson.dumps(body))


def _event(model: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion.chunk",
        "created": 1735689600,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_bench01234",
        "choices": choices,
        **more,
    }
    return _chunked(b"data: " + orjson.dumps(chunk) + b"\n\n")


def _choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]


@functools.lru_cache(maxsize=64)
def stream_parts(model: str, chunks: int, with_usage: bool) -> tuple[bytes, bytes, bytes]:
    """What is sent first, for each token, and last."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    first = head + _event(model, _choice({"role": "assistant", "content": "", "refusal": None}))
    last = _event(model, _choice({}, "stop"))
    if with_usage:
        last += _event(model, [], usage=_usage(chunks))
    return first, _event(model, _choice({"content": " token"})), last + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection, kept alive; requests are answered one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is a look-alike, no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (body := self._next_body()) is not None:
            self._answer(body)

    def _next_body(self) -> bytes | None:
        """The next request's body, or None while it is not complete."""
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return None
        head = self._buffer[:end].lower()
        if b"transfer-encoding: chunked" in head:
            return self._next_chunked_body(end + 4)
        _, found, rest = head.partition(b"content-length:")
        stop = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
        if len(self._buffer) < stop:
            return None
        body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
        return body

    def _next_chunked_body(self, start: int) -> bytes | None:
        body = b""
        while (line_end := self._buffer.find(b"\r\n", start)) >= 0:
            size = int(self._buffer[start:line_end], 16)
            stop = line_end + 2 + size + 2
            if len(self._buffer) < stop:
                return None
            if size == 0:
                self._buffer = self._buffer[stop:]
                return body
            body += self._buffer[line_end + 2 : stop - 2]
            start = stop
        return None

    def _answer(self, body: bytes) -> None:
        try:
            request = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            self._error(400)
            return
        model = str(request.get("model", ""))
        if model.startswith("status-"):
            self._error(int(model.removeprefix("status-")))
        elif request.get("stream"):
            self._stream(model, bool((request.get("stream_options") or {}).get("include_usage")))
        else:
            self._transport.write(whole_answer(model))

    def _error(self, status: int) -> None:
        body = {"error": {"message": "the mock was told to fail", "type": "server_error", "param": None, "code": None}}
        self._transport.write(_http(status, "application/json", orjson.dumps(body)))

    def _stream(self, model: str, with_usage: bool) -> None:
        chunks, pause = 100, 0.01
        if model.startswith("stream-"):
            _, count, milliseconds = model.split("-")
            chunks, pause = int(count), float(milliseconds) / 1000
        first, piece, last = stream_parts(model, chunks, with_usage)
        self._transport.write(first)
        start = self._loop.time()

        def send(number: int) -> None:
            # Each chunk has its own due time, so that a late one does not delay all that follow.
            if number > chunks:
                self._timer = None
                self._transport.write(last)
                return
            self._transport.write(piece)
            self._timer = self._loop.call_at(start + (number + 1) * pause, send, number + 1)

        self._timer = self._loop.call_at(start + pause, send, 1)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description="A mock provider on 127.0.0.1.")
    parser.add_argument("port", type=int)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
