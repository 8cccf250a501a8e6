"""Anthropic's Messages, asked of a provider that speaks chat completions."""

from __future__ import annotations

from routing.call import Call, Json, Target, Usage
from routing.providers.adapters.blocks import Said
from routing.providers.adapters.chat import reader
from routing.providers.adapters.messages.count import count_tokens
from routing.providers.adapters.messages.errors import error_body, error_event
from routing.providers.adapters.messages.reply import message
from routing.providers.adapters.messages.request import chat
from routing.providers.adapters.messages.stream import MessageStream
from routing.providers.base import StreamTranslator
from routing.providers.wishes import Wishes

__all__ = ["ADAPTER", "count_tokens", "error_body", "error_event"]


class MessagesAdapter:
    """See `Adapter`."""

    def as_chat(self, body: Json, target: Target, wishes: Wishes) -> Json:
        return chat(body, reader(target, body.get("model"), wishes))

    def whole(self, said: Said, call: Call, target: Target, usage: Usage | None) -> bytes:
        return message(said, call, target, usage)

    def stream(self, inner: StreamTranslator, call: Call, target: Target) -> MessageStream:
        return MessageStream(inner, call, target)


ADAPTER = MessagesAdapter()
