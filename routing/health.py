"""What is known of targets at this moment: breakers, measurements and prices, as strategies ask for them.

A target is known by its workspace, its virtual key or else its provider with the caller's own key, its base URL and options,
and the model that its config names: what fails for one customer, key or model may work for the next. Targets whose configs set
the breaker differently count apart.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import orjson
import redis

from routing import metering
from routing.breakers import INDEX, Breakers, Subject, probe_key, state_key
from routing.call import Breaker, Call, Target
from routing.measures import Measures

if TYPE_CHECKING:
    from analytics.prices import Prices


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A breaker that is open, for people. Times are seconds since 1970; after `until`, the next call is the probe."""

    id: str
    workspace_id: str
    provider: str
    host: str
    model: str | None
    virtual_key_id: str | None
    since: float
    until: float
    failures: int
    is_probing: bool

    @property
    def state(self) -> str:
        return "half-open" if self.is_probing or self.until <= time.time() else "open"


def states(redis_url: str) -> list[OpenBreaker]:
    """The open breakers of all workspaces, oldest first. Raises `redis.RedisError`."""
    with redis.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1) as client:
        ids = [raw.decode() for raw in client.zrange(INDEX, 0, -1)]
        with client.pipeline(transaction=False) as pipe:
            for subject_id in ids:
                pipe.hgetall(state_key(subject_id))
                pipe.exists(probe_key(subject_id))
            found = pipe.execute()
    opened = [_open(subject_id, found[2 * place], bool(found[2 * place + 1])) for place, subject_id in enumerate(ids)]
    return sorted((one for one in opened if one is not None), key=lambda one: one.since)


def _open(subject_id: str, kept: Mapping[bytes, bytes], is_probing: bool) -> OpenBreaker | None:
    if b"until" not in kept:
        return None  # forgotten
    label = orjson.loads(kept[b"label"])
    return OpenBreaker(
        id=subject_id,
        **label,
        since=int(kept[b"since"]) / 1000,
        until=int(kept[b"until"]) / 1000,
        failures=int(kept[b"failures"]),
        is_probing=is_probing,
    )


def subject(workspace_id: str, target: Target) -> Subject:
    """Whom a breaker and a measurement are about."""
    options = tuple(sorted((name, str(value)) for name, value in target.options.items())) if target.options else ()
    own_key = None if target.virtual_key_id else target.api_key
    whom = _Whom(workspace_id, target.provider.id, target.virtual_key_id, target.base_url, own_key, target.model, options)
    return _subject(whom, target.breaker)


class _Whom(NamedTuple):
    workspace_id: str
    provider: str
    virtual_key_id: str | None
    base_url: str
    own_key: str | None
    model: str | None
    options: tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def _subject(whom: _Whom, breaker: Breaker | None) -> Subject:
    rules: tuple[Any, ...] = ()
    if breaker is not None:
        rules = (breaker.failure_threshold, breaker.failure_threshold_percentage, breaker.minimum_requests)
        rules += (breaker.cooldown_ms, tuple(sorted(breaker.failure_status_codes)))
    # The digest is made of a credential too, but nobody gets that out of it.
    digest = hashlib.blake2b(repr((tuple(whom), rules)).encode(), digest_size=12)
    label = {
        "workspace_id": whom.workspace_id,
        "provider": whom.provider,
        "host": urlsplit(whom.base_url).hostname or "",
        "model": whom.model,
        "virtual_key_id": whom.virtual_key_id,
    }
    return Subject(digest.hexdigest(), orjson.dumps(label).decode())


class Health:
    """What a gateway process knows of all targets."""

    def __init__(self, breakers: Breakers, prices: Prices) -> None:
        self.breakers = breakers
        self.measures = Measures()
        self._prices = prices

    def seen_by(self, workspace_id: str, *, streams: bool) -> View:
        return View(self, workspace_id, streams=streams)

    def cost_nano(self, target: Target, call: Call) -> int | None:
        return metering.expected_cost_nano(call, target, self._prices)


class View:
    """Health as one call of a workspace sees it: what `strategies.Live` asks for."""

    __slots__ = ("_health", "_streams", "_workspace_id")

    def __init__(self, health: Health, workspace_id: str, *, streams: bool) -> None:
        self._health = health
        self._workspace_id = workspace_id
        self._streams = streams

    def open_for_s(self, target: Target) -> float | None:
        return self._health.breakers.open_for_s(subject(self._workspace_id, target))

    def latency_ms(self, target: Target) -> float | None:
        return self._health.measures.latency_ms(self.name(target))

    def busy(self, target: Target) -> int:
        return self._health.measures.busy(self.name(target))

    def cost_nano(self, target: Target, call: Call) -> int | None:
        return self._health.cost_nano(target, call)

    def name(self, target: Target) -> str:
        """Under which a target is measured: a stream begins sooner than a whole answer is there."""
        return subject(self._workspace_id, target).id + ("/stream" if self._streams else "")
