"""Realtime calls: a WebSocket through the gateway, with the SDK and by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from socket import SHUT_RDWR
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.product import STORED_KEY, Product, new_trace
from tests.sockets import RealtimeVendor


@pytest.fixture
def vendor() -> Iterator[RealtimeVendor]:
    with RealtimeVendor() as vendor:
        yield vendor


@pytest.fixture
def key(product: Product, vendor: RealtimeVendor) -> str:
    return product.virtual_key(vendor.url)


def dial(product: Product, query: str = "model=gpt-realtime", **options: Any) -> ClientConnection:
    """A WebSocket to the gateway. `headers` without ``x-portkey-``."""
    given = {"api_key": product.api_key, **options.pop("headers", {})}
    headers = {f"x-portkey-{name.replace('_', '-')}": value for name, value in given.items() if value is not None}
    return connect(f"{product.url.replace('http', 'ws')}/v1/realtime?{query}", additional_headers=headers, **options)


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the SDK's own way with the library
def test_the_sdk_talks_through_the_gateway(product: Product, vendor: RealtimeVendor, key: str) -> None:
    trace = new_trace()
    headers = {"x-portkey-virtual-key": key, "x-portkey-trace-id": trace}
    with (
        openai.OpenAI(base_url=f"{product.url}/v1", api_key=product.api_key) as client,
        client.realtime.connect(model="gpt-realtime", extra_headers=headers) as connection,
    ):
        assert connection.recv().type == "session.created"
        for _ in range(2):
            connection.response.create()
            assert connection.recv().type == "response.done"

    record = product.record(trace)
    assert (record["endpoint"], record["status"], record["model"]) == ("realtime", 200, "gpt-realtime")
    assert (record["input_tokens"], record["audio_input_tokens"]) == (24, 16)
    assert (record["output_tokens"], record["audio_output_tokens"]) == (8, 12)
    assert vendor.paths == ["/v1/realtime?model=gpt-realtime"]
    assert vendor.headers[0]["authorization"] == f"Bearer {STORED_KEY}"
    assert not [name for name in vendor.headers[0] if name.startswith("x-portkey")]


def test_frames_pass_unchanged_both_ways(product: Product, vendor: RealtimeVendor, key: str) -> None:
    with dial(product, headers={"virtual_key": key}) as socket:
        assert json.loads(socket.recv())["type"] == "session.created"
        socket.send(b"\x00\xff" * 50_000 + b"end")
        assert socket.recv() == (b"\x00\xff" * 50_000 + b"end")[::-1]
        said = '{"type": "response.create",  "text": "Grüße, 世界"}'
        socket.send(said)
        assert json.loads(socket.recv())["type"] == "response.done"
    assert vendor.received[1] == said


def test_how_the_provider_closes_is_passed_on(product: Product, vendor: RealtimeVendor, key: str) -> None:
    with dial(product, headers={"virtual_key": key}) as socket:
        socket.recv()
        socket.send('{"type": "session.end"}')
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert (socket.close_code, socket.close_reason) == (4321, "enough")


def test_how_the_caller_closes_is_passed_on(product: Product, vendor: RealtimeVendor, key: str) -> None:
    with dial(product, headers={"virtual_key": key}) as socket:
        socket.recv()
        socket.close(4567, "bye")
    assert vendor.over.wait(5)
    assert vendor.closed == (4567, "bye")


def test_a_caller_who_vanishes_ends_the_providers_side(product: Product, vendor: RealtimeVendor, key: str) -> None:
    trace = new_trace()
    with dial(product, headers={"virtual_key": key, "trace_id": trace}) as socket:
        socket.recv()
        socket.socket.shutdown(SHUT_RDWR)
        assert vendor.over.wait(5)
    assert product.record(trace)["endpoint"] == "realtime"


def test_a_provider_that_vanishes_is_told_as_a_fault(product: Product, vendor: RealtimeVendor, key: str) -> None:
    trace = new_trace()
    with dial(product, headers={"virtual_key": key, "trace_id": trace}) as socket:
        socket.recv()
        socket.send('{"type": "session.break"}')
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert socket.close_code == 1011
    assert product.record(trace)["error_code"] == "upstream_stream_broken"


def test_a_browser_shows_its_key_in_a_subprotocol(product: Product, vendor: RealtimeVendor) -> None:
    config = product.config({"virtual_key": product.virtual_key(vendor.url)})
    _, key = product.new_key(defaults={"config_id": config})
    protocols = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
    with dial(product, headers={"api_key": None}, subprotocols=protocols) as socket:
        assert socket.subprotocol == "realtime"
        assert json.loads(socket.recv())["type"] == "session.created"
    assert key not in repr(vendor.headers)


def refusal(product: Product, query: str = "model=m", **headers: str | None) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refused:
        dial(product, query, headers=headers)
    response = refused.value.response
    return response.status_code, json.loads(response.body)["error"]


def test_a_stranger_is_refused_before_the_provider_is_asked(product: Product, vendor: RealtimeVendor, key: str) -> None:
    assert refusal(product, api_key="gh-wrong", virtual_key=key)[0] == 401
    assert vendor.paths == []


def test_a_call_without_a_target_is_refused(product: Product) -> None:
    status, error = refusal(product)
    assert (status, error["code"]) == (400, "no_target")


def test_a_provider_that_refuses_is_told_with_its_status(product: Product) -> None:
    trace = new_trace()
    with RealtimeVendor(refuse=403) as vendor:
        status, _ = refusal(product, virtual_key=product.virtual_key(vendor.url), trace_id=trace)
    assert status == 403
    assert product.record(trace)["status"] == 403


def test_a_fallback_opens_the_next_provider(product: Product, vendor: RealtimeVendor, key: str) -> None:
    with RealtimeVendor(refuse=503) as refusing:
        targets = [{"virtual_key": product.virtual_key(refusing.url)}]
        targets.append({"virtual_key": key, "override_params": {"model": "other"}})
        config = product.config({"strategy": {"mode": "fallback"}, "targets": targets})
        with dial(product, "model=gpt-realtime&intent=x", headers={"config": config}) as socket:
            assert json.loads(socket.recv())["type"] == "session.created"
    assert vendor.paths == ["/v1/realtime?model=other&intent=x"]


def test_limits_count_realtime_calls(product: Product, vendor: RealtimeVendor, key: str) -> None:
    _, small = product.new_key(rate_limits=[{"type": "requests", "unit": "rpm", "value": 1}])
    with dial(product, headers={"api_key": small, "virtual_key": key}) as socket:
        socket.recv()
    status, error = refusal(product, api_key=small, virtual_key=key)
    assert (status, error["code"]) == (429, "rate_limit_exceeded")


def test_a_vendor_without_realtime_says_so(product: Product) -> None:
    status, error = refusal(product, virtual_key="mock")
    assert (status, error["code"]) == (400, "unsupported_endpoint")


def test_another_route_is_no_websocket(product: Product) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{product.url.replace('http', 'ws')}/v1/chat/completions")
    assert refused.value.response.status_code == 404


def test_plain_http_is_told_to_open_a_websocket(product: Product) -> None:
    answered = product.call(method="GET", path="/v1/realtime?model=m")
    assert (answered.status_code, answered.json()["error"]["code"]) == (426, "websocket_required")
