"""Which headers of a provider's answer its caller gets: those that are known to be about the answer.

All others stay here. A browser or a proxy between us and the caller obeys many a header (`Set-Cookie`, `Location`, `Refresh`,
`Clear-Site-Data`, `X-Accel-Redirect`), and a provider speaks for itself, not for the address that the caller asked.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping

_KNOWN = frozenset(
    (
        *("request-id", "cf-ray", "retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "idempotent-replayed"),
        *("content-disposition", "content-range", "content-language", "accept-ranges", "etag", "last-modified"),
        *("deprecation", "sunset", "warning", "server-timing"),
    )
)
# What vendors put before the names of their own headers, beside the first word of their id.
_PREFIXES = ("x-", "ratelimit-", "openai-", "anthropic-", "apim-", "azureml-", "ms-", "amzn-", "llm-")
# Ours, and those among ``X-`` that browsers or proxies obey.
_REFUSED = frozenset(
    (
        *("x-frame-options", "x-content-type-options", "x-xss-protection", "x-dns-prefetch-control", "x-download-options"),
        *("x-permitted-cross-domain-policies", "x-ua-compatible", "x-robots-tag", "x-sendfile", "x-lighttpd-send-file"),
        *("x-powered-by", "x-aspnet-version", "x-frame-ancestors", "x-pingback", "x-sourcemap", "x-webkit-csp"),
        *("x-content-security-policy", "x-reproxy-url", "x-litespeed-location"),
    )
)
_REFUSED_PREFIXES = ("x-portkey-", "x-gatehouse-", "x-accel-", "x-forwarded-", "x-original-", "x-rewrite-")
_WAITS = frozenset({"retry-after", "retry-after-ms", "x-ms-retry-after-ms"})


def headers(given: Mapping[str, str], provider_id: str) -> dict[str, str]:
    """The headers for the caller, names in lower case.

    A value that is not printable ASCII is left out: it came in as bytes of no known encoding, and ours could not be sent.
    """
    own = f"{provider_id.partition('-')[0]}-"
    kept: dict[str, str] = {}
    for header, value in given.items():
        name = header.lower()
        if not (name in _KNOWN or name.startswith(_PREFIXES) or name.startswith(own)):
            continue
        if name in _REFUSED or name.startswith(_REFUSED_PREFIXES) or not (value.isascii() and value.isprintable()):
            continue
        if name not in _WAITS:
            kept[name] = value
        elif wait := _wait(value):
            kept[name] = wait
    return kept


def _wait(value: str) -> str | None:
    """A wish to wait as a number: an HTTP date becomes the seconds until it."""
    if _number(value) is not None:
        return value.strip()
    seconds = _until(value)
    return None if seconds is None else str(math.ceil(seconds))


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 and "_" not in value else None


def _until(value: str) -> float | None:
    """Seconds until an HTTP date, 0 for one that has passed."""
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
