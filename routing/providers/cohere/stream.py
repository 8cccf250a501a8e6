"""The events of Cohere's chat as chunks of a chat completion."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.chunks import END, ChunkWriter
from routing.providers.cohere.reply import finish_reason, usages


class ChunkStream:
    """See `StreamTranslator`. The chunks carry the id of the generation.

    Thinking, plans and citations give an empty chunk where the target is strict, so that a caller's time-out sees that work
    goes on; where it is not, they stand in `content_blocks`, `tool_plan` and `citations`.
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
        self._writer: ChunkWriter | None = None
        # From the vendor's index of a call to OpenAI's, which counts calls only.
        self._tools: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        if not self._begun:
            if not sse.may_begin(data):
                raise failures.invalid(self._target, "the answer is not an event stream", data)
            self._begun = bool(data.strip())
        return b"".join(self._chunk(event) for event in self._decoder.feed(data))

    def _chunk(self, event: sse.Event) -> bytes:
        if self.done or event.data.strip() == b"[DONE]":
            return b""
        try:
            data = reading.loads(event.data)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        kind = str(data.get("type", event.name))
        if kind == "error" or (kind not in _STEPS and self._writer is None and "message" in data):
            raise failures.error_in_stream(self._target, data)
        # An event that a later version of the API adds is passed over.
        step = _STEPS.get(kind)
        return b"" if step is None else step(self, data)

    def _start(self, data: Json) -> bytes:
        model = self._target.model or self._call.model
        self._writer = ChunkWriter(self._call, self._target, id=str(data.get("id") or self._call.id), model=model)
        return self._writer.delta({"role": "assistant", "content": ""})

    def _content(self, data: Json) -> bytes:
        content = _message(data).get("content")
        if not isinstance(content, dict):
            return b""
        text, thinking = content.get("text"), content.get("thinking")
        if not text and not thinking:
            return b""
        self.deltas += 1
        delta: Json = {"content": text} if text else {}
        if not self._target.strict:
            piece = {"text": text} if text else {"thinking": thinking}
            delta["content_blocks"] = [{"index": data.get("index"), "delta": piece}]
        return self._write(delta)

    def _own(self, data: Json) -> bytes:
        """What OpenAI has no place for: a plan, a citation."""
        message = _message(data)
        self.deltas += 1
        if self._target.strict:
            return self._write({})
        return self._write({key: message[key] for key in ("tool_plan", "citations") if message.get(key)})

    def _call_start(self, data: Json) -> bytes:
        call = _message(data).get("tool_calls")
        if not isinstance(call, dict) or not isinstance(function := call.get("function"), dict):
            return b""
        self.deltas += 1
        place = self._tools[str(data.get("index"))] = len(self._tools)
        named = {"name": function.get("name"), "arguments": function.get("arguments") or ""}
        return self._write({"tool_calls": [{"index": place, "id": call.get("id"), "type": "function", "function": named}]})

    def _call_delta(self, data: Json) -> bytes:
        call = _message(data).get("tool_calls")
        function = call.get("function") if isinstance(call, dict) else None
        place = self._tools.get(str(data.get("index")))
        if not isinstance(function, dict) or place is None:
            return b""
        self.deltas += 1
        return self._write({"tool_calls": [{"index": place, "function": {"arguments": function.get("arguments") or ""}}]})

    def _end(self, data: Json) -> bytes:
        delta = data.get("delta")
        end = delta if isinstance(delta, dict) else {}
        if end.get("error"):
            raise failures.error_in_stream(self._target, {"message": end["error"]})
        self.usage, shown = usages(end.get("usage"))
        last = self._write({}, finish_reason(end.get("finish_reason"), strict=self._target.strict))
        self.done = True
        assert self._writer is not None  # noqa: S101 - the chunk above was written with it
        return last + self._writer.usage(shown) + END

    def _write(self, delta: Json, finish: str | None = None) -> bytes:
        if self._writer is None:
            raise failures.invalid(self._target, "the stream does not start with a message")
        return self._writer.delta(delta, finish)


_STEPS = {
    "message-start": ChunkStream._start,
    "content-start": ChunkStream._content,
    "content-delta": ChunkStream._content,
    "tool-plan-delta": ChunkStream._own,
    "citation-start": ChunkStream._own,
    "tool-call-start": ChunkStream._call_start,
    "tool-call-delta": ChunkStream._call_delta,
    "message-end": ChunkStream._end,
}


def _message(data: Json) -> Json:
    delta = data.get("delta")
    message = delta.get("message") if isinstance(delta, dict) else None
    return message if isinstance(message, dict) else {}
