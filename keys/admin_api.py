"""The admin REST API of virtual keys and API keys: reads a request, calls an action or a query, and answers as Portkey does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from keys import actions, policy, provider_options, queries, serializers
from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.models import ApiKey, VirtualKey
from keys.rest import AdminView, body, listing
from routing import key_test
from routing.errors import NotFound
from routing.providers import table

DELETED = {"success": True}


def _fields(request: Request, caller: Caller, known: tuple[str, ...]) -> dict[str, Any]:
    """The body's known fields; `workspace_id`, which Portkey's SDK may add, must be the caller's own."""
    fields = body(request)
    check_workspace(fields.pop("workspace_id", None), caller.workspace)
    check.clean(fields, dict.fromkeys(known, lambda value, _path: value))
    return fields


# --- Virtual keys -----------------------------------------------------------------------------------------------------

_VIRTUAL_KEY = ("name", "provider", "key", "note", "slug", "options", "rate_limits", "usage_limits", "expires_at")


def _virtual_key_fields(request: Request, caller: Caller, existing: VirtualKey | None = None) -> dict[str, Any]:
    """The fields of a virtual key. Provider options may also stand beside them, as Portkey's SDK sends them."""
    raw = body(request)
    check_workspace(raw.pop("workspace_id", None), caller.workspace)
    names = {"custom_host", *table.OPTION_NAMES}
    beside = {name: raw.pop(name) for name in list(raw) if provider_options.canonical_name(name) in names}
    known = (*_VIRTUAL_KEY, *(("paused",) if existing is not None else ()))
    check.clean(raw, dict.fromkeys((*known, *sorted(names)), lambda value, _path: value))
    if beside:
        before = existing.options if existing is not None else {}
        named = {provider_options.canonical_name(name): value for name, value in beside.items()}
        raw["options"] = {**check.mapping(raw.get("options") or before, "options"), **named}
    return raw


class VirtualKeys(AdminView):
    required_scopes: ClassVar = {"GET": ("virtual_keys.list",), "POST": ("virtual_keys.create",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_virtual_keys(caller_of(request).workspace), serializers.virtual_key)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = {"key": "", **_virtual_key_fields(request, caller)}
        check.require(fields, "name", "provider")
        key = actions.create_virtual_key(workspace=caller.workspace, actor=caller.actor, **fields)
        return Response({"id": str(key.pk), "slug": key.slug, "object": "virtual-key"})


class VirtualKeyDetail(AdminView):
    required_scopes: ClassVar = {
        "GET": ("virtual_keys.read",),
        "PUT": ("virtual_keys.update",),
        "DELETE": ("virtual_keys.delete",),
    }

    def get(self, request: Request, slug: str) -> Response:
        return Response(serializers.virtual_key(queries.get_virtual_key(caller_of(request).workspace, slug)))

    def put(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        key = queries.get_virtual_key(caller.workspace, slug)
        fields = _virtual_key_fields(request, caller, key)
        if fields.pop("slug", key.slug) not in (key.slug, str(key.pk)):
            check.refuse("slug", "cannot be changed: configs and applications name the key by it")
        key = actions.update_virtual_key(key, actor=caller.actor, **fields)
        return Response({**serializers.virtual_key(key), "success": True})

    def delete(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        actions.delete_virtual_key(queries.get_virtual_key(caller.workspace, slug), actor=caller.actor)
        return Response(DELETED)


# --- API keys ---------------------------------------------------------------------------------------------------------


class VirtualKeyTest(AdminView):
    """Calls the provider with the key; the answer says how that went."""

    required_scopes: ClassVar = {"POST": ("virtual_keys.update",)}

    def post(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        key = queries.get_virtual_key(caller.workspace, slug)
        fields = _fields(request, caller, ("model",)) if request.data else {}
        model = check.text(200, blank=True)(fields.get("model"), "model")
        return Response({**key_test.run(key, model), "object": "virtual-key-test"})


_AREAS = tuple(policy.API_KEY_AREAS.values())
_API_KEY_CHANGES = (
    *("name", "description", "scopes", "rate_limits", "usage_limits", "defaults", "expires_at"),
    *("allowed_models", "allowed_virtual_keys", "allowed_configs", "allowed_ips"),
)


def _any_area(verb: str) -> tuple[str, ...]:
    return tuple(f"{area}.{verb}" for area in _AREAS)


def _readable_kinds(caller: Caller, verb: str) -> list[str]:
    return [kind for kind, area in policy.API_KEY_AREAS.items() if f"{area}.{verb}" in caller.permissions]


def _api_key(request: Request, key_id: str, verb: str) -> tuple[Caller, ApiKey]:
    """The key, where the caller may do this to keys of its kind. Raises `NotFound` or `Forbidden`."""
    caller = caller_of(request)
    key = queries.get_api_key(caller.workspace, key_id)
    caller.require(f"{policy.API_KEY_AREAS[key.sub_type]}.{verb}")
    return caller, key


class ApiKeys(AdminView):
    required_scopes: ClassVar = {"GET": _any_area("list")}

    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        rows = queries.list_api_keys(caller.workspace).filter(sub_type__in=_readable_kinds(caller, "list"))
        return listing(request, rows, serializers.api_key)


class ApiKeyCreate(AdminView):
    required_scopes: ClassVar = {"POST": _any_area("create")}

    def post(self, request: Request, kind: str, sub_type: str) -> Response:
        caller = caller_of(request)
        if sub_type not in policy.API_KEY_AREAS or kind not in actions.API_KEY_TYPES:
            raise NotFound("API keys are workspace or organisation keys, of the sub-type service or user.")
        caller.require(f"{policy.API_KEY_AREAS[sub_type]}.create")
        fields = _fields(request, caller, ("type", "sub-type", "sub_type", *_API_KEY_CHANGES))
        for name, said in (("type", kind), ("sub-type", sub_type), ("sub_type", sub_type)):
            if fields.pop(name, said) != said:
                check.refuse(name, f"contradicts the path, which says {said}")
        check.require(fields, "name")
        key, raw = actions.create_api_key(
            workspace=caller.workspace, actor=caller.actor, type=kind, sub_type=sub_type, **fields
        )
        return Response({"id": str(key.pk), "key": raw, "object": "api-key"})


class ApiKeyDetail(AdminView):
    required_scopes: ClassVar = {"GET": _any_area("read"), "PUT": _any_area("update"), "DELETE": _any_area("delete")}

    def get(self, request: Request, key_id: str) -> Response:
        _, key = _api_key(request, key_id, "read")
        return Response(serializers.api_key(key))

    def put(self, request: Request, key_id: str) -> Response:
        caller, key = _api_key(request, key_id, "update")
        fields = _fields(request, caller, ("id", "status", *_API_KEY_CHANGES))
        if fields.pop("id", str(key.pk)) != str(key.pk):
            check.refuse("id", "contradicts the path")
        status = fields.pop("status", None)
        if status not in (None, "active", "revoked") or (status == "active" and key.revoked_at is not None):
            check.refuse("status", "can only be set to revoked, and that cannot be taken back")
        key = actions.update_api_key(key, actor=caller.actor, **fields)
        if status == "revoked":
            key = actions.revoke_api_key(key, actor=caller.actor)
        return Response({**serializers.api_key(key), "success": True})

    def delete(self, request: Request, key_id: str) -> Response:
        caller, key = _api_key(request, key_id, "delete")
        actions.delete_api_key(key, actor=caller.actor)
        return Response(DELETED)


class ApiKeyRotation(AdminView):
    required_scopes: ClassVar = {"POST": _any_area("update")}

    def post(self, request: Request, key_id: str) -> Response:
        caller, key = _api_key(request, key_id, "update")
        fields = _fields(request, caller, ("key_transition_period_ms",)) if request.data else {}
        overlap = actions.DEFAULT_OVERLAP
        if (given := fields.get("key_transition_period_ms")) is not None:
            overlap = timedelta(milliseconds=check.whole_number(given, "key_transition_period_ms"))
        key, raw = actions.rotate_api_key(key, actor=caller.actor, overlap=overlap)
        until = serializers.moment(key.previous_until)
        return Response({"id": str(key.pk), "key": raw, "key_transition_expires_at": until, "object": "api-key"})
