"""What the mock answers beside text, through the pipeline's own dialect: each has the shape of OpenAI's, always the same."""

from __future__ import annotations

import base64
import io
import wave

import orjson
import pytest
from openai.types import ImagesResponse, ModerationCreateResponse
from openai.types.audio import Transcription

from routing.call import UpstreamRequest
from routing.providers import mock
from tests.routing.test_multipart import END, field, file

JSON = {"content-type": "application/json"}


class Body:
    """A form in memory."""

    content_type = "multipart/form-data; boundary=b0undary"

    def __init__(self, data):
        self._data = data
        self.size_bytes = len(data)

    async def chunks(self):
        yield self._data


async def ask(path, body):
    content = body if isinstance(body, Body) else orjson.dumps(body)
    response = await mock.respond(UpstreamRequest(f"mock://local/v1/{path}", JSON, content))
    return response, b"".join([piece async for piece in response.chunks()])


async def test_images_are_pngs_that_the_prompt_chooses():
    _, first = await ask("images/generations", {"prompt": "a fox", "n": 2})
    _, again = await ask("images/generations", {"prompt": "a fox", "n": 2})
    _, other = await ask("images/generations", {"prompt": "a cow"})
    images = ImagesResponse.model_validate_json(first).data
    assert (len(images), base64.b64decode(images[0].b64_json)[:8]) == (2, b"\x89PNG\r\n\x1a\n")
    assert first == again
    assert ImagesResponse.model_validate_json(other).data[0] != images[0]


async def test_speech_is_a_sound_that_lasts_as_long_as_the_text():
    response, body = await ask("audio/speech", {"model": "mock", "voice": "alloy", "input": "one two three"})
    assert (response.status, response.headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(body)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.15)


SENT = field("model", "mock") + file("file", b"12345", "a.mp3") + END
SAID = "You sent a.mp3 with 5 bytes."


async def test_a_transcript_names_the_file():
    _, body = await ask("audio/transcriptions", Body(SENT))
    assert Transcription.model_validate_json(body).text == SAID


@pytest.mark.parametrize(
    ("kind", "content_type", "begins"),
    [
        ("text", "text/plain", SAID),
        ("srt", "text/plain", "1\n00:00:00,000 --> "),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000"),
    ],
)
async def test_a_transcript_comes_in_the_format_asked_for(kind, content_type, begins):
    response, body = await ask("audio/translations", Body(field("response_format", kind) + SENT))
    assert response.headers["content-type"].startswith(content_type)
    assert body.decode().startswith(begins)


async def test_a_transcript_streams():
    _, body = await ask("audio/transcriptions", Body(field("stream", "true") + SENT))
    events = [orjson.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n\n") if line]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == SAID


async def test_a_form_without_a_file_is_refused():
    response, _ = await ask("audio/transcriptions", Body(field("model", "mock") + END))
    assert response.status == 400


async def test_texts_that_name_a_category_are_flagged():
    _, body = await ask("moderations", {"input": ["nice", "violence"]})
    results = ModerationCreateResponse.model_validate_json(body).results
    assert [result.flagged for result in results] == [False, True]
    assert results[1].categories.violence is True


async def test_documents_are_ranked_by_shared_words():
    documents = ["about cows", {"text": "the red fox"}, "a red fox runs"]
    asked = {"model": "mock", "query": "red fox", "documents": documents, "top_n": 2, "return_documents": True}
    _, body = await ask("rerank", asked)
    results = orjson.loads(body)["results"]
    assert {result["index"] for result in results} == {1, 2}
    assert results[0]["relevance_score"] >= results[1]["relevance_score"] > 0.5
    assert {result["document"]["text"] for result in results} == {"the red fox", "a red fox runs"}


@pytest.mark.parametrize(
    ("path", "body"),
    [("rerank", {"query": "q", "documents": []}), ("images/generations", {}), ("images/generations", {"prompt": "x", "n": 11})],
)
async def test_what_cannot_be_answered_is_refused(path, body):
    assert (await ask(path, body))[0].status == 400
