"""The table of vendors at the running gateway: by id, by virtual key with options, and what must never be seen."""

from __future__ import annotations

import json

from routing.call import Endpoint
from routing.providers.openai import OpenAIDialect
from routing.providers.table import PROVIDERS
from tests import vendors
from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane

OWN = "sk-own-4bD8xW61TqNv"
TOKEN = "Bearer cf-token-7yHs2mKd90aPqWe"
ADDRESS = {"cloudflare_account_id": "acme", "cloudflare_gateway_id": "prod"}
TALKERS = [
    row.id
    for row in PROVIDERS.values()
    if isinstance(row.dialect, OpenAIDialect) and Endpoint.CHAT in row.supports and row.id not in {"mock", "sarvam"}
]


def test_every_vendor_of_openais_dialect_answers_to_its_id(product: Product, lane: Lane) -> None:
    for provider in TALKERS:
        headers = {"x-portkey-provider": provider, "authorization": f"Bearer {OWN}", "x-portkey-custom-host": lane.url}
        answered = product.call(headers=headers)
        assert (answered.status_code, answered.headers["x-portkey-provider"]) == (200, provider), answered.text
        assert answered.json()["choices"][0]["message"]["content"] == vendors.TEXT
        streamed = product.call({**HELLO, "stream": True}, headers).text
        assert streamed.endswith("data: [DONE]\n\n"), provider
        assert lane.last.path.endswith("/v1/chat/completions")
        assert lane.last.headers["authorization"] == f"Bearer {OWN}"
    assert len(lane.received) == 2 * len(TALKERS) > 300


def test_a_server_of_ones_own_needs_a_host(product: Product, lane: Lane) -> None:
    refused = product.call(headers={"x-portkey-provider": "vllm"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "custom_host")
    assert product.call(virtual_key=product.virtual_key(lane.url, "vllm")).status_code == 200
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"


def test_a_missing_option_is_named_with_its_header(product: Product) -> None:
    headers = {"x-portkey-provider": "databricks", "authorization": f"Bearer {OWN}"}
    error = product.call(headers=headers).json()["error"]
    assert (error["param"], error["code"]) == ("databricks_workspace", "missing_option")
    assert "x-portkey-databricks-workspace" in error["message"]
    # And nothing but a part of a host's name will do.
    wrong = product.call(headers={**headers, "x-portkey-databricks-workspace": "evil.example/x?"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "databricks_workspace")


def test_a_secret_option_reaches_the_vendor_and_nobody_else(product: Product, lane: Lane) -> None:
    options = {**ADDRESS, "cloudflare_gateway_token": TOKEN}
    slug = product.virtual_key(lane.url, "cloudflare-ai-gateway", options=options)
    trace = new_trace()
    answered = product.call(virtual_key=slug, trace_id=trace)
    assert answered.status_code == 200
    assert lane.last.headers["cf-aig-authorization"] == TOKEN
    shown = product.admin("GET", f"/v1/virtual-keys/{slug}")
    assert shown["options"] == {**ADDRESS, "cloudflare_gateway_token": "Bea****PqWe"}
    record = product.record(trace)
    for place in (answered.text, json.dumps(shown), json.dumps(record)):
        assert TOKEN.removeprefix("Bearer ") not in place
        assert STORED_KEY not in place


def test_a_stored_credential_goes_where_its_virtual_key_says(product: Product, lane: Lane) -> None:
    slug = product.virtual_key(lane.url, "cloudflare-ai-gateway", options=ADDRESS)
    refused = product.call(virtual_key=slug, headers={"x-portkey-cloudflare-account-id": "thief"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "config.cloudflare_account_id")
    assert lane.received == []
