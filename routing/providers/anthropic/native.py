"""Messages calls of callers who speak the vendor's own API: bytes pass through, and what must be known is read on the way."""

from __future__ import annotations

import re
from typing import Any

import orjson

from routing import sse
from routing.call import Answer, Call, Endpoint, Json, Target, Usage
from routing.providers import failures, outgoing
from routing.providers.anthropic.reply import read_usage
from routing.providers.foreign import without_foreign_thinking

# What a config may override in a message and the count of its tokens knows nothing of.
_NOT_COUNTED = frozenset(
    (
        *("max_tokens", "metadata", "service_tier", "stop_sequences", "stream", "temperature", "top_k", "top_p", "container"),
        *("inference_geo", "speed"),
    )
)
# Events that must be parsed: the rest are pieces of the answer. JSON escapes quotation marks inside text.
_READ = re.compile(rb'"(?:message_start|message_delta|message_stop|error)"')
_DELTA = b'"content_block_delta"'


def native_body(call: Call, target: Target) -> Json:
    """The caller's own object, unless an override or thinking that is not the vendor's changes it."""
    body = outgoing.merged(call, target)
    outgoing.require_model(body, target)
    if call.endpoint == Endpoint.COUNT_TOKENS and body is not call.body:
        body = {key: value for key, value in body.items() if key in call.body or key not in _NOT_COUNTED}
    return without_foreign_thinking(body, call.raw)


def native_answer(call: Call, target: Target, body: bytes) -> Answer:
    """The vendor's bytes, untouched. Raises `UpstreamInvalid` where they are no message, or no count."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if call.endpoint == Endpoint.COUNT_TOKENS:
        if not isinstance(parsed, dict) or not isinstance(parsed.get("input_tokens"), int):
            raise failures.invalid(target, "the answer is not a count of tokens", body)
        return Answer(body, Usage())  # counting costs nothing
    if not isinstance(parsed, dict) or not isinstance(parsed.get("content"), list):
        raise failures.invalid(target, "the answer is not a message", body)
    model = parsed.get("model")
    return Answer(body, read_usage(parsed.get("usage")), model if isinstance(model, str) else None)


class NativeStream:
    """See `StreamTranslator`. Gives the vendor's events on as they are."""

    def __init__(self, target: Target) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._target = target
        self._splitter = sse.Splitter()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        run = self._splitter.feed(data)
        if not self._begun and not sse.may_begin(run or self._splitter.tail):
            raise failures.invalid(self._target, "the answer is not an event stream", run or bytes(self._splitter.tail))
        if not run:
            return b""
        if self._begun and not _READ.search(run):
            self.deltas += run.count(_DELTA)
            return run
        return b"".join(map(self._look, sse.blocks(run)))

    def _look(self, block: bytes) -> bytes:
        if self.done:
            return b""
        event = sse.parse(block)
        if event is None:
            return block
        try:
            data = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        self._begun = True
        self._read(data.get("type", event.name), data)
        return block

    def _read(self, kind: Any, data: Json) -> None:
        if kind == "error":
            raise failures.error_in_stream(self._target, data)
        if kind == "message_start" and isinstance(message := data.get("message"), dict):
            model = message.get("model")
            self.model = model if isinstance(model, str) else None
            self.usage = read_usage(message.get("usage"))
        elif kind == "message_delta":
            self.usage = read_usage(data.get("usage"), self.usage)
        elif kind == "content_block_delta":
            self.deltas += 1
        elif kind == "message_stop":
            self.done = True
