"""Breakers over two gateway processes, under load, and connection pools."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from routing import health
from tests.e2e import rate
from tests.e2e.product import HELLO, Product, new_trace
from tests.fakes import FakeProvider, Lane, answer, hangs, resets, status
from tests.stack import wait_until

PER_SECOND = 200
TIMEOUT_MS = 500
OPENS = {"failure_threshold": 5, "cooldown_interval": 30_000}


@pytest.fixture
def first(pair: Product, lane: Lane) -> str:
    return pair.virtual_key(lane.url)


@pytest.fixture
def second(pair: Product, other_lane: Lane) -> str:
    return pair.virtual_key(other_lane.url)


def fallback(*targets: dict[str, Any], **strategy: Any) -> str:
    return json.dumps({"strategy": {"mode": "fallback", **strategy}, "targets": targets})


def test_every_process_leaves_a_failing_target_alone(pair: Product, lane: Lane, first: str, second: str) -> None:
    lane.will(status(500))
    config = fallback({"virtual_key": first, "cb_config": {**OPENS, "failure_threshold": 4}}, {"virtual_key": second})
    headers = {"x-portkey-api-key": pair.api_key, "x-portkey-config": config, "content-type": "application/json"}

    with pair.doors() as doors:
        told = [doors[number % 2].post("/v1/chat/completions", json=HELLO, headers=headers) for number in range(20)]

    assert {one.status_code for one in told} == {200}
    # The counts of both processes add up; a process that has not heard of the opening yet may ask once more.
    assert 4 <= len(lane.received) <= 5
    (shown,) = [one for one in health.states(pair.stack.env["REDIS_URL"]) if one.host == "127.0.0.1"]
    assert (shown.state, shown.provider, shown.failures >= 4) == ("open", "openai", True)


def test_a_process_that_never_asked_a_failing_target_leaves_it_alone(pair: Product, lane: Lane, first: str) -> None:
    lane.will(status(500))
    config = json.dumps({"virtual_key": first, "cb_config": {**OPENS, "failure_threshold": 2}})
    headers = {"x-portkey-api-key": pair.api_key, "x-portkey-config": config}
    redis_url = pair.stack.env["REDIS_URL"]
    known = len(health.states(redis_url))

    with pair.doors() as (one, other):
        for _ in range(2):
            one.post("/v1/chat/completions", json=HELLO, headers=headers)
        wait_until(lambda: len(health.states(redis_url)) > known, "the breaker does not open")
        answered = other.post("/v1/chat/completions", json=HELLO, headers=headers)

    assert (answered.status_code, answered.headers["x-gatehouse-breaker"]) == (503, "open")
    assert len(lane.received) == 2


def test_a_call_whose_only_target_is_left_alone_is_told_when_to_come_back(pair: Product, lane: Lane, first: str) -> None:
    lane.will(status(500))
    config, trace_id = json.dumps({"virtual_key": first, "cb_config": {**OPENS, "failure_threshold": 1}}), new_trace()
    failed = pair.call(config=config)
    assert (failed.status_code, failed.headers["x-gatehouse-breaker"]) == (500, "closed")
    asked = len(lane.received)

    def refused() -> bool:
        return pair.call(config=config).headers["x-gatehouse-breaker"] == "open"

    wait_until(refused, "the breaker did not open")
    answered = pair.call(config=config, trace_id=trace_id)

    assert (answered.status_code, answered.json()["error"]["code"]) == (503, "breaker_open")
    assert answered.headers["x-gatehouse-breaker"] == "open"
    assert 0 < int(answered.headers["retry-after"]) <= 30
    assert len(lane.received) <= asked + 1
    (attempt,) = pair.record(trace_id)["attempts"]
    assert attempt["error"].startswith("breaker_open: ")


def test_a_hang_up_of_callers_opens_nothing(pair: Product, lane: Lane, first: str) -> None:
    lane.will(*[hangs()] * 4, answer())
    config = json.dumps({"virtual_key": first, "cb_config": {**OPENS, "failure_threshold": 1}})
    for count in range(1, 5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{pair.url}/v1/chat/completions",
                json=HELLO,
                headers={"x-portkey-api-key": pair.api_key, "x-portkey-config": config},
                timeout=0.3,
            )
        lane.wait_for(count)[-1].left.wait(5)

    assert pair.call(config=config).status_code == 200


@pytest.mark.parametrize("breaker", [False, True], ids=["without a breaker", "with a breaker"])
def test_one_of_two_targets_dies_under_load_and_no_caller_sees_it(
    pair: Product, lane: Lane, other_lane: Lane, first: str, second: str, breaker: bool, record_property: Any
) -> None:
    guard = {"cb_config": OPENS} if breaker else {}
    dying = {"virtual_key": first, "request_timeout": TIMEOUT_MS, **guard}
    config = fallback(dying, {"virtual_key": second})
    headers = {"x-portkey-api-key": pair.api_key, "x-portkey-config": config}
    message = rate.request(pair.url, HELLO, headers)
    before = rate.at_a_rate(pair.url, message, per_second=PER_SECOND, seconds=2)
    death = threading.Timer(1, lambda: lane.will(hangs()))

    death.start()
    answers = rate.at_a_rate(pair.url, message, per_second=PER_SECOND, seconds=4)

    assert {one.status for one in before + answers} == {200}
    later = [one for one in answers if one.at_s > 1.5 + TIMEOUT_MS / 1000]
    figures = {name: round(rate.percentile(some, 0.99), 1) for name, some in (("before", before), ("dead", later))}
    record_property("p99_ms", figures)
    print(f"\np99 in ms, {'with' if breaker else 'without'} a breaker: {figures}")
    used = Counter(one.headers["x-portkey-last-used-option-index"] for one in later)
    assert used == {"config.targets[1]": len(later)}
    assert ("x-gatehouse-breaker" in before[-1].headers) == breaker
    if breaker:
        asked = len(lane.received) - len(before)
        assert asked < PER_SECOND * 2, "the dead target is asked all the time"
        host = [one for one in health.states(pair.stack.env["REDIS_URL"]) if one.since > time.time() - 10]
        assert len(host) == 1


# --- Pools -------------------------------------------------------------------------------------------------------------


def test_a_full_pool_is_a_429_that_says_when_to_come_back(pair: Product, lane: Lane, first: str, fake: FakeProvider) -> None:
    """The bound is each process's own: of eight calls at least one and at most four get through."""
    lane.will(answer(delay=0.6))
    config = json.dumps({"virtual_key": first, "connection_pool": {"max_size": 1, "acquire_timeout": 100}})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pair.call(config=config), range(8)))

    refused = [one for one in answers if one.status_code == 429]
    assert len(refused) >= 6
    assert {one.json()["error"]["code"] for one in refused} == {"connection_pool_exhausted"}
    assert {one.headers["retry-after"] for one in refused} == {"1"}
    assert len(lane.received) == 8 - len(refused) >= 1
    assert pair.call(config=config).status_code == 200


def test_calls_wait_their_turn_in_a_pool_and_a_full_one_is_routed_round(
    pair: Product, lane: Lane, other_lane: Lane, first: str, second: str
) -> None:
    lane.will(answer(delay=0.05))
    patient = {"max_size": 2, "acquire_timeout": "10s"}
    config = fallback({"virtual_key": first, "connection_pool": patient}, {"virtual_key": second})
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: pair.call(config=config), range(24)))
    assert {one.headers["x-portkey-last-used-option-index"] for one in answers} == {"config.targets[0]"}
    assert len(lane.received) == 24

    lane.will(answer(delay=0.6))
    config = fallback(
        {"virtual_key": first, "connection_pool": {"max_size": 1, "acquire_timeout": 50}}, {"virtual_key": second}
    )
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pair.call(config=config), range(8)))
    assert {one.status_code for one in answers} == {200}
    assert len(other_lane.received) >= 6


def test_a_broken_stream_gives_its_place_in_the_pool_back(pair: Product, lane: Lane, first: str) -> None:
    lane.will(resets())
    config = json.dumps({"virtual_key": first, "connection_pool": {"max_size": 1, "acquire_timeout": 100}})

    assert {pair.call({**HELLO, "stream": True}, config=config).status_code for _ in range(6)} == {502}
