"""Chunks of a chat as the events of a message."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Json
from routing.errors import GatewayError
from routing.providers.adapters.adapted import AdaptedStream
from routing.providers.adapters.blocks import Block
from routing.providers.adapters.messages.errors import error_event
from routing.providers.adapters.messages.reply import head, shown_usage, shows, signature, stop_reason


class MessageStream(AdaptedStream):
    """See `AdaptedStream`. Usage is known at the end of a chat's stream, so that it stands whole in ``message_delta``."""

    def failed(self, error: GatewayError) -> bytes:
        return error_event(error)

    def _begin(self) -> bytes:
        return _event("message_start", message={**head(self._said(), self._call), "usage": shown_usage(None)})

    def _open(self, block: Block) -> bytes:
        empty: Json = {"type": "text", "text": ""}
        if block.kind == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
        elif block.kind == "redacted":
            empty = {"type": "redacted_thinking", "data": block.text}
        elif block.kind == "tool":
            empty = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
        return _event("content_block_start", index=block.place, content_block=empty)

    def _grow(self, block: Block, piece: str) -> bytes:
        delta = {"type": "text_delta", "text": piece}
        if block.kind == "thinking":
            delta = {"type": "thinking_delta", "thinking": piece}
        elif block.kind == "tool":
            delta = {"type": "input_json_delta", "partial_json": piece}
        return _event("content_block_delta", index=block.place, delta=delta)

    def _close(self, block: Block) -> bytes:
        out = b""
        if block.kind == "thinking":
            delta = {"type": "signature_delta", "signature": signature(block, self._target)}
            out = _event("content_block_delta", index=block.place, delta=delta)
        return out + _event("content_block_stop", index=block.place)

    def _end(self) -> bytes:
        delta = {"stop_reason": stop_reason(self._said()), "stop_sequence": None}
        return _event("message_delta", delta=delta, usage=shown_usage(self.usage)) + _event("message_stop")

    def _idle(self) -> bytes:
        return _event("ping")

    def _shows(self, kind: str) -> bool:
        return shows(kind, self._call)


def _event(kind: str, **fields: object) -> bytes:
    return sse.encode(orjson.dumps({"type": kind, **fields}), kind)
