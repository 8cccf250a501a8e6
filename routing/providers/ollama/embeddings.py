"""Embeddings by ``/api/embed``."""

from __future__ import annotations

import orjson

from routing.call import Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import failures, outgoing
from routing.providers.ollama.reply import parsed, read_usage
from routing.providers.vectors import are_vectors, embedding_list

_KEPT = frozenset({"model", "input", "dimensions", "truncate", "keep_alive", "options"})


def asked(body: Json) -> Json:
    """The body of the request: the vendor takes texts, one or many, and answers with numbers."""
    given = body.get("input")
    if not isinstance(given, str) and not (isinstance(given, list) and all(isinstance(text, str) for text in given)):
        raise InvalidRequest("input must be a text or a list of texts: this vendor takes no tokens.", param="input")
    return {key: value for key, value in body.items() if key in _KEPT and value is not None}


def answer(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body has no vectors."""
    found = parsed(target, body)
    vectors = found.get("embeddings")
    if not are_vectors(vectors):
        raise failures.invalid(target, "the answer has no list `embeddings` of vectors", body)
    model, usage = found.get("model"), read_usage(found)
    named = model if isinstance(model, str) else call.model
    listed = embedding_list(vectors or [], named, usage or Usage(), outgoing.merged(call, target).get("encoding_format"))
    return Answer(orjson.dumps(listed), usage, model if isinstance(model, str) else None)
