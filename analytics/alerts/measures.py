"""What is measured for a rule at this moment. Calls are read from the roll-ups, never from the log."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet, Sum

from analytics import backlog, histogram
from analytics.alerts import conditions
from analytics.alerts.conditions import Condition
from analytics.alerts.models import AlertRule
from analytics.models import RollupHour, RollupMinute
from keys.models import ApiKey, BudgetEvent, VirtualKey
from routing import health
from routing.models import Config

HITS = ("HIT", "SEMANTIC HIT")
_LOOKED_UP = (*HITS, "MISS", "SEMANTIC MISS")
_TOKENS_IN = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "audio_input_tokens")
_TOKENS_OUT = ("output_tokens", "reasoning_tokens", "audio_output_tokens")
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}
_STATUSES = {"rate_4xx": (400, 499), "rate_5xx": (500, 599), "rate_429": (429, 429)}


class Unmeasurable(Exception):
    """What a rule speaks of is not there any more, or cannot be asked."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One subject's value, in the unit of the condition. `calls` are those it was measured over, None where it was not."""

    value: Decimal
    subject: str = ""
    label: str = ""
    calls: int | None = None


def read(rule: AlertRule, now: dt.datetime) -> list[Reading]:
    """The readings of a rule: one for each subject, none where there is nothing to measure.

    Raises `Unmeasurable`, and `redis.RedisError` for what lies in Redis.
    """
    condition = conditions.parse(rule.type, rule.condition)
    match rule.type:
        case "breaker":
            return _breakers(rule, condition, now)
        case "budget":
            return _budgets(rule, now)
        case "spool":
            return _spools(condition)
    calls = _calls(rule, now)
    if rule.type == "unpriced":
        return _unpriced(calls)
    total = int(_sum(calls, "calls"))
    value = _value(rule.type, condition, calls, total)
    needed = rule.minimum_calls if condition.unit in ("share", "ms") or condition.measure == "per_call" else 0
    return [] if value is None or total < needed else [Reading(value, calls=total)]


# --- Calls -----------------------------------------------------------------------------------------------------------------

# By the minute or by the hour: the tables have the same columns.
Calls = QuerySet[Any]


def _calls(rule: AlertRule, now: dt.datetime) -> Calls:
    """The sums of the calls that the rule is about."""
    start = conditions.reaches_back_to(rule.window, now)
    short = now - start <= conditions.BY_MINUTE + dt.timedelta(minutes=1)
    table: Any = RollupMinute if short else RollupHour
    calls: Calls = table.objects.filter(_filters(rule), workspace_id=rule.workspace_id, bucket__gte=start, bucket__lte=now)
    return calls


def _filters(rule: AlertRule) -> Q:
    found = Q()
    for name, wanted in rule.filters.items():
        match name:
            case "model" if wanted.endswith("*"):
                found &= Q(model__startswith=wanted.removesuffix("*"))
            case "api_key":
                found &= Q(api_key_id=_api_key(rule, wanted))
            case "virtual_key":
                found &= Q(virtual_key_id=_id_of(VirtualKey, rule, wanted, "virtual key"))
            case "config":
                found &= Q(config_id=_id_of(Config, rule, wanted, "config"))
            case _:
                found &= Q(**{name: wanted})
    return found


def _api_key(rule: AlertRule, wanted: str) -> uuid.UUID:
    found = ApiKey.objects.filter(workspace_id=rule.workspace_id, pk=wanted).values_list("pk", flat=True).first()
    if found is None:
        raise Unmeasurable("the API key of the filter is gone")
    return found


def _id_of(model: Any, rule: AlertRule, slug: str, what: str) -> uuid.UUID:
    found: uuid.UUID | None = (
        model.objects.filter(workspace_id=rule.workspace_id, slug=slug).values_list("pk", flat=True).first()
    )
    if found is None:
        raise Unmeasurable(f"the {what} {slug} of the filter is gone")
    return found


def _sum(calls: Calls, *columns: str) -> Decimal:
    sums = calls.aggregate(**{name: Sum(name) for name in columns})
    return sum((Decimal(str(value)) for value in sums.values() if value is not None), Decimal(0))


def _value(kind: str, condition: Condition, calls: Calls, total: int) -> Decimal | None:
    """None where there is nothing to divide by."""
    measure = condition.measure
    match kind:
        case "latency" | "ttft":
            return _duration(kind, measure, calls, total)
        case "error_rate" if measure == "count":
            return _sum(calls, "failed")
        case "error_rate":
            return _share(_failed(calls, measure), total)
        case "cost":
            cost = _sum(calls, "cost_usd")
            return cost if measure == "total" else _share(cost, total)
        case "tokens":
            columns = {"input": _TOKENS_IN, "output": _TOKENS_OUT, "total": (*_TOKENS_IN, *_TOKENS_OUT)}
            return _sum(calls, *columns[measure])
        case "requests":
            return Decimal(total)
        case "cache_hit_rate":
            looked_up = _sum(calls.filter(cache_status__in=_LOOKED_UP), "calls")
            return _share(_sum(calls.filter(cache_status__in=HITS), "calls"), int(looked_up))
    raise AssertionError(f"nobody measures {kind}")


def _share(part: Decimal, total: int) -> Decimal | None:
    return part / total if total else None


def _failed(calls: Calls, measure: str) -> Decimal:
    if measure == "rate":
        return _sum(calls, "failed")
    return _sum(calls.filter(status__range=_STATUSES[measure]), "calls")


def _duration(kind: str, measure: str, calls: Calls, total: int) -> Decimal | None:
    if measure == "avg":
        return _share(_sum(calls, "duration_ms_sum"), total)
    counts = _histogram(calls, "duration_counts" if kind == "latency" else "ttft_counts")
    found = histogram.percentile(counts, conditions.share_of(measure))
    return None if found is None else Decimal(str(round(found, 3)))


def _histogram(calls: Calls, column: str) -> list[int]:
    """The buckets of all calls together, added up by the database."""
    sql, parameters = calls.order_by().values(column).query.sql_with_params()
    counts = [0] * histogram.BUCKETS
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT place, sum(count) FROM ({sql}) AS one,"  # noqa: S608 - Django's own statement
            f" unnest(one.{column}) WITH ORDINALITY AS bucket(count, place) GROUP BY place",
            parameters,
        )
        for place, count in cursor.fetchall():
            counts[place - 1] = int(count)
    return counts


def _unpriced(calls: Calls) -> list[Reading]:
    rows = calls.filter(unpriced__gt=0).order_by().values("provider", "model").annotate(found=Sum("unpriced"))
    return [
        Reading(Decimal(row["found"]), f"{row['provider']}/{row['model']}"[:300], f"{row['model']} ({row['provider']})"[:300])
        for row in rows
    ]


# --- How things stand ------------------------------------------------------------------------------------------------------


def _breakers(rule: AlertRule, condition: Condition, now: dt.datetime) -> list[Reading]:
    """Every open breaker of the workspace is a subject; one that closed is not there. `count` is about all of them."""
    filters = dict(rule.filters)
    if "virtual_key" in filters:
        filters["virtual_key_id"] = str(_id_of(VirtualKey, rule, filters.pop("virtual_key"), "virtual key"))
    found = [
        one
        for one in health.states(settings.REDIS_URL)
        if one.workspace_id == str(rule.workspace_id) and all(getattr(one, name) == text for name, text in filters.items())
    ]
    if condition.measure == "count":
        return [Reading(Decimal(len(found)), label=", ".join(_target(one) for one in found)[:300])]
    if condition.measure == "state":
        return [Reading(Decimal(1), one.id, _target(one)) for one in found]
    return [Reading(Decimal(str(round(now.timestamp() - one.since, 1))), one.id, _target(one)) for one in found]


def _target(breaker: health.OpenBreaker) -> str:
    return " ".join(filter(None, (breaker.provider, breaker.model, f"at {breaker.host}" if breaker.host else "")))[:300]


def _budgets(rule: AlertRule, now: dt.datetime) -> list[Reading]:
    """Each budget of an API key or virtual key is a subject, with the part of it that its window's calls have cost."""
    keys: Sequence[ApiKey | VirtualKey] = [
        *_budgeted(ApiKey, rule, "api_key", "virtual_key"),
        *_budgeted(VirtualKey, rule, "virtual_key", "api_key"),
    ]
    readings = [_budget(key, limit, now) for key in keys for limit in _limits_of(key)]
    return readings if rule.filters else readings + _noted_budgets(rule, now)


def _budgeted(model: Any, rule: AlertRule, own: str, other: str) -> list[Any]:
    if other in rule.filters and own not in rule.filters:
        return []
    rows = model.objects.filter(workspace_id=rule.workspace_id).exclude(usage_limits={}).exclude(usage_limits=[])
    if own in rule.filters:
        wanted = rule.filters[own]
        rows = rows.filter(pk=_api_key(rule, wanted) if model is ApiKey else _id_of(model, rule, wanted, "virtual key"))
    return list(rows)


def _limits_of(key: ApiKey | VirtualKey) -> list[dict[str, Any]]:
    """One budget, or several of them."""
    limits: Any = key.usage_limits
    return [one for one in (limits if isinstance(limits, list) else [limits]) if one.get("credit_limit")]


def _budget(key: ApiKey | VirtualKey, limit: dict[str, Any], now: dt.datetime) -> Reading:
    column, what = ("api_key_id", "API key") if isinstance(key, ApiKey) else ("virtual_key_id", "virtual key")
    hours = RollupHour.objects.filter(workspace_id=key.workspace_id, **{column: key.pk})
    period, zone = limit.get("periodic_reset"), limit.get("timezone") or "UTC"
    if period:
        hours = hours.filter(bucket__gte=conditions.reaches_back_to(_PERIODS[period], now.astimezone(ZoneInfo(zone))))
    budget = Decimal(str(limit["credit_limit"]))
    label = f"{what} {key.name}, {period or 'total'} budget of {budget} USD"
    return Reading(_sum(hours, "cost_usd") / budget, f"{column}:{key.pk}:{period}:{zone}:{budget.normalize()}", label[:300])


def _noted_budgets(rule: AlertRule, now: dt.datetime) -> list[Reading]:
    """Budgets of workspaces, configs, models and users, whose counters lie in Redis: the highest threshold that was noted."""
    events = BudgetEvent.objects.filter(workspace_id=rule.workspace_id).exclude(object_kind__in=("api_key", "virtual_key"))
    highest: dict[str, Reading] = {}
    for event in events.order_by("threshold"):
        if _goes_on(event.counter.rpartition(":")[2], event.window_start, now):
            subject = f"{event.counter}:{event.cap_usd.normalize()}"[:300]
            highest[subject] = Reading(Decimal(str(event.threshold)) / 100, subject, event.limit_text[:300])
    return list(highest.values())


def _goes_on(period: str, start: dt.datetime, now: dt.datetime) -> bool:
    """Whether a window that began then has not ended. A month begins at a midnight somewhere, hours off the first in UTC."""
    if period in ("day", "week"):
        return now < start + dt.timedelta(days=1 if period == "day" else 7)
    if period == "month":
        first = (start + dt.timedelta(days=1)).replace(day=1, hour=0, minute=0)
        following = (first + dt.timedelta(days=32)).replace(day=1)
        return now < following + (start - first)
    return True


def _spools(condition: Condition) -> list[Reading]:
    """Each machine's spool is a subject."""
    field = "used_bytes" if condition.measure == "bytes" else "lost"
    worst: dict[str, int] = {}
    for one in backlog.announced():
        worst[one.machine] = max(worst.get(one.machine, 0), getattr(one, field))
    return [Reading(Decimal(value), machine[:300], machine[:300]) for machine, value in sorted(worst.items())]
