"""Message events as chunks of a chat completion.

The parts of a chunk that are the same in all of them are encoded once; only the delta is encoded for each.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.anthropic.reply import created, finish_reason, read_usage, shown_usage


class ChunkStream:
    """See `StreamTranslator`. The chunks carry the message's own id.

    A thinking delta gives an empty chunk where the target is strict, so that a caller's time-out sees that work goes on, and
    `content_blocks` where it is not, as OpenAI has no place for thinking.
    """

    def __init__(self, call: Call, target: Target) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._call = call
        self._target = target
        self._decoder = sse.Decoder()
        self._begun = False
        self._shows_usage = _asks_for_usage(call, target)
        self._prefix = b""
        # From the vendor's index of a block to OpenAI's index of a tool call.
        self._tools: dict[int | None, int] = {}

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        if not self._begun:
            if not sse.may_begin(data):
                raise failures.invalid(self._target, "the answer is not an event stream", data)
            self._begun = bool(data.strip())
        return b"".join(self._chunk(event) for event in self._decoder.feed(data))

    def _chunk(self, event: sse.Event) -> bytes:
        if self.done:
            return b""
        try:
            data = reading.loads(event.data)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        kind = data.get("type", event.name)
        if kind == "error":
            raise failures.error_in_stream(self._target, data)
        # An event that a later version of the API adds is passed over, as the vendor asks of its clients.
        step = _STEPS.get(kind) if isinstance(kind, str) else None
        return b"" if step is None else step(self, data)

    def _start(self, data: Json) -> bytes:
        message = data.get("message")
        if not isinstance(message, dict):
            raise failures.invalid(self._target, "the stream starts without a message")
        model = message.get("model")
        self.model = model if isinstance(model, str) else None
        self.usage = read_usage(message.get("usage"))
        head = {
            "id": message.get("id"),
            "object": "chat.completion.chunk",
            "created": created(self._call),
            "model": self.model or self._call.model,
            "provider": self._target.provider.id,
        }
        self._prefix = b"data: " + orjson.dumps(head)[:-1] + b","
        return self._write({"role": "assistant", "content": ""})

    def _block_start(self, data: Json) -> bytes:
        block = data.get("content_block")
        if not isinstance(block, dict):
            return b""
        if block.get("type") == "tool_use":
            place = self._tools[_place(data)] = len(self._tools)
            # The input comes in deltas; servers that only speak like the vendor give it here, whole.
            arguments = orjson.dumps(block["input"]).decode() if block.get("input") else ""
            function = {"name": block.get("name"), "arguments": arguments}
            return self._write(
                {"tool_calls": [{"index": place, "id": block.get("id"), "type": "function", "function": function}]}
            )
        delta: Json = {"content": block["text"]} if block.get("text") else {}
        if not self._target.strict:
            delta["content_blocks"] = [_piece(_place(data), block)]
        return self._write(delta) if delta else b""

    def _block_delta(self, data: Json) -> bytes:
        piece = data.get("delta")
        if not isinstance(piece, dict):
            return b""
        self.deltas += 1
        kind, index = piece.get("type"), _place(data)
        if kind == "input_json_delta":
            place = self._tools.get(index)
            # The input of the vendor's own tools, which run on its side, is no call for the caller to make.
            if place is None:
                return b""
            return self._write({"tool_calls": [{"index": place, "function": {"arguments": piece.get("partial_json", "")}}]})
        delta: Json = {"content": piece.get("text", "")} if kind == "text_delta" else {}
        if not self._target.strict:
            delta["content_blocks"] = [_piece(index, piece)]
        return self._write(delta)

    def _message_delta(self, data: Json) -> bytes:
        self.usage = read_usage(data.get("usage"), self.usage)
        delta = data.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        return b"" if reason is None else self._write({}, finish_reason(reason, strict=self._target.strict))

    def _stop(self, data: Json) -> bytes:
        self.done = True
        last = b""
        if self._shows_usage and self.usage is not None:
            last = self._prefix + b'"choices":[],"usage":' + orjson.dumps(shown_usage(self.usage)) + b"}\n\n"
        return last + b"data: [DONE]\n\n"

    def _write(self, delta: Json, finish: str | None = None) -> bytes:
        if not self._prefix:
            raise failures.invalid(self._target, "the stream does not start with a message")
        return b"".join(
            (
                self._prefix,
                b'"choices":[{"index":0,"delta":',
                orjson.dumps(delta),
                b',"logprobs":null,"finish_reason":',
                orjson.dumps(finish),
                b'}],"usage":null}\n\n' if self._shows_usage else b"}]}\n\n",
            )
        )


def _place(data: Json) -> int | None:
    """The vendor's index of a block."""
    index = data.get("index")
    return index if isinstance(index, int) else None


_STEPS = {
    "message_start": ChunkStream._start,
    "content_block_start": ChunkStream._block_start,
    "content_block_delta": ChunkStream._block_delta,
    "message_delta": ChunkStream._message_delta,
    "message_stop": ChunkStream._stop,
}


def _asks_for_usage(call: Call, target: Target) -> bool:
    options = target.override_params.get("stream_options", call.body.get("stream_options"))
    return isinstance(options, dict) and options.get("include_usage") is True


def _piece(index: Any, block: Json) -> Json:
    return {"index": index, "delta": {key: value for key, value in block.items() if key != "type"}}
