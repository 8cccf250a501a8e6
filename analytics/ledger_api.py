"""The REST API of what the log adds up to: traces, feedback, invoices, retention, and one person's data."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import admin_api, erasure, feedback, invoices, retention, traces
from analytics.models import Feedback
from analytics.price_api import decimal
from keys import validation as check
from keys.admin_auth import caller_of, check_workspace
from keys.rest import AdminView, body, query, whole
from keys.serializers import moment
from routing.errors import InvalidRequest, NotFound

_SAVED = "Feedback successfully saved"
_MAX_EXPORT = 500


# --- Feedback and traces ----------------------------------------------------------------------------------------------


def _feedback(row: Feedback) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "object": "feedback",
        "trace_id": row.trace_id,
        "value": row.value,
        "weight": float(row.weight),
        "metadata": row.metadata,
        "created_at": moment(row.created_at),
    }


class FeedbackList(AdminView):
    """A key that may call models may say what it thinks of their answers."""

    required_scopes: ClassVar = {"GET": ("logs.view",), "POST": ("completions.write", "logs.view")}

    def get(self, request: Request) -> Response:
        values = query(request, "trace_id", "workspace_id")
        check.require(values, "trace_id")
        rows = feedback.of_traces(caller_of(request).workspace.pk, values["trace_id"])
        return Response({"object": "list", "data": [_feedback(row) for row in rows]})

    def post(self, request: Request) -> Response:
        data: Any = request.data
        many = isinstance(data, list)
        if not many and not isinstance(data, dict):
            raise InvalidRequest("The body must be an object, or an array of objects.", code="invalid_json")
        rows = feedback.give(caller_of(request).workspace, data if many else [data], in_list=many)
        return Response({"status": "success", "message": _SAVED, "feedback_ids": [str(row.pk) for row in rows]})


class FeedbackDetail(AdminView):
    required_scopes: ClassVar = {"PUT": ("completions.write", "logs.view")}

    def put(self, request: Request, feedback_id: str) -> Response:
        row = feedback.change(caller_of(request).workspace, feedback_id, body(request))
        return Response({"status": "success", "message": _SAVED, "feedback_ids": [str(row.pk)]})


class TraceDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("logs.list",)}

    def get(self, request: Request, trace_id: str) -> Response:
        found = traces.trace(caller_of(request).workspace.pk, trace_id)
        if found is None:
            raise NotFound(f"There is no trace {trace_id[:100]!r} in this workspace.")
        spans = [{**admin_api.summary(span.log), "depth": span.depth, "offset_ms": span.offset_ms} for span in found.spans]
        return Response(
            {
                "object": "trace",
                "trace_id": found.trace_id,
                "duration_ms": found.duration_ms,
                "cost_usd": decimal(found.cost_usd),
                "tokens": found.tokens,
                "failed": found.failed,
                "unpriced": found.unpriced,
                "has_more": found.has_more,
                "calls": spans,
                "feedback": [_feedback(row) for row in found.feedback],
            }
        )


# --- Invoices and retention -------------------------------------------------------------------------------------------


class Invoice(AdminView):
    """One month as CSV."""

    required_scopes: ClassVar = {"GET": ("analytics.view",)}

    def get(self, request: Request, month: str) -> HttpResponse:
        values = query(request, "part", "user_key", "workspace_id")
        workspace = caller_of(request).workspace
        first = invoices.month(month)
        found = invoices.lines(workspace, first, values.get("user_key") or invoices.USER)
        if part := values.get("part"):
            check.one_of(invoices.PARTS)(part, "part")
            found = [line for line in found if line.part == part]
        return csv_file(invoices.as_csv(workspace, first, found), f"{workspace.slug}-{month}.csv")


def csv_file(text: str, name: str) -> HttpResponse:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


class RetentionDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("workspaces.read",), "PUT": ("workspaces.update",)}

    def get(self, request: Request) -> Response:
        return Response({"object": "retention", **retention.shown(caller_of(request).workspace)})

    def put(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = body(request)
        check_workspace(fields.pop("workspace_id", None), caller.workspace)
        values = check.clean(fields, {"days": lambda value, _path: value})
        check.require(values, "days")
        retention.keep(caller.workspace, values["days"], actor=caller.actor)
        return Response({"object": "retention", **retention.shown(caller.workspace)})


# --- One person's data ------------------------------------------------------------------------------------------------

_PERSON: dict[str, check.Check] = {"key": check.text(1024), "value": check.text(1024)}


class PersonExport(AdminView):
    """All calls whose metadata has this pair, with their bodies and feedback, oldest first."""

    required_scopes: ClassVar = {"GET": ("logs.export",)}

    def get(self, request: Request) -> Response:
        given = query(request, "key", "value", "after", "limit", "workspace_id")
        check.require(given, "key", "value")
        after, limit = given.get("after"), whole(given, "limit", 100, 1, _MAX_EXPORT)
        if after:
            try:
                uuid.UUID(after)
            except ValueError:
                check.refuse("after", "must be the id of the last call of the page before")
        workspace = caller_of(request).workspace
        person = check.clean({name: given[name] for name in _PERSON}, _PERSON)
        found = list(erasure.export(workspace, person["key"], person["value"], after or None, limit + 1))
        page = found[:limit]
        calls = [
            {
                **admin_api.summary(log),
                "request": admin_api.shown_body(text.request if text else ""),
                "response": admin_api.shown_body(text.response if text else ""),
            }
            for log, text in page
        ]
        notes = [_feedback(row) for row in erasure.feedback_of(workspace, [log for log, _ in page])]
        return Response({"object": "list", "data": calls, "feedback": notes, "has_more": len(found) > limit})


class PersonErasure(AdminView):
    required_scopes: ClassVar = {"POST": ("workspaces.update",)}

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = body(request)
        check_workspace(fields.pop("workspace_id", None), caller.workspace)
        person = check.clean(fields, _PERSON)
        check.require(person, *_PERSON)
        done = erasure.erase(caller.workspace, person["key"], person["value"], actor=caller.actor)
        return Response({"object": "erasure", "calls": done.calls, "bodies": done.bodies, "feedback": done.feedback})
