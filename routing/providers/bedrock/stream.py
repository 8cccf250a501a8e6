"""ConverseStream's events as chunks of a chat completion."""

from __future__ import annotations

import orjson

from routing.call import Call, Json, Target, Usage
from routing.errors import ProviderError, UpstreamInvalid
from routing.providers import failures, reading
from routing.providers.bedrock.errors import of_exception
from routing.providers.bedrock.frames import FrameDecoder, Message
from routing.providers.bedrock.reply import SERVER_TOOL, answer_id, asked_model, finish_reason, read_usage
from routing.providers.chunks import END, ChunkWriter, shown_usage


class ChunkStream:
    """See `StreamTranslator`. The event with the usage is the last one.

    Thinking gives an empty chunk where the target is strict, so that a caller's time-out sees that work goes on, and
    `content_blocks` where it is not, as OpenAI has no place for it.
    """

    def __init__(self, call: Call, target: Target) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = False
        self._target = target
        self._decoder = FrameDecoder()
        self._writer = ChunkWriter(call, target, id=answer_id(call), model=asked_model(call, target))
        # From the vendor's index of a block to OpenAI's index of a tool call.
        self._tools: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return b""
        try:
            return b"".join(map(self._chunk, self._decoder.feed(data)))
        except UpstreamInvalid as error:
            error.provider = self._target.provider.id
            raise

    def _chunk(self, message: Message) -> bytes:
        if self.done:
            return b""
        if message.headers.get(":message-type", "event") != "event":
            raise self._failure(message)
        step = _STEPS.get(message.headers.get(":event-type", ""))
        if step is None:  # an event that a later version of the API adds
            return b""
        try:
            data = reading.loads(message.payload)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise failures.invalid(self._target, "an event of the stream is not a JSON object", message.payload)
        return step(self, data)

    def _failure(self, message: Message) -> ProviderError:
        headers = message.headers
        name = headers.get(":exception-type") or headers.get(":error-code") or ""
        body = message.payload or orjson.dumps({"message": headers.get(":error-message", "")})
        return of_exception(self._target, name, body)

    def _start(self, data: Json) -> bytes:
        return self._writer.delta({"role": "assistant", "content": ""})

    def _block_start(self, data: Json) -> bytes:
        start = data.get("start")
        use = start.get("toolUse") if isinstance(start, dict) else None
        if not isinstance(use, dict) or use.get("type") == SERVER_TOOL:
            return b""
        self.deltas += 1
        place = self._tools[str(data.get("contentBlockIndex"))] = len(self._tools)
        function = {"name": use.get("name"), "arguments": ""}
        call = {"index": place, "id": use.get("toolUseId"), "type": "function", "function": function}
        return self._writer.delta({"tool_calls": [call]})

    def _block_delta(self, data: Json) -> bytes:
        piece, index = data.get("delta"), data.get("contentBlockIndex")
        if not isinstance(piece, dict):
            return b""
        self.deltas += 1
        use = piece.get("toolUse")
        if isinstance(use, dict):
            place = self._tools.get(str(index))
            if place is None:
                return b""
            call = {"index": place, "function": {"arguments": use.get("input", "")}}
            return self._writer.delta({"tool_calls": [call]})
        text = piece.get("text")
        delta: Json = {"content": text} if isinstance(text, str) else {}
        if not self._target.strict:
            delta["content_blocks"] = [{"index": index, "delta": _shown(piece)}]
        return self._writer.delta(delta)

    def _stop(self, data: Json) -> bytes:
        return self._writer.delta({}, finish_reason(data.get("stopReason"), strict=self._target.strict))

    def _metadata(self, data: Json) -> bytes:
        self.usage = read_usage(data.get("usage"))
        self.done = True
        return self._writer.usage(None if self.usage is None else shown_usage(self.usage)) + END


_STEPS = {
    "messageStart": ChunkStream._start,
    "contentBlockStart": ChunkStream._block_start,
    "contentBlockDelta": ChunkStream._block_delta,
    "messageStop": ChunkStream._stop,
    "metadata": ChunkStream._metadata,
}


def _shown(piece: Json) -> Json:
    """A piece as callers know it from other vendors; one of another kind as it is."""
    reasoning = piece.get("reasoningContent")
    if not isinstance(reasoning, dict):
        return piece
    names = {"text": "thinking", "signature": "signature", "redactedContent": "data"}
    return {shown: reasoning[name] for name, shown in names.items() if name in reasoning}
