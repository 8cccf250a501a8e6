"""The admin REST API of keys, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from keys import admin_api, limits_api, team_api

rest: list[URLPattern] = [
    path("admin/users", team_api.Users.as_view()),
    path("admin/users/invites", team_api.Invites.as_view()),
    path("admin/users/invites/<str:invite_id>", team_api.InviteDetail.as_view()),
    path("admin/users/invites/<str:invite_id>/resend", team_api.InviteResend.as_view()),
    path("admin/users/<str:user_id>", team_api.UserDetail.as_view()),
    path("admin/workspaces", team_api.Workspaces.as_view()),
    path("admin/workspaces/<str:workspace_id>", team_api.WorkspaceDetail.as_view()),
    path("admin/workspaces/<str:workspace_id>/users", team_api.Users.as_view()),
    path("admin/workspaces/<str:workspace_id>/users/<str:user_id>", team_api.UserDetail.as_view()),
    path("virtual-keys", admin_api.VirtualKeys.as_view()),
    path("virtual-keys/<str:slug>", admin_api.VirtualKeyDetail.as_view()),
    path("workspace-limits", limits_api.WorkspaceLimits.as_view()),
    path("virtual-keys/<str:slug>/test", admin_api.VirtualKeyTest.as_view()),
    path("api-keys", admin_api.ApiKeys.as_view()),
    path("api-keys/<str:key_id>", admin_api.ApiKeyDetail.as_view()),
    path("api-keys/<str:key_id>/rotate", admin_api.ApiKeyRotation.as_view()),
    path("api-keys/<str:kind>/<str:sub_type>", admin_api.ApiKeyCreate.as_view()),
]
