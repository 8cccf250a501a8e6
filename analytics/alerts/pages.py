"""The console's pages of alerts: rules with what they would say now, channels with a test, and the history."""

from __future__ import annotations

import datetime as dt
from typing import Any

import redis
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from analytics.alerts import actions, conditions, measures, queries
from analytics.alerts.forms import TYPE_LABELS, ChannelForm, RuleForm, shown
from analytics.alerts.messages import sentence
from analytics.alerts.models import AlertRule, Delivery
from keys.console import Seat, page, paged, search
from keys.queries import list_api_keys, list_virtual_keys
from routing.errors import Forbidden, InvalidRequest
from routing.queries import list_configs

_FORM_METHODS = ["GET", "HEAD", "POST"]
_CHOICES_MAX = 200
_NEWEST = 10
MUTES = {"60": dt.timedelta(hours=1), "480": dt.timedelta(hours=8), "1440": dt.timedelta(days=1), "0": None}


@require_GET
@page("alerts.list")
def alerts(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_rules(seat.workspace), text, "name", "condition", "type"))
    rows = [(rule, actions.live_state(rule), TYPE_LABELS[rule.type], _is_muted(rule)) for rule in found]
    context = {"found": found, "rows": rows, "text": text, "has_channel": queries.list_channels(seat.workspace).exists()}
    return render(request, "console/alerts/list.html", context)


def _is_muted(rule: AlertRule) -> bool:
    return rule.muted_until is not None and rule.muted_until > timezone.now()


def _form(seat: Seat, *args: Any, **kwargs: Any) -> RuleForm:
    return RuleForm(
        *args,
        channels=list(queries.list_channels(seat.workspace)),
        api_keys=list(list_api_keys(seat.workspace)[:_CHOICES_MAX]),
        virtual_keys=list(list_virtual_keys(seat.workspace)[:_CHOICES_MAX]),
        configs=list(list_configs(seat.workspace)[:_CHOICES_MAX]),
        **kwargs,
    )


@require_http_methods(_FORM_METHODS)
@page("alerts.create")
def alert_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    form = _form(seat, request.POST or None, initial={"type": "latency", "condition": "p95 > 5000"})
    if form.is_valid():
        try:
            wanted = {**form.values(), "channels": form.cleaned_data["channels"]}
            [rule] = actions.create_rules(seat.workspace, [wanted], actor=seat.user)
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is watched from now on.") % {"name": rule.name})
            return redirect("console:alerts")
    context = {"form": form, "has_channel": queries.list_channels(seat.workspace).exists()}
    return render(request, "console/alerts/edit.html", context, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page("alerts.read")
def alert(request: HttpRequest, seat: Seat, alert_id: str) -> HttpResponse:
    rule = queries.get_rule(seat.workspace, alert_id)
    form = _form(seat, request.POST or None, initial=shown(rule))
    if request.method == "POST":
        _require(seat, "alerts.update")
        if form.is_valid():
            try:
                changes = {**form.values(), "channels": form.cleaned_data["channels"]}
                actions.update_rule(rule, actor=seat.user, **changes)
            except InvalidRequest as error:
                form.refuse(error)
            else:
                messages.success(request, _("Saved."))
                return redirect("console:alert", rule.pk)
    context = {
        "form": form,
        "rule": rule,
        "state": actions.live_state(rule),
        "is_muted": _is_muted(rule),
        "incidents": queries.list_incidents(seat.workspace).filter(rule=rule)[:_NEWEST],
        "has_channel": True,
    }
    return render(request, "console/alerts/edit.html", context, status=422 if form.errors else 200)


@require_POST
@page("alerts.update")
def alert_mute(request: HttpRequest, seat: Seat, alert_id: str) -> HttpResponse:
    rule = queries.get_rule(seat.workspace, alert_id)
    span = MUTES.get(request.POST.get("minutes", "0"))
    actions.update_rule(rule, actor=seat.user, muted_until=None if span is None else timezone.now() + span)
    messages.success(request, _("%(name)s is heard again.") % {"name": rule.name} if span is None else _("Muted."))
    return redirect("console:alert", rule.pk)


@require_http_methods(_FORM_METHODS)
@page("alerts.delete")
def alert_delete(request: HttpRequest, seat: Seat, alert_id: str) -> HttpResponse:
    rule = queries.get_rule(seat.workspace, alert_id)
    if request.method == "POST":
        actions.delete_rule(rule, actor=seat.user)
        messages.success(request, _("%(name)s is deleted.") % {"name": rule.name})
        return redirect("console:alerts")
    context = {
        "title": _("Delete the alert %(name)s?") % {"name": rule.name},
        "text": _("Nobody is told any more. Its history stays."),
        "button": _("Delete alert"),
        "back": reverse("console:alert", args=[rule.pk]),
    }
    return render(request, "console/confirm.html", context)


@require_POST
@page("alerts.read")
def alert_preview(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the rule in the form would say at this moment."""
    form = _form(seat, request.POST)
    form.fields["channels"].required = False
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            rule = actions.draft(seat.workspace, form.values())
            condition = conditions.parse(rule.type, rule.condition)
            context["readings"] = [
                (sentence(rule, condition, one.value, one.label), one.calls, condition.holds(one.value))
                for one in measures.read(rule, timezone.now())
            ]
        except InvalidRequest as error:
            form.refuse(error)
        except measures.Unmeasurable as error:
            context["problem"] = str(error)
        except redis.RedisError:
            context["problem"] = _("Redis does not answer.")
    return render(request, "console/alerts/preview.html", context)


@require_GET
@page("alerts.list")
def alert_history(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_incidents(seat.workspace), text, "rule_name", "label", "condition"))
    return render(request, "console/alerts/history.html", {"found": found, "text": text})


# --- Channels --------------------------------------------------------------------------------------------------------------


@require_GET
@page("alerts.list")
def alert_channels(request: HttpRequest, seat: Seat) -> HttpResponse:
    text = request.GET.get("q", "")
    found = paged(request, search(queries.list_channels(seat.workspace), text, "name", "scheme"))
    return render(request, "console/alerts/channels.html", {"found": found, "text": text})


@require_http_methods(_FORM_METHODS)
@page("alerts.create")
def alert_channel_new(request: HttpRequest, seat: Seat) -> HttpResponse:
    form = ChannelForm(request.POST or None, is_new=True)
    if form.is_valid():
        try:
            channel = actions.create_channel(workspace=seat.workspace, actor=seat.user, **form.values())
        except InvalidRequest as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is stored. Send a test to see that it works.") % {"name": channel.name})
            return redirect("console:alert_channel", channel.name)
    return render(request, "console/alerts/channel.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(_FORM_METHODS)
@page("alerts.read")
def alert_channel(request: HttpRequest, seat: Seat, name: str) -> HttpResponse:
    channel = queries.get_channel(seat.workspace, name)
    form = ChannelForm(request.POST or None, is_new=False, initial={"name": channel.name})
    if request.method == "POST":
        _require(seat, "alerts.update")
        if form.is_valid():
            try:
                channel = actions.update_channel(channel, actor=seat.user, **form.values())
            except InvalidRequest as error:
                form.refuse(error)
            else:
                messages.success(request, _("Saved."))
                return redirect("console:alert_channel", channel.name)
    deliveries = queries.list_deliveries(seat.workspace).filter(channel=channel)[:_NEWEST]
    context = {"form": form, "channel": channel, "deliveries": deliveries}
    return render(request, "console/alerts/channel.html", context, status=422 if form.errors else 200)


@require_POST
@page("alerts.update")
def alert_channel_test(request: HttpRequest, seat: Seat, name: str) -> HttpResponse:
    channel = queries.get_channel(seat.workspace, name)
    outcome = actions.test_channel(channel, actor=seat.user)
    if outcome.state == Delivery.SENT:
        messages.success(request, _("The test was accepted: look whether it arrived."))
    else:
        messages.error(request, _("The test did not arrive: %(reason)s") % {"reason": outcome.error})
    return redirect("console:alert_channel", channel.name)


@require_http_methods(_FORM_METHODS)
@page("alerts.delete")
def alert_channel_delete(request: HttpRequest, seat: Seat, name: str) -> HttpResponse:
    channel = queries.get_channel(seat.workspace, name)
    refusal = ""
    if request.method == "POST":
        try:
            actions.delete_channel(channel, actor=seat.user)
        except InvalidRequest as error:
            refusal = error.message
        else:
            messages.success(request, _("%(name)s is deleted.") % {"name": channel.name})
            return redirect("console:alert_channels")
    context = {
        "title": _("Delete the channel %(name)s?") % {"name": channel.name},
        "text": _("The stored address cannot be brought back."),
        "button": _("Delete channel"),
        "back": reverse("console:alert_channel", args=[channel.name]),
        "refusal": refusal,
    }
    return render(request, "console/confirm.html", context, status=409 if refusal else 200)


def _require(seat: Seat, scope: str) -> None:
    if not seat.may(scope):
        raise Forbidden(_("Your role in this workspace does not allow this."))
