"""OpenAI's words in, Cohere's out, and back: through the SDK, with a provider that speaks Cohere's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest

from tests.e2e.product import STORED_KEY, Product, new_trace
from tests.e2e.test_openai_sdk import WEATHER
from tests.fakes import Lane, sends

Client = Callable[..., openai.OpenAI]
ASK: dict[str, Any] = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Say hello."}]}
USAGE = {"billed_units": {"input_tokens": 5, "output_tokens": 7}, "tokens": {"input_tokens": 71, "output_tokens": 7}}
SAID = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
    "usage": USAGE,
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "c2", "delta": {"message": {"role": "assistant"}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}},
    {
        "type": "tool-call-start",
        "index": 0,
        "delta": {
            "message": {"tool_calls": {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": ""}}}
        },
    },
    {
        "type": "tool-call-delta",
        "index": 0,
        "delta": {"message": {"tool_calls": {"function": {"arguments": '{"city": "Rome"}'}}}},
    },
    {"type": "tool-call-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
]


@pytest.fixture
def cohere_key(product: Product, lane: Lane) -> str:
    """Leads to this test's `lane`, which plays Cohere."""
    lane.will(sends(orjson.dumps(SAID)))
    return product.virtual_key(lane.root, "cohere")


def test_a_chat_is_asked_in_coheres_words(product: Product, openai_client: Client, lane: Lane, cohere_key: str) -> None:
    trace_id = new_trace()
    client = openai_client(virtual_key=cohere_key, trace_id=trace_id)
    answered = client.chat.completions.create(**ASK, top_p=0.5, stop="END", tools=[WEATHER], tool_choice="required")

    assert answered.choices[0].message.content == "Hello."
    assert answered.usage is not None
    assert (answered.usage.prompt_tokens, answered.usage.completion_tokens) == (71, 7)
    assert lane.last.path.endswith("/v2/chat")
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"
    body = lane.last.json
    assert (body["p"], body["stop_sequences"], body["tool_choice"]) == (0.5, ["END"], "REQUIRED")
    record = product.record(trace_id)
    assert (record["input_tokens"], record["output_tokens"]) == (5, 7)
    assert record["cost_usd"] > 0


def test_a_stream_with_a_call_is_read(openai_client: Client, lane: Lane, cohere_key: str) -> None:
    wire = b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in EVENTS)
    lane.will(sends(wire, headers={"content-type": "text/event-stream"}))
    client = openai_client(virtual_key=cohere_key)
    with client.chat.completions.stream(**ASK, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls is not None
    [call] = final.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("t1", "weather", '{"city": "Rome"}')


def test_vectors_come_as_the_sdk_packs_them(openai_client: Client, lane: Lane, cohere_key: str) -> None:
    """The SDK asks for base64 unasked, which is not what goes to the vendor."""
    answer = {"id": "e", "embeddings": {"float": [[0.25, -0.5], [1, 0]]}, "meta": {"billed_units": {"input_tokens": 2}}}
    lane.will(sends(orjson.dumps(answer)))
    found = openai_client(virtual_key=cohere_key).embeddings.create(model="embed-v4.0", input=["a", "b"])
    assert [one.embedding for one in found.data] == [[0.25, -0.5], [1.0, 0.0]]
    assert found.usage.prompt_tokens == 2
    assert lane.last.json["embedding_types"] == ["float"]


def test_documents_are_ranked(product: Product, lane: Lane, cohere_key: str) -> None:
    lane.will(sends(orjson.dumps({"id": "r", "results": [{"index": 1, "relevance_score": 0.9}]})))
    asked = {"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "return_documents": True}
    answered = product.call(asked, virtual_key=cohere_key, path="/v1/rerank")
    assert answered.status_code == 200, answered.text
    assert answered.json()["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
    assert lane.last.path.endswith("/v2/rerank")


def test_an_error_keeps_its_status(openai_client: Client, lane: Lane, cohere_key: str) -> None:
    lane.will(sends(b'{"id": "x", "message": "You are past the per minute request limit."}', code=429))
    with pytest.raises(openai.RateLimitError, match="cohere error: You are past"):
        openai_client(virtual_key=cohere_key).chat.completions.create(**ASK)


def test_what_is_left_out_is_named(product: Product, lane: Lane, cohere_key: str) -> None:
    answered = product.call({**ASK, "n": 2}, virtual_key=cohere_key)
    assert (answered.status_code, answered.json()["error"]["param"]) == (400, "n")
    assert lane.received == []
