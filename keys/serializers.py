"""Keys as the admin REST API shows them, in Portkey's words. A credential is only ever shown masked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from keys.models import ApiKey, Invitation, Member, VirtualKey, Workspace


def moment(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _status(*, revoked_at: datetime | None = None, paused_at: datetime | None = None, expires_at: datetime | None) -> str:
    if revoked_at is not None:
        return "revoked"
    if paused_at is not None:
        return "paused"
    return "expired" if expires_at is not None and expires_at <= timezone.now() else "active"


def api_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "object": "api-key",
        "key": key.masked,
        "name": key.name,
        "description": key.description,
        "type": f"{key.type}-{key.sub_type}",
        "workspace_id": key.workspace.slug,
        "user_id": None if key.created_by_id is None else str(key.created_by_id),
        "status": _status(revoked_at=key.revoked_at, expires_at=key.expires_at),
        "scopes": key.scopes,
        "rate_limits": key.rate_limits,
        "usage_limits": key.usage_limits or None,
        "defaults": key.defaults or None,
        "allowed_models": key.allowed_models or None,
        "allowed_virtual_keys": key.allowed_virtual_keys or None,
        "allowed_configs": key.allowed_configs or None,
        "allowed_ips": key.allowed_ips or None,
        "key_transition_expires_at": moment(key.previous_until),
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
        "last_updated_at": moment(key.updated_at),
    }


def virtual_key(key: VirtualKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "object": "virtual-key",
        "slug": key.slug,
        "name": key.name,
        "note": key.note or None,
        "provider": key.provider,
        "key": key.masked,
        "custom_host": key.options.get("custom_host"),
        "options": {name: value for name, value in key.options.items() if name != "custom_host"} | key.masked_options,
        "workspace_id": key.workspace.slug,
        "status": _status(paused_at=key.paused_at, expires_at=key.expires_at),
        "rate_limits": key.rate_limits,
        "usage_limits": key.usage_limits or None,
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
        "last_updated_at": moment(key.updated_at),
    }


def member(one: Member) -> dict[str, Any]:
    first, _, last = one.user.name.partition(" ")
    return {
        "id": str(one.user.pk),
        "object": "user",
        "email": one.user.email,
        "first_name": first,
        "last_name": last,
        "role": one.role,
        "workspace_ids": [one.workspace.slug],
        "created_at": moment(one.created_at),
        "last_updated_at": moment(one.created_at),
    }


def invitation(one: Invitation) -> dict[str, Any]:
    expired = one.expires_at <= timezone.now()
    return {
        "id": str(one.pk),
        "object": "invite",
        "email": one.email,
        "role": one.role,
        "status": "accepted" if one.accepted_at else "expired" if expired else "pending",
        "workspaces": [{"workspace_id": one.workspace.slug, "role": one.role}],
        "created_at": moment(one.created_at),
        "accepted_at": moment(one.accepted_at),
        "expires_at": moment(one.expires_at),
        "invited_by": str(one.invited_by_id) if one.invited_by_id else None,
    }


def workspace(one: Workspace) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "object": "workspace",
        "slug": one.slug,
        "name": one.name,
        "description": None,
        "created_at": moment(one.created_at),
        "last_updated_at": moment(one.created_at),
    }
