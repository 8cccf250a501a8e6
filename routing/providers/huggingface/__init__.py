"""Hugging Face: its router speaks OpenAI's dialect for chats and an own one for embeddings.

Who runs an endpoint there names it in `huggingface_base_url`: it speaks OpenAI's dialect for all of these, below ``/v1``.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from analytics.estimate import estimate_usage
from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, Unsupported
from routing.providers import failures, outgoing, reading
from routing.providers.base import StreamTranslator
from routing.providers.model_path import model_path
from routing.providers.openai import OpenAIDialect
from routing.providers.vectors import are_vectors, embedding_list

_INNER = OpenAIDialect(developer_role=False, renames={"max_completion_tokens": "max_tokens"})


class HuggingFaceDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream and call.endpoint != Endpoint.EMBEDDINGS

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in OpenAI's words, or the router's for embeddings. Raises `InvalidRequest` with the path of the field."""
        own = _endpoint(target)
        if own is not None:
            return _INNER.request(call, replace(target, base_url=own))
        if call.endpoint == Endpoint.COMPLETIONS:
            raise Unsupported(
                f"{target.provider.label} has text completions only at an endpoint of one's own: set huggingface_base_url.",
                param="huggingface_base_url",
            )
        return _feature(call, target) if call.endpoint == Endpoint.EMBEDDINGS else _INNER.request(call, target)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's bytes, or its bare vectors as OpenAI's list. Raises `UpstreamInvalid` where the answer is none."""
        if call.endpoint == Endpoint.EMBEDDINGS and _endpoint(target) is None:
            return _vectors(call, target, body)
        return _INNER.reply(call, target, body)

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """A reader that gives the vendor's events on as they are."""
        return _INNER.stream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _endpoint(target: Target) -> str | None:
    """The base URL of the user's own endpoint."""
    given = str(target.options.get("huggingface_base_url") or "").rstrip("/")
    if not given:
        return None
    return given if given.endswith("/v1") else f"{given}/v1"


def _feature(call: Call, target: Target) -> UpstreamRequest:
    """Embeddings by the router's pipeline, in whose address the model stands."""
    body = outgoing.merged(call, target)
    model = outgoing.require_model(body, target)
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("input must be a text or a list of texts: this vendor takes no tokens.", param="input")
    if body.get("dimensions") is not None:
        raise Unsupported(f"{target.provider.label} cannot express dimensions.", param="dimensions")
    root = replace(target, base_url=target.base_url.rstrip("/").removesuffix("/v1"))
    path = f"hf-inference/models/{model_path(model)}/pipeline/feature-extraction"
    return UpstreamRequest(outgoing.url(root, path), outgoing.headers(call, target), orjson.dumps({"inputs": texts}))


def _vectors(call: Call, target: Target, body: bytes) -> Answer:
    try:
        found = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not are_vectors(found):
        raise failures.invalid(target, "the answer is not a list of vectors", body)
    asked = outgoing.merged(call, target)
    # The router counts no tokens.
    usage, model = estimate_usage(asked, 0), target.model or call.model
    return Answer(orjson.dumps(embedding_list(found, model, usage, asked.get("encoding_format"))), usage, model)
