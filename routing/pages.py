"""The console's pages of configs: each reads a request, calls an action or a query, and answers with a template."""

from __future__ import annotations

import re
from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from keys.console import Seat, page, paged, search
from keys.models import Workspace
from keys.queries import list_virtual_keys
from routing import actions, queries
from routing.errors import Forbidden, InvalidRequest
from routing.forms import ConfigForm
from routing.models import Config, ConfigVersion

_FORM_METHODS = ["GET", "HEAD", "POST"]
_MORE_VIRTUAL_KEY = "second-virtual-key"


# A list of plain numbers over several lines: a line break inside it cannot be part of a text.
_NUMBERS = re.compile(r"\[\n\s+([\d.,\s-]+?)\n\s+\]")


# The database keeps an object's keys in an order of its own: people read what is chosen first, and the targets last.
_FIRST = ("strategy", "mode", "name", "virtual_key", "provider", "model", "weight", "retry", "attempts")


def _in_order(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    first = [name for name in _FIRST if name in value]
    rest = [name for name in value if name not in _FIRST and name != "targets"]
    return {name: _in_order(value[name]) for name in (*first, *rest, *(("targets",) if "targets" in value else ()))}


def _pretty(body: Any) -> str:
    """Indented JSON in an order for reading, with lists of numbers on one line."""
    text = orjson.dumps(_in_order(body), option=orjson.OPT_INDENT_2).decode()
    return _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)


def _templates(workspace: Workspace) -> list[tuple[str, str, str]]:
    """Configs to begin with (id, title, JSON), written for the virtual keys that the workspace has."""
    slugs = [key.slug for key in list_virtual_keys(workspace)[:2]]
    first, second = [*slugs, "first-virtual-key", _MORE_VIRTUAL_KEY][:2] if slugs else ("first-virtual-key", _MORE_VIRTUAL_KEY)
    targets = [{"virtual_key": first}, {"virtual_key": second}]
    weighted = [{"virtual_key": first, "weight": 70}, {"virtual_key": second, "weight": 30}]
    retry = {"attempts": 3, "on_status_codes": [429, 500, 502, 503, 504]}
    return [
        ("single", _("One provider with retries"), _pretty({"virtual_key": first, "retry": retry})),
        ("fallback", _("Fallback"), _pretty({"strategy": {"mode": "fallback"}, "targets": targets})),
        ("loadbalance", _("Load balance"), _pretty({"strategy": {"mode": "loadbalance"}, "targets": weighted})),
    ]


@require_GET
@page("configs.list")
def configs(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_configs(seat.workspace), text, "name", "slug"))
    return render(request, "console/configs/list.html", {"found": found, "text": text})


@require_http_methods(_FORM_METHODS)
@page("configs.create")
def config_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    templates = _templates(seat.workspace)
    form = ConfigForm(request.POST) if request.method == "POST" else ConfigForm(initial={"body": templates[0][2]})
    if form.is_valid():
        try:
            config, _version = actions.create_config(
                workspace=seat.workspace, actor=seat.user, config=form.cleaned_data["body"], **form.values()
            )
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(slug)s is in force.") % {"slug": config.slug})
            return redirect("console:config", config.slug)
    context = {"form": form, "templates": templates}
    return render(request, "console/configs/new.html", context, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page("configs.read")
def config(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    current = queries.get_version(row)
    if request.method == "POST":
        if not seat.may("configs.update"):
            raise Forbidden(_("Your role in this workspace does not allow this."))
        form = ConfigForm(request.POST)
        if form.is_valid() and (saved := _saved(request, seat, row, form)) is not None:
            return saved
    else:
        form = ConfigForm(initial=_shown(row, current))
    context = {"form": form, "config": row, "current": current, "versions": queries.list_versions(row)[:50]}
    return render(request, "console/configs/edit.html", context, status=422 if form.errors else 200)


def _shown(row: Config, current: ConfigVersion) -> dict[str, Any]:
    return {"name": row.name, "body": _pretty(current.body), "is_default": row.is_default, "base": current.number}


def _saved(request: HttpRequest, seat: Seat, row: Config, form: ConfigForm) -> HttpResponse | None:
    if form.cleaned_data["base"] not in (None, row.version):
        form.add_error(
            None, _("Version %(number)d was saved meanwhile. Look at it, then open this page anew.") % {"number": row.version}
        )
        return None
    try:
        changed, version = actions.update_config(row, actor=seat.user, body=form.cleaned_data["body"], **form.values())
    except InvalidRequest as error:
        form.refuse(error)
        return None
    if version.number == row.version:
        messages.success(request, _("Saved. The config itself says what it said before, so there is no new version."))
    else:
        messages.success(request, _("Version %(number)d is in force.") % {"number": version.number})
    return redirect("console:config", changed.slug)


@require_GET
@page("configs.read")
def config_version(request: HttpRequest, seat: Seat, slug: str, number: int) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    version: ConfigVersion = queries.get_version(row, number)
    return render(request, "console/configs/version.html", {"config": row, "version": version, "body": _pretty(version.body)})


@require_POST
@page("configs.update")
def config_restore(request: HttpRequest, seat: Seat, slug: str, number: int) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    queries.get_version(row, number)
    _row, version = actions.rollback_config(row, number, actor=seat.user)
    said = {"old": number, "number": version.number}
    messages.success(request, _("Version %(old)d is in force again, as version %(number)d.") % said)
    return redirect("console:config", row.slug)


@require_http_methods(_FORM_METHODS)
@page("configs.delete")
def config_delete(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    refusal = ""
    if request.method == "POST":
        try:
            actions.delete_config(row, actor=seat.user)
        except InvalidRequest as error:
            refusal = error.message
        else:
            messages.success(request, _("%(name)s is deleted.") % {"name": row.name})
            return redirect("console:configs")
    context = {
        "title": _("Delete the config %(name)s?") % {"name": row.name},
        "text": _("Calls that name %(slug)s fail from then on. All its versions are deleted too.") % {"slug": row.slug},
        "button": _("Delete config"),
        "back": reverse("console:config", args=[row.slug]),
        "refusal": refusal,
    }
    return render(request, "console/confirm.html", context, status=409 if refusal else 200)
