"""Azure's rows."""

from __future__ import annotations

from routing.call import Endpoint, Target, UpstreamRequest
from routing.providers.auth import no_auth
from routing.providers.azure import AzureOpenAIDialect, FoundryDialect, credentials, speaks_anthropic
from routing.providers.base import Option, Provider, Send

# The newest version by date that is not a preview.
DEFAULT_API_VERSION = "2024-10-21"

_WHOLE_ADDRESS = "addresses of endpoints have changed too often to be made of parts: give the whole one as azure_foundry_url."

_NOT_OF_OPENAI = frozenset(
    (
        *(Endpoint.MESSAGES, Endpoint.COUNT_TOKENS, Endpoint.RERANK, Endpoint.MODERATIONS),
        *(Endpoint.IMAGE_VARIATIONS, Endpoint.REALTIME),
    )
)

_sign_openai = credentials.signer("api-key")
# Endpoints of a model's own ask for the one, those of a resource for the other, and neither minds both.
_sign_foundry = credentials.signer("authorization", "api-key")
_sign_anthropic = credentials.signer("x-api-key")


async def _foundry(request: UpstreamRequest, target: Target, send: Send) -> UpstreamRequest:
    return await (_sign_anthropic if speaks_anthropic(target) else _sign_foundry)(request, target, send)


ROWS = (
    # A token may stand in for the key, so the signer says what is missing.
    Provider(
        id="azure-openai",
        label="Azure OpenAI",
        base_url="https://{resource_name}.openai.azure.com/openai",
        dialect=AzureOpenAIDialect(),
        auth=no_auth,
        signer=_sign_openai,
        needs_key=False,
        own_names=True,
        supports=frozenset(Endpoint) - _NOT_OF_OPENAI,
        aliases=("azure",),
        price_id="azure",
        options=(
            Option("resource_name", header="azure-resource-name"),
            Option("deployment_id", header="azure-deployment-id", aliases=("deployment_name", "azure_deployment_name")),
            Option("api_version", header="azure-api-version", default=DEFAULT_API_VERSION),
            Option("azure_model_name"),
            Option("openai_beta", sent_as="openai-beta"),
            *credentials.OPTIONS,
        ),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/azure-openai/api.ts",
    ),
    Provider(
        id="azure-ai",
        label="Azure AI Foundry",
        base_url="{azure_foundry_url}",
        dialect=FoundryDialect(),
        auth=no_auth,
        signer=_foundry,
        needs_key=False,
        supports=frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.PROXY}),
        aliases=("azure-foundry", "azure-ai-inference"),
        price_id="azure",
        options=(
            Option("azure_foundry_url", kind="url"),
            Option("api_version", header="azure-api-version"),
            Option("azure_endpoint_name", unfit=_WHOLE_ADDRESS),
            Option("azure_region", unfit=_WHOLE_ADDRESS),
            Option("azure_deployment_type", unfit=_WHOLE_ADDRESS),
            Option("azure_extra_parameters", header="azure-extra-params", sent_as="extra-parameters", default="drop"),
            Option("anthropic_version", sent_as="anthropic-version"),
            Option("anthropic_beta", sent_as="anthropic-beta"),
            *credentials.OPTIONS,
        ),
        source="https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-models/how-to/inference",
    ),
)
