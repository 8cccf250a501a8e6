"""Options of vendors on their way into a plan: under which names, from where, and what a caller may not change."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from keys import provider_options
from keys.auth import Caller
from routing.call import Target
from routing.configs.normalise import normalise
from routing.errors import InvalidConfig, InvalidRequest, Unsupported
from routing.plan import resolve
from routing.providers import outgoing
from routing.providers.table import PROVIDERS
from routing.snapshot import Snapshot, VirtualKeyEntry
from tests.routing.providers.pairs import make_call, make_target

EDGE = VirtualKeyEntry(
    "id-edge",
    "edge",
    "cloudflare-ai-gateway",
    "sk-stored",
    options={"cloudflare_account_id": "acme", "cloudflare_gateway_id": "prod", "cloudflare_gateway_token": "Bearer t"},
)
SNAPSHOT = Snapshot(version=1, default_workspace_id="w1", hash_key=str, virtual_keys={("w1", "edge"): EDGE})


def target(config: object = None, key: str | None = None, **headers: str) -> Target:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if config is not None:
        named["x-portkey-config"] = orjson.dumps(config).decode()
    root = resolve(named, Caller("w1", "key-1"), key, SNAPSHOT).root
    assert isinstance(root, Target)
    return root


def test_portkeys_headers_fill_in_the_address():
    found = target(
        x_portkey_provider="azure-openai",
        key="k",
        x_portkey_azure_resource_name="acme",
        x_portkey_azure_deployment_id="gpt",
        x_portkey_azure_api_version="2024-10-21",
    )
    assert found.options == {"resource_name": "acme", "deployment_id": "gpt", "api_version": "2024-10-21"}


@pytest.mark.parametrize("name", ["resource_name", "azure_resource_name", "resourceName", "azureResourceName"])
def test_a_config_may_call_an_option_by_each_of_its_names(name):
    assert normalise({"provider": "azure", name: "acme"}) == {"provider": "azure-openai", "resource_name": "acme"}


def test_an_option_under_two_names_is_refused():
    with pytest.raises(InvalidConfig):
        normalise({"provider": "azure", "resource_name": "a", "azure_resource_name": "b"})


@pytest.mark.parametrize("name", ["cloudflare_gateway_token", "aws_secret_access_key", "azure_ad_token"])
def test_a_saved_config_holds_no_secret_option(name):
    config = {"provider": "openai", name: "hush"}
    assert normalise(config)[name] == "hush"
    with pytest.raises(InvalidConfig) as caught:
        normalise(config, saved=True)
    assert caught.value.param == name
    assert "hush" not in caught.value.message


@pytest.mark.parametrize("name", ["cloudflare_account_id", "cloudflare_gateway_id"])
def test_no_caller_sends_a_stored_credential_to_another_place(name):
    config = {"virtual_key": "edge", name: "thief"}
    for call in ({"config": config}, {"x_portkey_virtual_key": "edge", f"x_portkey_{name}": "thief"}):
        with pytest.raises(InvalidRequest) as caught:
            target(**call)
        assert caught.value.param == f"config.{name}"
    assert target(config={"virtual_key": "edge", name: EDGE.options[name]}).options == EDGE.options


def test_what_sends_it_nowhere_else_may_be_changed():
    found = target(config={"virtual_key": "edge", "cloudflare_gateway_token": "Bearer mine"})
    assert found.options == {**EDGE.options, "cloudflare_gateway_token": "Bearer mine"}


def test_an_option_that_is_an_address_always_decides_where_the_credential_goes():
    kinds = [(row, option) for row in PROVIDERS.values() for option in row.options if option.kind == "url"]
    assert kinds
    assert [(row.id, option.name) for row, option in kinds if option.name not in row.destinations] == []


@pytest.mark.parametrize("value", ["ftp://host", "https://u:p@host", "nowhere", "https://host?q=1"])
def test_an_option_that_is_an_address_is_read_as_one(value):
    with pytest.raises(InvalidConfig) as caught:
        normalise({"provider": "azure-ai", "azure_foundry_url": value})
    assert caught.value.param == "azure_foundry_url"


def test_an_object_and_its_text_are_the_same_option():
    account = {"type": "service_account", "project_id": "p"}
    text = orjson.dumps(account).decode()
    one = normalise({"provider": "vertex-ai", "vertex_service_account_json": account})
    assert one == normalise({"provider": "vertex-ai", "vertex_service_account_json": text})
    for wrong in ("[]", "{", "plain", 5):
        with pytest.raises(InvalidConfig):
            normalise({"provider": "vertex-ai", "vertex_service_account_json": wrong})


UNFIT = [(row.id, option) for row in PROVIDERS.values() for option in row.options if option.unfit]


@pytest.mark.parametrize("number", range(len(UNFIT)), ids=[f"{row}-{option.name}" for row, option in UNFIT])
def test_an_option_that_cannot_be_honoured_is_refused_in_words_of_its_own(number):
    row, option = UNFIT[number]
    with pytest.raises(InvalidConfig) as caught:
        normalise({"provider": row, option.name: "x"})
    assert caught.value.message == f"{option.name}: {option.unfit}"
    with pytest.raises(InvalidRequest, match=option.unfit.partition(",")[0]):
        provider_options.clean(PROVIDERS[row], {option.name: "x"}, "options")
    asked = target(key="k", x_portkey_provider=row, **{option.request_header.replace("-", "_"): "x"})
    asked = replace(asked, options={**make_target(row).options, **asked.options})
    with pytest.raises(Unsupported) as refused:
        outgoing.headers(make_call({}), asked)
    assert (refused.value.status, refused.value.param) == (400, f"config.{option.name}")
    assert option.unfit in refused.value.message


def test_every_name_of_an_option_is_a_header_too():
    found = target(x_portkey_provider="azure", key="k", x_portkey_azure_deployment_name="gpt", x_portkey_resource_name="acme")
    assert found.options == {"deployment_id": "gpt", "resource_name": "acme"}


def test_portkeys_own_spelling_of_a_header_goes_before_the_others():
    names = {"x_portkey_azure_deployment_id": "mine", "x_portkey_deployment_name": "other"}
    assert target(x_portkey_provider="azure", key="k", **names).options == {"deployment_id": "mine"}


# The headers of Portkey's that are of one provider.
PORTKEY_HEADERS = {
    "openai": "openai-organization openai-project openai-beta",
    "azure-openai": "azure-resource-name azure-deployment-id azure-api-version azure-ad-token azure-auth-mode "
    "azure-managed-client-id azure-workload-client-id azure-entra-client-id azure-entra-client-secret azure-entra-tenant-id "
    "azure-entra-scope azure-model-name openai-beta",
    "azure-ai": "azure-foundry-url azure-api-version azure-extra-params azure-endpoint-name azure-ad-token azure-auth-mode "
    "azure-managed-client-id azure-entra-client-id azure-entra-client-secret azure-entra-tenant-id azure-entra-scope "
    "anthropic-version azure-region azure-deployment-type",
    "bedrock": "aws-access-key-id aws-secret-access-key aws-session-token aws-region aws-role-arn aws-external-id "
    "aws-auth-type aws-s3-bucket aws-s3-object-key aws-bedrock-model amz-server-side-encryption "
    "amz-server-side-encryption-aws-kms-key-id anthropic-beta anthropic-version",
    "sagemaker": "aws-access-key-id aws-secret-access-key aws-session-token aws-region aws-role-arn aws-external-id "
    "aws-auth-type aws-s3-bucket aws-s3-object-key aws-bedrock-model amzn-sagemaker-custom-attributes "
    "amzn-sagemaker-target-model amzn-sagemaker-target-variant amzn-sagemaker-target-container-hostname "
    "amzn-sagemaker-inference-id amzn-sagemaker-enable-explanations amzn-sagemaker-inference-component "
    "amzn-sagemaker-session-id amzn-sagemaker-model-name",
    "vertex-ai": "vertex-project-id vertex-region vertex-service-account-json vertex-storage-bucket-name anthropic-beta "
    "anthropic-version",
    "anthropic": "anthropic-beta anthropic-version",
    "workers-ai": "workers-ai-account-id",
    "huggingface": "huggingface-base-url",
    "fireworks-ai": "fireworks-account-id",
    "stability-ai": "stability-client-id stability-client-user-id stability-client-version",
    "cortex": "snowflake-account",
    "oracle": "oracle-api-version oracle-region oracle-compartment-id oracle-serving-mode oracle-tenancy oracle-user "
    "oracle-fingerprint oracle-private-key oracle-key-passphrase",
    "mistral-ai": "mistral-fim-completion",
}


@pytest.mark.parametrize("provider", PORTKEY_HEADERS)
def test_every_header_of_portkeys_is_an_option_of_its_row(provider):
    known = {header for option in PROVIDERS[provider].options for header in option.request_headers}
    assert {f"x-portkey-{name}" for name in PORTKEY_HEADERS[provider].split()} <= known
