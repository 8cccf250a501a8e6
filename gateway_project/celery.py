"""The Celery application: `celery -A gateway_project worker` and `celery -A gateway_project beat`."""

from __future__ import annotations

import os

import redis
from celery import Celery
from celery.signals import worker_init, worker_ready
from django.conf import settings
from kombu.transport.redis import QoS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")

# A worker that loses its broker closes its channels, and kombu 5.7 then wants to put unacknowledged messages back over the very
# connection that is gone: an AttributeError that ends the worker. The broker gives them out again by itself after a while.
QoS.restore_at_shutdown = False

app = Celery("gatehouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Set by every run of `pulse`; while it is there, beat and a worker have been alive a moment ago.
PULSE_KEY = "gatehouse:worker:pulse"
PULSE_LASTS_S = 30
# How long a worker's thread keeps its connection to the database.
CONNECTION_LASTS_S = 600


@app.task(name="gateway_project.pulse", ignore_result=True)  # type: ignore[untyped-decorator]
def pulse() -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(PULSE_KEY, 1, ex=PULSE_LASTS_S)


@worker_init.connect  # type: ignore[untyped-decorator]
def _keep_connections(**_: object) -> None:
    settings.DATABASES["default"]["CONN_MAX_AGE"] = CONNECTION_LASTS_S


@worker_ready.connect  # type: ignore[untyped-decorator]
def _first_pulse(**_: object) -> None:
    pulse()
