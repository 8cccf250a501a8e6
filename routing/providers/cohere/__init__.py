"""Cohere's API, version 2, behind OpenAI's chat completions and embeddings, and its ranking as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import ProviderError, Unsupported
from routing.providers import failures, outgoing
from routing.providers.cohere import embeddings, reply, request
from routing.providers.cohere.stream import ChunkStream
from routing.providers.wishes import Wishes

_PATHS: dict[str, str] = {Endpoint.CHAT: "v2/chat", Endpoint.EMBEDDINGS: "v2/embed", Endpoint.RERANK: "v2/rerank"}
_REPLIES: dict[str, Callable[[Call, Target, bytes], Answer]] = {
    Endpoint.CHAT: reply.completion,
    Endpoint.EMBEDDINGS: reply.embeddings,
    Endpoint.RERANK: reply.ranking,
}


@dataclass(frozen=True, slots=True)
class CohereDialect:
    """Chat, embeddings and ranking."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the field's path."""
        if call.endpoint not in _PATHS:
            raise Unsupported(f"{target.provider.label} does not support {call.endpoint}.")
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        wishes = Wishes(target)
        if call.endpoint == Endpoint.CHAT:
            translated = request.translated(body, wishes, stream=call.stream)
        elif call.endpoint == Endpoint.EMBEDDINGS:
            translated = {"model": model, **embeddings.translated(body, wishes)}
        else:
            translated = _ranking(body)
        return UpstreamRequest(
            url=outgoing.url(target, _PATHS[call.endpoint]),
            headers=outgoing.headers(call, target),
            body=orjson.dumps(translated),
            dropped=wishes.dropped,
        )

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream and call.endpoint == Endpoint.CHAT

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The answer in the caller's words."""
        return _REPLIES[call.endpoint](call, target, body)

    def stream(self, call: Call, target: Target) -> ChunkStream:
        """A translator from the vendor's events to chunks."""
        return ChunkStream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _ranking(body: Json) -> Json:
    """Documents as texts; the wish to have them back is ours to fulfil, because the vendor no longer does."""
    kept = {key: value for key, value in body.items() if key != "return_documents" and value is not None}
    return {**kept, "documents": reply.documents(body.get("documents"))}
