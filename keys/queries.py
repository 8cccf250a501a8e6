"""Every read of people and keys. Each is bound to a workspace: what belongs to another one does not exist."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from keys.actions import hash_api_key
from keys.models import ApiKey, AuditEvent, Invitation, Member, User, VirtualKey, Workspace
from routing.errors import NotFound

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def named(text: str) -> Q | None:
    """The condition for a row called by its slug or its id; None for a text that can be neither."""
    if not _NAME.fullmatch(text):
        return None
    try:
        return Q(slug=text) | Q(pk=uuid.UUID(text))
    except ValueError:
        return Q(slug=text)


def find_live_api_key(raw: str) -> ApiKey | None:
    """The key behind what a caller presents, unless it is revoked or expired."""
    now, hashed = timezone.now(), hash_api_key(raw)
    live = Q(expires_at=None) | Q(expires_at__gt=now)
    this = Q(key_hash=hashed) | Q(previous_hash=hashed, previous_until__gt=now)
    return ApiKey.objects.select_related("workspace", "created_by").filter(live, this, revoked_at=None).first()


def list_api_keys(workspace: Workspace) -> QuerySet[ApiKey]:
    """Newest first."""
    return ApiKey.objects.filter(workspace=workspace).select_related("workspace", "created_by")


def get_api_key(workspace: Workspace, key_id: str) -> ApiKey:
    """Raises `NotFound`."""
    try:
        key = list_api_keys(workspace).filter(pk=uuid.UUID(key_id)).first()
    except ValueError:
        key = None
    if key is None:
        raise NotFound(f"There is no API key {key_id[:100]!r} in this workspace.")
    return key


def list_virtual_keys(workspace: Workspace) -> QuerySet[VirtualKey]:
    """Newest first."""
    return VirtualKey.objects.filter(workspace=workspace).select_related("workspace", "created_by")


def get_virtual_key(workspace: Workspace, name: str) -> VirtualKey:
    """By slug or id. Raises `NotFound`."""
    condition = named(name)
    key = list_virtual_keys(workspace).filter(condition).first() if condition else None
    if key is None:
        raise NotFound(f"There is no virtual key {name[:100]!r} in this workspace.")
    return key


def list_members(workspace: Workspace) -> QuerySet[Member]:
    """In the order they joined."""
    return Member.objects.filter(workspace=workspace).select_related("user", "workspace").order_by("created_at", "pk")


def get_member(workspace: Workspace, user_id: str) -> Member:
    """By the person's id. Raises `NotFound`."""
    try:
        member = list_members(workspace).filter(user_id=uuid.UUID(user_id)).first()
    except ValueError:
        member = None
    if member is None:
        raise NotFound(f"There is no member {user_id[:100]!r} in this workspace.")
    return member


def list_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    """Newest first, accepted ones too."""
    return Invitation.objects.filter(workspace=workspace).select_related("workspace", "invited_by")


def get_invitation(workspace: Workspace, invitation_id: str) -> Invitation:
    """Raises `NotFound`."""
    try:
        invitation = list_invitations(workspace).filter(pk=uuid.UUID(invitation_id)).first()
    except ValueError:
        invitation = None
    if invitation is None:
        raise NotFound(f"There is no invitation {invitation_id[:100]!r} in this workspace.")
    return invitation


def memberships(user: User) -> QuerySet[Member]:
    """The workspaces of a person, with the role in each, oldest membership first."""
    return Member.objects.filter(user=user).select_related("workspace").order_by("created_at", "pk")


def list_audit(workspace: Workspace, *, before: datetime | None = None) -> QuerySet[AuditEvent]:
    """Newest first; `before` continues after a page."""
    events = AuditEvent.objects.filter(workspace=workspace).select_related("actor").order_by("-at", "-pk")
    return events.filter(at__lt=before) if before else events
