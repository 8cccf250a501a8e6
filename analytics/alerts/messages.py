"""Incidents in words: what channels get, and what a rule would say at this moment."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from analytics.alerts import conditions
from analytics.alerts.conditions import Condition
from analytics.alerts.models import AlertDelivery, AlertIncident, AlertRule
from keys.models import Workspace
from keys.serializers import moment

FIRING, REPEAT, RESOLVED, TEST = "firing", "repeat", "resolved", "test"
_HEADS = {FIRING: "Firing", REPEAT: "Still firing", RESOLVED: "Resolved"}
# Measures whose name adds nothing to that of their type.
_SAID_BY_THE_TYPE = frozenset({"rate", "total", "count", "calls", "used", "state", "bytes"})
_BYTES = (("GB", Decimal(10**9)), ("MB", Decimal(10**6)), ("kB", Decimal(10**3)))


def shown(value: Decimal, unit: str) -> str:
    """A measured value for people."""
    match unit:
        case "ms":
            return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
        case "s":
            return f"{value:,.0f} s"
        case "share":
            return f"{value * 100:.2f}".rstrip("0").rstrip(".") + "%"
        case "usd":
            return f"${value:,.2f}" if value >= 1 else f"${value:.6f}"
        case "bytes":
            name, size = next((one for one in _BYTES if value >= one[1]), ("bytes", Decimal(1)))
            return f"{value / size:.1f} {name}" if size > 1 else f"{value:.0f} bytes"
        case "state":
            return conditions.written(value, unit)
    return f"{value:,.0f}"


def sentence(rule: AlertRule, condition: Condition, value: Decimal, label: str) -> str:
    """What is measured: ``latency p95 is 7,240 ms (rule: p95 > 5000, last 5m)``."""
    name = conditions.TYPES[rule.type].label
    if condition.measure not in _SAID_BY_THE_TYPE:
        name = f"{name} {condition.measure}"
    what = f"{label}: " if label else ""
    window = f", {span(rule.window)}" if rule.window else ""
    return f"{what}{name} is {shown(value, condition.unit)} (rule: {rule.condition}{window})"


def span(window: str) -> str:
    return f"this {window}" if window in conditions.CALENDAR else f"last {window}"


def delivery(
    kind: str, rule: AlertRule, incident: AlertIncident, now: dt.datetime, *, calls: int | None = None, reason: str = ""
) -> AlertDelivery:
    """A message about an incident, without its channel. `reason` says why it is over where no value does."""
    condition = conditions.parse(rule.type, rule.condition)
    workspace = rule.workspace
    title = f"[{workspace.name}] {_HEADS[kind]}: {rule.name}"
    lines = [reason or sentence(rule, condition, incident.value, incident.label)]
    if calls is not None:
        lines.append(f"Calls in the window: {calls:,}")
    if rule.filters:
        lines.append("Only: " + ", ".join(f"{name} {value}" for name, value in sorted(rule.filters.items())))
    lines.append(f"Since: {incident.started_at:%Y-%m-%d %H:%M:%S} UTC")
    if kind == RESOLVED:
        lines.append(f"Resolved: {now:%Y-%m-%d %H:%M:%S} UTC, after {_length(now - incident.started_at)}")
    text = "\n".join(lines)
    payload: dict[str, Any] = {
        "type": f"alert.{kind}",
        "workspace": workspace.slug,
        "rule": {
            "id": str(rule.pk),
            "name": rule.name,
            "type": rule.type,
            "condition": rule.condition,
            "window": rule.window or None,
            "filters": rule.filters,
        },
        "incident": {
            "id": str(incident.pk),
            "subject": incident.label or None,
            "started_at": moment(incident.started_at),
            "resolved_at": moment(incident.resolved_at),
        },
        "value": float(incident.value),
        "threshold": float(condition.threshold),
        "unit": condition.unit,
        "title": title,
        "text": text,
    }
    return AlertDelivery(workspace=workspace, incident=incident, kind=kind, title=title[:300], text=text, payload=payload)


def test_delivery(workspace: Workspace) -> AlertDelivery:
    """What the test button sends."""
    title = f"[{workspace.name}] Test: this channel works"
    text = "Alerts of Gatehouse arrive here. Nothing is wrong."
    payload = {"type": "alert.test", "workspace": workspace.slug, "title": title, "text": text}
    return AlertDelivery(workspace=workspace, kind=TEST, title=title[:300], text=text, payload=payload)


def _length(time: dt.timedelta) -> str:
    minutes, seconds = divmod(round(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if count) or "0 s"
