"""Going on with a stream that broke: the next target gets the text that was sent, and its words go on in the same stream.

Only for chat answers of one choice whose part so far is plain text. The target is asked with the caller's messages, an
instruction to go on exactly, and the text as the beginning of its own answer, which vendors with prefilling take literally.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import orjson

from routing import sse
from routing.call import Call, Endpoint, Json, Reply, Usage
from routing.errors import UpstreamError
from routing.patience import DEADLINE

INSTRUCTION = (
    "Your answer was cut off while it was being sent. The last message is its beginning, which the reader has already. "
    "Go on exactly where it stops, in the middle of a word if need be. Repeat nothing and explain nothing."
)
_DONE = b"[DONE]"

# Calls a target that goes on with the text; raises the error that the stream ends with where there is none.
GoOn = Callable[[UpstreamError, Reply, "Transcript"], Awaitable[AsyncGenerator[bytes]]]


def may_resume(call: Call, reply: Reply) -> bool:
    return call.endpoint == Endpoint.CHAT and call.body.get("n") in (None, 1) and not isinstance(reply.body, bytes)


class Spent:
    """In the place of a translator whose stream is over and billed."""

    __slots__ = ("deltas", "done", "ends_with_body", "model", "usage")

    def __init__(self, model: str | None) -> None:
        self.usage: Usage | None = Usage()
        self.model = model
        self.done = False
        self.deltas = 0
        self.ends_with_body = False

    def feed(self, data: bytes) -> bytes:
        raise AssertionError("nothing comes after the end")


class Transcript:
    """What the caller has been sent. `is_text` turns false with anything that cannot be gone on with."""

    def __init__(self) -> None:
        self.text = ""
        self.pieces = 0
        self.is_text = True
        # The fields that all chunks of a stream have in common.
        self.common: Json = {}
        self._decoder = sse.Decoder()

    @property
    def can_go_on(self) -> bool:
        return self.is_text and bool(self.text)

    def read(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            chunk = _chunk(event.data)
            if chunk is not None:
                self._note(chunk)

    def _note(self, chunk: Json) -> None:
        if not self.common:
            self.common = {name: chunk[name] for name in ("id", "created", "model") if name in chunk}
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self.text += delta.get("content") or ""
            self.pieces += 1
            # Tools are called by what was sent of them, and an answer that says how it ended has ended.
            if delta.get("tool_calls") or delta.get("function_call") or delta.get("refusal") or choice.get("finish_reason"):
                self.is_text = False

    def continued(self, call: Call) -> Call:
        """The call for the rest of the answer."""
        beginning = [{"role": "system", "content": INSTRUCTION}, {"role": "assistant", "content": self.text.rstrip()}]
        body = {**call.body, "messages": [*call.body["messages"], *beginning]}
        for name in ("max_tokens", "max_completion_tokens"):
            if isinstance(asked := body.get(name), int) and not isinstance(asked, bool):
                body[name] = max(1, asked - self.pieces)
        return dataclasses.replace(call, body=body, raw=orjson.dumps(body))


class _Seam:
    """Makes the chunks of another answer those of the same stream: one id, one role, no blank twice."""

    def __init__(self, transcript: Transcript) -> None:
        self._common = transcript.common
        self._decoder = sse.Decoder()
        # The text was asked for without the blanks at its end, which the next words then begin with.
        self._after_blank = transcript.text != transcript.text.rstrip()

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._event(event.data) for event in self._decoder.feed(data))

    def _event(self, data: bytes) -> bytes:
        chunk = _chunk(data)
        if chunk is None:
            return sse.encode(data)
        chunk |= self._common
        choices = chunk.get("choices") or []
        for choice in choices:
            delta = choice.get("delta") or {}
            delta.pop("role", None)
            if self._after_blank and delta.get("content"):
                delta["content"] = delta["content"].lstrip()
                self._after_blank = not delta["content"]
        says_nothing = choices and not any(_says(choice) for choice in choices) and not chunk.get("usage")
        return b"" if says_nothing else sse.encode(orjson.dumps(chunk))


def _says(choice: Json) -> bool:
    return bool(choice.get("finish_reason")) or any((choice.get("delta") or {}).values())


def _chunk(data: bytes) -> dict[str, Any] | None:
    """A chunk of the answer; None for the end and for what is no chunk."""
    if data.strip() == _DONE:
        return None
    chunk = orjson.loads(data)
    return chunk if isinstance(chunk, dict) else None


async def resuming(reply: Reply, body: AsyncGenerator[bytes], go_on: GoOn) -> AsyncGenerator[bytes]:
    """An empty piece for who made it, then the stream, gone on with by others for as long as there are any."""
    transcript = Transcript()
    seam: _Seam | None = None
    started = False
    while True:
        try:
            async with aclosing(body):
                if not started:
                    started = True
                    yield b""
                async for data in body:
                    piece = data if seam is None else seam.feed(data)
                    transcript.read(piece)
                    if piece:
                        yield piece
        except UpstreamError as error:
            if error.code == DEADLINE or not transcript.can_go_on:
                raise
            broken = error
        else:
            return
        body = await go_on(broken, reply, transcript)
        seam = _Seam(transcript)
