"""Vendors of pictures, three-dimensional models and vectors; most are reached through the proxy alone."""

from __future__ import annotations

from functools import partial

from routing.providers.auth import header_key, no_auth
from routing.providers.base import Option
from routing.providers.bedrock import rows as bedrock
from routing.providers.bedrock.credentials import authorise
from routing.providers.bedrock.rows import UNFIT
from routing.providers.table.rows import IMAGES, NONE, own_server, row

_SAGEMAKER = (
    *("custom-attributes", "target-model", "target-variant", "target-container-hostname", "inference-id"),
    *("enable-explanations", "inference-component", "session-id", "model-name"),
)

ROWS = (
    # Endpoints of one's own models, each with words of its own.
    row(
        "sagemaker",
        "Amazon SageMaker",
        "https://runtime.sagemaker.{aws_region}.amazonaws.com",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/sagemaker/api.ts",
        NONE,
        auth=no_auth,
        needs_key=False,
        signer=partial(authorise, service="sagemaker"),
        options=(
            *(option for option in bedrock.ROWS[0].options if option.name.startswith("aws_")),
            *UNFIT,
            *(Option(f"amzn_sagemaker_{name.replace('-', '_')}", sent_as=f"x-amzn-sagemaker-{name}") for name in _SAGEMAKER),
        ),
    ),
    # Older than Gemini and no longer served by its maker; the address is what its clients still name.
    row(
        "palm",
        "Google PaLM",
        "https://generativelanguage.googleapis.com/v1beta3",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/palm/api.ts",
        NONE,
        auth=header_key("x-goog-api-key"),
    ),
    # Pictures and three dimensions.
    row(
        "recraft-ai",
        "Recraft",
        "https://external.api.recraft.ai/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/recraft-ai/api.ts",
        IMAGES,
        aliases=("recraft",),
    ),
    row(
        "meshy",
        "Meshy",
        "https://api.meshy.ai/openapi/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/meshy/api.ts",
        NONE,
    ),
    row(
        "tripo3d",
        "Tripo",
        "https://api.tripo3d.ai/v2/openapi",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/tripo3d/api.ts",
        NONE,
    ),
    row(
        "replicate",
        "Replicate",
        "https://api.replicate.com/v1",
        "https://github.com/Portkey-AI/gateway/blob/main/src/providers/replicate/api.ts",
        NONE,
    ),
    own_server("milvus", "Milvus", "https://milvus.io/api-reference/restful/v2.4.x/About.md", NONE),
    own_server("qdrant", "Qdrant", "https://qdrant.tech/documentation/cloud/authentication/", NONE, auth=header_key("api-key")),
)
