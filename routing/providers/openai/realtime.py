"""Calls over a WebSocket: how one is opened, and what its events say about usage."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import orjson

from routing.call import Call, Target, UpstreamRequest, Usage
from routing.errors import InvalidRequest
from routing.frames import Text
from routing.providers import outgoing
from routing.providers.openai.usage import read_usage

_DONE = (b"response.done", b"conversation.item.input_audio_transcription.completed")


def request(call: Call, target: Target, path: str) -> UpstreamRequest:
    """The vendor's address with the caller's query, in which an override replaces the model."""
    if call.upload is None:
        raise InvalidRequest(f"{call.endpoint} is a WebSocket: open it as one.", code="websocket_required")
    query = call.query
    model = outgoing.merged(call, target).get("model")
    if model != call.body.get("model"):
        kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "model"]
        query = urlencode([("model", str(model)), *kept])
    headers = outgoing.headers(call, target)
    for name in ("content-type", "accept"):
        headers.pop(name, None)
    scheme, _, rest = outgoing.url(target, path).partition("://")
    url = f"{'wss' if scheme == 'https' else 'ws'}://{rest}"
    return UpstreamRequest(f"{url}?{query}" if query else url, headers, call.upload, "GET")


class Realtime:
    """See `StreamTranslator`: the vendor's frames, untouched. The usage is the sum of all responses of the connection."""

    __slots__ = ("deltas", "done", "ends_with_body", "model", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = Usage()
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = True

    def feed(self, data: bytes) -> bytes:
        if isinstance(data, Text):
            names = _DONE if self.model is not None else (*_DONE, b"session.created")
            if any(data.find(name) >= 0 for name in names):
                self._read(data)
        return data

    def _read(self, text: bytes) -> None:
        try:
            event = orjson.loads(bytes(text))  # which takes no subclass
        except orjson.JSONDecodeError:
            return  # not ours to judge
        if not isinstance(event, dict):
            return
        session = event.get("session")
        if isinstance(session, dict) and isinstance(model := session.get("model"), str):
            self.model = model
        holder = event.get("response") if event.get("type") == "response.done" else event
        if isinstance(holder, dict) and (usage := read_usage(holder)) is not None:
            self.usage = (self.usage or Usage()) + usage
