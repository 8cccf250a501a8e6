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
        "https://docs.github.com/en/rest/models/inference",
        CHAT | EMBED,
        aliases=("github-models",),
    ),
    row(
        "nvidia",
        "NVIDIA API catalog",
        "https://integrate.api.nvidia.com/v1",
        "https://docs.api.nvidia.com/nim/reference/llm-apis",
        CHAT | TEXT | EMBED,
        aliases=("nvidia-nim",),
    ),
    row(
        "databricks",
        "Databricks",
        "https://{databricks_workspace}/serving-endpoints",
        "https://docs.databricks.com/aws/en/machine-learning/model-serving/score-foundation-models",
        CHAT | TEXT | EMBED,
        options=(Option("databricks_workspace"),),
    ),
    row(
        "watsonx",
        "IBM watsonx.ai model gateway",
        "https://{watsonx_region}.ml.cloud.ibm.com/ml/gateway/v1",
        "https://cloud.ibm.com/apidocs/model-gateway",
        CHAT | TEXT | EMBED,
        options=(Option("watsonx_region", default="us-south"),),
        aliases=("ibm",),
    ),
    row(
        "cortex",
        "Snowflake Cortex",
        "https://{snowflake_account}.snowflakecomputing.com/api/v2/cortex/v1",
        "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
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
        "https://www.scaleway.com/en/developers/api/generative-apis/",
        CHAT | EMBED | HEARING | RERANK,
    ),
    row(
        "ovhcloud",
        "OVHcloud AI Endpoints",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        "https://docs.ovhcloud.com/en/guides/public-cloud/ai-machine-learning/ai-endpoints-getting-started",
        CHAT | EMBED,
        needs_key=False,
        aliases=("ovh",),
    ),
    row(
        "digitalocean",
        "DigitalOcean Gradient",
        "https://inference.do-ai.run/v1",
        "https://docs.digitalocean.com/products/gradient-ai-platform/details/models/",
        CHAT | IMAGES,
    ),
    row("vultr", "Vultr Serverless Inference", "https://api.vultrinference.com/v1", "https://api.vultrinference.com/"),
    row(
        "stackit",
        "STACKIT AI Model Serving",
        "https://api.openai-compat.model-serving.eu01.onstackit.cloud/v1",
        "https://docs.stackit.cloud/products/data-and-ai/ai-model-serving/basics/available-shared-models",
        CHAT | EMBED,
    ),
    row(
        "cloudferro-sherlock",
        "CloudFerro Sherlock",
        "https://api-sherlock.cloudferro.com/openai/v1",
        "https://docs.sherlock.cloudferro.com/",
    ),
    row("evroc", "evroc Think", "https://models.think.evroc.com/v1", "https://docs.evroc.com/products/think/overview.html"),
    row("berget", "Berget AI", "https://api.berget.ai/v1", "https://api.berget.ai", CHAT | EMBED),
    row("regolo", "Regolo AI", "https://api.regolo.ai/v1", "https://docs.regolo.ai/", CHAT | EMBED, aliases=("regolo-ai",)),
    row(
        "crusoe",
        "Crusoe Managed Inference",
        "https://managed-inference-api-proxy.crusoecloud.com/v1",
        "https://github.com/BerriAI/litellm/blob/main/litellm/llms/openai_like/providers.json",
    ),
    row(
        "wandb",
        "Weights & Biases Inference",
        "https://api.inference.wandb.ai/v1",
        "https://docs.wandb.ai/guides/integrations/inference/",
    ),
    row("ollama-cloud", "Ollama Cloud", "https://ollama.com/v1", "https://docs.ollama.com/cloud"),
    row(
        "cloudflare-ai-gateway",
        "Cloudflare AI Gateway",
        "https://gateway.ai.cloudflare.com/v1/{cloudflare_account_id}/{cloudflare_gateway_id}/compat",
        "https://developers.cloudflare.com/ai-gateway/usage/chat-completion/",
        options=(
            Option("cloudflare_account_id"),
            Option("cloudflare_gateway_id"),
            # ``Bearer <token>`` of a gateway that asks for one, beside the vendor's key.
            Option("cloudflare_gateway_token", sent_as="cf-aig-authorization", secret=True),
        ),
    ),
)
