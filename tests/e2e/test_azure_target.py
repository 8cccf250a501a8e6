"""OpenAI's SDK through the gateway to Azure: addresses, keys and tokens are Azure's, the words stay OpenAI's."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import openai
import orjson
import pytest

from tests import vendors
from tests.e2e.product import HELLO, STORED_KEY, Product
from tests.fakes import Behaviour, Lane, Turn, sends
from tests.vendors import Content

Client = Callable[..., openai.OpenAI]
OPTIONS = {"resource_name": "contoso", "deployment_id": "prod", "api_version": "2025-03-01-preview"}


def azure(**headers: str) -> Behaviour:
    """Answers OpenAI's words to whoever shows this credential."""

    async def behave(turn: Turn) -> None:
        asked = turn.received
        if any(asked.headers.get(name) != value for name, value in headers.items()):
            turn.whole(401, b'{"error": {"code": "401", "message": "Access denied due to invalid subscription key."}}')
            return
        path = asked.path.partition("?")[0]
        if asked.json.get("stream"):
            filters = b'data: {"choices":[],"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
            body = filters + b"".join(vendors.events(path, asked.json, Content()))
            turn.whole(200, body, {"content-type": "text/event-stream"})
        else:
            turn.whole(200, vendors.whole(path, asked.json, Content()))

    return behave


def at(lane: Lane) -> str:
    """Where this lane's Azure begins, as `custom_host`."""
    return f"{lane.root}/openai"


def test_a_deployment_is_called_with_its_key(product: Product, openai_client: Client, lane: Lane) -> None:
    lane.will(azure(**{"api-key": STORED_KEY}))
    client = openai_client(virtual_key=product.virtual_key(at(lane), "azure-openai", options=OPTIONS))
    assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.path.partition("/openai/")[2] == "deployments/prod/chat/completions?api-version=2025-03-01-preview"
    assert "authorization" not in lane.last.headers


def test_a_stream_passes_with_the_results_of_the_filters(product: Product, openai_client: Client, lane: Lane) -> None:
    lane.will(azure())
    client = openai_client(virtual_key=product.virtual_key(at(lane), "azure-openai", options=OPTIONS))
    chunks = list(client.chat.completions.create(**HELLO, stream=True))
    assert chunks[0].model_extra == {"prompt_filter_results": [{"prompt_index": 0}]}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == vendors.TEXT


def test_headers_name_the_deployment(product: Product, lane: Lane) -> None:
    lane.will(azure(**{"api-key": "sk-azure-of-the-caller"}))
    headers = {
        "x-portkey-provider": "azure-openai",
        "x-portkey-custom-host": at(lane),
        "authorization": "Bearer sk-azure-of-the-caller",
        "x-portkey-azure-resource-name": "contoso",
        "x-portkey-azure-deployment-id": "mine",
        "x-portkey-azure-api-version": "2024-06-01",
    }
    answered = product.call(HELLO, headers)
    assert answered.status_code == 200, answered.text
    assert "/deployments/mine/chat/completions?api-version=2024-06-01" in lane.last.path


def test_portkeys_sdk_names_the_deployment(portkey_client: Callable[..., Any], lane: Lane) -> None:
    lane.will(azure())
    client = portkey_client(
        provider="azure-openai",
        Authorization="Bearer sk-azure-of-the-caller",
        custom_host=at(lane),
        azure_resource_name="contoso",
        azure_deployment_id="mine",
        azure_api_version="v1",
    )
    assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.path.endswith("/openai/v1/chat/completions")
    assert lane.last.json["model"] == "mine"


def test_a_token_of_entra_is_fetched_once(product: Product, openai_client: Client, lane: Lane, other_lane: Lane) -> None:
    other_lane.will(sends(orjson.dumps({"access_token": "fetched-token", "expires_in": 3600})))
    lane.will(azure(authorization="Bearer fetched-token"))
    secret = secrets.token_hex(16)
    options = {
        **OPTIONS,
        "azure_auth_mode": "entra",
        "azure_entra_tenant_id": "tenant-1",
        "azure_entra_client_id": "client-1",
        "azure_entra_client_secret": secret,
        "azure_authority_host": other_lane.root,
    }
    client = openai_client(virtual_key=product.virtual_key(at(lane), "azure-openai", key="", options=options))
    for _ in range(2):
        assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    [asked] = other_lane.received
    assert asked.path.endswith("/tenant-1/oauth2/v2.0/token")
    assert parse_qs(asked.body.decode())["client_secret"] == [secret]


def test_a_file_is_heard_at_the_deployment(product: Product, openai_client: Client, lane: Lane) -> None:
    lane.will(sends(b'{"text": "Hello."}'))
    client = openai_client(virtual_key=product.virtual_key(at(lane), "azure-openai", options=OPTIONS))
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF...."))
    assert heard.text == "Hello."
    assert "/deployments/prod/audio/transcriptions?api-version=" in lane.last.path
    assert b"RIFF...." in lane.last.body


def test_foundry_is_asked_at_its_own_address(product: Product, openai_client: Client, lane: Lane) -> None:
    lane.will(azure(authorization=f"Bearer {STORED_KEY}"))
    options = {"azure_foundry_url": f"{lane.root}/models", "api_version": "2024-05-01-preview"}
    client = openai_client(virtual_key=product.virtual_key(None, "azure-ai", options=options))
    assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.path.endswith("/models/chat/completions?api-version=2024-05-01-preview")
    assert lane.last.headers["extra-parameters"] == "drop"


def test_anthropics_models_in_foundry_are_spoken_to_in_their_words(product: Product, openai_client: Client, lane: Lane) -> None:
    options = {"azure_foundry_url": f"{lane.root}/anthropic"}
    client = openai_client(virtual_key=product.virtual_key(None, "azure-ai", options=options))
    answered = client.chat.completions.create(**{**HELLO, "model": "claude-sonnet-4-5"})
    assert answered.choices[0].message.content == vendors.TEXT
    assert lane.last.path.endswith("/anthropic/v1/messages")


def test_a_resource_that_nobody_names_is_asked_for(product: Product) -> None:
    answered = product.call(HELLO, {"x-portkey-provider": "azure-openai", "authorization": "Bearer sk-azure-of-the-caller"})
    assert (answered.status_code, answered.json()["error"]["param"]) == (400, "resource_name")
    assert "x-portkey-azure-resource-name" in answered.json()["error"]["message"]


def test_the_gateways_own_identity_is_not_lent_out(product: Product, lane: Lane) -> None:
    key = product.virtual_key(at(lane), "azure-openai", options={**OPTIONS, "azure_auth_mode": "managed"})
    answered = product.call(HELLO, virtual_key=key)
    assert (answered.status_code, answered.json()["error"]["param"]) == (400, "config.azure_auth_mode")
    assert lane.received == []


def test_a_filtered_prompt_says_what_was_found(product: Product, openai_client: Client, lane: Lane) -> None:
    found = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True, "severity": "high"}}}
    error = {
        "message": "The prompt was filtered.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "innererror": found,
    }
    lane.will(sends(orjson.dumps({"error": error}), code=400))
    client = openai_client(virtual_key=product.virtual_key(at(lane), "azure-openai", options=OPTIONS))
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**HELLO)
    assert caught.value.code == "content_filter"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["innererror"] == found


def test_the_messages_api_keeps_its_thinking_on_the_way_to_foundry(product: Product, lane: Lane) -> None:
    key = product.virtual_key(None, "azure-ai", options={"azure_foundry_url": f"{lane.root}/anthropic"})
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {**HELLO, "model": "claude-sonnet-4-5", "max_tokens": 2000, "thinking": thinking}
    answered = product.call(asked, virtual_key=key, path="/v1/messages")
    assert answered.status_code == 200, answered.text
    assert answered.json()["content"] == [{"type": "text", "text": vendors.TEXT}]
    assert lane.last.json["thinking"] == thinking
