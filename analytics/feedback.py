"""Feedback on the calls of a trace, in Portkey's words: a value from -10 to 10, a weight from 0 to 1."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from analytics.models import Feedback
from keys import validation as check
from keys.models import Workspace
from routing.errors import NotFound

MAX_AT_ONCE = 1000
_LOWEST, _HIGHEST = -10, 10


def give(workspace: Workspace, items: Sequence[dict[str, Any]], *, in_list: bool) -> list[Feedback]:
    """All of them or none. A trace need not be in the log yet: its calls arrive there a moment after they end."""
    if not 1 <= len(items) <= MAX_AT_ONCE:
        check.refuse("body", f"must hold from 1 to {MAX_AT_ONCE} objects")
    rows = []
    for index, item in enumerate(items):
        where = f"[{index}]" if in_list else ""
        values = _clean(item, {"trace_id": check.text(256), **_FIELDS}, where)
        check.require(values, "trace_id", "value", path=where)
        rows.append(Feedback(workspace=workspace, **values))
    return Feedback.objects.bulk_create(rows)


def change(workspace: Workspace, identity: str, fields: dict[str, Any]) -> Feedback:
    """Raises `NotFound`, also for another workspace's."""
    values = _clean(fields, _FIELDS, "")
    with transaction.atomic():
        try:
            row = Feedback.objects.select_for_update().get(workspace=workspace, pk=uuid.UUID(identity))
        except (Feedback.DoesNotExist, ValueError) as error:
            raise NotFound(f"There is no feedback {identity[:100]!r} in this workspace.") from error
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
    return row


def of_traces(workspace_id: uuid.UUID | None, *trace_ids: str) -> list[Feedback]:
    """Oldest first. Calls of no workspace have none."""
    if workspace_id is None:
        return []
    return list(Feedback.objects.filter(workspace_id=workspace_id, trace_id__in=trace_ids).order_by("created_at", "id")[:1000])


def _clean(item: Any, table: dict[str, check.Check], where: str) -> dict[str, Any]:
    given = {name: value for name, value in check.mapping(item, where or "body").items() if value is not None}
    return check.clean(given, table, where)


def _value(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LOWEST <= value <= _HIGHEST or value != int(value):
        check.refuse(path, f"must be a whole number from {_LOWEST} to {_HIGHEST}")
    return int(value)


def _weight(value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        check.refuse(path, "must be a number from 0 to 1")
    return round(Decimal(str(value)), 6)


_FIELDS: dict[str, check.Check] = {"value": _value, "weight": _weight, "metadata": check.metadata}
