"""Anthropic's Messages API behind OpenAI's chat completions.

What has a counterpart is translated, what the vendor has no words for is refused by name, and what is a mere wish is left out:
`request` lists each field. Everything else in the body goes to the vendor as it is, so that its own parameters (``top_k``,
``thinking``, ``mcp_servers``, tomorrow's) work without a change here.
"""

from __future__ import annotations

import orjson

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest
from routing.errors import ProviderError, Unsupported
from routing.providers import failures, outgoing
from routing.providers.anthropic.native import NativeStream, native_answer, native_body
from routing.providers.anthropic.reply import completion
from routing.providers.anthropic.request import take_headers, translated
from routing.providers.anthropic.stream import ChunkStream
from routing.providers.wishes import Wishes

# Calls in the vendor's own words.
_NATIVE = frozenset({Endpoint.MESSAGES, Endpoint.COUNT_TOKENS})


class AnthropicDialect:
    """Chat and the vendor's own API: it has no embeddings, and text completions are long gone from its models."""

    def takes_blocks(self, model: str) -> bool:
        """A chat's messages may hold `content_blocks` and `cache_control`."""
        return True

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call as a Messages request. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        if call.endpoint in _NATIVE:
            headers = outgoing.headers(call, target)
            body = take_headers(native_body(call, target), headers)
            sent = call.raw if body is call.body else orjson.dumps(body)
            return UpstreamRequest(url=outgoing.url(target, call.endpoint), headers=headers, body=sent)
        if call.endpoint != Endpoint.CHAT:
            raise Unsupported(f"{target.provider.label} does not support {call.endpoint}.")
        body = outgoing.merged(call, target)
        outgoing.require_model(body, target)
        headers = outgoing.headers(call, target)
        body = take_headers(body, headers)
        wishes = Wishes(target)
        sent = orjson.dumps(translated(body, wishes))
        return UpstreamRequest(url=outgoing.url(target, "messages"), headers=headers, body=sent, dropped=wishes.dropped)

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one; a count of tokens is none."""
        return call.stream and call.endpoint != Endpoint.COUNT_TOKENS

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """A message as a chat completion, or as it is for those who asked in the vendor's words."""
        return native_answer(call, target, body) if call.endpoint in _NATIVE else completion(call, target, body)

    def stream(self, call: Call, target: Target) -> ChunkStream | NativeStream:
        """A translator from message events to chunks, or a reader that gives the events on."""
        return NativeStream(target) if call.endpoint in _NATIVE else ChunkStream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)
