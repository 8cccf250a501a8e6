"""The way from a gateway process to the ingest task and back: Celery out, a Redis key per batch in return."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.conf import settings
from kombu.exceptions import KombuError

from analytics import backlog
from analytics.shipper import CourierError
from analytics.spool import SpoolState
from gateway_project.celery import app

TASK = "analytics.tasks.ingest"
# The tag in braces keeps all confirmations on one node of a Redis cluster, so that one MGET reads them.
_KEY = "gatehouse:{ingested}:"
_KEY_TTL_S = 600
_TIMEOUT_S = 2.0


def redis_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


def confirm(client: redis.Redis, batch_id: str) -> None:
    """Tells the shipper that the database has the batch. Raises `redis.RedisError`."""
    client.set(f"{_KEY}{batch_id}", 1, ex=_KEY_TTL_S)


def is_confirmed(client: redis.Redis, batch_id: str) -> bool:
    """Raises `redis.RedisError`."""
    return bool(client.exists(f"{_KEY}{batch_id}"))


class CeleryCourier:
    """One connection to the broker and one to Redis, made when needed and thrown away at the first error."""

    def __init__(self) -> None:
        self._redis = redis_client()
        self._connection: Any = None
        self._channel: Any = None
        self._producer: Any = None

    def publish(self, batch_id: str, payload: str) -> None:
        with self._errors():
            self._connect()
            app.send_task(TASK, args=[batch_id, payload], producer=self._producer, retry=False)

    def confirmed(self, batch_ids: list[str]) -> set[str]:
        with self._errors():
            found = self._redis.mget([f"{_KEY}{batch_id}" for batch_id in batch_ids])
        return {batch_id for batch_id, value in zip(batch_ids, found, strict=True) if value is not None}

    def backlog(self) -> int:
        """How many tasks wait in the broker's queue."""
        with self._errors():
            self._connect()
            # Declared once more and not passively: kombu looks for a passive one without the key prefix, and never finds it.
            declared = app.amqp.queues[app.conf.task_default_queue].bind(self._channel).queue_declare()
        return int(declared.message_count)

    def announce(self, process: str, state: SpoolState) -> None:
        """Tells everybody how full this process's spool is."""
        with self._errors():
            backlog.announce(self._redis, process, state)

    def close(self) -> None:
        self._disconnect()
        self._redis.close()

    def _connect(self) -> None:
        if self._connection is not None:
            return
        self._connection = app.connection_for_write()
        # Not `default_channel`, which Celery's pools use: with the broker away it tries again for ever.
        self._channel = self._connection.channel()
        self._producer = app.amqp.Producer(self._channel)

    def _disconnect(self) -> None:
        connection, self._connection, self._channel, self._producer = self._connection, None, None, None
        if connection is not None:
            connection.collect()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (KombuError, redis.RedisError, OSError) as error:
            self._disconnect()
            raise CourierError(str(error) or type(error).__name__) from error
