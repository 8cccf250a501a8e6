"""OpenAI's own SDK against a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests import vendors
from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane, answer, status
from tests.vendors import Content

Client = Callable[..., openai.OpenAI]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.mark.parametrize("path", ["/v1", ""])
def test_an_answer_comes_through_both_base_urls(openai_client: Client, lane: Lane, virtual_key: str, path: str) -> None:
    answered = openai_client(path, virtual_key=virtual_key).chat.completions.create(**HELLO)

    assert answered.choices[0].message.content == vendors.TEXT
    assert answered.choices[0].finish_reason == "stop"
    assert answered.usage is not None
    assert answered.usage.total_tokens == 28
    assert lane.last.path == f"{lane.url.removeprefix(lane.root.rsplit('/', 1)[0])}/chat/completions"
    assert lane.last.json == HELLO
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"


def test_a_stream_comes_event_by_event(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(pause=0.02))

    with openai_client(virtual_key=virtual_key).chat.completions.create(**HELLO, stream=True) as stream:
        chunks = list(stream)

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert pieces == ["Hello", " from", " the", " fake", " provider."]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_first_token_does_not_wait_for_the_last(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(pause=0.1))

    with openai_client(virtual_key=virtual_key).chat.completions.create(**HELLO, stream=True) as stream:
        next(chunk for chunk in stream if chunk.choices[0].delta.content)
        assert not lane.last.over.is_set()
        for _ in stream:
            pass
    assert lane.last.over.wait(5)


def test_the_usage_of_a_stream_is_shown_to_those_who_ask_and_logged_for_all(
    product: Product, openai_client: Client, lane: Lane, virtual_key: str
) -> None:
    lane.will(answer(Content(prompt_tokens=100, completion_tokens=30, cached_tokens=40, reasoning_tokens=10)))
    client = openai_client(virtual_key=virtual_key)
    asked, silent = new_trace(), new_trace()

    def usages(trace_id: str, **options: Any) -> list[Any]:
        with client.chat.completions.create(
            **HELLO, stream=True, **options, extra_headers={"x-portkey-trace-id": trace_id}
        ) as chunks:
            return [chunk.usage for chunk in chunks if chunk.usage]

    assert [usage.total_tokens for usage in usages(asked, stream_options={"include_usage": True})] == [130]
    assert usages(silent) == []

    for trace_id in (asked, silent):
        record = product.record(trace_id)
        classes = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
        assert [record[name] for name in classes] == [60, 40, 20, 10]
        assert record["is_stream"]
        assert not record["estimated"]
        assert record["cost_usd"] > 0


def test_tools_are_called_and_their_results_answered(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    client = openai_client(virtual_key=virtual_key)
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]

    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER], tool_choice="auto")  # type: ignore[list-item]

    (call,) = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert json.loads(call.function.arguments) == vendors.TOOL_INPUT
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]

    second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])  # type: ignore[list-item]

    assert second.choices[0].message.content == vendors.TEXT
    assert [message["role"] for message in lane.last.json["messages"]] == ["user", "assistant", "tool"]


def test_tool_calls_come_in_a_stream(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    client = openai_client(virtual_key=virtual_key)

    with client.chat.completions.stream(**HELLO, tools=[WEATHER]) as stream:  # type: ignore[list-item]
        final = stream.get_final_completion()

    (call,) = final.choices[0].message.tool_calls or []
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == vendors.TOOL_INPUT


def test_json_mode_gives_json(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    answered = openai_client(virtual_key=virtual_key).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Answer in JSON."}],
        response_format={"type": "json_object"},
    )

    assert json.loads(answered.choices[0].message.content or "") == {"answer": 42}
    assert lane.last.json["response_format"] == {"type": "json_object"}


def test_embeddings_come_as_the_sdk_asks_for_them(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    """The SDK asks for base64 by default and decodes it."""
    answered = openai_client(virtual_key=virtual_key).embeddings.create(model="text-embedding-3-small", input=["one", "two"])

    assert [row.embedding for row in answered.data] == [list(vendors.VECTOR)] * 2
    assert lane.last.json["encoding_format"] == "base64"


def test_legacy_completions_work_whole_and_streamed(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    client = openai_client(virtual_key=virtual_key)

    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say hello.")
    with client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say hello.", stream=True) as stream:
        streamed = "".join(chunk.choices[0].text for chunk in stream)

    assert whole.choices[0].text == streamed == vendors.TEXT


def test_models_are_those_that_the_virtual_keys_reach(openai_client: Client, virtual_key: str) -> None:
    names = {model.id: model.owned_by for model in openai_client().models.list()}

    assert names["gpt-4o-mini"] == "openai"
    assert names["mock"] == "mock"


def test_the_answer_reaches_the_caller_byte_for_byte(product: Product, lane: Lane, virtual_key: str) -> None:
    """What a provider adds tomorrow must not be lost on the way."""
    expected = vendors.whole("/chat/completions", HELLO, None)

    answered = product.call(virtual_key=virtual_key)

    assert answered.content == expected
    assert answered.headers["x-request-id"] == "req_fake_1"
    assert answered.headers["content-type"] == "application/json"


def test_a_providers_error_raises_the_sdks_exception(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(status(429, "Slow down.", {"retry-after": "7"}))

    with pytest.raises(openai.RateLimitError) as caught:
        openai_client(virtual_key=virtual_key).chat.completions.create(**HELLO)

    assert caught.value.message.endswith("Slow down.'}") or "openai error: Slow down." in caught.value.message
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "7"


async def test_the_async_client_answers_and_streams(product: Product, lane: Lane, virtual_key: str) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{product.url}/v1",
        api_key=product.api_key,
        max_retries=0,
        default_headers={"x-portkey-virtual-key": virtual_key},
    ) as client:
        whole = await client.chat.completions.create(**HELLO)
        stream = await client.chat.completions.create(**HELLO, stream=True)
        async with stream:
            streamed = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]

    assert whole.choices[0].message.content == vendors.TEXT
    assert "".join(filter(None, streamed)) == vendors.TEXT


def test_the_callers_own_provider_key_is_enough(product: Product, lane: Lane) -> None:
    """Provider and key come with the call; nothing is stored. The gateway's key travels in its own header."""
    client = openai.OpenAI(
        base_url=f"{product.url}/v1",
        api_key="sk-the-callers-own",
        max_retries=0,
        default_headers={
            "x-portkey-api-key": product.api_key,
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": lane.url,
        },
    )
    with client:
        answered = client.chat.completions.create(**HELLO)

    assert answered.choices[0].message.content == vendors.TEXT
    assert lane.last.headers["authorization"] == "Bearer sk-the-callers-own"


def test_a_model_with_a_slash_is_passed_on_as_written(openai_client: Client, lane: Lane, virtual_key: str) -> None:
    openai_client(virtual_key=virtual_key).chat.completions.create(**{**HELLO, "model": "01-ai/gpt-4"})

    assert lane.last.json["model"] == "01-ai/gpt-4"
