"""Clouds: their inference services, in whose addresses an account or a region often stands."""

from __future__ import annotations

from routing.providers.base import Option
from routing.providers.table.rows import (
    CHAT,
    EMBED,
    HEARING,
    IMAGES,
    RERANK,
    TEXT,
    row,
)

ROWS = (
    row(
        "github",
        "GitHub Models",
        "https://models.github.ai/inference",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/github-models/provider.toml",
        CHAT | EMBED,
        aliases=("github-models",),
    ),
    row(
        "nvidia",
        "NVIDIA API catalog",
        "https://integrate.api.nvidia.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/nvidia/provider.toml",
        CHAT | TEXT | EMBED,
        aliases=("nvidia-nim",),
    ),
    row(
        "databricks",
        "Databricks",
        "https://{databricks_workspace}/serving-endpoints",
        "https://github.com/BerriAI/litellm-docs/blob/main/docs/providers/databricks.md",
        CHAT | TEXT | EMBED,
        options=(Option("databricks_workspace"),),
    ),
    row(
        "watsonx",
        "IBM watsonx.ai model gateway",
        "https://{watsonx_region}.ml.cloud.ibm.com/ml/gateway/v1",
        "https://www.ibm.com/docs/en/watsonx/saas?topic=generation-inferencing-gateway-models",
        CHAT | TEXT | EMBED,
        options=(Option("watsonx_region", default="us-south"),),
        aliases=("ibm",),
    ),
    row(
        "cortex",
        "Snowflake Cortex",
        "https://{snowflake_account}.snowflakecomputing.com/api/v2/cortex/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/snowflake-cortex/provider.toml",
        options=(
            Option("snowflake_account"),
            Option("snowflake_token_type", sent_as="x-snowflake-authorization-token-type"),
        ),
        aliases=("snowflake", "snowflake-cortex"),
    ),
    row(
        "scaleway",
        "Scaleway Generative APIs",
        "https://api.scaleway.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/scaleway/provider.toml",
        CHAT | EMBED | HEARING | RERANK,
    ),
    row(
        "ovhcloud",
        "OVHcloud AI Endpoints",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/ovhcloud/api.ts",
        CHAT | EMBED | HEARING,
        needs_key=False,
        aliases=("ovh",),
    ),
    row(
        "digitalocean",
        "DigitalOcean Gradient",
        "https://inference.do-ai.run/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/digitalocean/provider.toml",
        CHAT | IMAGES,
    ),
    row(
        "vultr",
        "Vultr Serverless Inference",
        "https://api.vultrinference.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/vultr/provider.toml",
    ),
    row(
        "stackit",
        "STACKIT AI Model Serving",
        "https://api.openai-compat.model-serving.eu01.onstackit.cloud/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/stackit/provider.toml",
        CHAT | EMBED,
    ),
    row(
        "cloudferro-sherlock",
        "CloudFerro Sherlock",
        "https://api-sherlock.cloudferro.com/openai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/cloudferro-sherlock/provider.toml",
    ),
    row(
        "evroc",
        "evroc Think",
        "https://models.think.evroc.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/evroc/provider.toml",
    ),
    row(
        "berget",
        "Berget AI",
        "https://api.berget.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/berget/provider.toml",
        CHAT | EMBED,
    ),
    row(
        "regolo",
        "Regolo AI",
        "https://api.regolo.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/regolo-ai/provider.toml",
        CHAT | EMBED,
        aliases=("regolo-ai",),
    ),
    row(
        "crusoe",
        "Crusoe Managed Inference",
        "https://api.inference.crusoecloud.com/v1",
        "https://docs.crusoecloud.com/quickstart/getting-started-with-serverless-inference",
    ),
    row(
        "wandb",
        "Weights & Biases Inference",
        "https://api.inference.wandb.ai/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/wandb/provider.toml",
    ),
    row(
        "ollama-cloud",
        "Ollama Cloud",
        "https://ollama.com/v1",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/ollama-cloud/provider.toml",
    ),
    row(
        "cloudflare-ai-gateway",
        "Cloudflare AI Gateway",
        "https://gateway.ai.cloudflare.com/v1/{cloudflare_account_id}/{cloudflare_gateway_id}/compat",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/cloudflare-ai-gateway/README.md",
        options=(
            Option("cloudflare_account_id"),
            Option("cloudflare_gateway_id"),
            # ``Bearer <token>`` of a gateway that asks for one, beside the vendor's key.
            Option("cloudflare_gateway_token", sent_as="cf-aig-authorization", secret=True),
        ),
    ),
)
