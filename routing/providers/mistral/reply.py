"""The vendor's answers as OpenAI's: texts in place of lists of chunks, thinking apart, and the reasons to end in its words."""

from __future__ import annotations

import re
from typing import Any

import orjson

from routing import sse
from routing.call import Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.base import StreamTranslator

_FINISH = {"model_length": "length", "error": "stop"}
# What an event must hold to be written anew.
_DIFFERS = re.compile(rb'"content"\s*:\s*\[|"finish_reason"\s*:\s*"(?:model_length|error)"')


def plain(body: bytes, target: Target) -> bytes:
    """A chat completion, the same bytes where nothing differs."""
    if not _DIFFERS.search(body):
        return body
    parsed = _parsed(body, target)
    for choice in _choices(parsed):
        _plain_choice(choice, "message")
    return orjson.dumps(parsed)


def as_text(body: bytes, target: Target) -> bytes:
    """What filled in the middle, as a text completion."""
    parsed = _parsed(plain(body, target), target)
    choices = [_text_choice(choice, "message") for choice in _choices(parsed)]
    return orjson.dumps({**parsed, "object": "text_completion", "choices": choices})


class ChunkStream:
    """See `StreamTranslator`. Behind `inner`, which reads; `as_texts` writes the chunks of a text completion."""

    def __init__(self, inner: StreamTranslator, target: Target, *, as_texts: bool) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._inner = inner
        self._target = target
        self._as_texts = as_texts

    def feed(self, data: bytes) -> bytes:
        inner = self._inner
        try:
            run = inner.feed(data)
        finally:
            self.usage, self.model, self.done, self.deltas = inner.usage, inner.model, inner.done, inner.deltas
        if not run or not (self._as_texts or _DIFFERS.search(run)):
            return run
        return b"".join(self._rewritten(block) for block in sse.blocks(run))

    def _rewritten(self, block: bytes) -> bytes:
        event = sse.parse(block)
        if event is None or not event.data.startswith(b"{"):
            return block
        chunk = _parsed(event.data, self._target)
        for choice in _choices(chunk):
            _plain_choice(choice, "delta")
        if self._as_texts:
            choices = [_text_choice(choice, "delta") for choice in _choices(chunk)]
            chunk = {**chunk, "object": "text_completion", "choices": choices}
        return sse.encode(orjson.dumps(chunk))


def _parsed(body: bytes, target: Target) -> Json:
    """What is to be written anew. Raises `UpstreamInvalid` for what cannot be."""
    try:
        parsed = reading.loads(body)
    except orjson.JSONDecodeError as error:
        raise failures.invalid(target, f"the answer cannot be translated: {error.msg}", body) from None
    if not isinstance(parsed, dict):
        raise failures.invalid(target, "the answer is not a JSON object", body)
    return parsed


def _choices(parsed: Json) -> list[Json]:
    found = parsed.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def _plain_choice(choice: Json, key: str) -> None:
    message = choice.get(key)
    if not isinstance(message, dict):
        return
    reason = choice.get("finish_reason")
    choice["finish_reason"] = _FINISH.get(reason, reason) if isinstance(reason, str) else reason
    content = message.get("content")
    if isinstance(content, list):
        message["content"] = "".join(_texts(content, "text"))
        if thought := "".join(_texts(content, "thinking")):
            message["reasoning_content"] = thought


def _texts(chunks: Any, kind: str) -> list[str]:
    """The texts of the chunks of a kind; thinking holds chunks of its own."""
    found: list[str] = []
    for chunk in chunks if isinstance(chunks, list) else []:
        if not isinstance(chunk, dict) or chunk.get("type") != kind:
            continue
        inner = chunk.get(kind)
        found += [inner] if isinstance(inner, str) else _texts(inner, "text")
    return found


def _text_choice(choice: Json, key: str) -> Json:
    message = choice.get(key)
    text = message.get("content") or "" if isinstance(message, dict) else ""
    return {"index": choice.get("index", 0), "text": text, "logprobs": None, "finish_reason": choice.get("finish_reason")}
