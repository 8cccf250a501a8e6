"""Companies that make the models they serve."""

from __future__ import annotations

from routing.providers.auth import header_key
from routing.providers.openai import OpenAIDialect
from routing.providers.table.rows import (
    CHAT,
    EMBED,
    IMAGES,
    OLDER,
    RERANK,
    TEXT,
    row,
)

ROWS = (
    row(
        "x-ai",
        "xAI",
        "https://api.x.ai/v1",
        "https://docs.x.ai/docs/api-reference",
        CHAT | TEXT | EMBED | IMAGES,
        aliases=("xai", "grok"),
    ),
    row(
        "ai21",
        "AI21 Labs",
        "https://api.ai21.com/studio/v1",
        "https://docs.ai21.com/reference/jamba-1-6-api-ref",
        dialect=OLDER,
        stream_usage=False,
    ),
    # Its streams have no [DONE]: github.com/perplexityai/api-discussion/issues/209
    row(
        "perplexity-ai",
        "Perplexity",
        "https://api.perplexity.ai",
        "https://docs.perplexity.ai/api-reference/chat-completions-post",
        dialect=OpenAIDialect(developer_role=False, renames=OLDER.renames, says_done=False),
        stream_usage=False,
        aliases=("perplexity",),
        price_id="perplexity",
    ),
    row("reka-ai", "Reka AI", "https://api.reka.ai/v1", "https://docs.reka.ai/", stream_usage=False, aliases=("reka",)),
    row(
        "upstage",
        "Upstage",
        "https://api.upstage.ai/v1/solar",
        "https://developers.upstage.ai/docs/apis/chat",
        CHAT | EMBED,
    ),
    row(
        "krutrim",
        "Krutrim",
        "https://cloud.olakrutrim.com/v1",
        "https://github.com/Portkey-AI/gateway/tree/main/src/providers/krutrim",
    ),
    row(
        "sarvam",
        "Sarvam AI",
        "https://api.sarvam.ai/v1",
        "https://docs.sarvam.ai/api-reference-docs/getting-started/models",
        dialect=OLDER,
        auth=header_key("api-subscription-key"),
    ),
    row("inception", "Inception", "https://api.inceptionlabs.ai/v1", "https://platform.inceptionlabs.ai/docs"),
    row("meta-ai", "Meta AI", "https://api.meta.ai/v1", "https://dev.meta.ai/docs", aliases=("meta",), price_id="meta"),
    row("llama-api", "Meta Llama API", "https://api.llama.com/compat/v1", "https://llama.developer.meta.com/docs/models"),
    row("amazon-nova", "Amazon Nova API", "https://api.nova.amazon.com/v1", "https://nova.amazon.com/dev/documentation"),
    row("arcee", "Arcee AI", "https://api.arcee.ai/api/v1", "https://docs.arcee.ai/"),
    row("morph", "Morph", "https://api.morphllm.com/v1", "https://docs.morphllm.com/api-reference/introduction", CHAT | EMBED),
    row("poolside", "Poolside", "https://inference.poolside.ai/v1", "https://platform.poolside.ai"),
    row("sakana", "Sakana AI", "https://api.sakana.ai/v1", "https://console.sakana.ai/models"),
    row("subconscious", "Subconscious", "https://api.subconscious.dev/v1", "https://docs.subconscious.dev"),
    row("v0", "v0", "https://api.v0.dev/v1", "https://sdk.vercel.ai/providers/ai-sdk-providers/vercel"),
    row(
        "matterai",
        "MatterAI",
        "https://api.matterai.so/v1",
        "https://github.com/Portkey-AI/gateway/tree/main/src/providers/matterai",
    ),
    # Embeddings and reranking.
    row(
        "voyage",
        "Voyage AI",
        "https://api.voyageai.com/v1",
        "https://docs.voyageai.com/reference/embeddings-api",
        EMBED | RERANK,
        aliases=("voyageai",),
        price_id="voyageai",
    ),
    row("jina", "Jina AI", "https://api.jina.ai/v1", "https://jina.ai/embeddings/", EMBED | RERANK, aliases=("jina-ai",)),
)
