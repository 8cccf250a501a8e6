"""What tests/stack.py promises to the other tests."""

from __future__ import annotations

import urllib.request

import pytest
import redis

from gateway_project.embedded.readiness import probe
from tests.stack import EmbeddedServers, Gatehouse, wait_until


def test_the_product_starts_dies_and_comes_back(short_dir, servers):
    with Gatehouse(short_dir / "product", servers, gateways=2) as gatehouse:
        assert gatehouse.api_key.startswith("gh-")
        request = urllib.request.Request(f"{gatehouse.url}/v1/models", headers={"x-portkey-api-key": gatehouse.api_key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        first = gatehouse.pid("gateway.1")
        gatehouse.kill("gateway.1")
        gatehouse.kill("gateway.2")
        assert not probe(gatehouse.url, seconds=0.2).ready
        gatehouse.restart("gateway.1")
        gatehouse.wait_ready()
        assert gatehouse.pid("gateway.1") != first


def test_servers_can_be_killed_and_paused(short_dir):
    with (
        EmbeddedServers(short_dir / "servers") as servers,
        redis.Redis.from_url(servers.redis_url, socket_timeout=0.2) as client,
    ):
        client.set("a", "1")
        servers.pause("valkey")
        with pytest.raises(redis.TimeoutError):
            client.get("a")
        servers.resume("valkey")
        wait_until(lambda: client.get("a") == b"1", "valkey does not answer again")
        servers.kill("valkey")
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        servers.restart("valkey")
        assert client.get("a") == b"1"


def test_each_product_has_its_own_place(servers):
    assert servers.new_redis_url() != servers.new_redis_url()
    assert "/one?" in servers.new_database_url("one")
