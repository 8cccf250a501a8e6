"""The Celery tasks of the record path."""

from __future__ import annotations

import datetime as dt
import logging
from functools import lru_cache

import redis
from celery import shared_task
from django.conf import settings
from django.db import connection, transaction

from analytics import budget_watch, courier, partitions, reconcile, retention, rollups
from analytics import ingest as ingestion
from analytics.shipper import unpack
from keys.models import Workspace

logger = logging.getLogger(__name__)

# How far back sums by minute reach; older charts are drawn by the hour.
MINUTES_KEPT = dt.timedelta(days=8)


@shared_task(name=courier.TASK)  # type: ignore[untyped-decorator]
def ingest(batch_id: str, payload: str) -> None:
    """Stores a batch and then confirms it. Whatever fails, the shipper sends the batch again."""
    client = _redis()
    if _has_come_before(client, batch_id):
        return
    outcome = ingestion.ingest(unpack(payload))
    courier.confirm(client, batch_id)
    logger.debug("batch %s: %d new records, %d known, %d put aside", batch_id, outcome.new, outcome.known, outcome.dead)


@shared_task(name="analytics.tasks.create_partitions")  # type: ignore[untyped-decorator]
def create_partitions() -> None:
    """Makes today's partitions and those of the two days to come, so that no ingest has to."""
    today = dt.datetime.now(dt.UTC).date()
    with transaction.atomic(), connection.cursor() as cursor:
        partitions.ensure(cursor, [today + dt.timedelta(days=ahead) for ahead in range(3)])


@shared_task(name="analytics.tasks.drop_old_logs")  # type: ignore[untyped-decorator]
def drop_old_logs() -> None:
    """Drops the partitions of days that are older than the retention, and sums by minute that no chart asks for."""
    now = dt.datetime.now(dt.UTC)
    first_kept = now.date() - dt.timedelta(days=settings.LOG_RETENTION_DAYS)
    dropped = partitions.drop_before(first_kept)
    if dropped:
        logger.info("dropped what is older than %s: %s", first_kept, ", ".join(dropped))
    deleted = retention.delete_expired(now)
    if deleted:
        logger.info("deleted %d calls that their workspaces do not keep any longer", deleted)
    rollups.drop_minutes_before(now - MINUTES_KEPT)


@shared_task(name="analytics.tasks.watch_limits")  # type: ignore[untyped-decorator]
def watch_limits() -> None:
    """Rebuilds counters that Redis has lost, gives back what dead gateways held, and notes which budgets run out."""
    reconcile.rebuild_all()
    reconcile.give_back_lapsed()
    noted = budget_watch.note_events()
    if noted:
        logger.info("%d budgets have reached a threshold", noted)


@shared_task(name="analytics.tasks.reconcile_limits")  # type: ignore[untyped-decorator]
def reconcile_limits() -> None:
    """Compares the counters of limits with the ledger and puts them right."""
    for workspace_id in Workspace.objects.values_list("id", flat=True):
        reconcile.reconcile(str(workspace_id))


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    """Shared by the worker's threads; its connections are pooled."""
    return courier.redis_client()


def _has_come_before(client: redis.Redis, batch_id: str) -> bool:
    """Spares the work for a batch that was sent twice. Not needed for correctness, so Redis may be away."""
    try:
        return courier.is_confirmed(client, batch_id)
    except redis.RedisError as error:
        logger.warning("cannot see whether batch %s has come before: %s", batch_id, error)
        return False
