"""The REST API of the request log and of alerts, without the version in front: it is mounted below ``v1/`` and at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from analytics import admin_api, ledger_api, price_api
from analytics.alerts import admin_api as alerts

rest: list[URLPattern] = [
    path("logs", admin_api.Logs.as_view()),
    path("logs/<str:log_id>", admin_api.LogDetail.as_view()),
    path("traces/<path:trace_id>", ledger_api.TraceDetail.as_view()),
    path("feedback", ledger_api.FeedbackList.as_view()),
    path("feedback/<str:feedback_id>", ledger_api.FeedbackDetail.as_view()),
    path("prices", price_api.Prices.as_view()),
    path("prices/preview", price_api.PricePreview.as_view()),
    path("prices/reprice", price_api.Reprice.as_view()),
    path("prices/<str:price_id>", price_api.PriceDetail.as_view()),
    path("invoices/<str:month>", ledger_api.Invoice.as_view()),
    path("retention", ledger_api.RetentionDetail.as_view()),
    path("personal-data", ledger_api.PersonExport.as_view()),
    path("personal-data/erase", ledger_api.PersonErasure.as_view()),
    path("alerts", alerts.Alerts.as_view()),
    path("alerts/preview", alerts.AlertPreview.as_view()),
    path("alerts/<str:alert_id>", alerts.AlertDetail.as_view()),
    path("alert-channels", alerts.AlertChannels.as_view()),
    path("alert-channels/<str:name>", alerts.AlertChannelDetail.as_view()),
    path("alert-channels/<str:name>/test", alerts.AlertChannelTest.as_view()),
    path("alert-incidents", alerts.AlertIncidents.as_view()),
    path("alert-deliveries", alerts.AlertDeliveries.as_view()),
]
