"""Anthropic's own SDK against a running gateway: with a provider that speaks its API, and with those that do not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import anthropic
import pytest

from tests import vendors
from tests.e2e.product import STORED_KEY, Product, new_trace
from tests.fakes import Lane, answer, cut_in_event, error_event, sends, status
from tests.vendors import Content

Client = Callable[..., anthropic.Anthropic]
ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Say hello."}],
}
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(product: Product) -> Iterator[Client]:
    """Makes the SDK's client; it does not retry by itself."""
    with ExitStack() as stack:

        def make(kind: Any = anthropic.Anthropic, **headers: str) -> Any:
            given = {f"x-portkey-{name.replace('_', '-')}": value for name, value in headers.items()}
            made = kind(base_url=product.url, api_key=product.api_key, max_retries=0, default_headers=given)
            if kind is anthropic.Anthropic:
                stack.enter_context(made)
            return made

        yield make


# --- a provider that speaks OpenAI's dialect ---


def test_a_message_is_asked_as_a_chat(client: Client, lane: Lane, virtual_key: str) -> None:
    said = client(virtual_key=virtual_key).messages.create(
        **ASK, stop_sequences=["END"], metadata={"user_id": "u-1"}, extra_body={"temperature": 0.5}
    )

    assert said.content == [anthropic.types.TextBlock(type="text", text=vendors.TEXT)]
    assert (said.role, said.stop_reason, said.model) == ("assistant", "end_turn", "claude-sonnet-4-6-2026-01-01")
    assert (said.usage.input_tokens, said.usage.output_tokens) == (21, 7)
    assert lane.last.path.endswith("/v1/chat/completions")
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"
    assert lane.last.json == {
        "model": "claude-sonnet-4-6",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
        "max_completion_tokens": 100,
        "stop": ["END"],
        "temperature": 0.5,
        "user": "u-1",
    }


def test_a_stream_tells_what_the_whole_answer_tells(product: Product, client: Client, lane: Lane, virtual_key: str) -> None:
    content = Content(prompt_tokens=100, cached_tokens=60, completion_tokens=9, reasoning_tokens=2)
    lane.will(answer(content))
    traces = [new_trace(), new_trace()]

    whole = client(virtual_key=virtual_key, trace_id=traces[0]).messages.create(**ASK)
    with client(virtual_key=virtual_key, trace_id=traces[1]).messages.stream(**ASK) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()

    assert pieces == ["Hello", " from", " the", " fake", " provider."]
    assert final.to_dict() == whole.to_dict()
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens, whole.usage.output_tokens) == (40, 60, 9)
    records = [product.record(trace) for trace in traces]
    told = [
        {key: record[key] for key in ("cost_usd", "input_tokens", "cache_read_tokens", "output_tokens")} for record in records
    ]
    assert told[0] == told[1]
    assert told[0] | {"cost_usd": 0} == {"cost_usd": 0, "input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 7}
    assert not any(record["estimated"] for record in records)


def loop(ask: Callable[[list[Any]], anthropic.types.Message]) -> list[Any]:
    """What a coding agent does: ask, run the tools that are called, send back what they gave, until there is an answer."""
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    for _ in range(5):
        said = ask(messages)
        messages.append({"role": "assistant", "content": said.content})
        calls = [block for block in said.content if block.type == "tool_use"]
        assert (said.stop_reason == "tool_use") is bool(calls)
        if not calls:
            return messages
        assert [call.input for call in calls] == [vendors.TOOL_INPUT]
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18 degrees"}, picture]}
            for call in calls
        ]
        messages.append({"role": "user", "content": [*results, {"type": "text", "text": "Go on."}]})
    raise AssertionError("the loop does not end")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("native", [False, True])
def test_an_agent_runs_its_tools(
    client: Client, lane: Lane, other_lane: Lane, virtual_key: str, anthropic_key: str, streamed: bool, native: bool
) -> None:
    sdk = client(virtual_key=anthropic_key if native else virtual_key)

    def ask(messages: list[Any]) -> anthropic.types.Message:
        settings = {**ASK, "messages": messages, "tools": [WEATHER], "tool_choice": {"type": "auto"}}
        if not streamed:
            return sdk.messages.create(**settings)
        with sdk.messages.stream(**settings) as stream:
            return stream.get_final_message()

    messages = loop(ask)

    assert messages[-1]["content"][0].text == vendors.TEXT
    if not native:
        *_, assistant, result, user = lane.last.json["messages"]
        assert assistant["tool_calls"][0]["function"]["name"] == "weather"
        assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == vendors.TOOL_INPUT
        assert (result["role"], result["tool_call_id"]) == ("tool", assistant["tool_calls"][0]["id"])
        assert "18 degrees" in result["content"]
        kinds = [part["type"] for part in user["content"]]
        assert kinds == ["text", "image_url", "text"]


async def test_the_asynchronous_client_streams(client: Client, lane: Lane, virtual_key: str) -> None:
    sdk: Any = client(anthropic.AsyncAnthropic, virtual_key=virtual_key)
    async with sdk, sdk.messages.stream(**ASK, tools=[WEATHER]) as stream:
        events = [event.type async for event in stream]
        final = await stream.get_final_message()

    assert final.content[0].input == vendors.TOOL_INPUT
    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert events.count("content_block_start") == events.count("content_block_stop") == 1


def test_a_schema_is_asked_for_in_openais_words(client: Client, lane: Lane, virtual_key: str) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "additionalProperties": False}

    said = client(virtual_key=virtual_key).messages.create(
        **ASK, output_config={"format": {"type": "json_schema", "schema": schema}}
    )

    assert said.content[0].type == "text"
    assert said.content[0].text == vendors.JSON_TEXT
    assert lane.last.json["response_format"]["json_schema"]["schema"] == schema


def test_what_a_chat_has_no_words_for_is_refused_by_name(client: Client, lane: Lane, virtual_key: str) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError) as caught:
        client(virtual_key=virtual_key).messages.create(**ASK, tools=[search])

    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert "web_search_20250305" in body["error"]["message"]
    assert lane.received == []


def test_tokens_are_estimated_where_the_vendor_has_no_count(
    product: Product, client: Client, lane: Lane, virtual_key: str
) -> None:
    trace_id = new_trace()
    asked = {key: ASK[key] for key in ("model", "system", "messages")}

    counted = client(virtual_key=virtual_key, trace_id=trace_id).messages.count_tokens(**asked, tools=[WEATHER])
    fewer = client(virtual_key=virtual_key).messages.count_tokens(**asked)

    assert 5 < fewer.input_tokens < counted.input_tokens < 100
    assert lane.received == []
    record = product.record(trace_id)
    assert (record["status"], record["input_tokens"], record["output_tokens"]) == (200, 0, 0)


# --- Anthropic itself ---


def test_bytes_pass_through_to_a_provider_that_speaks_it(
    product: Product, client: Client, other_lane: Lane, anthropic_key: str
) -> None:
    other_lane.will(answer(Content(prompt_tokens=100, cached_tokens=60, completion_tokens=9)))
    trace_id = new_trace()
    system: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    sdk = client(virtual_key=anthropic_key, trace_id=trace_id)

    said = sdk.messages.create(**{**ASK, "system": system}, extra_headers={"anthropic-beta": "context-1m-2025-08-07"})

    assert said.content[0].type == "text"
    assert (said.id, said.usage.cache_read_input_tokens) == ("msg_fake1", 60)
    assert other_lane.last.json == {**ASK, "system": system}
    assert other_lane.last.headers["x-api-key"] == STORED_KEY
    assert other_lane.last.headers["anthropic-beta"] == "context-1m-2025-08-07"
    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (40, 60, 9)
    assert record["cost_usd"] > 0


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_the_sdks_key_is_the_providers_where_none_of_the_gateways_is_needed(
    open_product: Product, lane: Lane, provider: str
) -> None:
    headers = {"x-portkey-provider": provider, "x-portkey-custom-host": lane.url}
    with anthropic.Anthropic(base_url=open_product.url, api_key="sk-own", max_retries=0, default_headers=headers) as sdk:
        assert sdk.messages.create(**ASK).stop_reason == "end_turn"

    shown = {"anthropic": ("x-api-key", "sk-own"), "openai": ("authorization", "Bearer sk-own")}
    name, value = shown[provider]
    assert lane.last.headers[name] == value


def test_a_stream_passes_through_and_is_metered(product: Product, client: Client, other_lane: Lane, anthropic_key: str) -> None:
    other_lane.will(answer(Content(prompt_tokens=100, cached_tokens=60, completion_tokens=9)))
    trace_id = new_trace()

    with client(virtual_key=anthropic_key, trace_id=trace_id).messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == vendors.TEXT
        assert stream.get_final_message().usage.output_tokens == 9

    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (40, 60, 9)


def test_tokens_are_counted_by_the_vendor_that_can(
    product: Product, client: Client, other_lane: Lane, anthropic_key: str
) -> None:
    trace_id = new_trace()
    sdk = client(virtual_key=anthropic_key, trace_id=trace_id)

    counted = sdk.messages.count_tokens(model="claude-sonnet-4-6", messages=ASK["messages"])

    assert counted.input_tokens == 21
    assert other_lane.last.path.endswith("/v1/messages/count_tokens")
    assert product.record(trace_id)["cost_usd"] == 0


def test_a_config_can_change_the_model_and_fall_back_to_another_api(
    product: Product, client: Client, lane: Lane, other_lane: Lane, virtual_key: str, anthropic_key: str
) -> None:
    other_lane.will(status(529, "Overloaded"))
    first = {"virtual_key": anthropic_key, "override_params": {"model": "claude-opus-4-6"}}
    second = {"virtual_key": virtual_key, "override_params": {"model": "gpt-4o-mini"}}
    config = product.config({"strategy": {"mode": "fallback"}, "targets": [first, second]})

    said = client(config=config).messages.create(**ASK)

    assert said.model == "gpt-4o-mini" + vendors.MODEL_SUFFIX
    assert other_lane.last.json == {**ASK, "model": "claude-opus-4-6"}
    assert lane.last.json["model"] == "gpt-4o-mini"


# --- errors, in Anthropic's shape ---


@pytest.mark.parametrize(
    ("code", "raised", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("native", [False, True])
def test_a_providers_error_has_the_shape_that_the_sdk_reads(
    client: Client,
    lane: Lane,
    other_lane: Lane,
    virtual_key: str,
    anthropic_key: str,
    code: int,
    raised: Any,
    kind: str,
    native: bool,
) -> None:
    (other_lane if native else lane).will(status(code, "No."))

    with pytest.raises(raised) as caught:
        client(virtual_key=anthropic_key if native else virtual_key).messages.create(**ASK)

    assert caught.value.status_code == code
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.body["error"]["message"].endswith("No.")


def test_the_gateways_own_errors_have_it_too(product: Product, client: Client) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        client(virtual_key="nobody").messages.create(**ASK)
    assert caught.value.body["type"] == "error"  # type: ignore[index, call-overload]

    stranger = anthropic.Anthropic(base_url=product.url, api_key="sk-nobody", max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError) as unknown:
        stranger.messages.create(**ASK)
    assert unknown.value.body["error"]["type"] == "authentication_error"  # type: ignore[index, call-overload]


def read(stream: Any, seen: threading.Event) -> None:
    """Reads a stream to its end and tells when its first text has come."""
    for text in stream.text_stream:
        assert text
        seen.set()


@pytest.mark.parametrize("native", [False, True])
def test_a_stream_that_breaks_is_an_error_for_the_sdk(
    client: Client, lane: Lane, other_lane: Lane, virtual_key: str, anthropic_key: str, native: bool
) -> None:
    seen = threading.Event()
    (other_lane if native else lane).will(answer(fault=replace(error_event(5, "Overloaded"), hold=seen)))

    with (
        client(virtual_key=anthropic_key if native else virtual_key).messages.stream(**ASK) as stream,
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
    ):
        read(stream, seen)
    assert seen.is_set()


def test_a_stream_that_is_cut_does_not_end_as_if_it_were_whole(client: Client, lane: Lane, virtual_key: str) -> None:
    seen = threading.Event()
    lane.will(answer(fault=replace(cut_in_event(5), hold=seen)))

    with client(virtual_key=virtual_key).messages.stream(**ASK) as stream, pytest.raises(anthropic.APIStatusError):
        read(stream, seen)
    assert seen.is_set()


# --- the provider that the gateway serves itself ---


def test_the_mock_answers_in_both_ways(client: Client) -> None:
    sdk = client(virtual_key="mock")
    asked = {**ASK, "model": "mock-tool", "tools": [WEATHER]}

    whole = sdk.messages.create(**asked)
    with sdk.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()

    assert whole.stop_reason == "tool_use"
    assert whole.content[0].type == "tool_use"
    assert streamed.content == whole.content
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 0


# --- a provider with a format of its own ---


def test_an_agent_runs_on_lines_of_json(product: Product, client: Client, lane: Lane) -> None:
    key = product.virtual_key(lane.root, "ollama")
    call = {"function": {"name": "weather", "arguments": vendors.TOOL_INPUT}}
    lines = (
        {"model": "qwen3", "message": {"role": "assistant", "content": "Let me see. "}, "done": False},
        {"model": "qwen3", "message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
        {"model": "qwen3", "message": {"content": ""}, "done": True, "prompt_eval_count": 30, "eval_count": 12},
    )
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    lane.will(sends(body, headers={"content-type": "application/x-ndjson"}))
    trace_id = new_trace()

    with client(virtual_key=key, trace_id=trace_id).messages.stream(**ASK, tools=[WEATHER]) as stream:
        final = stream.get_final_message()

    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[1].input == vendors.TOOL_INPUT
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("tool_use", 30, 12)
    assert lane.last.path.endswith("/api/chat")
    assert lane.last.json["options"] == {"num_predict": 100}
    record = product.record(trace_id)
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (30, 12, False)
