"""From an HTTP request to a `Call`: headers, ids, metadata and the JSON body, each refused with its path when it is wrong."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from analytics.ids import uuid7
from keys.auth import Caller, bearer
from routing.call import Call, Endpoint, Json, Upload
from routing.errors import BodyTooLarge, InvalidRequest

_TRACE_ID_MAX = 128
_METADATA_MAX = 64
_VALUE_MAX = 1024
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON = "application/json"
_BODILESS = frozenset({"GET", "HEAD"})
# Some SDKs send a body with these, of which no endpoint of ours makes anything.
_MEANINGLESS = frozenset({"DELETE"})
# Headers whose JSON may hold any language.
_TEXTS = ("x-portkey-config", "x-portkey-metadata")
_TARGET_HEADERS = ("x-portkey-config", "x-portkey-provider", "x-portkey-virtual-key")
# Endpoints whose callers send files.
_FORMS = frozenset(
    {Endpoint.IMAGE_EDITS, Endpoint.IMAGE_VARIATIONS, Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS, Endpoint.FILES}
)
# Deeper than this no sensible body is, and some parsers and writers give up.
MAX_DEPTH = 200
# The field without which a call of this kind means nothing.
_NEEDED: dict[str, tuple[str, tuple[type, ...]]] = {
    Endpoint.CHAT: ("messages", (list,)),
    Endpoint.COMPLETIONS: ("prompt", (str, list)),
    Endpoint.EMBEDDINGS: ("input", (str, list)),
    Endpoint.MESSAGES: ("messages", (list,)),
    Endpoint.COUNT_TOKENS: ("messages", (list,)),
    Endpoint.MODERATIONS: ("input", (str, list)),
    Endpoint.RERANK: ("documents", (list,)),
    Endpoint.IMAGES: ("prompt", (str,)),
    Endpoint.SPEECH: ("input", (str,)),
}
# Where a config may stand among the parameters, which is where Portkey's SDK puts the one that `create` is given.
_CONFIG = "config"
_TAKES_CONFIG = frozenset({*_NEEDED, Endpoint.RESPONSES})


def begin(request: HttpRequest, endpoint: str, *, resource: bool = False) -> Call:
    """The call as far as it can be told from the headers; its body is still empty. Of a `resource`, it holds the path."""
    scope = request.scope  # type: ignore[attr-defined] # every request of ours came over ASGI
    headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
    call_id = uuid7()
    return Call(
        id=call_id,
        endpoint=endpoint,
        body={},
        raw=b"",
        headers=headers,
        trace_id=_trace_id(headers) or call_id,
        metadata={},
        started=time.monotonic(),
        started_at_us=time.time_ns() // 1000,
        method=scope["method"],
        path=_path(scope) if resource else "",
        query=scope["query_string"].decode("latin1"),
        address=_address(scope),
    )


def _address(scope: Mapping[str, Any]) -> str:
    """The caller's: the server has put a trusted proxy's word for it here, and nobody else's."""
    return (scope.get("client") or ("",))[0]


def _path(scope: Mapping[str, Any]) -> str:
    """The path below ``/v1/``, percent signs as they came."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path: str = raw.decode("latin1").removeprefix("/").removeprefix("v1/")
    return path.removeprefix("proxy/")


def _check_path(path: str) -> None:
    """A path must not lead out of the provider's base URL."""
    if any(segment in (".", "..") for segment in unquote(path).replace("\\", "/").split("/")):
        raise InvalidRequest("A path must not hold the segments . and .. .", code="invalid_path")


def read(request: HttpRequest, call: Call, caller: Caller, provider_key: str | None, gateway_max_bytes: int) -> Call:
    """The call with its body and metadata. Raises `InvalidRequest` or `BodyTooLarge`."""
    if call.path:
        _check_path(call.path)
    bodiless = _is_bodiless(call)
    try:
        raw = b"" if bodiless else request.body
    except RequestDataTooBig as error:  # under Django's stock handler, which has a bound of its own
        raise BodyTooLarge("The request body is larger than this server takes.") from error
    if len(raw) > gateway_max_bytes:
        raise BodyTooLarge(f"The request body is larger than {gateway_max_bytes} bytes (GATEHOUSE_MAX_BODY_BYTES).")
    body = {} if bodiless or (not raw and call.path) else _body(raw, call)
    headers = _without_gateway_key(call.headers, provider_key)
    if _CONFIG in body and call.endpoint in _TAKES_CONFIG:
        if (config := _config(body.pop(_CONFIG))) is not None:
            headers["x-portkey-config"] = config
        raw = orjson.dumps(body)  # the provider is not to see it, nor is the log: it may hold a credential
    return dataclasses.replace(call, raw=raw, body=body, headers=headers, metadata=_metadata(headers, caller))


def _config(value: Any) -> str | None:
    """The config of a body as its header would say it: of this one call, so it goes before the header's."""
    if value is None:
        return None
    if not isinstance(value, str | dict):
        raise InvalidRequest("'config' must be the id of a saved config, or a config.", param=_CONFIG)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def begin_socket(scope: Mapping[str, Any], endpoint: str, headers: Mapping[str, str]) -> Call:
    """The call of a WebSocket. Its parameters are those of its query; its frames are no body of ours to keep."""
    query = scope["query_string"].decode("latin1")
    model = next((value for name, value in parse_qsl(query) if name == "model"), None)
    call_id = uuid7()
    return Call(
        id=call_id,
        endpoint=endpoint,
        body={} if model is None else {"model": model},
        raw=b"",
        headers=headers,
        trace_id=_trace_id(headers) or call_id,
        metadata={},
        started=time.monotonic(),
        started_at_us=time.time_ns() // 1000,
        method="GET",
        query=query,
        address=_address(scope),
    )


def opened(call: Call, caller: Caller, provider_key: str | None, frames: Upload) -> Call:
    """The call of a WebSocket whose caller is known. Raises `InvalidRequest`."""
    return dataclasses.replace(
        call,
        upload=frames,
        headers=(headers := _without_gateway_key(call.headers, provider_key)),
        metadata=_metadata(headers, caller),
    )


def names_a_target(headers: Mapping[str, str], caller: Caller | None) -> bool:
    """Whether the call says where it is to go, or its key does."""
    return any(headers.get(name) for name in _TARGET_HEADERS) or (caller is not None and caller.default_config is not None)


def is_upload(call: Call) -> bool:
    """Whether the body is no JSON where that makes sense: a form, or whatever is passed through."""
    content_type = call.headers.get("content-type", _JSON)
    if content_type.startswith(_JSON) or _is_bodiless(call):
        return False
    kind = content_type.lower()
    if call.endpoint == Endpoint.PROXY:
        return not kind.startswith(_JSON)
    return call.endpoint in _FORMS and kind.startswith("multipart/form-data")


def uploaded(call: Call, caller: Caller, provider_key: str | None, upload: Upload, fields: Json, shown: Json) -> Call:
    """The call with its upload. `shown` is what the log gets of it. Raises `InvalidRequest`."""
    return dataclasses.replace(
        call,
        raw=orjson.dumps(shown),
        body=fields,
        upload=upload,
        headers=(headers := _without_gateway_key(call.headers, provider_key)),
        metadata=_metadata(headers, caller),
    )


def _is_bodiless(call: Call) -> bool:
    return call.method in _BODILESS or (call.method in _MEANINGLESS and call.endpoint != Endpoint.PROXY)


def _trace_id(headers: Mapping[str, str]) -> str:
    if given := headers.get("x-portkey-trace-id", "").strip():
        return given[:_TRACE_ID_MAX]
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    return match[1] if match else ""


def _without_gateway_key(headers: Mapping[str, str], provider_key: str | None) -> dict[str, str]:
    """The headers that later steps see: the gateway's own key stays at the edge, so it can neither be forwarded nor logged."""
    kept = dict(headers)
    kept.pop("x-portkey-api-key", None)
    for name in _TEXTS:
        if name in kept:
            kept[name] = _as_utf8(kept[name])
    if "authorization" in kept and (provider_key is None or bearer(kept) != provider_key):
        del kept["authorization"]
    if "x-api-key" in kept and kept["x-api-key"] != provider_key:
        del kept["x-api-key"]
    return kept


def _as_utf8(value: str) -> str:
    """A header's value as it was meant: the wire has bytes, which were read one by one."""
    try:
        return value if value.isascii() else value.encode("latin1").decode()
    except UnicodeError:
        return value


def _body(raw: bytes, call: Call) -> Json:
    if call.endpoint == Endpoint.PROXY:
        return _passed_body(raw)
    content_type = call.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if content_type != _JSON:
        raise InvalidRequest(f"Send the body as Content-Type: {_JSON}, not {content_type[:100]}.", code="invalid_content_type")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", code="invalid_json") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_json")
    # A body with few brackets cannot be deep, and these are counted faster than a body is walked through.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _too_deep(body):
        raise InvalidRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.", code="invalid_json")
    _check(body, call.endpoint)
    return body


def _passed_body(raw: bytes) -> Json:
    """The parameters of a body that is passed through: an object's, if it is one. All else is the provider's to judge."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(body, dict):
        return {}
    if _too_deep(body):
        raise InvalidRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.", code="invalid_json")
    return body


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _check(body: Json, endpoint: str) -> None:
    """The few types that the gateway itself relies on; the rest is the provider's to judge."""
    if (needed := _NEEDED.get(endpoint)) is not None:
        name, kinds = needed
        if name not in body:
            raise InvalidRequest(f"Missing required parameter: {name!r}.", param=name, code="missing_parameter")
        if not isinstance(body[name], kinds) or not body[name]:
            expected = " or ".join("an array" if kind is list else "a string" for kind in kinds)
            raise InvalidRequest(f"{name!r} must be {expected} and not empty.", param=name)
    if not isinstance(body.get("model", ""), str):
        raise InvalidRequest("'model' must be a string.", param="model")
    if not isinstance(body.get("stream", False), bool | None):
        raise InvalidRequest("'stream' must be true or false.", param="stream")


def _metadata(headers: Mapping[str, str], caller: Caller) -> Mapping[str, str]:
    """The key's metadata under the call's own, every value as text."""
    given = headers.get("x-portkey-metadata", "").strip()
    if not given:
        return caller.metadata
    try:
        parsed = orjson.loads(given)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"x-portkey-metadata is not valid JSON: {error}.", param="x-portkey-metadata") from error
    if not isinstance(parsed, dict) or len(parsed) > _METADATA_MAX or _too_deep(parsed):
        raise InvalidRequest(
            f"x-portkey-metadata must be a JSON object of at most {_METADATA_MAX} keys.", param="x-portkey-metadata"
        )
    return {**caller.metadata, **{name[:_VALUE_MAX]: _as_text(value) for name, value in parsed.items()}}


def _as_text(value: Any) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:_VALUE_MAX]
