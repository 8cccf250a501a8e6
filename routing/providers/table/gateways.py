"""Routers and resellers: one account for many vendors' models."""

from __future__ import annotations

from routing.providers.base import Option
from routing.providers.table.rows import CHAT, EMBED, HEARING, IMAGES, OLDER, RERANK, SPEECH, TEXT, row

ROWS = (
    row(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/openrouter/provider.toml",
        CHAT | TEXT | EMBED | RERANK,
        options=(
            Option("openrouter_referer", sent_as="http-referer"),
            Option("openrouter_title", sent_as="x-title"),
        ),
    ),
    row(
        "vercel",
        "Vercel AI Gateway",
        "https://ai-gateway.vercel.sh/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/vercel/provider.toml",
        CHAT | EMBED,
        aliases=("vercel-ai-gateway",),
    ),
    row(
        "helicone",
        "Helicone AI Gateway",
        "https://ai-gateway.helicone.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/helicone/provider.toml",
    ),
    row(
        "requesty",
        "Requesty",
        "https://router.requesty.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/requesty/provider.toml",
        CHAT | EMBED,
    ),
    row(
        "llmgateway",
        "LLM Gateway",
        "https://api.llmgateway.io/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/llmgateway/provider.toml",
    ),
    row(
        "fastrouter",
        "FastRouter",
        "https://go.fastrouter.ai/api/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/fastrouter/provider.toml",
    ),
    row(
        "kilo",
        "Kilo Gateway",
        "https://api.kilo.ai/api/gateway",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/kilo/provider.toml",
    ),
    row(
        "zenmux",
        "ZenMux",
        "https://zenmux.ai/api/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/zenmux/provider.toml",
    ),
    row(
        "nano-gpt",
        "NanoGPT",
        "https://nano-gpt.com/api/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/nano-gpt/provider.toml",
        CHAT | TEXT | EMBED | IMAGES,
        dialect=OLDER,
    ),
    row(
        "poe",
        "Poe",
        "https://api.poe.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/poe/provider.toml",
        dialect=OLDER,
    ),
    row(
        "opencode",
        "OpenCode Zen",
        "https://opencode.ai/zen/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/opencode/provider.toml",
    ),
    row(
        "cortecs",
        "Cortecs",
        "https://api.cortecs.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/cortecs/provider.toml",
    ),
    row(
        "orcarouter",
        "OrcaRouter",
        "https://api.orcarouter.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/orcarouter/provider.toml",
    ),
    row(
        "abacus",
        "Abacus RouteLLM",
        "https://routellm.abacus.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/abacus/provider.toml",
    ),
    row(
        "anyapi",
        "AnyAPI",
        "https://api.anyapi.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/anyapi/provider.toml",
    ),
    row(
        "auriko",
        "Auriko",
        "https://api.auriko.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/auriko/provider.toml",
    ),
    row(
        "apertis",
        "Apertis",
        "https://api.stima.tech/v1",
        "https://github.com/BerriAI/litellm-docs/blob/main/docs/providers/apertis.md",
        dialect=OLDER,
    ),
    row(
        "edenai",
        "Eden AI",
        "https://api.edenai.run/v3",
        "https://github.com/mozilla-ai/any-llm/blob/main/src/any_llm/providers/edenai/edenai.py",
    ),
    row(
        "vivgrid",
        "Vivgrid",
        "https://api.vivgrid.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/vivgrid/provider.toml",
    ),
    row(
        "the-grid-ai",
        "The Grid AI",
        "https://api.thegrid.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/the-grid-ai/provider.toml",
    ),
    row(
        "cometapi",
        "CometAPI",
        "https://api.cometapi.com/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/cometapi/api.ts",
        CHAT | EMBED | IMAGES | SPEECH | HEARING,
    ),
    row(
        "aibadgr",
        "AI Badgr",
        "https://aibadgr.com/api/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/aibadgr/api.ts",
    ),
    row(
        "neosantara",
        "Neosantara",
        "https://api.neosantara.xyz/v1",
        "https://github.com/mozilla-ai/any-llm/blob/main/src/any_llm/providers/registry.py",
        CHAT | IMAGES,
    ),
)
