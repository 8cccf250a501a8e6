"""Vectors of vendors that list them bare, as OpenAI's list of embeddings."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from routing.call import Json, Usage


def are_vectors(found: Any) -> bool:
    """Whether this is a list of lists of numbers."""
    return isinstance(found, list) and all(
        isinstance(vector, list) and all(type(number) in (int, float) for number in vector) for vector in found
    )


def embedding_list(vectors: Sequence[Sequence[float]], model: str, usage: Usage, encoding: Any) -> Json:
    """The list; as base64 of 32-bit floats where the caller asks for that, as OpenAI's SDK does unasked."""
    packed = [_packed(vector) if encoding == "base64" else list(vector) for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(packed)]
    tokens = usage.prompt_tokens
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
