"""What the mock draws, says, hears, judges and ranks: small, and the same for the same request."""

from __future__ import annotations

import array
import base64
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from routing import sse
from routing.call import Json
from routing.providers.mock.answers import CREATED, BadRequest, Part, pieces_of, vector_of, whole_number

SAMPLE_RATE = 8000
_VECTOR = 256
# What a moderation looks for, each word being the name of its category.
_CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
)


def images(body: Json) -> list[Part]:
    """PNGs of 8 x 8 points in one colour that the prompt chooses."""
    prompt = _required_text(body, "prompt")
    count = whole_number({**body, "n": int(body["n"])} if str(body.get("n")).isdecimal() else body, "n", 1, 10)
    data = [
        {"b64_json": base64.b64encode(_png(hashlib.sha256(f"{index}{prompt}".encode()).digest()[:3])).decode()}
        for index in range(count)
    ]
    tokens = len(pieces_of(prompt))
    usage: Json = {"input_tokens": tokens, "output_tokens": count, "total_tokens": tokens + count}
    usage |= {"input_tokens_details": {"text_tokens": tokens, "image_tokens": 0}}
    return [Part(orjson.dumps({"created": CREATED, "data": data, "usage": usage}), content=True)]


def speech(body: Json) -> list[Part]:
    """A WAV file, whatever the format asked for: for each word a tone of 50 ms whose height the word chooses."""
    words = _required_text(body, "input").split() or [""]
    samples = array.array("h")
    for word in words[:1000]:
        pitch = 200 + hashlib.sha256(word.encode()).digest()[0] * 3
        samples.extend(round(8000 * math.sin(2 * math.pi * pitch * at / SAMPLE_RATE)) for at in range(SAMPLE_RATE // 20))
    data = samples.tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        SAMPLE_RATE,
        SAMPLE_RATE * 2,
        2,
        16,
        b"data",
        len(data),
    )
    pieces = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    return [Part(head + pieces[0], content=True), *(Part(piece, content=True) for piece in pieces[1:])]


def transcript(body: Json) -> list[Part]:
    """Says which file it heard and how large it was."""
    files = body.get("files") or []
    if not files:
        raise BadRequest("`file` is missing.")
    text = f"You sent {files[0]['filename']} with {files[0]['bytes']} bytes."
    pieces = pieces_of(text)
    usage = {"type": "tokens", "input_tokens": 1, "output_tokens": len(pieces), "total_tokens": len(pieces) + 1}
    if body.get("stream") is True:
        return list(_heard(text, pieces, usage))
    form = body.get("response_format", "json")
    if form in ("text", "srt", "vtt"):
        cue = f"00:00:00{',' if form == 'srt' else '.'}000 --> 00:00:01{',' if form == 'srt' else '.'}000\n{text}\n"
        shown = {"text": f"{text}\n", "srt": f"1\n{cue}\n", "vtt": f"WEBVTT\n\n{cue}\n"}[form]
        return [Part(shown.encode(), content=True)]
    whole: Json = {"text": text, "usage": usage}
    if form == "verbose_json":
        whole |= {"task": "transcribe", "language": "english", "duration": 1.0, "segments": []}
    return [Part(orjson.dumps(whole), content=True)]


def moderation(body: Json) -> list[Part]:
    """Flags each text that holds the name of a category."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    results = []
    for text in texts:
        words = (text if isinstance(text, str) else orjson.dumps(text).decode()).lower()
        found = {name: name in words for name in _CATEGORIES}
        results.append(
            {
                "flagged": any(found.values()),
                "categories": found,
                "category_scores": {name: float(hit) for name, hit in found.items()},
                "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
            }
        )
    digest = hashlib.sha256(orjson.dumps(given)).hexdigest()[:24]
    return [Part(orjson.dumps({"id": f"modr-mock-{digest}", "model": body["model"], "results": results}), content=True)]


def ranking(body: Json) -> list[Part]:
    """Documents by the words that they share with the query."""
    query, documents = _required_text(body, "query"), body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise BadRequest("`documents` must be a list with at least one document.")
    texts = [
        item if isinstance(item, str) else str(item.get("text", "")) if isinstance(item, dict) else "" for item in documents
    ]
    asked = vector_of(query, _VECTOR)
    scores = [sum(a * b for a, b in zip(asked, vector_of(text, _VECTOR), strict=True)) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[
        : whole_number(body, "top_n", len(texts), 10_000)
    ]
    results: list[Json] = [{"index": index, "relevance_score": max(0.0, min(1.0, scores[index]))} for index in order]
    if body.get("return_documents"):
        results = [{**result, "document": {"text": texts[result["index"]]}} for result in results]
    tokens = sum(len(pieces_of(text)) for text in (query, *texts))
    digest = hashlib.sha256(orjson.dumps([query, texts])).hexdigest()[:24]
    whole = {"id": f"rerank-mock-{digest}", "model": body["model"], "results": results}
    return [Part(orjson.dumps({**whole, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}), content=True)]


def _heard(text: str, pieces: list[str], usage: Json) -> Iterator[Part]:
    for piece in pieces:
        yield Part(sse.encode(orjson.dumps({"type": "transcript.text.delta", "delta": piece})), content=True)
    yield Part(sse.encode(orjson.dumps({"type": "transcript.text.done", "text": text, "usage": usage})))


def _png(colour: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * 8) * 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _required_text(body: Json, name: str) -> str:
    value: Any = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"`{name}` must be a text and not empty.")
    return value
