"""The admin REST API of people and workspaces, as Portkey's SDK calls it. A caller sees its own workspace and no other."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from keys import queries, serializers, team
from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.models import Invitation, Member, Workspace
from keys.rest import MAX_PAGE, AdminView, body, query, whole
from routing.errors import InvalidRequest

_PAGES = ("pageSize", "page_size", "currentPage", "current_page", "workspace_id")


def _caller(request: Request, workspace_id: str | None) -> Caller:
    """The caller, whose own workspace the path names. Raises `NotFound`."""
    caller = caller_of(request)
    check_workspace(workspace_id, caller.workspace)
    return caller


def _pages(values: dict[str, str], rows: QuerySet[Any], to_json: Any) -> Response:
    """A list, with the parameters of its pages in either spelling that the SDK uses."""
    size_name = "pageSize" if "pageSize" in values else "page_size"
    page_name = "currentPage" if "currentPage" in values else "current_page"
    size = whole(values, size_name, MAX_PAGE, 1, MAX_PAGE)
    first = whole(values, page_name, 0, 0, 10**6) * size
    return Response({"object": "list", "total": rows.count(), "data": [to_json(row) for row in rows[first : first + size]]})


def _fields(request: Request, caller: Caller, *known: str) -> dict[str, Any]:
    """The body's known fields. The SDK sends null for what its user did not say."""
    fields = {name: value for name, value in body(request).items() if value is not None}
    check_workspace(fields.pop("workspace_id", None), caller.workspace)
    check.clean(fields, dict.fromkeys(known, lambda value, _path: value))
    return fields


class Users(AdminView):
    required_scopes: ClassVar = {"GET": ("workspace_users.list",), "POST": ("workspace_users.create",)}

    def get(self, request: Request, workspace_id: str | None = None) -> Response:
        caller = _caller(request, workspace_id)
        values = query(request, *_PAGES, "email", "role")
        rows = queries.list_members(caller.workspace)
        if values.get("email"):
            rows = rows.filter(user__email__iexact=values["email"])
        if values.get("role"):
            rows = rows.filter(role=values["role"])
        return _pages(values, rows, serializers.member)

    def post(self, request: Request, workspace_id: str | None = None) -> Response:
        """People are invited, so that nobody is put where they do not want to be."""
        _caller(request, workspace_id)
        raise InvalidRequest("People join by invitation: POST /admin/users/invites.", code="invitation_needed")


class UserDetail(AdminView):
    required_scopes: ClassVar = {
        "GET": ("workspace_users.read",),
        "PUT": ("workspace_users.update",),
        "DELETE": ("workspace_users.delete",),
    }

    def _member(self, request: Request, user_id: str, workspace_id: str | None) -> tuple[Caller, Member]:
        caller = _caller(request, workspace_id)
        return caller, queries.get_member(caller.workspace, user_id)

    def get(self, request: Request, user_id: str, workspace_id: str | None = None) -> Response:
        return Response(serializers.member(self._member(request, user_id, workspace_id)[1]))

    def put(self, request: Request, user_id: str, workspace_id: str | None = None) -> Response:
        caller, member = self._member(request, user_id, workspace_id)
        fields = _fields(request, caller, "role")
        check.require(fields, "role")
        return Response({**serializers.member(team.change_role(member, fields["role"], actor=caller.actor)), "success": True})

    def delete(self, request: Request, user_id: str, workspace_id: str | None = None) -> Response:
        caller, member = self._member(request, user_id, workspace_id)
        team.remove(member, actor=caller.actor)
        return Response({"success": True})


def invitation_link(request: Any, token: str) -> str:
    """Where the invited person takes the place."""
    return str(request.build_absolute_uri(reverse("console:invitation", args=[token])))


class Invites(AdminView):
    required_scopes: ClassVar = {"GET": ("workspace_users.list",), "POST": ("workspace_users.create",)}

    def get(self, request: Request) -> Response:
        values = query(request, *_PAGES, "email", "role", "status")
        rows = queries.list_invitations(caller_of(request).workspace)
        if values.get("email"):
            rows = rows.filter(email__iexact=values["email"])
        if values.get("role"):
            rows = rows.filter(role=values["role"])
        return _pages(values, rows, serializers.invitation)

    def post(self, request: Request) -> Response:
        """`workspaces`, as the SDK sends them, can only name the caller's own; its role there goes before `role`."""
        caller = caller_of(request)
        fields = _fields(request, caller, "email", "role", "workspaces")
        role = fields.get("role", "viewer")
        for index, one in enumerate(check.listed(fields.get("workspaces", []), "workspaces")):
            place = check.clean(check.mapping(one, f"workspaces[{index}]"), _PLACE, f"workspaces[{index}]")
            check_workspace(place.get("id"), caller.workspace)
            role = place.get("role", role)
        check.require(fields, "email")
        invitation, token = team.invite(workspace=caller.workspace, email=fields["email"], role=role, actor=caller.actor)
        return Response({**serializers.invitation(invitation), "invite_link": invitation_link(request, token)})


_PLACE: dict[str, check.Check] = {"id": check.text(64), "role": check.text(16)}


class InviteDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("workspace_users.read",), "DELETE": ("workspace_users.delete",)}

    def _invitation(self, request: Request, invite_id: str) -> Invitation:
        return queries.get_invitation(caller_of(request).workspace, invite_id)

    def get(self, request: Request, invite_id: str) -> Response:
        return Response(serializers.invitation(self._invitation(request, invite_id)))

    def delete(self, request: Request, invite_id: str) -> Response:
        team.withdraw(self._invitation(request, invite_id), actor=caller_of(request).actor)
        return Response({"success": True})


class InviteResend(AdminView):
    required_scopes: ClassVar = {"POST": ("workspace_users.create",)}

    def post(self, request: Request, invite_id: str) -> Response:
        caller = caller_of(request)
        invitation, token = team.renew(queries.get_invitation(caller.workspace, invite_id), actor=caller.actor)
        return Response({**serializers.invitation(invitation), "invite_link": invitation_link(request, token), "success": True})


class Workspaces(AdminView):
    required_scopes: ClassVar = {"GET": ("workspaces.read",)}

    def get(self, request: Request) -> Response:
        values = query(request, *_PAGES, "name", "exact_name")
        rows = Workspace.objects.filter(pk=caller_of(request).workspace.pk)
        if values.get("name"):
            rows = rows.filter(name__icontains=values["name"])
        if values.get("exact_name"):
            rows = rows.filter(name=values["exact_name"])
        return _pages(values, rows, serializers.workspace)


class WorkspaceDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("workspaces.read",), "PUT": ("workspaces.update",)}

    def get(self, request: Request, workspace_id: str) -> Response:
        workspace = _caller(request, workspace_id).workspace
        users = [serializers.member(one) for one in queries.list_members(workspace)]
        return Response({**serializers.workspace(workspace), "users": users})

    def put(self, request: Request, workspace_id: str) -> Response:
        caller = _caller(request, workspace_id)
        fields = _fields(request, caller, "name")
        check.require(fields, "name")
        workspace = team.rename_workspace(caller.workspace, fields["name"], actor=caller.actor)
        return Response({**serializers.workspace(workspace), "success": True})
