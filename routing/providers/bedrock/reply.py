"""Converse's answer as a chat completion.

Usage follows OpenAI's convention: ``prompt_tokens`` includes what was read from and written to the cache, which the vendor
counts apart. The answer names no model and has no id of its own, so both are the call's.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.chunks import created, shown_usage, tool_call

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "malformed_model_output": "stop",
    "malformed_tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# A tool that runs on the vendor's side, and so is no call for the caller to make.
SERVER_TOOL = "server_tool_use"


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body is no answer of Converse's."""
    try:
        answer = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    output = answer.get("output") if isinstance(answer, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise failures.invalid(target, "the answer is not a message", body)
    usage = read_usage(answer.get("usage"))
    shown: Json = {
        "id": answer_id(call),
        "object": "chat.completion",
        "created": created(call),
        "model": asked_model(call, target),
        "provider": target.provider.id,
        "choices": [
            {
                "index": 0,
                "message": _message([block for block in message["content"] if isinstance(block, dict)], target),
                "logprobs": None,
                "finish_reason": finish_reason(answer.get("stopReason"), strict=target.strict),
            }
        ],
    }
    if usage is not None:
        shown["usage"] = shown_usage(usage)
    if not target.strict:
        shown |= {key: answer[key] for key in ("trace", "additionalModelResponseFields") if answer.get(key)}
    return Answer(body=orjson.dumps(shown), usage=usage)


def answer_id(call: Call) -> str:
    return f"chatcmpl-{call.id}"


def asked_model(call: Call, target: Target) -> str:
    """The model that was asked for: the answer names none."""
    return target.model or call.model


def finish_reason(reason: Any, *, strict: bool) -> str:
    """OpenAI's word; where the target is not strict, the vendor's own."""
    if not isinstance(reason, str):
        return "stop"
    return _FINISH.get(reason, "stop") if strict else reason


def read_usage(usage: Any) -> Usage | None:
    """The vendor's counts, which are disjoint; None where there are none."""
    if not isinstance(usage, dict):
        return None

    def count(key: str) -> int:
        value = usage.get(key)
        return value if isinstance(value, int) and 0 <= value <= MOST_TOKENS else 0

    return Usage(
        input_tokens=count("inputTokens"),
        cache_read_tokens=count("cacheReadInputTokens"),
        cache_write_tokens=count("cacheWriteInputTokens"),
        output_tokens=count("outputTokens"),
    )


def _message(blocks: list[Json], target: Target) -> Json:
    texts = [text for block in blocks for text in _texts(block)]
    uses = [block["toolUse"] for block in blocks if isinstance(block.get("toolUse"), dict)]
    calls = [_call(use) for use in uses if use.get("type") != SERVER_TOOL]
    shown: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None, "refusal": None}
    if calls:
        shown["tool_calls"] = calls
    if not target.strict:
        shown["content_blocks"] = [shown_block for block in blocks if (shown_block := _content_block(block)) is not None]
    return shown


def _texts(block: Json) -> list[str]:
    """The text of a block. One with citations has pieces of it, each cited apart."""
    if isinstance(block.get("text"), str):
        return [block["text"]]
    cited = block.get("citationsContent")
    pieces = cited.get("content") if isinstance(cited, dict) else None
    listed = pieces if isinstance(pieces, list) else []
    return [piece["text"] for piece in listed if isinstance(piece, dict) and isinstance(piece.get("text"), str)]


def _call(use: Json) -> Json:
    return tool_call(use.get("toolUseId"), use.get("name"), orjson.dumps(use.get("input") or {}).decode())


def _content_block(block: Json) -> Json | None:
    """A block as callers know it from other vendors, so that it can be sent back; a call stands in `tool_calls` already."""
    if isinstance(block.get("text"), str):
        return {"type": "text", "text": block["text"]}
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict):
        return reasoning_block(reasoning)
    return None if "toolUse" in block else block


def reasoning_block(reasoning: Json) -> Json | None:
    """Thinking that may be read, or only be sent back."""
    text = reasoning.get("reasoningText")
    if isinstance(text, dict):
        return {"type": "thinking", "thinking": text.get("text"), **{k: v for k, v in text.items() if k == "signature"}}
    data = reasoning.get("redactedContent")
    return None if data is None else {"type": "redacted_thinking", "data": data}
