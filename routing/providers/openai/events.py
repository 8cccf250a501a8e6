"""The reader of event streams whose events have a type: responses, images, speech, transcripts, Anthropic's messages.

It passes them through as they are. An event is parsed only where its type says that it holds the model, usage, an error or
the end.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import orjson

from routing import sse
from routing.call import Json, Target, Usage
from routing.providers import failures
from routing.providers.body import Bytes
from routing.providers.openai.usage import read_usage

# The events that end a stream.
_LAST = frozenset(
    (
        *("response.completed", "response.failed", "response.incomplete", "response.cancelled"),
        *("transcript.text.done", "speech.audio.done", "message_stop"),
        *("image_generation.completed", "image_edit.completed"),
    )
)
# Of images, one for each.
_LAST_OF_EACH = frozenset({"image_generation.completed", "image_edit.completed"})
_FIRST = ("response.created", "message_start", "message_delta", "error")
_READ = re.compile(rb'"type"\s*:\s*"(?:' + "|".join(map(re.escape, (*_FIRST, *_LAST))).encode() + rb')"')
_BLANK = b" \t\r\n\xef\xbb\xbf"


class MaybeEvents(Bytes):
    """For calls whose wish for a stream some models ignore: an event stream, or else the body as it comes."""

    __slots__ = ("_events",)

    def __init__(self, target: Target) -> None:
        super().__init__(target, typed=True, needed=True)
        self._events: TypedEvents | None = None

    def begin(self, headers: Mapping[str, str]) -> dict[str, str]:
        if headers.get("content-type", "").startswith("text/event-stream"):
            self._events = TypedEvents(self._target)
        return super().begin(headers)

    def feed(self, data: bytes) -> bytes:
        events = self._events
        if events is None:
            return super().feed(data)
        out = events.feed(data)
        self.usage, self.model, self.done, self.deltas = events.usage, events.model, events.done, events.deltas
        return out


class TypedEvents:
    """See `StreamTranslator`. `parts` is how many last events there are to come: one for each image."""

    __slots__ = ("_fresh", "_parts", "_splitter", "_target", "deltas", "done", "ends_with_body", "model", "usage")

    def __init__(self, target: Target, parts: int = 1) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._target = target
        self._parts = parts
        self._splitter = sse.Splitter()
        self._fresh = True

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        run = self._splitter.feed(data)
        if self._fresh and not sse.may_begin(run or self._splitter.tail):
            raise failures.invalid(self._target, "the answer is not an event stream", run or bytes(self._splitter.tail))
        for block in sse.blocks(run):
            event = sse.parse(block.lstrip(_BLANK) if self._fresh else block)
            if event is None:
                continue
            if event.data.strip() == b"[DONE]":
                self.done = True
            elif self._fresh or event.name == "error" or _READ.search(event.data):
                self._read(event)
            elif b"delta" in event.data or b"partial_image" in event.data:
                self.deltas += 1
        return run

    def _read(self, event: sse.Event) -> None:
        try:
            parsed = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            parsed = None
        if not isinstance(parsed, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        kind = parsed.get("type", event.name)
        if kind == "error" or event.name == "error" or (self._fresh and parsed.get("error") and "type" not in parsed):
            raise failures.error_in_stream(self._target, parsed)
        self._fresh = False
        for holder in (parsed, parsed.get("response"), parsed.get("message")):
            if isinstance(holder, dict):
                self._take(holder)
        if kind in _LAST:
            self._parts -= 1
            self.done = self._parts <= 0 or kind not in _LAST_OF_EACH

    def _take(self, holder: Json) -> None:
        if isinstance(model := holder.get("model"), str) and model:
            self.model = model
        usage = read_usage(holder)
        if usage is None:
            return
        if self.usage is not None and usage.prompt_tokens == 0:  # the count of the answer, after that of the prompt
            usage = dataclasses.replace(self.usage, output_tokens=usage.output_tokens, reasoning_tokens=usage.reasoning_tokens)
        self.usage = usage
