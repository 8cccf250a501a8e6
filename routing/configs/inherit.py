"""What a target takes from the levels above it (portkey-wire 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from routing.call import DEFAULT_RETRY_STATUSES, Breaker, Json, Pool, Retry, Timeouts

_NO_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class Level:
    """All that one level of a config says to the targets below it, with what the levels above say already in it."""

    default_params: Json = field(default_factory=dict)
    override_params: Json = field(default_factory=dict)
    drop_params: tuple[str, ...] = ()
    retry: Retry = _NO_RETRY
    timeout_ms: int | None = None
    timeouts: Json = field(default_factory=dict)
    breaker: Breaker | None = None
    pool: Json | None = None
    custom_host: str | None = None
    forward_headers: tuple[str, ...] = ()
    strict: bool = True
    drop_unsupported: bool = False

    def below(self, body: Json) -> Level:
        """The level of a node: parameters and time-outs are merged key by key, everything else is taken from the nearest."""
        retry, breaker = body.get("retry"), body.get("cb_config")
        drops = (*self.drop_params, *body.get("drop_params", ()))
        return Level(
            default_params={**self.default_params, **body.get("default_params", {})},
            override_params={**self.override_params, **body.get("override_params", {})},
            drop_params=tuple(dict.fromkeys(drops)),
            retry=self.retry if retry is None else _retry(retry),
            timeout_ms=body.get("request_timeout_ms") or self.timeout_ms,
            timeouts={**self.timeouts, **body.get("timeouts", {})},
            breaker=self.breaker if breaker is None else _breaker(breaker),
            pool=body.get("connection_pool") or self.pool,
            custom_host=body.get("custom_host") or self.custom_host,
            forward_headers=tuple(body.get("forward_headers") or self.forward_headers),
            strict=self.strict and body.get("strict_open_ai_compliance", True),
            drop_unsupported=body.get("drop_unsupported", self.drop_unsupported),
        )

    def times(self, attempt_ms: int | None) -> Timeouts:
        """The time-outs of a target; `attempt_ms` is the header's, which beats every level."""
        return Timeouts(attempt_ms=attempt_ms or self.timeout_ms, **self.timeouts)

    def pool_of(self, provider: str) -> Pool | None:
        """The bound on calls to a provider, by its id."""
        if self.pool is None:
            return None
        own: Json = self.pool.get("provider_specific", {}).get(provider, {})
        most = own.get("max_connections", self.pool.get("max_size"))
        if most is None:
            return None
        wait_ms: Any = own.get("acquire_timeout_ms", self.pool.get("acquire_timeout_ms"))
        return Pool(most) if wait_ms is None else Pool(most, wait_ms)


def _retry(raw: Json) -> Retry:
    return Retry(
        attempts=raw["attempts"],
        on_status_codes=frozenset(raw.get("on_status_codes", DEFAULT_RETRY_STATUSES)),
        initial_delay_ms=raw.get("initial_delay_ms", _NO_RETRY.initial_delay_ms),
        backoff_factor=raw.get("backoff_factor", _NO_RETRY.backoff_factor),
        max_delay_ms=raw.get("max_delay_ms", _NO_RETRY.max_delay_ms),
        use_retry_after=raw.get("use_retry_after_header", False),
    )


def _breaker(raw: Json) -> Breaker:
    given: Json = {name: raw[name] for name in ("failure_threshold", "failure_threshold_percentage") if name in raw}
    if "minimum_requests" in raw:
        given["minimum_requests"] = raw["minimum_requests"]
    if "cooldown_interval" in raw:
        given["cooldown_ms"] = raw["cooldown_interval"]
    return Breaker(**given, failure_status_codes=frozenset(raw.get("failure_status_codes", ())))
