"""The day so far in four numbers, for the first page of the console."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from analytics.models import RequestLog


@dataclass(frozen=True, slots=True)
class Today:
    """Since midnight UTC. Errors are calls that their caller got an error status for; tokens are those of all classes."""

    calls: int
    errors: int
    cost_usd: Decimal
    tokens: int
    unpriced: int


def today(workspace_id: uuid.UUID, now: dt.datetime | None = None) -> Today:
    """Reads one day's partition by its index."""
    midnight = (now or timezone.now()).astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = RequestLog.objects.filter(workspace_id=workspace_id, started_at__gte=midnight)
    tokens = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens") + F("audio_input_tokens")
    tokens = tokens + F("output_tokens") + F("reasoning_tokens") + F("audio_output_tokens")
    sums = rows.aggregate(
        calls=Count("id"),
        errors=Count("id", filter=Q(status__gte=400)),
        cost=Sum("cost_usd"),
        tokens=Sum(tokens),
        unpriced=Count("id", filter=Q(unpriced=True)),
    )
    return Today(sums["calls"], sums["errors"], sums["cost"] or Decimal(0), int(sums["tokens"] or 0), sums["unpriced"])
