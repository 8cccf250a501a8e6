"""Thinking that came without a signature of its vendor's, and what becomes of it when it comes back.

Such thinking is shown to callers of the Messages API with a signature of ours, which names the provider that wrote it. Only
that provider gets it again: another one has no use for it, and Anthropic refuses a signature that is not its own.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

from routing.call import Json

_MARK = "gatehouse."


def marked(provider: str, text: str = "") -> str:
    """A signature of ours; with `text`, one that holds the thinking itself."""
    return _MARK + base64.b64encode(orjson.dumps([provider, text])).decode()


def unmarked(signature: Any) -> tuple[str, str] | None:
    """Provider and text of a signature of ours; None for one of a vendor's, and empty texts for one that is damaged."""
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return None
    try:
        provider, text = orjson.loads(base64.b64decode(signature.removeprefix(_MARK), validate=True))
    except (ValueError, TypeError):
        return ("", "")
    return (provider, text) if isinstance(provider, str) and isinstance(text, str) else ("", "")


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
