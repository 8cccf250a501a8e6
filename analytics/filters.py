"""Reads the filters of the log from text, as a query string or a form gives them. Nothing is guessed, nothing left unread."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_datetime

from analytics.queries import FilterError, LogFilters

METADATA_PREFIX = "metadata."
_TEXT_MAX = 1024
_STATUS = re.compile(r"[1-5]\d\d")
_STATUS_CLASS = re.compile(r"[1-5]xx", re.IGNORECASE)


def parse(given: Mapping[str, str]) -> LogFilters:
    """The filters. `given` has their names as keys and ``metadata.<key>`` for metadata; empty values count as not given.

    ``status`` is a number or a class (``4xx``), times are ISO 8601 with a zone, booleans ``true`` or ``false``. Raises
    `FilterError` for an unknown name and for a value that cannot be read.
    """
    values: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for name, text in given.items():
        if not text:
            continue
        if name.startswith(METADATA_PREFIX) and name != METADATA_PREFIX:
            metadata[name.removeprefix(METADATA_PREFIX)] = _text(name, text)
        elif name == "status" and _STATUS_CLASS.fullmatch(text):
            values["status_class"] = int(text[0])
        elif name in _PARSERS:
            values[name] = _PARSERS[name](name, text)
        else:
            raise FilterError(name, "there is no such filter")
    return LogFilters(**values, metadata=metadata)


def _text(name: str, text: str) -> str:
    if len(text) > _TEXT_MAX or "\0" in text:
        raise FilterError(name, f"use at most {_TEXT_MAX} characters, and no NUL")
    return text


def _status(name: str, text: str) -> int:
    if not _STATUS.fullmatch(text):
        raise FilterError(name, "use a status such as 429, or a class such as 4xx")
    return int(text)


def _uuid(name: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise FilterError(name, "use an id (a UUID)") from error


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise FilterError(name, "use true or false")
    return text.lower() == "true"


def _moment(name: str, text: str) -> dt.datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise FilterError(name, "use a time with its zone, such as 2026-01-31T12:00:00Z")
    return moment


def _decimal(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) >= Decimal(10) ** 10:
        raise FilterError(name, "use a number, such as 0.25")
    return number


def _float(name: str, text: str) -> float:
    return float(_decimal(name, text))


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "trace_id": _text,
    "status": _status,
    "provider": _text,
    "model": _text,
    "api_key_id": _uuid,
    "virtual_key_id": _uuid,
    "config_id": _uuid,
    "endpoint": _text,
    "cache_status": _text,
    "is_stream": _boolean,
    "started_from": _moment,
    "started_to": _moment,
    "min_cost": _decimal,
    "max_cost": _decimal,
    "min_duration_ms": _float,
    "max_duration_ms": _float,
}
