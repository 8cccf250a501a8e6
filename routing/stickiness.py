"""Which target a caller sticks to: a hash of what a call says, the same in every process and after every restart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from routing.call import Call


def key(call: Call, fields: Sequence[str]) -> bytes | None:
    """What the call says in these fields; None where it says nothing in any of them.

    ``metadata.<name>``, ``params.<name>`` (a path into the body) and ``headers.<name>`` name the place; a bare name is looked
    for in the body and then in the metadata, where ``_user`` and ``_session`` count as ``user`` and ``session``.
    """
    said = [_said(call, field) for field in fields]
    # Of JSON's values, repr is the same in every process, and half a surrogate pair has one too.
    return repr(said).encode() if any(value is not None for value in said) else None


def score(key: bytes, name: str, weight: float) -> float:
    """The child with the highest score gets the call: each by its weight's share of all keys (weighted rendezvous hashing)."""
    digest = hashlib.blake2b(name.encode(errors="replace"), key=hashlib.sha256(key).digest(), digest_size=8).digest()
    drawn = ((int.from_bytes(digest) >> 12) + 0.5) / 2**52  # in (0, 1), and exactly so
    return -weight / math.log(drawn)


def _said(call: Call, field: str) -> Any:
    place, _, name = field.partition(".")
    if name and place == "metadata":
        return call.metadata.get(name)
    if name and place == "headers":
        return call.headers.get(name.lower())
    if name and place in ("params", "body"):
        return _at(call.body, name)
    if field == "trace_id":
        return call.trace_id
    if (value := _at(call.body, field)) is not None:
        return value
    return call.metadata.get(field, call.metadata.get(f"_{field}"))


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
