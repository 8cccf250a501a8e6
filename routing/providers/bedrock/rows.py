"""AWS's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import no_auth
from routing.providers.base import Option, Provider
from routing.providers.bedrock import BedrockDialect
from routing.providers.bedrock.credentials import authorise

# What Portkey reads for the files and batches of this cloud.
_NO_FILES = "this is for files and batches of AWS, which the gateway has not: name the model in the call or in override_params."
UNFIT = tuple(
    Option(name, unfit=_NO_FILES)
    for name in (
        "aws_s3_bucket",
        "aws_s3_object_key",
        "aws_bedrock_model",
        "amz_server_side_encryption",
        "amz_server_side_encryption_aws_kms_key_id",
    )
)

ROWS = (
    # No key in the usual sense: the signer says what is missing.
    Provider(
        id="bedrock",
        label="AWS Bedrock",
        base_url="https://bedrock-runtime.{aws_region}.amazonaws.com",
        dialect=BedrockDialect(),
        auth=no_auth,
        signer=authorise,
        needs_key=False,
        supports=frozenset({Endpoint.CHAT, Endpoint.EMBEDDINGS}),
        aliases=("aws-bedrock", "amazon-bedrock"),
        price_id="aws",
        options=(
            Option("aws_region", default="us-east-1"),
            Option("aws_access_key_id"),
            Option("aws_secret_access_key", secret=True),
            Option("aws_session_token", secret=True),
            Option("aws_auth_type"),
            # As whom the stored keys act is not for a caller to say.
            Option("aws_role_arn", destination=True),
            Option("aws_external_id", secret=True),
            Option("aws_sts_endpoint", kind="url", destination=True),
            Option("anthropic_beta"),
            Option("anthropic_version"),
            *UNFIT,
        ),
        source="https://github.com/vercel/ai/blob/main/packages/amazon-bedrock/src/amazon-bedrock-provider.ts",
    ),
)
