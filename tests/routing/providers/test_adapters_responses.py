"""OpenAI's Responses on top of chat: what is translated, what is refused, and the streams."""

import copy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from routing import sse
from routing.call import Endpoint, Usage
from routing.errors import GatewayError, InvalidRequest, StreamBroken, Unsupported
from routing.providers import adapters
from tests.routing.providers.pairs import make_call, make_target
from tests.routing.providers.test_adapters_messages import JSON, STREAM, called, chunk, places

TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "one"}
EVENT = TypeAdapter(ResponseStreamEvent)
# A vendor that has chats and no responses.
CHATS = "deepseek"


def call_of(**body):
    return make_call({"model": "m", "input": "Hi", **body}, Endpoint.RESPONSES)


def sent(provider=CHATS, **body):
    call, target = call_of(**body), make_target(provider)
    return orjson.loads(adapters.Adapted(target.provider.dialect, adapters.responses.ADAPTER).request(call, target).body)


def messages_of(*items, provider=CHATS, **body):
    return sent(provider, input=list(items), **body)["messages"]


def answered(message, finish="stop", usage=None, provider=CHATS, **body):
    call, target = call_of(**body), make_target(provider)
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    chat = {"id": "c1", "object": "chat.completion", "model": "real", "choices": [choice], "usage": usage}
    answer = adapters.dialect_for(call, target).reply(call, target, orjson.dumps(chat))
    Response.model_validate_json(answer.body)
    return orjson.loads(answer.body)


# --- the call ---


def test_parameters_are_put_in_a_chats_words():
    schema = {"type": "object", "properties": {}}
    body = sent(
        "vllm",
        instructions="Be brief.",
        max_output_tokens=9,
        temperature=0.5,
        tools=[TOOL],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        metadata={"team": "red"},
        include=["reasoning.encrypted_content"],
        store=False,
        truncation="disabled",
        user="u",
    )
    assert body.pop("max_completion_tokens", None) or body.pop("max_tokens") == 9
    assert body == {
        "model": "m",
        "temperature": 0.5,
        "user": "u",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        "reasoning_effort": "low",
    }


def test_calls_and_outputs_stand_in_one_turn():
    picture = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}
    messages = messages_of(
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}, picture]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me", "annotations": []}]},
        CALL,
        {**CALL, "call_id": "c2"},
        {**OUTPUT, "output": [{"type": "input_text", "text": "one"}, picture]},
        {**OUTPUT, "call_id": "c2"},
        {
            "role": "user",
            "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}],
        },
    )
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}}
    system, user, assistant, first, second, held, last = messages
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"] == [{"type": "text", "text": "Hi"}, shown]
    assert (assistant["content"], [one["id"] for one in assistant["tool_calls"]]) == ("Let me", ["c1", "c2"])
    assert (first["role"], first["tool_call_id"]) == ("tool", "c1")
    assert second == {"role": "tool", "tool_call_id": "c2", "content": "one"}
    assert held["content"][1] == shown
    assert last["content"][0]["file"]["filename"] == "a.pdf"


def test_only_the_allowed_tools_are_sent():
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    body = sent(tools=[TOOL, {**TOOL, "name": "g"}], tool_choice=choice)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"store": True}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom", "name": "c"}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"input": [{"type": "item_reference", "id": "i"}]}, "input[0].type"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        ({"input": [{"role": "user", "content": [{"type": "surprise"}]}]}, "input[0].content[0].type"),
    ],
)
def test_it_refuses_what_a_chat_cannot_say(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "background"])
def test_what_would_change_the_question_is_never_left_out(field):
    call, target = call_of(**{field: "x"}), make_target(CHATS, drop_unsupported=True)
    with pytest.raises(Unsupported):
        adapters.dialect_for(call, target).request(call, target)


def test_a_target_may_leave_out_what_a_chat_cannot_say():
    call, target = call_of(store=True, tools=[{"type": "web_search"}]), make_target(CHATS, drop_unsupported=True)
    request = adapters.dialect_for(call, target).request(call, target)
    assert request.dropped == ("store", "tools[0].type")
    assert "tools" not in orjson.loads(request.body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"text": 7}, "text"),
        ({"reasoning": 7}, "reasoning"),
    ],
)
def test_it_names_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        sent(**body)
    assert caught.value.param == param


WHOLE = {
    "instructions": "a",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "https://x"}, {"type": "input_file", "file_data": "x"}],
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "e"},
        CALL,
        OUTPUT,
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([path for path in places(WHOLE) if path]), JSON)
def test_nonsense_anywhere_is_never_a_fault_of_ours(path, nonsense):
    body = copy.deepcopy(WHOLE)
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = nonsense
    for provider in (CHATS, "anthropic"):
        call, target = call_of(**body), make_target(provider)
        dialect = adapters.dialect_for(call, target)
        try:
            dialect.request(call, target)
            dialect.stream(call, target)
        except GatewayError as error:
            assert error.status == 400  # noqa: PT017 - either way is right


# --- reasoning ---


def test_reasoning_goes_back_to_the_provider_that_wrote_it():
    told = answered({"content": "Hi", "reasoning_content": "Hm."}, include=["reasoning.encrypted_content"])
    reasoning, message = told["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert messages_of(reasoning, message)[0] == {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    assert messages_of(reasoning, CALL, OUTPUT)[0]["reasoning_content"] == "Hm."
    assert messages_of(reasoning, message, provider="mock") == [{"role": "assistant", "content": "Hi"}]


def test_reasoning_is_kept_by_those_who_ask_to():
    assert "encrypted_content" not in answered({"content": "Hi", "reasoning_content": "Hm."})["output"][0]


# --- the answer ---


def test_an_answer_repeats_what_was_asked():
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    told = answered({"content": "Hi"}, usage=usage, instructions="Be brief.", metadata={"a": "b"}, tools=[TOOL])
    assert (told["id"], told["object"], told["status"], told["model"]) == ("resp_call1", "response", "completed", "real")
    assert (told["instructions"], told["metadata"], told["tools"], told["store"]) == ("Be brief.", {"a": "b"}, [TOOL], False)
    (message,) = told["output"]
    assert message["content"] == [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]
    assert told["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }


def test_calls_become_items_with_names_of_their_own():
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
    told = answered({"content": "Let me", "tool_calls": calls}, "tool_calls")
    assert [item["type"] for item in told["output"]] == ["message", "function_call", "function_call"]
    assert [item.get("call_id") for item in told["output"]] == [None, "c1", "c2"]
    assert len({item["id"] for item in told["output"]}) == 3


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_how_an_answer_ends(finish, status, reason):
    told = answered({"content": "Hi"}, finish)
    assert (told["status"], (told["incomplete_details"] or {}).get("reason")) == (status, reason)
    assert told["output"][-1]["status"] == status


def test_a_refusal_is_a_part_of_its_own():
    told = answered({"content": None, "refusal": "No."})
    assert told["status"] == "completed"
    assert told["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


# --- streams ---


def streamed(pieces, provider=CHATS, **body):
    call, target = call_of(stream=True, **body), make_target(provider)
    translator = adapters.dialect_for(call, target).stream(call, target)
    return b"".join(translator.feed(piece) for piece in pieces), translator


def events_of(out):
    return [orjson.loads(event.data) for event in sse.Decoder().feed(out)]


def without_time(out):
    return orjson.dumps([{**event, "response": {**event.get("response", {}), "completed_at": 0}} for event in events_of(out)])


def test_a_stream_becomes_the_events_of_a_response():
    out, translator = streamed([STREAM])
    events = events_of(out)
    for event, named in zip(events, sse.Decoder().feed(out), strict=True):
        EVENT.validate_python(event)
        assert named.name == event["type"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    summary, text, call = "reasoning_summary_text", "output_text", "function_call_arguments"
    assert kinds == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", f"{summary}.delta", f"{summary}.delta"),
        *(f"{summary}.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", f"{text}.delta", f"{text}.delta"),
        *(f"{text}.done", "content_part.done", "output_item.done"),
        *("output_item.added", f"{call}.delta", f"{call}.delta", f"{call}.done", "output_item.done"),
        *("output_item.added", f"{call}.delta", f"{call}.done", "output_item.done"),
        "completed",
    ]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.added"] == [0, 1, 2, 3]
    assert translator.usage == Usage(input_tokens=10, output_tokens=3, reasoning_tokens=2)


def test_a_stream_says_what_the_whole_answer_says():
    function = {"name": "f", "arguments": "{}"}
    message = {"content": "Hi", "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    whole = answered(message, "tool_calls", usage)
    last = b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"
    out, _ = streamed([chunk({"content": "Hi"}), chunk(called(0, "{}", id="c1", name="f")), chunk({}, "tool_calls"), last])
    assert events_of(out)[-1]["response"] | {"completed_at": 0} == whole | {"completed_at": 0}


def test_a_stream_is_the_same_for_every_cut():
    whole, expected = streamed([STREAM])
    for place in range(len(STREAM)):
        out, translator = streamed([STREAM[:place], STREAM[place:]])
        assert without_time(out) == without_time(whole), place
        assert (translator.usage, translator.deltas, translator.done) == (expected.usage, expected.deltas, True)


def test_a_stream_that_breaks_is_told_as_failed():
    out, translator = streamed([chunk({"content": "Hi"})])
    event = adapters.error_event(Endpoint.RESPONSES, StreamBroken("Broken off."), translator)
    told = events_of(out + event)
    EVENT.validate_python(told[-1])
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    assert (told[-1]["type"], told[-1]["response"]["status"]) == ("response.failed", "failed")
    assert told[-1]["response"]["error"]["message"] == "Broken off."


def test_a_vendors_own_stream_that_breaks_ends_with_an_error():
    event = sse.Decoder().feed(adapters.error_event(Endpoint.RESPONSES, StreamBroken("Broken off.")))[0]
    assert event.name == "error"
    told = orjson.loads(event.data)
    assert (told["type"], told["message"], told["error"]["message"]) == ("error", "Broken off.", "Broken off.")


def test_other_routes_keep_openais_error_in_a_chunk():
    event = sse.Decoder().feed(adapters.error_event(Endpoint.CHAT, StreamBroken("Broken off.")))[0]
    assert orjson.loads(event.data) == StreamBroken("Broken off.").body()
