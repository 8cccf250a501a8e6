"""Rules, channels, and what came of them."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from keys.models import Workspace


class AlertChannel(models.Model):
    """A place that hears of alerts, known by its name in a workspace.

    `secret` is a JSON object in the vault: ``{"url", "signing_secret"}``. `sender` is "webhook" for the gateway's own JSON,
    else "apprise"; `scheme` is the URL's, `masked` what may be shown of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_channels")
    name = models.CharField(max_length=100)
    sender = models.CharField(max_length=16)
    scheme = models.CharField(max_length=32)
    masked = models.CharField(max_length=300)
    secret = models.BinaryField(editable=False)
    is_signed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="alert_channel_name")]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """What to watch: analytics/alerts/conditions.py reads `type`, `condition` and `window` (empty where there is none).

    `filters` has the shape ``{"provider", "model", "api_key", "virtual_key", "config", "endpoint"}``, each a text or absent.
    `minimum_calls` in the window are needed before a percentile or a share means anything. `repeat_minutes` after a message
    it is said again while it lasts; 0 means never. `error` says why the rule could not be evaluated at `evaluated_at`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=150)
    type = models.CharField(max_length=32)
    condition = models.CharField(max_length=100)
    window = models.CharField(max_length=16, blank=True)
    filters: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, blank=True)
    minimum_calls = models.IntegerField(default=1)
    repeat_minutes = models.IntegerField(default=0)
    channels = models.ManyToManyField(AlertChannel, related_name="rules")
    enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class AlertIncident(models.Model):
    """One time that a rule's condition held for a subject, from `started_at` to `resolved_at`.

    `subject` tells several at a time apart (one breaker, one budget), `label` names it for people. `value` is what was
    measured last. `rule_name` and `condition` are kept for when the rule is gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_incidents")
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="incidents")
    rule_name = models.CharField(max_length=150)
    type = models.CharField(max_length=32)
    condition = models.CharField(max_length=100)
    subject = models.CharField(max_length=300, blank=True)
    label = models.CharField(max_length=300, blank=True)
    value = models.DecimalField(max_digits=30, decimal_places=10)
    started_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "subject"], condition=models.Q(resolved_at=None), name="alert_incident_once"
            )
        ]
        indexes = [models.Index(fields=["workspace", "-started_at"], name="alert_incident_newest")]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.label}".strip()


class Delivery(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class AlertDelivery(models.Model):
    """One message to one channel, kept as history. `payload` is what a webhook gets; it holds no secret, like all else here.

    While it is pending, `next_try_at` says when it may be tried; a sender that takes it moves that moment ahead, so that
    another one takes over where the first dies.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_deliveries")
    incident = models.ForeignKey(AlertIncident, null=True, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(AlertChannel, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    channel_name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16)
    title = models.CharField(max_length=300)
    text = models.TextField()
    payload: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=Delivery, default=Delivery.PENDING)
    attempts = models.IntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    next_try_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(state="pending"), name="alert_delivery_due"),
            models.Index(fields=["workspace", "-created_at"], name="alert_delivery_newest"),
        ]

    def __str__(self) -> str:
        return self.title
