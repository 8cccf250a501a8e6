"""AWS's errors in OpenAI's words."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Target
from routing.errors import ProviderError
from routing.providers import failures, reading

# The statuses of the exceptions that may come inside a stream whose own status was 200 (from the API's model).
_STATUS = {
    "internalserverexception": 500,
    "modelstreamerrorexception": 424,
    "modeltimeoutexception": 408,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "validationexception": 400,
}
# Behind this, AWS repeats the request that it has seen, session token included.
_ECHO = "The Canonical String for this request"


def of_answer(target: Target, status: int, body: bytes) -> ProviderError:
    """The error of an answer: ``{"message": ...}`` or ``{"Message": ...}``, with its type in ``__type`` if at all."""
    return failures.provider_error(target, status, _readable(body, ""))


def of_exception(target: Target, name: str, body: bytes) -> ProviderError:
    """The error of an event of a stream."""
    return failures.provider_error(target, _STATUS.get(name.lower(), 502), _readable(body, name))


def _readable(body: bytes, name: str) -> bytes:
    """The body in a shape that `failures` reads; one that is none of AWS's stays as it is."""
    try:
        data: Any = reading.loads(body)
    except orjson.JSONDecodeError:
        data = None
    message = (data.get("message") or data.get("Message")) if isinstance(data, dict) else None
    if not isinstance(message, str):
        return body
    kind = data.get("__type")
    kind = kind.rsplit("#", 1)[-1] if isinstance(kind, str) else name
    return orjson.dumps({"message": message.split(_ECHO)[0].strip() or kind, "type": kind or None})
