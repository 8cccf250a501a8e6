"""Every write to people and their places in workspaces: checked, in one transaction, with its audit event.

Permission to act at all is for the caller to check (keys/policy.py); that nobody gives, changes or takes a role beyond their
own is checked here. Wrong values raise `InvalidRequest`. Gateways know no people, so the snapshot stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from keys import audit
from keys import validation as check
from keys.audit import SYSTEM, Actor
from keys.models import Member, Role, User, Workspace
from keys.rows import save_new
from routing.announce import bump_snapshot

SEAT: dict[str, check.Check] = {"email": check.text(254), "role": check.one_of(tuple(Role.values))}
_WORKSPACE: dict[str, check.Check] = {"slug": check.slug(64), "name": check.text(150)}


def create_workspace(*, slug: str, name: str, actor: Actor = SYSTEM) -> Workspace:
    values = check.clean({"slug": slug, "name": name}, _WORKSPACE)
    workspace = Workspace(**values)
    with transaction.atomic():
        save_new(workspace, "slug")
        audit.record(actor, workspace, "workspace.create", workspace)
        bump_snapshot()
    return workspace


def create_user(*, email: str, password: str, workspace: Workspace, role: str, actor: Actor = SYSTEM) -> User:
    """A new person with a role in the workspace. Gateways know no users, so the snapshot stays as it is."""
    values = check.clean({"email": email, "role": role}, SEAT)
    user = User(email=User.objects.normalize_email(values["email"]))
    valid_email(user.email)
    _valid("password", validate_password, password, user)
    user.set_password(password)
    with transaction.atomic():
        save_new(user, "email")
        member = Member.objects.create(workspace=workspace, user=user, role=values["role"])
        audit.record(actor, workspace, "user.create", user, role=member.role)
    return user


def valid_email(email: str) -> None:
    """Raises `InvalidRequest`."""
    _valid("email", validate_email, email)


def _valid(field: str, validate: Callable[..., None], *args: Any) -> None:
    """Django's validators in our words."""
    try:
        validate(*args)
    except ValidationError as error:
        check.refuse(field, " ".join(error.messages))
