"""The calls that share a trace id, as one timeline: under each call those that name its span as their parent."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from analytics.feedback import of_traces
from analytics.log_view import Attempt, time_line, total_tokens
from analytics.models import Feedback, RequestLog

MAX_CALLS = 500
_MILLISECOND = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """One call: how deep it stands, when it began after the first one (milliseconds), and its bar in percent of the trace."""

    log: RequestLog
    depth: int
    offset_ms: float
    start: float
    width: float
    attempts: list[Attempt]

    @property
    def levels(self) -> range:
        """One for each call above it."""
        return range(self.depth)


@dataclass(frozen=True, slots=True)
class Trace:
    """`has_more` says that there are calls past `MAX_CALLS`. `cost_usd` is the sum of what has a price."""

    trace_id: str
    spans: list[Span]
    duration_ms: float
    cost_usd: Decimal
    tokens: int
    failed: int
    unpriced: int
    feedback: list[Feedback]
    has_more: bool


def trace(workspace_id: uuid.UUID, trace_id: str) -> Trace | None:
    """None where this workspace's log has no such trace."""
    if not trace_id or "\0" in trace_id:
        return None
    found = list(
        RequestLog.objects.filter(workspace_id=workspace_id, trace_id=trace_id).order_by("started_at", "id")[: MAX_CALLS + 1]
    )
    if not found:
        return None
    logs = found[:MAX_CALLS]
    began = logs[0].started_at
    whole = max(max((log.started_at - began) / _MILLISECOND + log.duration_ms for log in logs), 0.001)
    return Trace(
        trace_id=trace_id,
        spans=[_span(log, depth, began, whole) for log, depth in _tree(logs)],
        duration_ms=whole,
        cost_usd=sum((log.cost_usd or Decimal(0) for log in logs), Decimal(0)),
        tokens=sum(map(total_tokens, logs)),
        failed=sum(log.status >= 400 for log in logs),
        unpriced=sum(log.unpriced for log in logs),
        feedback=of_traces(workspace_id, trace_id),
        has_more=len(found) > MAX_CALLS,
    )


def _span(log: RequestLog, depth: int, began: dt.datetime, whole: float) -> Span:
    offset = (log.started_at - began) / _MILLISECOND
    start = 100 * offset / whole
    width = max(0.5, 100 * log.duration_ms / whole)
    return Span(log, depth, offset, round(min(start, 99.5), 2), round(min(width, 100 - min(start, 99.5)), 2), time_line(log))


def _tree(logs: list[RequestLog]) -> Iterator[tuple[RequestLog, int]]:
    """Each call once, parents first, with its depth. A parent that is not in the log, or that closes a circle, is none."""
    by_span = {log.span_id: log for log in reversed(logs) if log.span_id}
    children: dict[uuid.UUID | None, list[RequestLog]] = defaultdict(list)
    for log in logs:
        parent = by_span.get(log.parent_span_id)
        children[None if parent is None or _in_circle(log, by_span) else parent.id].append(log)
    waiting = [(log, 0) for log in reversed(children[None])]
    while waiting:
        log, depth = waiting.pop()
        yield log, depth
        waiting += [(child, depth + 1) for child in reversed(children[log.id])]


def _in_circle(log: RequestLog, by_span: dict[str, RequestLog]) -> bool:
    seen = {log.id}
    above = by_span.get(log.parent_span_id)
    while above is not None:
        if above.id == log.id:
            return True
        if above.id in seen:
            return False  # a circle further up, which is not this call's
        seen.add(above.id)
        above = by_span.get(above.parent_span_id)
    return False
