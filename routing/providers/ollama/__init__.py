"""Ollama's own API, which knows more than its imitation of OpenAI's: thinking, context length, how long a model stays loaded.

`request` lists how a chat is translated. Answers come as lines of JSON; usage is counted in each last line. Text completions
go to the imitation, which the server has beside its own API.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest
from routing.errors import ProviderError
from routing.providers import failures, outgoing
from routing.providers.base import StreamTranslator
from routing.providers.ollama import embeddings
from routing.providers.ollama.reply import completion
from routing.providers.ollama.request import chat
from routing.providers.ollama.stream import LineStream
from routing.providers.openai import OpenAIDialect
from routing.providers.wishes import Wishes

_IMITATION = OpenAIDialect(developer_role=False, paths={Endpoint.COMPLETIONS: "v1/completions"})


class OllamaDialect:
    """See `Dialect`."""

    def takes_thinking(self, model: str) -> bool:
        """A chat may hold `thinking`."""
        return True

    def streams(self, call: Call, target: Target) -> bool:
        """A stream where the caller asked for one; embeddings have none."""
        return call.stream and call.endpoint != Endpoint.EMBEDDINGS

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        target = _at_root(target)
        if call.endpoint == Endpoint.COMPLETIONS:
            return _IMITATION.request(call, target)
        wishes = Wishes(target)
        body = outgoing.merged(call, target)
        outgoing.require_model(body, target)
        if call.endpoint == Endpoint.EMBEDDINGS:
            path, sent = "api/embed", embeddings.asked(body)
        else:
            path, sent = "api/chat", chat(body, wishes)
        headers = outgoing.headers(call, target)
        return UpstreamRequest(outgoing.url(target, path), headers, orjson.dumps(sent), dropped=wishes.dropped)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's answer in OpenAI's words. Raises `UpstreamInvalid` where it is none."""
        if call.endpoint == Endpoint.COMPLETIONS:
            return _IMITATION.reply(call, target, body)
        return embeddings.answer(call, target, body) if call.endpoint == Endpoint.EMBEDDINGS else completion(call, target, body)

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """A translator from lines to chunks."""
        return _IMITATION.stream(call, target) if call.endpoint == Endpoint.COMPLETIONS else LineStream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _at_root(target: Target) -> Target:
    """The target at the server's root: addresses are often written with the path of one of its two APIs."""
    base = target.base_url.rstrip("/")
    return replace(target, base_url=base.removesuffix("/v1").removesuffix("/api"))
