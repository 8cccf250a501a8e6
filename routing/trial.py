"""A dry run against the database and the breakers as they are now, for the admin API and the console."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from analytics.prices import Prices
from keys.audit import Actor
from keys.auth import Caller
from keys.models import ApiKey, Workspace
from routing import dry_run, health, metering
from routing.call import Call, Json, Target
from routing.errors import GatewayError
from routing.health import OpenBreaker
from routing.loader import load_workspace
from routing.plan import resolve

log = structlog.get_logger(__name__)


def run(workspace: Workspace, actor: Actor, config: Any, request: Any) -> Json:
    """The dry run of a request. Raises `GatewayError` for what the call itself would be refused with before its targets."""
    caller = _caller(workspace, actor)
    call = dry_run.read_request(request, config, caller)
    known = breakers(workspace)
    live = _Now(str(workspace.pk), {one.id: one for one in known or ()})
    found = dry_run.run(call, caller, load_workspace(str(workspace.pk)), live)
    return {**found, "breakers_known": known is not None}


def breakers(workspace: Workspace) -> list[OpenBreaker] | None:
    """The open breakers of a workspace; None where Redis, which knows them, does not answer."""
    try:
        return [one for one in health.states(settings.REDIS_URL) if one.workspace_id == str(workspace.pk)]
    except RedisError as error:
        log.warning("the breakers cannot be asked for", error=type(error).__name__)
        return None


def left_alone(workspace: Workspace, actor: Actor, slug: str) -> list[tuple[Target, OpenBreaker]] | None:
    """The targets of a saved config whose breakers are open; None where Redis does not answer."""
    known = breakers(workspace)
    if not known:
        return None if known is None else []
    opened = {one.id: one for one in known}
    try:
        plan = resolve({"x-portkey-config": slug}, _caller(workspace, actor), None, load_workspace(str(workspace.pk)))
    except GatewayError:
        return []  # its targets come with each call, or it cannot be used at all
    found = ((target, opened.get(health.subject(str(workspace.pk), target).id)) for target in dry_run.targets(plan))
    return [(target, breaker) for target, breaker in found if breaker is not None]


def _caller(workspace: Workspace, actor: Actor) -> Caller:
    default, metadata = None, {}
    if isinstance(actor, ApiKey):
        defaults = actor.defaults or {}
        default = defaults.get("config_id")
        metadata = {name: str(value) for name, value in (defaults.get("metadata") or {}).items()}
    return Caller(str(workspace.pk), api_key_id="dry-run", default_config=default, metadata=metadata)


class _Now:
    """What `strategies.Live` asks for. How fast a target is and how busy is known to each gateway process alone."""

    def __init__(self, workspace_id: str, opened: Mapping[str, OpenBreaker]) -> None:
        self._workspace_id = workspace_id
        self._opened = opened

    def open_for_s(self, target: Target) -> float | None:
        opened = self._opened.get(health.subject(self._workspace_id, target).id)
        if opened is None:
            return None
        left_s = opened.until - time.time()
        return left_s if left_s > 0 else None  # the next call is the probe

    def latency_ms(self, target: Target) -> float | None:
        return None

    def busy(self, target: Target) -> int:
        return 0

    def cost_nano(self, target: Target, call: Call) -> int | None:
        return metering.expected_cost_nano(call, target, _prices())


@lru_cache(maxsize=1)
def _prices() -> Prices:
    return Prices()
