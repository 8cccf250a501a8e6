"""The row of Workers AI. An account stands in its address."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Option, Provider
from routing.providers.workers_ai import WorkersAIDialect

ROWS: tuple[Provider, ...] = (
    Provider(
        id="workers-ai",
        label="Workers AI",
        base_url="https://api.cloudflare.com/client/v4/accounts/{workers_ai_account_id}/ai/run",
        dialect=WorkersAIDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.EMBEDDINGS, Endpoint.IMAGES, Endpoint.PROXY}),
        aliases=("cloudflare", "cloudflare-workers-ai"),
        price_id="cloudflare",
        options=(Option("workers_ai_account_id"),),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/workers-ai/api.ts",
    ),
)
