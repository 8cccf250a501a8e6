"""OpenAI's Responses, asked of a provider that speaks chat completions."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Call, Json, Target, Usage
from routing.errors import GatewayError
from routing.providers.adapters.blocks import Said
from routing.providers.adapters.chat import reader
from routing.providers.adapters.responses.reply import response
from routing.providers.adapters.responses.request import chat
from routing.providers.adapters.responses.stream import ResponseStream
from routing.providers.base import StreamTranslator
from routing.providers.wishes import Wishes

__all__ = ["ADAPTER", "error_event"]


class ResponsesAdapter:
    """See `Adapter`."""

    def as_chat(self, body: Json, target: Target, wishes: Wishes) -> Json:
        return chat(body, reader(target, body.get("model"), wishes))

    def whole(self, said: Said, call: Call, target: Target, usage: Usage | None) -> bytes:
        return orjson.dumps(response(said, call, target, usage))

    def stream(self, inner: StreamTranslator, call: Call, target: Target) -> ResponseStream:
        return ResponseStream(inner, call, target)


ADAPTER = ResponsesAdapter()


def error_event(error: GatewayError) -> bytes:
    """The event that ends a broken stream of a vendor's own, whose response we do not hold.

    It has the fields of the vendor's error event, and the `error` that its SDK raises.
    """
    shaped = error.body()["error"]
    event = {"type": "error", "code": shaped["code"], "message": shaped["message"], "param": shaped["param"], "error": shaped}
    return sse.encode(orjson.dumps(event), "error")
