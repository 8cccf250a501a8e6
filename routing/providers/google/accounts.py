"""A service account as a target holds it: the JSON text that the vendor's console gives out, as an option or as the key."""

from __future__ import annotations

import orjson

from routing.call import Json, Target
from routing.errors import InvalidRequest
from routing.providers.base import Option

SERVICE_ACCOUNT = Option("vertex_service_account_json", secret=True, destination=True, kind="json")
_NEEDED = ("client_email", "private_key")


def account(target: Target) -> Json | None:
    """The target's service account, None where it has none. Raises `InvalidRequest` for a text that is no service account."""
    text = target.options.get(SERVICE_ACCOUNT.name)
    path = SERVICE_ACCOUNT.name
    if not text:
        text, path = target.api_key, "api_key"
        if not text or not text.lstrip().startswith("{"):
            return None
    try:
        found = text if isinstance(text, dict) else orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) and found[name] for name in _NEEDED):
        raise InvalidRequest(
            f"{path} must be the JSON of a service account, with {' and '.join(_NEEDED)}.",
            param=path,
            code="invalid_credential",
        )
    return found
