"""The Gemini API behind OpenAI's chat completions, embeddings and images.

What has a counterpart is translated, what the vendor has no words for is refused by name (or left out and named, where the
target allows that), and what is a mere wish is left out: `request` lists each field.
"""

from __future__ import annotations

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, Unsupported
from routing.providers import outgoing
from routing.providers.google import address, embeddings, errors, images
from routing.providers.google.reply import completion
from routing.providers.google.request import candidates, generate_content
from routing.providers.google.stream import ChunkStream
from routing.providers.wishes import Wishes


class GeminiDialect:
    """Chat, embeddings, and the images of the Imagen models."""

    def takes_thinking(self, model: str) -> bool:
        """A chat may hold `thinking` with its budget."""
        return True

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        resource = address.gemini_api(target, model)
        wishes = Wishes(target)
        if call.endpoint == Endpoint.CHAT:
            return chat_request(call, target, resource, body, wishes)
        if call.endpoint == Endpoint.EMBEDDINGS:
            asked = embeddings.content_requests(body, resource.rpartition("/")[2], wishes)
            method = "batchEmbedContents" if "requests" in asked else "embedContent"
            return upstream(call, target, f"{resource}:{method}", asked, wishes)
        if call.endpoint == Endpoint.IMAGES:
            return upstream(call, target, f"{resource}:predict", images.prediction(body, wishes), wishes)
        raise Unsupported(f"{target.provider.label} does not support {call.endpoint}.")

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream and call.endpoint == Endpoint.CHAT

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The answer in OpenAI's words."""
        if call.endpoint == Endpoint.EMBEDDINGS:
            return embeddings.vectors(call, target, body)
        if call.endpoint == Endpoint.IMAGES:
            return images.images(call, target, body)
        return completion(call, target, body)

    def stream(self, call: Call, target: Target) -> ChunkStream:
        """A translator from answers in events to chunks."""
        body = outgoing.merged(call, target)
        options = body.get("stream_options")
        shows_usage = isinstance(options, dict) and options.get("include_usage") is True
        return ChunkStream(call, target, expected=candidates(body), shows_usage=shows_usage)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return errors.provider_error(target, status, body)


def chat_request(call: Call, target: Target, resource: str, body: Json, wishes: Wishes) -> UpstreamRequest:
    """A chat for the model at the address `resource`."""
    asked = generate_content(body, resource.rpartition("/")[2], wishes)
    method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
    return upstream(call, target, f"{resource}:{method}", asked, wishes)


def upstream(call: Call, target: Target, url: str, body: Json, wishes: Wishes) -> UpstreamRequest:
    """The request for a body that is ready. Raises `InvalidRequest` for one that no JSON can hold."""
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from error
    return UpstreamRequest(url=url, headers=outgoing.headers(call, target), body=data, dropped=wishes.dropped)
