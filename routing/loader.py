"""From the database to the snapshot: the only bridge from the models to the hot path, on a thread of its own.

A write bumps the snapshot version in its own transaction and announces it over Redis. The announcement makes the change
visible within milliseconds; polling the version once a second heals an announcement that was lost.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import orjson
import redis
import structlog
from django.db import Error as DatabaseFault
from django.db import connection, transaction
from django.db.models import F, QuerySet
from redis.exceptions import RedisError

from analytics import price_queries
from keys import fences, hashing, provider_options, vault
from keys.auth import Caller
from keys.fences import Fence
from keys.limits import bodies
from keys.limits.bodies import WorkspaceLimits
from keys.models import ApiKey, RetiredKey, VirtualKey, Workspace
from routing.announce import CHANNEL
from routing.models import ConfigLabel, ConfigVersion, SnapshotVersion
from routing.snapshot import ConfigEntry, Snapshot, VirtualKeyEntry

POLL_S = 0.9
DEFAULT_WORKSPACE = "default"

# A row that another version wrote, or somebody by hand: it goes out of service alone, the gateway does not.
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, OverflowError)

Histories = Mapping[str, Sequence[bytes]]

log = structlog.get_logger(__name__)


def load(pepper: bytes, histories: Histories | None = None) -> Snapshot:
    """Everything, as of one moment. Raises django.db.Error.

    `histories` are those of the snapshot before: versions never change, so only what was saved since is read.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return Snapshot(
            version=SnapshotVersion.objects.get().number,
            default_workspace_id=_default_workspace(),
            hash_key=lambda raw: hashing.hash_key(raw, pepper),
            keys=dict(_keys(ApiKey.objects.filter(revoked_at=None))),
            retired=frozenset(RetiredKey.objects.values_list("key_hash", flat=True)),
            workspace_limits=dict(_workspace_limits(Workspace.objects.exclude(limits={}))),
            virtual_keys=dict(_virtual_keys(VirtualKey.objects.all())),
            tariffs=price_queries.tariffs(),
            **_configs(ConfigVersion.objects.all(), ConfigLabel.objects.all(), histories or {}),
        )


def load_workspace(workspace_id: str) -> Snapshot:
    """What calls of one workspace need, its API keys apart: for a dry run."""
    in_workspace = {"config__workspace_id": workspace_id}
    return Snapshot(
        version=0,
        default_workspace_id=workspace_id,
        hash_key=str,
        virtual_keys=dict(_virtual_keys(VirtualKey.objects.filter(workspace_id=workspace_id))),
        tariffs=price_queries.tariffs(workspace_id),
        **_configs(ConfigVersion.objects.filter(**in_workspace), ConfigLabel.objects.filter(**in_workspace), {}),
    )


class _Configs(TypedDict):
    """The tables of a snapshot that hold configs."""

    configs: dict[tuple[str, str], ConfigEntry]
    labels: dict[tuple[str, str], int]
    histories: Histories


def _configs(versions: QuerySet[ConfigVersion], labels: QuerySet[ConfigLabel], known: Histories) -> _Configs:
    in_force = list(versions.select_related("config").filter(number=F("config__version")))
    return {
        "configs": {(str(version.config.workspace_id), version.config.slug): _config(version) for version in in_force},
        "labels": {
            (str(config), name): number for config, name, number in labels.values_list("config_id", "name", "version__number")
        },
        "histories": _histories({str(version.config_id): version.number for version in in_force}, known),
    }


def _default_workspace() -> str:
    """Where calls of nobody are booked: the workspace `default`, else the oldest one."""
    workspace = Workspace.objects.filter(slug=DEFAULT_WORKSPACE).first() or Workspace.objects.order_by("created_at").first()
    return str(workspace.id) if workspace else ""


def _keys(rows: Iterable[ApiKey]) -> Iterable[tuple[str, Caller]]:
    for row in rows:
        try:
            caller = _caller(row)
            yield row.key_hash, caller
            if row.previous_hash and row.previous_until:
                until = min(row.previous_until.timestamp(), caller.expires_at or math.inf)
                yield row.previous_hash, dataclasses.replace(caller, expires_at=until)
        except UNREADABLE as error:
            log.error("an API key is unusable", key=str(row.id), workspace=str(row.workspace_id), reason=repr(error))


def _caller(key: ApiKey) -> Caller:
    defaults = key.defaults or {}
    return Caller(
        workspace_id=str(key.workspace_id),
        api_key_id=str(key.id),
        name=key.name,
        scopes=frozenset(key.scopes),
        limits=tuple(bodies.parse(f"key:{key.id}", f"API key {key.name!r}", key.rate_limits, key.usage_limits)),
        default_config=defaults.get("config_id"),
        metadata={name: str(value) for name, value in (defaults.get("metadata") or {}).items()},
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        fence=_fence(key),
        networks=tuple(map(fences.network, key.allowed_ips)),
    )


def _fence(key: ApiKey) -> Fence | None:
    """None for a key that is confined to nothing."""
    defaults = key.defaults or {}
    enforced = defaults["config_id"] if defaults.get("allow_config_override") is False else None
    fence = Fence(tuple(key.allowed_configs), tuple(key.allowed_virtual_keys), tuple(key.allowed_models), enforced)
    return None if fence == Fence() else fence


def _workspace_limits(rows: Iterable[Workspace]) -> Iterable[tuple[str, WorkspaceLimits]]:
    for row in rows:
        try:
            yield str(row.id), bodies.of_workspace(str(row.id), row.name, row.limits)
        except UNREADABLE as error:
            log.error("the limits of a workspace are unreadable", workspace=str(row.id), reason=repr(error))


def _virtual_keys(rows: Iterable[VirtualKey]) -> Iterable[tuple[tuple[str, str], VirtualKeyEntry]]:
    for row in rows:
        try:
            yield (str(row.workspace_id), row.slug), _virtual_key(row)
        except (vault.VaultError, *UNREADABLE) as error:
            log.error("a virtual key is unusable", slug=row.slug, workspace=str(row.workspace_id), reason=repr(error))


def _virtual_key(row: VirtualKey) -> VirtualKeyEntry:
    options: dict[str, Any] = {**row.options, **provider_options.secrets(row)}
    return VirtualKeyEntry(
        id=str(row.id),
        slug=row.slug,
        provider=row.provider,
        api_key=vault.decrypt(bytes(row.secret)) or None,
        custom_host=options.pop("custom_host", None),
        options=options,
        limits=tuple(bodies.parse(f"vkey:{row.id}", f"virtual key {row.slug!r}", row.rate_limits, row.usage_limits)),
        expires_at=row.expires_at.timestamp() if row.expires_at else None,
        paused=row.paused_at is not None,
    )


def _config(version: ConfigVersion) -> ConfigEntry:
    return ConfigEntry(str(version.config_id), version.config.slug, version.number, version.body)


def _histories(lengths: Mapping[str, int], known: Histories) -> Histories:
    """Every version of every config, by the config's id. `lengths` tells how many each has."""
    histories = {config: known[config] for config, length in lengths.items() if len(known.get(config, ())) == length}
    grown: dict[str, list[bytes]] = {config: [] for config in lengths if config not in histories}
    rows = ConfigVersion.objects.filter(config__in=list(grown)).order_by("config_id", "number").values_list("config_id", "body")
    for config, body in rows.iterator():
        grown[str(config)].append(orjson.dumps(body))
    return histories | grown


class SnapshotHolder:
    """Keeps `current` up to date until closed. `current` is None before the first load."""

    def __init__(self, redis_url: str, pepper: bytes) -> None:
        self.current: Snapshot | None = None
        self.loaded = threading.Event()
        # The monotonic time at which `current` was last known to be the newest.
        self.checked_at = time.monotonic()
        self._redis_url = redis_url
        self._pepper = pepper
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)

    @property
    def default_workspace_id(self) -> str:
        """Where calls of nobody are booked; empty before the first load."""
        return self.current.default_workspace_id if self.current else ""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=2 * POLL_S)

    def _run(self) -> None:
        client = redis.Redis.from_url(self._redis_url, socket_timeout=5, socket_connect_timeout=1)
        announcements = client.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        subscribed = False
        while not self._closing.is_set():
            self._refresh()
            try:
                if not subscribed:
                    announcements.subscribe(CHANNEL)
                    subscribed = True
                    continue  # something may have changed before the subscription stood
                announcements.get_message(timeout=POLL_S)
            except (RedisError, OSError) as error:
                if subscribed:
                    log.warning("announcements are cut off; polling only", error=type(error).__name__)
                subscribed = False
                self._closing.wait(POLL_S)
        connection.close()
        client.close()

    def _refresh(self) -> None:
        try:
            if self.current is None or self._stored_version() != self.current.version:
                self.current = load(self._pepper, self.current.histories if self.current else None)
                self.loaded.set()
            self.checked_at = time.monotonic()
        except (DatabaseFault, SnapshotVersion.DoesNotExist) as error:
            # The snapshot in memory goes on serving; /ready tells its age.
            log.error("the snapshot cannot be refreshed", error=str(error).partition("\n")[0])
            connection.close()

    def _stored_version(self) -> int:
        return SnapshotVersion.objects.values_list("number", flat=True).get()
