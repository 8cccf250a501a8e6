"""Chunks of a chat completion for streams that are translated.

What is the same in all chunks of a stream is encoded once; only the delta is encoded for each.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Call, Json, Target, Usage

END = b"data: [DONE]\n\n"


def created(call: Call) -> int:
    """Seconds since 1970, for vendors that give no time: the call's own stands in."""
    return call.started_at_us // 1_000_000


def shown_usage(usage: Usage) -> Json:
    """Usage in OpenAI's words: totals with their details, and the cache's own two numbers where they are not zero."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    shown: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }
    if usage.reasoning_tokens:
        shown["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.cache_read_tokens or usage.cache_write_tokens:
        shown["cache_read_input_tokens"] = usage.cache_read_tokens
        shown["cache_creation_input_tokens"] = usage.cache_write_tokens
    return shown


class ChunkWriter:
    """Writes the chunks of one stream. `id` and `model` stand in all of them."""

    __slots__ = ("_prefix", "_shows_usage")

    def __init__(self, call: Call, target: Target, *, id: str, model: str) -> None:
        head = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created(call),
            "model": model,
            "provider": target.provider.id,
        }
        self._prefix = b"data: " + orjson.dumps(head)[:-1] + b","
        options = target.override_params.get("stream_options", call.body.get("stream_options"))
        self._shows_usage = isinstance(options, dict) and options.get("include_usage") is True

    def delta(self, delta: Json, finish: str | None = None) -> bytes:
        """One piece of the answer, or its end with the reason."""
        return b"".join(
            (
                self._prefix,
                b'"choices":[{"index":0,"delta":',
                orjson.dumps(delta),
                b',"logprobs":null,"finish_reason":',
                orjson.dumps(finish),
                b'}],"usage":null}\n\n' if self._shows_usage else b"}]}\n\n",
            )
        )

    def usage(self, shown: Json | None) -> bytes:
        """The last chunk, with usage only, for a caller who asked for it."""
        if not self._shows_usage or shown is None:
            return b""
        return self._prefix + b'"choices":[],"usage":' + orjson.dumps(shown) + b"}\n\n"


def tool_call(id: Any, name: Any, arguments: str) -> Json:
    """A call of a function, as it stands in a whole answer."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
