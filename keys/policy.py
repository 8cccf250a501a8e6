"""Who may do what: the only place where a role or a key's scopes become permissions.

A permission is named by a scope, in Portkey's words. A user has the permissions of the role held in the workspace, an API key
has those among its scopes. docs/admin-api.md lists them for users.
"""

from __future__ import annotations

from collections.abc import Iterable

from keys.audit import Actor, System
from keys.models import ApiKey, Member, Role, Workspace
from routing.errors import Forbidden

_CRUD = ("create", "list", "read", "update", "delete")


def _crud(*areas: str) -> frozenset[str]:
    return frozenset(f"{area}.{verb}" for area in areas for verb in _CRUD)


API_KEY_AREAS = {"service": "workspace_service_api_keys", "user": "workspace_user_api_keys"}
_RESOURCES = _crud("configs", "virtual_keys", "alerts")
_ADMINISTRATION = _crud(*API_KEY_AREAS.values(), "workspace_users") | {
    "workspaces.read",
    "workspaces.update",
    "audit_logs.list",
}
_INSIGHT = frozenset({"logs.list", "logs.view", "logs.export", "analytics.view"})

ALL_SCOPES = frozenset({"completions.write"}) | _RESOURCES | _ADMINISTRATION | _INSIGHT
# In use with Portkey, and accepted so that its scope lists can be sent as they are; here they open nothing.
INERT_SCOPES = frozenset(
    {
        "logs.write",
        "virtual_keys.copy",
        "virtual_keys.duplicate",
        "workspaces.create",
        "workspaces.delete",
        "workspaces.list",
    }
    | _crud("prompts", "prompt_partials", "guardrails", "providers", "collections", "labels")
    | _crud("organisation_users", "organisation_service_api_keys", "integrations", "policies")
    | {"prompts.publish", "prompts.render", "guardrails.invoke", "mcp.invoke", "agents.invoke"}
)
# What a key may do when nobody says: call models, and nothing else.
DEFAULT_SCOPES = ("completions.write",)

_VIEWER = frozenset({"logs.list", "logs.view", "analytics.view", "workspaces.read"}) | {
    f"{area}.{verb}"
    for area in ("configs", "virtual_keys", "alerts", *API_KEY_AREAS.values(), "workspace_users")
    for verb in ("list", "read")
}
_ROLES: dict[str, frozenset[str]] = {
    Role.OWNER: ALL_SCOPES,
    Role.ADMIN: ALL_SCOPES,
    Role.EDITOR: _VIEWER | _RESOURCES | _INSIGHT | {"completions.write"},
    Role.VIEWER: _VIEWER,
}


def role_permissions(role: str) -> frozenset[str]:
    """The scopes of a role; none for a role that does not exist."""
    return _ROLES.get(role, frozenset())


def permissions(actor: Actor, workspace: Workspace) -> frozenset[str]:
    """What the actor may do in the workspace: nothing, where it does not belong."""
    if isinstance(actor, System):
        return ALL_SCOPES
    if isinstance(actor, ApiKey):
        return frozenset(actor.scopes) & ALL_SCOPES if actor.workspace_id == workspace.pk else frozenset()
    role = Member.objects.filter(workspace=workspace, user=actor, user__is_active=True).values_list("role", flat=True).first()
    return role_permissions(role or "")


def check_grant(actor: Actor, workspace: Workspace, scopes: Iterable[str]) -> None:
    """Refuses scopes that the actor does not hold itself: nobody hands out more than they have. Raises `Forbidden`."""
    beyond = (frozenset(scopes) & ALL_SCOPES) - permissions(actor, workspace)
    if beyond:
        raise Forbidden(f"you cannot grant scopes that you do not have: {', '.join(sorted(beyond))}", param="scopes")


def may_manage_role(manager: str, role: str) -> bool:
    """Whether a member with the first role may give, change or take the second: only owners touch owners."""
    return manager == Role.OWNER or (manager == Role.ADMIN and role != Role.OWNER)
