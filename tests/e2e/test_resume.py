"""Streams that break after their first token and are gone on with by another target."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import pytest

from tests import vendors
from tests.e2e.product import HELLO, Product, new_trace, sse
from tests.e2e.test_routing import CLAUDE
from tests.fakes import Behaviour, Fault, Lane, answer, cut_in_event, end_early, error_event, stall, status
from tests.vendors import Content

Client = Callable[..., openai.OpenAI]
STREAM = {**HELLO, "stream": True, "max_tokens": 50}
REST = Content(text="a fake provider, resumed.", prompt_tokens=40, completion_tokens=6)


def resuming(*targets: dict[str, Any], **fields: Any) -> str:
    return json.dumps({"stream_resume": True, "strategy": {"mode": "fallback"}, "targets": targets, **fields})


def chunks_of(text: str) -> list[dict[str, Any]]:
    *events, end = sse(text)
    assert end == "[DONE]"
    return [json.loads(event) for event in events]


BREAKS = {
    "cut in an event": answer(fault=cut_in_event(3)),
    "ended early": answer(fault=end_early(3)),
    "an error event": answer(fault=error_event(3)),
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_another_target_goes_on_where_a_stream_broke(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, broken: Behaviour, vendor: str
) -> None:
    lane.will(broken)
    other_lane.will(answer(REST))
    params = CLAUDE if vendor == "anthropic" else {"model": "gpt-4o"}
    other = {"virtual_key": product.virtual_key(other_lane.url, vendor), "override_params": params}
    trace_id = new_trace()

    answered = product.call(STREAM, config=resuming({"virtual_key": virtual_key}, other), trace_id=trace_id)

    chunks = chunks_of(answered.text)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello from" + REST.text
    assert len([delta for delta in deltas if delta.get("role")]) == 1
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    sent = other_lane.last.json
    assert sent["messages"][-1]["role"] == "assistant"
    assert "Hello from" in json.dumps(sent["messages"][-1])
    assert sent["max_tokens"] < 50
    record = product.record(trace_id)
    assert [(one["path"], one["status"], bool(one["error"])) for one in record["attempts"]] == [
        ("config.targets[0]", 200, True),
        ("config.targets[1]", 200, False),
    ]
    assert record["status"] == 200
    assert record["output_tokens"] > REST.completion_tokens
    assert record["input_tokens"] > REST.prompt_tokens
    assert record["cost_usd"] > Decimal(0)
    assert record["estimated"]


def test_the_openai_sdk_reads_one_answer(
    product: Product, openai_client: Client, lane: Lane, other_lane: Lane, virtual_key: str
) -> None:
    lane.will(answer(fault=cut_in_event(3)))
    config = resuming({"virtual_key": virtual_key}, {"virtual_key": product.virtual_key(other_lane.url)})

    with openai_client(config=config).chat.completions.create(**HELLO, stream=True) as stream:
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert "".join(filter(None, pieces)) == "Hello from" + vendors.TEXT


def test_the_same_target_goes_on_where_its_retries_allow_it(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=cut_in_event(3)), answer(REST))
    config = json.dumps({"stream_resume": True, "virtual_key": virtual_key, "retry": {"attempts": 1, "initial_delay_ms": 1}})

    answered = product.call(STREAM, config=config)

    text = "".join(choice["delta"].get("content") or "" for chunk in chunks_of(answered.text) for choice in chunk["choices"])
    assert text == "Hello from" + REST.text
    assert lane.last.json["messages"][-1] == {"role": "assistant", "content": "Hello from"}


def test_a_stream_that_stalls_is_gone_on_with(product: Product, lane: Lane, other_lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=stall(3)))
    first = {"virtual_key": virtual_key, "timeouts": {"idle": 300}}

    answered = product.call(STREAM, config=resuming(first, {"virtual_key": product.virtual_key(other_lane.url)}))

    assert len(chunks_of(answered.text)) > 4
    assert len(other_lane.received) == 1


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({**STREAM, "n": 2}, cut_in_event(3)),
        ({**STREAM, "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, cut_in_event(3)),
        (STREAM, end_early(7)),
    ],
    ids=["two choices", "a tool call", "an answer that has said its end"],
)
def test_what_cannot_be_gone_on_with_ends_with_an_error(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, body: dict[str, Any], fault: Fault
) -> None:
    lane.will(answer(fault=fault))
    config = resuming({"virtual_key": virtual_key}, {"virtual_key": product.virtual_key(other_lane.url)})

    answered = product.call(body, config=config)

    assert "error" in json.loads(sse(answered.text)[-1])
    assert other_lane.received == []


def test_when_nobody_can_go_on_the_stream_ends_with_the_last_error(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str
) -> None:
    lane.will(answer(fault=cut_in_event(3)))
    other_lane.will(status(503, "Not today."))
    trace_id = new_trace()
    config = resuming({"virtual_key": virtual_key}, {"virtual_key": product.virtual_key(other_lane.url)})

    answered = product.call(STREAM, config=config, trace_id=trace_id)

    assert "[DONE]" not in answered.text
    assert json.loads(sse(answered.text)[-1])["error"]["message"] == "openai error: Not today."
    record = product.record(trace_id)
    assert (record["status"], [one["status"] for one in record["attempts"]]) == (503, [200, 503])
    assert record["output_tokens"] >= 2
    assert record["cost_usd"] > 0
