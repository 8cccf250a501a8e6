"""The admin REST API of alerts: reads a request, calls an action or a query."""

from __future__ import annotations

from typing import Any, ClassVar

import redis
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import actions, conditions, measures, messages, queries
from analytics.alerts.models import AlertChannel, AlertDelivery, AlertIncident, AlertRule
from keys import validation as check
from keys.admin_auth import Caller, caller_of, check_workspace
from keys.rest import AdminView, body, listing
from keys.serializers import moment
from routing.errors import Unavailable


def _rule(rule: AlertRule) -> dict[str, Any]:
    return {
        "id": str(rule.pk),
        "object": "alert",
        "name": rule.name,
        "type": rule.type,
        "condition": rule.condition,
        "window": rule.window or None,
        "filters": rule.filters,
        "minimum_calls": rule.minimum_calls,
        "repeat_minutes": rule.repeat_minutes,
        "channels": sorted(channel.name for channel in rule.channels.all()),
        "enabled": rule.enabled,
        "muted_until": moment(rule.muted_until),
        "state": actions.live_state(rule),
        "error": rule.error or None,
        "evaluated_at": moment(rule.evaluated_at),
        "created_at": moment(rule.created_at),
        "last_updated_at": moment(rule.updated_at),
    }


def _channel(channel: AlertChannel) -> dict[str, Any]:
    return {
        "id": str(channel.pk),
        "object": "alert-channel",
        "name": channel.name,
        "type": "webhook" if channel.sender == "webhook" else channel.scheme,
        "url": channel.masked,
        "is_signed": channel.is_signed,
        "used_by": [rule.name for rule in channel.rules.all()],
        "created_at": moment(channel.created_at),
        "last_updated_at": moment(channel.updated_at),
    }


def _incident(incident: AlertIncident) -> dict[str, Any]:
    return {
        "id": str(incident.pk),
        "object": "alert-incident",
        "state": "firing" if incident.resolved_at is None else "resolved",
        "alert_id": None if incident.rule_id is None else str(incident.rule_id),
        "name": incident.rule_name,
        "type": incident.type,
        "condition": incident.condition,
        "subject": incident.label or None,
        "value": float(incident.value),
        "started_at": moment(incident.started_at),
        "resolved_at": moment(incident.resolved_at),
        "deliveries": [_delivery(one) for one in incident.deliveries.all()],
    }


def _delivery(delivery: AlertDelivery) -> dict[str, Any]:
    return {
        "id": str(delivery.pk),
        "object": "alert-delivery",
        "incident_id": None if delivery.incident_id is None else str(delivery.incident_id),
        "channel": delivery.channel_name,
        "kind": delivery.kind,
        "title": delivery.title,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "error": delivery.error or None,
        "created_at": moment(delivery.created_at),
        "sent_at": moment(delivery.sent_at),
        "next_try_at": moment(delivery.next_try_at),
    }


def _fields(request: Request, caller: Caller, *known: str) -> dict[str, Any]:
    """The fields of the body, for an action to judge. Any that is not known is refused."""
    fields = body(request)
    check_workspace(fields.pop("workspace_id", None), caller.workspace)
    return check.clean(fields, dict.fromkeys(known, lambda value, _path: value))


class Alerts(AdminView):
    """POST takes one rule, or ``{"alerts": [...]}`` with several: all of them are made, or none."""

    required_scopes: ClassVar = {"GET": ("alerts.list",), "POST": ("alerts.create",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_rules(caller_of(request).workspace), _rule)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, *actions.RULE_FIELDS, "alerts")
        if "alerts" not in fields:
            return Response(_rule(actions.create_rules(caller.workspace, [fields], actor=caller.actor)[0]))
        wanted = fields.pop("alerts")
        if fields:
            check.refuse(next(iter(fields)), "stands beside alerts: put it into each of them")
        if not isinstance(wanted, list):
            check.refuse("alerts", "must be a list of rules")
        made = actions.create_rules(caller.workspace, wanted, actor=caller.actor, path="alerts")
        return Response({"object": "list", "total": len(made), "data": [_rule(rule) for rule in made]})


class AlertDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("alerts.read",), "PUT": ("alerts.update",), "DELETE": ("alerts.delete",)}

    def get(self, request: Request, alert_id: str) -> Response:
        return Response(_rule(queries.get_rule(caller_of(request).workspace, alert_id)))

    def put(self, request: Request, alert_id: str) -> Response:
        caller = caller_of(request)
        rule = queries.get_rule(caller.workspace, alert_id)
        return Response(_rule(actions.update_rule(rule, actor=caller.actor, **_fields(request, caller, *actions.RULE_FIELDS))))

    def delete(self, request: Request, alert_id: str) -> Response:
        caller = caller_of(request)
        actions.delete_rule(queries.get_rule(caller.workspace, alert_id), actor=caller.actor)
        return Response({"success": True})


class AlertPreview(AdminView):
    """What a rule would say at this moment; nothing is saved and nobody hears of it."""

    required_scopes: ClassVar = {"POST": ("alerts.read",)}

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        rule = actions.draft(caller.workspace, _fields(request, caller, *actions.RULE_FIELDS))
        condition = conditions.parse(rule.type, rule.condition)
        try:
            readings = measures.read(rule, timezone.now())
        except measures.Unmeasurable as error:
            check.refuse("filters", str(error))
        except redis.RedisError as error:
            raise Unavailable("Redis does not answer.") from error
        found = [
            {
                "subject": one.label or None,
                "value": float(one.value),
                "calls": one.calls,
                "would_fire": condition.holds(one.value),
                "text": messages.sentence(rule, condition, one.value, one.label),
            }
            for one in readings
        ]
        fires = any(one["would_fire"] for one in found)
        return Response({"object": "alert-preview", "condition": rule.condition, "would_fire": fires, "readings": found})


class AlertChannels(AdminView):
    required_scopes: ClassVar = {"GET": ("alerts.list",), "POST": ("alerts.create",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_channels(caller_of(request).workspace), _channel)

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        fields = _fields(request, caller, *actions.CHANNEL_FIELDS)
        return Response(_channel(actions.create_channel(workspace=caller.workspace, actor=caller.actor, **fields)))


class AlertChannelDetail(AdminView):
    required_scopes: ClassVar = {"GET": ("alerts.read",), "PUT": ("alerts.update",), "DELETE": ("alerts.delete",)}

    def get(self, request: Request, name: str) -> Response:
        return Response(_channel(queries.get_channel(caller_of(request).workspace, name)))

    def put(self, request: Request, name: str) -> Response:
        caller = caller_of(request)
        channel = queries.get_channel(caller.workspace, name)
        fields = _fields(request, caller, *actions.CHANNEL_FIELDS)
        return Response(_channel(actions.update_channel(channel, actor=caller.actor, **fields)))

    def delete(self, request: Request, name: str) -> Response:
        caller = caller_of(request)
        actions.delete_channel(queries.get_channel(caller.workspace, name), actor=caller.actor)
        return Response({"success": True})


class AlertChannelTest(AdminView):
    """Sends a test message. The answer is 200 either way: `state` says whether it arrived, `error` why not."""

    required_scopes: ClassVar = {"POST": ("alerts.update",)}

    def post(self, request: Request, name: str) -> Response:
        caller = caller_of(request)
        if request.data:
            _fields(request, caller)
        return Response(_delivery(actions.test_channel(queries.get_channel(caller.workspace, name), actor=caller.actor)))


class AlertIncidents(AdminView):
    required_scopes: ClassVar = {"GET": ("alerts.list",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_incidents(caller_of(request).workspace), _incident)


class AlertDeliveries(AdminView):
    required_scopes: ClassVar = {"GET": ("alerts.list",)}

    def get(self, request: Request) -> Response:
        return listing(request, queries.list_deliveries(caller_of(request).workspace), _delivery)
