"""The first vendors: OpenAI, whose words the others are measured by, Anthropic, and the one that this process serves itself."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.anthropic import AnthropicDialect
from routing.providers.auth import bearer, header_key, no_auth
from routing.providers.base import Option, Provider
from routing.providers.mock.answers import MODELS
from routing.providers.mock.transport import TRACE_HEADER
from routing.providers.openai import OpenAIDialect

ROWS = (
    # Also any other server of the same dialect, through custom_host.
    Provider(
        id="openai",
        label="OpenAI",
        base_url="https://api.openai.com/v1",
        dialect=OpenAIDialect(),
        auth=bearer,
        supports=frozenset(Endpoint) - {Endpoint.MESSAGES, Endpoint.COUNT_TOKENS},
        options=(
            Option("openai_organization", sent_as="openai-organization"),
            Option("openai_project", sent_as="openai-project"),
            Option("openai_beta", sent_as="openai-beta"),
        ),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/openai/api.ts",
    ),
    Provider(
        id="anthropic",
        label="Anthropic",
        base_url="https://api.anthropic.com/v1",
        dialect=AnthropicDialect(),
        auth=header_key("x-api-key"),
        supports=frozenset({Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.COUNT_TOKENS, Endpoint.PROXY}),
        aliases=("claude",),
        options=(
            Option("anthropic_version", sent_as="anthropic-version"),
            Option("anthropic_beta", sent_as="anthropic-beta"),
        ),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/anthropic/api.ts",
    ),
    # Served by this process (docs/mock-provider.md). Prices treat `mock` as free.
    Provider(
        id="mock",
        label="Mock",
        base_url="mock://local/v1",
        dialect=OpenAIDialect(trace_header=TRACE_HEADER),
        auth=no_auth,
        supports=frozenset(
            (
                *(Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.MODERATIONS, Endpoint.RERANK),
                *(Endpoint.IMAGES, Endpoint.IMAGE_EDITS),
                *(Endpoint.SPEECH, Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS),
            )
        ),
        price_id="mock",
        models=MODELS,
        needs_key=False,
    ),
)
