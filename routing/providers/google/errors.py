"""The vendor's errors: ``{"error": {"code": 429, "message": ..., "status": "RESOURCE_EXHAUSTED", "details": [...]}}``.

On a streaming route the same stands in a list of one. The status word becomes the type, the number stays the code.
"""

from __future__ import annotations

import contextlib
from typing import Any

import orjson

from routing.call import Target
from routing.errors import ProviderError
from routing.providers import failures, reading


def openai_words(data: Any) -> Any:
    """The error with the names that OpenAI uses; what is no error of the vendor's stays as it is."""
    if isinstance(data, list) and data:
        return openai_words(data[0])
    inner = data.get("error") if isinstance(data, dict) else None
    if not isinstance(inner, dict) or "status" not in inner:
        return data
    return {"error": {"message": inner.get("message"), "type": inner["status"], "code": inner.get("code")}}


def provider_error(target: Target, status: int, body: bytes) -> ProviderError:
    """The error for an answer with an error status, which is kept."""
    read = body
    # What is not JSON, a page of a proxy on the way, say, is read as the text that it is.
    with contextlib.suppress(orjson.JSONDecodeError):
        read = orjson.dumps(openai_words(reading.loads(body)))
    return failures.provider_error(target, status, read, body)
