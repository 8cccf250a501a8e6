"""Vertex AI: one vendor, several families of models, each in the words of its own maker.

A model is written ``publisher.model``; a publisher's name in front of a slash is read too, and without one it follows from the
model's name. Google's models speak `generateContent`, Anthropic's the Messages API behind ``rawPredict``, Mistral's OpenAI's
dialect behind the same, and all others, like the endpoints of the user's own, OpenAI's dialect as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import ProviderError, Unsupported
from routing.providers import outgoing
from routing.providers.anthropic import AnthropicDialect
from routing.providers.anthropic.request import translated as message_request
from routing.providers.base import Dialect, StreamTranslator
from routing.providers.google import GeminiDialect, address, chat_request, embeddings, images, upstream
from routing.providers.openai import OpenAIDialect
from routing.providers.wishes import Wishes

ANTHROPIC_VERSION = "vertex-2023-10-16"
_PUBLISHER = re.compile(r"(?:publishers/)?(google|anthropic|meta|mistralai|endpoints)(?:\.|/(?:models/)?)(.+)")
_BY_NAME = {"claude": "anthropic", "mistral": "mistralai", "codestral": "mistralai", "llama": "meta"}
# The makers behind the region's one endpoint in OpenAI's dialect, as in ``qwen/qwen3-coder-480b-a35b-instruct-maas``.
_SHARED = re.compile(r"([a-z0-9-]+)/([A-Za-z0-9][\w.@-]*)")


def publisher_and_model(model: str) -> tuple[str, str]:
    """``anthropic.claude-sonnet-4-5`` as its two halves."""
    if found := _PUBLISHER.fullmatch(model):
        return found[1], found[2]
    if found := _SHARED.fullmatch(model):
        return found[1], found[2]
    return next((maker for start, maker in _BY_NAME.items() if model.startswith(start)), "google"), model


class VertexDialect:
    """Asks the family of the call's model. Embeddings and images are Google's alone."""

    def __init__(self) -> None:
        self._families: dict[str, Dialect] = {
            "google": _Google(),
            "anthropic": _Anthropic(),
            "mistralai": _Mistral(),
            "endpoints": _Endpoint(),
        }
        self._shared = _Shared()

    def takes_thinking(self, model: str) -> bool:
        """For these makers' models, a chat may hold `thinking` with its budget."""
        return publisher_and_model(model)[0] in ("google", "anthropic")

    def takes_blocks(self, model: str) -> bool:
        """For Anthropic's models, a chat's messages may hold `content_blocks` with thinking, and `cache_control`."""
        return publisher_and_model(model)[0] == "anthropic"

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the words of the model's maker. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        return self._family(call, target).request(call, target)

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream and call.endpoint == Endpoint.CHAT

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The answer in OpenAI's words."""
        return self._family(call, target).reply(call, target, body)

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """A translator for the family's events."""
        return self._family(call, target).stream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error, or that of a model's maker, with its status kept."""
        return self._families["google"].error(target, status, body)

    def _family(self, call: Call, target: Target) -> Dialect:
        publisher, _ = publisher_and_model(outgoing.require_model(outgoing.merged(call, target), target))
        if publisher != "google" and call.endpoint != Endpoint.CHAT:
            raise Unsupported(
                f"{target.provider.label} does not support {call.endpoint} with models of {publisher}.", param="model"
            )
        return self._families.get(publisher, self._shared)


class _Google(GeminiDialect):
    def request(self, call: Call, target: Target) -> UpstreamRequest:
        body, name = _read(call, target)
        resource = f"{address.location(target)}/publishers/google/models/{name}"
        wishes = Wishes(target)
        if call.endpoint == Endpoint.EMBEDDINGS:
            return upstream(call, target, f"{resource}:predict", embeddings.prediction(body, wishes), wishes)
        if call.endpoint == Endpoint.IMAGES:
            return upstream(call, target, f"{resource}:predict", images.prediction(body, wishes), wishes)
        if call.endpoint != Endpoint.CHAT:
            raise Unsupported(f"{target.provider.label} does not support {call.endpoint}.")
        return chat_request(call, target, resource, body, wishes)


class _Anthropic(AnthropicDialect):
    """The same translation; the model stands in the address and the version in the body."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        body, name = _read(call, target)
        headers = dict(outgoing.headers(call, target))
        beta = body.get("anthropic_beta")
        if beta:
            headers.setdefault("anthropic-beta", ",".join(map(str, beta)) if isinstance(beta, list) else str(beta))
        kept = {key: value for key, value in body.items() if key not in ("anthropic_version", "anthropic_beta")}
        wishes = Wishes(target)
        asked = message_request(kept, wishes)
        del asked["model"]
        asked["anthropic_version"] = body.get("anthropic_version") or _version(target)
        request = upstream(call, target, _raw(call, target, "anthropic", name), asked, wishes)
        return replace(request, headers=headers)


def _version(target: Target) -> str:
    """The version that the target sets, if it is one of this vendor's.

    The option is also filled from the header that every client of Anthropic's own API sends by itself, and that API's versions
    are no choice for this one. Who wants one of them here writes it into the body.
    """
    version = str(target.options.get("anthropic_version") or "")
    return version if version.startswith("vertex-") else ANTHROPIC_VERSION


class _Shared(OpenAIDialect):
    """OpenAI's dialect at the region's own endpoint, for the models of many makers."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        model = outgoing.require_model(outgoing.merged(call, target), target)
        publisher, name = publisher_and_model(model)
        whole = f"{publisher}/{address.model_name(name, target.provider.label)}"
        base = f"{address.location(target, 'v1beta1')}/endpoints/openapi"
        return super().request(call, _pointed(target, base, whole))


class _Endpoint(OpenAIDialect):
    """OpenAI's dialect at an endpoint of the user's own, which is named in the model's place."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        _, name = _read(call, target)
        return super().request(call, _pointed(target, f"{address.location(target, 'v1beta1')}/endpoints/{name}", name))


class _Mistral(OpenAIDialect):
    """OpenAI's dialect behind ``rawPredict``."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        _, name = _read(call, target)
        request = super().request(call, _pointed(target, target.base_url, name))
        return replace(request, url=_raw(call, target, "mistralai", name))


def _read(call: Call, target: Target) -> tuple[Json, str]:
    """The parameters, and the model's name as it may stand in an address."""
    body = outgoing.merged(call, target)
    _, name = publisher_and_model(outgoing.require_model(body, target))
    return body, address.model_name(name, target.provider.label)


def _raw(call: Call, target: Target, publisher: str, name: str) -> str:
    method = "streamRawPredict" if call.stream else "rawPredict"
    return f"{address.location(target)}/publishers/{publisher}/models/{name}:{method}"


def _pointed(target: Target, base: str, model: str) -> Target:
    return replace(target, base_url=base, override_params={**target.override_params, "model": model})
