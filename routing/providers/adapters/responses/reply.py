"""A chat's answer as a response."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from routing.call import Call, Json, Target, Usage
from routing.providers import outgoing
from routing.providers.adapters.blocks import Block, Said
from routing.providers.foreign import marked

# Of the call's parameters, those that a response repeats, with what the vendor says where the caller said nothing.
_REPEATED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def response(said: Said, call: Call, target: Target, usage: Usage | None) -> Json:
    """The whole response."""
    status, why = ending(said)
    # Redacted thinking has nothing to show.
    shown = [replace(block, place=place) for place, block in enumerate(b for b in said.blocks if b.kind != "redacted")]
    output = [item(block, call, target, "completed") for block in shown]
    if output and status == "incomplete" and "status" in output[-1]:
        output[-1]["status"] = status
    done = {"completed_at": int(time.time())} if status == "completed" else {}
    return {
        **head(said, call, target),
        "status": status,
        **done,
        "incomplete_details": why,
        "output": output,
        "usage": shown_usage(usage),
    }


def head(said: Said, call: Call, target: Target) -> Json:
    """A response that is in progress."""
    body = outgoing.merged(call, target)
    repeated = {name: default if body.get(name) is None else body[name] for name, default in _REPEATED.items()}
    reasoning = body.get("reasoning") or {}
    repeated["reasoning"] = {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")}
    return {
        "id": f"resp_{_bare(call.id)}",
        "object": "response",
        "created_at": call.started_at_us // 1_000_000,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": said.model,
        "output": [],
        "store": False,
        "usage": None,
        **repeated,
    }


def ending(said: Said) -> tuple[str, Json | None]:
    """Status, and why the response is incomplete. A refusal in words is a complete answer."""
    reason = said.reason
    if reason == "length":
        return "incomplete", {"reason": "max_output_tokens"}
    if reason == "filter" and not any(block.kind == "refusal" for block in said.blocks):
        return "incomplete", {"reason": "content_filter"}
    return "completed", None


def item(block: Block, call: Call, target: Target, status: str) -> Json:
    """An item of the output. One that is in progress has no content yet."""
    begun = status == "in_progress"
    if block.kind == "tool":
        arguments = "" if begun else block.text or "{}"
        names = {"call_id": block.id, "name": block.name}
        return {"id": item_id(block, call), "type": "function_call", "status": status, "arguments": arguments, **names}
    if block.kind == "thinking":
        shown: Json = {"id": item_id(block, call), "type": "reasoning"}
        shown["summary"] = [] if begun else [{"type": "summary_text", "text": block.text}]
        if wants_encrypted(call) and not begun:
            shown["encrypted_content"] = marked(target.provider.id, block.name, block.text)
        return shown
    content = [] if begun else [part(block)]
    return {"id": item_id(block, call), "type": "message", "status": status, "role": "assistant", "content": content}


def part(block: Block, text: str | None = None) -> Json:
    """The one part of a message."""
    said = block.text if text is None else text
    if block.kind == "refusal":
        return {"type": "refusal", "refusal": said}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": said}


def item_id(block: Block, call: Call) -> str:
    kind = {"tool": "fc", "thinking": "rs"}.get(block.kind, "msg")
    return f"{kind}_{_bare(call.id)}_{block.place}"


def wants_encrypted(call: Call) -> bool:
    """Whether the caller keeps the reasoning, to send it back."""
    include = call.body.get("include")
    return isinstance(include, list) and "reasoning.encrypted_content" in include


def shown_usage(usage: Usage | None) -> Json:
    """Usage in the vendor's words: the details are part of the totals."""
    known = usage or Usage()
    return {
        "input_tokens": known.prompt_tokens,
        "input_tokens_details": {"cached_tokens": known.cache_read_tokens, "cache_write_tokens": known.cache_write_tokens},
        "output_tokens": known.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": known.reasoning_tokens},
        "total_tokens": known.prompt_tokens + known.completion_tokens,
    }


def _bare(call_id: str) -> str:
    return call_id.replace("-", "")
