"""Tells every gateway process that keys or configs have changed."""

from __future__ import annotations

import logging
from functools import lru_cache

import redis
from django.conf import settings
from django.db import connection, transaction

logger = logging.getLogger(__name__)

CHANNEL = "gatehouse:snapshot"
_TIMEOUT_S = 0.25

# The row is made where it is missing. Its lock is held to the end of the transaction, so numbers become visible in order.
_BUMP = """
    INSERT INTO routing_snapshotversion (id, number) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET number = routing_snapshotversion.number + 1
    RETURNING number
"""


def bump_snapshot() -> int:
    """Raises the snapshot's number in the caller's transaction and announces it once that is committed.

    Call it last in the transaction: it queues all other writers behind this one.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BUMP)
        (number,) = cursor.fetchone()
    transaction.on_commit(lambda: _publish(number))
    return int(number)


@lru_cache(maxsize=2)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


def _publish(number: int) -> None:
    try:
        _client(settings.REDIS_URL).publish(CHANNEL, number)
    except redis.RedisError as error:
        # Gateways also poll the number, so a lost announcement costs seconds and not the change.
        logger.warning("snapshot %d was not announced, gateways will find it by polling: %s", number, error)
