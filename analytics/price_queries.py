"""Reads of a workspace's own prices."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections import defaultdict
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from analytics.models import PriceOverride
from analytics.tariffs import Tariff, compile_tariff, in_order
from keys.models import Workspace
from routing.errors import NotFound

logger = logging.getLogger(__name__)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def list_overrides(workspace: Workspace) -> QuerySet[PriceOverride]:
    return PriceOverride.objects.filter(workspace=workspace)


def get_override(workspace: Workspace, identity: str) -> PriceOverride:
    """Raises `NotFound`, also for another workspace's."""
    try:
        return PriceOverride.objects.get(workspace=workspace, pk=uuid.UUID(identity))
    except (PriceOverride.DoesNotExist, ValidationError, ValueError) as error:
        raise NotFound(f"There is no price {identity[:100]!r} in this workspace.") from error


def tariffs(workspace_id: str | None = None) -> dict[str, tuple[Tariff, ...]]:
    """By workspace, the decisive ones first; of one workspace where that is named."""
    rows = PriceOverride.objects.all() if workspace_id is None else PriceOverride.objects.filter(workspace_id=workspace_id)
    found: dict[str, list[Tariff]] = defaultdict(list)
    for row in rows:
        try:
            found[str(row.workspace_id)].append(tariff(row))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:  # written by hand or by another version
            logger.error("the price %s of workspace %s is unusable: %r", row.pk, row.workspace_id, error)
    return {workspace: in_order(listed) for workspace, listed in found.items()}


def tariff(row: PriceOverride) -> Tariff:
    return compile_tariff(
        provider=row.provider,
        model=row.model,
        prices=row.prices,
        discount_percent=Decimal(row.discount_percent),
        starts_us=0 if row.starts_at is None else microseconds(row.starts_at),
        ends_us=None if row.ends_at is None else microseconds(row.ends_at),
    )


def microseconds(moment: dt.datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MICROSECOND
