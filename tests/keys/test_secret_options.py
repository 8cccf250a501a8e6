"""Options of a virtual key that are credentials themselves, and options that say where the credentials go."""

from __future__ import annotations

from typing import Any

import pytest

from keys import actions, provider_options
from keys.models import AuditEvent, VirtualKey
from routing.errors import InvalidRequest
from routing.loader import load
from tests.keys.people import SECRET, Team
from tests.keys.people import team as team

TOKEN = "Bearer cf-token-0123456789abcdef"
ADDRESS = {"cloudflare_account_id": "acme", "cloudflare_gateway_id": "prod"}


@pytest.fixture
def key(team: Team) -> VirtualKey:
    return actions.create_virtual_key(
        workspace=team.workspace,
        name="Edge",
        provider="cloudflare-ai-gateway",
        key=SECRET,
        actor=team.owner,
        options={**ADDRESS, "cloudflareGatewayToken": TOKEN},
    )


def update(row: VirtualKey, team: Team, /, **changes: Any) -> VirtualKey:
    return actions.update_virtual_key(row, actor=team.owner, **changes)


@pytest.mark.django_db(transaction=True)
def test_a_secret_option_is_encrypted_and_the_gateway_reads_it(key: VirtualKey, team: Team) -> None:
    row = VirtualKey.objects.filter(pk=key.pk).values().get()
    assert row["options"] == ADDRESS
    assert TOKEN.encode() not in bytes(row["secret_options"])
    assert TOKEN not in str({name: value for name, value in row.items() if name != "secret_options"})
    entry = load(b"pepper").virtual_keys[str(team.workspace.id), "edge"]
    assert entry.options == {**ADDRESS, "cloudflare_gateway_token": TOKEN}


def test_a_secret_option_is_shown_masked_and_never_audited(key: VirtualKey, team: Team) -> None:
    _, read = team.api.get("/virtual-keys/edge")
    assert read["options"] == {**ADDRESS, "cloudflare_gateway_token": "Bea****cdef"}
    update(key, team, options={**ADDRESS, "cloudflare_gateway_token": "Bearer another-0123456789"})
    events = list(AuditEvent.objects.order_by("pk").values())
    assert events[-1]["details"] == {"changed": ["options"]}
    assert TOKEN not in str(events)
    assert "another" not in str(events)


def test_a_secret_option_stays_until_it_is_replaced_or_emptied(key: VirtualKey, team: Team) -> None:
    key = update(key, team, options=ADDRESS)
    assert provider_options.secrets(key) == {"cloudflare_gateway_token": TOKEN}
    _, read = team.api.get("/virtual-keys/edge")
    assert team.api.put("/virtual-keys/edge", {"options": read["options"]})[0] == 200  # its own mask is no new value
    key.refresh_from_db()
    assert provider_options.secrets(key) == {"cloudflare_gateway_token": TOKEN}
    key = update(key, team, options={**ADDRESS, "cloudflare_gateway_token": "Bearer another-0123456789"})
    assert provider_options.secrets(key) == {"cloudflare_gateway_token": "Bearer another-0123456789"}
    key = update(key, team, options={**ADDRESS, "cloudflare_gateway_token": None})
    assert (provider_options.secrets(key), key.masked_options, bytes(key.secret_options)) == ({}, {}, b"")


@pytest.mark.parametrize("name", ["cloudflare_account_id", "cloudflare_gateway_id", "custom_host"])
def test_neither_the_key_nor_a_secret_option_follows_a_changed_address(key: VirtualKey, team: Team, name: str) -> None:
    moved = {**ADDRESS, name: "https://thief.example/v1" if name == "custom_host" else "thief"}
    for changes, refused in (
        ({"options": moved}, f"options.{name}"),
        ({"options": moved, "key": "sk-new-0123456789"}, "options.cloudflare_gateway_token"),
        ({"options": {**moved, "cloudflare_gateway_token": "Bearer new-0123456789"}}, f"options.{name}"),
        ({"options": {**moved, "cloudflare_gateway_token": "Bea****cdef"}, "key": "sk-n-0123456789"}, None),
    ):
        with pytest.raises(InvalidRequest) as caught:
            update(key, team, **changes)
        assert caught.value.code == "key_required"
        assert refused in (None, caught.value.param)
    both = {"key": "sk-new-0123456789", "options": {**moved, "cloudflare_gateway_token": "Bearer new-0123456789"}}
    assert update(key, team, **both).options == moved


def test_another_provider_gets_no_secret_of_the_former(key: VirtualKey, team: Team) -> None:
    key = update(key, team, provider="openai", key="sk-new-0123456789", options={})
    assert (provider_options.secrets(key), key.masked_options) == ({}, {})


@pytest.mark.parametrize(
    ("provider", "options", "missing"),
    [
        ("cloudflare-ai-gateway", {"cloudflare_account_id": "acme"}, "options.cloudflare_gateway_id"),
        ("vllm", {}, "options.custom_host"),
        ("cortex", {"snowflake_account": ""}, "options.snowflake_account"),
    ],
)
def test_a_missing_option_is_refused_by_its_name(team: Team, provider: str, options: dict[str, Any], missing: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        actions.create_virtual_key(
            workspace=team.workspace, name="n", provider=provider, key=SECRET, actor=team.owner, options=options
        )
    assert (caught.value.param, caught.value.code) == (missing, "missing_field")


def test_an_own_host_stands_for_the_options_of_the_address(team: Team) -> None:
    body = {"name": "own", "provider": "snowflake", "key": SECRET, "custom_host": "https://proxy.example/v1"}
    assert team.api.post("/virtual-keys", body)[0] == 200


def test_a_server_of_ones_own_may_have_no_key_and_then_moves_freely(team: Team) -> None:
    body = {"name": "own", "provider": "vllm", "custom_host": "http://10.0.0.7:8000/v1"}
    assert team.api.post("/virtual-keys", body)[0] == 200
    assert team.api.put("/virtual-keys/own", {"custom_host": "http://10.0.0.8:8000/v1"})[0] == 200
    assert team.api.get("/virtual-keys/own")[1]["custom_host"] == "http://10.0.0.8:8000/v1"
