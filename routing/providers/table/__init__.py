"""The vendors: one row each. Nothing outside `routing.providers` names one.

A vendor that speaks OpenAI's dialect is added with a row here and a captured pair under tests/routing/providers/<id>/; one with
a dialect of its own has its rows beside that dialect. Everything that lists vendors is made of `PROVIDERS`.
"""

from __future__ import annotations

import difflib
from typing import Any

from keys.hashing import shown
from routing.errors import InvalidRequest
from routing.providers import options
from routing.providers.azure import rows as azure
from routing.providers.base import Option, Provider
from routing.providers.bedrock import rows as bedrock
from routing.providers.cohere import rows as cohere
from routing.providers.google import rows as google
from routing.providers.huggingface import rows as huggingface
from routing.providers.mistral import rows as mistral
from routing.providers.nomic import rows as nomic
from routing.providers.ollama import rows as ollama
from routing.providers.oracle import rows as oracle
from routing.providers.segmind import rows as segmind
from routing.providers.stability import rows as stability
from routing.providers.table import china, clouds, first, gateways, inference, makers, servers, specialists
from routing.providers.workers_ai import rows as workers_ai

_ROWS: tuple[Provider, ...] = (
    *first.ROWS,
    *makers.ROWS,
    *inference.ROWS,
    *clouds.ROWS,
    *china.ROWS,
    *gateways.ROWS,
    *servers.ROWS,
    *specialists.ROWS,
    *nomic.ROWS,
    *segmind.ROWS,
    *stability.ROWS,
    *azure.ROWS,
    *bedrock.ROWS,
    *cohere.ROWS,
    *google.ROWS,
    *huggingface.ROWS,
    *mistral.ROWS,
    *ollama.ROWS,
    *oracle.ROWS,
    *workers_ai.ROWS,
)

PROVIDERS: dict[str, Provider] = {row.id: row for row in _ROWS}
_BY_NAME: dict[str, Provider] = {**{alias: row for row in _ROWS for alias in row.aliases}, **PROVIDERS}

_OPTIONS: dict[str, Option] = {option.name: option for row in _ROWS for option in row.options}
# Everything that an option may be called in a config or a virtual key, and its canonical name.
OPTION_NAMES: dict[str, str] = {name: option.name for row in _ROWS for option in row.options for name in option.names}
# The vendors' own settings, by their canonical names.
OPTIONS = frozenset(_OPTIONS)
# Those that are credentials: no saved config may hold one.
SECRET_OPTIONS = frozenset(name for name, option in _OPTIONS.items() if option.secret)
# Which request header sets which option: the vendor's own header, or Portkey's, which wins because it stands later.
OPTION_HEADERS: dict[str, str] = {
    **{option.sent_as: option.name for row in _ROWS for option in row.options if option.sent_as},
    **{header: option.name for row in _ROWS for option in row.options for header in option.request_headers},
}


def option_value(name: str, value: Any, path: str) -> str:
    """What a config says of an option, by the option's canonical name. Raises `InvalidConfig` with the path."""
    return options.read(_OPTIONS[name], value, path)


def option_schema(name: str) -> dict[str, Any]:
    """What a config's JSON schema says of an option. One that would be refused fits no value."""
    return {"not": {}} if _OPTIONS[name].unfit else {"type": ["string", "object", "number", "boolean"]}


def find(name: str) -> Provider:
    """The row for a provider's id or one of its aliases. Raises `InvalidRequest` that names what comes near."""
    row = _BY_NAME.get(name)
    if row is not None:
        return row
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "docs/providers.md has the list."
    raise InvalidRequest(f"Unknown provider {shown(name)!r}. {hint}", param="provider", code="unknown_provider")
