"""Anthropic's dialect: what is refused, what is left out, and the odd cases that the captured pairs do not hold."""

import orjson
import pytest

from routing.call import Usage
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

DIALECT = find("anthropic").dialect
USER = {"role": "user", "content": "Hi"}


def sent(messages=None, **body):
    call = make_call({"model": "claude-sonnet-5", "messages": [USER] if messages is None else messages, **body})
    return orjson.loads(DIALECT.request(call, make_target("anthropic")).body)


def assistant(**fields):
    return {"role": "assistant", "content": None, **fields}


def call_of(arguments, **fields):
    return {"id": "t1", "type": "function", "function": {"name": "f", "arguments": arguments}, **fields}


# --- refused by name ---


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"temperature": 1.5}, "temperature"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": 1}, "service_tier"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, assistant(function_call={"name": "f"})]}, "messages[1].function_call"),
        ({"messages": [USER, assistant(audio={"id": "a"})]}, "messages[1].audio"),
        ({"messages": [USER, assistant(tool_calls=[{"type": "custom", "custom": {}}])]}, "messages[1].tool_calls[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_it_refuses_what_it_cannot_express(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param
    assert "Anthropic" in caught.value.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url.url"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:text/plain,hi"}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].file"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/plain;base64,?"}}]}]},
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [USER, assistant(tool_calls=[call_of("{")])]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, assistant(tool_calls=[call_of("[]")])]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, assistant(tool_calls=[call_of(7)])]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, assistant(tool_calls={})], "n": 1}, None),
        ({"messages": [USER, assistant(tool_calls={"a": 1})]}, "messages[1].tool_calls"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"system": 7}, "system"),
    ],
)
def test_it_names_what_is_wrong(body, param):
    if param is None:
        assert sent(**body)
        return
    with pytest.raises(InvalidRequest) as caught:
        sent(**body)
    assert caught.value.param == param


# --- translated ---


def test_there_is_no_system_where_there_is_none():
    assert "system" not in sent()
    assert sent(system="a", messages=[{"role": "system", "content": "b"}, USER])["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, 4096),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9, "max_tokens": 7}, 9),
        ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, 5096),
        ({"thinking": {"type": "adaptive"}}, 4096),
    ],
)
def test_it_always_sends_a_limit(body, limit):
    assert sent(**body)["max_tokens"] == limit


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"stop": None}, {}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"safety_identifier": "s"}, {"metadata": {"user_id": "s"}}),
        ({"metadata": {"user_id": "m"}}, {"metadata": {"user_id": "m"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "high", "output_config": {"effort": "low", "x": 1}},
            {"output_config": {"effort": "high", "x": 1}},
        ),
        ({"tool_choice": "auto"}, {}),
        ({"tool_choice": "none", "tools": []}, {}),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        ({"tool_choice": {"type": "tool", "name": "f"}}, {"tool_choice": {"type": "tool", "name": "f"}}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": {"type": "tool", "name": "f"}}),
        ({"parallel_tool_calls": False}, {}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"future_parameter": {"a": 1}, "temperature": None}, {"future_parameter": {"a": 1}}),
        ({"response_format": {"type": "text"}, "prediction": {"type": "content"}, "stream_options": {}}, {}),
    ],
)
def test_parameters(body, expected):
    assert {**sent(), **expected} == sent(**body)


def test_parallel_tool_calls_without_and_with_a_choice():
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert sent(tools=tools, parallel_tool_calls=False)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert sent(tools=tools, parallel_tool_calls=False, tool_choice="none")["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": "x"}, "x"),
        ({"content": ""}, ""),
        ({"content": None, "refusal": "No"}, [{"type": "text", "text": "No"}]),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, [{"type": "text", "text": "No"}]),
        (
            {"content": "", "tool_calls": [call_of({"a": 1})]},
            [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}],
        ),
        (
            {"content": "x", "cache_control": {"type": "ephemeral"}},
            [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        ),
        (
            {
                "content_blocks": [{"type": "tool_use", "id": "t1"}, {"type": "text", "text": "a"}],
                "tool_calls": [call_of("{}")],
            },
            [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}],
        ),
    ],
)
def test_what_the_assistant_said(message, content):
    assert sent([USER, {"role": "assistant", **message}])["messages"][1]["content"] == content


def test_the_vendors_own_blocks_pass():
    block = {"type": "search_result", "source": "s", "title": "t", "content": []}
    assert sent([{"role": "user", "content": [block]}])["messages"][0]["content"] == [block]


def test_a_schema_without_a_type_is_one_of_an_object():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}
    assert sent(tools=[tool])["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]


def test_turns_of_one_side_become_one():
    turns = sent([USER, {"role": "user", "content": ""}, {"role": "user", "content": "b"}])["messages"]
    assert turns == [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "b"}]}]


def test_a_tool_result_may_be_empty_or_an_error():
    turns = sent([USER, {"role": "tool", "tool_call_id": "t1", "content": None, "is_error": True}])["messages"]
    assert turns[0]["content"][1] == {"type": "tool_result", "tool_use_id": "t1", "is_error": True}


# --- streams ---


def stream(*events, strict=True):
    translator = DIALECT.stream(make_call({"model": "m", "stream": True}), make_target("anthropic", strict=strict))
    return [translator.feed(b"data: " + orjson.dumps(event) + b"\n\n") for event in events], translator


START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}},
}


def test_unknown_events_are_passed_over():
    out, _ = stream(
        START,
        {"type": "brand_new"},
        {"type": "content_block_start"},
        {"type": "content_block_delta"},
        {"type": "message_delta"},
    )
    assert out[1:] == [b"", b"", b"", b""]


def test_a_tool_input_may_come_whole():
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    out, _ = stream(START, {"type": "content_block_start", "index": 0, "content_block": block})
    assert b'"arguments":"{\\"a\\":1}"' in out[1]


def test_text_may_come_with_the_start_of_its_block():
    out, _ = stream(START, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}})
    assert b'"delta":{"content":"Hi"}' in out[1]


@pytest.mark.parametrize(
    "event", [{"type": "message_start"}, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}]
)
def test_a_stream_must_start_with_a_message(event):
    with pytest.raises(UpstreamInvalid):
        stream(event)


def test_an_error_after_the_start_is_no_clean_end():
    error = {"type": "error", "error": {"type": "api_error", "message": "Internal"}}
    with pytest.raises(ProviderError, match="anthropic error: Internal") as caught:
        stream(START, error)
    assert caught.value.status == 500


def test_usage_of_a_cut_stream_is_what_has_come():
    _, translator = stream(START)
    assert (translator.usage, translator.done) == (Usage(input_tokens=3, output_tokens=1), False)


def test_nothing_follows_the_end():
    end = b'data: {"type": "message_stop"}\n\n'
    translator = DIALECT.stream(make_call({"model": "m", "stream": True}), make_target("anthropic"))
    assert translator.feed(end + b'data: {"type": "ping"}\n\n') == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("pause_turn", "stop"), ("brand_new", "stop"), (None, "stop"), ("model_context_window_exceeded", "length")],
)
def test_reasons_to_finish(reason, finish):
    body = orjson.dumps({"id": "m", "content": [], "stop_reason": reason})
    answer = DIALECT.reply(make_call({"model": "asked"}), make_target("anthropic"), body)
    reply = orjson.loads(answer.body)
    assert (reply["choices"][0]["finish_reason"], reply["model"], answer.usage) == (finish, "asked", None)
    assert "usage" not in reply


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"temperature": 1.7}, "temperature"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "immense"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
    ],
)
@pytest.mark.parametrize("provider", ["anthropic", "vertex-ai", "azure-ai"])
def test_what_it_cannot_express_is_left_out_and_named_where_the_target_allows_it(provider, body, param):
    settings = {}
    if provider == "azure-ai":
        settings = {"options": {"azure_foundry_url": "https://sample.example/anthropic"}}
    target = make_target(provider, drop_unsupported=True, **settings)
    plain = {"model": "claude-sonnet-5", "messages": [USER]}
    request = target.provider.dialect.request(make_call({**plain, **body}), target)
    assert request.dropped == (param,)
    assert request.body == target.provider.dialect.request(make_call(plain), target).body


@pytest.mark.parametrize(
    "message", [{"content": ""}, {"content": None}, {"content": []}, {"content": [{"type": "text", "text": ""}]}]
)
def test_what_says_nothing_is_not_sent(message):
    other = {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Go on"}]}
    texts = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Go on"}]
    assert sent([{"role": "user", "content": "Hi"}, {"role": "assistant", **message}, other])["messages"] == [
        {"role": "user", "content": texts}
    ]
