"""Anthropic's Messages on top of chat: what is translated, what is refused, and the streams."""

import copy

import anthropic.types
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from routing import sse
from routing.call import Endpoint, Usage
from routing.errors import BudgetExceeded, GatewayError, InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers import adapters
from routing.providers.foreign import marked, unmarked
from tests.routing.providers.pairs import make_call, make_target

USER = {"role": "user", "content": "Hi"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
EVENT = TypeAdapter(anthropic.types.RawMessageStreamEvent)


def call_of(**body):
    return make_call({"model": "m", "max_tokens": 9, "messages": [USER], **body}, Endpoint.MESSAGES)


def sent(provider="openai", target=None, **body):
    call, target = call_of(**body), target or make_target(provider)
    return orjson.loads(adapters.dialect_for(call, target).request(call, target).body)


def messages_of(*messages, provider="openai", **body):
    return sent(provider, messages=list(messages), **body)["messages"]


def tool_use(**fields):
    return {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, **fields}


def result(content, **fields):
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": content, **fields}]}


def answered(message, finish="stop", provider="openai", usage=None, **body):
    call, target = call_of(**body), make_target(provider)
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    chat = {"id": "c1", "object": "chat.completion", "model": "real", "choices": [choice], "usage": usage}
    answer = adapters.dialect_for(call, target).reply(call, target, orjson.dumps(chat))
    anthropic.types.Message.model_validate_json(answer.body)
    return orjson.loads(answer.body)


# --- the call ---


def test_parameters_are_put_in_openais_words():
    body = sent(
        system=[{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
        stop_sequences=["x"],
        temperature=0.5,
        top_k=5,
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        metadata={"user_id": "u"},
        service_tier="standard_only",
        thinking={"type": "enabled", "budget_tokens": 1024},
        context_management={"edits": []},
        cache_control={"type": "ephemeral"},
    )
    assert body == {
        "model": "m",
        "temperature": 0.5,
        "top_k": 5,
        "messages": [{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 9,
        "stop": ["x"],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": TOOL["input_schema"]}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "user": "u",
        "service_tier": "default",
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("given", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32_000}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"output_config": {"effort": "max"}}, "xhigh"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, "medium"),
    ],
)
def test_thinking_becomes_an_effort(given, effort):
    assert sent(**given).get("reasoning_effort") == effort


@pytest.mark.parametrize("provider", ["google", "ollama"])
def test_a_budget_goes_whole_to_those_who_read_one(provider):
    body = orjson.dumps(sent(provider, thinking={"type": "enabled", "budget_tokens": 2048}))
    assert b'"thinkingBudget":2048' in body or b'"think":true' in body


def test_who_cannot_think_so_much_answers_without():
    call, target = call_of(thinking={"type": "enabled", "budget_tokens": 2048}), make_target("cohere")
    request = adapters.dialect_for(call, target).request(call, target)
    assert request.dropped == ("thinking",)
    assert b"effort" not in request.body


@pytest.mark.parametrize(("choice", "chosen"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_the_choice_of_tools(choice, chosen):
    assert sent(tools=[TOOL], tool_choice={"type": choice})["tool_choice"] == chosen


def test_a_choice_without_tools_says_nothing():
    assert "tool_choice" not in sent(tool_choice={"type": "auto"})


def test_a_long_name_of_a_user_is_shortened_and_stays_one():
    names = [sent(metadata={"user_id": f"user_{'x' * 100}{n}"})["user"] for n in (1, 1, 2)]
    assert len(names[0]) == 64
    assert names[0] == names[1] != names[2]


def test_a_picture_and_a_document_become_parts():
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
    blocks = [
        {"type": "image", "source": source},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}, "title": "T"},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
        {"type": "search_result", "title": "S", "source": "https://s", "content": [{"type": "text", "text": "found"}]},
    ]
    (message,) = messages_of({"role": "user", "content": blocks})
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "text", "text": "T"},
        {"type": "text", "text": "plain"},
        {"type": "text", "text": "inner"},
        {"type": "text", "text": "S\nhttps://s\nfound"},
    ]


def test_calls_and_their_results_follow_one_another():
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    turn = {"role": "assistant", "content": [{"type": "text", "text": "Let me"}, tool_use(), tool_use(id="t2")]}
    results = {
        "role": "user",
        "content": [
            {"type": "text", "text": "Go on."},
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}, picture]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "two", "is_error": True},
        ],
    }
    _, assistant, first, second, user = messages_of(USER, turn, results)
    assert assistant["content"] == "Let me"
    assert [one["id"] for one in assistant["tool_calls"]] == ["t1", "t2"]
    assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert (first["role"], first["tool_call_id"]) == ("tool", "t1")
    assert first["content"].startswith("one\n")
    assert second == {"role": "tool", "tool_call_id": "t2", "content": "Error:\ntwo"}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]


def test_an_empty_result_is_an_empty_text():
    assert messages_of(USER, {"role": "assistant", "content": [tool_use()]}, result(None))[-1]["content"] == ""


def test_a_call_alone_has_no_text():
    assert messages_of(USER, {"role": "assistant", "content": [tool_use()]})[-1]["content"] is None


def test_overrides_are_in_the_callers_words_and_win():
    target = make_target("openai", override_params={"model": "right", "max_tokens": 5})
    body = sent(target=target)
    assert (body["model"], body["max_completion_tokens"]) == ("right", 5)
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
        ({"tools": [{**TOOL, "surprise": 1}]}, "tools[0].surprise"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"speed": "fast"}, "speed"),
        ({"metadata": {"team": "red"}}, "metadata.team"),
        ({"service_tier": ["auto"]}, "service_tier"),
        ({"output_config": {"effort": {}}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format.type"),
        ({"tools": [TOOL], "tool_choice": {"type": ["any"]}}, "tool_choice.type"),
        ({"messages": [{"role": "user", "content": [{"type": "container_upload"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
            "messages[0].content[0].source.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "citations": {"enabled": True}, "source": {}}]}]},
            "messages[0].content[0].citations",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]}]},
            "messages[1].content[0].type",
        ),
    ],
)
def test_it_refuses_what_a_chat_cannot_say(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param
    assert "OpenAI" in caught.value.message


def test_a_target_may_leave_out_what_a_chat_cannot_say():
    target = make_target("openai", drop_unsupported=True)
    call = call_of(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}], speed="fast")
    request = adapters.dialect_for(call, target).request(call, target)
    assert [tool["function"]["name"] for tool in orjson.loads(request.body)["tools"]] == ["f"]
    assert request.dropped == ("speed", "tools[1].type")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "x"}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
        ({"messages": [{"role": "assistant", "content": [tool_use(input="x")]}]}, "messages[0].content[0].input"),
        ({"system": 7}, "system"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
    ],
)
def test_it_names_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        sent(**body)
    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.sampled_from(["text", "tool_use", "base64"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "source", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
WHOLE = {
    "system": [{"type": "text", "text": "a"}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, tool_use()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x"}]}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "content", "content": []}}]},
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1},
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "stop_sequences": [],
    "service_tier": "auto",
}


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([path for path in places(WHOLE) if path]), JSON)
def test_nonsense_anywhere_is_never_a_fault_of_ours(path, nonsense):
    body = copy.deepcopy(WHOLE)
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = nonsense
    for provider in ("openai", "anthropic"):
        call, target = call_of(**body), make_target(provider)
        try:
            adapters.Adapted(target.provider.dialect, adapters.messages.ADAPTER).request(call, target)
        except GatewayError as error:
            assert error.status == 400  # noqa: PT017 - either way is right


# --- thinking ---


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_goes_back_to_the_provider_that_wrote_it(field):
    told = answered({"content": "Hi", field: "Hm."}, provider="deepseek", thinking={"type": "adaptive"})
    thought = told["content"][0]
    assert (thought["type"], thought["thinking"]) == ("thinking", "Hm.")
    turn = {"role": "assistant", "content": told["content"]}

    assert messages_of(USER, turn, USER, provider="deepseek")[1] == {
        "role": "assistant",
        "content": "Hi",
        field: "Hm.",
    }
    for other in ("openai", "anthropic"):
        call, target = call_of(messages=[USER, turn, USER]), make_target(other)
        body = adapters.dialect_for(call, target).request(call, target).body
        assert b"Hm." not in body
        assert b"gatehouse" not in body


def test_thinking_is_shown_to_those_who_asked_for_it():
    assert [block["type"] for block in answered({"content": "Hi", "reasoning_content": "Hm."})["content"]] == ["text"]


@pytest.mark.parametrize("damaged", ["gatehouse.", "gatehouse.!!", "gatehouse.e30=", "gatehouse.W10="])
def test_a_damaged_signature_of_ours_is_nobodys(damaged):
    assert unmarked(damaged) == ("", "", "")
    assert unmarked("EqQBCg") is None
    assert unmarked(marked("p", "reasoning", "t")) == ("p", "reasoning", "t")
    assert unmarked(marked("p", "role", "t")) == ("", "", "")


def test_blocks_go_whole_to_a_dialect_that_reads_them():
    target = make_target("anthropic")
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    control = {"type": "ephemeral"}
    turn = {"role": "assistant", "content": [thought, {"type": "text", "text": "x"}, tool_use()]}
    call = call_of(
        system=[{"type": "text", "text": "a", "cache_control": control}],
        messages=[USER, turn, result("y", is_error=True)],
        tools=[{**TOOL, "cache_control": control}],
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    wrapped = adapters.Adapted(target.provider.dialect, adapters.messages.ADAPTER)
    body = orjson.loads(wrapped.request(call, target).body)
    assert body["system"] == [{"type": "text", "text": "a", "cache_control": control}]
    assert body["messages"][1]["content"] == [thought, {"type": "text", "text": "x"}, tool_use()]
    assert body["messages"][2]["content"][0]["is_error"] is True
    assert body["tools"][0]["cache_control"] == control
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("bedrock", "us.anthropic.claude-sonnet-4-6"),
        ("vertex-ai", "anthropic.claude-sonnet-4-6"),
        ("vertex-ai", "claude-opus-4-6"),
    ],
)
def test_claude_gets_its_thinking_back_wherever_it_runs(provider, model):
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}, tool_use()]}
    body = sent(provider, model=model, messages=[USER, turn, result("y")], thinking={"type": "enabled", "budget_tokens": 2000})
    assert b"EqQB" in orjson.dumps(body)


@pytest.mark.parametrize(("provider", "model"), [("bedrock", "amazon.nova-pro-v1:0"), ("vertex-ai", "gemini-2.5-pro")])
def test_no_other_model_gets_it(provider, model):
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}, tool_use()]}
    assert b"Hm." not in orjson.dumps(sent(provider, model=model, messages=[USER, turn, result("y")]))


# --- the answer ---


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        (None, "end_turn"),
    ],
)
def test_reasons_to_stop(finish, reason):
    assert answered({"content": "Hi"}, finish)["stop_reason"] == reason


def test_calls_become_blocks_and_usage_stands_apart():
    calls = [{"id": "c9", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    told = answered({"content": None, "tool_calls": calls}, "stop", usage=usage)
    assert told["content"] == [{"type": "tool_use", "id": "c9", "name": "f", "input": {"a": 1}}]
    assert told["stop_reason"] == "tool_use"
    assert (told["id"], told["model"]) == ("msg_c1", "real")
    assert told["usage"] == {
        "input_tokens": 6,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 5,
    }


def test_a_refusal_is_told():
    told = answered({"content": None, "refusal": "No."})
    assert (told["content"], told["stop_reason"]) == ([{"type": "text", "text": "No."}], "refusal")


def test_arguments_that_are_no_object_are_an_invalid_answer_unless_they_were_cut():
    calls = [{"id": "c9", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}]
    with pytest.raises(UpstreamInvalid):
        answered({"content": None, "tool_calls": calls}, "tool_calls")
    assert answered({"content": None, "tool_calls": calls}, "length")["content"][0]["input"] == {}


@pytest.mark.parametrize("choices", [[], [7], [{"index": 0}]])
def test_an_answer_without_a_message_is_invalid(choices):
    call, target = call_of(), make_target("openai")
    with pytest.raises(UpstreamInvalid):
        adapters.dialect_for(call, target).reply(call, target, orjson.dumps({"choices": choices}))


# --- streams ---


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "c1", "model": "real", "choices": [choice], **more}) + b"\n\n"


def called(index, arguments, **fields):
    function = {
        key: value for key, value in (("name", fields.pop("name", None)), ("arguments", arguments)) if value is not None
    }
    return {"tool_calls": [{"index": index, **fields, "function": function}]}


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}
STREAM = b"".join(
    (
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning_content": ", ja ✓"}),
        chunk({"content": "Hell"}),
        b": keep-alive\n\n",
        chunk({"content": "o"}),
        chunk(called(0, "", id="c8", name="f")),
        chunk(called(0, '{"a"')),
        chunk(called(0, ":1}")),
        chunk(called(1, '{"b":2}', id="c9", name="g")),
        chunk({}, "tool_calls"),
        b"data: " + orjson.dumps({"id": "c1", "model": "real", "choices": [], "usage": USAGE}) + b"\n\n",
        b"data: [DONE]\n\n",
    )
)


def streamed(pieces, provider="openai", **body):
    call, target = call_of(stream=True, **body), make_target(provider)
    translator = adapters.dialect_for(call, target).stream(call, target)
    return b"".join(translator.feed(piece) for piece in pieces), translator


def events_of(out):
    return [orjson.loads(event.data) for event in sse.Decoder().feed(out)]


def test_a_stream_becomes_the_events_of_a_message():
    out, translator = streamed([STREAM], thinking={"type": "adaptive"})
    events = events_of(out)
    for event, named in zip(events, sse.Decoder().feed(out), strict=True):
        EVENT.validate_python(event)
        assert named.name == event["type"]
    kinds = [(event["type"], event.get("index")) for event in events]
    assert kinds == [
        ("message_start", None),
        *[("content_block_start", 0), *[("content_block_delta", 0)] * 3, ("content_block_stop", 0)],
        *[("content_block_start", 1), *[("content_block_delta", 1)] * 2, ("content_block_stop", 1)],
        *[("content_block_start", 2), *[("content_block_delta", 2)] * 2, ("content_block_stop", 2)],
        *[("content_block_start", 3), ("content_block_delta", 3), ("content_block_stop", 3)],
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events[4]["delta"]["type"] == "signature_delta"
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[-2]["usage"]["output_tokens"] == 5
    assert translator.usage == Usage(input_tokens=10, output_tokens=3, reasoning_tokens=2)
    assert (translator.done, translator.model) == (True, "real")


def test_a_stream_is_the_same_for_every_cut():
    whole, expected = streamed([STREAM])
    for place in range(len(STREAM)):
        out, translator = streamed([STREAM[:place], STREAM[place:]])
        assert (out, translator.usage, translator.deltas) == (whole, expected.usage, expected.deltas), place
    assert streamed([bytes([byte]) for byte in STREAM])[0] == whole


def test_hidden_thinking_keeps_the_connection_alive():
    out, _ = streamed([STREAM])
    events = events_of(out)
    assert [event["type"] for event in events[:3]] == ["message_start", "ping", "ping"]
    assert events[3]["content_block"]["type"] == "text"


def test_calls_that_all_have_the_same_index_are_told_apart_by_their_ids():
    out, _ = streamed([chunk(called(0, "{}", id="a", name="f")), chunk(called(0, "{}", id="b", name="f")), b"data: [DONE]\n\n"])
    assert [event["content_block"]["id"] for event in events_of(out) if event["type"] == "content_block_start"] == ["a", "b"]


@pytest.mark.parametrize(
    "deltas",
    [
        [called(0, "{}")],
        [called(0, "", id="a", name="f"), called(1, "", id="b", name="g"), called(0, "{")],
    ],
)
def test_pieces_of_a_call_that_is_not_open_are_invalid(deltas):
    with pytest.raises(UpstreamInvalid):
        streamed(map(chunk, deltas))


def test_a_stream_without_content_is_a_whole_message():
    out, _ = streamed([b"data: [DONE]\n\n"])
    assert [event["type"] for event in events_of(out)] == ["message_start", "message_delta", "message_stop"]


def test_a_cut_stream_is_not_done():
    _, translator = streamed([STREAM[: len(STREAM) // 2]])
    assert not translator.done
    assert translator.deltas > 0


def test_an_error_in_a_stream_is_raised_and_told():
    with pytest.raises(ProviderError) as caught:
        streamed([chunk({"content": "x"}), b'data: {"error": {"message": "Busy", "type": "overloaded_error"}}\n\n'])
    event = sse.Decoder().feed(adapters.error_event(Endpoint.MESSAGES, caught.value))[0]
    assert event.name == "error"
    assert orjson.loads(event.data) == {"type": "error", "error": {"type": "overloaded_error", "message": "openai error: Busy"}}


def test_a_budget_is_a_matter_of_money():
    body = adapters.error_body(Endpoint.COUNT_TOKENS, BudgetExceeded("Used up."))
    assert body == {"type": "error", "error": {"type": "billing_error", "message": "Used up."}}


# --- a vendor that speaks it ---

NATIVE = b"".join(
    b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
    for event in (
        {
            "type": "message_start",
            "message": {"id": "msg_1", "model": "real", "usage": {"input_tokens": 9, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'A "message_stop" ✓'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "B"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    )
)


def test_its_own_stream_passes_through_at_every_cut():
    for place in range(len(NATIVE)):
        out, translator = streamed([NATIVE[:place], NATIVE[place:]], "anthropic")
        assert out == NATIVE
        assert translator.usage == Usage(input_tokens=9, output_tokens=7)
        assert (translator.done, translator.model, translator.deltas) == (True, "real", 2)


def test_its_own_bytes_pass_through():
    call, target = call_of(surprise=[1]), make_target("anthropic")
    assert adapters.dialect_for(call, target).request(call, target).body is call.raw


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"content": 7}'])
def test_a_success_that_is_none_is_invalid(body):
    for endpoint in (Endpoint.MESSAGES, Endpoint.COUNT_TOKENS):
        call, target = make_call({"model": "m", "messages": [USER]}, endpoint), make_target("anthropic")
        with pytest.raises(UpstreamInvalid):
            adapters.dialect_for(call, target).reply(call, target, body)


def test_an_override_that_a_count_does_not_know_stays_out_of_it():
    target = make_target("anthropic", override_params={"model": "right", "max_tokens": 5})
    call = make_call({"model": "m", "messages": [USER]}, Endpoint.COUNT_TOKENS)
    body = orjson.loads(adapters.dialect_for(call, target).request(call, target).body)
    assert body == {"model": "right", "messages": [USER]}
