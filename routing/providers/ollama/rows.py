"""Ollama's row: a server on one's own machine, as a rule without a key."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Provider
from routing.providers.ollama import OllamaDialect

ROWS: tuple[Provider, ...] = (
    Provider(
        id="ollama",
        label="Ollama",
        base_url="http://localhost:11434",
        dialect=OllamaDialect(),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.PROXY}),
        needs_key=False,
        source="https://github.com/BerriAI/litellm-docs/blob/main/docs/providers/ollama.md",
    ),
)
