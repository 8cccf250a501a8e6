"""The forms of virtual keys: which provider, and what it needs beside the key."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from keys import provider_options, vault
from keys.models import VirtualKey
from routing.providers.table import PROVIDERS

LogIn = Callable[..., Client]
NEW = "/console/new-virtual-key"
EDGE = {
    "name": "Edge",
    "provider": "cloudflare-ai-gateway",
    "key": "sk-live-0123456789abcdef",
    "custom_host": "",
    "note": "",
    "slug": "",
    "option_cloudflare_account_id": "acme",
    "option_cloudflare_gateway_id": "prod",
    "option_cloudflare_gateway_token": "Bearer cf-token-0123456789abcdef",
}


@pytest.fixture
def owner(log_in: LogIn) -> Client:
    return log_in("owner")


def page_of(client: Client, path: str) -> str:
    return html.unescape(client.get(path).content.decode())


def test_every_provider_of_the_table_is_offered_by_id_and_name(owner: Client) -> None:
    page = page_of(owner, NEW)
    offered = re.findall(r'<option value="([^"]+)">([^<]+)</option>', page)
    assert {name for name, _ in offered} == set(PROVIDERS)
    assert all(text.startswith(PROVIDERS[name].label) for name, text in offered)
    assert len(offered) > 100


def test_the_page_asks_for_what_the_chosen_provider_needs(owner: Client) -> None:
    assert "option_" not in page_of(owner, NEW)
    page = page_of(owner, f"{NEW}?provider=cloudflare-ai-gateway")
    assert 'name="option_cloudflare_account_id"' in page
    assert "In a request: x-portkey-cloudflare-account-id" in page
    (token,) = re.findall(r'<input[^>]*name="option_cloudflare_gateway_token"[^>]*>', page)
    assert 'type="password"' in token


@pytest.mark.parametrize("written", ["snowflake", "Snowflake Cortex", " cortex "])
def test_a_provider_is_known_by_alias_and_by_name(owner: Client, written: str) -> None:
    fields = {**EDGE, "provider": written, "option_snowflake_account": "acme-1"}
    assert owner.post(NEW, fields).status_code == 302
    key = VirtualKey.objects.get()
    assert (key.provider, key.options) == ("cortex", {"snowflake_account": "acme-1"})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"option_cloudflare_gateway_id": ""}, "option_cloudflare_gateway_id"),
        ({"provider": "vllm"}, "custom_host"),
        ({"custom_host": "ftp://host"}, "custom_host"),
    ],
)
def test_what_is_missing_or_wrong_is_said_beside_its_field(owner: Client, changed: dict[str, str], field: str) -> None:
    answer = owner.post(NEW, {**EDGE, **changed})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert EDGE["option_cloudflare_gateway_token"] not in answer.content.decode()


def test_a_secret_is_shown_as_its_mask_and_stays_when_nothing_is_typed(owner: Client) -> None:
    owner.post(NEW, EDGE)
    page = page_of(owner, "/console/virtual-keys/edge")
    assert 'placeholder="Bea****cdef"' in page
    assert EDGE["option_cloudflare_gateway_token"] not in page
    fields = {name: value for name, value in EDGE.items() if name not in {"provider", "slug"}}
    kept = {**fields, "key": "", "note": "ours", "option_cloudflare_gateway_token": ""}
    assert owner.post("/console/virtual-keys/edge", kept).status_code == 302
    key = VirtualKey.objects.get()
    assert provider_options.secrets(key) == {"cloudflare_gateway_token": EDGE["option_cloudflare_gateway_token"]}
    assert (key.note, vault.decrypt(key.secret)) == ("ours", EDGE["key"])
    moved = owner.post("/console/virtual-keys/edge", {**kept, "option_cloudflare_account_id": "thief"})
    assert list(moved.context["form"].errors) == ["option_cloudflare_account_id"]


def test_choosing_a_provider_brings_its_fields(page: Page) -> None:
    page.goto(NEW)
    page.get_by_label("Name").fill("Warehouse")
    page.get_by_label("Provider", exact=True).fill("snowflake")
    page.get_by_label("Provider", exact=True).blur()
    page.get_by_label("Snowflake account").fill("acme-1")
    page.get_by_label("Provider's key").fill("sk-test-0123456789abcdefXYZW")
    page.get_by_role("button", name="Create virtual key").click()
    expect(page.get_by_text("The virtual key warehouse is ready to use.")).to_be_visible()
    page.goto("/console/virtual-keys/warehouse")
    expect(page.get_by_label("Snowflake account")).to_have_value("acme-1")
