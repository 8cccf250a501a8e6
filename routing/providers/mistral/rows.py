"""Mistral's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Option, Provider
from routing.providers.mistral import MistralDialect

ROWS: tuple[Provider, ...] = (
    Provider(
        id="mistral-ai",
        label="Mistral",
        base_url="https://api.mistral.ai/v1",
        dialect=MistralDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.PROXY}),
        aliases=("mistral", "mistralai"),
        price_id="mistral",
        stream_usage=False,
        options=(Option("mistral_fim_completion"),),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/mistral-ai/api.ts",
    ),
)
