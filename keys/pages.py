"""The console's pages of people and keys: each reads a request, calls an action or a query, and answers with a template."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from keys import actions, policy, queries
from keys.admin_auth import SESSION_WORKSPACE
from keys.console import Seat, page, paged, search
from keys.console import console_context as console_context
from keys.console import current_workspace as current_workspace
from keys.forms import ApiKeyForm, LoginForm, is_admin_key
from keys.models import ApiKey
from keys.virtual_key_forms import VirtualKeyEditForm, VirtualKeyForm
from routing.errors import Forbidden, InvalidRequest
from routing.providers import table
from routing.queries import list_configs

_API_KEYS = policy.API_KEY_AREAS["service"]
_FORM_METHODS = ["GET", "HEAD", "POST"]

# --- Getting in -------------------------------------------------------------------------------------------------------


class Login(LoginView):
    """Asks for e-mail and password, and leads to where the visitor wanted to go."""

    template_name = "console/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


@require_POST
@page("workspaces.read")
def switch_workspace(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Remembers another of the person's workspaces for this session; any other id changes nothing."""
    chosen = request.POST.get("workspace", "")
    if any(str(member.workspace_id) == chosen for member in seat.memberships):
        request.session[SESSION_WORKSPACE] = chosen
    return redirect("console:home")


# --- Virtual keys -----------------------------------------------------------------------------------------------------


def _provider_label(provider: str) -> str:
    row = table.PROVIDERS.get(provider)
    return row.label if row else provider


@require_GET
@page("virtual_keys.list")
def virtual_keys(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    rows = search(queries.list_virtual_keys(seat.workspace), text, "name", "slug", "provider", "note")
    found = paged(request, rows)
    shown = [(key, _provider_label(key.provider)) for key in found]
    return render(request, "console/virtual_keys/list.html", {"found": found, "rows": shown, "text": text})


@require_http_methods(_FORM_METHODS)
@page("virtual_keys.create")
def virtual_key_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    form = VirtualKeyForm(request.POST or None, provider=request.GET.get("provider", "")[:100])
    if form.is_valid():
        try:
            key = actions.create_virtual_key(workspace=seat.workspace, actor=seat.user, **form.values())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("The virtual key %(slug)s is ready to use.") % {"slug": key.slug})
            return redirect("console:virtual_keys")
    context = {"form": form, "providers": sorted(table.PROVIDERS.values(), key=lambda row: row.label.casefold())}
    return render(request, "console/virtual_keys/new.html", context, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page("virtual_keys.read")
def virtual_key(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    key = queries.get_virtual_key(seat.workspace, slug)
    form = VirtualKeyEditForm(request.POST if request.method == "POST" else None, virtual_key=key)
    if request.method == "POST":
        _require(seat, "virtual_keys.update")
    if form.is_valid():
        try:
            actions.update_virtual_key(key, actor=seat.user, **form.changes())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is saved.") % {"name": form.cleaned_data["name"]})
            return redirect("console:virtual_keys")
    context = {"form": form, "key": key, "provider": _provider_label(key.provider)}
    return render(request, "console/virtual_keys/edit.html", context, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page("virtual_keys.delete")
def virtual_key_delete(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    key = queries.get_virtual_key(seat.workspace, slug)
    back = reverse("console:virtual_keys")
    if request.method == "POST":
        actions.delete_virtual_key(key, actor=seat.user)
        messages.success(request, _("%(name)s is deleted.") % {"name": key.name})
        return redirect(back)
    return _confirm(
        request,
        title=_("Delete the virtual key %(name)s?") % {"name": key.name},
        text=_("Calls and configs that name %(slug)s fail from then on. The stored key cannot be brought back.")
        % {"slug": key.slug},
        button=_("Delete virtual key"),
        back=back,
    )


# --- API keys ---------------------------------------------------------------------------------------------------------


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else "active"


@require_GET
@page(f"{_API_KEYS}.list")
def api_keys(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_api_keys(seat.workspace), text, "name", "description", "masked"))
    rows = [(key, _state(key), is_admin_key(key)) for key in found]
    return render(request, "console/api_keys/list.html", {"found": found, "rows": rows, "text": text})


@require_http_methods(_FORM_METHODS)
@page(f"{_API_KEYS}.create")
def api_key_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The answer to a good form is the only page that ever shows the key: it goes through no redirect, session or cache."""
    form = ApiKeyForm(request.POST or None, configs=list(list_configs(seat.workspace)))
    if form.is_valid():
        try:
            key, raw = actions.create_api_key(workspace=seat.workspace, actor=seat.user, **form.values())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            context = {"key": key, "raw": raw, "address": request.build_absolute_uri("/v1")}
            return render(request, "console/api_keys/created.html", context)
    return render(request, "console/api_keys/new.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page(f"{_API_KEYS}.delete")
def api_key_revoke(request: HttpRequest, seat: Seat, key_id: str) -> HttpResponse:
    key = queries.get_api_key(seat.workspace, key_id)
    back = reverse("console:api_keys")
    if request.method == "POST":
        actions.revoke_api_key(key, actor=seat.user)
        messages.success(request, _("%(name)s is revoked: calls with it are refused.") % {"name": key.name})
        return redirect(back)
    return _confirm(
        request,
        title=_("Revoke the API key %(name)s?") % {"name": key.name},
        text=_("Applications that use %(masked)s are refused within a second. This cannot be undone.") % {"masked": key.masked},
        button=_("Revoke API key"),
        back=back,
    )


# --- Shared -----------------------------------------------------------------------------------------------------------


def _require(seat: Seat, scope: str) -> None:
    if not seat.may(scope):
        raise Forbidden(_("Your role in this workspace does not allow this."))


def _confirm(request: HttpRequest, **context: Any) -> HttpResponse:
    """The question before something is gone."""
    return render(request, "console/confirm.html", context)
