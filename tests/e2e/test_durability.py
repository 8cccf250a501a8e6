"""Whatever dies under load: each call that was answered to its end is in the log exactly once, and none is there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.load import Load
from tests.e2e.product import HELLO, Product, new_trace
from tests.stack import EmbeddedServers, wait_until

pytestmark = pytest.mark.xdist_group("cluster")
# Calls before the fault, during it and after it.
PHASE = 120


def start_again_what_ended(product: Product) -> None:
    """As the supervisor does. A Celery worker may end itself where it loses its broker with tasks at work."""
    for name in ("worker", "beat"):
        if not product.running(name):
            product.stack.restart(name)


def assert_each_is_logged_once(product: Product, load: Load, meanwhile: Callable[[], None] = lambda: None) -> None:
    logged: Counter[str] = Counter()

    def complete() -> bool:
        meanwhile()
        logged.clear()
        logged.update(row["trace_id"] for row in product.logs({"metadata.run": load.run}))
        return load.answered <= logged.keys()

    try:
        wait_until(complete, f"of {len(load.answered)} answered calls some are missing in run {load.run}", seconds=60)
    except AssertionError as error:
        missing, worker = load.answered - logged.keys(), "\n".join(product.stack.tail("worker"))
        raise AssertionError(f"{error}: {len(missing)} records; the worker's last words:\n{worker}") from None
    assert [trace_id for trace_id, count in logged.items() if count > 1] == []


def survive(load: Load, kill: Callable[[], None], restart: Callable[[], None]) -> None:
    load.wait_for_more(PHASE)
    kill()
    load.wait_for_more(PHASE)
    restart()
    load.wait_for_more(PHASE)


@pytest.mark.parametrize("name", ["gateway.1", "gateway.2", "worker", "beat"])
def test_no_call_is_lost_when_a_process_of_ours_dies(cluster: Product, name: str) -> None:
    with Load(cluster) as load:
        survive(load, lambda: cluster.stack.kill(name), lambda: cluster.stack.restart(name))

    assert load.statuses == {200}
    assert_each_is_logged_once(cluster, load)


@pytest.mark.parametrize("name", ["valkey", "postgres"])
def test_no_call_is_lost_when_a_server_dies(cluster: Product, own_servers: EmbeddedServers, name: str) -> None:
    with Load(cluster) as load:
        survive(load, lambda: own_servers.kill(name), lambda: own_servers.restart(name))

    assert load.statuses == {200}
    assert_each_is_logged_once(cluster, load, meanwhile=lambda: start_again_what_ended(cluster))


def test_no_call_is_lost_when_worker_and_gateway_die_together(cluster: Product) -> None:
    with Load(cluster) as load:
        load.wait_for_more(PHASE)
        for name in ("worker", "gateway.1"):
            cluster.stack.kill(name)
        load.wait_for_more(PHASE)
        cluster.stack.kill("gateway.2")
        for name in ("gateway.1", "gateway.2", "worker"):
            cluster.stack.restart(name)
        load.wait_for_more(PHASE)

    assert_each_is_logged_once(cluster, load)


def test_the_gateway_serves_from_memory_while_the_database_is_away(cluster: Product, own_servers: EmbeddedServers) -> None:
    own_servers.kill("postgres")
    trace_id = new_trace()
    try:
        answered = cluster.call({**HELLO, "model": "mock"}, virtual_key="mock", trace_id=trace_id)
        assert answered.status_code == 200
    finally:
        own_servers.restart("postgres")

    assert cluster.record(trace_id)["status"] == 200
