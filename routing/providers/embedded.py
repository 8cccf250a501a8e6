"""Embeddings of vendors that have words of their own for them: OpenAI's input as texts, and their vectors as OpenAI's list."""

from __future__ import annotations

from typing import Any

import orjson

from analytics.estimate import estimate_prompt_tokens
from routing.call import Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import failures, outgoing, vectors
from routing.providers.wishes import Wishes


def texts(body: Json, wishes: Wishes) -> list[str]:
    """The input as a list of texts. Raises `InvalidRequest` or `Unsupported`; ids of tokens mean nothing to another vendor."""
    given = body.get("input")
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed:
        raise InvalidRequest("input must be a text or a list with at least one.", param="input")
    for index, text in enumerate(listed):
        if isinstance(text, int) or (isinstance(text, list) and text and isinstance(text[0], int)):
            wishes.never(f"input[{index}]", f"{wishes.label} takes texts, not the ids of tokens.")
        if not isinstance(text, str):
            raise InvalidRequest(f"input[{index}] must be a text.", param=f"input[{index}]")
    return listed


def encoding(body: Json) -> str:
    """``float`` or ``base64``; the vector itself is always asked for as numbers. Raises `InvalidRequest` for another."""
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise InvalidRequest("encoding_format can be float or base64.", param="encoding_format")
    return str(form)


def answer(call: Call, target: Target, found: Any, tokens: int | None) -> Answer:
    """OpenAI's list. `tokens` is what the vendor counted; None where it did not say, and the caller is shown an estimate.

    Raises `UpstreamInvalid` where `found` is no list of vectors.
    """
    if not isinstance(found, list) or not found or not all(map(_is_vector, found)):
        raise failures.invalid(target, "the answer has no embeddings")
    body = outgoing.merged(call, target)
    usage = None if tokens is None else Usage(input_tokens=tokens)
    shown = usage or Usage(input_tokens=estimate_prompt_tokens(body))
    listed = vectors.embedding_list(found, target.model or call.model, shown, encoding(body))
    return Answer(body=orjson.dumps(listed), usage=usage)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(number, int | float) for number in value)
