"""OpenAI's dialect, which most vendors speak: the caller's own, so that bytes pass through in both directions.

A vendor that speaks it costs one row. Where it departs a little, the dialect is made with another setting (`OpenAIDialect`);
a vendor that needs more than that has a dialect of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, Upload, UpstreamRequest, Usage
from routing.errors import NotFound, ProviderError
from routing.providers import failures, outgoing
from routing.providers.base import StreamTranslator
from routing.providers.body import Bytes
from routing.providers.openai import answers, realtime
from routing.providers.openai.events import MaybeEvents, TypedEvents
from routing.providers.openai.stream import EndsWithReason, PassThrough

# Without a model these mean nothing. Others have a vendor's own default, or none at all.
_WITH_MODEL = frozenset(
    (
        *(Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.MESSAGES, Endpoint.COUNT_TOKENS),
        *(Endpoint.SPEECH, Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS, Endpoint.RERANK),
    )
)
# What a config says of a model's parameters is not for these.
_WITHOUT_PARAMETERS = frozenset({Endpoint.FILES, Endpoint.BATCHES})
_DRAWN = frozenset({Endpoint.IMAGES, Endpoint.IMAGE_EDITS})
_HEARD = frozenset({Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS})
# The formats in which a transcript is no JSON.
_TEXT_FORMATS = frozenset({"text", "srt", "vtt"})


@dataclass(frozen=True, slots=True)
class OpenAIDialect:
    """The settings cover the small departures of vendors.

    `paths` gives another path below the base URL for an endpoint. `renames` maps a parameter to the vendor's name for it; where
    the caller sent both, the vendor's own name wins. `developer_role` is false where the vendor knows only ``system``.
    `trace_header` names a header that carries the call's trace id. `says_done` is false where no ``[DONE]`` ends a stream, but
    the chunk with the reason for the end.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    developer_role: bool = True
    trace_header: str | None = None
    says_done: bool = True

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The caller's own bytes, unless an override, the usage of a stream or a setting of the dialect changes them.

        Raises `InvalidRequest` for a call that needs a model and has none.
        """
        if call.endpoint == Endpoint.REALTIME:
            return realtime.request(call, target, self.paths.get(call.endpoint, call.endpoint))
        if call.path and not call.raw:
            return self._bodiless(call, target)
        body = self._parameters(call, target)
        if _adds_usage(call, target, body):
            options = body.get("stream_options")
            body = {**body, "stream_options": {**(options or {}), "include_usage": True}}
        content: bytes | Upload = call.raw if body is call.body else orjson.dumps(body)
        headers = self._headers(call, target)
        if call.upload is not None:
            content = call.upload if body is call.body else call.upload.edited(outgoing.changes(call.body, body))
            headers["content-type"] = call.upload.content_type
        return UpstreamRequest(self._url(call, target), headers, content, call.method)

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one; audio, files and transcripts that are no JSON as bytes."""
        return (
            call.stream
            or call.endpoint in (Endpoint.SPEECH, Endpoint.REALTIME)
            or _wants_bytes(call, target)
            or (call.endpoint == Endpoint.RESPONSES and "stream=true" in call.query)
        )

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's bytes, untouched. Raises `UpstreamInvalid` where they are not the endpoint's object."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
        if (complaint := answers.complaint(call, parsed)) is not None:
            raise failures.invalid(target, complaint, body)
        model = parsed.get("model")
        return Answer(body=body, usage=answers.usage(call, parsed), model=model if isinstance(model, str) else None)

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """A reader that gives the vendor's events, or its bytes, on as they are."""
        if call.endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
            reader = PassThrough if self.says_done else EndsWithReason
            return reader(target, drop_usage=_adds_usage(call, target, outgoing.merged(call, target)))
        if _wants_bytes(call, target):
            kept = bool(call.path)  # a file may be empty and may hold anything, what a model makes may not
            return Bytes(target, typed=True, needed=not kept, usage=Usage() if kept else None)
        if call.endpoint == Endpoint.REALTIME:
            return realtime.Realtime()
        if call.endpoint in _HEARD:
            return MaybeEvents(target)
        images = str(call.body.get("n")) if call.endpoint in _DRAWN else ""
        return TypedEvents(target, parts=int(images) if images.isdecimal() else 1)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)

    def _bodiless(self, call: Call, target: Target) -> UpstreamRequest:
        """A call for something that the vendor keeps. The output of a batch is asked for in two steps."""
        headers = self._headers(call, target)
        del headers["content-type"]
        url = self._url(call, target)
        if call.endpoint != Endpoint.BATCHES or not call.path.endswith("/output"):
            return UpstreamRequest(url, headers, b"", call.method)

        def then(body: bytes) -> UpstreamRequest:
            file = _output_file(target, body)
            files = self.paths.get(Endpoint.FILES, Endpoint.FILES)
            return UpstreamRequest(outgoing.url(target, f"{files}/{quote(file, safe='')}/content"), headers, b"", "GET")

        return UpstreamRequest(url.removesuffix("/output"), headers, b"", "GET", then)

    def _parameters(self, call: Call, target: Target) -> Json:
        """The parameters as the vendor gets them; the caller's own object where nothing differs."""
        if call.endpoint in _WITHOUT_PARAMETERS or not call.body:
            return call.body
        body = outgoing.merged(call, target)
        if call.endpoint in _WITH_MODEL:
            outgoing.require_model(body, target)
        elif body.get("model") == outgoing.PLACEHOLDER:
            body = {name: value for name, value in body.items() if name != "model"}
        return self._adapted(body)

    def _headers(self, call: Call, target: Target) -> dict[str, str]:
        headers = outgoing.headers(call, target)
        if self.trace_header is not None:
            headers[self.trace_header] = call.trace_id
        if _wants_bytes(call, target):
            headers["accept"] = "*/*"
        return headers

    def _url(self, call: Call, target: Target) -> str:
        path = self.paths.get(call.endpoint, call.endpoint)
        if not call.path:
            return outgoing.url(target, path)
        url = outgoing.url(target, path + call.path.removeprefix(call.endpoint))
        return f"{url}?{call.query}" if call.query else url

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
    if not call.stream or not target.provider.stream_usage or call.endpoint not in (Endpoint.CHAT, Endpoint.COMPLETIONS):
        return False
    options = body.get("stream_options")
    return options is None or (isinstance(options, dict) and options.get("include_usage") is not True)


def _wants_bytes(call: Call, target: Target) -> bool:
    """Whether the answer is neither JSON nor an event stream in the end of ours: audio, a file, a transcript as text."""
    if call.endpoint == Endpoint.SPEECH:
        return outgoing.merged(call, target).get("stream_format") != "sse"
    if call.endpoint in _HEARD:
        return not call.stream and outgoing.merged(call, target).get("response_format") in _TEXT_FORMATS
    return (call.endpoint == Endpoint.FILES and call.path.endswith("/content")) or (
        call.endpoint == Endpoint.BATCHES and call.path.endswith("/output")
    )


def _output_file(target: Target, body: bytes) -> str:
    """The id of a batch's output file. Raises `NotFound` where the batch has none (yet)."""
    try:
        batch = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the batch is not JSON", body) from None
    if not isinstance(batch, dict) or "status" not in batch:
        raise failures.invalid(target, "the answer is no batch", body)
    file = batch.get("output_file_id")
    if not isinstance(file, str) or not file:
        raise NotFound(f"The batch has no output: its status is {str(batch['status'])[:50]}.", code="batch_without_output")
    return file
