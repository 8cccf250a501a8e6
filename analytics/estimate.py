"""Usage of calls whose provider did not report it, such as streams that the caller cut short.

The rule, deliberately simple: four characters of text are one token, but every Chinese, Japanese or Korean character is one of
its own; each message adds three tokens and the reply's opening three (OpenAI's cookbook, "How to count tokens"); each piece of
a stream is one token of output, which is how the large vendors cut their streams. Good to some 20 % on prose; records that rest
on it are marked `usage_estimated`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from routing.call import Json, Usage

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 3
_TOKENS_PER_REPLY = 3
# Kana, CJK ideographs with their extensions and punctuation, Hangul, full-width forms.
_ONE_TOKEN_EACH = re.compile(
    r"[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    if text.isascii():
        return -(-len(text) // _CHARACTERS_PER_TOKEN)
    wide = len(_ONE_TOKEN_EACH.findall(text))
    return wide + -(-(len(text) - wide) // _CHARACTERS_PER_TOKEN)


def estimate_prompt_tokens(body: Json) -> int:
    """Tokens of a request: messages with their system prompt, a completion's prompt, the input of embeddings or of a response
    with its instructions, and tool definitions."""
    messages = body.get("messages")
    if isinstance(messages, list):
        overhead = _TOKENS_PER_MESSAGE * len(messages) + _TOKENS_PER_REPLY
        return overhead + sum(_text_tokens(body.get(name)) for name in ("messages", "system", "tools"))
    return sum(_text_tokens(body.get(name)) for name in ("prompt", "input", "instructions", "tools"))


def estimate_usage(body: Json, deltas: int) -> Usage:
    """The usage of a call of which only the request and the number of content pieces (`deltas`) are known."""
    return Usage(input_tokens=estimate_prompt_tokens(body), output_tokens=deltas, estimated=True)


def _text_tokens(value: Any) -> int:
    return sum(item if isinstance(item, int) else estimate_tokens(item) for item in _texts(value))


def _texts(value: Any) -> Iterator[str | int]:
    """Every text below `value`; a list of token ids counts as their number. Pictures, audio and files are left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            yield len(value)
            return
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in {"role", "type", "id", "image_url", "input_audio", "file", "source", "file_data"}:
                yield from _texts(item)
