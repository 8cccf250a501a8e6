"""The rows of Google's two ways to its models."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import header_key, no_auth
from routing.providers.base import Option, Provider
from routing.providers.google import GeminiDialect
from routing.providers.google.accounts import SERVICE_ACCOUNT
from routing.providers.google.address import PROJECT, REGION
from routing.providers.google.tokens import AccessTokens
from routing.providers.google.vertex import VertexDialect

_SUPPORTS = frozenset({Endpoint.CHAT, Endpoint.EMBEDDINGS, Endpoint.IMAGES})

ROWS = (
    Provider(
        id="google",
        label="Google Gemini",
        base_url="https://generativelanguage.googleapis.com",
        dialect=GeminiDialect(),
        auth=header_key("x-goog-api-key"),
        supports=_SUPPORTS,
        aliases=("gemini", "google-ai", "google-gemini", "google-ai-studio"),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/google/api.ts",
    ),
    # The region's host is made from the region (`address`), since the region `global` has none of its own.
    Provider(
        id="vertex-ai",
        label="Google Vertex AI",
        base_url="https://aiplatform.googleapis.com",
        dialect=VertexDialect(),
        auth=no_auth,
        supports=_SUPPORTS,
        aliases=("vertex", "vertexai", "vertex_ai", "google-vertex", "google-vertex-ai"),
        price_id="google",
        # The signer shows the credential, which need not be a key, and says what is missing.
        needs_key=False,
        options=(
            PROJECT,
            REGION,
            SERVICE_ACCOUNT,
            Option("anthropic_version"),
            Option("anthropic_beta", sent_as="anthropic-beta"),
            Option("vertex_storage_bucket_name", unfit="the gateway has no files and batches of Vertex AI, for which this is."),
        ),
        signer=AccessTokens(),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/google-vertex-ai/api.ts",
    ),
)
