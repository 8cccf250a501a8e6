"""The REST API of the request log and of alerts, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from analytics import admin_api
from analytics.alerts import admin_api as alerts

rest: list[URLPattern] = [
    path("logs", admin_api.Logs.as_view()),
    path("logs/<str:log_id>", admin_api.LogDetail.as_view()),
    path("alerts", alerts.Alerts.as_view()),
    path("alerts/preview", alerts.AlertPreview.as_view()),
    path("alerts/<str:alert_id>", alerts.AlertDetail.as_view()),
    path("alert-channels", alerts.AlertChannels.as_view()),
    path("alert-channels/<str:name>", alerts.AlertChannelDetail.as_view()),
    path("alert-channels/<str:name>/test", alerts.AlertChannelTest.as_view()),
    path("alert-incidents", alerts.AlertIncidents.as_view()),
    path("alert-deliveries", alerts.AlertDeliveries.as_view()),
]
