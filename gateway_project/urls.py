"""The whole address space: model calls and the admin REST API (below `/v1/` and at the root), health, and the console."""

from __future__ import annotations

from django.urls import include, path, re_path

from analytics.urls import rest as analytics_rest
from gateway_project import health
from keys.urls import rest as keys_rest
from routing.api.urls import model_calls
from routing.api.views import UnknownRouteView
from routing.urls import rest as routing_rest

api = [*model_calls, *keys_rest, *routing_rest, *analytics_rest]

urlpatterns = [
    path("health", health.health),
    path("ready", health.ready),
    path("v1/", include(api)),
    path("", include(api)),
    re_path(r"^/*v1(/|$)", UnknownRouteView.as_view()),
    path("", include("gateway_project.console_urls")),
]
