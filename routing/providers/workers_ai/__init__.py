"""Cloudflare's Workers AI by its own API: the model stands in the address, and answers in an envelope.

Chats go to the model as they are, tools included, but for what `request` names. Newer models answer with OpenAI's own object
inside the envelope, and with its chunks in streams; both kinds are read.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest
from routing.errors import ProviderError
from routing.providers import failures, outgoing, reading
from routing.providers.model_path import model_path
from routing.providers.wishes import Wishes
from routing.providers.workers_ai.pictures import picture, picture_asked
from routing.providers.workers_ai.reply import completion, vectors
from routing.providers.workers_ai.request import chat, embedding
from routing.providers.workers_ai.stream import ResponseStream

_ANSWERS = {Endpoint.CHAT: completion, Endpoint.EMBEDDINGS: vectors, Endpoint.IMAGES: picture}


class WorkersAIDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller of a chat asked for one."""
        return call.stream and call.endpoint == Endpoint.CHAT

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        wishes = Wishes(target)
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        if call.endpoint == Endpoint.CHAT:
            sent = chat(body, wishes)
        elif call.endpoint == Endpoint.EMBEDDINGS:
            sent = embedding(body, wishes)
        else:
            sent = picture_asked(body, wishes)
        url = outgoing.url(target, model_path(model))
        return UpstreamRequest(url, outgoing.headers(call, target), orjson.dumps(sent), dropped=wishes.dropped)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's answer in OpenAI's words. Raises `UpstreamInvalid` where it is none."""
        answer = _ANSWERS[Endpoint(call.endpoint)](call, target, body)
        return answer if answer.model else replace(answer, model=target.model or call.model)

    def stream(self, call: Call, target: Target) -> ResponseStream:
        """A translator from the vendor's events to chunks."""
        return ResponseStream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, _first_error(body), body)


def _first_error(body: bytes) -> bytes:
    """``{"errors": [{"code", "message"}]}`` as the first of them, where that is what it is."""
    try:
        errors = reading.loads(body).get("errors")
    except (orjson.JSONDecodeError, AttributeError):
        return body
    told = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if not told:
        return body
    message = "; ".join(str(error.get("message")) for error in told)
    return orjson.dumps({"error": {"message": message, "code": told[0].get("code")}})
