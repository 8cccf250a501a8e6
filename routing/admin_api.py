"""The admin REST API of routing configs: reads a request, calls an action or a query, and answers as Portkey does."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.rest import AdminView, body, listing
from keys.serializers import moment
from routing import actions, queries
from routing.models import Config, ConfigVersion


def _summary(config: Config) -> dict[str, Any]:
    return {
        "id": str(config.pk),
        "object": "config",
        "slug": config.slug,
        "name": config.name,
        "workspace_id": config.workspace.slug,
        "is_default": int(config.is_default),
        "status": "active",
        "version": config.version,
        "owner_id": None if config.created_by_id is None else str(config.created_by_id),
        "created_at": moment(config.created_at),
        "last_updated_at": moment(config.updated_at),
    }


def _version(version: ConfigVersion) -> dict[str, Any]:
    return {
        "id": str(version.pk),
        "object": "config-version",
        "version": version.number,
        "is_current": version.number == version.config.version,
        "config": version.body,
        "comment": version.comment or None,
        "author": version.author_label,
        "created_at": moment(version.created_at),
    }


def _fields(request: Request, caller: Caller, *known: str) -> dict[str, Any]:
    fields = body(request)
    check_workspace(fields.pop("workspace_id", None), caller.workspace)
    fields = check.clean(fields, dict.fromkeys(known, lambda value, _path: value))
    if "is_default" in fields:
        fields["is_default"] = _flag(fields["is_default"], "is_default")
    return fields


def _flag(value: Any, path: str) -> bool:
    """Portkey's SDK sends 0 and 1."""
    if value not in (0, 1) or isinstance(value, float):
        check.refuse(path, "must be true, false, 1 or 0")
    return bool(value)


class Configs(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.list",), "POST": ("configs.create",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_configs(caller_of(request).workspace), _summary)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "name", "config", "is_default", "comment", "slug")
        check.require(fields, "name", "config")
        config, version = actions.create_config(workspace=caller.workspace, actor=caller.actor, **fields)
        return Response({"id": str(config.pk), "version_id": str(version.pk), "slug": config.slug, "object": "config"})


class ConfigDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",), "PUT": ("configs.update",), "DELETE": ("configs.delete",)}

    def get(self, request: Request, slug: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        version = queries.get_version(config)
        extra = {"config": version.body, "version_id": str(version.pk), "updated_by": version.author_label}
        return Response({**_summary(config), **extra})

    def put(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        config = queries.get_config(caller.workspace, slug)
        fields = _fields(request, caller, "slug", "name", "config", "status", "is_default", "comment")
        if fields.pop("slug", config.slug) not in (config.slug, str(config.pk)):
            check.refuse("slug", "cannot be changed: applications name the config by it")
        if fields.pop("status", "active") != "active":
            check.refuse("status", "can only be active; delete the config to take it out of use")
        if "config" in fields:
            fields["body"] = fields.pop("config")
        config, version = actions.update_config(config, actor=caller.actor, **fields)
        reply = {"id": str(config.pk), "slug": config.slug, "version": version.number, "version_id": str(version.pk)}
        return Response({**reply, "object": "config"})

    def delete(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        actions.delete_config(queries.get_config(caller.workspace, slug), actor=caller.actor)
        return Response({"success": True})


class ConfigVersions(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",)}

    def get(self, request: Request, slug: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        return listing(request, queries.list_versions(config).select_related("config"), _version)
