"""The admin REST API of routing configs: reads a request, calls an action or a query, and answers as Portkey does."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.models import ApiKey
from keys.rest import AdminView, body, listing, query
from keys.serializers import moment
from routing import actions, diff, queries, trial
from routing.errors import InvalidConfig
from routing.models import Config, ConfigLabel, ConfigVersion

_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})"?')


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
        "labels": {label.name: label.version.number for label in config.labels.all()},
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
        "checksum": version.checksum,
        "labels": [label.name for label in version.labels.all()],
        "comment": version.comment or None,
        "author": version.author_label,
        "created_at": moment(version.created_at),
    }


def _label(label: ConfigLabel) -> dict[str, Any]:
    return {
        "object": "config-label",
        "label": label.name,
        "version": label.version.number,
        "checksum": label.version.checksum,
        "moved_by": label.moved_by,
        "moved_at": moment(label.moved_at),
        "created_at": moment(label.created_at),
    }


def _user(key: ApiKey) -> dict[str, Any]:
    return {"object": "api-key", "id": str(key.pk), "name": key.name, "config_id": key.defaults["config_id"]}


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


def _whole(value: Any, path: str) -> int:
    number: int = check.positive_int(value, path)
    return number


def _expected(request: Request, fields: dict[str, Any]) -> int | None:
    """The version that the writer has seen in force: `expected_version` in the body, or the ETag in ``If-Match``."""
    given = [_whole(fields.pop("expected_version"), "expected_version")] if "expected_version" in fields else []
    header = request.headers.get("if-match", "*").strip()
    if header != "*":
        match = _ETAG.fullmatch(header)
        if match is None:
            check.refuse("If-Match", 'must be the ETag of the config, such as "3"')
        given.append(int(match[1]))
    if len(set(given)) > 1:
        check.refuse("expected_version", f"is {given[0]}, but If-Match says {given[1]}")
    return given[0] if given else None


def _forced(request: Request) -> bool:
    force = query(request, "force", "workspace_id").get("force", "false")
    if force not in ("true", "false", "1", "0"):
        check.refuse("force", "must be true or false")
    return force in ("true", "1")


class Configs(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.list",), "POST": ("configs.create",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_configs(caller_of(request).workspace), _summary)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "name", "config", "is_default", "comment", "slug")
        check.require(fields, "name", "config")
        config, version = actions.create_config(workspace=caller.workspace, actor=caller.actor, **fields)
        return _saved(config, version)


class ConfigDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",), "PUT": ("configs.update",), "DELETE": ("configs.delete",)}

    def get(self, request: Request, slug: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        version = queries.get_version(config)
        extra = {
            "config": version.body,
            "version_id": str(version.pk),
            "checksum": version.checksum,
            "updated_by": version.author_label,
            "used_by": [_user(key) for key in queries.keys_that_name(config)],
        }
        return Response({**_summary(config), **extra}, headers={"ETag": f'"{config.version}"'})

    def put(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        config = queries.get_config(caller.workspace, slug)
        fields = _fields(request, caller, "slug", "name", "config", "status", "is_default", "comment", "expected_version")
        expected = _expected(request, fields)
        if fields.pop("slug", config.slug) not in (config.slug, str(config.pk)):
            check.refuse("slug", "cannot be changed: applications name the config by it")
        if fields.pop("status", "active") != "active":
            check.refuse("status", "can only be active; delete the config to take it out of use")
        if "config" in fields:
            fields["body"] = fields.pop("config")
        config, version = actions.update_config(config, actor=caller.actor, expected_version=expected, **fields)
        return _saved(config, version)

    def delete(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        force = _forced(request)
        actions.delete_config(queries.get_config(caller.workspace, slug), actor=caller.actor, force=force)
        return Response({"success": True})


def _saved(config: Config, version: ConfigVersion) -> Response:
    reply = {"id": str(config.pk), "slug": config.slug, "version": version.number, "version_id": str(version.pk)}
    return Response({**reply, "checksum": version.checksum, "object": "config"}, headers={"ETag": f'"{version.number}"'})


class ConfigVersions(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",)}

    def get(self, request: Request, slug: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        return listing(request, queries.list_versions(config).select_related("config"), _version)


class ConfigVersionDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",)}

    def get(self, request: Request, slug: str, version: str) -> Response:
        return Response(_version(queries.find_version(queries.get_config(caller_of(request).workspace, slug), version)))


class ConfigDiff(AdminView):
    """What leads from one version to another; each by its number or label."""

    required_scopes: ClassVar = {"GET": ("configs.read",)}

    def get(self, request: Request, slug: str, version: str, other: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        before, after = queries.find_version(config, version), queries.find_version(config, other)
        ends = {
            name: {"version": end.number, "checksum": end.checksum, "author": end.author_label}
            for name, end in (("from", before), ("to", after))
        }
        return Response({"object": "config-diff", **ends, "changes": diff.operations(before.body, after.body)})


class ConfigRollback(AdminView):
    required_scopes: ClassVar = {"POST": ("configs.update",)}

    def post(self, request: Request, slug: str) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "version", "comment", "expected_version")
        expected = _expected(request, fields)
        check.require(fields, "version")
        number = _whole(fields.pop("version"), "version")
        config = queries.get_config(caller.workspace, slug)
        return _saved(*actions.rollback_config(config, number, actor=caller.actor, expected_version=expected, **fields))


class ConfigValidation(AdminView):
    """Whether a config could be saved; it is not."""

    required_scopes: ClassVar = {"POST": ("configs.read",)}

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "config")
        check.require(fields, "config")
        try:
            canonical = actions.check_config(caller.workspace, fields["config"])
        except InvalidConfig as error:
            return Response({"object": "config-validation", "valid": False, **error.body()})
        answer = {"config": canonical, "checksum": actions.checksum(canonical)}
        return Response({"object": "config-validation", "valid": True, **answer})


class ConfigDryRun(AdminView):
    """What a call would do, without calling anyone: through any config, or with a slug through that one."""

    required_scopes: ClassVar = {"POST": ("configs.read",)}

    def post(self, request: Request, slug: str | None = None) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "request", *(("config",) if slug is None else ("version",)))
        check.require(fields, "request")
        config = fields.get("config")
        if slug is not None:
            row = queries.get_config(caller.workspace, slug)
            version = fields.get("version")
            config = row.slug if version is None else f"{row.slug}@{queries.find_version(row, str(version)).number}"
        elif config is not None and not isinstance(config, str | dict):
            check.refuse("config", "must be an object, or the name of a saved config")
        return Response(trial.run(caller.workspace, caller.actor, config, fields["request"]))


class ConfigLabels(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",)}

    def get(self, request: Request, slug: str) -> Response:
        config = queries.get_config(caller_of(request).workspace, slug)
        return listing(request, config.labels.select_related("version"), _label)


class ConfigLabelDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("configs.read",), "PUT": ("configs.update",), "DELETE": ("configs.update",)}

    def get(self, request: Request, slug: str, label: str) -> Response:
        return Response(_label(queries.get_label(queries.get_config(caller_of(request).workspace, slug), label)))

    def put(self, request: Request, slug: str, label: str) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, "version")
        check.require(fields, "version")
        config = queries.get_config(caller.workspace, slug)
        return Response(_label(actions.set_label(config, label, _whole(fields["version"], "version"), actor=caller.actor)))

    def delete(self, request: Request, slug: str, label: str) -> Response:
        caller = caller_of(request)
        force = _forced(request)
        config = queries.get_config(caller.workspace, slug)
        actions.delete_label(queries.get_label(config, label), actor=caller.actor, force=force)
        return Response({"success": True})
