"""The day so far in four numbers, for the first page of the console."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Sum
from django.utils import timezone

from analytics.models import RollupHour


@dataclass(frozen=True, slots=True)
class Today:
    """Since midnight UTC. Errors are calls that their caller got an error status for; tokens are those of all classes."""

    calls: int
    errors: int
    cost_usd: Decimal
    tokens: int
    unpriced: int


def today(workspace_id: uuid.UUID, now: dt.datetime | None = None) -> Today:
    """Reads the sums of the day's hours."""
    midnight = (now or timezone.now()).astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = RollupHour.objects.filter(workspace_id=workspace_id, bucket__gte=midnight)
    tokens = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens") + F("audio_input_tokens")
    tokens = tokens + F("output_tokens") + F("reasoning_tokens") + F("audio_output_tokens")
    sums = hours.aggregate(
        calls=Sum("calls"), errors=Sum("failed"), cost=Sum("cost_usd"), tokens=Sum(tokens), unpriced=Sum("unpriced")
    )
    calls, errors, used, unpriced = (int(sums[name] or 0) for name in ("calls", "errors", "tokens", "unpriced"))
    return Today(calls, errors, sums["cost"] or Decimal(0), used, unpriced)
