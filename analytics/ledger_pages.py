"""The console's pages of prices, traces and invoices."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from analytics import invoices, price_actions, price_queries, reprice, traces
from analytics.ledger_api import csv_file
from analytics.models import RollupHour
from analytics.price_forms import PriceForm
from analytics.price_preview import Preview, preview
from keys.console import Seat, page, paged
from routing.errors import InvalidRequest

_FORM_METHODS = ["GET", "HEAD", "POST"]
_MONTHS_SHOWN = 12


@require_GET
@page("analytics.view")
def prices(request: HttpRequest, seat: Seat) -> HttpResponse:
    found = paged(request, price_queries.list_overrides(seat.workspace))
    unpriced = RollupHour.objects.filter(workspace_id=seat.workspace.pk, unpriced__gt=0)
    models = list(unpriced.order_by("provider", "model").values_list("provider", "model").distinct()[:50])
    context = {"found": found, "unpriced": models, "months": _months(), "may_write": seat.may("workspaces.update")}
    return render(request, "console/prices/list.html", context)


@require_http_methods(_FORM_METHODS)
@page("workspaces.update")
def price_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    given = {"provider": request.GET.get("provider", "*")[:64], "model": request.GET.get("model", "")[:200]}
    form = PriceForm(request.POST) if request.method == "POST" else PriceForm()
    form.initial = {**form.initial, **given}
    return _edit(request, seat, form, None)


@require_http_methods(_FORM_METHODS)
@page("workspaces.update")
def price(request: HttpRequest, seat: Seat, price_id: str) -> HttpResponse:
    row = price_queries.get_override(seat.workspace, price_id)
    return _edit(request, seat, PriceForm(request.POST or None, price=row), row)


def _edit(request: HttpRequest, seat: Seat, form: PriceForm, row: Any) -> HttpResponse:
    if form.is_valid():
        try:
            if row is None:
                price_actions.create_override(workspace=seat.workspace, actor=seat.user, **form.values())
            else:
                price_actions.update_override(row, actor=seat.user, **form.values())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("The price of %(model)s is saved.") % {"model": form.cleaned_data["model"]})
            return redirect("console:prices")
    return render(request, "console/prices/edit.html", {"form": form, "price": row}, status=422 if form.errors else 200)


@require_POST
@page("analytics.view")
def price_preview(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the call in the form would cost, or what is wrong with the price."""
    form = PriceForm(request.POST)
    refusal, found = "", None
    if form.is_valid():
        try:
            found = _preview(seat, form)
        except InvalidRequest as error:
            refusal = error.message
    else:
        refusal = " ".join(str(message) for name in form.errors for message in form.errors[name])
    return render(request, "console/prices/preview.html", {"found": found, "refusal": refusal, "form": form})


def _preview(seat: Seat, form: PriceForm) -> Preview:
    values = form.values()
    values |= {"starts_at": None, "ends_at": None}  # it is tried as if it were in force
    return preview(seat.workspace, form.call(), time.time_ns() // 1000, values)


@require_http_methods(_FORM_METHODS)
@page("workspaces.update")
def price_delete(request: HttpRequest, seat: Seat, price_id: str) -> HttpResponse:
    row = price_queries.get_override(seat.workspace, price_id)
    back = reverse("console:prices")
    if request.method == "POST":
        price_actions.delete_override(row, actor=seat.user)
        messages.success(request, _("The price of %(model)s is deleted.") % {"model": row.model})
        return redirect(back)
    context = {
        "title": _("Delete the price of %(model)s?") % {"model": row.model},
        "text": _("Calls from now on cost what the price list says. Costs in the log stay as they are."),
        "button": _("Delete price"),
        "back": back,
    }
    return render(request, "console/confirm.html", context)


@require_POST
@page("workspaces.update")
def price_again(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Prices the calls of the log that have no price."""
    done = reprice.reprice(seat.workspace.pk)
    price_actions.note_repricing(seat.workspace, seat.user, done)
    messages.success(
        request, _("%(changed)d of %(seen)d calls without a price have one now.") % {"changed": done.changed, "seen": done.seen}
    )
    return redirect("console:prices")


@require_GET
@page("analytics.view")
def invoice(request: HttpRequest, seat: Seat) -> HttpResponse:
    try:
        first = invoices.month(request.GET.get("month", ""))
    except InvalidRequest as error:
        raise Http404(error.message) from error
    text = invoices.as_csv(seat.workspace, first, invoices.lines(seat.workspace, first))
    return csv_file(text, f"{seat.workspace.slug}-{first:%Y-%m}.csv")


@require_GET
@page("logs.list")
def trace(request: HttpRequest, seat: Seat) -> HttpResponse:
    found = traces.trace(seat.workspace.pk, request.GET.get("id", ""))
    if found is None:
        raise Http404(_("There is no such trace in this workspace."))
    return render(request, "console/logs/trace.html", {"trace": found})


def _months() -> list[str]:
    """This month and those before it, newest first, as 2026-11."""
    now = timezone.now()
    numbers = range(now.year * 12 + now.month - 1, now.year * 12 + now.month - 1 - _MONTHS_SHOWN, -1)
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in numbers]
