"""Portkey's own SDK against a running gateway: its clients, its headers and its ways to name a target."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from portkey_ai import AsyncPortkey
from portkey_ai._vendor import openai as bundled

from tests import vendors
from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace
from tests.e2e.test_openai_sdk import WEATHER
from tests.fakes import Lane, answer, status

Client = Callable[..., Any]


@pytest.mark.parametrize("path", ["/v1", ""])
def test_a_virtual_key_names_the_stored_credential(portkey_client: Client, lane: Lane, virtual_key: str, path: str) -> None:
    answered = portkey_client(path, virtual_key=virtual_key).chat.completions.create(**HELLO)

    assert answered.choices[0].message.content == vendors.TEXT
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"


def test_provider_and_own_key_need_nothing_stored(portkey_client: Client, lane: Lane) -> None:
    client = portkey_client(provider="openai", Authorization="sk-own-key", custom_host=lane.url)

    assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.headers["authorization"] == "Bearer sk-own-key"


def test_own_key_for_anthropic_goes_out_as_its_header(portkey_client: Client, lane: Lane) -> None:
    client = portkey_client(provider="anthropic", Authorization="sk-ant-own-key", custom_host=lane.url)

    assert client.chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.headers["x-api-key"] == "sk-ant-own-key"


def test_without_a_key_of_ones_own_the_sdks_placeholder_is_no_key(portkey_client: Client, lane: Lane) -> None:
    """The SDK sends the literal text OPENAI_API_KEY where its user gave nothing."""
    with pytest.raises(bundled.BadRequestError) as caught:
        portkey_client(provider="openai", custom_host=lane.url).chat.completions.create(**HELLO)

    assert caught.value.code == "missing_provider_key"
    assert lane.received == []


def test_a_stream_comes_token_by_token(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(pause=0.02))

    chunks = list(portkey_client(virtual_key=virtual_key).chat.completions.create(**HELLO, stream=True))

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [piece for piece in pieces if piece] == ["Hello", " from", " the", " fake", " provider."]


def test_tools_and_json_mode_pass_through(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    client = portkey_client(virtual_key=virtual_key)

    called = client.chat.completions.create(**HELLO, tools=[WEATHER])
    shaped = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "JSON please."}], response_format={"type": "json_object"}
    )

    assert json.loads(called.choices[0].message.tool_calls[0].function.arguments) == vendors.TOOL_INPUT
    assert json.loads(shaped.choices[0].message.content) == {"answer": 42}


def test_embeddings_come_in_base64_which_the_sdk_asks_for(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    client = portkey_client(virtual_key=virtual_key)

    packed = client.embeddings.create(model="text-embedding-3-small", input="one").data[0].embedding
    plain = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float").data[0].embedding

    assert lane.received[0].json["encoding_format"] == "base64"
    assert struct.unpack("<4f", base64.b64decode(packed)) == vendors.VECTOR
    assert tuple(plain) == vendors.VECTOR


def test_legacy_completions_and_models_work(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    client = portkey_client(virtual_key=virtual_key)

    assert client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hi").choices[0].text == vendors.TEXT
    assert "gpt-4o-mini" in [model.id for model in client.models.list().data]


def test_a_saved_config_is_named_by_its_id(product: Product, portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    saved = product.config({"virtual_key": virtual_key, "override_params": {"model": "gpt-4o"}})

    answered = portkey_client(config=saved).chat.completions.create(**HELLO)

    assert answered.model == f"gpt-4o{vendors.MODEL_SUFFIX}"
    assert lane.last.json["model"] == "gpt-4o"


def test_a_config_is_given_by_value(portkey_client: Client, lane: Lane) -> None:
    config = {
        "retry": {"count": 1},
        "strategy": {"mode": "single"},
        "targets": [{"provider": "openai", "api_key": "sk-in-config", "custom_host": lane.url, "model": "gpt-4o"}],
    }

    assert portkey_client(config=config).chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
    assert lane.last.headers["authorization"] == "Bearer sk-in-config"
    assert lane.last.json["model"] == "gpt-4o"


def test_a_config_is_given_for_one_request(product: Product, portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    client = portkey_client(virtual_key="mock")
    config = {"virtual_key": virtual_key}

    special = client.with_options(config=config).chat.completions.create(**HELLO)
    usual = client.chat.completions.create(model="mock", messages=HELLO["messages"])

    assert special.choices[0].message.content == vendors.TEXT
    assert usual.choices[0].message.content.startswith("Hello from mock.")
    assert len(lane.received) == 1


def test_trace_id_and_metadata_stand_in_the_log(product: Product, portkey_client: Client, virtual_key: str) -> None:
    first, second = new_trace(), new_trace()
    client = portkey_client(
        virtual_key=virtual_key, trace_id=first, metadata={"user_id": "u-1", "session_id": "s-1", "environment": "test"}
    )

    client.chat.completions.create(**HELLO)
    client.with_options(trace_id=second, metadata={"user_id": "ü-2", "_user": "u-3"}).chat.completions.create(**HELLO)

    assert product.record(first)["metadata"] == {"user_id": "u-1", "session_id": "s-1", "environment": "test"}
    assert product.record(second)["metadata"] == {"user_id": "ü-2", "_user": "u-3"}


def test_the_answers_headers_tell_what_happened(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    trace_id = new_trace()

    headers = portkey_client(virtual_key=virtual_key, trace_id=trace_id).chat.completions.create(**HELLO).get_headers()

    assert headers["trace-id"] == trace_id
    assert headers["provider"] == "openai"
    assert headers["last-used-option-index"] == "config"
    assert headers["retry-attempt-count"] == "0"
    assert headers["cache-status"] == "DISABLED"


def test_the_gateway_makes_a_trace_id_where_none_is_given(portkey_client: Client, virtual_key: str, product: Product) -> None:
    headers = portkey_client(virtual_key=virtual_key).chat.completions.create(**HELLO).get_headers()

    assert product.record(headers["trace-id"])["status"] == 200


def test_an_error_is_not_called_twice(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    """The SDK repeats a 5xx that carries no trace id."""
    lane.will(status(503, "Overloaded."))

    with pytest.raises(bundled.InternalServerError) as caught:
        portkey_client(virtual_key=virtual_key).chat.completions.create(**HELLO)

    assert caught.value.status_code == 503
    assert "openai error: Overloaded." in caught.value.message
    assert len(lane.received) == 1


def test_the_request_timeout_of_the_client_holds(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    """500 is milliseconds."""
    lane.will(answer(delay=20))

    with pytest.raises(bundled.APIStatusError) as caught:
        portkey_client(virtual_key=virtual_key, request_timeout=500).chat.completions.create(**HELLO)

    assert caught.value.status_code == 408
    assert "500ms" in caught.value.message


async def test_the_async_client_answers_and_streams(product: Product, lane: Lane, virtual_key: str) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        client = AsyncPortkey(base_url=f"{product.url}/v1", api_key=product.api_key, virtual_key=virtual_key, http_client=http)
        whole = await client.chat.completions.create(**HELLO)
        stream = await client.chat.completions.create(**HELLO, stream=True)
        streamed = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]

    assert whole.choices[0].message.content == vendors.TEXT
    assert "".join(filter(None, streamed)) == vendors.TEXT
