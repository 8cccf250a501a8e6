"""Cohere's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Provider
from routing.providers.cohere import CohereDialect

ROWS = (
    Provider(
        id="cohere",
        label="Cohere",
        base_url="https://api.cohere.com",
        dialect=CohereDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.EMBEDDINGS, Endpoint.RERANK, Endpoint.PROXY}),
        source="https://github.com/anomalyco/models.dev/blob/dev/providers/cohere/provider.toml",
    ),
)
