"""Events of ``streamGenerateContent`` as chunks of a chat completion.

Each event is a small answer of its own; the vendor marks no end but the reason to finish of every candidate. Usage stands in
each event and grows, so that the last one counts.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.google import reply
from routing.providers.google.errors import openai_words

_DONE = b"data: [DONE]\n\n"


class _Candidate:
    """What must be known of a candidate from one event to the next."""

    __slots__ = ("_block", "_kind", "calls", "finished", "texts")

    def __init__(self) -> None:
        self.calls = 0
        self.texts: list[str] = []
        self.finished = False
        self._block = -1
        self._kind: Any = None

    def piece(self, block: Json) -> Json:
        """A piece of a content block. Text that follows text belongs to the same block, and so do thoughts."""
        kind = block["type"]
        if kind != self._kind or kind == "image_url":
            self._block += 1
            self._kind = kind
        return {"index": self._block, "delta": {key: value for key, value in block.items() if key != "type"}}


class ChunkStream:
    """See `StreamTranslator`. `expected` is the number of candidates asked for.

    An event with thoughts only gives an empty chunk where the target is strict, so that a caller's time-out sees that work goes
    on, and `content_blocks` where it is not.
    """

    def __init__(self, call: Call, target: Target, *, expected: int, shows_usage: bool) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._call = call
        self._target = target
        self._expected = expected
        self._shows_usage = shows_usage
        self._decoder = sse.Decoder()
        self._begun = False
        self._prefix = b""
        self._candidates: dict[int, _Candidate] = {}

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
        try:
            data = reading.loads(event.data)
        except orjson.JSONDecodeError:
            data = None
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", event.data)
        if data.get("error"):
            raise failures.error_in_stream(self._target, openai_words(data))
        return self._answer(data) if reply.is_answer(data) else b""

    def _answer(self, data: Json) -> bytes:
        if isinstance(model := data.get("modelVersion"), str):
            self.model = model
        self.usage = reply.read_usage(data.get("usageMetadata")) or self.usage
        if not self._prefix:
            self._prefix = b"data: " + orjson.dumps(reply.head(self._call, self._target, data))[:-1] + b","
        found = data.get("candidates")
        listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        out = b"".join(self._candidate(place, candidate) for place, candidate in enumerate(listed))
        if not listed and not self._candidates and (reason := reply.blocked(data)) is not None:
            self._candidates[0] = _Candidate()
            self._candidates[0].finished = True
            out += self._write(0, {"role": "assistant", "content": "", "refusal": reason})
            out += self._write(0, {}, "content_filter")
            return out + self._end()
        if not self._candidates or not all(candidate.finished for candidate in self._candidates.values()):
            self.ends_with_body = False
            return out
        if len(self._candidates) >= self._expected:
            return out + self._end()
        # The vendor may answer fewer times than it was asked to: then only the end of the body tells.
        self.ends_with_body = True
        return out

    def _candidate(self, place: int, candidate: Json) -> bytes:
        index = candidate.get("index")
        index = index if isinstance(index, int) else place
        state, out = self._candidates.get(index), b""
        if state is None:
            state = self._candidates[index] = _Candidate()
            out = self._write(index, {"role": "assistant", "content": ""})
        elif state.finished:
            return b""
        parts = reply.parts_of(candidate)
        said = reply.sort(parts, self._call, index, state.calls, strict=self._target.strict)
        state.texts += said.texts
        reason = candidate.get("finishReason")
        delta = self._delta(said, state)
        if delta or (parts and not reason):
            self.deltas += 1
            out += self._write(index, delta, extra={"logprobs": reply.logprobs(candidate)})
        if not isinstance(reason, str) or reason == "FINISH_REASON_UNSPECIFIED":
            return out
        state.finished = True
        return out + self._finish(index, candidate, state, reason)

    def _delta(self, said: reply.Said, state: _Candidate) -> Json:
        delta: Json = {}
        if text := "".join(said.texts):
            delta["content"] = text
        if said.calls:
            delta["tool_calls"] = [{"index": state.calls + place, **call} for place, call in enumerate(said.calls)]
            state.calls += len(said.calls)
        if said.images:
            delta["images"] = said.images
        if said.audio is not None:
            delta["audio"] = said.audio
        if said.blocks and not self._target.strict:
            delta["content_blocks"] = [state.piece(block) for block in said.blocks]
        return delta

    def _finish(self, index: int, candidate: Json, state: _Candidate, reason: str) -> bytes:
        strict = self._target.strict
        finish = reply.finish_reason(reason, calls=bool(state.calls), strict=strict)
        delta: Json = {}
        if cited := reply.citations(candidate, "".join(state.texts)):
            delta["annotations"] = cited
        if strict and finish == "content_filter" and not state.texts:
            delta["refusal"] = str(candidate.get("finishMessage") or f"The answer was blocked: {reason}")
        return self._write(index, delta, finish, reply.beside(candidate, strict=strict))

    def _end(self) -> bytes:
        self.done = True
        if not self._shows_usage or self.usage is None:
            return _DONE
        return self._prefix + b'"choices":[],"usage":' + orjson.dumps(reply.shown_usage(self.usage)) + b"}\n\n" + _DONE

    def _write(self, index: int, delta: Json, finish: str | None = None, extra: dict[str, Any] | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **(extra or {})}
        end = b'],"usage":null}\n\n' if self._shows_usage else b"]}\n\n"
        return self._prefix + b'"choices":[' + orjson.dumps(choice) + end
