"""The rows of vendors that speak OpenAI's dialect: what goes through them untouched, and what a row says of itself."""

import re

import orjson
import pytest

from routing.call import Endpoint
from routing.errors import InvalidRequest
from routing.providers.openai import OpenAIDialect
from routing.providers.table import OPTION_HEADERS, OPTION_NAMES, PROVIDERS
from tests.routing.providers.pairs import HERE, KEY, make_call, make_target

ROWS = [row for row in PROVIDERS.values() if isinstance(row.dialect, OpenAIDialect) and Endpoint.CHAT in row.supports]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
STREAM = (HERE / "openai" / "chat-stream.in.sse").read_bytes()
WITHOUT_USAGE = (HERE / "openai" / "chat-stream.out.sse").read_bytes()
WORDS = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://i.example"}}],
        },
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "vendor_extension": {"of": "its own"},
    "temperature": 0.2,
}


# --- what goes through ---


@rows
def test_tools_pictures_json_mode_and_unknown_parameters_go_through_as_bytes(row):
    call = make_call(WORDS)
    assert row.dialect.request(call, make_target(row.id)).body is call.raw


@pytest.mark.parametrize("row", [row for row in ROWS if row.dialect.says_done], ids=lambda row: row.id)
def test_a_stream_goes_through_and_its_usage_is_read(row):
    target = make_target(row.id)
    call = make_call({**WORDS, "stream": True})
    request = row.dialect.request(call, target)
    assert orjson.loads(request.body).get("stream_options") == ({"include_usage": True} if row.stream_usage else None)
    assert request.headers["accept"] == "text/event-stream"
    for size in (1, 7, len(STREAM)):
        translator = row.dialect.stream(call, target)
        out = b"".join(translator.feed(STREAM[start : start + size]) for start in range(0, len(STREAM), size))
        # A caller who asked for no usage gets none where we asked for it in his place.
        assert out == (WITHOUT_USAGE if row.stream_usage else STREAM)
        assert (translator.done, translator.usage.prompt_tokens, translator.deltas) == (True, 10, 3)


@rows
def test_an_error_keeps_its_status_and_names_the_vendor(row):
    body = {"error": {"message": f"Wrong key {KEY}", "type": "invalid_request_error", "code": "invalid_api_key"}}
    error = row.dialect.error(make_target(row.id), 401, orjson.dumps(body))
    assert error.status == 401
    assert error.body() == {
        "error": {
            "message": f"{row.id} error: Wrong key [redacted]",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        },
        "provider": row.id,
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row.dialect.renames], ids=lambda row: row.id)
def test_the_vendors_own_name_of_a_parameter_wins(row):
    call = make_call({**WORDS, "max_completion_tokens": 5, "max_tokens": 9})
    body = orjson.loads(row.dialect.request(call, make_target(row.id)).body)
    assert (body["max_tokens"], "max_completion_tokens" in body) == (9, False)


# --- the table itself ---


def test_there_are_more_than_a_hundred_vendors():
    assert len(PROVIDERS) > 150


@pytest.mark.parametrize("row", [row for row in PROVIDERS.values() if row.id != "mock"], ids=lambda row: row.id)
def test_a_row_has_an_address_and_the_page_it_is_from(row):
    assert re.fullmatch(r"https?://[^\s{}]+|https://[\w.-]*\{\w+\}[^\s]*|\{\w+\}|https://[^\s]+|", row.base_url)
    assert not row.base_url.endswith("/")
    assert re.fullmatch(r"https://[^\s]+\.[^\s]+", row.source)
    assert set(row.placeholders) <= {option.name for option in row.options}
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", row.id)


def test_an_option_is_the_same_thing_wherever_it_stands():
    options = [option for row in PROVIDERS.values() for option in row.options]
    for option in options:
        assert OPTION_HEADERS[option.request_header] == option.name
        assert all(OPTION_NAMES[name] == option.name for name in option.names)
        assert {(one.kind, one.secret) for one in options if one.name == option.name} == {(option.kind, option.secret)}


# --- addresses made of options ---


@pytest.mark.parametrize(
    "value", ["evil.example/", "evil.example#", "a@evil.example", "a:80", "a b", "{x}", ".", "-a", "a?b", "ä"]
)
def test_an_option_cannot_lead_to_another_host(value):
    target = make_target("cortex", options={"snowflake_account": value})
    with pytest.raises(InvalidRequest) as caught:
        target.provider.dialect.request(make_call(WORDS), target)
    assert caught.value.param == "snowflake_account"


@pytest.mark.parametrize(("value", "part"), [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("{x}", "%7Bx%7D"), ("a b", "a%20b")])
def test_an_option_stays_one_part_of_a_path(value, part):
    target = make_target("cloudflare-ai-gateway", options={"cloudflare_account_id": value, "cloudflare_gateway_id": "g"})
    url = target.provider.dialect.request(make_call(WORDS), target).url
    assert url == f"https://gateway.ai.cloudflare.com/v1/{part}/g/compat/chat/completions"


@pytest.mark.parametrize("value", [".", ".."])
def test_an_option_cannot_climb_a_path(value):
    target = make_target("cloudflare-ai-gateway", options={"cloudflare_account_id": value, "cloudflare_gateway_id": "g"})
    with pytest.raises(InvalidRequest):
        target.provider.dialect.request(make_call(WORDS), target)


def test_a_missing_option_is_named_with_its_header():
    target = make_target("cortex", options={})
    with pytest.raises(InvalidRequest) as caught:
        target.provider.dialect.request(make_call(WORDS), target)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "snowflake_account", "missing_option")
    assert "x-portkey-snowflake-account" in caught.value.message


def test_a_default_stands_in_for_an_option_that_nobody_gives():
    target = make_target("watsonx", options={})
    assert target.provider.dialect.request(make_call(WORDS), target).url.startswith("https://us-south.ml.cloud.ibm.com/")


def test_an_own_host_needs_no_options():
    target = make_target("cortex", base_url="https://proxy.example/v1/", options={})
    assert target.provider.dialect.request(make_call(WORDS), target).url == "https://proxy.example/v1/chat/completions"


def test_a_secret_option_is_never_in_an_error():
    target = make_target("cloudflare-ai-gateway", options={"cloudflare_gateway_token": "hush-hush"})
    error = target.provider.dialect.error(target, 401, b'{"error": "token hush-hush is wrong"}')
    assert "hush-hush" not in error.message
