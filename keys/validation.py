"""What the fields of keys may hold. Each check takes a value and its path and gives the clean value or refuses it.

Values come from JSON or from a form, so nothing about their types is taken for granted. Everything wrong is one exception:
`InvalidRequest`, whose `param` is the path of the field.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from zoneinfo import available_timezones

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from keys import fences, policy
from routing.errors import InvalidRequest

Check = Callable[[Any, str], Any]

MAX_LIMIT = 10**12
MAX_CREDIT = Decimal(10**9)
_CREDIT_PLACES = 6
_METADATA_VALUE = 128
_METADATA_PAIRS = 50
_MODEL_NAME = 200
_RULES_MAX = 200
_ALLOW_LIST_MAX = 200

_MAX_DEPTH = 32
_SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")

CONCURRENCY = "concurrency"
RATE_TYPES = ("requests", "tokens", CONCURRENCY)
RATE_UNITS = ("rpm", "rph", "rpd")
RESETS = ("daily", "weekly", "monthly")


def refuse(path: str, reason: str, *, code: str | None = None, status: int | None = None) -> NoReturn:
    raise InvalidRequest(f"{path}: {reason}", param=path, code=code, status=status)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses an unknown name."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""


def clean(values: Mapping[str, Any], table: Mapping[str, Check], path: str = "") -> dict[str, Any]:
    """The clean values of an object whose known fields are in `table`; any other field is refused."""
    for name in values:
        if name not in table:
            where = f"{path}.{name}" if path else name
            refuse(where[:200], f"unknown field{nearest(name, table)}", code="unknown_field")
    return {name: table[name](value, f"{path}.{name}" if path else name) for name, value in values.items()}


def require(values: Mapping[str, Any], *names: str, path: str = "") -> None:
    for name in names:
        if name not in values:
            refuse(f"{path}.{name}" if path else name, "is required", code="missing_field")


def mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        refuse(path, "must be an object")
    return dict(value)


def listed(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        refuse(path, "must be a list")
    return list(value)


def text(maximum: int, *, blank: bool = False) -> Check:
    """Text without control characters; surrounding space is not part of it."""

    def check(value: Any, path: str) -> str:
        if value is None and blank:
            return ""
        if not isinstance(value, str):
            refuse(path, "must be a text")
        cleaned = value.strip()
        if not cleaned and not blank:
            refuse(path, "must not be empty")
        if len(cleaned) > maximum:
            refuse(path, f"is too long: at most {maximum} characters")
        if any((ord(char) < 32 and char not in "\n\t") or 0xD800 <= ord(char) < 0xE000 for char in cleaned):
            refuse(path, "must not hold control characters")
        return cleaned

    return check


def slug(maximum: int) -> Check:
    """A name for paths and headers."""

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or len(value) > maximum or not _SLUG.fullmatch(value):
            refuse(path, f"must be lower-case letters, digits and single hyphens or underscores, at most {maximum}")
        return value

    return check


def storable(value: Any, path: str, max_depth: int = _MAX_DEPTH) -> None:
    """Refuses JSON that the database cannot hold or that is nested beyond all sense. Walks without recursion on purpose."""
    level, depth = [value], 0
    while level:
        if depth > max_depth:
            refuse(path, f"is nested deeper than {max_depth} levels")
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str) and _UNSTORABLE.search(item):
                refuse(path, "must not hold NUL characters or halves of surrogate pairs")
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                inner += item
        level, depth = inner, depth + 1


def one_of(choices: tuple[str, ...], *, null: bool = False) -> Check:
    def check(value: Any, path: str) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, str) or value not in choices:
            options = ", ".join(choices) + (" or null" if null else "")
            refuse(path, f"must be one of {options}")
        return value

    return check


def whole_number(value: Any, path: str, low: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != math.floor(value):
        refuse(path, "must be a whole number")
    if not low <= value <= MAX_LIMIT:
        refuse(path, f"must be from {low} to {MAX_LIMIT}")
    return int(value)


def positive_int(value: Any, path: str) -> int:
    return whole_number(value, path, 1)


def usd(value: Any, path: str) -> int | float:
    """An amount of USD above 0, as a JSON number that keeps all of its at most six places."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        refuse(path, "must be a number of USD")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        refuse(path, "must be a number of USD")
    if not amount.is_finite() or amount <= 0:
        refuse(path, "must be a finite amount above 0")
    if amount > MAX_CREDIT:
        refuse(path, f"must be at most {MAX_CREDIT}")
    if amount != round(amount, _CREDIT_PLACES):
        refuse(path, f"must not have more than {_CREDIT_PLACES} decimal places")
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def percent(value: Any, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        refuse(path, "must be a percentage above 0 and up to 100")
    return value


def rate_limits(value: Any, path: str) -> list[dict[str, Any]]:
    """``[{"type", "unit", "value"}]``, at most one for each type and unit; null means none. Calls at once have no unit."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        refuse(path, "must be a list")
    cleaned: list[dict[str, Any]] = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        limit = clean(mapping(item, where), _RATE_LIMIT, where)
        require(limit, "type", "value", path=where)
        if limit["type"] == CONCURRENCY:
            for name in limit.keys() & {"unit", "timezone"}:
                refuse(f"{where}.{name}", "calls at once are not counted by time")
        else:
            require(limit, "unit", path=where)
        if any((limit["type"], limit.get("unit")) == (other["type"], other.get("unit")) for other in cleaned):
            refuse(where, f"is a second limit on {limit['type']}" + (f" in {limit['unit']}" if "unit" in limit else ""))
        cleaned.append(limit)
    return cleaned


def usage_limits(value: Any, path: str) -> dict[str, Any] | list[dict[str, Any]]:
    """``{"credit_limit", "periodic_reset", "alert_threshold", "timezone"}``, or a list of such with different resets; null or
    nothing in it means no budget."""
    if not isinstance(value, list | tuple):
        return _budget(value, path)
    budgets: list[dict[str, Any]] = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        budget = _budget(mapping(item, where), where)
        require(budget, "credit_limit", path=where)
        if any(budget.get("periodic_reset") == other.get("periodic_reset") for other in budgets):
            refuse(where, "is a second budget with the same periodic_reset")
        budgets.append(budget)
    return budgets or {}


def _budget(value: Any, path: str) -> dict[str, Any]:
    if value is None:
        return {}
    limits = clean(mapping(value, path), _USAGE_LIMITS, path)
    limits.pop("type", None)
    if limits:
        require(limits, "credit_limit", path=path)
    return limits


def metadata(value: Any, path: str) -> dict[str, str]:
    """Portkey's metadata: texts of at most 128 characters."""
    pairs = mapping({} if value is None else value, path)
    if len(pairs) > _METADATA_PAIRS:
        refuse(path, f"has too many entries: at most {_METADATA_PAIRS}")
    name, content = text(_METADATA_VALUE), text(_METADATA_VALUE, blank=True)
    return {name(key, path): content(item, f"{path}.{key[:_METADATA_VALUE]}") for key, item in pairs.items()}


def key_defaults(value: Any, path: str) -> dict[str, Any]:
    """The shape of an API key's defaults. Whether the config exists is for the action to ask."""
    cleaned = clean(mapping({} if value is None else value, path), _DEFAULTS, path)
    if cleaned.get("allow_config_override") is False and not cleaned.get("config_id"):
        refuse(f"{path}.allow_config_override", "needs a config_id: without one there is nothing to enforce")
    return {name: content for name, content in cleaned.items() if content not in (None, "", {}, True)}


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        refuse(path, "must be true or false")
    return value


def network(value: Any, path: str) -> str:
    """A network in CIDR form, or one address."""
    try:
        if not isinstance(value, str) or len(value) > 64 or "%" in value:
            raise ValueError
        return str(fences.network(value))
    except ValueError:
        refuse(path, "must be an IP address or a network such as 203.0.113.0/24")


def allow_list(item: Check) -> Check:
    """What is allowed, each once; null allows everything, and nothing at all cannot be said."""

    def check(value: Any, path: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            refuse(path, "must be a list")
        if not value:
            refuse(path, "must not be empty: null takes the restriction away")
        if len(value) > _ALLOW_LIST_MAX:
            refuse(path, f"is too long: at most {_ALLOW_LIST_MAX} entries")
        return list(dict.fromkeys(item(one, f"{path}[{index}]") for index, one in enumerate(value)))

    return check


def scopes(value: Any, path: str) -> list[str]:
    if not isinstance(value, list | tuple | set | frozenset):
        refuse(path, "must be a list of scopes")
    if not value:
        refuse(path, "must hold at least one scope")
    known = policy.ALL_SCOPES | policy.INERT_SCOPES
    for item in value:
        if not isinstance(item, str):
            refuse(path, "must be a list of texts")
        if item not in known:
            refuse(path, f"{item[:80]!r} is not a scope{nearest(item[:80], sorted(known))}")
    return sorted(set(value))


def future(value: Any, path: str) -> datetime | None:
    """A moment to come, as a datetime or in ISO 8601; without an offset it is in UTC. Null means never."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else _parsed(value, path)
    if moment <= timezone.now():
        refuse(path, "must be in the future")
    return moment


def _parsed(value: Any, path: str) -> datetime:
    try:
        moment = parse_datetime(value) if isinstance(value, str) and len(value) <= 64 else None
        if moment is not None:
            # A moment at the ends of the calendar overflows when it is moved to UTC.
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    refuse(path, "must be a date and time in ISO 8601")


def timezone_name(value: Any, path: str) -> str:
    if not isinstance(value, str) or value not in available_timezones():
        refuse(path, "must be the name of a time zone, such as Europe/Berlin")
    return value


def workspace_limits(value: Any, path: str) -> dict[str, Any]:
    """The shape of `Workspace.limits`; null means none."""
    limits = clean(mapping({} if value is None else value, path), _WORKSPACE_LIMITS, path)
    return {name: content for name, content in limits.items() if content not in (None, [], {})}


def _models_limits(value: Any, path: str) -> dict[str, Any]:
    models = mapping({} if value is None else value, path)
    name = text(_MODEL_NAME)
    if len(models) > _RULES_MAX:
        refuse(path, f"has too many entries: at most {_RULES_MAX}")
    return {name(model, path): _limits(limits, f"{path}.{str(model)[:80]}") for model, limits in models.items()}


def _limits(value: Any, path: str) -> dict[str, Any]:
    limits = clean(mapping(value, path), _BOTH_LIMITS, path)
    if not any(limits.values()):
        refuse(path, "must hold rate_limits or usage_limits")
    return limits


def _metadata_limits(value: Any, path: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        refuse(path, "must be a list")
    if len(value) > _RULES_MAX:
        refuse(path, f"is too long: at most {_RULES_MAX} entries")
    rules: list[dict[str, Any]] = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        given = mapping(item, where)
        which: dict[str, Any] = {name: given.pop(name) for name in ("key", "value") if name in given}
        require(which, "key", path=where)
        rule = {**clean(which, {"key": text(_METADATA_VALUE), "value": text(_METADATA_VALUE)}, where), **_limits(given, where)}
        if any((rule["key"], rule.get("value")) == (other["key"], other.get("value")) for other in rules):
            refuse(where, "is a second entry for the same key and value")
        rules.append(rule)
    return rules


_RATE_LIMIT: dict[str, Check] = {
    "type": one_of(RATE_TYPES),
    "unit": one_of(RATE_UNITS),
    "value": positive_int,
    "timezone": timezone_name,
}
_BOTH_LIMITS: dict[str, Check] = {"rate_limits": rate_limits, "usage_limits": usage_limits}
_WORKSPACE_LIMITS: dict[str, Check] = {**_BOTH_LIMITS, "models": _models_limits, "metadata": _metadata_limits}
_USAGE_LIMITS: dict[str, Check] = {
    # Portkey's hosted service also counts tokens here; a token limit is a rate limit with us.
    "type": one_of(("cost",)),
    "credit_limit": usd,
    "periodic_reset": one_of(RESETS, null=True),
    "alert_threshold": percent,
    "timezone": timezone_name,
}
_DEFAULTS: dict[str, Check] = {"config_id": text(141, blank=True), "metadata": metadata, "allow_config_override": boolean}
