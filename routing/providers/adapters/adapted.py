"""A dialect around a target's own: before it the call becomes a chat, behind it the answer is put into the caller's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from routing import sse
from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest, Usage
from routing.errors import GatewayError, ProviderError, Unsupported
from routing.providers import failures, outgoing, reading
from routing.providers.adapters.blocks import Block, Said, read_chunk, read_completion
from routing.providers.base import Dialect, StreamTranslator
from routing.providers.wishes import Wishes


class Adapter(Protocol):
    """What one API of callers needs to be served by chat completions."""

    def as_chat(self, body: Json, target: Target, wishes: Wishes) -> Json:
        """The call as a chat. Raises `Unsupported` or `InvalidRequest` with the path of the field in the caller's words;
        what is left out instead is told to `wishes`."""
        ...

    def whole(self, said: Said, call: Call, target: Target, usage: Usage | None) -> bytes:
        """The answer's bytes for the caller."""
        ...

    def stream(self, inner: StreamTranslator, call: Call, target: Target) -> AdaptedStream:
        """A translator from chunks to the caller's events."""
        ...


@dataclass(frozen=True, slots=True)
class Adapted:
    """See `Dialect`. `inner` is the target's own."""

    inner: Dialect
    adapter: Adapter

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the provider's words, by way of a chat."""
        wishes = Wishes(target)
        chat = self._chat(call, target, wishes)
        try:
            request = self.inner.request(chat, _plain(target))
        except Unsupported as error:
            # A budget for thinking allows it and does not demand it: who cannot think so much answers without.
            if error.param != "reasoning_effort" or "thinking" not in call.body:
                raise
            body = {key: value for key, value in chat.body.items() if key != "reasoning_effort"}
            request = self.inner.request(replace(chat, body=body, raw=orjson.dumps(body)), _plain(target))
            request = replace(request, dropped=("thinking", *request.dropped))
        return replace(request, dropped=(*wishes.dropped, *request.dropped))

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The provider's answer in the caller's words."""
        answer = self.inner.reply(self._chat(call, target), _plain(target), body)
        said = read_completion(_parsed(answer.body, target), target, answer.model or target.model or call.model)
        return Answer(self.adapter.whole(said, call, target, answer.usage), answer.usage, answer.model)

    def stream(self, call: Call, target: Target) -> AdaptedStream:
        """A translator behind the provider's own."""
        return self.adapter.stream(self.inner.stream(self._chat(call, target), _plain(target)), call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The provider's error; the edge puts it into the shape of the caller's API (`error_body`)."""
        return self.inner.error(target, status, body)

    def _chat(self, call: Call, target: Target, wishes: Wishes | None = None) -> Call:
        if call.path or call.method != "POST":
            raise Unsupported(f"{target.provider.id} keeps no {call.endpoint}.", param="model", code="unsupported_endpoint")
        body = self.adapter.as_chat(outgoing.merged(call, target), target, wishes or Wishes(target))
        return replace(call, endpoint=Endpoint.CHAT, path="", query="", body=body, raw=orjson.dumps(body))


def _plain(target: Target) -> Target:
    """The target as the inner dialect sees it: overrides are in the body already, and nothing that only the caller's API can
    show, such as thinking, is held back from the chat. `drop_params` stay, for fields that only the chat has."""
    return replace(target, override_params={}, default_params={}, strict=False)


def _parsed(data: bytes, target: Target) -> Any:
    """What the inner dialect wrote. Bytes that it passed through may be what nobody can write again."""
    try:
        return reading.loads(data)
    except orjson.JSONDecodeError as error:
        raise failures.invalid(target, f"the answer cannot be translated: {error.msg}", data) from None


class AdaptedStream(ABC):
    """See `StreamTranslator`. Cuts the inner dialect's chunks into blocks that begin, grow and end one after the other.

    A subclass writes the events: `_begin`, `_open`, `_grow`, `_close`, `_end`, and `_idle` for a chunk that shows nothing.
    """

    def __init__(self, inner: StreamTranslator, call: Call, target: Target) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._inner = inner
        self._call = call
        self._target = target
        self._decoder = sse.Decoder()
        self._begun = False
        self._finish: str | None = None
        self._id: str | None = None
        self._model = target.model or call.model
        self._block: Block | None = None
        self._blocks: list[Block] = []
        # The pieces of the open block's text, put together when it ends.
        self._grown: list[str] = []
        # The vendor's index of a tool call and its id, of those that have begun.
        self._calls: dict[Any, Block] = {}

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        try:
            chunks = self._inner.feed(data)
        finally:
            self.usage, self.model, self.deltas = self._inner.usage, self._inner.model, self._inner.deltas
        out = b"".join(self._read(event) for event in self._decoder.feed(chunks))
        if self._inner.done and not self.done:
            out += self._finished()
        return out

    @abstractmethod
    def failed(self, error: GatewayError) -> bytes:
        """The event that tells the caller that the stream broke."""

    # --- what a subclass writes ---

    @abstractmethod
    def _begin(self) -> bytes:
        """The events that open the answer."""

    @abstractmethod
    def _open(self, block: Block) -> bytes:
        """The events that begin a block."""

    @abstractmethod
    def _grow(self, block: Block, piece: str) -> bytes:
        """The events for one more piece of the open block."""

    @abstractmethod
    def _close(self, block: Block) -> bytes:
        """The events that end a block."""

    @abstractmethod
    def _end(self) -> bytes:
        """The events that end the answer."""

    def _idle(self) -> bytes:
        return b""

    def _shows(self, kind: str) -> bool:
        return True

    # --- from chunks to blocks ---

    def _read(self, event: sse.Event) -> bytes:
        if event.data.strip() == b"[DONE]":
            return self._finished()
        chunk = read_chunk(_parsed(event.data, self._target))
        if chunk is None:
            return b""
        head = b""
        if not self._begun:
            self._begun, self._id, self._model = True, chunk.id, self.model or chunk.model or self._model
            head = self._begin()
        self._finish = chunk.finish or self._finish
        out = b"".join(self._piece(piece) for piece in chunk.pieces)
        return head + (out or (self._idle() if chunk.pieces else b""))

    def _piece(self, piece: Block) -> bytes:
        """One piece: the start of a block, or more of the one that is open."""
        if piece.kind == "tool":
            return self._tool_piece(piece)
        if not self._shows(piece.kind):
            return b""
        out = b""
        if self._block is None or self._block.kind != piece.kind or piece.kind == "redacted":
            out = self._start(Block(piece.kind, text=piece.text if piece.kind == "redacted" else "", name=piece.name))
        block = self._block
        assert block is not None  # noqa: S101 - begun above
        block.signature += piece.signature
        if piece.text and piece.kind != "redacted":
            self._grown.append(piece.text)
            out += self._grow(block, piece.text)
        return out

    def _tool_piece(self, piece: Block) -> bytes:
        block = self._calls.get(piece.place)
        out = b""
        # Some vendors give every call the same index: a new id with a name begins a new call.
        if block is None or (piece.id and piece.name and block.id and piece.id != block.id):
            if not piece.name:
                raise failures.invalid(self._target, "the stream goes on with a tool call that has not begun")
            block = Block("tool", id=piece.id or f"call_{len(self._blocks)}_{self._call.id}", name=piece.name)
            self._calls[piece.place] = block
            out = self._start(block)
        elif block is not self._block:
            raise failures.invalid(self._target, "the stream goes back to a tool call that has ended")
        if piece.text:
            self._grown.append(piece.text)
            out += self._grow(block, piece.text)
        return out

    def _start(self, block: Block) -> bytes:
        out = self._stop()
        block.place = len(self._blocks)
        self._blocks.append(block)
        self._block = block
        return out + self._open(block)

    def _stop(self) -> bytes:
        block, self._block = self._block, None
        if block is None:
            return b""
        block.text += "".join(self._grown)
        self._grown.clear()
        return self._close(block)

    def _finished(self) -> bytes:
        if self.done:
            return b""
        self.done = True
        head = b"" if self._begun else self._begin()
        self._begun = True
        return head + self._stop() + self._end()

    def _said(self) -> Said:
        return Said(self._id, self._model, self._blocks, self._finish)
