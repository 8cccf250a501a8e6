"""A vendor's error answer in OpenAI's words. Vendors agree on little; everything seen in the wild is read here, once."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from routing.call import Target
from routing.errors import ProviderError, UpstreamInvalid
from routing.providers import reading

# Longer texts are HTML pages, stack traces or an echo of the prompt: enough to know the cause, not more.
MAX_MESSAGE_CHARS = 1000
_MAX_EXCERPT_CHARS = 200

REDACTED = "[redacted]"
# Vendors echo keys, whole or with stars in the middle: "Incorrect API key provided: sk-abc***xyz".
_SECRETS = re.compile(
    r"(?i:\bbearer\s+[\w.~+/=*-]{8,})"
    r"|\b(?:sk|pk|rk|gsk|xai|hf|r8|pplx|nvapi)[-_][\w*.-]{8,}"
    r"|\bAIza[\w-]{20,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bya29\.[\w.-]{8,}|(?i:\bx-amz-security-token\W{1,4}[\w+/=]{8,})"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"
    r"|\b\w{2,}\*{3,}[\w*]*"
)
_MARKUP = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")

# A longer error is shown as the beginning of its text.
MAX_ORIGINAL_BYTES = 16 * 1024

# What the named kinds of failure are as a status, for errors that arrive inside a stream whose status was 200.
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "not_found_error": 404,
    "timeout_error": 504,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_error": 500,
    "overloaded_error": 529,
}


class _Words(NamedTuple):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


def provider_error(target: Target, status: int, body: bytes, original: bytes | None = None) -> ProviderError:
    """The error for an answer with an error status, which is kept. `original` is what came, where `body` is a reading of it."""
    error = _error(target, status, _read(body) or _Words(_plain(body) or f"HTTP status {status} without a body"))
    if not target.strict:
        error.original = _original(target, body if original is None else original)
    return error


def error_in_stream(target: Target, data: Any) -> ProviderError:
    """The error for an event of a stream; its status is read from the error's code or type, else it is 502."""
    words = _words(data) or _Words(_compact(data))
    error = _error(target, _status(words), words)
    if not target.strict:
        error.original = _original(target, _compact(data).encode())
    return error


def invalid(target: Target, complaint: str, body: bytes = b"") -> UpstreamInvalid:
    """The error for a success status with an answer that is none. `body` is quoted, shortened and without secrets."""
    excerpt = redact(_plain(body)[:_MAX_EXCERPT_CHARS], target)
    error = UpstreamInvalid(f"{target.provider.id} error: {complaint}" + (f": {excerpt}" if excerpt else ""))
    error.provider = target.provider.id
    return error


def redact(text: str, target: Target) -> str:
    """`text` without the target's credentials and without anything that looks like one."""
    for secret in secrets(target):
        text = text.replace(secret, REDACTED)
    return _SECRETS.sub(REDACTED, text)


def secrets(target: Target) -> list[str]:
    """The target's credentials: its key, and its options that are some."""
    options = (target.options.get(option.name) for option in target.provider.options if option.secret)
    return [str(secret) for secret in (target.api_key, *options) if secret]


def _original(target: Target, body: bytes) -> Any:
    """The vendor's answer as JSON, or as a text where it is none or long; None where there is none. Without credentials."""
    if len(body) <= MAX_ORIGINAL_BYTES:
        try:
            return _redacted(reading.loads(body), target)
        except orjson.JSONDecodeError:
            pass
    # Cut at last, for half a credential would not be known as one.
    return redact(body[: 4 * MAX_ORIGINAL_BYTES].decode(errors="replace"), target)[:MAX_ORIGINAL_BYTES] or None


def _redacted(value: Any, target: Target) -> Any:
    if isinstance(value, str):
        return redact(value, target)
    if isinstance(value, list):
        return [_redacted(item, target) for item in value]
    if isinstance(value, dict):
        return {redact(key, target): _redacted(item, target) for key, item in value.items()}
    return value


def _error(target: Target, status: int, words: _Words) -> ProviderError:
    def clean(value: str | None) -> str | None:
        return None if value is None else redact(value, target)

    error = ProviderError(
        f"{target.provider.id} error: {redact(words.message, target)[:MAX_MESSAGE_CHARS]}",
        status=status,
        error_type=clean(words.type),
        param=clean(words.param),
        code=clean(words.code) if isinstance(words.code, str) else words.code,
    )
    error.provider = target.provider.id
    return error


def _status(words: _Words) -> int:
    if isinstance(words.code, int) and 400 <= words.code <= 599:
        return words.code
    return _STATUS_OF_TYPE.get(words.type or "") or _STATUS_OF_TYPE.get(str(words.code)) or 502


def _read(body: bytes) -> _Words | None:
    try:
        return _words(reading.loads(body))
    except orjson.JSONDecodeError:
        return None


def _words(data: Any) -> _Words | None:
    """What a parsed error says; None where nothing in it is text for a reader."""
    if isinstance(data, list):
        return _words(data[0]) if data else None
    if isinstance(data, str):
        return _Words(data) if data.strip() else None
    if not isinstance(data, dict):
        return None
    inner = data.get("error")
    if isinstance(inner, dict):
        message = _message(inner)
        return _Words(message or _compact(inner), _text(inner.get("type")), _text(inner.get("param")), _code(inner.get("code")))
    message = _text(inner) or _message(data)
    if message is None:
        return _Words(_compact(data)) if data else None
    return _Words(message, _text(data.get("type")), _text(data.get("param")), _code(data.get("code")))


def _message(data: dict[str, Any]) -> str | None:
    for key in ("message", "detail", "msg", "error_message", "errors"):
        value = data.get(key)
        if text := _text(value):
            return text
        if isinstance(value, list) and (parts := [_part(item) for item in value]):
            return "; ".join(parts)
        if isinstance(value, dict) and value:
            return _message(value) or _compact(value)
    return None


def _part(item: Any) -> str:
    """One of several errors. FastAPI's name the field: ``{"loc": ["body", "model"], "msg": "Field required"}``."""
    if not isinstance(item, dict):
        return str(item)
    text = _message(item) or _compact(item)
    where = item.get("loc")
    return f"{'.'.join(map(str, where))}: {text}" if isinstance(where, list) and where else text


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _code(value: Any) -> str | int | None:
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


def _plain(body: bytes) -> str:
    """Text or HTML as one line."""
    text = body[: 16 * MAX_MESSAGE_CHARS].decode(errors="replace")
    if text.lstrip()[:1] == "<":
        text = _MARKUP.sub(" ", text)
    return " ".join(text.split())
