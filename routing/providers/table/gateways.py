"""Routers and resellers: one account for many vendors' models."""

from __future__ import annotations

from routing.providers.base import Option
from routing.providers.table.rows import CHAT, EMBED, IMAGES, OLDER, TEXT, row

_PORTKEY = "https://github.com/Portkey-AI/gateway/tree/main/src/providers"

ROWS = (
    row(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "https://openrouter.ai/docs/api-reference/overview",
        CHAT | TEXT | EMBED,
        options=(
            Option("openrouter_referer", sent_as="http-referer"),
            Option("openrouter_title", sent_as="x-title"),
        ),
    ),
    row(
        "vercel",
        "Vercel AI Gateway",
        "https://ai-gateway.vercel.sh/v1",
        "https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
        CHAT | EMBED,
        aliases=("vercel-ai-gateway",),
    ),
    row("helicone", "Helicone AI Gateway", "https://ai-gateway.helicone.ai/v1", "https://docs.helicone.ai/gateway/overview"),
    row("requesty", "Requesty", "https://router.requesty.ai/v1", "https://docs.requesty.ai", CHAT | EMBED),
    row("llmgateway", "LLM Gateway", "https://api.llmgateway.io/v1", "https://docs.llmgateway.io"),
    row("fastrouter", "FastRouter", "https://go.fastrouter.ai/api/v1", "https://docs.fastrouter.ai"),
    row("kilo", "Kilo Gateway", "https://api.kilo.ai/api/gateway", "https://kilo.ai/docs/gateway"),
    row("zenmux", "ZenMux", "https://zenmux.ai/api/v1", "https://docs.zenmux.ai"),
    row(
        "nano-gpt", "NanoGPT", "https://nano-gpt.com/api/v1", "https://docs.nano-gpt.com", CHAT | EMBED | IMAGES, dialect=OLDER
    ),
    row(
        "poe",
        "Poe",
        "https://api.poe.com/v1",
        "https://creator.poe.com/docs/external-applications/openai-compatible-api",
        dialect=OLDER,
    ),
    row("opencode", "OpenCode Zen", "https://opencode.ai/zen/v1", "https://opencode.ai/docs/zen"),
    row("cortecs", "Cortecs", "https://api.cortecs.ai/v1", "https://docs.cortecs.ai/"),
    row("orcarouter", "OrcaRouter", "https://api.orcarouter.ai/v1", "https://docs.orcarouter.ai"),
    row("abacus", "Abacus RouteLLM", "https://routellm.abacus.ai/v1", "https://abacus.ai/help/api"),
    row("anyapi", "AnyAPI", "https://api.anyapi.ai/v1", "https://docs.anyapi.ai"),
    row("auriko", "Auriko", "https://api.auriko.ai/v1", "https://docs.auriko.ai/api-reference/chat-completions"),
    row(
        "apertis",
        "Apertis",
        "https://api.stima.tech/v1",
        "https://github.com/BerriAI/litellm/blob/main/litellm/llms/openai_like/providers.json",
        dialect=OLDER,
    ),
    row("edenai", "Eden AI", "https://api.edenai.run/v3", "https://www.edenai.co/docs"),
    row("vivgrid", "Vivgrid", "https://api.vivgrid.com/v1", "https://docs.vivgrid.com/models"),
    row("the-grid-ai", "The Grid AI", "https://api.thegrid.ai/v1", "https://thegrid.ai/docs/api-reference/consumption-api"),
    row("cometapi", "CometAPI", "https://api.cometapi.com/v1", "https://apidoc.cometapi.com/", CHAT | EMBED | IMAGES),
    row("aibadgr", "AI Badgr", "https://aibadgr.com/api/v1", f"{_PORTKEY}/aibadgr"),
    row("neosantara", "Neosantara", "https://api.neosantara.xyz/v1", "https://docs.neosantara.xyz", CHAT | EMBED | IMAGES),
)
