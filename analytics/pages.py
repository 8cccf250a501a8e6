"""The console's pages of what happened: the overview, the log and one call of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET

from analytics import log_view, queries
from analytics.feedback import of_traces
from analytics.forms import LogFilterForm
from analytics.models import RequestLog
from analytics.today import today
from keys.console import PAGE_SIZE, Seat, page
from keys.models import ApiKey, VirtualKey
from keys.queries import list_api_keys, list_virtual_keys
from routing.models import Config
from routing.providers import table
from routing.queries import list_configs

_LATEST = 8
_LOG_PAGE = 2 * PAGE_SIZE


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the log's table."""

    log: RequestLog
    tokens: int
    key: str
    fell_back: bool


def _rows(seat: Seat, logs: list[RequestLog]) -> list[LogRow]:
    wanted = {log.api_key_id for log in logs if log.api_key_id}
    names = dict(list_api_keys(seat.workspace).filter(pk__in=wanted).values_list("pk", "name"))
    return [
        LogRow(log, log_view.total_tokens(log), names.get(log.api_key_id, "") if log.api_key_id else "", _fell_back(log))
        for log in logs
    ]


def _fell_back(log: RequestLog) -> bool:
    """Whether more than one target was tried."""
    return len({attempt.get("path") for attempt in log.attempts}) > 1


@require_GET
@page("workspaces.read")
def home(request: HttpRequest, seat: Seat) -> HttpResponse:
    latest = queries.list_logs(seat.workspace.pk, queries.LogFilters(), limit=_LATEST).rows if seat.may("logs.list") else []
    virtual_key = list_virtual_keys(seat.workspace).first()
    context = {
        "today": today(seat.workspace.pk),
        "latest": _rows(seat, latest),
        "has_virtual_key": virtual_key is not None,
        "has_api_key": list_api_keys(seat.workspace).filter(revoked_at=None).exists(),
        **_example(request, virtual_key),
    }
    return render(request, "console/home.html", context)


def _example(request: HttpRequest, virtual_key: VirtualKey | None) -> dict[str, Any]:
    """What the snippets call: the newest virtual key, and a model of its provider where the table names one."""
    row = table.PROVIDERS.get(virtual_key.provider) if virtual_key else None
    models = row.models if row else ()
    return {
        "address": request.build_absolute_uri("/v1"),
        "slug": virtual_key.slug if virtual_key else "VIRTUAL-KEY",
        "provider": row.label if row else "",
        "model": models[0] if models else "MODEL",
        "model_is_known": bool(models),
    }


@require_GET
@page("logs.list")
def logs(request: HttpRequest, seat: Seat) -> HttpResponse:
    form = LogFilterForm(request.GET, api_keys=list(list_api_keys(seat.workspace)[:200]))
    found = queries.Page([], None)
    if form.is_valid():
        try:
            found = queries.list_logs(seat.workspace.pk, form.filters, request.GET.get("cursor") or None, _LOG_PAGE)
        except queries.FilterError as error:
            form.add_error(None, str(error))
    context = {
        "form": form,
        "rows": _rows(seat, found.rows),
        "next_cursor": found.next_cursor,
        "is_first": not request.GET.get("cursor"),
        "is_live": request.GET.get("live") == "1" and not request.GET.get("cursor"),
    }
    return render(request, "console/logs/list.html", context, status=422 if form.errors else 200)


@require_GET
@page("logs.view")
def log(request: HttpRequest, seat: Seat, log_id: str) -> HttpResponse:
    detail = queries.get_log(seat.workspace.pk, log_id)
    if detail is None:
        raise Http404(_("There is no such call in this workspace."))
    row = detail.log
    owners = _owners(seat, row)
    context = {
        "log": row,
        "detail": detail,
        **owners,
        "fell_back": _fell_back(row),
        "attempts": log_view.time_line(row),
        "waited_ms": log_view.waited_ms(row),
        "tokens": _tokens(row),
        "total_tokens": log_view.total_tokens(row),
        "feedback": of_traces(row.workspace_id, row.trace_id),
        "asked": log_view.asked(detail.request),
        "answered": log_view.answered(detail),
        "request_text": log_view.pretty(detail.request),
        "response_text": log_view.pretty(detail.response) if detail.answer is None else log_view.dump(detail.answer),
        "stream_text": detail.response if detail.response_is_stream else "",
        "curl": log_view.curl(row, detail.request, request.build_absolute_uri("/v1"), _target(row, owners))
        if detail.request
        else "",
    }
    return render(request, "console/logs/detail.html", context)


def _owners(seat: Seat, row: RequestLog) -> dict[str, Any]:
    """What the call was made with, as far as it still exists."""

    def find(rows: Any, key: uuid.UUID | None) -> Any:
        return rows.filter(pk=key).first() if key else None

    api_key: ApiKey | None = find(list_api_keys(seat.workspace), row.api_key_id)
    virtual_key: VirtualKey | None = find(list_virtual_keys(seat.workspace), row.virtual_key_id)
    config: Config | None = find(list_configs(seat.workspace), row.config_id)
    return {"api_key": api_key, "virtual_key": virtual_key, "config": config}


def _target(row: RequestLog, owners: dict[str, Any]) -> str:
    """The header that sends the call where it went; config before key, because the config chose the key."""
    if owners["config"] is not None:
        return f"x-portkey-config: {owners['config'].slug}"
    if owners["virtual_key"] is not None:
        return f"x-portkey-virtual-key: {owners['virtual_key'].slug}"
    return f"x-portkey-provider: {row.provider}" if row.provider else ""


def _tokens(row: RequestLog) -> list[tuple[str, int]]:
    """The classes of tokens that the call used."""
    names = {
        "input_tokens": pgettext("tokens", "Input"),
        "cache_read_tokens": pgettext("tokens", "Read from the provider's cache"),
        "cache_write_tokens": pgettext("tokens", "Written to the provider's cache"),
        "audio_input_tokens": pgettext("tokens", "Audio input"),
        "output_tokens": pgettext("tokens", "Output"),
        "reasoning_tokens": pgettext("tokens", "Reasoning"),
        "audio_output_tokens": pgettext("tokens", "Audio output"),
    }
    return [(names[name], getattr(row, name)) for name in log_view.TOKEN_FIELDS if getattr(row, name)]
