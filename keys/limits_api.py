"""The limits of a workspace as a whole, of its models and of the values of its calls' metadata, over the admin REST API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from keys import audit
from keys import validation as check
from keys.admin_auth import caller_of, check_workspace
from keys.audit import Actor
from keys.models import Workspace
from keys.rest import AdminView, body
from routing.announce import bump_snapshot


class WorkspaceLimits(AdminView):
    required_scopes: ClassVar = {"GET": ("workspaces.read",), "PUT": ("workspaces.update",)}

    def get(self, request: Request) -> Response:
        return Response(_shown(caller_of(request).workspace))

    def put(self, request: Request) -> Response:
        """Replaces all of them."""
        caller = caller_of(request)
        limits = body(request)
        check_workspace(limits.pop("workspace_id", None), caller.workspace)
        return Response({**_shown(set_limits(caller.workspace, limits, actor=caller.actor)), "success": True})


def set_limits(workspace: Workspace, limits: Any, *, actor: Actor) -> Workspace:
    """Raises `InvalidRequest` with the path of what is wrong."""
    values = check.workspace_limits(limits, "")
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=workspace.pk)
        workspace.limits = values
        workspace.save(update_fields=["limits"])
        audit.record(actor, workspace, "workspace.update", workspace, fields=["limits"])
        bump_snapshot()
    return workspace


def _shown(workspace: Workspace) -> dict[str, Any]:
    empty: dict[str, Any] = {"rate_limits": [], "usage_limits": None, "models": {}, "metadata": []}
    return {"object": "workspace-limits", "workspace_id": str(workspace.pk), **empty, **workspace.limits}
