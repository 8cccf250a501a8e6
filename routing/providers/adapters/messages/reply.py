"""A chat's answer as a message."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.adapters.blocks import Block, Finish, Said
from routing.providers.foreign import marked

_STOP: dict[Finish, str] = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filter": "refusal"}


def message(said: Said, call: Call, target: Target, usage: Usage | None) -> bytes:
    """The message's bytes. Raises `UpstreamInvalid` where a tool's arguments are no object."""
    blocks = [block for block in said.blocks if shows(block.kind, call)]
    return orjson.dumps(
        {
            **head(said, call),
            "content": [_content(block, said, target) for block in blocks],
            "stop_reason": stop_reason(said),
            "usage": shown_usage(usage),
        }
    )


def head(said: Said, call: Call) -> Json:
    """What is known of a message before it says anything."""
    given = said.id or call.id
    return {
        "id": given if given.startswith("msg_") else f"msg_{given}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def stop_reason(said: Said) -> str:
    """The vendor's word for the end. Which of several stop sequences ended it, a chat does not tell."""
    return "stop_sequence" if said.finish == "stop_sequence" else _STOP[said.reason]


def shown_usage(usage: Usage | None) -> Json:
    """Usage in the vendor's words: what the cache took part in stands beside the rest."""
    known = usage or Usage()
    shown: Json = {
        "input_tokens": known.input_tokens + known.audio_input_tokens,
        "cache_creation_input_tokens": known.cache_write_tokens,
        "cache_read_input_tokens": known.cache_read_tokens,
        "output_tokens": known.completion_tokens,
    }
    if known.reasoning_tokens:
        shown["output_tokens_details"] = {"thinking_tokens": known.reasoning_tokens}
    return shown


def shows(kind: str, call: Call) -> bool:
    """Thinking is shown to callers who asked for it, as the vendor does: others take the first block for the answer."""
    thinking: Any = call.body.get("thinking")
    wanted = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
    return wanted or kind not in ("thinking", "redacted")


def signature(block: Block, target: Target) -> str:
    return block.signature or marked(target.provider.id, block.name)


def _content(block: Block, said: Said, target: Target) -> Json:
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": block.text, "signature": signature(block, target)}
    if block.kind == "redacted":
        return {"type": "redacted_thinking", "data": block.text}
    if block.kind == "tool":
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": _input(block, said, target)}
    return {"type": "text", "text": block.text}


def _input(block: Block, said: Said, target: Target) -> Json:
    try:
        parsed = reading.loads(block.text or "{}")
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if said.reason == "length":
        return {}  # cut in the middle, as the stop reason says
    raise failures.invalid(target, f"the arguments of the call of {block.name} are not a JSON object", block.text.encode())
