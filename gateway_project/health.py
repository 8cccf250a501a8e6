"""`GET /health`: the process is alive. `GET /ready`: it can serve, with the state of each part that it needs.

A gateway serves from memory while Postgres, Redis or the worker is away, so it stays ready then and says `degraded`: a load
balancer that took every gateway out because the database restarts would make a small fault a large one. It is not ready (503)
before its first snapshot, and while its spool cannot keep records.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from gateway_project.celery import PULSE_KEY
from routing import gateway as gateways

# Older than this, the snapshot may miss changes: its poll, once a second, fails.
STALE_SNAPSHOT_S = 10.0


async def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive", "version": settings.VERSION})


async def ready(request: HttpRequest) -> JsonResponse:
    gateway = await gateways.current()
    snapshot = gateway.snapshots.current
    age_s = time.monotonic() - gateway.snapshots.checked_at
    spool, shipper = gateway.spool.state(), gateway.shipper.state()
    broker = await gateway.redis.ping()
    checks: dict[str, dict[str, Any]] = {
        "database": {"ok": await sync_to_async(_database_answers)()},
        "broker": {"ok": broker},
        "worker": {"ok": broker and await gateway.redis.exists(PULSE_KEY)},
        "snapshot": {
            "ok": snapshot is not None and age_s < STALE_SNAPSHOT_S,
            "version": snapshot.version if snapshot else None,
            "age_s": round(age_s, 1) if snapshot else None,
        },
        "shipper": {"ok": shipper.error is None, **dataclasses.asdict(shipper)},
        "spool": {"ok": not spool.disk_error and not spool.sheds_content, **dataclasses.asdict(spool)},
    }
    serves = snapshot is not None and not spool.disk_error
    status = "not_ready" if not serves else "ready" if all(check["ok"] for check in checks.values()) else "degraded"
    return JsonResponse({"status": status, "checks": checks}, status=200 if serves else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return False
    return True
