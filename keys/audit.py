"""Who acts, and the written trace of it."""

from __future__ import annotations

import enum
from typing import Any, Final

from django.db import models

from keys.models import ApiKey, AuditEvent, User, Workspace


class System(enum.Enum):
    """The installation itself, as an actor: the first start and scheduled work."""

    SYSTEM = "system"


SYSTEM: Final = System.SYSTEM
Actor = User | ApiKey | System


def label(actor: Actor) -> str:
    """The actor's name at this moment, kept beside the reference so that the trace outlives the account."""
    match actor:
        case User():
            return actor.email[:200]
        case ApiKey():
            return f"API key {actor.name} ({actor.masked})"[:200]
        case System():
            return "system"


def user_of(actor: Actor) -> User | None:
    return actor if isinstance(actor, User) else None


def record(actor: Actor, workspace: Workspace, action: str, obj: models.Model, **details: Any) -> None:
    """Adds one event. `details` must hold no secret: name the fields that changed, not what a credential became."""
    AuditEvent.objects.create(
        workspace=workspace,
        actor=user_of(actor),
        actor_label=label(actor),
        action=action,
        object_type=obj._meta.model_name or "",
        object_id=str(obj.pk),
        object_label=str(obj)[:200],
        details=details,
    )
