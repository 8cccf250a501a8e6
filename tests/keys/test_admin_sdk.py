"""Portkey's own SDK against a running server, as its users write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import portkey_ai
import pytest
from django.db import connections
from portkey_ai import AsyncPortkey, Portkey

from keys.models import ApiKey
from tests.keys.people import SECRET, Team, make_team

CONFIG = {"retry": {"attempts": 2}, "virtual_key": "openai-prod"}


@pytest.fixture
def served(transactional_db: None, live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Team]:
    settings.ROOT_URLCONF = "tests.keys.urls"
    # The server's threads would keep their connections, and the test database could not be dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    return live_server.url, make_team("acme")


@pytest.fixture(params=["/v1", ""], ids=["with version", "without version"])
def portkey(request: pytest.FixtureRequest, served: tuple[str, Team]) -> Iterator[Portkey]:
    url, team = served
    with Portkey(api_key=team.raw, base_url=url + request.param) as client:
        yield client


def test_virtual_keys(portkey: Portkey) -> None:
    created = portkey.virtual_keys.create(
        name="SDK key",
        provider="openai",
        key=SECRET,
        note="from the SDK",
        usage_limits={"credit_limit": 5, "periodic_reset": "monthly", "alert_threshold": 90},
        custom_host="https://llm.acme.example/v1",
    )
    assert (created.slug, created.object) == ("sdk-key", "virtual-key")
    assert created.id
    listed = portkey.virtual_keys.list()
    assert (listed.object, listed.total, [row["slug"] for row in listed.data or []]) == ("list", 2, ["sdk-key", "openai-prod"])
    updated = portkey.virtual_keys.update(
        slug="sdk-key", name="Renamed", rate_limits=[{"type": "requests", "unit": "rpm", "value": 10}]
    )
    assert (updated.slug, updated.object) == ("sdk-key", "virtual-key")
    read = portkey.virtual_keys.retrieve(slug="sdk-key").model_dump()
    assert (read["name"], read["note"], read["custom_host"]) == ("Renamed", "from the SDK", "https://llm.acme.example/v1")
    assert read["usage_limits"] == {"credit_limit": 5, "periodic_reset": "monthly", "alert_threshold": 90}
    assert SECRET not in str(read)
    assert portkey.virtual_keys.delete(slug="sdk-key").success is True
    with pytest.raises(portkey_ai.api_resources.exceptions.NotFoundError):
        portkey.virtual_keys.retrieve(slug="sdk-key")


def test_virtual_keys_with_fields_of_their_providers(portkey: Portkey) -> None:
    portkey.virtual_keys.create(
        name="Azure", provider="azure-openai", key=SECRET, apiVersion="2024-10-21", resourceName="acme", deploymentName="gpt"
    )
    read = portkey.virtual_keys.retrieve(slug="azure").model_dump()
    assert read["options"] == {"api_version": "2024-10-21", "resource_name": "acme", "deployment_id": "gpt"}
    portkey.virtual_keys.create(
        name="AWS", provider="bedrock", awsAccessKeyId="AKIAEXAMPLE", awsSecretAccessKey=SECRET, awsRegion="eu-central-1"
    )
    read = portkey.virtual_keys.retrieve(slug="aws").model_dump()
    assert read["options"]["aws_region"] == "eu-central-1"
    assert SECRET not in str(read)
    account = {"type": "service_account", "project_id": "acme", "private_key": SECRET}
    portkey.virtual_keys.create(
        name="Vertex", provider="vertex-ai", vertexRegion="europe-west4", vertexServiceAccountJson=account
    )
    read = portkey.virtual_keys.retrieve(slug="vertex").model_dump()
    assert read["options"]["vertex_region"] == "europe-west4"
    assert SECRET not in str(read)


def test_configs(portkey: Portkey) -> None:
    created = portkey.configs.create(name="SDK config", config=CONFIG, is_default=1)
    assert created.slug is not None
    assert created.slug.startswith("pc-sdk-config-")
    assert (created.object, bool(created.id), bool(created.version_id)) == ("config", True, True)
    read = portkey.configs.retrieve(slug=created.slug)
    assert (read.config, read.name, read.is_default, read.status) == (CONFIG, "SDK config", 1, "active")
    assert read.version_id == created.version_id
    updated = portkey.configs.update(
        slug=created.slug, name="Renamed", config={**CONFIG, "retry": {"attempts": 3}}, status="active"
    )
    assert updated.version_id not in (None, created.version_id)
    listed = portkey.configs.list(workspace_id="acme")
    assert (listed.object, listed.total, [row["name"] for row in listed.data or []][:1]) == ("list", 2, ["Renamed"])
    assert portkey.configs.delete(slug=created.slug).success is True


def test_api_keys(portkey: Portkey, served: tuple[str, Team]) -> None:
    url, _ = served
    created = portkey.api_keys.create(
        type="workspace",
        sub_type="service",
        name="SDK app",
        description="made by the SDK",
        scopes=["configs.list"],
        rate_limits=[{"type": "requests", "unit": "rpm", "value": 100}],
        usage_limits={"credit_limit": 10, "periodic_reset": "monthly", "alert_threshold": 80},
        defaults={"metadata": {"environment": "test"}},
    )
    assert created.object == "api-key"
    assert created.id is not None
    assert created.key is not None
    with Portkey(api_key=created.key, base_url=url + "/v1") as other:
        assert other.configs.list().total == 1
        with pytest.raises(portkey_ai.api_resources.exceptions.PermissionDeniedError, match=r"configs\.create"):
            other.configs.create(name="n", config=CONFIG)
    read = portkey.api_keys.retrieve(id=created.id)
    assert (read.name, read.status, read.scopes, read.type) == ("SDK app", "active", ["configs.list"], "workspace-service")
    assert read.rate_limits == [{"type": "requests", "unit": "rpm", "value": 100}]
    assert read.defaults == {"metadata": {"environment": "test"}}
    assert created.key not in str(read.model_dump())
    assert portkey.api_keys.update(id=created.id, name="Renamed", scopes=["configs.list", "logs.list"]).success is True
    listed = portkey.api_keys.list(page_size=1, current_page=0)
    assert (listed.total, [row["name"] for row in listed.data or []]) == (2, ["Renamed"])
    assert portkey.api_keys.delete(id=created.id).success is True
    assert not ApiKey.objects.filter(pk=created.id).exists()


def test_an_organisation_key_of_the_sdks_examples_is_accepted(portkey: Portkey) -> None:
    scopes = "logs.export logs.list logs.view configs.create configs.update configs.delete configs.read configs.list "
    scopes += (
        "virtual_keys.create virtual_keys.update virtual_keys.delete virtual_keys.read virtual_keys.list virtual_keys.copy"
    )
    created = portkey.api_keys.create(
        name="n", type="organisation", sub_type="service", workspace_id="acme", scopes=scopes.split()
    )
    assert portkey.api_keys.retrieve(id=created.id).type == "organisation-service"


def test_a_refusal_reaches_the_user_with_its_words(portkey: Portkey) -> None:
    with pytest.raises(portkey_ai.api_resources.exceptions.BadRequestError, match='did you mean "weight"'):
        portkey.configs.create(name="n", config={"targets": [{"provider": "mock", "weights": 1}]})


async def test_the_async_client_works_alike(served: tuple[str, Team]) -> None:
    url, team = served
    async with AsyncPortkey(api_key=team.raw, base_url=url + "/v1") as portkey:
        key = await portkey.virtual_keys.create(name="Async", provider="openai", key=SECRET)
        assert (await portkey.virtual_keys.update(slug=key.slug, note="n")).slug == "async"
        assert (await portkey.virtual_keys.retrieve(slug=key.slug)).note == "n"
        config = await portkey.configs.create(name="Async", config=CONFIG)
        assert (await portkey.configs.retrieve(slug=config.slug)).config == CONFIG
        assert (await portkey.configs.update(slug=config.slug, config={"provider": "mock"})).version_id != config.version_id
        api_key = await portkey.api_keys.create(type="workspace", sub_type="service", name="Async", scopes=["configs.list"])
        assert (await portkey.api_keys.retrieve(id=api_key.id)).name == "Async"
        assert (await portkey.api_keys.list(page_size=10)).total == 2
        assert [(await portkey.configs.list()).total, (await portkey.virtual_keys.list()).total] == [2, 2]
        assert (await portkey.api_keys.delete(id=api_key.id)).success is True
        assert (await portkey.configs.delete(slug=config.slug)).success is True
        assert (await portkey.virtual_keys.delete(slug=key.slug)).success is True
