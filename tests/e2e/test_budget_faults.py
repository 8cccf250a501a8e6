"""Limits hold when much comes at once and when processes and servers die: four gateways on servers of their own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests import environment
from tests.e2e.product import HELLO, Product
from tests.fakes import Lane, Turn, answer
from tests.stack import EmbeddedServers, Gatehouse, wait_until
from tests.vendors import Content

LEASE_S = 3
CALLS = 500
PAID_FOR = 100
# What each call is known to cost in advance: its answer is as long as its bound, and its prompt as its estimate.
BODY: dict[str, Any] = {**HELLO, "max_tokens": 500}


@pytest.fixture(scope="module")
def four(own_servers: EmbeddedServers) -> Iterator[Product]:
    env = {
        "GATEHOUSE_REQUIRE_API_KEY": "true",
        "GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1",
        "GATEHOUSE_LIMITS_FAIL": "closed",
        "GATEHOUSE_LIMITS_LEASE_SECONDS": str(LEASE_S),
    }
    directory = environment.run_directory() / "four"
    with (
        Gatehouse(directory, own_servers, gateways=4, beat=True, env=env) as stack,
        closing(Product(stack, gateways=4)) as product,
    ):
        yield product


def storm(product: Product, key: str, virtual_key: str, count: int = CALLS) -> Counter[int]:
    """So many calls at the same time."""

    async def all_of_them() -> Counter[int]:
        headers = {"x-portkey-api-key": key, "x-portkey-virtual-key": virtual_key}
        statuses: Counter[int] = Counter()
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=64)) as client:

            async def one() -> None:
                answered = await client.post(f"{product.stack.url}/v1/chat/completions", json=BODY, headers=headers)
                statuses[answered.status_code] += 1

            await asyncio.gather(*(one() for _ in range(count)))
        return statuses

    return asyncio.run(all_of_them())


def _room_in_the_minute() -> None:
    wait_until(lambda: time.time() % 60 < 35, "the minute does not end", seconds=30)


def cost_of_one(product: Product, lane: Lane, virtual_key: str) -> float:
    """Makes estimate and truth of a call the same, and tells its price in USD."""
    lane.will(answer(Content(prompt_tokens=prompt_estimate(), completion_tokens=500)))
    return (prompt_estimate() * 0.15 + 500 * 0.60) / 1_000_000


def prompt_estimate() -> int:
    return len(httpx.Request("POST", "http://x", json=BODY).content) // 4


def test_a_budget_pays_for_no_more_than_it_has(four: Product, lane: Lane, own_servers: EmbeddedServers) -> None:
    virtual_key = four.virtual_key(lane.url)
    usd = round(PAID_FOR * cost_of_one(four, lane, virtual_key), 6)
    _, key = four.new_key(usage_limits={"credit_limit": usd})

    with ThreadPoolExecutor(1) as pool:
        storming = pool.submit(storm, four, key, virtual_key)
        lane.wait_for(PAID_FOR // 5)
        own_servers.kill("valkey")
        own_servers.restart("valkey")
        statuses = storming.result()
    assert set(statuses) <= {200, 412, 503}
    assert 0 < statuses[200] <= PAID_FOR
    assert len(lane.received) <= PAID_FOR


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_no_rate_lets_more_through_than_it_says(four: Product, lane: Lane, kind: str) -> None:
    virtual_key = four.virtual_key(lane.url)
    cost_of_one(four, lane, virtual_key)
    _room_in_the_minute()
    each = {"requests": 1, "tokens": prompt_estimate() + 500}[kind]
    _, key = four.new_key(rate_limits=[{"type": kind, "unit": "rpm", "value": PAID_FOR * each}])

    assert storm(four, key, virtual_key) == {200: PAID_FOR, 429: CALLS - PAID_FOR}


def test_no_more_calls_are_under_way_than_allowed(four: Product, lane: Lane) -> None:
    virtual_key = four.virtual_key(lane.url)
    at_once: list[int] = [0]
    most: list[int] = [0]
    straight = answer(delay=0.05)

    async def counted(turn: Turn) -> None:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        try:
            await straight(turn)
        finally:
            at_once[0] -= 1

    lane.will(counted)
    _, key = four.new_key(rate_limits=[{"type": "concurrency", "value": 5}])

    statuses = storm(four, key, virtual_key)
    assert set(statuses) == {200, 429}
    assert 1 <= most[0] <= 5
    wait_until(lambda: storm(four, key, virtual_key, 5) == {200: 5}, "the slots are not free again")


def test_what_a_killed_gateway_held_is_given_back(four: Product, lane: Lane) -> None:
    virtual_key = four.virtual_key(lane.url)
    lane.will(answer(delay=60), answer())
    _, key = four.new_key(rate_limits=[{"type": "concurrency", "value": 1}])
    gateways = [f"gateway.{number}" for number in range(1, 5)]

    def ask() -> int:
        headers = {"x-portkey-api-key": key, "x-portkey-virtual-key": virtual_key}
        try:
            return httpx.post(f"{four.stack.url}/v1/chat/completions", json=BODY, headers=headers, timeout=90).status_code
        except httpx.HTTPError:
            return 0

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask)
        lane.wait_for(1)
        assert ask() == 429
        for name in gateways:
            four.stack.kill(name)
        assert first.result() == 0
    for name in gateways:
        four.stack.restart(name)
    four.stack.wait_ready()

    wait_until(lambda: ask() == 200, "what the killed gateway held is not given back", seconds=4 * LEASE_S)
