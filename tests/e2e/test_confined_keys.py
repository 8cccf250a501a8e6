"""What an API key is confined to, met by calls; and what becomes of a key that is replaced, paused or revoked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.product import Product
from tests.fakes import Lane

MOCK: dict[str, Any] = {"model": "mock", "messages": [{"role": "user", "content": "Hi"}]}


def refusal(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_a_key_reaches_the_models_on_its_list_and_no_others(product: Product) -> None:
    _, key = product.new_key(allowed_models=["mock", "gpt-4o*"])
    assert product.call(MOCK, key=key, virtual_key="mock").status_code == 200
    assert product.call({**MOCK, "model": "gpt-4o-mini"}, key=key, virtual_key="mock").status_code == 200
    assert product.call({**MOCK, "model": "@mock/gpt-4o"}, key=key).status_code == 200
    for body in (
        {**MOCK, "model": "o3"},
        {**MOCK, "model": "xgpt-4o"},
        {**MOCK, "model": "@mock/o3"},
        {**MOCK, "models": ["mock", "o3"]},
        {"messages": MOCK["messages"]},
    ):
        status, code, message = refusal(product.call(body, key=key, virtual_key=None if "@" in str(body) else "mock"))
        assert (status, code) == (403, "model_not_allowed"), body
        assert "It may use: mock, gpt-4o*." in message
    overridden = '{"virtual_key": "mock", "override_params": {"model": "o3"}}'
    assert refusal(product.call(MOCK, key=key, config=overridden))[1] == "model_not_allowed"


def test_a_fallback_leads_past_a_model_that_the_key_may_not_use(product: Product) -> None:
    _, key = product.new_key(allowed_models=["mock"])
    targets = [{"virtual_key": "mock", "override_params": {"model": "o3"}}, {"virtual_key": "mock"}]
    config = json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})
    answer = product.call(MOCK, key=key, config=config)
    assert (answer.status_code, answer.json()["model"]) == (200, "mock")


def test_a_key_reaches_the_virtual_keys_on_its_list_and_no_others(product: Product, lane: Lane) -> None:
    other = product.virtual_key(lane.url)
    _, key = product.new_key(allowed_virtual_keys=["mock"])
    assert product.call(MOCK, key=key, virtual_key="mock").status_code == 200
    own = {"x-portkey-provider": "openai", "authorization": "Bearer sk-own-key-0123456789"}
    for answer in (
        product.call(MOCK, key=key, virtual_key=other),
        product.call(MOCK, key=key, config=f'{{"virtual_key": "{other}"}}'),
        product.call(MOCK, own, key=key),
        product.call(MOCK, key=key, virtual_key="no-such-key"),
    ):
        status, code, message = refusal(answer)
        assert (status, code) == (403, "virtual_key_not_allowed")
        assert message.endswith("It may use: mock.")
    assert lane.received == []


def test_a_key_uses_the_configs_on_its_list_and_no_others(product: Product) -> None:
    allowed, other = (product.config({"virtual_key": "mock"}) for _ in range(2))
    _, key = product.new_key(allowed_configs=[allowed])
    assert product.call(MOCK, key=key, config=allowed).status_code == 200
    assert product.call(MOCK, key=key, config=f"{allowed}@1").status_code == 200
    for config in (other, '{"virtual_key": "mock"}', "pc-nowhere", None):
        status, code, message = refusal(product.call(MOCK, key=key, config=config, virtual_key="mock"))
        assert (status, code) == (403, "config_not_allowed")
        assert message.endswith(f"It may use: {allowed}.")


def test_an_enforced_config_is_used_and_no_other(product: Product) -> None:
    enforced = product.config({"virtual_key": "mock", "override_params": {"model": "chosen"}})
    other = product.config({"virtual_key": "mock"})
    _, key = product.new_key(defaults={"config_id": enforced, "allow_config_override": False})
    assert product.call(MOCK, key=key).json()["model"] == "chosen"
    assert product.call(MOCK, key=key, config=enforced).json()["model"] == "chosen"
    for config in (other, '{"virtual_key": "mock"}', "{}", f"{enforced}@1"):
        assert refusal(product.call(MOCK, key=key, config=config))[:2] == (403, "config_enforced"), config


@pytest.mark.parametrize("networks", [["127.0.0.0/8"], ["203.0.113.7", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_key_works_from_its_networks(product: Product, networks: list[str]) -> None:
    _, key = product.new_key(allowed_ips=networks)
    assert product.call(MOCK, key=key, virtual_key="mock").status_code == 200


def test_a_key_does_not_work_from_elsewhere_whatever_a_caller_says_of_itself(product: Product) -> None:
    _, key = product.new_key(allowed_ips=["203.0.113.0/24", "2001:db8::/32"], scopes=["completions.write", "configs.list"])
    for said in ({}, {"x-forwarded-for": "203.0.113.7"}, {"forwarded": "for=203.0.113.7"}, {"x-real-ip": "203.0.113.7"}):
        status, code, message = refusal(product.call(MOCK, said, key=key, virtual_key="mock"))
        assert (status, code) == (403, "address_not_allowed")
        assert "127.0.0.1" in message
        assert "203.0.113" not in message, "a stranger is told where to call from"
        assert refusal(product.call(path="/v1/configs", method="GET", headers=said, key=key))[1] == "address_not_allowed"


def test_a_replaced_key_works_until_its_overlap_is_over(product: Product) -> None:
    key_id, old = product.new_key()
    rotated = product.admin("POST", f"/v1/api-keys/{key_id}/rotate", {"key_transition_period_ms": 3_600_000})
    new = rotated["key"]
    assert rotated["key_transition_expires_at"].endswith("Z")
    assert [product.call(MOCK, key=key, virtual_key="mock").status_code for key in (old, new)] == [200, 200]
    newest = product.admin("POST", f"/v1/api-keys/{key_id}/rotate", {"key_transition_period_ms": 0})["key"]
    statuses = [product.call(MOCK, key=key, virtual_key="mock").status_code for key in (old, new, newest)]
    assert statuses == [401, 401, 200]


def test_a_paused_virtual_key_serves_nobody_until_it_is_resumed(product: Product, lane: Lane) -> None:
    slug = product.virtual_key(lane.url)
    product.admin("PUT", f"/v1/virtual-keys/{slug}", {"paused": True})
    assert product.admin("GET", f"/v1/virtual-keys/{slug}")["status"] == "paused"
    assert refusal(product.call(MOCK, virtual_key=slug))[:2] == (403, "paused_virtual_key")
    fallback = f'{{"strategy": {{"mode": "fallback"}}, "targets": [{{"virtual_key": "{slug}"}}, {{"virtual_key": "mock"}}]}}'
    assert product.call(MOCK, config=fallback).status_code == 200
    assert lane.received == []
    product.admin("PUT", f"/v1/virtual-keys/{slug}", {"paused": False})
    assert product.call(virtual_key=slug).status_code == 200
