"""Who is calling: pure look-ups in the snapshot, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keys import fences, hashing
from keys.fences import Fence, Network
from keys.limits import Limit
from routing.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from routing.snapshot import Snapshot

INFERENCE_SCOPE = "completions.write"
# The portkey-ai SDK sends this literal text whenever its user gave no provider key.
_PLACEHOLDER = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated API key, or nobody in particular (`api_key_id` is None) where keys are not required."""

    workspace_id: str
    api_key_id: str | None = None
    name: str = ""
    scopes: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()
    default_config: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: float | None = None
    fence: Fence | None = None
    networks: tuple[Network, ...] = ()

    @property
    def is_anonymous(self) -> bool:
        return self.api_key_id is None


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of the Authorization header, or None when there is none worth the name."""
    value = headers.get("authorization", "").strip()
    scheme, _, token = value.partition(" ")
    if scheme.lower() == "bearer":
        value = token.strip()
    return None if not value or value == _PLACEHOLDER else value


def authenticate(
    headers: Mapping[str, str], snapshot: Snapshot, *, required: bool, now: float, address: str = ""
) -> tuple[Caller, str | None]:
    """The caller, and the provider key that came along with the call, if any.

    The gateway's key is `x-portkey-api-key`; failing that, a bearer token or `x-api-key` that the gateway knows. What is no key
    of the gateway there is the caller's own for the provider; a key of the gateway never becomes that. `now` is in seconds
    since 1970, `address` where the call comes from. Raises `Unauthenticated` or, for a key that may not do this or not from
    there, `Forbidden`.
    """
    named = headers.get("x-portkey-api-key", "").strip()
    given = [key for key in (bearer(headers), headers.get("x-api-key", "").strip()) if key]
    provider_key = next((key for key in given if not _is_of_the_gateway(key, snapshot)), None)
    caller = None
    for candidate in [named] if named else given:
        if (caller := snapshot.find_key(candidate)) is not None:
            break
    if caller is None:
        if not required and not named and not any(_is_of_the_gateway(key, snapshot) for key in given):
            return Caller(snapshot.default_workspace_id), provider_key
        raise Unauthenticated(
            "Incorrect gateway API key provided. Check the key, or make a new one in the console under API keys."
            if named or given
            else "No API key provided. Send the gateway's key in the x-portkey-api-key header or as Authorization: Bearer."
        )
    if caller.expires_at is not None and caller.expires_at <= now:
        raise Unauthenticated(
            "This gateway API key has expired. Make a new one in the console under API keys.", code="expired_api_key"
        )
    fences.check_address(caller.networks, address)
    if INFERENCE_SCOPE not in caller.scopes:
        raise Forbidden(f"This gateway API key may not call models: it lacks the scope {INFERENCE_SCOPE}.")
    return caller, provider_key


def _is_of_the_gateway(key: str, snapshot: Snapshot) -> bool:
    """Also a key that is unknown by now, such as a revoked one: those are no provider's business either."""
    return key.startswith(hashing.PREFIX) or snapshot.knows_key(key)
