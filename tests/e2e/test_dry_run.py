"""The dry run of the running product says what the next call does: same targets, same order, same breakers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.product import HELLO, Product
from tests.fakes import Lane, answer, status
from tests.stack import wait_until

USED = "x-portkey-last-used-option-index"


def _dry(product: Product, slug: str, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = product.admin("POST", f"/v1/configs/{slug}/dry-run", {"request": {"body": HELLO, **request}})
    return found


def _first(found: dict[str, Any]) -> str:
    return next(str(target["path"]) for target in found["targets"] if target["order"] == 1)


def test_a_broken_target_is_left_alone_by_both(product: Product, lane: Lane, other_lane: Lane) -> None:
    lane.will(status(500))
    broken, good = product.virtual_key(lane.url), product.virtual_key(other_lane.url)
    guarded = {"virtual_key": broken, "cb_config": {"failure_threshold": 2, "cooldown_interval": 60_000}}
    slug = product.config({"strategy": {"mode": "fallback"}, "targets": [guarded, {"virtual_key": good}]})
    assert _first(_dry(product, slug)) == "config.targets[0]"

    for _ in range(2):
        assert product.call(config=slug).headers[USED] == "config.targets[1]"
    wait_until(lambda: _dry(product, slug)["targets"][0]["skipped"], "the dry run does not see the open breaker")

    found = _dry(product, slug)
    assert found["targets"][0]["skipped"]["rule"] == "breaker"
    assert 0 < found["targets"][0]["skipped"]["wait_s"] <= 60
    asked = len(lane.received)
    assert product.call(config=slug).headers[USED] == _first(found) == "config.targets[1]"
    assert len(lane.received) == asked


def test_it_asks_no_provider_and_takes_nothing_from_limits(product: Product, lane: Lane) -> None:
    limited = [{"type": "requests", "unit": "rpd", "value": 1}]
    slug = product.config({"virtual_key": product.virtual_key(lane.url, rate_limits=limited)})
    for _ in range(3):
        assert _dry(product, slug)["targets"][0]["refused"] is None
    assert lane.received == []
    assert product.call(config=slug).status_code == 200


@pytest.mark.parametrize("plan", ["free", "paid", None])
def test_conditions_lead_both_to_the_same_target_with_the_same_body(
    product: Product, lane: Lane, other_lane: Lane, plan: str | None
) -> None:
    slug = product.config(
        {
            "strategy": {
                "mode": "conditional",
                "conditions": [{"query": {"metadata.user_plan": {"$eq": "paid"}}, "then": "premium"}],
                "default": "standard",
            },
            "targets": [
                {"name": "premium", "virtual_key": product.virtual_key(lane.url), "override_params": {"model": "gpt-4o"}},
                {"name": "standard", "virtual_key": product.virtual_key(other_lane.url), "override_params": {"top_p": 0.5}},
            ],
        }
    )
    metadata = {"user_plan": plan} if plan else {}
    found = _dry(product, slug, metadata=metadata)
    lane.will(answer())
    called = product.call(config=slug, headers={"x-portkey-metadata": json.dumps(metadata)})
    assert called.headers[USED] == _first(found)
    sent = (lane if plan == "paid" else other_lane).last.json
    assert found["targets"][0]["request"] == sent
    assert found["targets"][0]["model"] == sent["model"]
