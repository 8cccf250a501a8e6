"""The vendor's events as chunks of a chat completion."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.chunks import END, ChunkWriter, shown_usage
from routing.providers.workers_ai.reply import answer_id, as_text, called, read_usage


class ResponseStream:
    """See `StreamTranslator`. ``[DONE]`` ends the stream; the reason for the end and the usage stand before it, or nowhere."""

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
        self._calls = 0
        self._finish: str | None = None

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        if not self._begun:
            if not sse.may_begin(data):
                raise failures.invalid(self._target, "the answer is not an event stream", data)
            self._begun = bool(data.strip())
        return b"".join(self._event(event) for event in self._decoder.feed(data))

    def _event(self, event: sse.Event) -> bytes:
        if self.done:
            return b""
        if event.data.strip() == b"[DONE]":
            return self._end()
        try:
            data = reading.loads(event.data)
        except orjson.JSONDecodeError:
            data = None
        if event.name == "error" or (isinstance(data, dict) and (data.get("error") or data.get("errors"))):
            raise failures.error_in_stream(self._target, data if data is not None else event.data.decode(errors="replace"))
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        usage = read_usage(data)
        if usage is not None:
            self.usage = usage
        return self._choice(data) if isinstance(data.get("choices"), list) else self._response(data)

    def _response(self, data: Json) -> bytes:
        text = as_text(data.get("response"))
        out = self._delta({"content": text}) if text else b""
        for one in called(data.get("tool_calls"), self._call, self._calls):
            out += self._delta({"tool_calls": [{"index": self._calls, **one}]})
            self._calls += 1
        return out

    def _choice(self, data: Json) -> bytes:
        """A chunk of OpenAI's, which newer models send."""
        choice = next((one for one in data["choices"] if isinstance(one, dict)), None)
        if choice is None:
            return b""
        if isinstance(data.get("model"), str):
            self.model = data["model"]
        finish = choice.get("finish_reason")
        self._finish = finish if isinstance(finish, str) else self._finish
        delta = choice.get("delta")
        said = {key: value for key, value in delta.items() if key != "role" and value} if isinstance(delta, dict) else {}
        return self._delta(said) if said else b""

    def _delta(self, delta: Json) -> bytes:
        self.deltas += 1
        return self._opened() + self._written().delta(delta)

    def _end(self) -> bytes:
        self.done = True
        finish = self._finish or ("tool_calls" if self._calls else "stop")
        out = self._opened() + self._written().delta({}, finish)
        return out + self._written().usage(None if self.usage is None else shown_usage(self.usage)) + END

    def _opened(self) -> bytes:
        return self._written().delta({"role": "assistant", "content": ""}) if self._writer is None else b""

    def _written(self) -> ChunkWriter:
        if self._writer is None:
            model = self.model or self._target.model or self._call.model
            self._writer = ChunkWriter(self._call, self._target, id=answer_id(self._call), model=model)
        return self._writer
