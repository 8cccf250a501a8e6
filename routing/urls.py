"""The admin REST API of routing, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from routing import admin_api

rest: list[URLPattern] = [
    path("configs", admin_api.Configs.as_view()),
    path("configs/<str:slug>", admin_api.ConfigDetail.as_view()),
    path("configs/<str:slug>/versions", admin_api.ConfigVersions.as_view()),
]
