"""What a vendor is: a row (`Provider`) that names a dialect (`Dialect`), and nothing anywhere else.

The order of work is the pipeline's; a dialect writes four pure steps. It does no I/O and keeps no state between calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest, Usage
from routing.errors import ProviderError


class StreamTranslator(Protocol):
    """Turns a provider's event stream into the caller's, piece by piece; made anew for each stream.

    `done` turns true with the event that ends a complete stream: bytes that end before it were cut. `usage` and `model` are
    what has been read so far. `deltas` counts the pieces of content seen, from which usage is estimated for a cut stream.
    """

    usage: Usage | None
    model: str | None
    done: bool
    deltas: int

    def feed(self, data: bytes) -> bytes:
        """Whole events for the caller, possibly none. Half an event is kept back until the rest comes.

        Raises `ProviderError` for an error event of the provider's and `UpstreamInvalid` for bytes that are no event stream.
        """
        ...


class Dialect(Protocol):
    """The four pure steps of speaking to a vendor."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the provider's words. Raises `Unsupported`, with the field's path, for what it cannot express."""
        ...

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """A 2xx body in the caller's words. Raises `UpstreamInvalid` when it is not what it should be."""
        ...

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """A translator for one event stream."""
        ...

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """An error answer in OpenAI's words, status kept, credentials never in it."""
        ...


# Adds a target's credentials to the request's headers.
Auth = Callable[[dict[str, str], Target], None]


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the provider table.

    `price_id` is the vendor's name in genai-prices where it differs from `id`. `stream_usage` says that the vendor understands
    ``stream_options.include_usage``. `needs_key` is false where a call without a credential makes sense. `option_headers` maps
    a target option to the header that carries it upstream. `models` names the vendor's models where the price list does not.
    """

    id: str
    label: str
    base_url: str
    dialect: Dialect
    auth: Auth
    supports: frozenset[Endpoint]
    aliases: tuple[str, ...] = ()
    price_id: str | None = None
    stream_usage: bool = True
    needs_key: bool = True
    option_headers: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
