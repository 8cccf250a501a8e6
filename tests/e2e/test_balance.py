"""How calls are shared out, over two gateway processes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.e2e import rate
from tests.e2e.product import HELLO, Product

MOCK = {"virtual_key": "mock"}


def shares(
    product: Product, config: dict[str, object], *, count: int, metadata: dict[str, str] | None = None
) -> dict[str, float]:
    """What part of the calls each target has answered."""
    headers = {"x-portkey-api-key": product.api_key, "x-portkey-config": json.dumps(config)}
    if metadata is not None:
        headers["x-portkey-metadata"] = json.dumps(metadata)
    message = rate.request(product.url, {**HELLO, "model": "mock"}, headers)
    answers = rate.as_fast_as_they_go(product.url, message, count=count)
    assert {one.status for one in answers} == {200}
    used = Counter(one.headers["x-portkey-last-used-option-index"] for one in answers)
    return {path: number / count for path, number in used.items()}


def test_ten_thousand_calls_are_shared_by_weight(pair: Product) -> None:
    weights = {"config.targets[0]": 0.7, "config.targets[1]": 0.25, "config.targets[2]": 0.05}
    targets = [{**MOCK, "weight": weight} for weight in weights.values()]

    found = shares(pair, {"strategy": {"mode": "loadbalance"}, "targets": targets}, count=10_000)

    assert found == {path: pytest.approx(weight, abs=0.02) for path, weight in weights.items()}


def test_a_user_is_served_by_one_target_in_every_process(pair: Product) -> None:
    strategy = {"mode": "loadbalance", "sticky": {"enabled": True, "hash_fields": ["metadata.user"]}}
    config = {"strategy": strategy, "targets": [MOCK, MOCK, MOCK]}

    served = [shares(pair, config, count=40, metadata={"user": f"user-{number}"}) for number in range(12)]

    assert all(len(found) == 1 for found in served)
    assert len({next(iter(found)) for found in served}) > 1


def test_a_slow_target_is_left_for_a_fast_one(pair: Product) -> None:
    targets = [{**MOCK, "override_params": {"model": "mock-delay-150"}}, {**MOCK, "override_params": {"model": "mock"}}]

    found = shares(pair, {"strategy": {"mode": "least_latency"}, "targets": targets}, count=400)

    assert found["config.targets[1]"] > 0.9
    assert found["config.targets[0]"] > 0, "it was never tried"


def test_calls_go_where_least_is_under_way(pair: Product) -> None:
    """A target that is five times as slow gets far fewer of them."""
    targets = [
        {**MOCK, "override_params": {"model": "mock-delay-100"}},
        {**MOCK, "override_params": {"model": "mock-delay-20"}},
    ]

    found = shares(pair, {"strategy": {"mode": "least_busy"}, "targets": targets}, count=600)

    assert 0.05 < found["config.targets[0]"] < 0.4


def test_the_cheapest_target_is_used(pair: Product) -> None:
    openai = {"provider": "openai", "api_key": "sk-x", "custom_host": "http://127.0.0.1:9"}
    targets = [{**openai, "override_params": {"model": "gpt-4o"}}, MOCK]

    assert shares(pair, {"strategy": {"mode": "least_cost"}, "targets": targets}, count=20) == {"config.targets[1]": 1.0}
