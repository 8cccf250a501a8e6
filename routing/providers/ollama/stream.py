"""Lines of JSON as chunks of a chat completion."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.errors import UpstreamInvalid
from routing.providers import failures, reading
from routing.providers.chunks import END, ChunkWriter, shown_usage
from routing.providers.ollama.reply import answer_id, called, finish_reason, read_usage


class LineStream:
    """See `StreamTranslator`. A line that says ``done`` ends the stream and brings the usage."""

    def __init__(self, call: Call, target: Target) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._call = call
        self._target = target
        self._tail = bytearray()
        self._writer: ChunkWriter | None = None
        self._calls = 0

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        self._tail += data
        start = self._tail.lstrip()[:1]
        if self._writer is None and start and start != b"{":
            raise failures.invalid(self._target, "the answer is not a stream of JSON lines", bytes(self._tail))
        run, newline, rest = self._tail.rpartition(b"\n")
        if len(rest) > sse.MAX_EVENT_BYTES:
            raise UpstreamInvalid(f"A line of the provider's stream is larger than {sse.MAX_EVENT_BYTES} bytes.")
        if not newline:
            self._refuse_error()
            return b""
        self._tail = rest
        return b"".join(self._line(bytes(line)) for line in run.split(b"\n") if line.strip())

    def _refuse_error(self) -> None:
        """An error in place of the stream may come without the end of its line."""
        if self._writer is None and self._tail.startswith(b'{"error"') and self._tail.endswith(b"}"):
            with contextlib.suppress(orjson.JSONDecodeError):
                reading.loads(self._tail)
                raise failures.invalid(self._target, "the answer is an error", bytes(self._tail))

    def _line(self, line: bytes) -> bytes:
        if self.done:
            return b""
        try:
            data = reading.loads(line)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "a line of the stream is not a JSON object", line)
        if data.get("error"):
            raise failures.error_in_stream(self._target, data)
        head = b""
        if self._writer is None:
            model = data.get("model")
            self.model = model if isinstance(model, str) else None
            self._writer = ChunkWriter(
                self._call, self._target, id=answer_id(self._call), model=self.model or self._target.model or self._call.model
            )
            head = self._writer.delta({"role": "assistant", "content": ""})
        return head + self._said(self._writer, data)

    def _said(self, writer: ChunkWriter, data: Json) -> bytes:
        message: Any = data.get("message")
        out = b""
        if isinstance(message, dict):
            if message.get("thinking"):
                out += self._delta(writer, {"reasoning_content": message["thinking"]})
            if message.get("content"):
                out += self._delta(writer, {"content": message["content"]})
            calls = message.get("tool_calls")
            for one in calls if isinstance(calls, list) else []:
                if (given := called(one, self._call, self._calls)) is not None:
                    out += self._delta(writer, {"tool_calls": [{"index": self._calls, **given}]})
                    self._calls += 1
        if data.get("done") is not True:
            return out
        self.done = True
        self.usage = read_usage(data)
        out += writer.delta({}, finish_reason(data.get("done_reason"), called=self._calls > 0))
        return out + writer.usage(None if self.usage is None else shown_usage(self.usage)) + END

    def _delta(self, writer: ChunkWriter, delta: Json) -> bytes:
        self.deltas += 1
        return writer.delta(delta)
