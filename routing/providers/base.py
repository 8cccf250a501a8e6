"""What a vendor is: a row (`Provider`) that names a dialect (`Dialect`), and nothing anywhere else.

The order of work is the pipeline's; a dialect writes four pure steps. It does no I/O and keeps no state between calls.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest, Usage
from routing.errors import ProviderError

if TYPE_CHECKING:
    from routing.upstream import UpstreamResponse


class StreamTranslator(Protocol):
    """Turns a provider's event stream into the caller's, piece by piece; made anew for each stream.

    `done` turns true with the event that ends a complete stream: bytes that end before it were cut. A body whose end is the
    end of the connection's (`ends_with_body`: audio, a file) is complete without one. `usage` and `model` are what has been
    read so far. `deltas` counts the pieces of content seen: none yet means that the answer has not begun, and usage is
    estimated from it for a cut stream.
    """

    usage: Usage | None
    model: str | None
    done: bool
    deltas: int
    ends_with_body: bool

    def feed(self, data: bytes) -> bytes:
        """Whole events for the caller, possibly none. Half an event is kept back until the rest comes.

        Raises `ProviderError` for an error event of the provider's and `UpstreamInvalid` for bytes that are no event stream.
        """
        ...


class Dialect(Protocol):
    """The four pure steps of speaking to a vendor, and which answers are streams."""

    def streams(self, call: Call, target: Target) -> bool:
        """Whether the answer to this call is to be read with `stream`: an event stream, or bytes that are passed through."""
        ...

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


# A way to the wire, such as `Upstream.send`.
Send = Callable[[UpstreamRequest], Awaitable["UpstreamResponse"]]

# Adds a target's credentials to the request's headers.
Auth = Callable[[dict[str, str], Target], None]


class Signer(Protocol):
    """For credentials that a header alone cannot carry: a signature over the whole request, a token to be fetched first."""

    async def __call__(self, request: UpstreamRequest, target: Target, send: Send) -> UpstreamRequest:
        """The request with its credentials. Raises `InvalidRequest` that names what is missing, `UpstreamError` for a failed
        fetch. `send` is the gateway's own way out, egress guard included."""
        ...


_SPELLED = {
    word.lower(): word for word in ("API", "ID", "URL", "AD", "AWS", "STS", "ARN", "JSON", "OpenAI", "Entra", "SageMaker")
}


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a vendor beside the key: `name` in configs and virtual keys, ``x-portkey-<header>`` in a request.

    `header` is the name with hyphens where it is empty; its own spelling with underscores, and `aliases`, are further names in
    configs and virtual keys. `sent_as` is the header that carries the option to the vendor; a caller may send that one too.
    A `secret` is encrypted at rest, masked, and bound to its host like the key itself. A `destination` decides where the
    credential goes, so that a stored one is not sent elsewhere by a caller; an option in the base URL always is one. `default`
    stands in for an option that nobody gives. `kind` is ``url`` for an absolute address and ``json`` for an object, which is
    kept as its text. `unfit` is why the gateway cannot do what an option asks for that callers bring from elsewhere: it is
    refused with these words and not overlooked.
    """

    name: str
    header: str = ""
    sent_as: str | None = None
    secret: bool = False
    required: bool = False
    aliases: tuple[str, ...] = ()
    destination: bool = False
    default: str = ""
    kind: Literal["text", "url", "json"] = "text"
    unfit: str = ""

    @property
    def request_header(self) -> str:
        return f"x-portkey-{self.header or self.name.replace('_', '-')}"

    @property
    def request_headers(self) -> tuple[str, ...]:
        """Everything that it may be called in a request; `request_header`, which goes before the others, is the last."""
        return (*(f"x-portkey-{name.replace('_', '-')}" for name in reversed(self.names)), self.request_header)

    @property
    def title(self) -> str:
        """For people: ``aws_role_arn`` is "AWS role ARN"."""
        words = [_SPELLED.get(word, word) for word in self.name.split("_")]
        return " ".join((words[0][:1].upper() + words[0][1:], *words[1:]))

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it may be called in a config or a virtual key, the canonical name first."""
        return tuple(dict.fromkeys((self.name, *filter(None, (self.header.replace("-", "_"),)), *self.aliases)))


_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the provider table.

    `base_url` may hold options in braces: ``https://{resource_name}.example``; it is empty for a server that every user runs
    elsewhere, which then needs a custom host. `price_id` is the vendor's name in genai-prices where it differs from `id`.
    `stream_usage` says that the vendor understands ``stream_options.include_usage``. `needs_key` is false where a call without
    a credential makes sense. `own_names` says that models have names of the user's own making: the price is that of the model
    which the answer names. `models` names the vendor's models where the price list does not. `source` is the public page that
    the row's address was taken from.
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
    own_names: bool = False
    options: tuple[Option, ...] = ()
    signer: Signer | None = None
    models: tuple[str, ...] = ()
    source: str = ""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The options that the base URL is made of."""
        return tuple(_PLACEHOLDER.findall(self.base_url))

    @property
    def destinations(self) -> frozenset[str]:
        """The options that decide where the credential is sent."""
        return frozenset({*self.placeholders, *(option.name for option in self.options if option.destination)})
