"""Every way in which a provider goes wrong, against one that really does it: what the caller, the provider and the log see.

Each fault befalls the first target of a fallback that tries it twice. The table says how often it is asked, and whether the
call goes on to the second target.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests import vendors
from tests.e2e.product import HELLO, Product, new_trace, sse
from tests.e2e.test_routing import text_of
from tests.fakes import (
    Behaviour,
    Lane,
    Refusing,
    answer,
    comments,
    cut_chunk,
    cut_in_event,
    drips,
    end_early,
    error_event,
    filtered,
    floods,
    garbage_event,
    half_json,
    hangs,
    html_page,
    in_one_piece,
    no_http,
    resets,
    sends,
    stall,
    status,
    too_long,
    too_short,
)

STREAM = {**HELLO, "stream": True}
TIMEOUT_MS = 400
FINE = "the other target answers"


def in_a_moment() -> str:
    """A date of the near future, as Retry-After writes it: whole seconds."""
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2), usegmt=True)


@dataclass(frozen=True)
class Fault:
    """What befalls a call, and what comes of it: `tries` at the first target with these statuses, and then the other target
    or, where `other` is false, the last of them for the caller. `breaks` says that a breaker counts it."""

    behaviour: Callable[[], Behaviour]
    statuses: tuple[int, ...]
    other: bool = True
    breaks: bool = True


def twice(behaviour: Callable[[], Behaviour], code: int = 502) -> Fault:
    return Fault(behaviour, (code, code))


def once(behaviour: Callable[[], Behaviour], code: int = 502, **fields: Any) -> Fault:
    return Fault(behaviour, (code,), **fields)


WHOLE = {
    "429": Fault(lambda: status(429), (429, 429), breaks=False),
    "429 with seconds": Fault(lambda: status(429, headers={"retry-after": "0"}), (429, 429), breaks=False),
    "429 with milliseconds": Fault(lambda: status(429, headers={"retry-after-ms": "10"}), (429, 429), breaks=False),
    "429 with a date": Fault(lambda: status(429, headers={"retry-after": in_a_moment()}), (429, 429), breaks=False),
    "429 with a long wait": once(lambda: status(429, headers={"retry-after": "3600"}), 429, breaks=False),
    "500": twice(lambda: status(500), 500),
    "502": twice(lambda: status(502), 502),
    "503": twice(lambda: status(503), 503),
    "504": twice(lambda: status(504), 504),
    "529": twice(lambda: status(529), 529),
    "401": once(lambda: status(401), 401, breaks=False),
    "400": once(lambda: status(400), 400, other=False, breaks=False),
    "a content filter": once(filtered, 400, other=False, breaks=False),
    "a broken connection": twice(resets),
    "no HTTP": twice(no_http),
    "headers that never come": once(hangs, 408),
    "garbage": twice(lambda: sends(b"\x00\xff}{ garbage")),
    "half of a JSON": twice(half_json),
    "an HTML page": twice(html_page),
    "an empty body": twice(lambda: sends(b"")),
    "a body cut short": twice(too_short),
    "a body longer than announced": twice(too_long),
    "a body without its last chunk": twice(cut_chunk),
    "a slow loris": once(drips, 408),
}
STREAMS = {
    "500": twice(lambda: status(500), 500),
    "529": twice(lambda: status(529), 529),
    "400": once(lambda: status(400), 400, other=False, breaks=False),
    "headers that never come": once(hangs, 408),
    "a first token that never comes": once(lambda: answer(fault=stall(0)), 408),
    "nothing after the role": once(lambda: answer(fault=stall(1)), 408),
    "an end after the role": twice(lambda: answer(fault=end_early(1))),
    "a cut after the role": twice(lambda: answer(fault=cut_in_event(1))),
    "an error before everything": twice(lambda: answer(fault=error_event(0)), 500),
    "an error after the role": twice(lambda: answer(fault=error_event(1)), 500),
    "garbage after the role": twice(lambda: answer(fault=garbage_event(1))),
    "comments and nothing else": twice(comments),
    "an HTML page": twice(html_page),
    "an empty body": twice(lambda: sends(b"", headers={"content-type": "text/event-stream"})),
}
CASES = [
    *(pytest.param(HELLO, fault, id=f"whole-{name}") for name, fault in WHOLE.items()),
    *(pytest.param(STREAM, fault, id=f"stream-{name}") for name, fault in STREAMS.items()),
]
BREAKER = {"failure_threshold": 50, "cooldown_interval": 30_000}


def guarded(first: str, other: str, **first_fields: Any) -> str:
    """A fallback whose first target is tried twice and watched by a breaker that does not open here."""
    tried = {"attempts": 1, "initial_delay_ms": 1, "use_retry_after_header": True}
    target = {"virtual_key": first, "retry": tried, "request_timeout": TIMEOUT_MS, "cb_config": BREAKER, **first_fields}
    return json.dumps({"strategy": {"mode": "fallback"}, "targets": [target, {"virtual_key": other}]})


@pytest.fixture
def other_key(product: Product, other_lane: Lane) -> str:
    return product.virtual_key(other_lane.url)


@pytest.mark.parametrize(("body", "fault"), CASES)
def test_a_fault_is_retried_routed_round_and_written_down(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str, body: dict[str, Any], fault: Fault
) -> None:
    lane.will(fault.behaviour())
    trace_id = new_trace()

    answered = product.call(body, config=guarded(virtual_key, other_key), trace_id=trace_id)

    assert (len(lane.received), len(other_lane.received)) == (len(fault.statuses), int(fault.other)), answered.text
    assert answered.status_code == (200 if fault.other else fault.statuses[-1])
    used = f"config.targets[{int(fault.other)}]"
    assert answered.headers["x-portkey-last-used-option-index"] == used
    assert answered.headers["x-portkey-retry-attempt-count"] == "0"
    if fault.other:
        assert "x-gatehouse-breaker" not in answered.headers, "the target that answered has none"
        assert (
            text_of(answered.text) if body is STREAM else answered.json()["choices"][0]["message"]["content"]
        ) == vendors.TEXT
    else:
        assert answered.headers["x-gatehouse-breaker"] == "closed"
        assert answered.json()["error"]["message"]
    record = product.record(trace_id)
    assert [one["status"] for one in record["attempts"]] == [*fault.statuses, *([200] if fault.other else [])]
    assert [one["path"] for one in record["attempts"]][-1] == used
    assert all(one["error"] for one in record["attempts"][: len(fault.statuses)])
    started = [one["started_ms"] for one in record["attempts"]]
    assert started == sorted(started)
    assert 0 <= started[0] <= record["duration_ms"]


@pytest.mark.parametrize(("body", "fault"), CASES)
def test_a_breaker_counts_the_faults_that_are_the_providers(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str, body: dict[str, Any], fault: Fault
) -> None:
    """After one failure of such a kind the target is left alone; after any other it is asked again."""
    lane.will(fault.behaviour())
    config = guarded(virtual_key, other_key, retry={"attempts": 0}, cb_config={**BREAKER, "failure_threshold": 1})
    product.call(body, config=config)
    trace_id = new_trace()

    product.call(body, config=config, trace_id=trace_id)

    assert len(lane.received) == (1 if fault.breaks else 2)
    first = product.record(trace_id)["attempts"][0]
    assert first["path"] == "config.targets[0]"
    assert first["error"].startswith("breaker_open: ") == fault.breaks


# --- Connections that cannot be had ------------------------------------------------------------------------------------


@pytest.fixture
def dead_hosts(product: Product) -> Iterator[dict[str, str]]:
    with Refusing() as refusing:
        yield {
            "connect refused": refusing,
            "no such name": "https://no-such-host.invalid/v1",
            "no TLS": f"{product.url.replace('http:', 'https:')}/v1",
        }


@pytest.mark.parametrize("fault", ["connect refused", "no such name", "no TLS"])
def test_a_connection_that_cannot_be_had_is_retried_and_routed_round(
    product: Product, other_key: str, dead_hosts: dict[str, str], fault: str
) -> None:
    dead, trace_id = product.virtual_key(dead_hosts[fault]), new_trace()

    answered = product.call(config=guarded(dead, other_key, request_timeout="20s"), trace_id=trace_id)

    assert answered.headers["x-portkey-last-used-option-index"] == "config.targets[1]"
    assert [one["status"] for one in product.record(trace_id)["attempts"]] == [502, 502, 200]


# --- After the first token ---------------------------------------------------------------------------------------------

BREAKS = {
    "cut in an event": lambda: answer(fault=cut_in_event(3)),
    "ended early": lambda: answer(fault=end_early(3)),
    "an error event": lambda: answer(fault=error_event(3)),
    "good events and an error in one piece": lambda: in_one_piece(3, vendors.error_event("/v1/chat/completions", "No more.")),
    "good events and garbage in one piece": lambda: in_one_piece(3, b'data: {"error" nonsense\n\n'),
}


@pytest.mark.parametrize("behaviour", BREAKS.values(), ids=BREAKS)
def test_a_break_after_the_first_token_loses_nothing_and_ends_with_an_error(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str, behaviour: Callable[[], Behaviour]
) -> None:
    lane.will(behaviour())
    trace_id = new_trace()

    answered = product.call(STREAM, config=guarded(virtual_key, other_key), trace_id=trace_id)

    *chunks, last = [json.loads(event) for event in sse(answered.text)]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["", "Hello", " from"]
    assert last["error"]["message"]
    assert "[DONE]" not in answered.text
    assert (len(lane.received), len(other_lane.received)) == (1, 0)
    record = product.record(trace_id)
    assert record["status"] >= 500
    (tried,) = record["attempts"]
    assert (tried["status"], tried["error"]) == (200, f"{record['error_code']}: {record['error_message']}")


def test_a_stream_that_stalls_after_the_first_token_is_ended_by_its_idle_time_out(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    lane.will(answer(fault=stall(3)))

    answered = product.call(STREAM, config=guarded(virtual_key, other_key, timeouts={"idle": 300}))

    assert json.loads(sse(answered.text)[-1])["error"]["code"] == "idle_timeout"
    assert lane.last.left.wait(5), "the call upstream goes on"


# --- Large, and late ---------------------------------------------------------------------------------------------------


def memory_mib(product: Product) -> float:
    pages = int(Path(f"/proc/{product.stack.pid('gateway.1')}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def test_an_answer_of_100_mb_is_refused_without_being_held(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    lane.will(floods(100))
    product.call(config=guarded(virtual_key, other_key, retry={"attempts": 0}, request_timeout="20s"))  # warms up
    before, trace_id = memory_mib(product), new_trace()

    answered = product.call(
        config=guarded(virtual_key, other_key, retry={"attempts": 0}, request_timeout="20s"), trace_id=trace_id
    )

    assert answered.headers["x-portkey-last-used-option-index"] == "config.targets[1]"
    failed = product.record(trace_id)["attempts"][0]
    assert (failed["status"], "is larger than" in failed["error"]) == (502, True)
    assert memory_mib(product) - before < 80


def test_an_answer_that_comes_after_the_call_was_cancelled_reaches_nobody(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    """It must not be taken for the answer to the next call on the same connection."""

    async def late(turn: Any) -> None:
        try:
            await turn.pause(0.8)
        finally:
            turn.whole(200, b'{"object": "chat.completion", "choices": [], "late": true}')

    lane.will(late, answer())
    config = guarded(virtual_key, other_key, retry={"attempts": 0})

    assert product.call(config=config).headers["x-portkey-last-used-option-index"] == "config.targets[1]"
    lane.received[0].over.wait(5)
    again = product.call(config=config)

    assert again.headers["x-portkey-last-used-option-index"] == "config.targets[0]"
    assert "late" not in again.text


# --- All of them -------------------------------------------------------------------------------------------------------


def test_when_all_are_down_the_last_real_error_comes_with_the_list_of_tries(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    lane.will(status(503, "Down for repair."))
    other_lane.will(status(500, "Broken."))
    opens = {"failure_threshold": 1, "cooldown_interval": 30_000}
    targets = [{"virtual_key": virtual_key}, {"virtual_key": other_key, "cb_config": opens}]
    config = json.dumps({"strategy": {"mode": "fallback"}, "strict_open_ai_compliance": False, "targets": targets})

    first = product.call(config=config)

    assert (first.status_code, first.json()["error"]["message"]) == (500, "openai error: Broken.")
    assert [(one["target"], one["status"]) for one in first.json()["attempts"]] == [
        ("config.targets[0]", 503),
        ("config.targets[1]", 500),
    ]
    second = product.call(config=config)
    assert (second.status_code, second.json()["error"]["message"]) == (503, "openai error: Down for repair.")
    assert second.headers["x-portkey-last-used-option-index"] == "config.targets[0]"
    assert [(one["target"], one["status"]) for one in second.json()["attempts"]] == [
        ("config.targets[0]", 503),
        ("config.targets[1]", 503),
    ]
    assert second.json()["attempts"][1]["error"].startswith("breaker_open: ")
    strict = config.replace("false", "true")
    assert "attempts" not in product.call(config=strict).json()


def test_a_content_filter_is_routed_round_where_a_target_asks_for_it(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    lane.will(filtered())
    targets = [{"virtual_key": virtual_key}, {"virtual_key": other_key, "conditions": {"fallback_on": ["content_filter"]}}]
    config = json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})

    assert product.call(config=config).headers["x-portkey-last-used-option-index"] == "config.targets[1]"
    lane.will(status(400))
    assert product.call(config=config).status_code == 400


# --- Time for the whole call -------------------------------------------------------------------------------------------


def test_the_deadline_bounds_all_tries_together(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, other_key: str
) -> None:
    lane.will(hangs())
    other_lane.will(hangs())
    targets = [{"virtual_key": virtual_key, "request_timeout": 300}, {"virtual_key": other_key}]
    config = json.dumps({"deadline": 700, "strategy": {"mode": "fallback"}, "targets": targets})
    began = time.monotonic()

    answered = product.call(config=config)

    assert 0.6 < time.monotonic() - began < 2
    assert (answered.status_code, answered.json()["error"]["code"]) == (408, "deadline_exceeded")
    assert "700ms" in answered.json()["error"]["message"]
    assert (len(lane.received), len(other_lane.received)) == (1, 1)


def test_a_wait_beyond_the_deadline_is_not_begun(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(503))
    began = time.monotonic()

    answered = product.call(
        config=json.dumps({"deadline": "2s", "virtual_key": virtual_key, "retry": {"attempts": 3, "initial_delay_ms": 5000}})
    )

    assert time.monotonic() - began < 1
    assert (answered.status_code, answered.headers["x-portkey-retry-attempt-count"]) == (503, "-1")
    assert len(lane.received) == 1
