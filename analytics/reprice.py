"""Prices calls of the log anew: those that had no price, once there is one, or all of a stretch of time.

A call gets what it would have cost with the prices of today's settings in force at the time of the call. Each batch changes
log and sums in one transaction, so that they always agree; budgets follow when they are next compared with the log.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from analytics import price_queries, rollups
from analytics.log_view import TOKEN_FIELDS
from analytics.models import RequestLog
from analytics.prices import Prices
from analytics.tariffs import Tariff, names_of
from routing.call import Media, Usage
from routing.providers import table

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Repriced:
    """How many calls were looked at, how many have another cost now, and by how much all costs rose together (USD)."""

    seen: int
    changed: int
    difference: Decimal


def reprice(
    workspace_id: uuid.UUID, *, since: dt.datetime | None = None, until: dt.datetime | None = None, unpriced_only: bool = True
) -> Repriced:
    """Goes through the workspace's calls from `since` to before `until`."""
    rows = RequestLog.objects.filter(workspace_id=workspace_id).exclude(provider="")
    if since is not None:
        rows = rows.filter(started_at__gte=since)
    if until is not None:
        rows = rows.filter(started_at__lt=until)
    # A call that used nothing costs nothing, whatever the prices.
    rows = rows.filter(unpriced=True) if unpriced_only else rows.filter(Q(unpriced=True) | Q(cost_usd__isnull=False))
    own = price_queries.tariffs(str(workspace_id)).get(str(workspace_id), ())
    seen = changed = 0
    difference = Decimal(0)
    for batch in _batches(rows):
        one, risen = _reprice(batch, own, unpriced_only=unpriced_only)
        seen, changed, difference = seen + len(batch), changed + one, difference + risen
    return Repriced(seen, changed, difference)


def cost_of(log: RequestLog, tariffs: Sequence[Tariff]) -> Decimal | None:
    """What a call of the log costs by the one cost function. None where there is no price, or no such provider any more."""
    provider = table.PROVIDERS.get(log.provider)
    if provider is None:
        return None
    names = names_of(provider, log.model, log.response_model)
    return _prices().call_cost(provider, names, usage_of(log), price_queries.microseconds(log.started_at), tariffs)


def usage_of(log: RequestLog) -> Usage:
    media = dict(log.media) if log.media else None
    if media is not None:
        media["seconds"] = Decimal(media.get("seconds", 0))
    counts = {name: getattr(log, name) for name in TOKEN_FIELDS}
    return Usage(**counts, estimated=log.usage_estimated, media=None if media is None else Media(**media))


@lru_cache(maxsize=1)
def _prices() -> Prices:
    return Prices()


def _batches(rows: QuerySet[RequestLog]) -> Iterator[list[tuple[dt.datetime, uuid.UUID]]]:
    """The keys of all rows, oldest first. Rows that change on the way do not disturb it."""
    after: tuple[dt.datetime, uuid.UUID] | None = None
    while True:
        page = rows
        if after is not None:
            page = rows.filter(started_at__gte=after[0]).filter(Q(started_at__gt=after[0]) | Q(id__gt=after[1]))
        keys = list(page.order_by("started_at", "id").values_list("started_at", "id")[:_BATCH])
        if not keys:
            return
        yield keys
        after = keys[-1]


def _reprice(
    keys: list[tuple[dt.datetime, uuid.UUID]], tariffs: Sequence[Tariff], *, unpriced_only: bool
) -> tuple[int, Decimal]:
    changed: list[tuple[RequestLog, Decimal, int]] = []
    with transaction.atomic():
        # Locked, so that a second run at the same time sees what this one did.
        logs = RequestLog.objects.select_for_update().filter(
            started_at__gte=keys[0][0], started_at__lte=keys[-1][0], id__in=[identity for _, identity in keys]
        )
        for log in logs.order_by("started_at", "id"):
            if unpriced_only and not log.unpriced:
                continue
            cost = _new_cost(log, tariffs)
            if cost is None or (cost == log.cost_usd and not log.unpriced):
                continue
            changed.append((log, cost - (log.cost_usd or 0), -int(log.unpriced)))
            log.cost_usd, log.unpriced = cost, False
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE analytics_requestlog SET cost_usd = %s, unpriced = false WHERE started_at = %s AND id = %s",
                [(log.cost_usd, log.started_at, log.id) for log, _, _ in changed],
            )
        rollups.correct(changed)
    return len(changed), sum((difference for _, difference, _ in changed), Decimal(0))


def _new_cost(log: RequestLog, tariffs: Sequence[Tariff]) -> Decimal | None:
    """None also for a call that used nothing: a failure stays free."""
    return cost_of(log, tariffs) if usage_of(log).is_used else None
