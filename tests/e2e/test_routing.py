"""Strategies, retries and time-outs, as seen by the caller, by the providers and in the log."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests import vendors
from tests.e2e.product import HELLO, Product, new_trace, sse
from tests.fakes import Behaviour, FakeProvider, Lane, Refusing, answer, end_early, error_event, hangs, resets, stall, status

Client = Callable[..., openai.OpenAI]
CLAUDE = {"model": "claude-sonnet-4-5"}
FAST_RETRY = {"initial_delay_ms": 1}


@pytest.fixture
def to_anthropic(virtual_key: str, anthropic_key: str) -> dict[str, Any]:
    """A fallback from OpenAI's dialect to Anthropic's."""
    targets = [{"virtual_key": virtual_key}, {"virtual_key": anthropic_key, "override_params": CLAUDE}]
    return {"strategy": {"mode": "fallback"}, "targets": targets}


def text_of(stream: str) -> str:
    """What the caller of a stream has read in the end, if the stream is complete."""
    *events, end = sse(stream)
    assert end == "[DONE]"
    choices = [json.loads(event)["choices"] for event in events]
    return "".join(choice[0]["delta"].get("content") or "" for choice in choices if choice)


# --- Fallback --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(status(503), 503), (status(429), 429), (status(401), 401), (resets(), 502)],
    ids=["503", "429", "401", "a broken connection"],
)
def test_a_failing_target_falls_back_to_anthropic(
    product: Product,
    lane: Lane,
    other_lane: Lane,
    to_anthropic: dict[str, Any],
    failure: Behaviour,
    expected: int,
) -> None:
    lane.will(failure)
    trace_id = new_trace()

    answered = product.call(config=json.dumps(to_anthropic), trace_id=trace_id)

    assert answered.status_code == 200
    assert answered.json()["choices"][0]["message"]["content"] == vendors.TEXT
    assert answered.headers["x-portkey-last-used-option-index"] == "config.targets[1]"
    assert answered.headers["x-portkey-provider"] == "anthropic"
    assert other_lane.last.json["model"] == "claude-sonnet-4-5"
    record = product.record(trace_id)
    assert [(one["path"], one["provider"], one["status"]) for one in record["attempts"]] == [
        ("config.targets[0]", "openai", expected),
        ("config.targets[1]", "anthropic", 200),
    ]
    assert record["attempts"][0]["error"]
    assert (record["provider"], record["model"], record["status"]) == ("anthropic", "claude-sonnet-4-5", 200)


@pytest.mark.parametrize(
    "failure",
    [status(500), answer(fault=end_early(0)), answer(fault=error_event(0)), resets()],
    ids=["an error status", "a stream without events", "a stream that begins with an error", "a broken connection"],
)
def test_a_stream_falls_back_to_anthropic_before_its_first_event(
    product: Product, openai_client: Client, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any], failure: Behaviour
) -> None:
    lane.will(failure)
    trace_id = new_trace()
    client = openai_client(config=json.dumps(to_anthropic), trace_id=trace_id)

    with client.chat.completions.create(**HELLO, stream=True) as stream:
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert "".join(filter(None, pieces)) == vendors.TEXT
    assert other_lane.last.json["stream"] is True
    record = product.record(trace_id)
    assert [one["provider"] for one in record["attempts"]] == ["openai", "anthropic"]
    assert record["is_stream"]
    assert record["output_tokens"] == 7


def test_the_last_targets_error_is_the_answer_when_all_fail(
    product: Product, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any]
) -> None:
    lane.will(status(500))
    other_lane.will(status(529, "Overloaded"))
    trace_id = new_trace()

    answered = product.call(config=json.dumps(to_anthropic), trace_id=trace_id)

    assert answered.status_code == 529
    assert answered.json()["error"]["message"] == "anthropic error: Overloaded"
    record = product.record(trace_id)
    assert (record["status"], len(record["attempts"])) == (529, 2)


def test_a_fallback_for_named_statuses_passes_over_others(
    product: Product, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any]
) -> None:
    to_anthropic["strategy"]["on_status_codes"] = [429]
    config = json.dumps(to_anthropic)
    lane.will(status(503), status(429))

    assert product.call(config=config).status_code == 503
    assert product.call(config=config).status_code == 200
    assert len(other_lane.received) == 1


def test_the_callers_mistake_does_not_fall_back(
    product: Product, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any]
) -> None:
    lane.will(status(400, "messages[0] is bad."))

    assert product.call(config=json.dumps(to_anthropic)).status_code == 400
    assert other_lane.received == []


def test_a_fallback_may_lead_into_a_loadbalance(product: Product, lane: Lane, other_lane: Lane, virtual_key: str) -> None:
    lane.will(status(500))
    other = product.virtual_key(other_lane.url)
    config = {
        "strategy": "fallback",
        "targets": [
            {"virtual_key": virtual_key},
            {
                "strategy": {"mode": "loadbalance"},
                "override_params": {"temperature": 0},
                "targets": [{"virtual_key": virtual_key, "weight": 0}, {"virtual_key": other, "model": "gpt-4o"}],
            },
        ],
    }

    answered = product.call(config=json.dumps(config))

    assert answered.headers["x-portkey-last-used-option-index"] == "config.targets[1].targets[1]"
    assert (other_lane.last.json["temperature"], other_lane.last.json["model"]) == (0, "gpt-4o")


def test_a_provider_that_is_gone_falls_back(product: Product, other_lane: Lane, anthropic_key: str) -> None:
    with Refusing() as gone:
        dead = product.virtual_key(gone)
        config = {
            "strategy": "fallback",
            "targets": [{"virtual_key": dead}, {"virtual_key": anthropic_key, "override_params": CLAUDE}],
        }
        assert product.call(config=json.dumps(config)).status_code == 200


# --- Load balancing --------------------------------------------------------------------------------------------------


def test_a_loadbalance_shares_by_weights_written_as_texts(product: Product, fake: FakeProvider) -> None:
    lanes = [fake.lane(), fake.lane(), fake.lane()]
    keys = [product.virtual_key(lane.url) for lane in lanes]
    weights = ["0.75", "0.25", "0"]
    targets = [{"virtual_key": key, "weight": weight} for key, weight in zip(keys, weights, strict=True)]
    config = product.config({"strategy": {"mode": "loadbalance"}, "targets": targets})

    used = Counter(product.call(config=config).headers["x-portkey-last-used-option-index"] for _ in range(200))

    assert [len(lane.received) for lane in lanes] == [used[f"config.targets[{index}]"] for index in range(3)]
    # Five standard deviations from 150: by chance once in two million runs.
    assert 119 <= len(lanes[0].received) <= 181
    assert len(lanes[2].received) == 0


def test_a_loadbalance_has_no_fallback_of_its_own(product: Product, lane: Lane, other_lane: Lane, virtual_key: str) -> None:
    lane.will(status(500))
    targets = [{"virtual_key": virtual_key, "weight": 1}, {"virtual_key": product.virtual_key(other_lane.url), "weight": 0}]

    assert product.call(config=json.dumps({"strategy": "loadbalance", "targets": targets})).status_code == 500
    assert other_lane.received == []


# --- Retries ---------------------------------------------------------------------------------------------------------


def retrying(virtual_key: str, attempts: int, **settings: Any) -> str:
    return json.dumps({"virtual_key": virtual_key, "retry": {"attempts": attempts, **FAST_RETRY, **settings}})


def test_a_retry_equals_the_first_try(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500), status(429), answer())
    trace_id = new_trace()

    answered = product.call(config=retrying(virtual_key, 3), trace_id=trace_id)

    assert answered.status_code == 200
    assert answered.headers["x-portkey-retry-attempt-count"] == "2"
    assert len({request.body for request in lane.received}) == 1
    assert len({tuple(sorted(request.headers.items())) for request in lane.received}) == 1
    record = product.record(trace_id)
    assert [one["status"] for one in record["attempts"]] == [500, 429, 200]
    assert record["retry_count"] == 2


@pytest.mark.parametrize(
    ("script", "attempts", "told"),
    [([answer()], 2, "0"), ([answer()], 0, "0"), ([status(503)], 2, "-1"), ([status(404)], 2, "0"), ([status(503)], 0, "0")],
    ids=["no need", "not asked for", "used up", "not retriable", "an error without retries"],
)
def test_the_retry_header_tells_the_count(
    product: Product, lane: Lane, virtual_key: str, script: list[Behaviour], attempts: int, told: str
) -> None:
    lane.will(*script)

    assert product.call(config=retrying(virtual_key, attempts)).headers["x-portkey-retry-attempt-count"] == told
    assert len(lane.received) == (attempts + 1 if told == "-1" else 1)


def test_only_the_named_statuses_are_retried(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500))

    product.call(config=retrying(virtual_key, 3, on_status_codes=[429]))

    assert len(lane.received) == 1


def test_a_broken_connection_is_retried_whatever_the_statuses(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(resets(), answer())

    assert product.call(config=retrying(virtual_key, 1, on_status_codes=[429])).status_code == 200


def test_the_waits_double(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500))
    began = time.monotonic()

    product.call(config=retrying(virtual_key, 3, initial_delay_ms=100))

    # 100 + 200 + 400 ms, with up to a fifth of jitter.
    assert 0.56 <= time.monotonic() - began < 2.0


def test_retry_after_is_waited_for_where_the_config_says_so(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(429, headers={"retry-after-ms": "300"}), answer())
    began = time.monotonic()

    assert product.call(config=retrying(virtual_key, 1, use_retry_after_headers=True)).status_code == 200

    assert time.monotonic() - began >= 0.3


def test_a_long_retry_after_is_handed_to_the_caller(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(429, headers={"retry-after": "3600"}))

    answered = product.call(config=retrying(virtual_key, 3, use_retry_after_header=True))

    assert answered.status_code == 429
    assert answered.headers["x-portkey-retry-attempt-count"] == "-1"
    assert answered.headers["retry-after"] == "3600"
    assert len(lane.received) == 1


def test_a_target_has_its_retries_before_the_next_is_tried(
    product: Product, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any]
) -> None:
    lane.will(status(503))
    to_anthropic["retry"] = {"count": 2, **FAST_RETRY}

    answered = product.call(config=json.dumps(to_anthropic))

    assert (len(lane.received), len(other_lane.received)) == (3, 1)
    assert answered.headers["x-portkey-retry-attempt-count"] == "0"


# --- Time-outs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["config", "header"])
def test_a_request_timeout_ends_in_408(product: Product, lane: Lane, virtual_key: str, where: str) -> None:
    lane.will(hangs())
    trace_id = new_trace()
    config = {"virtual_key": virtual_key, **({"request_timeout": "300ms"} if where == "config" else {})}
    headers = {"x-portkey-request-timeout": "300"} if where == "header" else {}

    answered = product.call(config=json.dumps(config), headers=headers, trace_id=trace_id)

    assert answered.status_code == 408
    assert answered.json()["error"]["message"] == "Request exceeded the timeout sent in the request: 300ms"
    assert answered.json()["error"]["type"] == "timeout_error"
    assert lane.last.left.wait(5), "the call upstream goes on"
    assert product.record(trace_id)["status"] == 408


def test_a_timeout_falls_back(product: Product, lane: Lane, other_lane: Lane, to_anthropic: dict[str, Any]) -> None:
    lane.will(hangs())
    to_anthropic["targets"][0]["request_timeout"] = "300ms"

    assert product.call(config=json.dumps(to_anthropic)).headers["x-portkey-provider"] == "anthropic"


def test_a_timeout_holds_until_the_first_token_of_a_stream(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=stall(0)))
    config = {"virtual_key": virtual_key, "request_timeout": "300ms"}

    answered = product.call({**HELLO, "stream": True}, config=json.dumps(config))

    assert answered.status_code == 408


def test_a_stream_that_has_begun_is_not_cut_by_the_timeout(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(pause=0.15))
    config = {"virtual_key": virtual_key, "request_timeout": "500ms"}

    answered = product.call({**HELLO, "stream": True}, config=json.dumps(config))

    assert text_of(answered.text) == vendors.TEXT
