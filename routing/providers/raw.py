"""Calls that pass through as they are: those of a route that we do not know (`Endpoint.PROXY`), whatever the vendor."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from routing import sse
from routing.call import Answer, Call, Target, UpstreamRequest, Usage
from routing.errors import ProviderError, UpstreamInvalid
from routing.providers import failures, outgoing
from routing.providers.body import Bytes
from routing.providers.openai.usage import read_usage

# Of a JSON answer, this much is kept to read its usage from; a longer one goes on all the same.
_MAX_KEPT_BYTES = 4 * 1024 * 1024
_SECRET_NOTE = failures.REDACTED.encode()
# Headers that concern the caller and us, or that say who the caller is to us.
_NOT_FORWARDED = frozenset(
    {"authorization", "x-api-key", "api-key", "cookie", "forwarded", "x-real-ip", "traceparent", "tracestate", "baggage"}
)
_NOT_FORWARDED_PREFIXES = ("x-portkey-", "x-gatehouse-", "x-forwarded-", "proxy-", "sec-websocket-")


class Watched(Bytes):
    """Reads usage and model on the way, from a JSON answer or from an event stream; what it cannot read goes on unread."""

    __slots__ = ("_kept", "_splitter")

    def __init__(self, target: Target) -> None:
        super().__init__(target, typed=False, needed=False, usage=Usage())
        self._kept: bytearray | None = None
        self._splitter: sse.Splitter | None = None

    def begin(self, headers: Mapping[str, str]) -> dict[str, str]:
        described = super().begin(headers)
        if self._content_type == "text/event-stream":
            self._splitter = sse.Splitter()
        elif self._content_type.endswith("json"):
            self._kept = bytearray()
        return described

    def feed(self, data: bytes) -> bytes:
        if self._kept is not None:
            self._kept += data
            if len(self._kept) > _MAX_KEPT_BYTES:
                self._kept = None
            elif data.rstrip().endswith(b"}"):
                self._read(bytes(self._kept))
        elif self._splitter is not None:
            try:
                run = self._splitter.feed(data)
            except UpstreamInvalid:  # an event too long to be read
                self._splitter = None
                return data
            if b'"usage"' in run:
                for block in sse.blocks(run):
                    if b'"usage"' in block and (event := sse.parse(block)) is not None:
                        self._read(event.data)
        return data

    def _read(self, text: bytes) -> None:
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            return  # not yet the whole of it
        if not isinstance(parsed, dict):
            return
        inner = parsed.get("response") or parsed.get("message")  # where the events of some APIs keep the answer
        for holder in (parsed, inner):
            if isinstance(holder, dict):
                self.usage = read_usage(holder) or self.usage
                if isinstance(model := holder.get("model"), str) and model:
                    self.model = model


class RawDialect:
    """The caller speaks to the provider in the provider's own words; we add the credential and take nothing away."""

    def streams(self, call: Call, target: Target) -> bool:
        return True

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The caller's own request at the same path below the target's base. Overrides apply to JSON objects and forms.

        Raises `InvalidRequest` for overrides of a body that has no parameters.
        """
        body = call.upload or call.raw
        merged = outgoing.merged(call, target) if call.body else call.body
        if merged is not call.body:
            body = orjson.dumps(merged) if call.upload is None else call.upload.edited(outgoing.changes(call.body, merged))
        return UpstreamRequest(
            url=outgoing.url(target, call.path) + (f"?{call.query}" if call.query else ""),
            headers=_headers(call, target),
            body=body,
            method=call.method,
        )

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        return Answer(body, Usage())

    def stream(self, call: Call, target: Target) -> Watched:
        return Watched(target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The provider's error for the log, and its own bytes for the caller, but for the credential."""
        error = failures.provider_error(target, status, body)
        for secret in failures.secrets(target):
            body = body.replace(secret.encode(), _SECRET_NOTE)
        error.content = body
        return error


DIALECT = RawDialect()


def _headers(call: Call, target: Target) -> dict[str, str]:
    """The caller's headers, and what the target adds, which wins: a stored credential cannot be replaced by a caller."""
    built = {
        name: value
        for name, value in call.headers.items()
        if not (name in _NOT_FORWARDED or name in outgoing.NEVER_FORWARDED or name.startswith(_NOT_FORWARDED_PREFIXES))
    }
    added = outgoing.headers(call, target)
    for name in ("content-type", "accept"):  # these are the caller's to choose
        if name in call.headers or name == "content-type":
            added.pop(name, None)
    return built | added
