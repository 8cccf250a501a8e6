"""The admin REST API of routing, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from routing import admin_api

rest: list[URLPattern] = [
    path("configs", admin_api.Configs.as_view()),
    path("configs/validate", admin_api.ConfigValidation.as_view()),
    path("configs/dry-run", admin_api.ConfigDryRun.as_view()),
    path("configs/<str:slug>", admin_api.ConfigDetail.as_view()),
    path("configs/<str:slug>/versions", admin_api.ConfigVersions.as_view()),
    path("configs/<str:slug>/versions/<str:version>", admin_api.ConfigVersionDetail.as_view()),
    path("configs/<str:slug>/versions/<str:version>/diff/<str:other>", admin_api.ConfigDiff.as_view()),
    path("configs/<str:slug>/dry-run", admin_api.ConfigDryRun.as_view()),
    path("configs/<str:slug>/rollback", admin_api.ConfigRollback.as_view()),
    path("configs/<str:slug>/labels", admin_api.ConfigLabels.as_view()),
    path("configs/<str:slug>/labels/<str:label>", admin_api.ConfigLabelDetail.as_view()),
]
