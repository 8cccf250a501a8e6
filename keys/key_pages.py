"""The console's pages of keys that are there already: changing, replacing, pausing and testing them."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from keys import actions, policy, queries
from keys.console import Seat, page
from keys.key_forms import ApiKeyEditForm, RotateForm
from routing import key_test
from routing.errors import Forbidden, InvalidRequest
from routing.queries import list_configs

_API_KEYS = policy.API_KEY_AREAS["service"]
_FORM_METHODS = ["GET", "HEAD", "POST"]


@require_http_methods(_FORM_METHODS)
@page(f"{_API_KEYS}.read")
def api_key(request: HttpRequest, seat: Seat, key_id: str) -> HttpResponse:
    key = queries.get_api_key(seat.workspace, key_id)
    data = request.POST if request.method == "POST" else None
    if data is not None and not seat.may(f"{_API_KEYS}.update"):
        raise Forbidden(_("Your role in this workspace does not allow this."))
    form = ApiKeyEditForm(data, key=key, configs=list(list_configs(seat.workspace)))
    if form.is_valid():
        try:
            actions.update_api_key(key, actor=seat.user, **form.changes())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is saved.") % {"name": form.cleaned_data["name"]})
            return redirect("console:api_keys")
    return render(request, "console/api_keys/edit.html", {"form": form, "key": key}, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page(f"{_API_KEYS}.update")
def api_key_rotate(request: HttpRequest, seat: Seat, key_id: str) -> HttpResponse:
    """As with a new key, the answer to the form is the only page that shows it."""
    key = queries.get_api_key(seat.workspace, key_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            key, raw = actions.rotate_api_key(key, actor=seat.user, overlap=timedelta(seconds=form.cleaned_data["overlap"]))
        except InvalidRequest as error:
            form.refuse(error)
        else:
            context = {"key": key, "raw": raw, "address": request.build_absolute_uri("/v1")}
            return render(request, "console/api_keys/created.html", context)
    return render(request, "console/api_keys/rotate.html", {"form": form, "key": key}, status=422 if form.errors else 200)


@require_POST
@page("virtual_keys.update")
def virtual_key_pause(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    """Pauses a key, or resumes one that is paused."""
    key = queries.get_virtual_key(seat.workspace, slug)
    key = actions.update_virtual_key(key, actor=seat.user, paused=request.POST.get("paused") == "true")
    text = _("%(name)s is paused.") if key.paused_at else _("%(name)s is in service again.")
    messages.success(request, text % {"name": key.name})
    return redirect("console:virtual_key", slug=key.slug)


@require_POST
@page("virtual_keys.update")
def virtual_key_test(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    key = queries.get_virtual_key(seat.workspace, slug)
    return render(request, "console/virtual_keys/tested.html", {"key": key, "result": key_test.run(key)})
