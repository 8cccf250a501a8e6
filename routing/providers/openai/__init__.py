"""OpenAI's dialect, which most vendors speak: the caller's own, so that bytes pass through in both directions.

A vendor that speaks it costs one row. Where it departs a little, the dialect is made with another setting (`OpenAIDialect`);
a vendor that needs more than that has a dialect of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import ProviderError
from routing.providers import failures, outgoing
from routing.providers.openai.stream import PassThrough
from routing.providers.openai.usage import read_usage

# The list that an answer of each endpoint must have.
_LIST_OF: dict[str, str] = {Endpoint.CHAT: "choices", Endpoint.COMPLETIONS: "choices", Endpoint.EMBEDDINGS: "data"}


@dataclass(frozen=True, slots=True)
class OpenAIDialect:
    """The settings cover the small departures of vendors.

    `paths` gives another path below the base URL for an endpoint. `renames` maps a parameter to the vendor's name for it; where
    the caller sent both, the vendor's own name wins. `developer_role` is false where the vendor knows only ``system``.
    `trace_header` names a header that carries the call's trace id.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    developer_role: bool = True
    trace_header: str | None = None

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The caller's own bytes, unless an override, the usage of a stream or a setting of the dialect changes them.

        Raises `InvalidRequest` for a call without a model.
        """
        body = outgoing.merged(call, target)
        outgoing.require_model(body, target)
        body = self._adapted(body)
        if _adds_usage(call, target, body):
            options = body.get("stream_options")
            body = {**body, "stream_options": {**(options or {}), "include_usage": True}}
        headers = outgoing.headers(call, target)
        if self.trace_header is not None:
            headers[self.trace_header] = call.trace_id
        return UpstreamRequest(
            url=outgoing.url(target, self.paths.get(call.endpoint, call.endpoint)),
            headers=headers,
            body=call.raw if body is call.body else orjson.dumps(body),
        )

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's bytes, untouched. Raises `UpstreamInvalid` where they are not the endpoint's object."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
        if not isinstance(parsed, dict):
            raise failures.invalid(target, "the answer is not a JSON object", body)
        expected = _LIST_OF[call.endpoint]
        if not isinstance(parsed.get(expected), list):
            what = "the answer is an error" if parsed.get("error") else f"the answer has no list `{expected}`"
            raise failures.invalid(target, what, body)
        model = parsed.get("model")
        return Answer(body=body, usage=read_usage(parsed), model=model if isinstance(model, str) else None)

    def stream(self, call: Call, target: Target) -> PassThrough:
        """A reader that gives the vendor's events on as they are."""
        return PassThrough(target, drop_usage=_adds_usage(call, target, outgoing.merged(call, target)))

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)

    def _adapted(self, body: Json) -> Json:
        """`body` in the vendor's words; the same object where nothing differs, which is what lets the bytes pass through."""
        for ours, theirs in self.renames.items():
            if ours in body:
                value = body[ours]
                body = {key: kept for key, kept in body.items() if key != ours}
                body.setdefault(theirs, value)
        messages = body.get("messages")
        if not self.developer_role and isinstance(messages, list) and any(map(_is_developer, messages)):
            body = {**body, "messages": [{**m, "role": "system"} if _is_developer(m) else m for m in messages]}
        return body


def _is_developer(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "developer"


def _adds_usage(call: Call, target: Target, body: Json) -> bool:
    """Whether we ask for the usage of a stream on our own account: money must add up whether or not the caller wants to see it.

    Options that are no object are left for the vendor to refuse.
    """
    if not call.stream or not target.provider.stream_usage or call.endpoint == Endpoint.EMBEDDINGS:
        return False
    options = body.get("stream_options")
    return options is None or (isinstance(options, dict) and options.get("include_usage") is not True)
