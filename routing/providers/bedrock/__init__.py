"""AWS Bedrock behind OpenAI's chat completions and embeddings.

Chats go through Converse, which has the same words for all models; embeddings through InvokeModel, in each maker's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import ProviderError, Unsupported
from routing.providers import outgoing
from routing.providers.bedrock import embeddings, errors, names
from routing.providers.bedrock.reply import completion
from routing.providers.bedrock.request import translated
from routing.providers.bedrock.stream import ChunkStream
from routing.providers.wishes import Wishes

EVENT_STREAM = "application/vnd.amazon.eventstream"
# Options that Anthropic's models take as fields of the request.
_MODEL_OPTIONS = ("anthropic_beta", "anthropic_version")


@dataclass(frozen=True, slots=True)
class BedrockDialect:
    """Credentials are no part of it: `credentials.authorise` signs what it makes."""

    def takes_blocks(self, model: str) -> bool:
        """For Anthropic's models, a chat's messages may hold `content_blocks` with thinking, and `cache_control`."""
        return names.family(model) == "anthropic"

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call as a request of Converse or InvokeModel. Raises `Unsupported` or `InvalidRequest` with the field's path."""
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        headers = outgoing.headers(call, target)
        wishes = Wishes(target)
        if call.endpoint == Endpoint.EMBEDDINGS:
            action, translation = "invoke", embeddings.translated(body, model, wishes)
        elif call.endpoint == Endpoint.CHAT:
            translation = translated(_with_options(body, model, target), model, wishes)
            action = "converse-stream" if call.stream else "converse"
            headers["accept"] = EVENT_STREAM if call.stream else "application/json"
        else:
            raise Unsupported(f"{target.provider.label} does not support {call.endpoint}.")
        return UpstreamRequest(
            url=outgoing.url(target, names.path(model, action)),
            headers=headers,
            body=orjson.dumps(translation),
            dropped=wishes.dropped,
        )

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one; vectors never come as one."""
        return call.stream and call.endpoint == Endpoint.CHAT

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The answer as a chat completion or a list of embeddings."""
        return embeddings.answer(call, target, body) if call.endpoint == Endpoint.EMBEDDINGS else completion(call, target, body)

    def stream(self, call: Call, target: Target) -> ChunkStream:
        """A translator from binary events to chunks."""
        return ChunkStream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return errors.of_answer(target, status, body)


def _with_options(body: Json, model: str, target: Target) -> Json:
    """The body with what the options say of Anthropic's models; the body's own word wins."""
    if names.family(model) != "anthropic":
        return body
    return {**{name: target.options[name] for name in _MODEL_OPTIONS if target.options.get(name)}, **body}
