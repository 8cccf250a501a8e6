"""Messages that are on their way: tried until they arrive or have failed for half an hour, and kept as history either way."""

from __future__ import annotations

import datetime as dt
import logging

from django.db.models import F
from django.utils import timezone

from analytics.alerts import channels, messages
from analytics.alerts.channels import NotDelivered
from analytics.alerts.models import AlertChannel, AlertDelivery, Delivery

logger = logging.getLogger(__name__)

# After each failure; the last one is the end.
RETRY_S = (15, 60, 300, 1200)
# A sender that took a message and died loses it to another after this.
_LEASE = dt.timedelta(seconds=channels.TIMEOUT_S * 2)
# A round ends after so many, so that it never outlasts the broker's patience.
_MAX_A_ROUND = 5


def send_due() -> bool:
    """Tries the messages that are due, oldest first. Tells whether there may be more."""
    for _ in range(_MAX_A_ROUND):
        message = _claim(timezone.now())
        if message is None:
            return False
        _try(message)
    return True


def is_any_due() -> bool:
    return AlertDelivery.objects.filter(state=Delivery.PENDING, next_try_at__lte=timezone.now()).exists()


def _claim(now: dt.datetime) -> AlertDelivery | None:
    """Takes the next message that is due; nobody else has it until the lease ends."""
    due = AlertDelivery.objects.filter(state=Delivery.PENDING, next_try_at__lte=now)
    for message in due.order_by("next_try_at", "created_at")[:_MAX_A_ROUND]:
        mine = due.filter(pk=message.pk, next_try_at=message.next_try_at)
        if mine.update(next_try_at=now + _LEASE, attempts=F("attempts") + 1):
            return AlertDelivery.objects.select_related("channel", "incident").get(pk=message.pk)
    return None


def _try(message: AlertDelivery) -> None:
    try:
        if message.channel is None:
            raise NotDelivered("the channel is gone")
        if _is_outdated(message):
            raise NotDelivered("it was over before this could be told")
        channels.send(message.channel, message)
    except NotDelivered as error:
        message.error = str(error)[:300]
        last = message.channel is None or _is_outdated(message) or message.attempts > len(RETRY_S)
        wait = dt.timedelta(seconds=0 if last else RETRY_S[message.attempts - 1])
        message.state, message.next_try_at = (Delivery.FAILED, None) if last else (Delivery.PENDING, timezone.now() + wait)
        logger.warning("alert %s did not reach the channel %s: %s", message.pk, message.channel_name, message.error)
    else:
        message.state, message.next_try_at, message.error, message.sent_at = Delivery.SENT, None, "", timezone.now()
    message.save(update_fields=["state", "next_try_at", "error", "sent_at"])


def _is_outdated(message: AlertDelivery) -> bool:
    """Nobody is told that something is wrong once it is over: the message of its end says everything."""
    is_over = message.incident is not None and message.incident.resolved_at is not None
    return is_over and message.kind in (messages.FIRING, messages.REPEAT)


def send_test(channel: AlertChannel) -> AlertDelivery:
    """Sends a test at once and once only; the outcome is in the row."""
    message = messages.test_delivery(channel.workspace)
    message.channel, message.channel_name, message.attempts = channel, channel.name, 1
    try:
        channels.send(channel, message)
    except NotDelivered as error:
        message.state, message.error = Delivery.FAILED, str(error)[:300]
    else:
        message.state, message.sent_at = Delivery.SENT, timezone.now()
    message.save()
    return message
