"""Routes that the gateway does not know: they go to the provider as they are, and come back as they are."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane, Turn, answer, cut_in_event, head, sends, status

Client = Callable[..., Any]
ANSWER = b'{"id":  "vs_1", "object":"vector_store"}\n'


def below(lane: Lane, number: int = -1) -> str:
    """The path of a request behind the provider's base URL."""
    return lane.received[number].path.partition("/v1")[2]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_passes(product: Product, lane: Lane, virtual_key: str, method: str) -> None:
    lane.will(sends(ANSWER, code=201, headers={"x-request-id": "req-7", "content-type": "application/json; v=2"}))
    content = None if method == "GET" else b'{"b" : 1,  "a":[ ]}'
    headers = {} if content is None else {"content-type": "application/json"}
    answered = product.call(
        method=method, path="/v1/vector_stores/vs_1?after=x%2Fy&b", virtual_key=virtual_key, content=content, headers=headers
    )
    assert (answered.status_code, answered.content) == (201, ANSWER)
    assert (answered.headers["content-type"], answered.headers["x-request-id"]) == ("application/json; v=2", "req-7")
    assert (answered.headers["x-portkey-provider"], lane.last.method) == ("openai", method)
    assert (below(lane), lane.last.body) == ("/vector_stores/vs_1?after=x%2Fy&b", content or b"")


def test_headers_pass_but_not_those_that_are_ours(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(ANSWER))
    given = {
        "openai-beta": "assistants=v2",
        "x-custom": "yes",
        "accept": "application/x-ndjson",
        "user-agent": "app/1",
        "cookie": "session=1",
        "x-forwarded-for": "10.0.0.1",
        "x-portkey-metadata": '{"user": "u"}',
        "authorization": f"Bearer {product.api_key}",
        "x-api-key": "sk-another",
    }
    product.call(method="GET", path="/v1/assistants", virtual_key=virtual_key, headers=given)
    assert lane.last.headers == {
        "host": lane.last.headers["host"],
        "authorization": f"Bearer {STORED_KEY}",
        "openai-beta": "assistants=v2",
        "x-custom": "yes",
        "accept": "application/x-ndjson",
        "user-agent": "app/1",
    }


def test_the_proxy_route_is_taken_off(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(ANSWER))
    product.call({"a": 1}, path="/v1/proxy/chat/completions", virtual_key=virtual_key)
    assert (below(lane), lane.last.json) == ("/chat/completions", {"a": 1})


def test_an_error_comes_back_as_the_provider_wrote_it(product: Product, lane: Lane, virtual_key: str) -> None:
    words = b'{"detail":  [{"loc": ["body"]}] }'
    lane.will(sends(words, code=422, headers={"content-type": "application/problem+json"}))
    trace = new_trace()
    answered = product.call({}, path="/v1/assistants", virtual_key=virtual_key, trace_id=trace)
    assert (answered.status_code, answered.content) == (422, words)
    assert answered.headers["content-type"] == "application/problem+json"
    record = product.record(trace)
    assert (record["status"], record["endpoint"], record["error_code"]) == (422, "proxy", "provider_error")


def test_an_error_that_holds_the_stored_key_does_not_show_it(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(f'{{"error": "bad key {STORED_KEY}"}}'.encode(), code=401))
    answered = product.call({}, path="/v1/assistants", virtual_key=virtual_key)
    assert answered.json() == {"error": "bad key [redacted]"}


def test_overrides_reach_json_and_nothing_else(product: Product, lane: Lane) -> None:
    lane.will(sends(ANSWER))
    key = product.virtual_key(lane.url)
    config = product.config({"virtual_key": key, "override_params": {"model": "other"}})
    product.call({"model": "mine", "x": [1]}, path="/v1/threads", config=config)
    assert lane.last.json == {"model": "other", "x": [1]}
    product.call(path="/v1/threads", config=config, content=b"[1,  2]", headers={"content-type": "application/json"})
    assert lane.last.body == b"[1,  2]"
    product.call(path="/v1/threads", config=config, content=b"\x00\x01", headers={"content-type": "audio/pcm"})
    assert (lane.last.body, lane.last.headers["content-type"]) == (b"\x00\x01", "audio/pcm")


def test_usage_in_an_answer_is_counted(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(b'{"model": "gpt-4o-mini", "usage": {"prompt_tokens": 100, "completion_tokens": 10}}'))
    trace = new_trace()
    product.call({"model": "gpt-4o-mini"}, path="/v1/proxy/chat/completions", virtual_key=virtual_key, trace_id=trace)
    record = product.record(trace)
    assert (record["input_tokens"], record["output_tokens"], record["status"]) == (100, 10, 200)
    assert record["cost_usd"] > 0


def test_a_stream_passes_with_its_usage(product: Product, lane: Lane, virtual_key: str) -> None:
    trace = new_trace()
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    direct = product.call(body, virtual_key=virtual_key)
    passed = product.call(body, path="/v1/proxy/chat/completions", virtual_key=virtual_key, trace_id=trace)
    assert passed.content == direct.content
    assert passed.headers["content-type"].startswith("text/event-stream")
    record = product.record(trace)
    assert (record["input_tokens"], record["output_tokens"], record["cancelled"]) == (21, 7, False)


def test_a_stream_that_breaks_has_no_clean_end(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=cut_in_event(3)))
    trace = new_trace()
    with pytest.raises(Exception, match="peer closed connection"):
        product.call({**HELLO, "stream": True}, path="/v1/proxy/chat/completions", virtual_key=virtual_key, trace_id=trace)
    assert product.record(trace)["error_code"] == "upstream_stream_broken"


def test_a_fallback_serves_passed_calls_too(product: Product, lane: Lane, other_lane: Lane) -> None:
    other_lane.will(status(503))
    lane.will(sends(ANSWER))
    targets = [{"virtual_key": product.virtual_key(other_lane.url)}, {"virtual_key": product.virtual_key(lane.url)}]
    config = product.config({"strategy": {"mode": "fallback"}, "targets": targets})
    answered = product.call({"a": 1}, path="/v1/assistants", config=config)
    assert (answered.status_code, answered.content) == (200, ANSWER)
    assert [other_lane.last.json, lane.last.json] == [{"a": 1}] * 2


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/proxy/../../x", "/v1/assistants/%2e%2e/x", "/v1/files/..%2f..%2fx"])
def test_a_path_cannot_leave_the_providers_base(product: Product, lane: Lane, virtual_key: str, path: str) -> None:

    connection = http.client.HTTPConnection("127.0.0.1", product.stack.port, timeout=10)
    headers = {"x-portkey-api-key": product.api_key, "x-portkey-virtual-key": virtual_key}
    connection.request("GET", path, headers=headers)
    answered = connection.getresponse()
    answered.read()
    connection.close()
    assert answered.status in (400, 404)
    assert lane.received == []


def test_nothing_passes_without_a_key(product: Product, lane: Lane, virtual_key: str) -> None:
    answered = product.call({}, path="/v1/assistants", virtual_key=virtual_key, key="gh-wrong")
    assert (answered.status_code, lane.received) == (401, [])


def test_without_a_target_a_route_stays_unknown(product: Product) -> None:
    answered = product.call({}, path="/v1/assistants")
    assert (answered.status_code, answered.json()["error"]["code"]) == (404, "unknown_route")


def test_a_keys_own_config_is_a_target(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(ANSWER))
    _, key = product.new_key(defaults={"config_id": product.config({"virtual_key": virtual_key})})
    assert product.call({}, path="/v1/assistants", key=key).content == ANSWER


def test_the_administrations_routes_stay_its_own(product: Product, lane: Lane, virtual_key: str) -> None:
    answered = product.call(method="GET", path="/v1/configs", virtual_key=virtual_key)
    assert answered.status_code == 200
    assert lane.received == []


@pytest.mark.parametrize("route", ["chat/completions", "files", "batches/b_1", "models", "audio/speech"])
def test_a_wrong_method_is_told_which_are_right(product: Product, lane: Lane, virtual_key: str, route: str) -> None:
    answered = product.call({}, method="PATCH", path=f"/v1/{route}", virtual_key=virtual_key)
    assert (answered.status_code, answered.json()["error"]["code"]) == (405, "method_not_allowed")
    allowed = answered.headers["allow"].split(", ")
    assert allowed
    assert set(allowed) <= {"GET", "POST", "DELETE"}
    assert lane.received == []


def test_headers_that_a_browser_obeys_stay_with_us(product: Product, lane: Lane, virtual_key: str) -> None:
    obeyed = ("location", "refresh", "link", "clear-site-data", "set-cookie", "content-security-policy", "x-accel-redirect")
    told = {"x-ratelimit-remaining-requests": "9", "openai-organization": "org", "retry-after": "nan", "etag": '"x"'}
    lane.will(sends(ANSWER, headers={**dict.fromkeys(obeyed, "/evil"), **told}))
    for path in ("/v1/assistants", "/v1/files/file-1/content"):
        answered = product.call(method="GET", path=path, virtual_key=virtual_key)
        assert not set(obeyed) & set(answered.headers)
        assert (answered.headers["x-ratelimit-remaining-requests"], answered.headers["etag"]) == ("9", '"x"')
        assert "retry-after" not in answered.headers


def test_a_part_of_a_file_is_the_providers_206(product: Product, lane: Lane, virtual_key: str) -> None:
    async def part(turn: Turn) -> None:
        assert turn.received.headers["range"] == "bytes=2-4"
        turn.write(head(206, {"content-length": "3", "content-range": "bytes 2-4/9", "content-type": "text/plain"}) + b"234")

    lane.will(part)
    answered = product.call(
        method="GET", path="/v1/videos/v_1/content", virtual_key=virtual_key, headers={"range": "bytes=2-4"}
    )
    assert (answered.status_code, answered.content, answered.headers["content-range"]) == (206, b"234", "bytes 2-4/9")


def test_an_answer_without_a_body_stays_one(product: Product, lane: Lane, virtual_key: str) -> None:
    async def nothing(turn: Turn) -> None:
        turn.write(head(204, {}))

    lane.will(nothing)
    answered = product.call(method="DELETE", path="/v1/assistants/a_1", virtual_key=virtual_key)
    assert (answered.status_code, answered.content) == (204, b"")


def test_the_sdk_reaches_what_the_gateway_does_not_know(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(json.dumps({"id": "vs_1", "object": "vector_store", "name": "mine"}).encode()))
    made = openai_client(virtual_key=virtual_key).vector_stores.create(name="mine")
    assert (made.id, below(lane), lane.last.json) == ("vs_1", "/vector_stores", {"name": "mine"})


def test_models_by_name(product: Product, openai_client: Client, lane: Lane, virtual_key: str) -> None:
    assert openai_client(virtual_key="mock").models.retrieve("mock-echo").owned_by == "mock"
    answered = product.call(method="GET", path="/v1/models/no-such")
    assert (answered.status_code, answered.json()["error"]["code"]) == (404, "model_not_found")
    lane.will(sends(b'{"id": "ft:x", "object": "model"}'))
    assert product.call(method="GET", path="/v1/models/ft:x", virtual_key=virtual_key).json()["id"] == "ft:x"
    assert below(lane) == "/models/ft:x"
