"""Whether a virtual key works, found out by a real call with it: the vendor's list of models, or else one token of a chat.

It goes through the real plan, dialect, signature and egress guard, but counts against no limit and is in no log.
"""

from __future__ import annotations

import asyncio
import time

import orjson
from django.conf import settings

from analytics.ids import uuid7
from keys.auth import Caller
from keys.models import VirtualKey
from routing import attempts
from routing.api import catalog
from routing.call import Call, Endpoint, Json, Target
from routing.errors import GatewayError, InvalidRequest, UpstreamTimeout
from routing.loader import load_workspace
from routing.plan import resolve
from routing.providers import adapters, mock
from routing.upstream import Upstream, connect

TIMEOUT_S = 20.0
# A vendor without a list of models answers so.
_NO_LIST = frozenset({404, 405, 501})


def run(key: VirtualKey, model: str = "") -> Json:
    """``{"success", "asked", "model", "status", "duration_ms", "error"}``; `model` asks for a chat with that very model.

    The error is in OpenAI's shape and holds no credential.
    """
    told: Json = {"success": False, "asked": None, "model": None, "status": None, "duration_ms": None, "error": None}
    started = time.monotonic()
    try:
        asyncio.run(_test(_target(key), model, told))
        told |= {"success": True}
    except GatewayError as error:
        told |= {"status": error.status, "error": error.body()["error"]}
    return told | {"duration_ms": round((time.monotonic() - started) * 1000)}


def _target(key: VirtualKey) -> Target:
    caller = Caller(str(key.workspace_id), api_key_id="test")
    target = resolve({"x-portkey-virtual-key": key.slug}, caller, None, load_workspace(str(key.workspace_id))).root
    assert isinstance(target, Target)  # noqa: S101 - a virtual key alone makes no branch
    return target


async def _test(target: Target, model: str, told: Json) -> None:
    upstream = connect(settings.EGRESS, mock.respond)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if model or Endpoint.PROXY not in target.provider.supports or not await _lists_models(target, upstream, told):
                await _chat(target, model, upstream, told)
    except TimeoutError:
        raise UpstreamTimeout(f"The provider did not answer within {TIMEOUT_S:.0f} s.") from None
    finally:
        await upstream.close()


async def _lists_models(target: Target, upstream: Upstream, told: Json) -> bool:
    """False where the vendor has no such list."""
    told["asked"] = "models"
    try:
        told["status"] = await _send(_call(Endpoint.PROXY, method="GET", path="models"), target, upstream)
    except GatewayError as error:
        if error.status in _NO_LIST:
            return False
        raise
    return True


async def _chat(target: Target, model: str, upstream: Upstream, told: Json) -> None:
    # A provider that needs no key may answer to any name, so its own will do.
    model = model or next(iter(catalog.names(target.provider.id)), "" if target.provider.needs_key else target.provider.id)
    if not model:
        raise InvalidRequest("Name a model to test this key with.", param="model", code="missing_parameter")
    told |= {"asked": str(Endpoint.CHAT), "model": model}
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    told["status"] = await _send(_call(Endpoint.CHAT, body), target, upstream)


def _call(endpoint: str, body: Json | None = None, *, method: str = "POST", path: str = "") -> Call:
    call_id = uuid7()
    return Call(
        id=call_id,
        endpoint=endpoint,
        body=body or {},
        raw=b"" if body is None else orjson.dumps(body),
        headers={},
        trace_id=call_id,
        metadata={},
        started=time.monotonic(),
        started_at_us=time.time_ns() // 1000,
        method=method,
        path=path,
    )


async def _send(call: Call, target: Target, upstream: Upstream) -> int:
    """The status of a good answer. Raises `GatewayError` for any other."""
    attempts.check_target(call, target)
    dialect = adapters.dialect_for(call, target)
    request = dialect.request(call, target)
    if target.provider.signer is not None:
        request = await target.provider.signer(request, target, upstream.send)
    response = await upstream.send(request)
    try:
        body = await response.read()
    finally:
        await response.close()
    if not 200 <= response.status < 300:
        raise dialect.error(target, response.status, body)
    return response.status
