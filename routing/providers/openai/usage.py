"""OpenAI's ``usage`` as disjoint classes of tokens."""

from __future__ import annotations

from typing import Any

from routing.call import MOST_TOKENS, Usage


def read_usage(data: dict[str, Any]) -> Usage | None:
    """The usage in an answer or in a chunk of a stream; None where there is none.

    It stands at the top, or for a few vendors below ``x_groq`` or inside the first choice of a stream's last chunk.
    """
    usage = data.get("usage") or _nested(data, "x_groq")
    if not usage and (choices := data.get("choices")) and isinstance(choices, list) and isinstance(choices[0], dict):
        usage = choices[0].get("usage")
    return usage_classes(usage) if isinstance(usage, dict) and usage else None


def usage_classes(usage: dict[str, Any]) -> Usage | None:
    """Totals and their details, taken apart. None where there is no total.

    OpenAI counts cached and audio tokens inside ``prompt_tokens`` and reasoning inside ``completion_tokens``. Some vendors put
    reasoning on top instead: it shows in ``total_tokens``.
    """
    if usage.get("prompt_tokens") is None and usage.get("completion_tokens") is None:
        return _newer(usage)
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    inside, outside = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    # The second spelling is DeepSeek's, which has no details.
    cached = min(_count(inside, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens"), prompt)
    written = min(_count(inside, "cache_write_tokens"), prompt - cached)
    audio_in = min(_count(inside, "audio_tokens"), prompt - cached - written)
    reasoning = _count(outside, "reasoning_tokens")
    if reasoning and _count(usage, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    reasoning = min(reasoning, completion)
    audio_out = min(_count(outside, "audio_tokens"), completion - reasoning)
    return Usage(
        input_tokens=prompt - cached - written - audio_in,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        audio_input_tokens=audio_in,
        output_tokens=completion - reasoning - audio_out,
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
    )


def read_total(data: dict[str, Any]) -> Usage | None:
    """The usage of a call whose answer uses no tokens, from a vendor that says nothing but the total."""
    usage = data.get("usage")
    total = _count(usage, "total_tokens") if isinstance(usage, dict) else 0
    return Usage(input_tokens=total) if total else None


def _newer(usage: dict[str, Any]) -> Usage | None:
    """The usage of later endpoints (responses, images, transcripts, realtime), and Anthropic's, which have other names.

    Anthropic counts cached tokens beside the input, the others inside it.
    """
    if usage.get("input_tokens") is None and usage.get("output_tokens") is None:
        return None
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    if read or written:
        return Usage(
            input_tokens=_count(usage, "input_tokens"),
            cache_read_tokens=read,
            cache_write_tokens=written,
            output_tokens=_count(usage, "output_tokens"),
        )
    return usage_classes(
        {
            "prompt_tokens": usage.get("input_tokens") or 0,
            "completion_tokens": usage.get("output_tokens") or 0,
            "prompt_tokens_details": usage.get("input_tokens_details") or usage.get("input_token_details"),
            "completion_tokens_details": usage.get("output_tokens_details") or usage.get("output_token_details"),
        }
    )


def _nested(data: dict[str, Any], key: str) -> Any:
    inner = data.get(key)
    return inner.get("usage") if isinstance(inner, dict) else None


def _details(usage: dict[str, Any], key: str) -> dict[str, Any]:
    details = usage.get(key)
    return details if isinstance(details, dict) else {}


def _count(data: dict[str, Any], key: str) -> int:
    """A number of tokens; 0 where the vendor gives none, its mark for unknown, -1, or more than any model takes."""
    value = data.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0
