"""The routes of model calls, mounted below `/v1/` and at the root: SDKs are given either as base URL."""

from __future__ import annotations

from django.urls import path

from routing.api.views import ChatCompletionsView, CompletionsView, EmbeddingsView, ModelsView

model_calls = [
    path("chat/completions", ChatCompletionsView.as_view()),
    path("completions", CompletionsView.as_view()),
    path("embeddings", EmbeddingsView.as_view()),
    path("models", ModelsView.as_view()),
]
