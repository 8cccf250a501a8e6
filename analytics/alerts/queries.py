"""Every read of rules, channels and their history, always within one workspace."""

from __future__ import annotations

import uuid
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, QuerySet

from analytics.alerts.models import AlertChannel, AlertDelivery, AlertIncident, AlertRule
from keys.models import Workspace
from routing.errors import NotFound

Row = TypeVar("Row", bound=Model)


def list_rules(workspace: Workspace) -> QuerySet[AlertRule]:
    """With `fires` on each."""
    fires = Exists(AlertIncident.objects.filter(rule=OuterRef("pk"), resolved_at=None))
    rules = AlertRule.objects.filter(workspace=workspace).select_related("workspace").prefetch_related("channels")
    return rules.annotate(fires=fires)


def get_rule(workspace: Workspace, rule_id: str) -> AlertRule:
    return _found(list_rules(workspace), rule_id, "alert rule")


def is_firing(rule: AlertRule) -> bool:
    annotated: bool | None = getattr(rule, "fires", None)
    return rule.incidents.filter(resolved_at=None).exists() if annotated is None else annotated


def list_channels(workspace: Workspace) -> QuerySet[AlertChannel]:
    return AlertChannel.objects.filter(workspace=workspace).select_related("workspace").prefetch_related("rules")


def get_channel(workspace: Workspace, name: str) -> AlertChannel:
    found = list_channels(workspace).filter(name=name.replace("\0", "")).first()
    if found is None:
        raise NotFound(f"There is no alert channel {name[:100]!r} in this workspace.")
    return found


def list_incidents(workspace: Workspace) -> QuerySet[AlertIncident]:
    return AlertIncident.objects.filter(workspace=workspace).select_related("rule").prefetch_related("deliveries")


def list_deliveries(workspace: Workspace) -> QuerySet[AlertDelivery]:
    return AlertDelivery.objects.filter(workspace=workspace).select_related("incident")


def _found(rows: QuerySet[Row], given: str, what: str) -> Row:
    try:
        found = rows.filter(pk=uuid.UUID(given)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no {what} {given[:100]!r} in this workspace.")
    return found
