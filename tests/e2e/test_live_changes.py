"""What is changed through the admin REST API is in force in every gateway process within a second, without a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
import redis

from tests.e2e.product import CHAT, HELLO, Product
from tests.stack import EmbeddedServers

pytestmark = pytest.mark.xdist_group("cluster")
MOCK = {**HELLO, "model": "mock"}


def through(door: httpx.Client, key: str, **headers: str) -> httpx.Response:
    named = {f"x-portkey-{name.replace('_', '-')}": value for name, value in headers.items()}
    return door.post(CHAT, json=MOCK, headers={"x-portkey-api-key": key, **named})


def seconds_until(condition: Callable[[httpx.Client], bool], doors: Sequence[httpx.Client], patience_s: float = 10) -> float:
    """How long it takes until the condition holds at every door."""
    began = time.monotonic()
    waiting = list(doors)
    while waiting and time.monotonic() - began < patience_s:
        waiting = [door for door in waiting if not condition(door)]
    assert not waiting, f"{len(waiting)} processes do not know of it"
    return time.monotonic() - began


def change(product: Product, method: str, path: str, body: Any = None) -> None:
    """A write that waits for no gateway."""
    headers = {"x-portkey-api-key": product.api_key}
    httpx.request(method, product.url + path, json=body, headers=headers).raise_for_status()


@pytest.mark.parametrize("index", [0, 1])
def test_the_doors_lead_to_different_processes(cluster: Product, index: int) -> None:
    """What the tests below rest on."""
    name = f"gateway.{index + 1}"
    with cluster.doors() as doors:
        cluster.stack.pause(name)
        try:
            with pytest.raises(httpx.ReadTimeout):
                doors[index].get("/health", timeout=0.3)
            doors[1 - index].get("/health", timeout=5).raise_for_status()
        finally:
            cluster.stack.resume(name)


def test_a_revoked_key_is_refused_by_every_process_within_a_second(cluster: Product) -> None:
    key_id, key = cluster.new_key()
    with cluster.doors() as doors:
        assert [through(door, key, virtual_key="mock").status_code for door in doors] == [200, 200]

        change(cluster, "PUT", f"/v1/api-keys/{key_id}", {"status": "revoked"})

        assert seconds_until(lambda door: through(door, key, virtual_key="mock").status_code == 401, doors) < 1


def test_a_saved_config_is_in_force_in_every_process_within_a_second(cluster: Product) -> None:
    saved = cluster.config({"virtual_key": "mock", "override_params": {"model": "mock-name-one"}})

    def models(door: httpx.Client) -> str:
        return str(through(door, cluster.api_key, config=saved).json()["model"])

    with cluster.doors() as doors:
        assert [models(door) for door in doors] == ["mock-name-one"] * 2

        new = {"config": {"virtual_key": "mock", "override_params": {"model": "mock-name-two"}}}
        change(cluster, "PUT", f"/v1/configs/{saved}", new)

        assert seconds_until(lambda door: models(door) == "mock-name-two", doors) < 1


def test_a_deleted_virtual_key_serves_nobody_within_a_second(cluster: Product) -> None:
    slug = cluster.virtual_key(None, "mock")
    with cluster.doors() as doors:
        assert [through(door, cluster.api_key, virtual_key=slug).status_code for door in doors] == [200, 200]

        change(cluster, "DELETE", f"/v1/virtual-keys/{slug}")

        assert seconds_until(lambda door: through(door, cluster.api_key, virtual_key=slug).status_code == 400, doors) < 1


def test_a_change_of_limits_is_in_force_at_once_and_counted_over_all_processes(cluster: Product) -> None:
    key_id, key = cluster.new_key()
    limits = {"rate_limits": [{"type": "requests", "unit": "rpd", "value": 6}]}
    change(cluster, "PUT", f"/v1/api-keys/{key_id}", limits)
    cluster.settle()

    with cluster.doors() as doors:
        statuses = [through(door, key, virtual_key="mock").status_code for _ in range(5) for door in doors]

    assert statuses == [200] * 6 + [429] * 4


def test_a_change_whose_announcement_is_lost_is_found_by_polling(cluster: Product) -> None:
    saved = cluster.config({"virtual_key": "mock", "override_params": {"model": "mock-name-one"}})
    with cluster.doors() as doors, redis.Redis.from_url(cluster.stack.env["REDIS_URL"]) as client:
        # Whoever listens is cut off, at the very moment of the change.
        client.client_kill_filter(_type="pubsub")
        new = {"config": {"virtual_key": "mock", "override_params": {"model": "mock-name-two"}}}
        change(cluster, "PUT", f"/v1/configs/{saved}", new)

        took = seconds_until(
            lambda door: through(door, cluster.api_key, config=saved).json()["model"] == "mock-name-two", doors
        )

    assert took < 2


def test_changes_reach_every_process_while_redis_is_away(cluster: Product, own_servers: EmbeddedServers) -> None:
    key_id, key = cluster.new_key()
    own_servers.kill("valkey")
    try:
        with cluster.doors() as doors:
            assert [through(door, key, virtual_key="mock").status_code for door in doors] == [200, 200]

            change(cluster, "PUT", f"/v1/api-keys/{key_id}", {"status": "revoked"})

            assert seconds_until(lambda door: through(door, key, virtual_key="mock").status_code == 401, doors) < 3
    finally:
        own_servers.restart("valkey")


def test_no_request_sees_half_of_a_change(cluster: Product) -> None:
    """A config that leads from one virtual key to another is asked for all the while it is being saved."""
    saved = cluster.config({"virtual_key": "mock", "override_params": {"model": "mock-name-v0"}})
    with cluster.doors() as doors:
        for version in range(1, 6):
            new = {"config": {"virtual_key": "mock", "override_params": {"model": f"mock-name-v{version}"}}}
            change(cluster, "PUT", f"/v1/configs/{saved}", new)
            for door in doors:
                answered = through(door, cluster.api_key, config=saved)
                assert answered.status_code == 200, answered.text
                assert answered.json()["model"] in {f"mock-name-v{number}" for number in range(version + 1)}
    assert cluster.admin("GET", f"/v1/configs/{saved}")["version"] == 6
