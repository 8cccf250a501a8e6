"""The reader of a stream that passes through: it looks for what it must know and leaves the bytes alone.

An event costs a few searches over its bytes. It is parsed only where one of them hits: the first event (for the model), usage,
an error, the end. JSON escapes quotation marks inside text, so ``"error"`` and ``"usage"`` never match what a model writes.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from routing import sse
from routing.call import Target, Usage
from routing.providers import failures
from routing.providers.openai.usage import read_usage

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_REASON = re.compile(rb'"finish_reason"\s*:\s*"')
_DONE = b"data: [DONE]\n\n"
_BLANK = b" \t\r\n\xef\xbb\xbf"
# A line that may yet become the end of the stream, for vendors that leave out the blank line behind it.
_UNENDED_DONE = (b"data: [DONE]", b"data:[DONE]")
# An event without data, which is legal before the first one with data.
_DATALESS = (b":", b"event:", b"id:", b"retry:")


class PassThrough:
    """See `StreamTranslator`. `drop_usage` holds back the last chunk, which has usage only, from a caller who did not ask."""

    __slots__ = ("_drop_usage", "_fresh", "_splitter", "_target", "deltas", "done", "ends_with_body", "model", "usage")

    def __init__(self, target: Target, *, drop_usage: bool) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._target = target
        self._drop_usage = drop_usage
        self._splitter = sse.Splitter()
        # True until the first event with data has been read.
        self._fresh = True

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        run = self._splitter.feed(data)
        if self._fresh and not sse.may_begin(run or self._splitter.tail):
            raise failures.invalid(self._target, "the answer is not an event stream", run or bytes(self._splitter.tail))
        out = self._pass(run) if run else b""
        return out + self._unended()

    def _pass(self, run: bytes) -> bytes:
        if (
            self._fresh
            or b'"error"' in run
            or b"[DONE]" in run
            or (b'"usage"' in run and _USAGE.search(run))
            or not run.startswith(b"data:")
            or b"\nevent:" in run
        ):
            return b"".join(map(self._look, sse.blocks(run)))
        # A line feed inside JSON text is escaped, so each pair of them ends an event. An empty delta is the last chunk's.
        self.deltas += (run.count(b"\n\n") or run.count(b"\n\r\n")) - run.count(b'"delta":{}')
        return run

    def _look(self, block: bytes) -> bytes:
        """Reads one event and gives what the caller gets of it: the same bytes, or nothing."""
        if self.done:
            return b""
        event = sse.parse(block.lstrip(_BLANK) if self._fresh else block)
        if event is None:
            if self._fresh and not block.lstrip(_BLANK).startswith(_DATALESS):
                raise failures.invalid(self._target, "the answer is not an event stream", block)
            return block
        data = event.data.strip()
        if data == b"[DONE]":
            self.done = True
            return _DONE
        if self._fresh or event.name == "error" or b'"error"' in data or _USAGE.search(data):
            return block if self._read(event.name, data) else b""
        self.deltas += b'"delta":{}' not in data
        return block

    def _read(self, name: str, data: bytes) -> bool:
        """Parses one event; whether the caller gets it."""
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            chunk = None
        if name == "error" or (isinstance(chunk, dict) and chunk.get("error")):
            raise failures.error_in_stream(self._target, data.decode(errors="replace") if chunk is None else chunk)
        if not isinstance(chunk, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", data)
        self._fresh = False
        if isinstance(model := chunk.get("model"), str) and model:
            self.model = model
        usage = read_usage(chunk)
        if usage is not None:
            self.usage = usage
        choices = chunk.get("choices")
        if choices:
            self.deltas += 1 if _has_content(choices) else 0
            return True
        return usage is None or not self._drop_usage

    def _unended(self) -> bytes:
        """The end of a stream whose last line came without the blank line behind it, if this is one."""
        tail = self._splitter.tail
        if self.done or not 0 < len(tail) <= 16 or bytes(tail).strip() not in _UNENDED_DONE:
            return b""
        self.done = True
        return _DONE


class EndsWithReason(PassThrough):
    """For a vendor whose streams end with the chunk that gives the reason: ``[DONE]`` is ours, behind it."""

    __slots__ = ()

    def _pass(self, run: bytes) -> bytes:
        return b"".join(map(self._look, sse.blocks(run)))

    def _look(self, block: bytes) -> bytes:
        out = super()._look(block)
        if self.done or not _REASON.search(block):
            return out
        self.done = True
        return out + _DONE


def _has_content(choices: Any) -> bool:
    """Whether a chunk carries a piece of the answer; the chunk that only names the role does not, nor the one that ends it."""
    choice = choices[0] if isinstance(choices, list) else None
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return bool(choice.get("text"))
    return any(value for key, value in delta.items() if key != "role")
