"""Who a call to AWS is made as: an API key, keys that sign, or a role that those keys may take on.

`aws_auth_type` says which; without it, keys that sign go before an API key. A role's temporary keys come from AWS's Security
Token Service by a signed request of our own, and are kept until shortly before they end.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from routing.call import Target, UpstreamRequest
from routing.errors import InvalidRequest
from routing.providers import failures
from routing.providers.base import Send
from routing.providers.bedrock.signing import AwsKeys, signed
from routing.providers.tokens import Fresh, TokenCache, credential_key

SERVICE = "bedrock"
# How a role's session is named in AWS's logs.
SESSION_NAME = "gatehouse"
_AUTH_TYPES = ("accessKey", "assumedRole", "apiKey")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
# The answer is XML of a known, flat shape; a parser of XML would bring its own dangers.
_ELEMENT = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>([^<]+)</")

_roles: TokenCache[AwsKeys] = TokenCache()


def option(target: Target, name: str) -> str:
    """An option's value, its default or an empty text."""
    defaults = (option.default for option in target.provider.options if option.name == name)
    return str(target.options.get(name) or next(defaults, ""))


def region(target: Target) -> str:
    """Raises `InvalidRequest` for what cannot be a region."""
    name = option(target, "aws_region")
    if not _REGION.fullmatch(name):
        raise InvalidRequest("aws_region: is no name of a region.", param="aws_region")
    return name


async def authorise(request: UpstreamRequest, target: Target, send: Send, *, service: str = SERVICE) -> UpstreamRequest:
    """See `Signer`. A credential that the caller forwards on purpose is left alone. `service` is AWS's name of its own."""
    if "authorization" in request.headers:
        return request
    kind = option(target, "aws_auth_type")
    if kind and kind not in _AUTH_TYPES:
        raise InvalidRequest(f"aws_auth_type: can be {', '.join(_AUTH_TYPES)}.", param="aws_auth_type")
    if kind == "apiKey" or (not kind and target.api_key and not option(target, "aws_access_key_id")):
        if not target.api_key:
            raise _missing(target, "api_key")
        return replace(request, headers={**request.headers, "authorization": f"Bearer {target.api_key}"})
    keys = _keys(target)
    if kind == "assumedRole" or (not kind and option(target, "aws_role_arn")):
        keys = await _assumed(target, keys, send)
    return signed(request, keys=keys, region=region(target), service=service)


def _keys(target: Target) -> AwsKeys:
    for name in ("aws_access_key_id", "aws_secret_access_key"):
        if not option(target, name):
            raise _missing(target, name)
    token = option(target, "aws_session_token") or None
    return AwsKeys(option(target, "aws_access_key_id"), option(target, "aws_secret_access_key"), token)


def _missing(target: Target, name: str) -> InvalidRequest:
    header = next((f", or send {option.request_header}" for option in target.provider.options if option.name == name), "")
    return InvalidRequest(
        f"{target.provider.label} needs {name}: set it in the virtual key or the config{header}.",
        param=f"{target.path}.{name}",
        code="missing_provider_key",
    )


async def _assumed(target: Target, keys: AwsKeys, send: Send) -> AwsKeys:
    role, external = option(target, "aws_role_arn"), option(target, "aws_external_id")
    if not role:
        raise _missing(target, "aws_role_arn")
    endpoint = option(target, "aws_sts_endpoint") or f"https://sts.{region(target)}.amazonaws.com"
    parts = (endpoint, keys.access_key_id, keys.secret_access_key, keys.session_token or "", role, external)

    async def fetch() -> Fresh[AwsKeys]:
        fields = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": SESSION_NAME}
        if external:
            fields["ExternalId"] = external
        body, url = urlencode(fields).encode(), f"{endpoint.rstrip('/')}/"
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "accept": "application/xml"}
        asked = UpstreamRequest(url=url, headers=headers, body=body)
        response = await send(signed(asked, keys=keys, region=region(target), service="sts"))
        try:
            answer = await response.read()
        finally:
            await response.close()
        if not 200 <= response.status < 300:
            raise failures.provider_error(target, response.status, _complaint(answer))
        return _session(target, answer)

    return await _roles.get(credential_key(*parts), fetch)


def _session(target: Target, answer: bytes) -> Fresh[AwsKeys]:
    found = {name: html.unescape(value) for name, value in _ELEMENT.findall(answer.decode(errors="replace"))}
    try:
        ends = datetime.fromisoformat(found["Expiration"])
        keys = AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        lifetime_s = (ends - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError, TypeError):
        # Not quoted: what is left of it may be a secret.
        raise failures.invalid(target, "the answer to AssumeRole holds no credentials") from None
    return Fresh(keys, lifetime_s)


def _complaint(answer: bytes) -> bytes:
    """The message of an error of the token service, which is XML; anything else as it came."""
    found = re.search(rb"<Message>([^<]*)</Message>", answer)
    return html.unescape(found.group(1).decode(errors="replace")).encode() if found else answer
