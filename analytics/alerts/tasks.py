"""The Celery tasks of alerts."""

from __future__ import annotations

import datetime as dt
import logging

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from analytics.alerts import evaluate, outbox
from analytics.alerts.models import AlertDelivery, AlertIncident

logger = logging.getLogger(__name__)


@shared_task(name="analytics.alerts.evaluate")  # type: ignore[untyped-decorator]
def evaluate_rules() -> None:
    """Judges all rules, and has what they say sent. What a lost broker forgets is sent after the next evaluation."""
    evaluate.evaluate_all()
    if outbox.is_any_due():
        send_messages.delay()


@shared_task(name="analytics.alerts.send")  # type: ignore[untyped-decorator]
def send_messages() -> None:
    if outbox.send_due():
        send_messages.delay()


@shared_task(name="analytics.alerts.drop_old_history")  # type: ignore[untyped-decorator]
def drop_old_history() -> None:
    """Drops messages and ended incidents that are older than the log."""
    oldest = timezone.now() - dt.timedelta(days=settings.LOG_RETENTION_DAYS)
    AlertDelivery.objects.filter(created_at__lt=oldest).exclude(incident__resolved_at=None, incident__isnull=False).delete()
    AlertIncident.objects.filter(resolved_at__lt=oldest).delete()
