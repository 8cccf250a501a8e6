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
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/x-ai/api.ts",
        CHAT | TEXT | EMBED | IMAGES,
        aliases=("xai", "grok"),
    ),
    row(
        "ai21",
        "AI21 Labs",
        "https://api.ai21.com/studio/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/ai21/api.ts",
        dialect=OLDER,
        stream_usage=False,
    ),
    # Its streams have no [DONE]: github.com/perplexityai/api-discussion/issues/209
    row(
        "perplexity-ai",
        "Perplexity",
        "https://api.perplexity.ai",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/perplexity-ai/api.ts",
        dialect=OpenAIDialect(developer_role=False, renames=OLDER.renames, says_done=False),
        stream_usage=False,
        aliases=("perplexity",),
        price_id="perplexity",
    ),
    row(
        "reka-ai",
        "Reka AI",
        "https://api.reka.ai/v1",
        "https://docs.litellm.ai/docs/providers/reka",
        stream_usage=False,
        aliases=("reka",),
    ),
    row(
        "upstage",
        "Upstage",
        "https://api.upstage.ai/v1/solar",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/upstage/api.ts",
        CHAT | EMBED,
    ),
    row(
        "krutrim",
        "Krutrim",
        "https://cloud.olakrutrim.com/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/krutrim/api.ts",
    ),
    row(
        "sarvam",
        "Sarvam AI",
        "https://api.sarvam.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/sarvam/provider.toml",
        dialect=OLDER,
        auth=header_key("api-subscription-key"),
    ),
    row(
        "inception",
        "Inception",
        "https://api.inceptionlabs.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/inception/provider.toml",
    ),
    row(
        "meta-ai",
        "Meta AI",
        "https://api.meta.ai/v1",
        "https://github.com/mozilla-ai/any-llm/blob/main/src/any_llm/providers/meta/meta.py",
        aliases=("meta",),
        price_id="meta",
    ),
    row(
        "llama-api",
        "Meta Llama API",
        "https://api.llama.com/compat/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/llama/provider.toml",
    ),
    row(
        "amazon-nova",
        "Amazon Nova API",
        "https://api.nova.amazon.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/nova/provider.toml",
    ),
    row(
        "arcee",
        "Arcee AI",
        "https://api.arcee.ai/api/v1",
        "https://github.com/cline/cline/blob/main/sdk/packages/llms/src/providers/providers.generated.ts",
    ),
    row(
        "morph",
        "Morph",
        "https://api.morphllm.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/morph/provider.toml",
    ),
    row(
        "poolside",
        "Poolside",
        "https://inference.poolside.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/poolside/provider.toml",
    ),
    row(
        "sakana",
        "Sakana AI",
        "https://api.sakana.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/sakana/provider.toml",
    ),
    row(
        "subconscious",
        "Subconscious",
        "https://api.subconscious.dev/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/subconscious/provider.toml",
    ),
    row("v0", "v0", "https://api.v0.dev/v1", "https://github.com/anomalyco/models.dev/blob/dev/providers/v0/provider.toml"),
    row(
        "matterai",
        "MatterAI",
        "https://api.matterai.so/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/matterai/api.ts",
    ),
    # Embeddings and reranking.
    row(
        "voyage",
        "Voyage AI",
        "https://api.voyageai.com/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/voyage/api.ts",
        EMBED | RERANK,
        aliases=("voyageai",),
        price_id="voyageai",
    ),
    row(
        "jina",
        "Jina AI",
        "https://api.jina.ai/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/jina/api.ts",
        EMBED | RERANK,
        aliases=("jina-ai",),
    ),
)
