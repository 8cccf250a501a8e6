"""Places in a workspace: invitations, roles, leaving. Each write is checked, in one transaction, with its audit event.

Only owners make, change and remove owners, and a workspace keeps its last one. Wrong values raise `InvalidRequest`, what the
actor may not do `Forbidden`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from keys import actions, audit, people, policy
from keys import validation as check
from keys.audit import Actor, System
from keys.models import ApiKey, Invitation, Member, Role, User, Workspace
from keys.people import SEAT
from keys.rows import save_new
from routing.errors import Forbidden, NotFound

INVITATION_LASTS = timedelta(days=7)
_TOKEN = re.compile(r"[\w-]{20,100}", re.ASCII)


def _manager(actor: Actor, workspace: Workspace) -> str:
    """The role that an actor has over members. A key has an admin's at most: it is nobody's vote among owners."""
    if isinstance(actor, System):
        return Role.OWNER
    if isinstance(actor, ApiKey):
        return Role.ADMIN
    role = Member.objects.filter(workspace=workspace, user=actor).values_list("role", flat=True).first()
    return role or ""


def _may(actor: Actor, workspace: Workspace, *roles: str) -> None:
    manager = _manager(actor, workspace)
    if not all(policy.may_manage_role(manager, role) for role in roles):
        raise Forbidden("Only an owner can make, change or remove an owner.", param="role")


# --- Invitations ------------------------------------------------------------------------------------------------------


def invite(*, workspace: Workspace, email: str, role: str, actor: Actor) -> tuple[Invitation, str]:
    """A held place, and the token of its link, which is shown this once."""
    values = check.clean({"email": email, "role": role}, SEAT)
    people.valid_email(values["email"])
    _may(actor, workspace, values["role"])
    if Member.objects.filter(workspace=workspace, user__email__iexact=values["email"]).exists():
        check.refuse("email", "belongs to this workspace already", code="already_exists", status=409)
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        workspace=workspace,
        token_hash=_hash(token),
        invited_by=audit.user_of(actor),
        expires_at=timezone.now() + INVITATION_LASTS,
        **values,
    )
    with transaction.atomic():
        save_new(invitation, "email")
        audit.record(actor, workspace, "invitation.create", invitation, role=invitation.role)
    return invitation, token


def renew(invitation: Invitation, *, actor: Actor) -> tuple[Invitation, str]:
    """A new link for another week; the old one is void."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        invitation = _open(invitation)
        _may(actor, invitation.workspace, invitation.role)
        invitation.token_hash, invitation.expires_at = _hash(token), timezone.now() + INVITATION_LASTS
        invitation.save(update_fields=["token_hash", "expires_at"])
        audit.record(actor, invitation.workspace, "invitation.renew", invitation)
    return invitation, token


def withdraw(invitation: Invitation, *, actor: Actor) -> None:
    with transaction.atomic():
        invitation = _open(invitation)
        _may(actor, invitation.workspace, invitation.role)
        audit.record(actor, invitation.workspace, "invitation.delete", invitation)
        invitation.delete()


def _open(invitation: Invitation) -> Invitation:
    found = Invitation.objects.select_for_update(of=("self",)).select_related("workspace").filter(pk=invitation.pk).first()
    if found is None or found.accepted_at is not None:
        check.refuse("invitation", "is accepted already", code="already_accepted", status=409)
    return found


def find_invitation(token: str) -> Invitation | None:
    """The invitation behind a link that is still good."""
    if not _TOKEN.fullmatch(token):
        return None
    rows = Invitation.objects.select_related("workspace")
    return rows.filter(token_hash=_hash(token), accepted_at=None, expires_at__gt=timezone.now()).first()


def accept(token: str, *, user: User | None = None, password: str = "") -> User:
    """Takes the place: as the person of that address, or as a new one with a password. Raises `NotFound` for a void link."""
    with transaction.atomic():
        found = find_invitation(token)
        invitation = None if found is None else Invitation.objects.select_for_update().filter(pk=found.pk).first()
        if invitation is None or invitation.accepted_at is not None:
            raise NotFound("This invitation is no longer good.")
        workspace = invitation.workspace
        if user is None:
            user = actions.create_user(email=invitation.email, password=password, workspace=workspace, role=invitation.role)
        elif user.email.casefold() != invitation.email.casefold():
            raise Forbidden("This invitation is for another address.")
        else:
            Member.objects.get_or_create(workspace=workspace, user=user, defaults={"role": invitation.role})
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
        audit.record(user, workspace, "invitation.accept", invitation, role=invitation.role)
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- Members ----------------------------------------------------------------------------------------------------------


def change_role(member: Member, role: str, *, actor: Actor) -> Member:
    values = check.clean({"role": role}, {"role": SEAT["role"]})
    with transaction.atomic():
        member = _locked(member)
        _may(actor, member.workspace, member.role, values["role"])
        if member.role == values["role"]:
            return member
        _keep_an_owner(member)
        before, member.role = member.role, values["role"]
        member.save(update_fields=["role"])
        audit.record(actor, member.workspace, "member.update", member.user, role=member.role, before=before)
    return member


def remove(member: Member, *, actor: Actor) -> None:
    """The person loses the workspace at once, and so do the keys that were theirs."""
    with transaction.atomic():
        member = _locked(member)
        _may(actor, member.workspace, member.role)
        _keep_an_owner(member)
        for key in ApiKey.objects.filter(workspace=member.workspace, sub_type="user", created_by=member.user, revoked_at=None):
            actions.revoke_api_key(key, actor=actor)
        audit.record(actor, member.workspace, "member.delete", member.user, role=member.role)
        member.delete()


def _locked(member: Member) -> Member:
    """The member as it is now; changes among a workspace's members wait for each other."""
    Workspace.objects.select_for_update().get(pk=member.workspace_id)
    found = Member.objects.select_related("workspace", "user").filter(pk=member.pk).first()
    if found is None:
        raise NotFound("There is no such member in this workspace.")
    return found


def _keep_an_owner(member: Member) -> None:
    """Raises `InvalidRequest` where the last owner would go."""
    owners = Member.objects.filter(workspace=member.workspace, role=Role.OWNER, user__is_active=True)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        check.refuse("role", "the last owner of a workspace stays one: make another owner first", code="last_owner", status=409)


# --- Workspaces -------------------------------------------------------------------------------------------------------


def found_workspace(name: str, *, actor: User) -> Workspace:
    """A new workspace with the actor as its owner."""
    base = slugify(name)[:50].strip("-_") or "workspace"
    slug = base if not Workspace.objects.filter(slug=base).exists() else f"{base}-{secrets.token_hex(4)}"
    with transaction.atomic():
        workspace = actions.create_workspace(slug=slug, name=name, actor=actor)
        Member.objects.create(workspace=workspace, user=actor, role=Role.OWNER)
    return workspace


def rename_workspace(workspace: Workspace, name: str, *, actor: Actor) -> Workspace:
    values = check.clean({"name": name}, {"name": check.text(150)})
    if workspace.name != values["name"]:
        with transaction.atomic():
            workspace.name = values["name"]
            workspace.save(update_fields=["name"])
            audit.record(actor, workspace, "workspace.update", workspace, changed=["name"])
    return workspace
