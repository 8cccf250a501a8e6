"""A chat's answer, whole or in chunks, as blocks: the one form from which every adapter writes its own.

Read besides OpenAI's fields: `content_blocks`, in which a target that is not strict gives thinking with its signature, and
`reasoning_content` or `reasoning`, in which vendors of OpenAI's dialect give thinking without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from routing.call import Json, Target
from routing.providers import failures
from routing.providers.foreign import FIELDS

Kind = Literal["text", "thinking", "redacted", "refusal", "tool"]
Finish = Literal["stop", "length", "tools", "filter"]


@dataclass(slots=True)
class Block:
    """A part of an answer, or a piece of one. `text` is what it says: of a tool call its arguments as JSON, of redacted
    thinking its data. `name` is that of the tool, or of the field in which thinking without a signature came. `place` is its
    index, of a tool call's piece the vendor's."""

    kind: Kind
    text: str = ""
    signature: str = ""
    id: str = ""
    name: str = ""
    place: Any = 0


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `finish` is the vendor's or OpenAI's word for why it ended."""

    id: str | None
    model: str
    blocks: list[Block]
    finish: str | None

    @property
    def reason(self) -> Finish:
        """Why it ended. A stop after a call of a tool is one for the tool, which not all vendors say; so with a refusal."""
        reason = _REASONS.get((self.finish or "").lower(), "stop")
        kinds = {block.kind for block in self.blocks} if reason == "stop" else set()
        if "tool" in kinds:
            return "tools"
        return "filter" if "refusal" in kinds else reason


@dataclass(frozen=True, slots=True)
class Chunk:
    id: str | None
    model: str | None
    pieces: list[Block]
    finish: str | None


# Vendors' words for the end (portkey-wire 4.11); all others mean that the answer is complete.
_REASONS: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tools",
    "tool_use": "tools",
    "tool_call": "tools",
    "function_call": "tools",
    "content_filter": "filter",
    "content_filtered": "filter",
    "guardrail_intervened": "filter",
    "refusal": "filter",
    "safety": "filter",
    "prohibited_content": "filter",
    "blocklist": "filter",
    "spii": "filter",
    "language": "filter",
    "image_safety": "filter",
}


def read_completion(parsed: Json, target: Target, model: str) -> Said:
    """The first choice of a chat completion. Raises `UpstreamInvalid` where there is none."""
    choice = next(iter(_list(parsed, "choices")), None)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise failures.invalid(target, "the answer has no message", orjson.dumps(parsed))
    blocks = _thinking(message) + _texts(message)
    for place, call in enumerate(_list(message, "tool_calls")):
        piece = _call(call, place)
        piece.id = piece.id or f"call_{place}_{parsed.get('id')}"
        blocks.append(piece)
    return Said(_text(parsed.get("id")) or None, model, blocks, _text(choice.get("finish_reason")) or None)


def read_chunk(parsed: Any) -> Chunk | None:
    """The first choice of a chunk; None for one without a choice, such as the one with usage only."""
    if not isinstance(parsed, dict):
        return None
    choice = next((one for one in _list(parsed, "choices") if isinstance(one, dict) and not one.get("index")), None)
    if choice is None:
        return None
    delta = choice.get("delta")
    pieces: list[Block] = []
    if isinstance(delta, dict):
        pieces = _thinking_pieces(delta) + _texts(delta)
        pieces += [_call(call, place) for place, call in enumerate(_list(delta, "tool_calls"))]
    return Chunk(
        _text(parsed.get("id")) or None, _text(parsed.get("model")) or None, pieces, _text(choice.get("finish_reason")) or None
    )


def _texts(message: Json) -> list[Block]:
    said, refused = _content(message.get("content")), _text(message.get("refusal"))
    found = [Block("text", text=said), Block("refusal", text=refused)]
    return [block for block in found if block.text]


def _thinking(message: Json) -> list[Block]:
    native = message.get("content_blocks")
    found = [_native(block) for block in native if isinstance(block, dict)] if isinstance(native, list) else []
    kept = [block for block in found if block is not None]
    return kept or _plain_thinking(message)


def _thinking_pieces(delta: Json) -> list[Block]:
    native = delta.get("content_blocks")
    if not isinstance(native, list):
        return _plain_thinking(delta)
    pieces = (one.get("delta") for one in native if isinstance(one, dict))
    found = [_native(piece) for piece in pieces if isinstance(piece, dict)]
    return [block for block in found if block is not None]


def _native(block: Json) -> Block | None:
    """Thinking, whole or a piece; its type is told by its fields, which is all that a piece has."""
    if isinstance(block.get("data"), str):
        return Block("redacted", text=block["data"])
    text, signature = block.get("thinking"), block.get("signature")
    if isinstance(text, str) or isinstance(signature, str):
        return Block("thinking", text=_text(text), signature=_text(signature))
    return None


def _plain_thinking(message: Json) -> list[Block]:
    return next(([Block("thinking", text=text, name=name)] for name in FIELDS if (text := _text(message.get(name)))), [])


def _call(call: Any, place: int) -> Block:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return Block("tool", place=place)
    arguments = function.get("arguments")
    text = orjson.dumps(arguments).decode() if isinstance(arguments, dict) else _text(arguments)
    index = call.get("index")
    return Block(
        "tool",
        text=text,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        place=index if isinstance(index, int) else place,
    )


def _list(holder: Json, name: str) -> list[Any]:
    value = holder.get(name)
    return value if isinstance(value, list) else []


def _content(value: Any) -> str:
    """The text of a message; some servers write it as a list of parts."""
    if not isinstance(value, list):
        return _text(value)
    return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
