"""A gateway that is told to stop: what is under way ends well, and nothing new is begun."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.e2e.product import CHAT, Product, new_trace
from tests.stack import Gatehouse, Servers


@pytest.fixture
def leaving(servers: Servers, tmp_path: Path) -> Iterator[Product]:
    """A product of its own, because its only gateway ends."""
    with (
        Gatehouse(tmp_path / "data", servers, env={"GATEHOUSE_REQUIRE_API_KEY": "true"}) as stack,
        closing(Product(stack)) as product,
    ):
        yield product


def test_a_stream_under_way_ends_whole_and_is_logged_when_the_gateway_is_told_to_stop(leaving: Product) -> None:
    trace_id = new_trace()
    headers = {"x-portkey-api-key": leaving.api_key, "x-portkey-provider": "mock", "x-portkey-trace-id": trace_id}
    body = {"model": "mock-chunks-12-100", "stream": True, "messages": [{"role": "user", "content": "Count."}]}
    with httpx.stream("POST", f"{leaving.url}{CHAT}", json=body, headers=headers, timeout=30) as response:
        lines = response.iter_lines()
        first = next(lines)
        leaving.stack.kill("gateway.1", signal.SIGTERM)
        events = [first, *lines]

    assert events[-2] == "data: [DONE]"
    leaving.stack.restart("gateway.1")
    leaving.stack.wait_ready()
    record = leaving.record(trace_id)
    assert (record["status"], record["cancelled"]) == (200, False)
