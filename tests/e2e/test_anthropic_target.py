"""OpenAI's words in, Anthropic's words out, and back: through the SDK, with a provider that refuses what Anthropic refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pytest

from tests import vendors
from tests.e2e.product import STORED_KEY, Product, new_trace, sse
from tests.e2e.test_openai_sdk import WEATHER
from tests.fakes import Lane, answer, error_event, status
from tests.vendors import Content

Client = Callable[..., openai.OpenAI]
ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
}


def test_a_chat_is_asked_in_anthropics_words(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    answered = openai_client(virtual_key=anthropic_key).chat.completions.create(**ASK, stop="END", temperature=0.5, user="u-1")

    assert answered.choices[0].message.content == vendors.TEXT
    assert answered.choices[0].finish_reason == "stop"
    assert other_lane.last.path.endswith("/v1/messages")
    assert other_lane.last.headers["x-api-key"] == STORED_KEY
    assert other_lane.last.json == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": "Say hello."}],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "metadata": {"user_id": "u-1"},
    }


def test_usage_counts_the_cached_tokens_as_openai_does(
    product: Product, openai_client: Client, other_lane: Lane, anthropic_key: str
) -> None:
    other_lane.will(answer(Content(prompt_tokens=100, cached_tokens=60, completion_tokens=9)))
    trace_id = new_trace()

    answered = openai_client(virtual_key=anthropic_key, trace_id=trace_id).chat.completions.create(**ASK)

    assert answered.usage is not None
    assert (answered.usage.prompt_tokens, answered.usage.completion_tokens, answered.usage.total_tokens) == (100, 9, 109)
    assert answered.usage.prompt_tokens_details is not None
    assert answered.usage.prompt_tokens_details.cached_tokens == 60
    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (40, 60, 9)
    assert record["cost_usd"] > 0


def test_a_stream_becomes_chunks_with_an_end(
    product: Product, openai_client: Client, other_lane: Lane, anthropic_key: str
) -> None:
    trace_id = new_trace()
    client = openai_client(virtual_key=anthropic_key, trace_id=trace_id)

    with client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [piece for piece in pieces if piece] == ["Hello", " from", " the", " fake", " provider."]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 28
    record = product.record(trace_id)
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (21, 7, False)


def test_tools_go_both_ways(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    client = openai_client(virtual_key=anthropic_key)
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    settings: dict[str, Any] = {"model": "claude-sonnet-4-5", "tools": [WEATHER]}

    first = client.chat.completions.create(messages=messages, tool_choice="required", **settings)

    assert other_lane.last.json["tool_choice"] == {"type": "any"}
    assert other_lane.last.json["tools"] == [
        {
            "name": "weather",
            "description": "The weather in a city.",
            "input_schema": WEATHER["function"]["parameters"],
        }
    ]
    (call,) = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert json.loads(call.function.arguments) == vendors.TOOL_INPUT

    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    second = client.chat.completions.create(messages=messages, **settings)

    assert second.choices[0].message.content == vendors.TEXT
    assert other_lane.last.json["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": vendors.TEXT},
                {"type": "tool_use", "id": "toolu_fake1", "name": "weather", "input": vendors.TOOL_INPUT},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_fake1", "content": "18 degrees"}]},
    ]


def test_tool_calls_are_put_together_from_a_stream(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    with openai_client(virtual_key=anthropic_key).chat.completions.stream(**ASK, tools=[WEATHER]) as stream:  # type: ignore[list-item]
        final = stream.get_final_completion()

    (call,) = final.choices[0].message.tool_calls or []
    assert final.choices[0].message.content == vendors.TEXT
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == vendors.TOOL_INPUT


def test_json_mode_is_asked_for_in_words(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    openai_client(virtual_key=anthropic_key).chat.completions.create(**ASK, response_format={"type": "json_object"})

    assert "JSON" in other_lane.last.json["system"][-1]["text"]
    assert "response_format" not in other_lane.last.json


def test_a_schema_is_passed_whole(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "additionalProperties": False}

    openai_client(virtual_key=anthropic_key).chat.completions.create(
        **ASK, response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    )

    assert other_lane.last.json["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_what_anthropic_has_no_words_for_is_refused_by_name(
    openai_client: Client, other_lane: Lane, anthropic_key: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(virtual_key=anthropic_key).chat.completions.create(**ASK, n=2)

    assert caught.value.param == "n"
    assert caught.value.code == "unsupported"
    assert other_lane.received == []


def test_embeddings_are_refused_since_anthropic_has_none(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(virtual_key=anthropic_key).embeddings.create(model="any", input="one")

    assert caught.value.code == "unsupported_endpoint"
    assert other_lane.received == []


def test_its_error_comes_in_openais_shape(product: Product, other_lane: Lane, anthropic_key: str) -> None:
    other_lane.will(status(529, "Overloaded"))

    answered = product.call(ASK, virtual_key=anthropic_key)

    assert answered.status_code == 529
    assert answered.json() == {
        "error": {"message": "anthropic error: Overloaded", "type": "overloaded_error", "param": None, "code": None},
        "provider": "anthropic",
    }


def test_its_error_event_ends_the_stream_as_an_error(product: Product, other_lane: Lane, anthropic_key: str) -> None:
    read = threading.Event()
    other_lane.will(answer(fault=replace(error_event(5, "Overloaded"), hold=read)))

    answered = ""
    for piece in product.pieces(anthropic_key, new_trace(), ASK):
        answered += piece
        if " from" in answered:
            read.set()

    assert json.loads(sse(answered)[-1])["error"]["type"] == "overloaded_error"
    assert "[DONE]" not in answered


def test_the_sdk_raises_its_error_event(openai_client: Client, other_lane: Lane, anthropic_key: str) -> None:
    other_lane.will(answer(fault=error_event(5, "Overloaded")))

    with pytest.raises(openai.APIError, match="Overloaded"):
        list(openai_client(virtual_key=anthropic_key).chat.completions.create(**ASK, stream=True))
