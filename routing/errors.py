"""Every way a call can fail, with the HTTP status and the words the caller gets.

    GatewayError
    +- InvalidRequest 400        the request cannot be run as written; `param` is the path of the offending field
    |  +- InvalidConfig 400      the same for a routing config
    |  +- Unsupported 400        a provider cannot express what is asked for
    +- Unauthenticated 401       no key, or an unknown, revoked or expired one
    +- Forbidden 403             the key may not do this
    +- NotFound 404              no such route
    +- MethodNotAllowed 405
    +- BodyTooLarge 413
    +- RateLimited 429           a limit on calls or tokens; `retry_after_s` says when to come back
    +- BudgetExceeded 412        a budget in USD is used up
    +- Unavailable 503           this gateway cannot serve now
    |  +- BreakerOpen 503        every target that may serve is left alone for a while; `retry_after_s` says until when
    +- InternalError 500         a bug of ours; the details are in the process log only
    +- UpstreamError             the provider's side; the only ones that retries and fallbacks look at
       +- ProviderError          the provider answered with an error status, which is kept
       +- UpstreamTimeout 408    the request's own time-out ran out
       +- UpstreamUnreachable 502 / 503 / 504   no connection, or one that broke before an answer
       +- UpstreamInvalid 502    an answer that is not what its status promised
       +- StreamBroken 502       a stream that ended before it was complete

Only the edge (routing/api) turns them into HTTP. Messages are written for the caller and hold no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class GatewayError(Exception):
    """Base of the tree. `param` names the offending field, `code` is stable and machine-readable."""

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: str = "internal_error"
    # What was tried, each with target, provider, model, status and error, for callers who want more than OpenAI's shape says.
    tried: tuple[dict[str, Any], ...] = ()

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape."""
        shaped: dict[str, Any] = {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}
        if self.tried:
            shaped["attempts"] = list(self.tried)
        return shaped

    def headers(self) -> dict[str, str]:
        """Response headers that belong to this error."""
        return {}


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidConfig(InvalidRequest):
    code = "invalid_config"


class Unsupported(InvalidRequest):
    code = "unsupported"


class Unauthenticated(GatewayError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(GatewayError):
    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(GatewayError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: Iterable[str]) -> None:
        super().__init__(message)
        self.allowed = ", ".join(sorted(allowed))

    def headers(self) -> dict[str, str]:
        return {"allow": self.allowed}


class BodyTooLarge(GatewayError):
    status = 413
    type = "invalid_request_error"
    code = "body_too_large"


class RateLimited(GatewayError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: int, rate_headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.rate_headers = rate_headers or {}

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s), **self.rate_headers}


class BudgetExceeded(GatewayError):
    status = 412
    type = "insufficient_quota"
    code = "budget_exceeded"


class Unavailable(GatewayError):
    status = 503
    type = "server_error"
    code = "unavailable"


class BreakerOpen(Unavailable):
    code = "breaker_open"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class InternalError(GatewayError):
    status = 500
    type = "server_error"
    code = "internal_error"


class UpstreamError(GatewayError):
    """A failure on the provider's side of one attempt. `provider` is set by the attempt that met it."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    provider: str | None = None
    # A network failure is retried whatever the retry's status list says.
    is_network: ClassVar[bool] = False
    # The provider's own wish, read from Retry-After, in seconds.
    retry_after_s: float | None = None
    # The provider's headers that the caller may see, such as Retry-After and its rate limits.
    passed_on: Mapping[str, str] = MappingProxyType({})

    def body(self) -> dict[str, Any]:
        shaped = super().body()
        if self.provider is not None:
            shaped["provider"] = self.provider
        return shaped

    def headers(self) -> dict[str, str]:
        return dict(self.passed_on)


class ProviderError(UpstreamError):
    """The provider's error answer, its status kept and its words in OpenAI's shape."""

    code = "provider_error"

    def __init__(self, message: str, *, status: int, error_type: str | None, param: str | None, code: str | int | None) -> None:
        super().__init__(message, param=param, status=status)
        self.error_type = error_type
        self.error_code = code
        # The provider's own words without credentials, for a caller who wants more than OpenAI's shape says.
        self.original: Any = None
        # The provider's own body for a caller who speaks to it in its own words, and what it said that it is.
        self.content: bytes | None = None
        self.content_type: str | None = None

    def body(self) -> dict[str, Any]:
        shaped = super().body()
        shaped["error"] |= {"type": self.error_type, "code": self.error_code}
        if self.original is not None:
            shaped["provider_error"] = self.original
        return shaped


class UpstreamTimeout(UpstreamError):
    status = 408
    type = "timeout_error"
    code = "request_timeout"


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"
    is_network = True


class UpstreamInvalid(UpstreamError):
    code = "upstream_invalid_response"


class StreamBroken(UpstreamError):
    code = "upstream_stream_broken"
    is_network = True
