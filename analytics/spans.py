"""A call's place in its trace, as the caller's headers tell it. On the hot path: two look-ups where there is nothing to say."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MAX = 256
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}")


def named_by(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """The span's id, its parent's and its name; empty where none is told.

    Portkey's headers go before W3C's ``traceparent``, which names the caller's own span: the parent of this call.
    """
    span, parent = headers.get("x-portkey-span-id", ""), headers.get("x-portkey-parent-span-id", "")
    if not parent and (match := _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())):
        parent = match[1]
    return span.strip()[:_MAX], parent.strip()[:_MAX], headers.get("x-portkey-span-name", "").strip()[:_MAX]
