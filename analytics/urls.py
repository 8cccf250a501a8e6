"""The REST API of the request log, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from analytics import admin_api

rest: list[URLPattern] = [
    path("logs", admin_api.Logs.as_view()),
    path("logs/<str:log_id>", admin_api.LogDetail.as_view()),
]
