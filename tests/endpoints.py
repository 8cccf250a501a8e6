"""What OpenAI's API offers beside text, as a behaviour of tests/fakes.py: it refuses what OpenAI would refuse and keeps files.

`Shop` is one account: files that were uploaded can be listed, read and deleted.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import Turn

# An MP3's first bytes, and then every byte there is: nothing on the way may take them for text.
AUDIO = b"ID3\x04\x00" + bytes(range(256)) * 300
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
TRANSCRIPT = "The quick brown fox."
OUTPUT = b'{"id": "batch_req_1", "custom_id": "request-1", "response": {"status_code": 200}}\n'
_SSE = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass
class FormPart:
    """One part of a form: `filename` is None for a plain field."""

    content: bytes
    filename: str | None
    content_type: str | None

    @property
    def text(self) -> str:
        return self.content.decode()


def form(content_type: str, body: bytes) -> dict[str, list[FormPart]]:
    """A form's parts by name, read by another parser than the gateway's."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    found: dict[str, list[FormPart]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        kind = part["content-type"]
        content = part.get_payload(decode=True)
        found.setdefault(str(name), []).append(FormPart(content, part.get_filename(), kind and str(kind)))
    return found


class Refused(Exception):
    """The vendor's 400."""


@dataclass
class Shop:
    """`files` by id. As a behaviour of a lane: ``lane.will(Shop())``."""

    files: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)

    async def __call__(self, turn: Turn) -> None:
        received = turn.received
        path, _, query = received.path.partition("?")
        route = path[path.index("/v1/") + 4 :]
        try:
            self._check(received.headers)
            for (method, pattern), answer in _ROUTES.items():
                if method == received.method and (match := re.fullmatch(pattern, route)):
                    answer(self, turn, match.groups(), query)
                    return
            raise Refused(f"no such route: {received.method} {route}")
        except (Refused, AssertionError, KeyError, ValueError) as error:
            turn.lane.problems.append(f"{received.method} {route}: {error!r}")
            turn.whole(400, json.dumps({"error": {"message": repr(error), "type": "invalid_request_error"}}).encode())

    def _check(self, headers: Mapping[str, str]) -> None:
        assert headers["authorization"].startswith("Bearer sk-")
        assert not [name for name in headers if name.startswith(("x-portkey", "cookie", "x-forwarded"))]
        assert "transfer-encoding" not in headers

    # --- What is made ---

    def image(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        body = _json(turn)
        assert isinstance(body["prompt"], str)
        if body.get("stream"):
            events = [
                {"type": "image_generation.partial_image", "b64_json": PIXEL, "partial_image_index": 0},
                {"type": "image_generation.completed", "b64_json": PIXEL, "usage": _image_usage()},
            ]
            turn.whole(200, _events(events), _SSE)
            return
        turn.whole(200, _dump({"created": 1, "data": [{"b64_json": PIXEL}] * int(body.get("n", 1)), "usage": _image_usage()}))

    def edit(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        parts = _form(turn)
        images = parts.get("image") or parts["image[]"]
        assert all(part.filename and part.content.startswith(b"\x89PNG") for part in images)
        turn.whole(200, _dump({"created": 1, "data": [{"b64_json": PIXEL}] * len(images), "usage": _image_usage()}))

    def speech(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        body = _json(turn)
        assert body["model"]
        assert body["voice"]
        assert body["input"]
        if body.get("stream_format") == "sse":
            usage = {"input_tokens": 5, "output_tokens": 40, "total_tokens": 45}
            events = [{"type": "speech.audio.delta", "audio": PIXEL}, {"type": "speech.audio.done", "usage": usage}]
            turn.whole(200, _events(events), _SSE)
            return
        turn.whole(200, AUDIO, {"content-type": "audio/mpeg"})

    def transcript(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        parts = _form(turn)
        assert parts["model"][0].text
        file = parts["file"][0]
        assert file.filename
        assert file.content == AUDIO
        kind = parts["response_format"][0].text if "response_format" in parts else "json"
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}
        usage["input_token_details"] = {"text_tokens": 4, "audio_tokens": 10}  # type: ignore[assignment]
        if "stream" in parts:
            deltas = [{"type": "transcript.text.delta", "delta": word} for word in TRANSCRIPT.split()]
            done = {"type": "transcript.text.done", "text": TRANSCRIPT, "usage": usage}
            turn.whole(200, _events([*deltas, done]), _SSE)
        elif kind == "json":
            turn.whole(200, _dump({"text": TRANSCRIPT, "usage": usage}))
        elif kind == "verbose_json":
            turn.whole(200, _dump({"text": TRANSCRIPT, "language": "english", "duration": 2.5, "segments": [], "words": []}))
        elif kind == "vtt":
            turn.whole(200, f"WEBVTT\n\n{TRANSCRIPT}\n".encode(), {"content-type": "text/vtt; charset=utf-8"})
        else:
            turn.whole(200, f"{TRANSCRIPT}\n".encode(), {"content-type": "text/plain; charset=utf-8"})

    def moderation(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        assert _json(turn)["input"]
        result = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
        turn.whole(200, _dump({"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}))

    def rerank(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        body = _json(turn)
        assert body["query"]
        assert body["documents"]
        assert body["model"]
        turn.whole(200, _dump({"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 12}}))

    # --- What is kept ---

    def upload(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        parts = _form(turn)
        file, purpose = parts["file"][0], parts["purpose"][0].text
        assert file.filename
        name = f"file-{len(self.files) + 1}"
        self.files[name] = (file.filename, purpose, file.content)
        turn.whole(200, _dump(self._shown(name)))

    def list_files(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        shown = [
            self._shown(name) for name in self.files if f"purpose={self.files[name][1]}" in query or "purpose" not in query
        ]
        turn.whole(200, _dump({"object": "list", "data": shown, "has_more": False}))

    def file(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        turn.whole(200, _dump(self._shown(ids[0]))) if ids[0] in self.files else self._missing(turn, ids[0])

    def delete_file(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        assert not turn.received.body
        del self.files[ids[0]]
        turn.whole(200, _dump({"id": ids[0], "object": "file", "deleted": True}))

    def content(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        if ids[0] == "file-output":
            turn.whole(200, OUTPUT, {"content-type": "application/octet-stream"})
            return
        turn.whole(200, self.files[ids[0]][2], {"content-type": "application/octet-stream"})

    def _missing(self, turn: Turn, name: str) -> None:
        error = {"message": f"No such File object: {name}", "type": "invalid_request_error", "param": "id", "code": None}
        turn.whole(404, _dump({"error": error}))

    def _shown(self, name: str) -> dict[str, Any]:
        filename, purpose, content = self.files[name]
        shown = {"id": name, "object": "file", "bytes": len(content), "created_at": 1, "filename": filename}
        return {**shown, "purpose": purpose, "status": "processed"}

    def batch(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        if turn.received.method == "POST" and not ids:
            body = _json(turn)
            assert set(body) == {"input_file_id", "endpoint", "completion_window"}
        name = ids[0] if ids else "batch_1"
        done = name == "batch_done"
        turn.whole(200, _dump(_batch(name, "completed" if done else "validating", "file-output" if done else None)))

    def batches(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        assert "limit=2" in query
        turn.whole(200, _dump({"object": "list", "data": [_batch("batch_1", "validating", None)], "has_more": False}))

    def tuning(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        if turn.received.method == "POST" and not ids:
            assert _json(turn)["training_file"]
        # A job that went well has an empty error.
        job = {"id": ids[0] if ids else "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "error": {"code": None}}
        job |= {"model": "gpt-4o-mini", "status": "queued", "seed": 1, "hyperparameters": {}, "organization_id": "org"}
        turn.whole(200, _dump({**job, "result_files": [], "training_file": "file-1"}))

    def jobs(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        turn.whole(200, _dump({"object": "list", "data": [], "has_more": False}))

    def response(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        if turn.received.method == "DELETE":
            turn.whole(200, _dump({"id": ids[0], "object": "response", "deleted": True}))
            return
        turn.whole(200, _dump(_response(ids[0] if ids else "resp_1")))

    def input_items(self, turn: Turn, ids: tuple[str, ...], query: str) -> None:
        turn.whole(200, _dump({"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}))


def _response(name: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello.", "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    made = {"id": name, "object": "response", "created_at": 1, "status": "completed", "error": None, "model": "gpt-4o-mini"}
    usage = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14, "input_tokens_details": {"cached_tokens": 4}}
    extra = {"output": [message], "usage": {**usage, "output_tokens_details": {"reasoning_tokens": 1}}}
    return {**made, **extra, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


def _batch(name: str, status: str, output: str | None) -> dict[str, Any]:
    made = {"id": name, "object": "batch", "endpoint": "/v1/chat/completions", "errors": None, "input_file_id": "file-1"}
    return {**made, "completion_window": "24h", "status": status, "output_file_id": output, "created_at": 1}


def _image_usage() -> dict[str, Any]:
    return {"input_tokens": 9, "output_tokens": 100, "total_tokens": 109, "input_tokens_details": {"text_tokens": 9}}


def _json(turn: Turn) -> Any:
    assert turn.received.headers["content-type"] == "application/json"
    return turn.received.json


def _form(turn: Turn) -> dict[str, list[FormPart]]:
    assert turn.received.headers["content-type"].startswith("multipart/form-data; boundary=")
    return form(turn.received.headers["content-type"], turn.received.body)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _events(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + _dump(event) + b"\n\n" for event in events)


_Answer = Callable[[Shop, Turn, tuple[str, ...], str], None]
_ROUTES: dict[tuple[str, str], _Answer] = {
    ("POST", "images/generations"): Shop.image,
    ("POST", "images/(?:edits|variations)"): Shop.edit,
    ("POST", "audio/speech"): Shop.speech,
    ("POST", "audio/(?:transcriptions|translations)"): Shop.transcript,
    ("POST", "moderations"): Shop.moderation,
    ("POST", "rerank"): Shop.rerank,
    ("POST", "files"): Shop.upload,
    ("GET", "files"): Shop.list_files,
    ("GET", "files/([^/]+)"): Shop.file,
    ("DELETE", "files/([^/]+)"): Shop.delete_file,
    ("GET", "files/([^/]+)/content"): Shop.content,
    ("POST", "batches"): Shop.batch,
    ("GET", "batches"): Shop.batches,
    ("GET", "batches/([^/]+)"): Shop.batch,
    ("POST", "batches/([^/]+)/cancel"): Shop.batch,
    ("POST", "fine_tuning/jobs"): Shop.tuning,
    ("GET", "fine_tuning/jobs"): Shop.jobs,
    ("GET", "fine_tuning/jobs/([^/]+)"): Shop.tuning,
    ("POST", "fine_tuning/jobs/([^/]+)/(?:cancel|pause|resume)"): Shop.tuning,
    ("GET", "fine_tuning/jobs/([^/]+)/(?:events|checkpoints)"): Shop.jobs,
    ("POST", "responses"): Shop.response,
    ("GET", "responses/([^/]+)"): Shop.response,
    ("DELETE", "responses/([^/]+)"): Shop.response,
    ("POST", "responses/([^/]+)/cancel"): Shop.response,
    ("GET", "responses/([^/]+)/input_items"): Shop.input_items,
}
