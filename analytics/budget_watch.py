"""Events of budgets: once for each threshold in each window, for alerts and for people to read."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from analytics import reconcile
from analytics.reconcile import Truth
from keys.limits.refusals import amount
from keys.limits.windows import NANO, Limit, prefix
from keys.models import BudgetEvent, Workspace

# In percent. A budget's own threshold comes beside them.
THRESHOLDS: Final = (50.0, 80.0, 100.0)
# The window that has just ended is looked at once more: its last calls settle meanwhile.
_LAST_WORDS_S: Final = 30
_KINDS: Final = {"key": "api_key", "vkey": "virtual_key"}


def note_events() -> int:
    """Adds the events that are due; tells how many. Raises `redis.RedisError`."""
    return sum(_note(workspace) for workspace in Workspace.objects.all())


def _note(workspace: Workspace) -> int:
    now = time.time()
    budgets = reconcile.budgets(str(workspace.id), (now, now - _LAST_WORDS_S))
    if not budgets:
        return 0
    before = prefix(str(workspace.id))
    with reconcile.client() as server:
        refusing = {name.decode() for name in server.hkeys(f"{before}full")}
        counted = list(reconcile.look(server, str(workspace.id), budgets))
    due: list[BudgetEvent] = []
    for budget, (used, held) in zip(budgets, counted, strict=True):
        due += _events(workspace, budget, used - held, before + budget.place in refusing)
    known = set(
        BudgetEvent.objects.filter(workspace=workspace, counter__in={event.counter for event in due}).values_list(
            "counter", "cap_usd", "threshold", "window_start"
        )
    )
    new = [event for event in due if (event.counter, event.cap_usd, event.threshold, event.window_start) not in known]
    return len(BudgetEvent.objects.bulk_create(new, ignore_conflicts=True))


def _events(workspace: Workspace, budget: Truth, used: int, refuses: bool) -> Iterator[BudgetEvent]:
    """What a budget has reached. One that refuses calls has reached its end, though the last call did not fit any more."""
    limit = budget.limit
    percent = 100.0 if refuses and used < limit.cap else 100.0 * used / limit.cap
    own = () if limit.alert is None else (float(limit.alert),)
    kind, named = _subject(limit)
    for threshold in sorted({*THRESHOLDS, *own}):
        if percent >= threshold:
            yield BudgetEvent(
                workspace=workspace,
                object_kind=kind,
                object_id=named[:300],
                limit_text=f"{limit.label}: {amount(limit)}"[:500],
                threshold=threshold,
                window_start=dt.datetime.fromtimestamp(budget.start, dt.UTC),
                cap_usd=_usd(limit.cap),
                used_usd=_usd(used),
                counter=budget.place.rpartition(":")[0][:300],
            )


def _subject(limit: Limit) -> tuple[str, str]:
    kind, _, name = limit.owner.partition(":")
    return _KINDS.get(kind, kind), limit.named or name


def _usd(nano: int) -> Decimal:
    return Decimal(nano) / NANO
