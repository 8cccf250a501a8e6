"""How a row is written for a vendor of OpenAI's dialect: what such a row leaves unsaid, it has like most of them."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Auth, Dialect, Option, Provider, Signer
from routing.providers.openai import OpenAIDialect

NONE: frozenset[Endpoint] = frozenset()
CHAT = frozenset({Endpoint.CHAT})
TEXT = frozenset({Endpoint.COMPLETIONS})
EMBED = frozenset({Endpoint.EMBEDDINGS})
RERANK = frozenset({Endpoint.RERANK})
IMAGES = frozenset({Endpoint.IMAGES})
IMAGE_EDITS = frozenset({Endpoint.IMAGE_EDITS})
SPEECH = frozenset({Endpoint.SPEECH})
HEARING = frozenset({Endpoint.TRANSCRIPTIONS})
TRANSLATION = frozenset({Endpoint.TRANSLATIONS})
MODERATIONS = frozenset({Endpoint.MODERATIONS})
RESPONSES = frozenset({Endpoint.RESPONSES})
MESSAGES = frozenset({Endpoint.MESSAGES})
FILES = frozenset({Endpoint.FILES})
BATCHES = frozenset({Endpoint.FILES, Endpoint.BATCHES})
TUNING = frozenset({Endpoint.FILES, Endpoint.FINE_TUNING})
REALTIME = frozenset({Endpoint.REALTIME})

# OpenAI's dialect as it was before the role `developer`; almost every other vendor speaks this one.
COMMON = OpenAIDialect(developer_role=False)
# The same with the older name for the bound of an answer, for vendors that document no other.
OLDER = OpenAIDialect(developer_role=False, renames={"max_completion_tokens": "max_tokens"})


def row(  # noqa: PLR0913 - the fields of a row by their names
    name: str,
    label: str,
    base_url: str,
    source: str,
    supports: frozenset[Endpoint] = CHAT,
    *,
    dialect: Dialect = COMMON,
    auth: Auth = bearer,
    aliases: tuple[str, ...] = (),
    price_id: str | None = None,
    stream_usage: bool = True,
    needs_key: bool = True,
    options: tuple[Option, ...] = (),
    signer: Signer | None = None,
) -> Provider:
    """A vendor of OpenAI's dialect with the key as a bearer token. Whatever else it has can be reached through the proxy."""
    return Provider(
        id=name,
        label=label,
        base_url=base_url,
        dialect=dialect,
        auth=auth,
        supports=supports | {Endpoint.PROXY},
        aliases=aliases,
        price_id=price_id,
        stream_usage=stream_usage,
        needs_key=needs_key,
        options=options,
        signer=signer,
        source=source,
    )


def own_server(  # noqa: PLR0913 - as above
    name: str,
    label: str,
    source: str,
    supports: frozenset[Endpoint] = CHAT,
    *,
    dialect: Dialect = COMMON,
    auth: Auth = bearer,
    aliases: tuple[str, ...] = (),
) -> Provider:
    """A server that every user runs elsewhere: it has no address of its own, and a key only where its owner asks for one."""
    return row(name, label, "", source, supports, dialect=dialect, auth=auth, aliases=aliases, needs_key=False)
