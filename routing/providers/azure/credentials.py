"""Who a call to Azure is made as: a key, a token of Entra ID that the caller brings, or one that we fetch.

A token goes before a key. With `azure_auth_mode` ``entra`` (or with a tenant, a client and its secret, which say the same) the
token is fetched by the client's credentials and kept until shortly before it ends. The modes ``managed`` and ``workload`` are
refused: the identity of the gateway's own machine is not a caller's to use, and its address is one that calls never reach.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from routing.call import Json, Target, UpstreamRequest
from routing.errors import InvalidRequest, Unsupported
from routing.providers import failures
from routing.providers.base import Option, Send, Signer
from routing.providers.tokens import Fresh, TokenCache, credential_key

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
_ENTRA = ("azure_entra_tenant_id", "azure_entra_client_id", "azure_entra_client_secret")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,100}")
# The headers in which a credential may stand; one that the caller forwards on purpose is left alone.
_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key"})

_OWN_IDENTITY = "the gateway's own identity is not lent out: use azure_auth_mode entra, or give azure_ad_token."

OPTIONS = (
    Option("azure_ad_token", secret=True),
    Option("azure_auth_mode"),
    Option("azure_entra_tenant_id"),
    Option("azure_entra_client_id"),
    Option("azure_entra_client_secret", secret=True),
    Option("azure_entra_scope"),
    Option("azure_authority_host", kind="url", destination=True),
    Option("azure_managed_client_id", unfit=_OWN_IDENTITY),
    Option("azure_workload_client_id", unfit=_OWN_IDENTITY),
)

_tokens: TokenCache[str] = TokenCache()


def signer(*key_headers: str) -> Signer:
    """A signer that writes a key into `key_headers` (as a bearer's in Authorization), and a token as a bearer's."""

    async def authorise(request: UpstreamRequest, target: Target, send: Send) -> UpstreamRequest:
        if _CREDENTIALS & request.headers.keys():
            return request
        if token := await _token(target, send):
            return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})
        if not target.api_key:
            raise InvalidRequest(
                f"There is no credential for {target.provider.id}: send its key as Authorization: Bearer <key>, name a virtual "
                "key, or give azure_ad_token or the azure_entra_ options.",
                param=f"{target.path}.api_key",
                code="missing_provider_key",
            )
        return replace(request, headers={**request.headers, **key(target.api_key, *key_headers)})

    return authorise


def key(api_key: str, *names: str) -> dict[str, str]:
    """A key in the headers of these names."""
    return {name: f"Bearer {api_key}" if name == "authorization" else api_key for name in names}


async def _token(target: Target, send: Send) -> str | None:
    """The token of Entra ID to show, or None where the key is meant. Raises `InvalidRequest` for half of its settings."""
    options = target.options
    if token := options.get("azure_ad_token"):
        return str(token)
    mode = str(options.get("azure_auth_mode") or "").lower()
    if mode in ("managed", "workload"):
        raise Unsupported(
            f"azure_auth_mode {mode} would lend out the gateway's own identity: use entra, or give azure_ad_token.",
            param=f"{target.path}.azure_auth_mode",
        )
    if mode not in ("", "entra", "default", "api_key"):
        raise InvalidRequest("azure_auth_mode: can be entra.", param=f"{target.path}.azure_auth_mode")
    if mode != "entra" and not all(options.get(name) for name in _ENTRA):
        return None
    for name in _ENTRA:
        if not options.get(name):
            raise InvalidRequest(
                f"{target.provider.label} needs {name}: set it in the virtual key or the config.",
                param=f"{target.path}.{name}",
                code="missing_provider_key",
            )
    return await _fetched(target, send)


async def _fetched(target: Target, send: Send) -> str:
    tenant, client, secret = (str(target.options[name]) for name in _ENTRA)
    if not _TENANT.fullmatch(tenant):
        raise InvalidRequest("azure_entra_tenant_id: is no name of a tenant.", param=f"{target.path}.azure_entra_tenant_id")
    scope = str(target.options.get("azure_entra_scope") or SCOPE)
    authority = str(target.options.get("azure_authority_host") or AUTHORITY).rstrip("/")

    async def fetch() -> Fresh[str]:
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": scope}
        request = UpstreamRequest(
            url=f"{authority}/{quote(tenant, safe='')}/oauth2/v2.0/token",
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            body=urlencode(fields).encode(),
        )
        response = await send(request)
        try:
            body = await response.read()
        finally:
            await response.close()
        if not 200 <= response.status < 300:
            raise failures.provider_error(target, _status(response.status), _readable(body))
        return _fresh(target, body)

    return await _tokens.get(credential_key(authority, tenant, client, secret, scope), fetch)


def _status(status: int) -> int:
    """The token service answers 400 to a wrong tenant or client, which for the caller is a credential that is not accepted."""
    return 401 if status == 400 else status


def _fresh(target: Target, body: bytes) -> Fresh[str]:
    found = _object(body)
    token, lifetime_s = found.get("access_token"), found.get("expires_in")
    if not isinstance(token, str) or not token or "\n" in token or "\r" in token:
        # Not quoted: what is left of it may be a secret.
        raise failures.invalid(target, "the answer of the token service holds no token")
    try:
        return Fresh(token, float(lifetime_s))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return Fresh(token, 0.0)


def _readable(body: bytes) -> bytes:
    """An error of the token service in a shape that `failures` reads."""
    found = _object(body)
    text = found.get("error_description") or found.get("error")
    if not isinstance(text, str):
        return body
    return orjson.dumps({"message": text.split("\r\n")[0], "type": "authentication_error", "code": found.get("error")})


def _object(body: bytes) -> Json:
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
