"""Oracle's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import bearer
from routing.providers.base import Provider
from routing.providers.openai import OpenAIDialect
from routing.providers.oracle.signing import OPTIONS, authorise

ROWS = (
    # The signer says what is missing: a key of the service, or what signs.
    Provider(
        id="oracle",
        label="Oracle Cloud Generative AI",
        base_url="https://inference.generativeai.{oracle_region}.oci.oraclecloud.com/openai/v1",
        dialect=OpenAIDialect(developer_role=False),
        auth=bearer,
        supports=frozenset({Endpoint.CHAT, Endpoint.PROXY}),
        needs_key=False,
        options=OPTIONS,
        signer=authorise,
        aliases=("oci",),
        source="https://docs.oracle.com/en-us/iaas/Content/generative-ai/openai-compatible-api.htm",
    ),
)
