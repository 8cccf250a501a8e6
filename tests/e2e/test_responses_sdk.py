"""The Responses API of OpenAI's SDK against a running gateway, with providers that know only chats."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pydantic
import pytest

from tests import vendors
from tests.e2e.product import Product, new_trace
from tests.fakes import Lane, answer, error_event, status
from tests.vendors import Content

Client = Callable[..., openai.OpenAI]
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "instructions": "Be brief.", "input": "Say hello.", "store": False}
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def chat_key(product: Product, lane: Lane) -> str:
    """Leads to this test's `lane`, as a vendor that has chats and no responses."""
    return product.virtual_key(lane.url, "deepseek")


def test_a_response_is_asked_as_a_chat(openai_client: Client, lane: Lane, chat_key: str) -> None:
    answered = openai_client(virtual_key=chat_key).responses.create(
        **ASK, max_output_tokens=100, temperature=0.5, reasoning={"effort": "low"}, metadata={"team": "red"}
    )

    assert answered.output_text == vendors.TEXT
    assert (answered.status, answered.model) == ("completed", "gpt-4o-mini" + vendors.MODEL_SUFFIX)
    assert answered.metadata == {"team": "red"}
    assert answered.usage is not None
    assert (answered.usage.input_tokens, answered.usage.output_tokens, answered.usage.total_tokens) == (21, 7, 28)
    assert lane.last.path.endswith("/v1/chat/completions")
    sent = lane.last.json
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
    assert 100 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert (sent["temperature"], sent["reasoning_effort"]) == (0.5, "low")


@pytest.mark.parametrize("native", [False, True])
def test_a_stream_tells_what_the_whole_answer_tells(
    product: Product, openai_client: Client, lane: Lane, other_lane: Lane, chat_key: str, anthropic_key: str, native: bool
) -> None:
    content = Content(prompt_tokens=100, cached_tokens=60, completion_tokens=9)
    (other_lane if native else lane).will(answer(content))
    key = anthropic_key if native else chat_key
    traces = [new_trace(), new_trace()]

    whole = openai_client(virtual_key=key, trace_id=traces[0]).responses.create(**ASK)
    with openai_client(virtual_key=key, trace_id=traces[1]).responses.create(**ASK, stream=True) as stream:
        events = list(stream)

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:4]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert pieces == ["Hello", " from", " the", " fake", " provider."]
    assert events[-1].type == "response.completed"
    final = events[-1].response
    assert (final.output_text, final.usage) == (whole.output_text, whole.usage)
    assert final.usage is not None
    assert final.usage.input_tokens_details.cached_tokens == 60
    records = [product.record(trace) for trace in traces]
    for record in records:
        assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (40, 60, 9)
    assert records[0]["cost_usd"] == records[1]["cost_usd"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("claude", [False, True])
def test_an_agent_runs_its_tools(
    openai_client: Client, lane: Lane, other_lane: Lane, chat_key: str, anthropic_key: str, streamed: bool, claude: bool
) -> None:
    client = openai_client(virtual_key=anthropic_key if claude else chat_key)
    items: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]

    def ask() -> Any:
        settings = {**ASK, "input": items, "tools": [WEATHER], "parallel_tool_calls": True}
        if not streamed:
            return client.responses.create(**settings)
        with client.responses.stream(**{key: value for key, value in settings.items() if key != "stream"}) as stream:
            return stream.get_final_response()

    first = ask()
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", vendors.TOOL_INPUT)
    items += [item.to_dict() for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"})
    second = ask()

    # Claude's fake says a text beside its call.
    assert second.output_text == vendors.TEXT
    if not claude:
        _, _, assistant, result = lane.last.json["messages"]
        assert assistant["tool_calls"][0]["id"] == call.call_id
        assert result == {"role": "tool", "tool_call_id": call.call_id, "content": "18 degrees"}


class Answer(pydantic.BaseModel):
    answer: int


def test_an_answer_is_parsed_by_its_schema(openai_client: Client, lane: Lane, chat_key: str) -> None:
    answered = openai_client(virtual_key=chat_key).responses.parse(**ASK, text_format=Answer)

    assert answered.output_parsed == Answer(answer=42)
    sent = lane.last.json["response_format"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Answer", True)
    assert sent["json_schema"]["schema"]["properties"].keys() == {"answer"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"background": True}, "background"),
    ],
)
def test_what_needs_the_vendors_memory_or_tools_is_refused_by_name(
    openai_client: Client, lane: Lane, chat_key: str, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(virtual_key=chat_key).responses.create(**{**ASK, **asked})

    assert (caught.value.param, caught.value.code) == (param, "unsupported")
    assert lane.received == []


def test_a_stored_response_is_refused_where_nothing_is_stored(openai_client: Client, lane: Lane, chat_key: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(virtual_key=chat_key).responses.retrieve("resp_1")

    assert caught.value.code == "unsupported_endpoint"
    assert lane.received == []


def test_a_providers_error_is_one_for_the_sdk(openai_client: Client, lane: Lane, chat_key: str) -> None:
    lane.will(status(429, "Slow down."))

    with pytest.raises(openai.RateLimitError, match="Slow down"):
        openai_client(virtual_key=chat_key).responses.create(**ASK)


def test_a_stream_that_breaks_ends_as_failed(openai_client: Client, lane: Lane, chat_key: str) -> None:
    seen = threading.Event()
    lane.will(answer(fault=replace(error_event(4, "Overloaded"), hold=seen)))
    events: list[Any] = []

    with openai_client(virtual_key=chat_key).responses.create(**ASK, stream=True) as stream:
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta":
                seen.set()

    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.status == "failed"
    assert "Overloaded" in last.response.error.message
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_mock_answers_in_both_ways(openai_client: Client) -> None:
    client = openai_client(virtual_key="mock")
    asked = {**ASK, "model": "mock"}

    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        streamed = stream.get_final_response()

    assert whole.output_text.startswith("Hello from mock.")
    assert (streamed.output_text, streamed.usage) == (whole.output_text, whole.usage)


def test_an_answer_that_is_cut_short_is_incomplete(openai_client: Client) -> None:
    client = openai_client(virtual_key="mock")
    asked = {**ASK, "model": "mock", "max_output_tokens": 2}

    whole = client.responses.create(**asked)
    with client.responses.create(**asked, stream=True) as stream:
        *_, last = stream

    assert last.type == "response.incomplete"
    for answered in (whole, last.response):
        assert (answered.status, answered.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert answered.output[-1].status == "incomplete"
