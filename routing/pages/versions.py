"""The history of a config: its versions, what changed between two of them, the way back, and labels."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from keys.console import Seat, page, paged
from routing import actions, diff, queries
from routing.errors import InvalidRequest
from routing.forms import CompareForm, LabelForm
from routing.models import ConfigVersion
from routing.pages.configs import FORM_METHODS
from routing.pages.texts import compact, pretty


@require_GET
@page("configs.read")
def config_history(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    found = paged(request, queries.list_versions(row).defer("body"))
    compare = CompareForm(row, initial={"before": max(row.version - 1, 1), "after": row.version})
    return render(request, "console/configs/history.html", {"config": row, "found": found, "compare": compare})


@require_GET
@page("configs.read")
def config_version(request: HttpRequest, seat: Seat, slug: str, number: int) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    version: ConfigVersion = queries.get_version(row, number)
    context = {
        "config": row,
        "version": version,
        "body": pretty(version.body),
        "label_form": LabelForm(initial={"version": version.number}),
    }
    return render(request, "console/configs/version.html", context)


@require_GET
@page("configs.read")
def config_diff(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    """Two versions beside each other; without a good choice, the last two."""
    row = queries.get_config(seat.workspace, slug)
    form = CompareForm(row, request.GET or {"before": max(row.version - 1, 1), "after": row.version})
    context = {"config": row, "compare": form}
    if form.is_valid():
        before, after = (queries.get_version(row, form.cleaned_data[name]) for name in ("before", "after"))
        context |= {
            "before": before,
            "after": after,
            "changes": [
                {**change, **{side: compact(change[side]) for side in ("before", "after") if side in change}}
                for change in diff.operations(before.body, after.body)
            ],
            "lines": diff.side_by_side(pretty(before.body), pretty(after.body)),
        }
    return render(request, "console/configs/diff.html", context, status=422 if form.errors else 200)


@require_POST
@page("configs.update")
def config_restore(request: HttpRequest, seat: Seat, slug: str, number: int) -> HttpResponse:
    row = queries.get_config(seat.workspace, slug)
    queries.get_version(row, number)
    try:
        changed, version = actions.rollback_config(row, number, actor=seat.user, comment=request.POST.get("comment", ""))
    except InvalidRequest as error:
        messages.error(request, _("Version %(old)d cannot come back: %(reason)s") % {"old": number, "reason": error.message})
        return redirect("console:config_version", row.slug, number)
    if changed.version == row.version:
        messages.success(request, _("The version in force says the same already, so there is no new version."))
    else:
        said = {"old": number, "number": version.number}
        messages.success(request, _("Version %(old)d is in force again, as version %(number)d.") % said)
    return redirect("console:config", row.slug)


# --- Labels -----------------------------------------------------------------------------------------------------------


@require_POST
@page("configs.update")
def config_label(request: HttpRequest, seat: Seat, slug: str) -> HttpResponse:
    """Points a label at a version."""
    row = queries.get_config(seat.workspace, slug)
    form = LabelForm(request.POST)
    if form.is_valid():
        try:
            label = actions.set_label(row, form.cleaned_data["label"], form.cleaned_data["version"], actor=seat.user)
        except InvalidRequest as error:
            form.refuse(error)
        else:
            said = {"label": label.name, "number": label.version.number}
            messages.success(request, _("%(label)s points at version %(number)d.") % said)
            return redirect("console:config", row.slug)
    context = {"config": row, "label_form": form, "labels": row.labels.select_related("version")}
    return render(request, "console/configs/label.html", context, status=422)


@require_http_methods(FORM_METHODS)
@page("configs.update")
def config_label_delete(request: HttpRequest, seat: Seat, slug: str, name: str) -> HttpResponse:
    """Where API keys use the label, its name must be typed: the console's way to force it."""
    row = queries.get_config(seat.workspace, slug)
    label = queries.get_label(row, name)
    refusal = ""
    if request.method == "POST":
        try:
            actions.delete_label(label, actor=seat.user, force=request.POST.get("confirm", "").strip() == label.name)
        except InvalidRequest:
            refusal = _("This is not the name of the label.") if request.POST.get("confirm") else _("Type the name first.")
        else:
            messages.success(request, _("The label %(label)s is gone.") % {"label": label.name})
            return redirect("console:config", row.slug)
    context = {"config": row, "label": label, "used_by": queries.keys_that_name(row, name).order_by("name"), "refusal": refusal}
    return render(request, "console/configs/label_delete.html", context, status=409 if refusal else 200)
