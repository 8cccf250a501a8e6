"""The in-memory tables that the hot path reads: keys, virtual keys and configs of one moment.

A snapshot is never changed; a newer one replaces it whole, so no request sees half a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from keys.auth import Caller
from keys.limits import Limit
from keys.limits.bodies import NO_LIMITS, WorkspaceLimits
from routing.call import Json

if TYPE_CHECKING:
    from analytics.tariffs import Tariff
    from routing.plan import Plan

# Resolved plans are remembered per snapshot; past this many the memory is emptied and fills anew.
_PLANS_MAX = 4096


@dataclass(frozen=True, slots=True)
class VirtualKeyEntry:
    """A stored credential, decrypted. `options` are the provider's own settings beside the key."""

    id: str
    slug: str
    provider: str
    api_key: str | None
    custom_host: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    expires_at: float | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One version of a saved config, in its canonical form."""

    id: str
    slug: str
    version: int
    body: Json


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`version` is the database's counter; the keys of the tables are (workspace id, slug).

    `configs` holds the versions in force; `labels` names other ones by (config id, label). `histories` holds every version of a
    config by its id, number 1 first, as JSON text: most of them are never asked for. `retired` has the hashes of keys that were
    revoked, deleted or replaced and that do not show whose they are.
    """

    version: int
    default_workspace_id: str
    hash_key: Callable[[str], str]
    keys: Mapping[str, Caller] = field(default_factory=dict)
    virtual_keys: Mapping[tuple[str, str], VirtualKeyEntry] = field(default_factory=dict)
    configs: Mapping[tuple[str, str], ConfigEntry] = field(default_factory=dict)
    labels: Mapping[tuple[str, str], int] = field(default_factory=dict)
    histories: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    # A workspace's own prices, the decisive ones first.
    tariffs: Mapping[str, tuple[Tariff, ...]] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    workspace_limits: Mapping[str, WorkspaceLimits] = field(default_factory=dict)
    _plans: dict[object, Plan] = field(default_factory=dict)

    def find_key(self, raw: str) -> Caller | None:
        return self.keys.get(self.hash_key(raw))

    def knows_key(self, raw: str) -> bool:
        """Whether this is a key of the gateway, be it one that is no longer good."""
        hashed = self.hash_key(raw)
        return hashed in self.keys or hashed in self.retired

    def config(self, workspace_id: str, name: str) -> ConfigEntry | None:
        """A saved config by its slug: the version in force, or the one that ``slug@label`` or ``slug@3`` names."""
        slug, at, version = name.partition("@")
        entry = self.configs.get((workspace_id, slug))
        if entry is None or not at:
            return entry
        number = int(version) if version.isascii() and version.isdigit() else self.labels.get((entry.id, version), 0)
        history = self.histories.get(entry.id, ())
        if not 1 <= number <= len(history):
            return None
        return ConfigEntry(entry.id, slug, number, orjson.loads(history[number - 1]))

    def limits_of(self, workspace_id: str) -> WorkspaceLimits:
        return self.workspace_limits.get(workspace_id, NO_LIMITS)

    def plan(self, key: object) -> Plan | None:
        """A plan that was resolved against this very snapshot."""
        return self._plans.get(key)

    def remember(self, key: object, plan: Plan) -> Plan:
        if len(self._plans) >= _PLANS_MAX:
            self._plans.clear()
        self._plans[key] = plan
        return plan
