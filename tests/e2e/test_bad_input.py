"""What callers get wrong: an answer in OpenAI's shape that names the mistake, a record of it, and nothing of the insides."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.product import CHAT, HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane

_INSIDES = ("Traceback", 'File "', "/routing/", ".py", "psycopg", "aiohttp", "orjson", "SELECT ", STORED_KEY)


@dataclass(frozen=True)
class Mistake:
    """A request, and what its refusal says."""

    status: int
    code: str
    param: str | None = None
    message: str = ""
    path: str = CHAT
    method: str = "POST"
    body: Any = None
    content: bytes | None = None
    key: str | None = ""
    virtual_key: str | None = "mock"
    config: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def config(value: Any, **more: Any) -> dict[str, Any]:
    return {"config": value if isinstance(value, str) else json.dumps(value), "virtual_key": None, **more}


_TARGETS = {"strategy": {"mode": "fallback"}, "targets": [{"virtual_key": "mock"}, {"virtual_key": "mock", "weiht": 1}]}
_JSON = (("content-type", "application/json"),)

MISTAKES = {
    "malformed JSON": Mistake(400, "invalid_json", content=b'{"model": "mock", ', headers=_JSON),
    "JSON that is no object": Mistake(400, "invalid_json", content=b"[1, 2]", headers=_JSON),
    "NaN": Mistake(400, "invalid_json", content=b'{"temperature": NaN}', headers=_JSON),
    "an empty body": Mistake(400, "invalid_json", content=b"", headers=_JSON),
    "bytes that are no text": Mistake(400, "invalid_json", content=b'{"model": "\xff\xfe"}', headers=_JSON),
    "JSON nested beyond sense": Mistake(
        400, "invalid_json", content=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", headers=_JSON
    ),
    "JSON nested deeper than anybody writes": Mistake(
        400, "invalid_json", message="200 levels", content=b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", headers=_JSON
    ),
    "another content type": Mistake(
        400, "invalid_content_type", message="text/plain", content=b"hello", headers=(("content-type", "text/plain"),)
    ),
    "no messages": Mistake(400, "missing_parameter", "messages", body={"model": "mock"}),
    "messages of a wrong type": Mistake(400, "invalid_request", "messages", body={"model": "mock", "messages": "hello"}),
    "no messages at all": Mistake(400, "invalid_request", "messages", body={"model": "mock", "messages": []}),
    "a model of a wrong type": Mistake(400, "invalid_request", "model", body={**HELLO, "model": 5}),
    "no model": Mistake(400, "invalid_request", "model", body={"messages": HELLO["messages"]}),
    "a stream flag of a wrong type": Mistake(400, "invalid_request", "stream", body={**HELLO, "stream": "yes"}),
    "an unknown route": Mistake(404, "unknown_route", message="/v1/nonsense", path="/v1/nonsense"),
    "an unknown route below a known one": Mistake(404, "unknown_route", path="/v1/chat/completions/deep"),
    "a wrong method": Mistake(405, "method_not_allowed", message="GET", method="GET"),
    "no key": Mistake(401, "invalid_api_key", message="x-portkey-api-key", key=None),
    "a wrong key": Mistake(401, "invalid_api_key", message="Incorrect", key="gh-wrong"),
    "no target": Mistake(400, "no_target", "x-portkey-provider", virtual_key=None),
    "an unknown provider": Mistake(
        400, "unknown_provider", message="openai", virtual_key=None, headers=(("x-portkey-provider", "opnai"),)
    ),
    "a provider without a key": Mistake(
        400, "missing_provider_key", "config.api_key", virtual_key=None, headers=(("x-portkey-provider", "openai"),)
    ),
    "an unknown virtual key": Mistake(400, "unknown_virtual_key", "config.virtual_key", virtual_key="not-there"),
    "an unknown config": Mistake(400, "unknown_config", "x-portkey-config", message="pc-not-there", **config("pc-not-there")),
    "a config that is no JSON": Mistake(400, "invalid_config", "x-portkey-config", **config('{"retry":')),
    "an unknown config key": Mistake(
        400, "invalid_config", "targets[1].weiht", message='did you mean "weight"?', **config(_TARGETS)
    ),
    "an unknown strategy": Mistake(
        400,
        "invalid_config",
        "strategy.mode",
        **config({"strategy": {"mode": "random"}, "targets": [{"virtual_key": "mock"}]}),
    ),
    "a config without a target": Mistake(400, "no_target", "x-portkey-provider", **config({"retry": {"attempts": 1}})),
    "an empty list of targets": Mistake(
        400, "invalid_config", "targets", **config({"strategy": {"mode": "fallback"}, "targets": []})
    ),
    "weights that sum to zero": Mistake(
        400,
        "invalid_config",
        "targets",
        **config({"strategy": "loadbalance", "targets": [{"virtual_key": "mock", "weight": 0}]}),
    ),
    "a target that names nobody": Mistake(
        400, "invalid_config", "config.targets[0].provider", **config({"strategy": "single", "targets": [{"weight": 1}]})
    ),
    "what is not supported yet": Mistake(
        400, "unsupported", "cache", **config({"virtual_key": "mock", "cache": {"mode": "simple"}})
    ),
    "a custom host that is no URL": Mistake(
        400,
        "invalid_config",
        "x-portkey-custom-host",
        virtual_key=None,
        headers=(
            ("x-portkey-provider", "openai"),
            ("x-portkey-custom-host", "file:///etc/passwd"),
            ("authorization", "Bearer sk-own"),
        ),
    ),
    "a host name that cannot be one": Mistake(
        400,
        "invalid_request",
        "custom_host",
        virtual_key=None,
        headers=(
            ("x-portkey-provider", "openai"),
            ("x-portkey-custom-host", "https://a..b/v1"),
            ("authorization", "Bearer sk-own"),
        ),
    ),
    "a request timeout that is none": Mistake(
        400, "invalid_config", "x-portkey-request-timeout", headers=(("x-portkey-request-timeout", "soon"),)
    ),
    "metadata that is no JSON": Mistake(
        400, "invalid_request", "x-portkey-metadata", headers=(("x-portkey-metadata", "{user: 1}"),)
    ),
    "metadata that is no object": Mistake(
        400, "invalid_request", "x-portkey-metadata", headers=(("x-portkey-metadata", "[1]"),)
    ),
}


def send(product: Product, mistake: Mistake, trace_id: str) -> httpx.Response:
    return product.call(
        mistake.body,
        dict(mistake.headers),
        path=mistake.path,
        method=mistake.method,
        content=mistake.content,
        key=mistake.key,
        virtual_key=mistake.virtual_key,
        config=mistake.config,
        trace_id=trace_id,
    )


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_and_recorded(product: Product, mistake: Mistake) -> None:
    trace_id = new_trace()

    answered = send(product, mistake, trace_id)

    assert answered.status_code == mistake.status, answered.text
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["x-portkey-trace-id"] == trace_id
    error = answered.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["code"], error["param"]) == (mistake.code, mistake.param or error["param"])
    assert mistake.message in error["message"]
    assert not [word for word in _INSIDES if word in answered.text.replace(mistake.path, "")]
    record = product.record(trace_id)
    assert (record["status"], record["error_code"]) == (mistake.status, mistake.code)
    assert record["error_message"] == error["message"]
    assert record["input_tokens"] == 0


def test_a_body_over_the_limit_is_refused(product: Product) -> None:
    trace_id = new_trace()
    body = {**HELLO, "padding": "x" * (20 * 1024 * 1024)}

    answered = product.call(body, virtual_key="mock", trace_id=trace_id)

    assert answered.status_code == 413
    assert answered.json()["error"]["code"] == "body_too_large"
    assert product.record(trace_id)["status"] == 413


def test_a_body_just_below_the_limit_passes(product: Product, lane: Lane, virtual_key: str) -> None:
    content = "x" * (20 * 1024 * 1024 - 1000)

    answered = product.call({**HELLO, "messages": [{"role": "user", "content": content}]}, virtual_key=virtual_key)

    assert answered.status_code == 200
    assert len(lane.last.json["messages"][0]["content"]) == len(content)


def test_the_sdk_raises_its_own_exceptions(product: Product) -> None:
    with openai.OpenAI(base_url=f"{product.url}/v1", api_key="gh-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(**HELLO)
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.list()

    assert refused.value.code == "invalid_api_key"
    assert refused.value.type == "authentication_error"


def test_two_slashes_in_front_make_an_unknown_route(product: Product) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", product.stack.port, timeout=10)
    connection.request("POST", "//v1/chat/completions", body=json.dumps(HELLO), headers={"x-portkey-virtual-key": "mock"})
    answered = connection.getresponse()
    body = json.loads(answered.read())
    connection.close()
    assert (answered.status, body["error"]["code"]) == (404, "unknown_route")


def test_a_request_that_is_no_http_does_not_harm_the_next(product: Product) -> None:
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=5) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        client.shutdown(socket.SHUT_WR)
        assert b"Traceback" not in client.recv(4096)

    assert product.call(virtual_key="mock").status_code == 200


@pytest.mark.parametrize("surrogate", ["\\ud800", "\\udfff\\ud800"])
def test_half_a_surrogate_pair_does_no_harm(product: Product, surrogate: str) -> None:
    """It is legal in JSON and has no bytes of its own in UTF-8, nor a place in Postgres."""
    trace_id = new_trace()
    content = f'{{"model": "mock", "messages": [{{"role": "user", "content": "{surrogate}"}}]}}'.encode()

    answered = product.call(content=content, virtual_key="mock", trace_id=trace_id, headers=dict(_JSON))

    assert answered.status_code in (200, 400)
    assert product.record(trace_id)["status"] == answered.status_code


def test_a_nul_character_does_not_stop_the_log(product: Product) -> None:
    """JSON may hold it, Postgres may not."""
    trace_id = new_trace()

    answered = product.call(
        {**HELLO, "messages": [{"role": "user", "content": "a\0b"}]},
        {"x-portkey-metadata": json.dumps({"name": "a\0b"})},
        virtual_key="mock",
        trace_id=trace_id,
    )

    assert answered.status_code == 200
    assert product.record(trace_id)["status"] == 200
