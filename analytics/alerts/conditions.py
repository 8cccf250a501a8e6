"""What an alert rule may say: its type, its condition and the window that is measured.

A condition is ``<measure> <comparison> <number>[unit]``, such as ``p95 > 5000``, ``rate > 5%`` or ``state == open``.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from keys import validation as check

_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(
    r"\s*([a-z][a-z0-9_.]{0,20})\s*(>=|<=|==|!=|>|<)\s*(?:(\d{1,15}(?:\.\d{1,10})?)\s*([a-z%]{0,4})|(open|closed))\s*"
)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,2})?)")
_WINDOW = re.compile(r"([1-9]\d{0,4})(m|h|d)")
_WINDOW_UNITS = {"m": dt.timedelta(minutes=1), "h": dt.timedelta(hours=1), "d": dt.timedelta(days=1)}
_MAX_WINDOW = dt.timedelta(days=31)
CALENDAR = ("day", "week", "month")
DEFAULT_WINDOW = "5m"
# Sums by minute are kept for eight days; a longer window is measured by the hour.
BY_MINUTE = dt.timedelta(days=1)

# What may stand behind a number, and how much it stands for.
_UNITS: dict[str, dict[str, Decimal]] = {
    "ms": {"": Decimal(1), "ms": Decimal(1), "s": Decimal(1000)},
    "s": {"": Decimal(1), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)},
    "share": {"": Decimal(1), "%": Decimal("0.01")},
    "usd": {"": Decimal(1), "usd": Decimal(1)},
    "count": {"": Decimal(1), "k": Decimal(1000), "m": Decimal(10**6)},
    "bytes": {"": Decimal(1), "kb": Decimal(10**3), "mb": Decimal(10**6), "gb": Decimal(10**9)},
    "state": {},
}
_STATES = {"closed": Decimal(0), "open": Decimal(1)}
_MOST_USED = 10


@dataclass(frozen=True, slots=True)
class Type:
    """A kind of rule: its measures by name with their units, and names that mean one of them.

    `by_calls` says that it is measured over calls, in a window; the others say how things stand now. `filters` are those that
    make sense for it.
    """

    label: str
    measures: Mapping[str, str]
    aliases: Mapping[str, str]
    filters: tuple[str, ...]
    by_calls: bool = True


_CALLS = ("provider", "model", "api_key", "virtual_key", "config", "endpoint")
_PERCENTILES = {"p50": "ms", "p95": "ms", "p99": "ms"}
TYPES: dict[str, Type] = {
    "latency": Type("latency", {**_PERCENTILES, "avg": "ms"}, {"mean": "avg", "average": "avg"}, _CALLS),
    "ttft": Type("time to the first token", _PERCENTILES, {}, _CALLS),
    "error_rate": Type(
        "error rate",
        {"rate": "share", "rate_4xx": "share", "rate_5xx": "share", "rate_429": "share", "count": "count"},
        {"error_rate": "rate", "errors": "count"},
        _CALLS,
    ),
    "cost": Type("cost", {"total": "usd", "per_call": "usd"}, {"cost": "total", "usd": "total"}, _CALLS),
    "tokens": Type("number of tokens", {"total": "count", "input": "count", "output": "count"}, {"tokens": "total"}, _CALLS),
    "requests": Type("number of requests", {"count": "count"}, {"calls": "count", "requests": "count"}, _CALLS),
    "cache_hit_rate": Type("cache hit rate", {"rate": "share"}, {"hit_rate": "rate", "cache_hit_rate": "rate"}, _CALLS),
    "unpriced": Type("calls without a price", {"calls": "count"}, {"count": "calls"}, _CALLS),
    "budget": Type("used part of a budget", {"used": "share"}, {"usage": "used"}, ("api_key", "virtual_key"), by_calls=False),
    "breaker": Type(
        "circuit breaker",
        {"state": "state", "open_for": "s", "count": "count"},
        {"open": "count"},
        ("provider", "model", "virtual_key"),
        by_calls=False,
    ),
    "spool": Type("spool of log records", {"bytes": "bytes", "lost": "count"}, {"size": "bytes"}, (), by_calls=False),
}
TYPE_ALIASES = {
    "breaker_state": "breaker",
    "circuit_breaker": "breaker",
    "unpriced_models": "unpriced",
    "spool_backlog": "spool",
    "backlog": "spool",
    "time_to_first_token": "ttft",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`threshold` is in the measure's own unit: milliseconds, seconds, USD, bytes, a share from 0 to 1, or a number."""

    measure: str
    comparison: str
    threshold: Decimal
    unit: str

    def holds(self, value: Decimal) -> bool:
        return _COMPARISONS[self.comparison](value, self.threshold)

    def __str__(self) -> str:
        """The canonical text, which parses to the same condition."""
        return f"{self.measure} {self.comparison} {written(self.threshold, self.unit)}"


def written(value: Decimal, unit: str) -> str:
    """A number as a condition has it."""
    if unit == "state":
        return next(name for name, number in _STATES.items() if number == value)
    return format(value.normalize(), "f")


def rule_type(value: Any, path: str = "type") -> str:
    """The canonical name of a type. Raises `InvalidRequest`."""
    name = TYPE_ALIASES.get(value, value) if isinstance(value, str) else ""
    if name not in TYPES:
        hint = check.nearest(value[:80], (*TYPES, *TYPE_ALIASES)) if isinstance(value, str) else ""
        check.refuse(path, f"must be one of {', '.join(TYPES)}{hint}")
    return name


def parse(type_name: str, text: Any, path: str = "condition") -> Condition:
    """Reads a condition of a rule of this type. Raises `InvalidRequest`."""
    kind = TYPES[type_name]
    match = _CONDITION.fullmatch(text.lower()) if isinstance(text, str) and len(text) <= 100 else None
    if match is None:
        example = next(iter(kind.measures))
        check.refuse(path, f'must be a measure, a comparison and a number, such as "{_example(example, kind)}"')
    name, comparison, number, suffix, state = match.groups()
    name = kind.aliases.get(name, name)
    unit = _unit(kind, name, path)
    if unit == "state":
        if (comparison, state) not in (("==", "open"), ("!=", "closed")):
            check.refuse(path, f'{name} can only be asked for as "{name} == open"')
        return Condition(name, "==", _STATES["open"], unit)
    if number is None or suffix not in _UNITS[unit]:
        units = ", ".join(filter(None, _UNITS[unit])) or "no unit"
        check.refuse(path, f"{name} is compared with a number ({units})")
    threshold = Decimal(number) * _UNITS[unit][suffix]
    if unit == "share" and threshold > (_MOST_USED if type_name == "budget" else 1):
        check.refuse(path, f"{name} is a share from 0 to 1: write 0.05 or 5%")
    return Condition(name, comparison, threshold, unit)


def _unit(kind: Type, name: str, path: str) -> str:
    if name in kind.measures:
        return kind.measures[name]
    percentile = _PERCENTILE.fullmatch(name)
    if "p50" not in kind.measures or percentile is None or not 0 < Decimal(percentile[1]) < 100:
        known = ", ".join(kind.measures)
        check.refuse(path, f"{name[:40]} is not measured here; it can be {known}{check.nearest(name, kind.measures)}")
    return "ms"


def _example(name: str, kind: Type) -> str:
    examples = {"ms": "5000", "share": "5%", "usd": "10", "count": "1000", "bytes": "100mb", "s": "60"}
    unit = kind.measures[name]
    return f"{name} == open" if unit == "state" else f"{name} > {examples[unit]}"


def share_of(measure: str) -> float:
    """The share of calls that a percentile's name stands for: 0.95 of ``p95``."""
    return float(Decimal(measure.removeprefix("p")) / 100)


# --- Windows ---------------------------------------------------------------------------------------------------------------


def window(value: Any, path: str = "window") -> str:
    """The canonical text of a window: ``5m``, ``2h``, ``1d`` up to 31 days, or the calendar's day, week or month (UTC)."""
    if isinstance(value, str) and value in CALENDAR:
        return value
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) * _WINDOW_UNITS[match[2]] > _MAX_WINDOW:
        check.refuse(path, f"must be a time such as 5m, 2h or 1d, at most 31d, or one of {', '.join(CALENDAR)}")
    return match[0]


def reaches_back_to(text: str, now: dt.datetime) -> dt.datetime:
    """Where a window begins: a full minute, or a full hour where it is longer than a day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match text:
        case "day":
            return today
        case "week":
            return today - dt.timedelta(days=today.weekday())
        case "month":
            return today.replace(day=1)
    length = int(text[:-1]) * _WINDOW_UNITS[text[-1]]
    start = (now - length).replace(second=0, microsecond=0)
    return start if length <= BY_MINUTE else start.replace(minute=0)
