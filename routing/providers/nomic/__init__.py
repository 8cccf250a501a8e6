"""Nomic's embeddings: ``texts`` for ``input``, ``dimensionality`` for ``dimensions``, and vectors that stand bare."""

from __future__ import annotations

from typing import Any, NoReturn

import orjson

from routing.call import Answer, Call, Target, UpstreamRequest, Usage
from routing.errors import InvalidRequest, ProviderError, Unsupported
from routing.providers import failures, outgoing, reading
from routing.providers.openai.usage import read_usage
from routing.providers.vectors import are_vectors, embedding_list

# Of OpenAI's parameters, those that are said in other words or to nobody.
_SPOKEN = frozenset({"input", "dimensions", "encoding_format", "user"})


class NomicDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        return False

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words; its own parameters, such as ``task_type``, go on as they are."""
        body = outgoing.merged(call, target)
        outgoing.require_model(body, target)
        sent: dict[str, Any] = {name: value for name, value in body.items() if name not in _SPOKEN and value is not None}
        sent["texts"] = _texts(body.get("input"))
        if body.get("dimensions") is not None:
            sent["dimensionality"] = body["dimensions"]
        return UpstreamRequest(outgoing.url(target, "embedding/text"), outgoing.headers(call, target), orjson.dumps(sent))

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vectors as OpenAI's list. Raises `UpstreamInvalid` where there are none."""
        try:
            found = reading.loads(body)
        except orjson.JSONDecodeError:
            raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
        vectors = found.get("embeddings") if isinstance(found, dict) else None
        if not isinstance(vectors, list) or not are_vectors(vectors):
            raise failures.invalid(target, "the answer has no list `embeddings` of vectors", body)
        usage = read_usage(found) or Usage()
        model = found["model"] if isinstance(found.get("model"), str) else target.model or call.model
        encoding = outgoing.merged(call, target).get("encoding_format")
        return Answer(orjson.dumps(embedding_list(vectors, model, usage, encoding)), usage, model)

    def stream(self, call: Call, target: Target) -> NoReturn:
        raise Unsupported(f"{target.provider.label} does not stream.", param="stream")

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("input must be a text or a list of texts: this vendor takes no tokens.", param="input")
    return texts
