"""Rules become incidents: a condition that holds begins one for its subject, and one that no longer holds ends it.

Each rule is evaluated in a transaction of its own that locks it, so two workers never judge the same rule at once; messages
are written in that transaction too, and leave afterwards (outbox.py). An incident is told when it begins, again after the
rule's `repeat_minutes`, and when it ends to those who have heard of it.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterable

import redis
from django.db import transaction
from django.utils import timezone

from analytics.alerts import conditions, measures, messages
from analytics.alerts.measures import Reading, Unmeasurable
from analytics.alerts.models import AlertChannel, AlertDelivery, AlertIncident, AlertRule

logger = logging.getLogger(__name__)

# One rule with a thousand broken subjects is one problem; the rest of them wait for these.
MAX_SUBJECTS = 50


def evaluate_all(now: dt.datetime | None = None) -> None:
    """Evaluates every rule that is switched on. One that fails says so in its own row and in the log, and holds up no other."""
    now = now or timezone.now()
    for rule_id in AlertRule.objects.filter(enabled=True).values_list("pk", flat=True):
        try:
            _evaluate_one(rule_id, now)
        except Exception:  # whatever is wrong with one rule, the others must be heard
            logger.exception("alert rule %s cannot be evaluated", rule_id)
            AlertRule.objects.filter(pk=rule_id).update(evaluated_at=now, error="It failed: the worker's log says why")


def _evaluate_one(rule_id: uuid.UUID, now: dt.datetime) -> None:
    with transaction.atomic():
        found = AlertRule.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=rule_id, enabled=True)
        rule = found.select_related("workspace").first()
        if rule is not None:
            _evaluate(rule, now)


def _evaluate(rule: AlertRule, now: dt.datetime) -> None:
    error = ""
    try:
        readings = measures.read(rule, now)
    except Unmeasurable as problem:
        error = str(problem)
    except redis.RedisError as problem:
        error = "Redis does not answer"
        logger.warning("alert rule %s cannot be evaluated: %s", rule.pk, problem)
    else:
        judge(rule, readings, now)
    AlertRule.objects.filter(pk=rule.pk).update(evaluated_at=now, error=error[:300])


def judge(rule: AlertRule, readings: Iterable[Reading], now: dt.datetime) -> None:
    """Begins, goes on with and ends the rule's incidents."""
    condition = conditions.parse(rule.type, rule.condition)
    known = {one.subject: one for one in rule.incidents.filter(resolved_at=None)}
    read = {one.subject: one for one in readings}
    holding = [one for one in read.values() if condition.holds(one.value)]
    holding.sort(key=lambda one: (one.subject not in known, -one.value))
    for reading in holding[:MAX_SUBJECTS]:
        _goes_on(rule, known.pop(reading.subject, None), reading, now)
    for subject, incident in known.items():
        _ends(rule, incident, read.get(subject), now)


def _goes_on(rule: AlertRule, incident: AlertIncident | None, reading: Reading, now: dt.datetime) -> None:
    if incident is None:
        incident = AlertIncident(
            workspace=rule.workspace, rule=rule, subject=reading.subject, started_at=now, rule_name=rule.name
        )
    incident.type, incident.condition, incident.label, incident.value = rule.type, rule.condition, reading.label, reading.value
    incident.save()
    if rule.muted_until is not None and rule.muted_until > now:
        return
    kind = messages.FIRING
    if incident.told_at is not None:
        if not rule.repeat_minutes or now - incident.told_at < dt.timedelta(minutes=rule.repeat_minutes):
            return
        kind = messages.REPEAT
    incident.told_at = now
    incident.save(update_fields=["told_at"])
    _tell(messages.delivery(kind, rule, incident, now, calls=reading.calls), rule.channels.all(), now)


def _ends(rule: AlertRule, incident: AlertIncident, reading: Reading | None, now: dt.datetime) -> None:
    incident.resolved_at = now
    if reading is not None:
        incident.value = reading.value
    incident.save(update_fields=["resolved_at", "value"])
    gone = f"{incident.label}: it is over" if incident.label else "There are not enough calls any more to measure it"
    _tell_the_end(rule, incident, now, reason="" if reading is not None else gone, calls=reading.calls if reading else None)


def end_all(rule: AlertRule, reason: str) -> None:
    """Ends the rule's incidents because it is switched off, changed in its meaning, or deleted."""
    now = timezone.now()
    for incident in rule.incidents.filter(resolved_at=None):
        incident.resolved_at = now
        incident.save(update_fields=["resolved_at"])
        _tell_the_end(rule, incident, now, reason=reason)


def _tell_the_end(
    rule: AlertRule, incident: AlertIncident, now: dt.datetime, *, reason: str = "", calls: int | None = None
) -> None:
    heard = AlertChannel.objects.filter(deliveries__incident=incident).distinct()
    _tell(messages.delivery(messages.RESOLVED, rule, incident, now, calls=calls, reason=reason), heard, now)


def _tell(message: AlertDelivery, channels: Iterable[AlertChannel], now: dt.datetime) -> None:
    """Puts the message into the outbox, once for each channel."""
    for channel in channels:
        message.pk, message._state.adding = uuid.uuid4(), True
        message.channel, message.channel_name, message.next_try_at = channel, channel.name, now
        message.save()
