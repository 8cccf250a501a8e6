"""The vendors: one row each. Nothing outside this package names one.

A vendor that speaks OpenAI's dialect is added with a row here and a captured pair under tests/routing/providers/<id>/.
"""

from __future__ import annotations

import difflib

from keys.hashing import shown
from routing.call import Endpoint
from routing.errors import InvalidRequest
from routing.providers.anthropic import AnthropicDialect
from routing.providers.auth import bearer, header_key, no_auth
from routing.providers.base import Option, Provider
from routing.providers.mock.answers import MODELS
from routing.providers.mock.transport import TRACE_HEADER
from routing.providers.openai import OpenAIDialect

CHAT, COMPLETIONS, EMBEDDINGS = Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS

_ROWS = (
    # Also any other server of the same dialect, through custom_host.
    Provider(
        id="openai",
        label="OpenAI",
        base_url="https://api.openai.com/v1",
        dialect=OpenAIDialect(),
        auth=bearer,
        supports=frozenset({CHAT, COMPLETIONS, EMBEDDINGS}),
        options=(
            Option("openai_organization", sent_as="openai-organization"),
            Option("openai_project", sent_as="openai-project"),
            Option("openai_beta", sent_as="openai-beta"),
        ),
    ),
    Provider(
        id="anthropic",
        label="Anthropic",
        base_url="https://api.anthropic.com/v1",
        dialect=AnthropicDialect(),
        auth=header_key("x-api-key"),
        supports=frozenset({CHAT}),
        aliases=("claude",),
        options=(
            Option("anthropic_version", sent_as="anthropic-version"),
            Option("anthropic_beta", sent_as="anthropic-beta"),
        ),
    ),
    # Served by this process (docs/mock-provider.md). Prices treat `mock` as free.
    Provider(
        id="mock",
        label="Mock",
        base_url="mock://local/v1",
        dialect=OpenAIDialect(trace_header=TRACE_HEADER),
        auth=no_auth,
        supports=frozenset({CHAT, COMPLETIONS, EMBEDDINGS}),
        price_id="mock",
        models=MODELS,
        needs_key=False,
    ),
)

PROVIDERS: dict[str, Provider] = {row.id: row for row in _ROWS}
_OPTIONS = tuple(option for row in _ROWS for option in row.options)
# The vendors' own settings, as a config or a virtual key may hold them.
OPTIONS = frozenset(option.name for option in _OPTIONS)
# Which request header sets which option: the vendor's own header, or Portkey's, which wins because it stands later.
OPTION_HEADERS: dict[str, str] = {
    **{option.sent_as: option.name for option in _OPTIONS if option.sent_as},
    **{option.request_header: option.name for option in _OPTIONS},
}
_BY_NAME: dict[str, Provider] = {**{alias: row for row in _ROWS for alias in row.aliases}, **PROVIDERS}


def find(name: str) -> Provider:
    """The row for a provider's id or one of its aliases. Raises `InvalidRequest` that names what comes near."""
    row = _BY_NAME.get(name)
    if row is not None:
        return row
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known are: {', '.join(sorted(PROVIDERS))}."
    raise InvalidRequest(f"Unknown provider {shown(name)!r}. {hint}", param="provider", code="unknown_provider")
