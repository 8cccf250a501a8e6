"""What the gateways' spools hold, told over Redis: workers may run on other machines and cannot look."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import orjson
import redis
from django.conf import settings

from analytics.spool import SpoolState

_KEY = "gatehouse:spools"
_TIMEOUT_S = 2.0
# Gateways tell it every 15 s; one that has been silent for longer than this is gone.
_FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """One gateway process's view: `used_bytes` is its whole machine's spool, `lost` counts its own records."""

    machine: str
    used_bytes: int
    lost: int


def announce(client: redis.Redis, process: str, state: SpoolState) -> None:
    """Raises `redis.RedisError`."""
    machine = socket.gethostname()
    told = {"machine": machine, "used_bytes": state.used_bytes, "lost": state.lost, "at": time.time()}
    client.hset(_KEY, f"{machine}:{process}", orjson.dumps(told))


def announced() -> list[Backlog]:
    """What the living gateways have told last; the dead ones' words are removed. Raises `redis.RedisError`."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S) as client:
        told = {name: orjson.loads(value) for name, value in client.hgetall(_KEY).items()}
        stale = [name for name, one in told.items() if time.time() - one["at"] > _FRESH_S]
        if stale:
            client.hdel(_KEY, *stale)
    return [Backlog(one["machine"], one["used_bytes"], one["lost"]) for name, one in sorted(told.items()) if name not in stale]
