"""Access tokens for Vertex AI: a service account signs an assertion (RFC 7523) and trades it for a token of an hour.

An access token may also be the target's key itself. What a caller forwards as Authorization is left alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import orjson

from routing.call import Json, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, UpstreamInvalid
from routing.providers import failures
from routing.providers.base import Send
from routing.providers.google.accounts import SERVICE_ACCOUNT, account
from routing.providers.tokens import Fresh, TokenCache, credential_key

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_S = 3600
_HOSTS = frozenset({"oauth2.googleapis.com", "www.googleapis.com", "accounts.google.com"})


class AccessTokens:
    """See `Signer`. Lives on one event loop, as the cache does."""

    def __init__(self) -> None:
        self._cache: TokenCache[str] = TokenCache()

    async def __call__(self, request: UpstreamRequest, target: Target, send: Send) -> UpstreamRequest:
        """The request with a bearer token. Raises `InvalidRequest` where there is no credential, or none that can sign."""
        if "authorization" in request.headers:
            return request
        owner = account(target)
        if owner is not None:
            token = await self._token(owner, target, send)
        elif target.api_key:
            token = target.api_key
        else:
            raise InvalidRequest(
                f"There is no credential for {target.provider.id}: set {SERVICE_ACCOUNT.name}, or send an access token as "
                "Authorization: Bearer <token>.",
                param=SERVICE_ACCOUNT.name,
                code="missing_provider_key",
            )
        return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})

    async def _token(self, owner: Json, target: Target, send: Send) -> str:
        address = _token_uri(owner, target)
        key = credential_key(owner["client_email"], owner["private_key"], str(owner.get("private_key_id")), address)

        async def fetch() -> Fresh[str]:
            return await _fetch(owner, address, target, send)

        return await self._cache.get(key, fetch)


def _token_uri(owner: Json, target: Target) -> str:
    """Where the assertion goes. Only an operator, who stores a virtual key, may name another place than the vendor's."""
    address = owner.get("token_uri") or TOKEN_URI
    try:
        pieces = urlsplit(address) if isinstance(address, str) else None
    except ValueError:
        pieces = None
    own = pieces is not None and pieces.scheme == "https" and pieces.netloc in _HOSTS
    stored = pieces is not None and pieces.scheme in ("http", "https") and target.virtual_key_id is not None
    if not own and not stored:
        raise InvalidRequest(
            f"{SERVICE_ACCOUNT.name}: its token_uri is not the vendor's, which is {TOKEN_URI}.",
            param=f"{SERVICE_ACCOUNT.name}.token_uri",
            code="invalid_credential",
        )
    return str(address)


async def _fetch(owner: Json, address: str, target: Target, send: Send) -> Fresh[str]:
    # To read a private key and to sign with it takes milliseconds of CPU.
    assertion = await asyncio.to_thread(_assertion, owner, address)
    form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    response = await send(UpstreamRequest(url=address, headers=headers, body=form))
    try:
        body = await response.read()
    finally:
        await response.close()
    data = _parsed(body)
    if not 200 <= response.status < 300:
        raise _refused(response.status, data, body, target)
    token = data.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise failures.invalid(target, "the token endpoint gave no access token")
    lifetime = data.get("expires_in")
    return Fresh(token, float(lifetime) if isinstance(lifetime, int | float) else 0.0)


def _assertion(owner: Json, address: str) -> str:
    now = int(time.time())
    claims = {"iss": owner["client_email"], "scope": SCOPE, "aud": address, "iat": now, "exp": now + ASSERTION_S}
    number = owner.get("private_key_id")
    try:
        return jwt.encode(claims, owner["private_key"], "RS256", {"kid": number} if isinstance(number, str) else None)
    except (jwt.PyJWTError, ValueError, TypeError):
        # The cause may quote the key.
        path = f"{SERVICE_ACCOUNT.name}.private_key"
        raise InvalidRequest(f"{path} is not an RSA key in PEM.", param=path, code="invalid_credential") from None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _refused(status: int, data: dict[str, Any], body: bytes, target: Target) -> ProviderError | UpstreamInvalid:
    """The endpoint's answer to a credential that it does not take, ``{"error": "invalid_grant", "error_description": ...}``.

    Its 400 is about the credential and not about the call, so that it is a 401 here, as every vendor's answer to a wrong key.
    """
    code, description = data.get("error"), data.get("error_description")
    if isinstance(code, str):
        text = f"no access token for the service account: {description or code}"
        body = orjson.dumps({"error": {"message": text, "type": "authentication_error", "code": code}})
    return failures.provider_error(target, 401 if status == 400 else status, body)
