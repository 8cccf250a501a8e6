"""Errors in Anthropic's shape."""

from __future__ import annotations

import orjson

from routing import sse
from routing.call import Json
from routing.errors import GatewayError, ProviderError

# The vendor's word for each status (its documentation, "Errors"), and for those that only others use the nearest.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    412: "billing_error",  # a budget of this gateway's is used up
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WORDS = frozenset(_TYPES.values()) | {"api_error"}


def error_body(error: GatewayError) -> Json:
    """``{"type": "error", "error": {"type", "message"}}``."""
    return {"type": "error", "error": {"type": _type(error), "message": error.message}}


def error_event(error: GatewayError) -> bytes:
    """The event that ends a broken stream."""
    return sse.encode(orjson.dumps(error_body(error)), "error")


def _type(error: GatewayError) -> str:
    if isinstance(error, ProviderError) and error.error_type in _WORDS:
        return error.error_type
    return _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
