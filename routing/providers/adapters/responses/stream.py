"""Chunks of a chat as the events of a response."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Call, Json, Target
from routing.errors import GatewayError
from routing.providers.adapters.adapted import AdaptedStream
from routing.providers.adapters.blocks import Block
from routing.providers.adapters.responses.reply import ending, head, item, item_id, part, response
from routing.providers.base import StreamTranslator


class ResponseStream(AdaptedStream):
    """See `AdaptedStream`. Each block is an item with one part; events are numbered from 0."""

    def __init__(self, inner: StreamTranslator, call: Call, target: Target) -> None:
        super().__init__(inner, call, target)
        self._number = 0

    def failed(self, error: GatewayError) -> bytes:
        # The vendor's list of codes has no others for what can befall a stream.
        told = {"code": "rate_limit_exceeded" if error.status == 429 else "server_error", "message": error.message}
        broken = {**head(self._said(), self._call, self._target), "status": "failed", "error": told}
        return self._event("response.failed", response=broken)

    def _begin(self) -> bytes:
        begun = head(self._said(), self._call, self._target)
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def _open(self, block: Block) -> bytes:
        begun = item(block, self._call, self._target, "in_progress")
        out = self._event("response.output_item.added", output_index=block.place, item=begun)
        if block.kind == "thinking":
            empty = {"type": "summary_text", "text": ""}
            return out + self._of("response.reasoning_summary_part.added", block, summary_index=0, part=empty)
        if block.kind == "tool":
            return out
        return out + self._of("response.content_part.added", block, content_index=0, part=part(block, ""))

    def _grow(self, block: Block, piece: str) -> bytes:
        if block.kind == "thinking":
            return self._of("response.reasoning_summary_text.delta", block, summary_index=0, delta=piece)
        if block.kind == "tool":
            return self._of("response.function_call_arguments.delta", block, delta=piece)
        if block.kind == "refusal":
            return self._of("response.refusal.delta", block, content_index=0, delta=piece)
        return self._of("response.output_text.delta", block, content_index=0, delta=piece, logprobs=[])

    def _close(self, block: Block) -> bytes:
        # What ended the answer early is known by now, and befell the last block.
        whole = item(block, self._call, self._target, ending(self._said())[0])
        if block.kind == "thinking":
            said = {"type": "summary_text", "text": block.text}
            out = self._of("response.reasoning_summary_text.done", block, summary_index=0, text=block.text)
            out += self._of("response.reasoning_summary_part.done", block, summary_index=0, part=said)
        elif block.kind == "tool":
            name, arguments = block.name, whole["arguments"]
            out = self._of("response.function_call_arguments.done", block, name=name, arguments=arguments)
        else:
            if block.kind == "refusal":
                out = self._of("response.refusal.done", block, content_index=0, refusal=block.text)
            else:
                out = self._of("response.output_text.done", block, content_index=0, text=block.text, logprobs=[])
            out += self._of("response.content_part.done", block, content_index=0, part=part(block))
        return out + self._event("response.output_item.done", output_index=block.place, item=whole)

    def _end(self) -> bytes:
        whole = response(self._said(), self._call, self._target, self.usage)
        return self._event(f"response.{whole['status']}", response=whole)

    def _shows(self, kind: str) -> bool:
        return kind != "redacted"

    def _of(self, kind: str, block: Block, **fields: object) -> bytes:
        return self._event(kind, item_id=item_id(block, self._call), output_index=block.place, **fields)

    def _event(self, kind: str, **fields: object) -> bytes:
        event: Json = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return sse.encode(orjson.dumps(event), kind)
