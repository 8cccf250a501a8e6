"""One person's data: everything that the log holds about the calls with a value in their metadata, to hand out or to erase.

Erasing keeps the numbers of a call, so that sums and budgets stay true, and takes away what was said and who said it: bodies,
metadata, error texts, names of spans and of traces, feedback, and the sums by metadata. It cannot be undone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from analytics import partitions, rollups
from analytics.feedback import of_traces
from analytics.models import Feedback, RequestBody, RequestLog, RollupMetadata
from keys import audit
from keys.audit import Actor
from keys.models import Workspace

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """How many calls, bodies and pieces of feedback were erased."""

    calls: int
    bodies: int
    feedback: int


def calls_of(workspace_id: uuid.UUID, key: str, value: str) -> QuerySet[RequestLog]:
    return RequestLog.objects.filter(workspace_id=workspace_id, metadata__contains={key: value})


def export(
    workspace: Workspace, key: str, value: str, after: str | None, limit: int
) -> Iterator[tuple[RequestLog, RequestBody | None]]:
    """Calls with their bodies, oldest first, from behind the call with the id `after`."""
    rows = calls_of(workspace.pk, key, value).order_by("started_at", "id")
    if after is not None:
        last = rows.filter(id=after).first()
        if last is not None:
            rows = rows.filter(Q(started_at__gt=last.started_at) | Q(started_at=last.started_at, id__gt=last.id))
    logs = list(rows[:limit])
    bodies = {body.id: body for body in _bodies(logs)}
    for log in logs:
        yield log, bodies.get(log.id)


def erase(workspace: Workspace, key: str, value: str, *, actor: Actor) -> Erased:
    """Calls that are still on their way to the log when this begins are not found: run it again after a minute.

    The audit keeps that something was erased and by which key of metadata, but not the value.
    """
    calls = bodies = feedback = 0
    while True:
        with transaction.atomic():
            logs = list(calls_of(workspace.pk, key, value).select_for_update().order_by("started_at", "id")[:_BATCH])
            if not logs:
                break
            rollups.forget(logs)
            bodies += _delete_bodies(logs)
            feedback += Feedback.objects.filter(workspace=workspace, trace_id__in={log.trace_id for log in logs}).delete()[0]
            _anonymise(logs)
            calls += len(logs)
    with transaction.atomic():
        # Of calls that the log has dropped already, and feedback that names the person itself.
        RollupMetadata.objects.filter(
            workspace_id=workspace.pk, key=key[: rollups.METADATA_TEXT], value=value[: rollups.METADATA_TEXT]
        ).delete()
        feedback += Feedback.objects.filter(workspace=workspace, metadata__contains={key: value}).delete()[0]
        audit.record(actor, workspace, "data.erase", workspace, key=key[:200], calls=calls)
    return Erased(calls, bodies, feedback)


def feedback_of(workspace: Workspace, logs: list[RequestLog]) -> list[Feedback]:
    return of_traces(workspace.pk, *{log.trace_id for log in logs})


def _span(logs: list[RequestLog]) -> dict[str, Any]:
    """Where these rows are: the bounds spare the other partitions."""
    return {
        "started_at__gte": min(log.started_at for log in logs),
        "started_at__lte": max(log.started_at for log in logs),
        "id__in": [log.id for log in logs],
    }


def _bodies(logs: list[RequestLog]) -> list[RequestBody]:
    return list(RequestBody.objects.filter(**_span(logs))) if logs else []


def _delete_bodies(logs: list[RequestLog]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {partitions.BODY} WHERE started_at BETWEEN %s AND %s AND id = ANY(%s)",  # noqa: S608 - a name of ours
            [logs[0].started_at, logs[-1].started_at, [log.id for log in logs]],
        )
        return int(cursor.rowcount)


def _anonymise(logs: list[RequestLog]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {partitions.LOG} SET metadata = '{{}}', error_message = '', span_name = '', span_id = '',"  # noqa: S608
            " parent_span_id = '', trace_id = id::text,"
            " attempts = (SELECT coalesce(jsonb_agg(one - 'error'), '[]') FROM jsonb_array_elements(attempts) AS one)"
            " WHERE started_at BETWEEN %s AND %s AND id = ANY(%s)",
            [logs[0].started_at, logs[-1].started_at, [log.id for log in logs]],
        )
