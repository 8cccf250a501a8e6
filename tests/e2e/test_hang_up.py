"""Callers who hang up: the call upstream ends with them, and what was used is still recorded."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import openai
import pytest

from tests.e2e.product import CHAT, HELLO, Product, new_trace
from tests.fakes import Lane, answer, hangs, stall, status
from tests.stack import wait_until

Client = Callable[..., openai.OpenAI]
SOON_S = 2.0


@contextmanager
def calling(product: Product, virtual_key: str, trace_id: str, **body: object) -> Iterator[socket.socket]:
    """A call whose answer is not read, on a bare connection that is closed at the end."""
    content = json.dumps({**HELLO, **body}).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-portkey-api-key: {product.api_key}\r\n"
        f"x-portkey-virtual-key: {virtual_key}\r\nx-portkey-trace-id: {trace_id}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=10) as connection:
        connection.sendall(head.encode() + content)
        yield connection


def test_hanging_up_in_a_stream_ends_the_call_upstream(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=stall(4)))
    trace_id = new_trace()

    with calling(product, virtual_key, trace_id, stream=True) as connection:
        read = b""
        while b" the" not in read and b" from" not in read:
            read += connection.recv(4096)

    assert lane.last.left.wait(SOON_S), "the provider still writes"
    record = product.record(trace_id)
    assert record["cancelled"]
    assert record["estimated"]
    assert record["input_tokens"] > 0
    assert record["output_tokens"] >= 2
    assert record["cost_usd"] > 0
    assert record["status"] == 499


def test_leaving_the_sdks_stream_ends_the_call_upstream(
    product: Product, openai_client: Client, lane: Lane, virtual_key: str
) -> None:
    lane.will(answer(pause=0.5))
    trace_id = new_trace()

    client = openai_client(virtual_key=virtual_key, trace_id=trace_id)
    with client.chat.completions.create(**HELLO, stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break

    assert lane.last.left.wait(SOON_S)
    assert product.record(trace_id)["cancelled"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_hanging_up_before_the_answer_ends_the_call_upstream(
    product: Product, lane: Lane, virtual_key: str, stream: bool
) -> None:
    lane.will(hangs())
    trace_id = new_trace()

    with calling(product, virtual_key, trace_id, stream=stream):
        lane.wait_for(1)

    assert lane.last.left.wait(SOON_S)
    record = product.record(trace_id)
    assert record["cancelled"]
    assert record["status"] == 499
    assert [one["status"] for one in record["attempts"]] == [None]


def test_hanging_up_while_the_answers_body_comes_is_billed_by_estimate(product: Product, lane: Lane, virtual_key: str) -> None:
    """The provider was at work: it has read the prompt."""
    lane.will(answer(fault=stall(0)))
    trace_id = new_trace()

    with calling(product, virtual_key, trace_id, stream=True):
        lane.wait_for(1)
        wait_until(lambda: len(lane.received) == 1, "no call")

    assert lane.last.left.wait(SOON_S)
    assert product.record(trace_id)["cancelled"]


def test_hanging_up_ends_the_retries(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500))
    trace_id = new_trace()
    saved = product.config({"virtual_key": virtual_key, "retry": {"attempts": 5, "initial_delay_ms": 60_000}})
    content = json.dumps(HELLO).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-portkey-api-key: {product.api_key}\r\nx-portkey-config: {saved}\r\n"
        f"x-portkey-trace-id: {trace_id}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=10) as connection:
        connection.sendall(head.encode() + content)
        lane.wait_for(1)

    record = product.record(trace_id)
    assert record["cancelled"]
    assert len(lane.received) == 1


def test_a_complete_call_is_not_cancelled_by_the_closing_connection(product: Product, virtual_key: str) -> None:
    trace_id = new_trace()

    with calling(product, virtual_key, trace_id) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")

    record = product.record(trace_id)
    assert not record["cancelled"]
    assert not record["estimated"]
