"""Ways to show a credential to a vendor. Each writes into the headers of the request; without a key it writes nothing.

Whether a missing key is an error is the row's affair (`Provider.needs_key`) and is said before a dialect is asked.
"""

from __future__ import annotations

from routing.call import Target
from routing.providers.base import Auth


def bearer(headers: dict[str, str], target: Target) -> None:
    """``Authorization: Bearer <key>``."""
    if target.api_key:
        headers["authorization"] = f"Bearer {target.api_key}"


def header_key(name: str) -> Auth:
    """The key alone in the header `name`, as in ``x-api-key: <key>``."""
    lower = name.lower()

    def write(headers: dict[str, str], target: Target) -> None:
        if target.api_key:
            headers[lower] = target.api_key

    return write


def no_auth(headers: dict[str, str], target: Target) -> None:
    """For a vendor that knows no credentials."""
