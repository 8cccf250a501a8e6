"""Reading JSON that may have to be written again.

The parser goes deeper than the writer does. What no sensible text needs is refused here, where a caller can be told of it, and
not where a translated answer is put together.
"""

from __future__ import annotations

from typing import Any

import orjson

MAX_DEPTH = 200


def loads(text: bytes | bytearray | str) -> Any:
    """The value. Raises `orjson.JSONDecodeError` for what is no JSON, and for JSON that is nested too deeply."""
    value = orjson.loads(text)
    # With few brackets it cannot be deep, and these are counted faster than a value is walked through.
    brackets = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    if brackets > MAX_DEPTH and _too_deep(value):
        raise orjson.JSONDecodeError(f"nested deeper than {MAX_DEPTH} levels", "", 0)
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
