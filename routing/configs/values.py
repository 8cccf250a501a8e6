"""Parsers of single config values: each takes what was written and its path, and gives the canonical value or refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

from routing.call import Json
from routing.errors import InvalidConfig

# Below this a bare number of `request_timeout` means seconds, from it up milliseconds: both are in use (see docs/configs.md).
SECONDS_BELOW = 300
MAX_TIMEOUT_MS = 3_600_000
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000}
# Of a wrong key or value, a refusal quotes no more than this.
_SHOWN_CHARS = 100
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def join(path: str, key: str) -> str:
    key = key[:_SHOWN_CHARS] or '""'
    return f"{path}.{key}" if path else key


def shown(value: object) -> str:
    """A wrong value as a refusal may quote it: texts and numbers shortened, anything deeper by its kind only."""
    if not isinstance(value, str | int | float):
        return kind(value)
    quoted = repr(value)
    return quoted if len(quoted) <= _SHOWN_CHARS else f"{quoted[:_SHOWN_CHARS]}..."


def kind(value: object) -> str:
    """JSON's word for a value's type."""
    names = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def _refuse(path: str, reason: str) -> NoReturn:
    raise InvalidConfig(f"{path}: {reason}", param=path)


def never(value: object, path: str) -> NoReturn:
    """Stands in the table for a key that its owner parses itself."""
    _refuse(path, f"cannot be {kind(value)} here.")


def text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        _refuse(path, f"expected a text, got {kind(value)}." if not isinstance(value, str) else "is empty.")
    return value.strip()


def boolean(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    _refuse(path, f"expected true or false, got {kind(value)}.")


def json_object(value: object, path: str) -> Json:
    if not isinstance(value, dict):
        _refuse(path, f"expected an object, got {kind(value)}.")
    return dict(value)


def choice(options: tuple[str, ...]) -> Callable[[Any, str], str]:
    def parse(value: object, path: str) -> str:
        if value not in options:
            _refuse(path, f"{shown(value)} is not one of {', '.join(options)}.")
        return str(value)

    return parse


def number(low: float, high: float, *, numeric_text: bool = False) -> Callable[[Any, str], int | float]:
    def parse(value: object, path: str) -> int | float:
        if numeric_text and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                _refuse(path, f"{shown(value)} is not a number.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            _refuse(path, f"expected a number, got {kind(value)}.")
        if not low <= value <= high:  # NaN is never in range
            _refuse(path, f"{shown(value)} is out of range: use {low:g} to {high:g}.")
        return int(value) if float(value).is_integer() else value

    return parse


def whole(low: int, high: int) -> Callable[[Any, str], int]:
    parse_number = number(low, high)

    def parse(value: object, path: str) -> int:
        parsed = parse_number(value, path)
        if not isinstance(parsed, int):
            _refuse(path, f"expected a whole number, got {parsed}.")
        return parsed

    return parse


def status_codes(value: object, path: str) -> list[int]:
    if not isinstance(value, list):
        _refuse(path, f"expected an array of HTTP statuses, got {kind(value)}.")
    one = whole(100, 599)
    return sorted({one(code, f"{path}[{index}]") for index, code in enumerate(value)})


def duration_ms(value: object, path: str, *, unit: str | None = None) -> int:
    """Milliseconds from ``30`` (seconds), ``500`` (milliseconds), ``"30s"``, ``"500ms"``, ``"2m"``.

    With `unit`, a number without one has that unit whatever its size.
    """
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            _refuse(path, f'{shown(value)} is not a duration: use for example 30, 5000, "30s" or "500ms".')
        amount, unit = float(match[1]), match[2] or unit
    elif isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    else:
        _refuse(path, f"expected a duration, got {kind(value)}.")
    milliseconds = amount * (_UNIT_MS[unit] if unit else 1000 if amount < SECONDS_BELOW else 1)
    if not 0.5 < milliseconds <= MAX_TIMEOUT_MS:  # NaN and infinity are not; what is rounds to 1 at least
        _refuse(path, f"{shown(value)} is out of range: use 1 ms to one hour.")
    return round(milliseconds)


def http_url(value: object, path: str) -> str:
    """An absolute http(s) URL without credentials, query or fragment, and without a trailing slash."""
    url = text(value, path)
    try:
        parts = urlsplit(url)
        port_is_bad = parts.port == 0
    except ValueError:
        _refuse(path, "is not a URL.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port_is_bad:
        _refuse(path, "must be an absolute http:// or https:// URL, with the version path (for example https://host/v1).")
    if "@" in parts.netloc or not url.isprintable() or any(character in url for character in "?# \\"):
        _refuse(path, "must hold no credentials, query, fragment or blanks.")
    return url.rstrip("/")


# Headers that a caller may not push through to a provider: they would break the message or reveal the gateway's own key.
_NOT_FORWARDED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive"}
)


def header_names(value: object, path: str) -> list[str]:
    """Lower-case header names from an array or a comma-separated text."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        _refuse(path, f"expected an array of header names, got {kind(value)}.")
    names = []
    for index, item in enumerate(items):
        name = text(item, f"{path}[{index}]").lower()
        if not _HEADER_NAME.fullmatch(name):
            _refuse(f"{path}[{index}]", f"{shown(item)} is not a header name.")
        if name.startswith("x-portkey-") or name in _NOT_FORWARDED:
            _refuse(f"{path}[{index}]", f"{name} cannot be forwarded.")
        names.append(name)
    return names
