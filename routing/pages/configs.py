"""The list of configs, a config with its editor, a new one, and the end of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from keys.console import Seat, page, paged, search
from routing import actions, queries, trial
from routing.configs.document import parse_document
from routing.errors import Forbidden, GatewayError, InvalidConfig, InvalidRequest
from routing.forms import ConfigForm, LabelForm
from routing.models import Config, ConfigVersion
from routing.pages.reasons import reason
from routing.pages.texts import Fault, example_requests, pretty, templates

FORM_METHODS = ["GET", "HEAD", "POST"]
# Of the history, on a config's own page.
_NEWEST = 5


@require_GET
@page("configs.list")
def configs(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_configs(seat.workspace), text, "name", "slug"))
    users = queries.users_of(found.object_list, seat.workspace)
    rows = [(row, users[row.slug]) for row in found]
    return render(request, "console/configs/list.html", {"found": found, "rows": rows, "text": text})


@require_http_methods(FORM_METHODS)
@page("configs.create")
def config_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    examples = templates(seat.workspace)
    form = ConfigForm(request.POST) if request.method == "POST" else ConfigForm(initial={"body": examples[0][2]})
    if form.is_valid():
        try:
            row, _version = actions.create_config(
                workspace=seat.workspace, actor=seat.user, config=form.cleaned_data["body"], **form.values()
            )
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(slug)s is in force.") % {"slug": row.slug})
            return redirect("console:config", row.slug)
    context = {"form": form, "templates": examples, "requests": example_requests()}
    return render(request, "console/configs/new.html", context, status=422 if form.errors else 200)


@require_http_methods(FORM_METHODS)
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
    versions = queries.list_versions(row).defer("body")
    context = {
        "form": form,
        "templates": templates(seat.workspace),
        "requests": example_requests(),
        "config": row,
        "current": current,
        "versions": versions[:_NEWEST],
        "labels": row.labels.select_related("version"),
        "label_form": LabelForm(initial={"version": row.version}),
        "used_by": queries.keys_that_name(row).order_by("name"),
    }
    return render(request, "console/configs/edit.html", context, status=422 if form.errors else 200)


def _shown(row: Config, current: ConfigVersion) -> dict[str, Any]:
    return {"name": row.name, "body": pretty(current.body), "is_default": row.is_default, "base": current.number}


def _saved(request: HttpRequest, seat: Seat, row: Config, form: ConfigForm) -> HttpResponse | None:
    seen = form.cleaned_data["base"]
    try:
        changed, version = actions.update_config(
            row, actor=seat.user, body=form.cleaned_data["body"], expected_version=seen, **form.values()
        )
    except InvalidRequest as error:
        if error.code == "version_conflict":
            form.overtaken_by(queries.get_config(seat.workspace, row.slug).version)
        else:
            form.refuse(error)
        return None
    if version.number == row.version:
        messages.success(request, _("Saved. The config itself says what it said before, so there is no new version."))
    else:
        messages.success(request, _("Version %(number)d is in force.") % {"number": version.number})
    return redirect("console:config", changed.slug)


@require_http_methods(FORM_METHODS)
@page("configs.delete")
def config_delete(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    """Where API keys use the config, its slug must be typed: the console's way to force it."""
    row = queries.get_config(seat.workspace, slug)
    refusal = ""
    if request.method == "POST":
        try:
            actions.delete_config(row, actor=seat.user, force=request.POST.get("confirm", "").strip() == row.slug)
        except InvalidRequest:
            refusal = _("This is not the slug of the config.") if request.POST.get("confirm") else _("Type the slug first.")
        else:
            messages.success(request, _("%(name)s is deleted.") % {"name": row.name})
            return redirect("console:configs")
    context = {"config": row, "used_by": queries.keys_that_name(row).order_by("name"), "refusal": refusal}
    return render(request, "console/configs/delete.html", context, status=409 if refusal else 200)


# --- While somebody types ---------------------------------------------------------------------------------------------


@require_POST
@page("configs.read")
def config_check(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the editor shows below the text: whether it could be saved, or what stands in the way and where."""
    text = request.POST.get("body", "")
    context: dict[str, Any] = {}
    try:
        body = actions.check_config(seat.workspace, text)
        context["checksum"] = actions.checksum(body)
    except InvalidRequest as error:
        context["fault"] = Fault(error, text)
    return render(request, "console/configs/checked.html", context)


@require_POST
@page("configs.read")
def config_convert(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A config in JSON or YAML, as the editor writes it; a plain text that says why not, with status 422."""
    text = request.POST.get("body", "")
    try:
        converted = pretty(parse_document(text))
    except InvalidRequest as error:
        return HttpResponse(error.message, content_type="text/plain; charset=utf-8", status=422)
    return HttpResponse(converted, content_type="text/plain; charset=utf-8")


@require_POST
@page("configs.read")
def config_dry_run(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the request in the panel would do with the config in the editor, saved or not."""
    context: dict[str, Any] = {}
    try:
        config = parse_document(request.POST.get("body", ""))
        if not isinstance(config, dict):
            raise InvalidConfig(_("The config is not an object."), param="config")
        found = trial.run(seat.workspace, seat.user, config, _request(request.POST.get("request", "")))
        context["found"] = found
        context["targets"] = [(target, reason(target["reason"])) for target in found["targets"]]
    except GatewayError as error:
        context["error"] = error
    return render(request, "console/configs/dry_run_result.html", context)


@require_GET
@page("configs.read")
def config_breakers(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    """Which targets of the config in force are left alone at this moment."""
    row = queries.get_config(seat.workspace, slug)
    found = trial.left_alone(seat.workspace, seat.user, row.slug)
    known = [
        (target, breaker, datetime.fromtimestamp(breaker.until, UTC), breaker.state == "half-open")
        for target, breaker in found or ()
    ]
    return render(request, "console/configs/breakers.html", {"found": known, "is_known": found is not None})


def _request(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_("The request is not valid JSON: %(reason)s") % {"reason": error}, param="request") from error
