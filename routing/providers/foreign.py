"""Thinking that came without a signature of its vendor's, and what becomes of it when it comes back.

Such thinking is shown to callers of the Messages API with a signature of ours, which names the provider that wrote it. Only
that provider gets it again: another one has no use for it, and Anthropic refuses a signature that is not its own.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import orjson

from routing.call import Json

_MARK = "gatehouse."
# Where vendors of OpenAI's dialect put thinking. It goes back in the field that it came in: some refuse every other one.
FIELDS = ("reasoning_content", "reasoning")


class Mark(NamedTuple):
    """What a signature of ours says. `text` is the thinking itself where nothing else holds it."""

    provider: str
    field: str
    text: str


_DAMAGED = Mark("", "", "")


def marked(provider: str, field: str, text: str = "") -> str:
    """A signature of ours."""
    return _MARK + base64.b64encode(orjson.dumps([provider, field or FIELDS[0], text])).decode()


def unmarked(signature: Any) -> Mark | None:
    """What a signature of ours says; None for one of a vendor's, and empty texts for one that is damaged."""
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return None
    try:
        provider, field, text = orjson.loads(base64.b64decode(signature.removeprefix(_MARK), validate=True))
    except (ValueError, TypeError):
        return _DAMAGED
    whole = isinstance(provider, str) and field in FIELDS and isinstance(text, str)
    return Mark(provider, field, text) if whole else _DAMAGED


def without_foreign_thinking(body: Json, raw: bytes) -> Json:
    """The body of a Messages call without thinking that has a signature of ours; the same object where there is none."""
    messages = body.get("messages")
    if _MARK.encode() not in raw or not isinstance(messages, list):
        return body
    return {**body, "messages": [_cleaned(message) for message in messages]}


def _cleaned(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not (isinstance(block, dict) and unmarked(block.get("signature")))]
    return {**message, "content": kept} if len(kept) < len(content) else message
