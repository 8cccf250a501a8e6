"""The routes of model calls, mounted below `/v1/` and at the root: SDKs are given either as base URL."""

from __future__ import annotations

from django.urls import URLPattern, path

from routing.api import schemas
from routing.api.views import ModelCallView, ModelsView, ModelView, ProxyView, RealtimeView
from routing.call import Endpoint

# Calls whose route is their endpoint. All are POST.
_CALLS = (
    Endpoint.CHAT,
    Endpoint.COMPLETIONS,
    Endpoint.EMBEDDINGS,
    Endpoint.MESSAGES,
    Endpoint.COUNT_TOKENS,
    Endpoint.RESPONSES,
    Endpoint.MODERATIONS,
    Endpoint.RERANK,
    Endpoint.IMAGES,
    Endpoint.IMAGE_EDITS,
    Endpoint.IMAGE_VARIATIONS,
    Endpoint.SPEECH,
    Endpoint.TRANSCRIPTIONS,
    Endpoint.TRANSLATIONS,
)
# What a provider keeps: the route, the kind of call, and the methods that the route knows. An id may hold slashes.
_RESOURCES = (
    ("responses/<path:id>/input_items", Endpoint.RESPONSES, ("GET",)),
    ("responses/<path:id>/cancel", Endpoint.RESPONSES, ("POST",)),
    ("responses/<path:id>", Endpoint.RESPONSES, ("GET", "DELETE")),
    ("files", Endpoint.FILES, ("GET", "POST")),
    ("files/<path:id>/content", Endpoint.FILES, ("GET",)),
    ("files/<path:id>", Endpoint.FILES, ("GET", "DELETE")),
    ("batches", Endpoint.BATCHES, ("GET", "POST")),
    ("batches/<path:id>/cancel", Endpoint.BATCHES, ("POST",)),
    ("batches/<path:id>/output", Endpoint.BATCHES, ("GET",)),
    ("batches/<path:id>", Endpoint.BATCHES, ("GET",)),
    ("fine_tuning/jobs", Endpoint.FINE_TUNING, ("GET", "POST")),
    ("fine_tuning/jobs/<str:id>/cancel", Endpoint.FINE_TUNING, ("POST",)),
    ("fine_tuning/jobs/<str:id>/pause", Endpoint.FINE_TUNING, ("POST",)),
    ("fine_tuning/jobs/<str:id>/resume", Endpoint.FINE_TUNING, ("POST",)),
    ("fine_tuning/jobs/<str:id>/events", Endpoint.FINE_TUNING, ("GET",)),
    ("fine_tuning/jobs/<str:id>/checkpoints", Endpoint.FINE_TUNING, ("GET",)),
    ("fine_tuning/jobs/<path:id>", Endpoint.FINE_TUNING, ("GET",)),
)

model_calls: list[URLPattern] = [
    *(path(endpoint.value, ModelCallView.as_view(endpoint=endpoint)) for endpoint in _CALLS),
    *(
        path(route, ModelCallView.as_view(endpoint=endpoint, methods=frozenset(methods), resource=True))
        for route, endpoint, methods in _RESOURCES
    ),
    path("realtime", RealtimeView.as_view()),
    path("models", ModelsView.as_view()),
    path("schemas/config", schemas.config),
    path("models/<path:name>", ModelView.as_view()),
    path("proxy/<path:path>", ProxyView.as_view()),
]
