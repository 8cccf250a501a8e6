"""Hugging Face's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Option, Provider
from routing.providers.huggingface import HuggingFaceDialect

ROWS: tuple[Provider, ...] = (
    Provider(
        id="huggingface",
        label="Hugging Face",
        base_url="https://router.huggingface.co/v1",
        dialect=HuggingFaceDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.PROXY}),
        aliases=("hugging-face", "hf"),
        options=(Option("huggingface_base_url", destination=True, kind="url"),),
        source="https://github.com/anomalyco/models.dev/blob/dev/providers/huggingface/provider.toml",
    ),
)
