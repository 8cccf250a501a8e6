"""Callers who speak another API than their target: Anthropic's Messages and OpenAI's Responses, on top of chat.

A target whose row lists the endpoint speaks it itself, and bytes pass through. Every other target that knows chat completions
is spoken to by its own dialect: an adapter turns the call into a chat before it, and the answer back (docs/adapters.md).
"""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Answer, Call, Endpoint, Json, Target
from routing.errors import GatewayError
from routing.providers import raw
from routing.providers.adapters import messages, responses
from routing.providers.adapters.adapted import Adapted, AdaptedStream, Adapter
from routing.providers.base import Dialect, Provider, StreamTranslator

_ADAPTERS: dict[str, Adapter] = {Endpoint.MESSAGES: messages.ADAPTER, Endpoint.RESPONSES: responses.ADAPTER}
# The endpoints whose callers expect errors in Anthropic's shape.
_ANTHROPIC = frozenset({Endpoint.MESSAGES, Endpoint.COUNT_TOKENS})


def serves(endpoint: str, provider: Provider) -> bool:
    """Whether calls of this kind can go to the vendor, as they are or as a chat."""
    return endpoint in provider.supports or (
        Endpoint.CHAT in provider.supports and (endpoint in _ADAPTERS or endpoint == Endpoint.COUNT_TOKENS)
    )


def dialect_for(call: Call, target: Target) -> Dialect:
    """The target's own dialect, wrapped where it does not speak the caller's API; bytes as they are for any other route."""
    if call.endpoint == Endpoint.PROXY:
        return raw.DIALECT
    dialect = target.provider.dialect
    if call.endpoint in target.provider.supports:
        return dialect
    adapter = _ADAPTERS.get(call.endpoint)
    return dialect if adapter is None else Adapted(dialect, adapter)


def answered_here(call: Call, target: Target) -> Answer | None:
    """The answer to a call that needs no provider: an estimate of tokens for a vendor that has no count of its own."""
    if call.endpoint != Endpoint.COUNT_TOKENS or call.endpoint in target.provider.supports:
        return None
    return messages.count_tokens(call, target)


def error_body(endpoint: str, error: GatewayError) -> Json:
    """An error in the words of the endpoint's callers."""
    return messages.error_body(error) if endpoint in _ANTHROPIC else error.body()


def error_event(endpoint: str, error: GatewayError, translator: StreamTranslator | None = None) -> bytes:
    """The event that ends a broken stream, in the words of the endpoint's callers."""
    if isinstance(translator, AdaptedStream):
        return translator.failed(error)
    if endpoint == Endpoint.MESSAGES:
        return messages.error_event(error)
    if endpoint == Endpoint.RESPONSES:
        return responses.error_event(error)
    return sse.encode(orjson.dumps(error.body()))
