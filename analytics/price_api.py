"""The REST API of a workspace's own prices: list, change, preview the cost of a call, price the log anew."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from analytics import price_actions, price_queries, reprice
from analytics.models import PriceOverride
from analytics.price_preview import CALL, preview
from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.rest import AdminView, body, listing
from keys.serializers import moment

_READ, _WRITE = ("analytics.view",), ("workspaces.update",)


def price(row: PriceOverride) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "object": "price",
        "provider": row.provider,
        "model": row.model,
        "prices": row.prices,
        "discount_percent": decimal(row.discount_percent),
        "starts_at": moment(row.starts_at),
        "ends_at": moment(row.ends_at),
        "note": row.note,
        "created_at": moment(row.created_at),
        "last_updated_at": moment(row.updated_at),
    }


def decimal(value: Any) -> str | None:
    """A text, because a JSON number would be read as a float."""
    return None if value is None else format(value.normalize() + 0, "f")


def _fields(request: Request, caller: Caller) -> dict[str, Any]:
    fields = body(request)
    check_workspace(fields.pop("workspace_id", None), caller.workspace)
    return fields


class Prices(AdminView):
    required_scopes: ClassVar = {"GET": _READ, "POST": _WRITE}

    def get(self, request: Request) -> Response:
        return listing(request, price_queries.list_overrides(caller_of(request).workspace), price)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        row = price_actions.create_override(workspace=caller.workspace, actor=caller.actor, **_fields(request, caller))
        row.refresh_from_db()
        return Response({**price(row), "success": True})


class PriceDetail(AdminView):
    required_scopes: ClassVar = {"GET": _READ, "PUT": _WRITE, "DELETE": _WRITE}

    def get(self, request: Request, price_id: str) -> Response:
        return Response(price(price_queries.get_override(caller_of(request).workspace, price_id)))

    def put(self, request: Request, price_id: str) -> Response:
        caller = caller_of(request)
        row = price_queries.get_override(caller.workspace, price_id)
        price_actions.update_override(row, actor=caller.actor, **_fields(request, caller))
        row.refresh_from_db()
        return Response({**price(row), "success": True})

    def delete(self, request: Request, price_id: str) -> Response:
        caller = caller_of(request)
        price_actions.delete_override(price_queries.get_override(caller.workspace, price_id), actor=caller.actor)
        return Response({"success": True})


class PricePreview(AdminView):
    """What a call would cost, by the prices as they are or with one more that is not saved."""

    required_scopes: ClassVar = {"POST": _READ}

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        values = check.clean(
            _fields(request, caller), {"call": check.mapping, "price": check.mapping, "at": price_actions.moment}
        )
        check.require(values, "call")
        call = check.clean(values["call"], CALL, "call")
        check.require(call, "provider", "model", path="call")
        at = values.get("at")
        at_us = time.time_ns() // 1000 if at is None else price_queries.microseconds(at)
        found = preview(caller.workspace, call, at_us, values.get("price"))
        return Response(
            {
                "object": "price_preview",
                "cost_usd": decimal(found.cost_usd),
                "unpriced": found.cost_usd is None,
                "price": found.tariff and {"provider": found.tariff.provider, "model": found.tariff.model},
                "list_cost_usd": decimal(found.list_cost_usd),
            }
        )


class Reprice(AdminView):
    """Prices the unpriced calls of the log anew, or all of a stretch of time."""

    required_scopes: ClassVar = {"POST": _WRITE}

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        known: dict[str, check.Check] = {"since": price_actions.moment, "until": price_actions.moment, "all": _boolean}
        values = check.clean(_fields(request, caller), known)
        done = reprice.reprice(
            caller.workspace.pk,
            since=values.get("since"),
            until=values.get("until"),
            unpriced_only=not values.get("all", False),
        )
        price_actions.note_repricing(caller.workspace, caller.actor, done)
        return Response(
            {"object": "reprice", "seen": done.seen, "changed": done.changed, "difference_usd": decimal(done.difference)}
        )


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        check.refuse(path, "must be true or false")
    return value
