"""The admin REST API alone, mounted as gateway_project.urls mounts it."""

from __future__ import annotations

from django.urls import include, path

from analytics.urls import rest as analytics_rest
from keys.urls import rest as keys_rest
from routing.urls import rest as routing_rest

_rest = [*keys_rest, *routing_rest, *analytics_rest]
urlpatterns = [path("v1/", include(_rest)), path("", include(_rest))]
