"""Stability's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Option, Provider
from routing.providers.stability import StabilityDialect

ROWS = (
    Provider(
        id="stability-ai",
        label="Stability AI",
        base_url="https://api.stability.ai",
        dialect=StabilityDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.IMAGES, Endpoint.PROXY}),
        aliases=("stability",),
        options=(
            Option("stability_client_id", sent_as="stability-client-id"),
            Option("stability_client_user_id", sent_as="stability-client-user-id"),
            Option("stability_client_version", sent_as="stability-client-version"),
        ),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/stability-ai/api.ts",
    ),
)
