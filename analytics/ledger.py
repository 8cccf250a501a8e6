"""What the roll-ups say each limit has counted since the start of its window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from keys.limits import bodies
from keys.limits.bodies import ANY, WorkspaceLimits
from keys.limits.windows import Limit, Period, window
from keys.models import ApiKey, VirtualKey, Workspace
from routing.loader import UNREADABLE
from routing.models import ConfigVersion
from routing.plan import budgets
from routing.snapshot import ConfigEntry

_TOKENS: Final = (
    "input_tokens + cache_read_tokens + cache_write_tokens + audio_input_tokens"
    " + output_tokens + reasoning_tokens + audio_output_tokens"
)
_COLUMNS: Final = f"api_key_id, virtual_key_id, config_id, model, provider, calls, {_TOKENS} AS tokens, cost_usd"
# Whole hours come from the sums by hour, the rest of the first one from those by minute. A call that was refused before it had
# a target has no provider, and was not counted.
_SUMS: Final = f"""
WITH calls AS (
  SELECT {_COLUMNS} FROM analytics_rolluphour WHERE workspace_id = %(workspace)s AND bucket >= %(hour)s
  UNION ALL
  SELECT {_COLUMNS} FROM analytics_rollupminute
   WHERE workspace_id = %(workspace)s AND bucket >= %(start)s AND bucket < %(hour)s
)
SELECT CASE grouping(api_key_id, virtual_key_id, config_id, model)
         WHEN 7 THEN 'key' WHEN 11 THEN 'vkey' WHEN 13 THEN 'config' WHEN 14 THEN 'model' ELSE 'workspace' END,
       coalesce(api_key_id::text, virtual_key_id::text, config_id::text, model, ''),
       coalesce(sum(calls) FILTER (WHERE provider <> ''), 0)::bigint,
       coalesce(sum(tokens), 0)::bigint,
       coalesce(sum(cost_usd), 0)
  FROM calls
 GROUP BY GROUPING SETS ((api_key_id), (virtual_key_id), (config_id), (model), ())
"""  # noqa: S608 - all parts are constants
_METADATA: Final = """
SELECT key, value, sum(calls)::bigint, sum(tokens)::bigint, sum(cost_usd) FROM analytics_rollupmetadata
 WHERE workspace_id = %(workspace)s AND key = ANY(%(keys)s) AND bucket >= %(start)s GROUP BY key, value
"""


@dataclass(frozen=True, slots=True)
class Sums:
    calls: int = 0
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)


_NOTHING: Final = Sums()


class Ledger:
    """The sums of one workspace by owner, read once for each start that is asked for."""

    def __init__(self, workspace_id: str) -> None:
        self._workspace_id = workspace_id
        self._by_start: dict[int, dict[tuple[str, str], Sums]] = {}
        self._metadata: dict[int, dict[tuple[str, str], Sums]] = {}
        self._keys: list[str] = []

    def sums(self, limit: Limit, start: int) -> Sums | None:
        """Since `start`, in seconds since 1970. None where the ledger has no sums of such a kind."""
        kind, _, name = limit.owner.partition(":")
        if kind == "metadata":
            if limit.period is Period.MINUTE:
                return None
            key, _, value = limit.named.partition("=")
            return self.metadata(start, [key]).get((key, value), _NOTHING)
        if kind == "model":
            name = limit.named
        return self.owners(start).get((kind, "" if kind == "workspace" else name), _NOTHING)

    def models(self, start: int) -> list[str]:
        """The models that were asked for."""
        return [name for kind, name in self.owners(start) if kind == "model" and name]

    def owners(self, start: int) -> Mapping[tuple[str, str], Sums]:
        if start not in self._by_start:
            moment, hour = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (start, -(-start // 3600) * 3600))
            rows = _rows(_SUMS, {"workspace": self._workspace_id, "start": moment, "hour": hour})
            self._by_start[start] = {(kind, name): Sums(*numbers) for kind, name, *numbers in rows}
        return self._by_start[start]

    def metadata(self, start: int, keys: list[str]) -> Mapping[tuple[str, str], Sums]:
        if not set(keys) <= set(self._keys):
            self._keys = sorted({*self._keys, *keys})
            self._metadata.clear()
        if start not in self._metadata:
            moment = dt.datetime.fromtimestamp(start // 3600 * 3600, dt.UTC)
            rows = _rows(_METADATA, {"workspace": self._workspace_id, "start": moment, "keys": self._keys})
            self._metadata[start] = {(key, value): Sums(*numbers) for key, value, *numbers in rows}
        return self._metadata[start]


def is_known(workspace_id: str) -> bool:
    """Whether any call of the workspace is in the ledger."""
    sql = "SELECT 1 FROM analytics_rolluphour WHERE workspace_id = %(workspace)s LIMIT 1"
    return bool(_rows(sql, {"workspace": workspace_id}))


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def limits_of(workspace_id: str, book: Ledger, now: float) -> Iterator[Limit]:
    """Every stored limit of a workspace. Those of any model or value are named one by one, as far as the ledger knows any."""
    here = {"workspace_id": workspace_id}
    for key in ApiKey.objects.filter(revoked_at=None, **here):
        yield from _readable(f"key:{key.id}", f"API key {key.name!r}", key.rate_limits, key.usage_limits)
    for row in VirtualKey.objects.filter(**here):
        yield from _readable(f"vkey:{row.id}", f"virtual key {row.slug!r}", row.rate_limits, row.usage_limits)
    versions = ConfigVersion.objects.filter(config__workspace_id=workspace_id).select_related("config")
    for version in versions.filter(body__has_key="cost_optimization"):
        if version.number == version.config.version:
            entry = ConfigEntry(str(version.config_id), version.config.slug, version.number, version.body)
            yield from budgets(version.body, entry)
    for workspace in Workspace.objects.filter(id=workspace_id).exclude(limits={}):
        try:
            rules = bodies.of_workspace(workspace_id, workspace.name, workspace.limits)
        except UNREADABLE:
            continue  # the snapshot's loader has said so
        yield from rules.whole
        yield from _of_models(rules, book, now)
        yield from _of_metadata(rules, book, now)


def _readable(owner: str, label: str, rate_limits: Any, usage_limits: Any) -> list[Limit]:
    try:
        return list(bodies.parse(owner, label, rate_limits, usage_limits))
    except UNREADABLE:
        return []  # the snapshot's loader has said so


def _of_models(rules: WorkspaceLimits, book: Ledger, now: float) -> Iterator[Limit]:
    names = {name for name in rules.models if name != ANY}
    for limit in rules.of_model(ANY):
        start, _ = window(limit.period, now, limit.zone)
        names |= set(book.models(start))
    for name in sorted(names):
        yield from rules.of_model(name)


def _of_metadata(rules: WorkspaceLimits, book: Ledger, now: float) -> Iterator[Limit]:
    keys = sorted({rule.key for rule in rules.metadata})
    known: set[tuple[str, str]] = set()
    for rule in rules.metadata:
        for limit in rule.limits(""):
            start, _ = window(limit.period, now, limit.zone)
            known |= set(book.metadata(start, keys))
    for key, value in sorted(known):
        yield from rules.of_metadata({key: value})
