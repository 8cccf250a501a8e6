"""Limits and the life of API keys: set through the admin REST API, met by calls."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.product import HELLO, Product, new_trace
from tests.fakes import Lane, answer, status
from tests.stack import wait_until
from tests.vendors import Content

MOCK: dict[str, Any] = {"model": "mock", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def _room_in_the_minute() -> None:
    """Windows are aligned to the clock, so a test that counts must not begin at the end of one."""
    wait_until(lambda: time.time() % 60 < 50, "the minute does not end", seconds=15)


def rate(kind: str, value: int, unit: str = "rpm") -> dict[str, Any]:
    return {"rate_limits": [{"type": kind, "unit": unit, "value": value}]}


def passes_soon(product: Product, key: str, virtual_key: str, body: dict[str, Any]) -> None:
    """Calls until the call passes: what the one before did not use is given back in the background."""
    wait_until(lambda: product.call(body, key=key, virtual_key=virtual_key).status_code == 200, "the tokens are not given back")


def test_requests_a_minute_are_counted_for_each_key(product: Product) -> None:
    _, key = product.new_key(**rate("requests", 3))
    trace_id = new_trace()

    assert [product.call(MOCK, key=key, virtual_key="mock").status_code for _ in range(3)] == [200] * 3
    refused = product.call(MOCK, key=key, virtual_key="mock", trace_id=trace_id)

    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert product.record(trace_id)["error_code"] == "rate_limit_exceeded"
    assert product.call(MOCK, virtual_key="mock").status_code == 200, "another key is held back too"


def test_a_limit_holds_against_callers_at_the_same_time(product: Product) -> None:
    _, key = product.new_key(**rate("requests", 10))

    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(
            pool.map(lambda _: product.call(MOCK, key=key, virtual_key="mock").status_code, range(40)),
        )

    assert statuses == {200: 10, 429: 30}


def test_tokens_are_reserved_before_the_call_and_settled_after_it(product: Product, lane: Lane, virtual_key: str) -> None:
    """The first call reserves its bound of 500 tokens and uses 28: what it did not use is there for the next."""
    _, key = product.new_key(**rate("tokens", 1000))
    body = {**HELLO, "max_tokens": 500}

    for _ in range(3):
        passes_soon(product, key, virtual_key, body)
    lane.will(answer(Content(prompt_tokens=600, completion_tokens=400)))
    passes_soon(product, key, virtual_key, body)

    def spent() -> bool:
        return product.call({**HELLO, "max_tokens": 1}, key=key, virtual_key=virtual_key).status_code == 429

    wait_until(spent, "the tokens that were used do not count")
    refused = product.call(body, key=key, virtual_key=virtual_key)
    assert refused.headers["x-ratelimit-limit-tokens"] == "1000"
    assert "retry-after" in refused.headers


def test_a_call_that_may_not_fit_is_refused_before_it_costs_anything(product: Product, lane: Lane, virtual_key: str) -> None:
    _, key = product.new_key(**rate("tokens", 100))

    assert product.call({**HELLO, "max_tokens": 5000}, key=key, virtual_key=virtual_key).status_code == 429
    assert lane.received == []


def test_a_failed_call_gives_its_tokens_back(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500), answer())
    _, key = product.new_key(**rate("tokens", 600))
    body = {**HELLO, "max_tokens": 500}

    assert product.call(body, key=key, virtual_key=virtual_key).status_code == 500
    wait_until(lambda: product.call(body, key=key, virtual_key=virtual_key).status_code == 200, "the tokens are not given back")


def test_a_budget_ends_with_412(product: Product, lane: Lane, virtual_key: str) -> None:
    """A million tokens of gpt-4o-mini cost 0.15 USD in and 0.60 USD out."""
    lane.will(answer(Content(prompt_tokens=1_000_000, completion_tokens=0)))
    _, key = product.new_key(usage_limits={"credit_limit": 0.2, "periodic_reset": "monthly"})
    statuses: list[int] = []

    def used_up() -> bool:
        statuses.append(product.call({**HELLO, "max_tokens": 10}, key=key, virtual_key=virtual_key).status_code)
        return statuses[-1] == 412

    wait_until(used_up, "the budget does not end")
    # Two calls pass: the first takes 0.15 of 0.20, and what the second will cost can only be guessed.
    assert set(statuses[:-1]) == {200}
    assert len(lane.received) == len(statuses) - 1
    assert 2 <= len(lane.received) <= 3
    refused = product.call(key=key, virtual_key=virtual_key)
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert "0.2 USD" in refused.json()["error"]["message"]


def test_a_virtual_keys_own_limit_falls_back_to_the_next_target(product: Product, lane: Lane) -> None:
    import json

    limited = product.virtual_key(lane.url, rate_limits=[{"type": "requests", "unit": "rpm", "value": 1}])
    config = json.dumps({"strategy": "fallback", "targets": [{"virtual_key": limited}, {"virtual_key": "mock"}]})

    used = [product.call(config=config).headers["x-portkey-provider"] for _ in range(3)]

    assert used == ["openai", "mock", "mock"]
    assert len(lane.received) == 1


def test_a_stream_is_settled_at_its_end(product: Product, lane: Lane, virtual_key: str) -> None:
    _, key = product.new_key(**rate("tokens", 600))

    for _ in range(3):
        passes_soon(product, key, virtual_key, {**HELLO, "max_tokens": 500, "stream": True})


# --- The life of a key -----------------------------------------------------------------------------------------------


def test_a_revoked_key_is_refused(product: Product) -> None:
    key_id, key = product.new_key()
    assert product.call(MOCK, key=key, virtual_key="mock").status_code == 200

    product.admin("PUT", f"/v1/api-keys/{key_id}", {"status": "revoked"})

    refused = product.call(MOCK, key=key, virtual_key="mock")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")


def test_an_expired_key_is_refused(product: Product) -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    _, key = product.new_key(expires_at=at.isoformat())

    def refusal() -> bool:
        answered = product.call(MOCK, key=key, virtual_key="mock")
        return answered.status_code == 401 and answered.json()["error"]["code"] == "expired_api_key"

    wait_until(refusal, "the key does not expire", seconds=5)
    assert dt.datetime.now(dt.UTC) >= at


def test_an_expired_virtual_key_is_refused(product: Product, lane: Lane) -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    virtual_key = product.virtual_key(lane.url, expires_at=at.isoformat())

    def refusal() -> bool:
        answered = product.call(virtual_key=virtual_key)
        return answered.status_code == 403 and answered.json()["error"]["code"] == "expired_virtual_key"

    wait_until(refusal, "the virtual key does not expire", seconds=5)


def test_a_key_without_the_scope_may_not_call_models(product: Product) -> None:
    _, key = product.new_key(scopes=["logs.list"])
    trace_id = new_trace()

    refused = product.call(MOCK, key=key, virtual_key="mock", trace_id=trace_id)

    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"
    assert product.record(trace_id)["status"] == 403


def test_a_keys_default_config_and_metadata_are_in_force(product: Product, lane: Lane, virtual_key: str) -> None:
    saved = product.config({"virtual_key": virtual_key, "override_params": {"model": "gpt-4o"}})
    _, key = product.new_key(defaults={"config_id": saved, "metadata": {"team": "blue", "stage": "test"}})
    trace_id = new_trace()

    product.call(key=key, headers={"x-portkey-metadata": '{"stage": "live"}'}, trace_id=trace_id)

    assert lane.last.json["model"] == "gpt-4o"
    record = product.record(trace_id)
    assert record["metadata"] == {"team": "blue", "stage": "live"}
    assert record["config_version"] == 1
