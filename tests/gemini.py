"""Google's side of the wire for tests/fakes.py: Gemini as the Gemini API and Vertex AI serve it, and the token endpoint.

A request is checked against the types of Google's own SDK, which know every field and refuse all others; one that does not pass
gets the vendor's 400, and stands in `lane.problems`.
"""

from __future__ import annotations

import json
import warnings
from typing import Any
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError

from tests.fakes import Behaviour, Turn, head, sends
from tests.vendors import TEXT, TOOL_INPUT, VECTOR

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own
    from google.genai import types

SIGNATURE = "c2lnbmF0dXJl"
USAGE = {
    "promptTokenCount": 40,
    "cachedContentTokenCount": 16,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 52,
}
_FIELDS: dict[str, Any] = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": list[types.SafetySetting],
}


def gemini(*, pause: float = 0.0, broken_after: int | None = None) -> Behaviour:
    """A good answer in the way that the path asks for; a stream breaks off after so many events where that is given."""

    async def behave(turn: Turn) -> None:
        received = turn.received
        body = json.loads(received.body)
        _, _, method = received.path.rpartition(":")
        if problem := _problem(received.path, received.headers, method, body):
            turn.lane.problems.append(problem)
            turn.whole(400, error_body(400, "INVALID_ARGUMENT", problem))
        elif method == "streamGenerateContent?alt=sse":
            await _stream(turn, list(_events(received.path, body)), pause, broken_after)
        else:
            turn.whole(200, json.dumps(_whole(received.path, method, body)).encode())

    return behave


def fails(code: int, status: str, message: str) -> Behaviour:
    """The vendor's error; on a streaming path it stands in a list."""

    async def behave(turn: Turn) -> None:
        body = error_body(code, status, message)
        turn.whole(code, b"[" + body + b"]" if "stream" in turn.received.path else body)

    return behave


def error_body(code: int, status: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": []}}).encode()


def gives_token(token: str) -> Behaviour:
    """The token endpoint."""
    return sends(json.dumps({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}).encode())


def assertion_in(body: bytes) -> str:
    """The signed assertion that was sent to the token endpoint."""
    return parse_qs(body.decode())["assertion"][0]


def _problem(path: str, headers: dict[str, str], method: str, body: dict[str, Any]) -> str | None:
    keys = [name for name in ("x-goog-api-key", "authorization") if headers.get(name)]
    if len(keys) != 1 or "key=" in path:
        return f"{path}: the credentials are {keys}"
    if strange := [name for name in headers if name.startswith(("x-portkey", "x-stainless"))]:
        return f"{path}: {strange} are not for vendors"
    if not method.lower().endswith("generatecontent?alt=sse" if "stream" in method else "generatecontent"):
        return None
    if unknown := body.keys() - _FIELDS.keys():
        return f"{path}: Unknown name {sorted(unknown)}"
    try:
        for name, value in body.items():
            TypeAdapter(_FIELDS[name]).validate_python(value)
    except ValidationError as error:
        return f"{path}: {error}"
    contents = body.get("contents") or []
    roles = [content.get("role") for content in contents]
    if not contents or roles[0] != "user" or not set(roles) <= {"user", "model"}:
        return f"{path}: the roles are {roles}"
    return None


def _model(path: str) -> str:
    return path.rpartition("/")[2].partition(":")[0]


def _asks_for_call(body: dict[str, Any]) -> bool:
    parts = body["contents"][-1]["parts"]
    return "tools" in body and not any("functionResponse" in part for part in parts)


def _candidate(parts: list[dict[str, Any]], finish: str | None = "STOP") -> dict[str, Any]:
    return {"content": {"role": "model", "parts": parts}, "index": 0, **({"finishReason": finish} if finish else {})}


def _call(body: dict[str, Any]) -> dict[str, Any]:
    name = body["tools"][0]["functionDeclarations"][0]["name"]
    return {"functionCall": {"name": name, "args": TOOL_INPUT}, "thoughtSignature": SIGNATURE}


def _whole(path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
    if method == "embedContent":
        return {"embedding": {"values": list(VECTOR)}}
    if method == "batchEmbedContents":
        return {"embeddings": [{"values": list(VECTOR)} for _ in body["requests"]]}
    if method == "predict":
        counted = {"values": list(VECTOR), "statistics": {"token_count": 3, "truncated": False}}
        return {"predictions": [{"embeddings": counted} for _ in body["instances"]]}
    thought = {"text": "They want a greeting.", "thought": True}
    candidate = _candidate([thought, _call(body) if _asks_for_call(body) else {"text": TEXT}])
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": _model(path), "responseId": "resp-fake"}


def _events(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    first, *others = TEXT.split(" ")
    parts = [_call(body)] if _asks_for_call(body) else [{"text": first}, *({"text": f" {word}"} for word in others)]
    events = [
        {"candidates": [_candidate([part], None)], "usageMetadata": {**USAGE, "candidatesTokenCount": 1}} for part in parts
    ]
    events.append({"candidates": [_candidate([{"text": ""}])], "usageMetadata": USAGE})
    return [{**event, "modelVersion": _model(path), "responseId": "resp-fake"} for event in events]


async def _stream(turn: Turn, events: list[dict[str, Any]], pause: float, broken_after: int | None) -> None:
    turn.write(head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    for number, event in enumerate(events):
        if number == broken_after:
            turn.hang_up()
            return
        await turn.pause(pause)
        data = b"data: " + json.dumps(event).encode() + b"\r\n\r\n"
        turn.write(b"%x\r\n%s\r\n" % (len(data), data))
    turn.write(b"0\r\n\r\n")
