"""How long a workspace's calls are kept, where that is less than the installation's retention (LOG_RETENTION_DAYS).

Whole days go with their partitions (analytics/partitions.py); what a workspace wants gone sooner is deleted row by row. Sums
by hour stay: invoices and charts need them, and they hold no content.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from analytics import partitions
from analytics.models import Retention
from keys import audit
from keys import validation as check
from keys.audit import Actor
from keys.models import Workspace

_BATCH = 5000


def shown(workspace: Workspace) -> dict[str, Any]:
    row = Retention.objects.filter(workspace=workspace).first()
    longest = settings.LOG_RETENTION_DAYS
    return {"days": min(row.days, longest) if row else longest, "own_days": row.days if row else None, "most_days": longest}


def keep(workspace: Workspace, days: Any, *, actor: Actor) -> None:
    """Sets the workspace's own retention; None returns to the installation's. Raises `InvalidRequest`."""
    if days is not None:
        days = check.positive_int(days, "days")
        if days > settings.LOG_RETENTION_DAYS:
            check.refuse("days", f"must be at most {settings.LOG_RETENTION_DAYS}, which is what this installation keeps")
    with transaction.atomic():
        if days is None:
            Retention.objects.filter(workspace=workspace).delete()
        else:
            Retention.objects.update_or_create(workspace=workspace, defaults={"days": days})
        audit.record(actor, workspace, "retention.update", workspace, days=days)


def delete_expired(now: dt.datetime) -> int:
    """Deletes the calls, with their bodies, that their workspaces do not keep any longer. Tells how many."""
    deleted = 0
    for workspace_id, days in Retention.objects.filter(days__lt=settings.LOG_RETENTION_DAYS).values_list(
        "workspace_id", "days"
    ):
        oldest = (now - dt.timedelta(days=days)).astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while count := _delete_batch(workspace_id, oldest):
            deleted += count
    return deleted


def _delete_batch(workspace_id: uuid.UUID, oldest: dt.datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {partitions.LOG} WHERE (started_at, id) IN ("  # noqa: S608 - names of ours
            f" SELECT started_at, id FROM {partitions.LOG} WHERE workspace_id = %s AND started_at < %s LIMIT {_BATCH})"
            " RETURNING started_at, id",
            [workspace_id, oldest],
        )
        gone = cursor.fetchall()
        if gone:
            moments, identities = zip(*gone, strict=True)
            cursor.execute(
                f"DELETE FROM {partitions.BODY} WHERE (started_at, id) IN"  # noqa: S608 - a name of ours
                " (SELECT * FROM unnest(%s::timestamptz[], %s::uuid[]))",
                [list(moments), list(identities)],
            )
        return len(gone)
