"""Every read of the request log, always within one workspace.

Lists go by key and not by offset, so that the thousandth page costs what the first does, and never touch the bodies. Limits on
the time, or the time that an id holds, keep the days apart from each other: other partitions are not looked at.
"""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from analytics.ids import time_of
from analytics.models import RequestBody, RequestLog
from analytics.reassemble import reassemble

MAX_LIMIT = 500
# A call's id is made in the same moment as its start is noted; the clock may be set between the two.
_ID_TOLERANCE = dt.timedelta(minutes=10)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class FilterError(ValueError):
    """A filter, cursor or limit that means nothing. `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilters:
    """What a log must be like; None stands for anything. Made from text by analytics.filters.parse.

    `status_class` 4 stands for 400 to 499. `started_from` is inclusive, `started_to` is not. Durations are in milliseconds,
    costs in USD. All of `metadata` must be there.
    """

    trace_id: str | None = None
    status: int | None = None
    status_class: int | None = None
    provider: str | None = None
    model: str | None = None
    api_key_id: uuid.UUID | None = None
    virtual_key_id: uuid.UUID | None = None
    config_id: uuid.UUID | None = None
    endpoint: str | None = None
    cache_status: str | None = None
    is_stream: bool | None = None
    started_from: dt.datetime | None = None
    started_to: dt.datetime | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Logs, newest first, and the cursor of what follows; None on the last page."""

    rows: list[RequestLog]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class LogDetail:
    """One log with its bodies, empty where content is not logged. `answer` is a stream put together again."""

    log: RequestLog
    request: str
    response: str
    response_is_stream: bool
    answer: dict[str, Any] | None


# The look-up that each filter stands for.
_LOOKUPS = {
    **{
        name: name
        for name in ("trace_id", "status", "provider", "model", "api_key_id", "virtual_key_id", "config_id", "endpoint")
    },
    "cache_status": "cache_status",
    "is_stream": "is_stream",
    "started_from": "started_at__gte",
    "started_to": "started_at__lt",
    "min_cost": "cost_usd__gte",
    "max_cost": "cost_usd__lte",
    "min_duration_ms": "duration_ms__gte",
    "max_duration_ms": "duration_ms__lte",
}


def list_logs(workspace_id: uuid.UUID, filters: LogFilters, cursor: str | None = None, limit: int = 50) -> Page:
    """A page of the log. Raises `FilterError` for a cursor that is not one of ours or a limit outside 1 to `MAX_LIMIT`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise FilterError("limit", f"use a number from 1 to {MAX_LIMIT}")
    rows = _filtered(workspace_id, filters).order_by("-started_at", "-id")
    if cursor:
        started, identity = _decode_cursor(cursor)
        # The first condition says nothing new, but it is the one that an index and the choice of partitions can use.
        rows = rows.filter(started_at__lte=started).filter(Q(started_at__lt=started) | Q(id__lt=identity))
    found = list(rows[: limit + 1])
    return Page(found[:limit], _encode_cursor(found[limit - 1]) if len(found) > limit else None)


def get_log(workspace_id: uuid.UUID, identity: str) -> LogDetail | None:
    """One log with its bodies, or None where this workspace has no such log."""
    try:
        parsed = uuid.UUID(identity)
    except ValueError:
        return None
    made = time_of(parsed)
    if made is None:
        return None
    near = Q(started_at__gte=made - _ID_TOLERANCE, started_at__lte=made + _ID_TOLERANCE)
    log = RequestLog.objects.filter(near, workspace_id=workspace_id, id=parsed).first()
    if log is None:
        return None
    body = RequestBody.objects.filter(started_at=log.started_at, id=log.id).first()
    if body is None:
        return LogDetail(log, "", "", response_is_stream=False, answer=None)
    answer = reassemble(body.response) if body.response_is_stream else None
    return LogDetail(log, body.request, body.response, body.response_is_stream, answer)


def _filtered(workspace_id: uuid.UUID, filters: LogFilters) -> QuerySet[RequestLog]:
    conditions = {look_up: value for name, look_up in _LOOKUPS.items() if (value := getattr(filters, name)) is not None}
    if filters.status_class is not None:
        conditions |= {"status__gte": filters.status_class * 100, "status__lt": filters.status_class * 100 + 100}
    if filters.metadata:
        conditions["metadata__contains"] = dict(filters.metadata)
    return RequestLog.objects.filter(workspace_id=workspace_id, **conditions)


def _encode_cursor(row: RequestLog) -> str:
    microseconds = (row.started_at - _EPOCH) // _MICROSECOND
    return base64.urlsafe_b64encode(microseconds.to_bytes(8, "big") + row.id.bytes).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[dt.datetime, uuid.UUID]:
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if len(data) != 24:
            raise ValueError("wrong length")
        return _EPOCH + int.from_bytes(data[:8], "big") * _MICROSECOND, uuid.UUID(bytes=data[8:])
    except (ValueError, OverflowError) as error:
        raise FilterError("cursor", "take it from the page before, unchanged") from error
