"""A message as a chat completion.

Usage follows OpenAI's convention: ``prompt_tokens`` includes what was read from and written to the cache, which the vendor
counts apart; its own two numbers stand beside it where they are not zero.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.providers import failures, reading

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body is no message."""
    try:
        message = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise failures.invalid(target, "the answer is not a message", body)
    blocks = [block for block in message["content"] if isinstance(block, dict)]
    usage = read_usage(message.get("usage"))
    model = message.get("model")
    choice = {
        "index": 0,
        "message": _message(message, blocks, target),
        "logprobs": None,
        "finish_reason": finish_reason(message.get("stop_reason"), strict=target.strict),
    }
    translated: Json = {
        "id": message.get("id"),
        "object": "chat.completion",
        "created": created(call),
        "model": model if isinstance(model, str) else call.model,
        "provider": target.provider.id,
        "choices": [choice],
    }
    if usage is not None:
        translated["usage"] = shown_usage(usage)
    return Answer(body=orjson.dumps(translated), usage=usage, model=model if isinstance(model, str) else None)


def created(call: Call) -> int:
    """Seconds since 1970. The vendor gives no time, so the call's own stands in."""
    return call.started_at_us // 1_000_000


def finish_reason(reason: Any, *, strict: bool) -> str:
    """OpenAI's word; where the target is not strict, the vendor's own."""
    if not strict and isinstance(reason, str):
        return reason
    return _FINISH.get(reason, "stop") if isinstance(reason, str) else "stop"


def read_usage(usage: Any, before: Usage | None = None) -> Usage | None:
    """The vendor's counts as disjoint classes. In a stream they come in two events: `before` is what the first one said."""
    if not isinstance(usage, dict):
        return before
    old = before or Usage()

    def count(key: str, otherwise: int) -> int:
        value = usage.get(key)
        return value if isinstance(value, int) and 0 <= value <= MOST_TOKENS else otherwise

    output = count("output_tokens", old.completion_tokens)
    details = usage.get("output_tokens_details")
    thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
    reasoning = min(thinking if isinstance(thinking, int) and 0 <= thinking <= MOST_TOKENS else old.reasoning_tokens, output)
    return Usage(
        input_tokens=count("input_tokens", old.input_tokens),
        cache_read_tokens=count("cache_read_input_tokens", old.cache_read_tokens),
        cache_write_tokens=count("cache_creation_input_tokens", old.cache_write_tokens),
        output_tokens=output - reasoning,
        reasoning_tokens=reasoning,
    )


def shown_usage(usage: Usage) -> Json:
    """Usage in OpenAI's words, for the caller."""
    prompt, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    shown: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }
    if usage.reasoning_tokens:
        shown["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.cache_read_tokens or usage.cache_write_tokens:
        shown["cache_read_input_tokens"] = usage.cache_read_tokens
        shown["cache_creation_input_tokens"] = usage.cache_write_tokens
    return shown


def _message(message: Json, blocks: list[Json], target: Target) -> Json:
    texts = [block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)]
    calls = [_tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    shown: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None, "refusal": _refusal(message)}
    if calls:
        shown["tool_calls"] = calls
    if not target.strict:
        shown["content_blocks"] = [block for block in blocks if block.get("type") != "tool_use"]
    return shown


def _tool_call(block: Json) -> Json:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _refusal(message: Json) -> str | None:
    """The vendor's reason for a refusal, where it gives one."""
    details = message.get("stop_details")
    explanation = details.get("explanation") if message.get("stop_reason") == "refusal" and isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) else None
