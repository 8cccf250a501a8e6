"""The mock's transport: the shape of a response over HTTP, without a network, with the faults that a network has."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import orjson

from routing import multipart
from routing.call import Json, UpstreamRequest
from routing.errors import InvalidRequest, StreamBroken, UpstreamUnreachable
from routing.providers.mock import answers, media
from routing.providers.mock.answers import BadRequest, Part
from routing.providers.mock.behaviour import Behaviour, UnknownModel, parse_model

# Carries the trace id to `fail`, which counts the tries of one request.
TRACE_HEADER = "x-trace-id"
# Traces whose failures are remembered; the oldest is forgotten first.
_MAX_TRACES = 10_000
_JSON = {"content-type": "application/json"}


class MockResponse:
    """A response; `chunks` may break, stop early or hang after some pieces of content, as the model's name asks."""

    def __init__(self, status: int, headers: Mapping[str, str], parts: list[Part], behaviour: Behaviour | None = None) -> None:
        self.status = status
        self.headers = headers
        self._parts = parts
        self._behaviour = behaviour or Behaviour()
        self._closed = asyncio.Event()

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncGenerator[bytes]:
        behaviour, seen = self._behaviour, 0
        for part in self._parts:
            if behaviour.cut is not None and seen >= behaviour.cut:
                raise StreamBroken("The mock provider cut the connection, as its model's name asks.")
            if behaviour.eof is not None and seen >= behaviour.eof:
                return
            if behaviour.error_event is not None and seen >= behaviour.error_event:
                yield b"data: " + _FAILURE + b"\n\n"
                return
            if behaviour.hang is not None and seen >= behaviour.hang:
                await self._closed.wait()
            if part.content and seen and behaviour.gap:
                await self._pause(behaviour.gap / 1000)
            if self._closed.is_set():
                return
            seen += part.content
            yield part.data

    async def close(self) -> None:
        self._closed.set()

    async def _pause(self, seconds: float) -> None:
        """Waits; ends early when the response is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return


class MockTransport:
    """Answers requests. Its only state is how often it has failed, per trace and model."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def respond(self, request: UpstreamRequest) -> MockResponse:
        """The answer to `request`. Raises `UpstreamUnreachable` where the model's name asks for that."""
        path = request.url.partition("://")[2].partition("/")[2].partition("?")[0]
        endpoint = path.removeprefix("v1/")
        if request.method == "GET" and endpoint == "models":
            return MockResponse(200, _JSON, answers.models())
        body = await _parsed(request)
        if body is None:
            return _refusal(400, "The body must be a JSON object with a `model`.")
        try:
            behaviour = parse_model(body["model"])
        except UnknownModel as error:
            return _refusal(404, str(error), "model_not_found")
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay / 1000)
        failed = self._fault(body["model"], behaviour, request.headers.get(TRACE_HEADER, ""))
        if failed is not None:
            return failed
        if behaviour.hang == 0:
            await asyncio.Event().wait()
        try:
            parts = _answer(endpoint, body, behaviour)
        except BadRequest as error:
            return _refusal(400, str(error))
        if parts is None:
            return _refusal(404, f"The mock provider has no endpoint {path!r}.", "not_found")
        return _shaped(parts, body, behaviour, _kind(endpoint, body))

    def _fault(self, model: str, behaviour: Behaviour, trace: str) -> MockResponse | None:
        """An answer with an error status, or None. Raises for a refused connection."""
        if behaviour.fail is not None:
            key = (trace, model)
            count = self._failures.pop(key, 0)
            if count >= behaviour.fail:
                return None
            self._failures[key] = count + 1
            while len(self._failures) > _MAX_TRACES:
                self._failures.popitem(last=False)
        if behaviour.refuse:
            raise UpstreamUnreachable("The mock provider refused the connection, as its model's name asks.")
        status = behaviour.status or (503 if behaviour.fail is not None else None)
        if status is None:
            return None
        headers = dict(_JSON)
        if behaviour.retry_after is not None:
            headers["retry-after"] = str(behaviour.retry_after)
        return _refusal(status, f"The mock provider failed with {status}, as its model's name asks.", "mock_failure", headers)


_FAILURE = answers.error("The mock provider failed, as its model's name asks.", kind="server_error", code="mock_failure")


async def _parsed(request: UpstreamRequest) -> Json | None:
    """The parameters, of a form with its files' names and sizes; None where there is no model."""
    try:
        if isinstance(request.body, bytes):
            parsed = orjson.loads(request.body)
        else:
            reader = multipart.Reader(request.body.content_type)
            async for piece in request.body.chunks():
                reader.feed(piece)
            parsed = multipart.shown(reader.end())
    except (orjson.JSONDecodeError, InvalidRequest):
        return None
    if not isinstance(parsed, dict):
        return None
    parsed.setdefault("model", "mock")
    return parsed if isinstance(parsed["model"], str) else None


_ANSWERS: dict[str, Callable[[Json], list[Part]]] = {
    "embeddings": answers.embeddings,
    "images/generations": media.images,
    "images/edits": media.images,
    "audio/speech": media.speech,
    "audio/transcriptions": media.transcript,
    "audio/translations": media.transcript,
    "moderations": media.moderation,
    "rerank": media.ranking,
}


def _answer(endpoint: str, body: Json, behaviour: Behaviour) -> list[Part] | None:
    if endpoint in ("chat/completions", "completions"):
        return answers.completion(body, behaviour, chat=endpoint == "chat/completions")
    answer = _ANSWERS.get(endpoint)
    return None if answer is None else answer(body)


def _kind(endpoint: str, body: Json) -> dict[str, str]:
    """The headers that say what the answer is."""
    if endpoint == "audio/speech":
        return {"content-type": "audio/wav"}
    if body.get("stream") is True:
        return {"content-type": "text/event-stream"}
    texts = {"text": "text/plain; charset=utf-8", "srt": "text/plain; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}
    heard = endpoint in ("audio/transcriptions", "audio/translations")
    return {"content-type": texts.get(str(body.get("response_format")), "application/json")} if heard else _JSON


def _shaped(parts: list[Part], body: Json, behaviour: Behaviour, kind: Mapping[str, str]) -> MockResponse:
    """The answer with status 200, or what stands in its place."""
    if behaviour.html:
        page = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"
        return MockResponse(200, {"content-type": "text/html"}, [Part(page, content=True)])
    if behaviour.empty:
        return MockResponse(200, _JSON, [])
    if behaviour.garbage:
        return MockResponse(200, kind, [Part(b"\x00\xff}{ this is no answer", content=True)])
    if kind["content-type"].startswith(("text/event-stream", "audio/")):
        return MockResponse(200, kind, parts, behaviour)
    whole = parts[0].data
    if behaviour.error_event is not None:
        return MockResponse(200, _JSON, [Part(_FAILURE, content=True)])
    if behaviour.eof is not None:
        return MockResponse(200, _JSON, [Part(whole[: len(whole) // 2], content=True)])
    if behaviour.cut is not None or behaviour.hang is not None:
        # The fault comes in the middle of the body, whatever number of chunks the name gives.
        halves = [Part(whole[: len(whole) // 2], content=True), Part(whole[len(whole) // 2 :])]
        fault = Behaviour(cut=1) if behaviour.cut is not None else Behaviour(hang=1)
        return MockResponse(200, _JSON, halves, fault)
    return MockResponse(200, kind, parts)


def _refusal(status: int, message: str, code: str | None = None, headers: Mapping[str, Any] = _JSON) -> MockResponse:
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return MockResponse(status, headers, [Part(answers.error(message, kind=kind, code=code), content=True)])
