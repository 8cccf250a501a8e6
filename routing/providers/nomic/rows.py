"""Nomic's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Provider
from routing.providers.nomic import NomicDialect

ROWS = (
    Provider(
        id="nomic",
        label="Nomic",
        base_url="https://api-atlas.nomic.ai/v1",
        dialect=NomicDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.EMBEDDINGS, Endpoint.PROXY}),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/nomic/api.ts",
    ),
)
