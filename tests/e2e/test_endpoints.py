"""OpenAI's endpoints beside text, through the real SDKs: what the vendor is sent, what the caller gets, what the log says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.product import Product, new_trace
from tests.endpoints import AUDIO, OUTPUT, PIXEL, TRANSCRIPT, Shop, form
from tests.fakes import Lane, html_page, sends, status

Client = Callable[..., Any]
PNG = base64.b64decode(PIXEL)


@pytest.fixture
def shop(lane: Lane) -> Shop:
    shop = Shop()
    lane.will(shop)
    return shop


@pytest.fixture(params=["openai", "portkey"])
def sdk(request: pytest.FixtureRequest, openai_client: Client, portkey_client: Client, virtual_key: str, shop: Shop) -> Any:
    """Either SDK, on its way to the shop."""
    if request.param == "openai":
        return openai_client(virtual_key=virtual_key)
    return portkey_client(virtual_key=virtual_key)


def test_images_are_made(sdk: Any) -> None:
    made = sdk.images.generate(model="gpt-image-1", prompt="a fox", n=2)
    assert [image.b64_json for image in made.data] == [PIXEL, PIXEL]


def test_images_are_edited_with_all_their_files(sdk: Any, lane: Lane) -> None:
    made = sdk.images.edit(
        model="gpt-image-1", prompt="bluer", image=[("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    )
    assert len(made.data) == 2
    parts = form(lane.last.headers["content-type"], lane.last.body)
    assert [(part.filename, part.content, part.content_type) for part in parts["image[]"]] == [
        ("a.png", PNG, "image/png"),
        ("b.png", PNG, "image/png"),
    ]
    assert parts["prompt"][0].text == "bluer"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_images_are_varied(sdk: Any) -> None:
    assert len(sdk.images.create_variation(image=("a.png", PNG)).data) == 1


def test_speech_streams_into_a_file(openai_client: Client, virtual_key: str, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "speech.mp3"
    with openai_client(virtual_key=virtual_key).audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Hello"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        answer.stream_to_file(file)
    assert file.read_bytes() == AUDIO


def test_speech_is_read_whole(sdk: Any) -> None:
    assert sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello").read() == AUDIO


def test_speech_as_events_passes_through_with_its_usage(product: Product, virtual_key: str, shop: Shop) -> None:
    trace = new_trace()
    body = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello", "stream_format": "sse"}
    answered = product.call(body, path="/v1/audio/speech", virtual_key=virtual_key, trace_id=trace)
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert '"speech.audio.done"' in answered.text
    assert product.record(trace)["output_tokens"] == 40


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "speech.mp3").write_bytes(AUDIO)
    with (tmp_path / "speech.mp3").open("rb") as file:
        yield file


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_audio_is_heard(sdk: Any, recording: Any, path: str) -> None:
    heard = getattr(sdk.audio, path).create(model="whisper-1", file=recording)
    assert heard.text == TRANSCRIPT


@pytest.mark.parametrize(
    ("kind", "text", "content_type"),
    [
        ("text", f"{TRANSCRIPT}\n", "text/plain; charset=utf-8"),
        ("srt", f"{TRANSCRIPT}\n", "text/plain; charset=utf-8"),
        ("vtt", f"WEBVTT\n\n{TRANSCRIPT}\n", "text/vtt; charset=utf-8"),
    ],
)
def test_a_transcript_that_is_no_json_keeps_its_type(
    product: Product, openai_client: Client, virtual_key: str, shop: Shop, kind: str, text: str, content_type: str
) -> None:
    client = openai_client(virtual_key=virtual_key)
    raw = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=("a.mp3", AUDIO), response_format=kind)
    assert (raw.text, raw.headers["content-type"]) == (text, content_type)


def test_a_transcript_with_words_passes_whole(sdk: Any, recording: Any) -> None:
    heard = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=recording,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert heard.duration == 2.5


def test_a_transcript_streams(openai_client: Client, product: Product, virtual_key: str, shop: Shop) -> None:
    trace = new_trace()
    client = openai_client(virtual_key=virtual_key, trace_id=trace)
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", AUDIO), stream=True))
    assert [event.delta for event in events[:-1]] == TRANSCRIPT.split()
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", TRANSCRIPT)
    record = product.record(trace)
    assert (record["status"], record["input_tokens"], record["audio_input_tokens"], record["output_tokens"]) == (200, 4, 10, 5)


def test_a_model_that_ignores_the_wish_for_a_stream_is_no_failure(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(sends(b'{"text": "whole"}'))
    answered = product.call(
        path="/v1/audio/transcriptions", virtual_key=virtual_key, content=_form_bytes(stream="true"), headers=_FORM_HEADERS
    )
    assert (answered.text, answered.headers["content-type"]) == ('{"text": "whole"}', "application/json")


def test_an_image_streams(openai_client: Client, product: Product, virtual_key: str, shop: Shop) -> None:
    trace = new_trace()
    client = openai_client(virtual_key=virtual_key, trace_id=trace)
    events = list(client.images.generate(model="gpt-image-1", prompt="a fox", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert product.record(trace)["output_tokens"] == 100


def test_texts_are_moderated(sdk: Any) -> None:
    assert sdk.moderations.create(input="I will hit you").results[0].flagged is True


def test_documents_are_ranked(product: Product, virtual_key: str, shop: Shop) -> None:
    trace = new_trace()
    body = {"model": "rerank-1", "query": "fox", "documents": ["a", "b"]}
    answered = product.call(body, path="/v1/rerank", virtual_key=virtual_key, trace_id=trace)
    assert answered.json()["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert product.record(trace)["input_tokens"] == 12


def test_files_live_and_die(sdk: Any, shop: Shop) -> None:
    lines = b'{"custom_id": "1"}\n' * 5
    made = sdk.files.create(file=("input.jsonl", lines, "application/jsonl"), purpose="batch")
    assert (made.id, made.bytes, shop.files[made.id]) == ("file-1", len(lines), ("input.jsonl", "batch", lines))
    assert sdk.files.retrieve("file-1").filename == "input.jsonl"
    assert [file.id for file in sdk.files.list(purpose="batch").data] == ["file-1"]
    assert sdk.files.list(purpose="fine-tune").data == []
    assert sdk.files.content("file-1").content == lines
    assert sdk.files.delete("file-1").deleted is True
    assert shop.files == {}


def test_a_file_that_is_not_there_is_the_providers_404(openai_client: Client, virtual_key: str, shop: Shop) -> None:
    with pytest.raises(openai.NotFoundError, match="No such File object: file-9"):
        openai_client(virtual_key=virtual_key).files.retrieve("file-9")


def test_batches_are_run(sdk: Any) -> None:
    made = sdk.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert made.status == "validating"
    assert sdk.batches.retrieve("batch_7").id == "batch_7"
    assert sdk.batches.cancel("batch_7").id == "batch_7"
    assert [batch.id for batch in sdk.batches.list(limit=2).data] == ["batch_1"]


def test_the_output_of_a_batch_comes_in_one_call(product: Product, virtual_key: str, shop: Shop, lane: Lane) -> None:
    answered = product.call(method="GET", path="/v1/batches/batch_done/output", virtual_key=virtual_key)
    assert (answered.status_code, answered.content) == (200, OUTPUT)
    assert [received.path.rpartition("/v1/")[2] for received in lane.received] == [
        "batches/batch_done",
        "files/file-output/content",
    ]


def test_a_batch_without_output_says_so(product: Product, virtual_key: str, shop: Shop) -> None:
    answered = product.call(method="GET", path="/v1/batches/batch_1/output", virtual_key=virtual_key)
    assert (answered.status_code, answered.json()["error"]["code"]) == (404, "batch_without_output")
    assert "validating" in answered.text


def test_models_are_tuned(sdk: Any) -> None:
    assert sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-1").status == "queued"
    assert sdk.fine_tuning.jobs.retrieve("ftjob-7").id == "ftjob-7"
    assert sdk.fine_tuning.jobs.cancel("ftjob-7").id == "ftjob-7"
    assert sdk.fine_tuning.jobs.list().data == []
    assert sdk.fine_tuning.jobs.list_events("ftjob-7").data == []


def test_kept_responses_are_read_cancelled_and_deleted(openai_client: Client, virtual_key: str, shop: Shop) -> None:
    client = openai_client(virtual_key=virtual_key)
    assert client.responses.create(model="gpt-4o-mini", input="Hi").output_text == "Hello."
    assert client.responses.retrieve("resp_7").id == "resp_7"
    assert client.responses.cancel("resp_7").id == "resp_7"
    assert list(client.responses.input_items.list("resp_7")) == []
    client.responses.delete("resp_7")


def test_the_usage_of_a_response_is_counted(product: Product, virtual_key: str, shop: Shop) -> None:
    trace = new_trace()
    body = {"model": "gpt-4o-mini", "input": "Hi"}
    assert product.call(body, path="/v1/responses", virtual_key=virtual_key, trace_id=trace).status_code == 200
    record = product.record(trace)
    assert (record["input_tokens"], record["cache_read_tokens"]) == (7, 4)
    assert (record["output_tokens"], record["reasoning_tokens"]) == (2, 1)
    assert record["cost_usd"] > 0


def test_overrides_reach_a_form(product: Product, lane: Lane, shop: Shop) -> None:
    key = product.virtual_key(lane.url)
    config = product.config({"virtual_key": key, "override_params": {"model": "whisper-2", "temperature": 0.5}})
    answered = product.call(path="/v1/audio/transcriptions", config=config, content=_form_bytes(), headers=_FORM_HEADERS)
    assert answered.status_code == 200
    parts = form(lane.last.headers["content-type"], lane.last.body)
    assert [part.text for part in parts["model"]] == ["whisper-2"]
    assert [part.text for part in parts["temperature"]] == ["0.5"]
    assert [part.content for part in parts["file"]] == [AUDIO]


def test_a_fallback_sends_the_whole_form_again(product: Product, lane: Lane, other_lane: Lane, shop: Shop) -> None:
    other_lane.will(status(503))
    first, second = product.virtual_key(other_lane.url), product.virtual_key(lane.url)
    targets = [{"virtual_key": first, "retry": {"attempts": 1}}, {"virtual_key": second}]
    config = product.config({"strategy": {"mode": "fallback"}, "targets": targets})
    answered = product.call(path="/v1/audio/transcriptions", config=config, content=_form_bytes(), headers=_FORM_HEADERS)
    assert (answered.status_code, answered.json()["text"]) == (200, TRANSCRIPT)
    assert [received.body for received in (*other_lane.received, *lane.received)] == [_form_bytes()] * 3


_FORM_HEADERS = {"content-type": "multipart/form-data; boundary=xyz"}


def _form_bytes(**fields: str) -> bytes:
    """A form as curl writes it."""
    named = 'Content-Disposition: form-data; name="{}"'
    plain = [f"--xyz\r\n{named.format(name)}\r\n\r\n{text}\r\n" for name, text in {"model": "whisper-1", **fields}.items()]
    file = f'--xyz\r\n{named.format("file")}; filename="a b.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
    return "".join([*plain, file]).encode() + AUDIO + b"\r\n--xyz--\r\n"


# --- What is no answer -------------------------------------------------------------------------------------------------------

_SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
_CALLS: dict[str, tuple[str, Any]] = {
    "images": ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "a fox"}),
    "speech": ("/v1/audio/speech", _SPEECH),
    "moderations": ("/v1/moderations", {"input": "x"}),
    "rerank": ("/v1/rerank", {"model": "r", "query": "q", "documents": ["a"]}),
    "responses": ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hi"}),
    "batches": ("/v1/batches", {"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h"}),
}
_HALF_AN_ERROR = b'{"error": {"message": "out of'
_FAULTS = {
    "a page": html_page(),
    "half a JSON": sends(_HALF_AN_ERROR),
    "nothing": sends(b""),
    "an error": sends(b'{"error": {"message": "out of order", "type": "server_error"}}'),
}


@pytest.mark.parametrize("fault", _FAULTS)
@pytest.mark.parametrize("call", _CALLS)
def test_a_200_that_is_no_answer_is_a_502(product: Product, lane: Lane, virtual_key: str, call: str, fault: str) -> None:
    lane.will(_FAULTS[fault])
    path, body = _CALLS[call]
    trace = new_trace()
    answered = product.call(body, path=path, virtual_key=virtual_key, trace_id=trace)
    assert answered.status_code == 502, answered.text
    assert answered.json()["provider"] == "openai"
    assert product.record(trace)["status"] == 502
