"""The REST API of the request log: pages of calls, newest first, and one call with its bodies."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import filters, queries
from analytics.feedback import of_traces
from analytics.models import RequestLog
from keys import validation as check
from keys.admin_auth import caller_of
from keys.rest import AdminView, whole
from keys.serializers import moment
from routing.errors import InvalidRequest, NotFound

_DEFAULT_LIMIT = 50
_MAX_DEPTH = 200
_TOKENS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
)


def _given(request: Request) -> dict[str, str]:
    """The query parameters, each once and free of what the database cannot hold."""
    values: dict[str, str] = {}
    for name, texts in request.query_params.lists():
        check.storable([name, *texts], name.replace("\0", "")[:80])
        if len(texts) > 1:
            check.refuse(name, "is given more than once")
        values[name] = texts[0]
    values.pop("workspace_id", None)  # has been compared with the caller's by the authentication
    return values


def _id(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)


def summary(log: RequestLog) -> dict[str, Any]:
    return {
        "id": str(log.id),
        "object": "log",
        "created_at": moment(log.started_at),
        "trace_id": log.trace_id,
        "endpoint": log.endpoint,
        "provider": log.provider,
        "model": log.model,
        "response_model": log.response_model,
        "option_path": log.option_path,
        "status": log.status,
        "error": {"code": log.error_code, "message": log.error_message} if log.error_code or log.error_message else None,
        "is_stream": log.is_stream,
        "cancelled": log.cancelled,
        "cache_status": log.cache_status,
        "retry_count": log.retry_count,
        "duration_ms": log.duration_ms,
        "ttft_ms": log.ttft_ms,
        "usage": {**{name: getattr(log, name) for name in _TOKENS}, "estimated": log.usage_estimated},
        # A text, because a JSON number would be read as a float.
        "cost_usd": None if log.cost_usd is None else format(log.cost_usd.normalize(), "f"),
        "unpriced": log.unpriced,
        "metadata": log.metadata,
        "attempts": log.attempts,
        "api_key_id": _id(log.api_key_id),
        "virtual_key_id": _id(log.virtual_key_id),
        "config_id": _id(log.config_id),
        "config_version": log.config_version,
        "content_truncated": log.content_truncated,
        "span_id": log.span_id,
        "parent_span_id": log.parent_span_id,
        "span_name": log.span_name,
        "media": log.media,
    }


def shown_body(text: str) -> Any:
    """What went over the wire: JSON as JSON, anything else as text, nothing as null."""
    if not text:
        return None
    try:
        return _shallow(orjson.loads(text))
    except (orjson.JSONDecodeError, InvalidRequest):
        return text


def _shallow(value: Any) -> Any:
    """Refuses what the renderer, which is recursive, could not write. Raises `InvalidRequest`."""
    check.storable(value, "body", _MAX_DEPTH)
    return value


class Logs(AdminView):
    required_scopes: ClassVar = {"GET": ("logs.list",)}

    def get(self, request: Request) -> Response:
        values = _given(request)
        cursor = values.pop("cursor", None)
        limit = whole({"limit": values.pop("limit", "")}, "limit", _DEFAULT_LIMIT, 1, queries.MAX_LIMIT)
        try:
            page = queries.list_logs(caller_of(request).workspace.pk, filters.parse(values), cursor, limit)
        except queries.FilterError as error:
            known = queries.LogFilters.__slots__
            hint = "" if error.field in known else check.nearest(error.field, known)
            raise InvalidRequest(f"{error}{hint}", param=error.field[:80]) from error
        rows = [summary(log) for log in page.rows]
        has_more = page.next_cursor is not None
        return Response({"object": "list", "data": rows, "has_more": has_more, "next_cursor": page.next_cursor})


class LogDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("logs.view",)}

    def get(self, request: Request, log_id: str) -> Response:
        try:
            detail = queries.get_log(caller_of(request).workspace.pk, log_id)
        except OverflowError:
            detail = None  # an id of version 7 whose time is beyond the calendar
        if detail is None:
            raise NotFound(f"There is no log {log_id[:100]!r} in this workspace.")
        bodies = {
            "request": shown_body(detail.request),
            "response": shown_body(detail.response) if detail.answer is None else detail.answer,
            "response_is_stream": detail.response_is_stream,
        }
        notes = [
            {"id": str(row.pk), "value": row.value, "weight": float(row.weight), "metadata": row.metadata}
            for row in of_traces(detail.log.workspace_id, detail.log.trace_id)
        ]
        return Response({**summary(detail.log), **bodies, "feedback": notes})
