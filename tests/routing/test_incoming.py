"""From an HTTP request to a call: ids, headers, metadata and the body."""

from __future__ import annotations

from io import BytesIO

import orjson
import pytest
from django.core.handlers.asgi import ASGIRequest

from keys.auth import Caller
from routing.api import incoming
from routing.errors import BodyTooLarge, InvalidRequest

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def request(body=CHAT, method="POST", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin1")) for name, value in named.items()],
    }
    made = ASGIRequest(scope, BytesIO())
    made._body = body if isinstance(body, bytes) else orjson.dumps(body)
    return made


def read(made, *, endpoint="chat/completions", caller=None, provider_key=None):
    return incoming.read(made, incoming.begin(made, endpoint), caller or Caller("w"), provider_key, 1000)


def refusal(made, **options):
    with pytest.raises(InvalidRequest) as caught:
        read(made, **options)
    return caught.value


def test_a_call_holds_what_was_sent():
    call = read(request(content_type="application/json; charset=utf-8"))
    assert (call.body, orjson.loads(call.raw), call.endpoint, call.model, call.stream) == (
        CHAT,
        CHAT,
        "chat/completions",
        "m",
        False,
    )
    assert call.started_at_us > 1_700_000_000_000_000


def test_every_call_has_an_id_of_its_own():
    first, second = read(request()), read(request())
    assert first.id != second.id
    assert first.trace_id == first.id


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({"x_portkey_trace_id": " mine "}, "mine"),
        ({"x_portkey_trace_id": "x" * 500}, "x" * 128),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x_portkey_trace_id": "mine"}, "mine"),
        ({"traceparent": "nonsense"}, None),
        ({"x_portkey_trace_id": "  "}, None),
    ],
)
def test_the_trace_id_is_the_callers_where_it_gave_one(headers, trace_id):
    call = read(request(**headers))
    assert call.trace_id == (trace_id or call.id)


@pytest.mark.parametrize(
    ("headers", "provider_key", "kept"),
    [
        ({"x_portkey_api_key": "gh-1"}, None, {}),
        ({"authorization": "Bearer gh-1"}, None, {}),
        ({"x_api_key": "gh-1"}, None, {}),
        ({"authorization": "Bearer OPENAI_API_KEY"}, None, {}),
        ({"authorization": "Bearer sk-1"}, "sk-1", {"authorization": "Bearer sk-1"}),
        ({"authorization": "Bearer gh-1", "x_api_key": "sk-1"}, "sk-1", {"x-api-key": "sk-1"}),
        ({"authorization": "Bearer sk-1", "x_api_key": "gh-1"}, "sk-1", {"authorization": "Bearer sk-1"}),
        ({"x_portkey_api_key": "gh-1", "authorization": "Bearer sk-1"}, "sk-1", {"authorization": "Bearer sk-1"}),
    ],
)
def test_the_gateways_key_stays_at_the_edge(headers, provider_key, kept):
    assert read(request(**headers), provider_key=provider_key).headers == kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {"team": "search", "env": "prod"}),
        ("{}", {"team": "search", "env": "prod"}),
        ('{"env": "test", "user": "u"}', {"team": "search", "env": "test", "user": "u"}),
        ('{"n": 1, "f": true, "o": {"a": [1]}}', {"team": "search", "env": "prod", "n": "1", "f": "true", "o": '{"a":[1]}'}),
    ],
)
def test_metadata_of_the_call_goes_over_that_of_the_key(given, expected):
    caller = Caller("w", "k", metadata={"team": "search", "env": "prod"})
    headers = {} if given is None else {"x_portkey_metadata": given}
    assert read(request(**headers), caller=caller).metadata == expected


@pytest.mark.parametrize(
    ("config", "header"), [("pc-1@prod", "pc-1@prod"), ({"virtual_key": "v"}, '{"virtual_key":"v"}'), ('{"a": 1}', '{"a": 1}')]
)
def test_a_config_among_the_parameters_is_that_of_the_call(config, header):
    call = read(request({**CHAT, "config": config}, x_portkey_config="pc-2"))
    assert call.headers["x-portkey-config"] == header
    assert call.body == orjson.loads(call.raw) == CHAT


def test_a_config_that_is_null_leaves_it_to_the_header():
    call = read(request({**CHAT, "config": None}, x_portkey_config="pc-2"))
    assert (call.headers["x-portkey-config"], call.body) == ("pc-2", CHAT)


@pytest.mark.parametrize("config", [[], 5, True])
def test_a_config_that_can_be_none_is_refused(config):
    assert refusal(request({**CHAT, "config": config})).param == "config"


def test_what_is_passed_through_keeps_a_config_of_its_own():
    body = {"config": {"a": 1}}
    call = read(request(body), endpoint="proxy")
    assert (call.body, orjson.loads(call.raw), "x-portkey-config" in call.headers) == (body, body, False)


def test_configs_and_metadata_may_be_in_any_language():
    as_sent = '{"kind": "代码"}'.encode().decode("latin1")
    call = read(request(x_portkey_metadata=as_sent, x_portkey_config=as_sent))
    assert call.metadata == {"kind": "代码"}
    assert orjson.loads(call.headers["x-portkey-config"]) == {"kind": "代码"}
    old = read(request(x_portkey_metadata='{"city": "Köln"}'))
    assert old.metadata == {"city": "Köln"}, "Latin-1 is read as it is"


def test_metadata_is_cut_to_a_bound():
    (entry,) = read(request(x_portkey_metadata=orjson.dumps({"n" * 5000: "v" * 5000}).decode())).metadata.items()
    assert [len(part) for part in entry] == [1024, 1024]


@pytest.mark.parametrize("given", ["{", "[]", '"text"', "5", orjson.dumps({str(n): n for n in range(65)}).decode()])
def test_metadata_that_is_none_is_refused(given):
    assert refusal(request(x_portkey_metadata=given)).param == "x-portkey-metadata"


@pytest.mark.parametrize(
    ("endpoint", "body", "param", "code"),
    [
        ("chat/completions", b"not json", None, "invalid_json"),
        ("chat/completions", b"\xff", None, "invalid_json"),
        ("chat/completions", b'{"a": NaN}', None, "invalid_json"),
        ("chat/completions", b"null", None, "invalid_json"),
        ("chat/completions", {}, "messages", "missing_parameter"),
        ("chat/completions", {"messages": "hi"}, "messages", "invalid_request"),
        ("chat/completions", {"messages": []}, "messages", "invalid_request"),
        ("chat/completions", {**CHAT, "model": None}, "model", "invalid_request"),
        ("chat/completions", {**CHAT, "stream": 1}, "stream", "invalid_request"),
        ("completions", {"prompt": ""}, "prompt", "invalid_request"),
        ("completions", {"prompt": 5}, "prompt", "invalid_request"),
        ("embeddings", {"input": {}}, "input", "invalid_request"),
        ("embeddings", {"messages": []}, "input", "missing_parameter"),
    ],
)
def test_a_body_that_means_nothing_is_refused_with_its_field(endpoint, body, param, code):
    error = refusal(request(body), endpoint=endpoint)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", {**CHAT, "stream": None}),
        ("chat/completions", {"messages": [1]}),
        ("completions", {"prompt": ["a", "b"]}),
        ("completions", {"prompt": "a", "stream": True}),
        ("embeddings", {"input": [[1, 2]]}),
    ],
)
def test_the_rest_is_the_providers_to_judge(endpoint, body):
    assert read(request(body), endpoint=endpoint).body == body


def test_a_body_of_another_kind_is_refused():
    assert refusal(request(content_type="text/plain")).code == "invalid_content_type"


def test_a_body_beyond_the_bound_is_too_large():
    made = request({**CHAT, "user": "x" * 1000})
    with pytest.raises(BodyTooLarge, match="1000 bytes"):
        read(made)


def test_a_get_has_no_body():
    call = read(request(b"ignored", method="GET"), endpoint="models")
    assert (call.body, call.raw) == ({}, b"")


@pytest.mark.parametrize(
    ("endpoint", "method", "content_type", "upload"),
    [
        ("proxy", "POST", "audio/wav", True),
        ("proxy", "POST", "Application/JSON", False),
        ("proxy", "GET", "audio/wav", False),
        ("proxy", "DELETE", "text/plain", True),
        ("files", "POST", "Multipart/Form-Data; boundary=x", True),
        ("files", "POST", "audio/wav", False),
        ("files", "DELETE", "multipart/form-data; boundary=x", False),
        ("chat/completions", "POST", "multipart/form-data; boundary=x", False),
    ],
)
def test_an_upload_is_what_is_no_json_where_that_makes_sense(endpoint, method, content_type, upload):
    made = request(method=method, content_type=content_type)
    assert incoming.is_upload(incoming.begin(made, endpoint)) is upload


@pytest.mark.parametrize("path", ["a/../b", "..", "./a", "a/%2e%2E/b", "a/..%2fb", "a\\..\\b", "a%5c..%5cb"])
def test_a_path_with_dots_is_refused(path):
    made = request(method="GET")
    made.scope["raw_path"] = f"/v1/{path}".encode()
    with pytest.raises(InvalidRequest, match="segments"):
        incoming.read(made, incoming.begin(made, "proxy", resource=True), Caller("w"), None, 1000)


@pytest.mark.parametrize(
    ("raw", "path"), [("/v1/files/f%2F1", "files/f%2F1"), ("/files/f", "files/f"), ("/v1/proxy/a/b", "a/b")]
)
def test_a_path_stays_as_it_was_written(raw, path):
    made = request(method="GET")
    made.scope["raw_path"] = raw.encode()
    assert incoming.begin(made, "files", resource=True).path == path
