"""The built-in mock does what its model's name says."""

import asyncio
import base64
import re
import struct
import time
from pathlib import Path

import orjson
import pytest

from routing.call import Endpoint, UpstreamRequest
from routing.errors import ProviderError, StreamBroken, UpstreamInvalid, UpstreamUnreachable
from routing.providers import mock
from routing.providers.mock.behaviour import Behaviour, UnknownModel, known_words, parse_model
from routing.providers.mock.schema import sample
from routing.providers.mock.transport import MockTransport
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

ROW = find("mock")
TARGET = make_target("mock")
DOCS = Path(__file__).parents[3] / "docs" / "mock-provider.md"
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    },
    {"type": "function", "function": {"name": "now"}},
]


def body_of(model="mock", text="Hi there", **extra):
    return {"model": model, "messages": [{"role": "user", "content": text}], **extra}


async def send(body, endpoint=Endpoint.CHAT, transport=mock):
    """The response, and the call that it answers."""
    call = make_call(body, endpoint)
    return await transport.respond(ROW.dialect.request(call, TARGET)), call


async def whole(body, endpoint=Endpoint.CHAT):
    response, call = await send(body, endpoint)
    assert response.status == 200
    answer = ROW.dialect.reply(call, TARGET, await response.read())
    return orjson.loads(answer.body), answer.usage


async def streamed(body, endpoint=Endpoint.CHAT):
    """The chunks, and the translator that read them."""
    response, call = await send({**body, "stream": True}, endpoint)
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    translator = ROW.dialect.stream(call, TARGET)
    out = b"".join([translator.feed(piece) async for piece in response.chunks()])
    return [orjson.loads(event[6:]) for event in out.decode().split("\n\n")[:-2]], translator


# --- answers ---


async def test_it_answers_the_same_every_time():
    response, _ = await send(body_of())
    again, _ = await send(body_of())
    assert await response.read() == await again.read()
    answer, _ = await whole(body_of())
    assert answer["choices"][0]["message"]["content"] == "Hello from mock. You said: Hi there"


@pytest.mark.parametrize(
    ("body", "endpoint"),
    [
        (body_of(), Endpoint.CHAT),
        (body_of("mock-chunks-30", n=2), Endpoint.CHAT),
        (body_of("mock-tool", tools=TOOLS), Endpoint.CHAT),
        (body_of(max_tokens=3), Endpoint.CHAT),
        (body_of("mock-cached-2"), Endpoint.CHAT),
        ({"model": "mock-echo", "prompt": "Once upon a time"}, Endpoint.COMPLETIONS),
    ],
)
async def test_a_stream_has_the_content_and_usage_of_the_whole(body, endpoint):
    answer, usage = await whole(body, endpoint)
    chunks, translator = await streamed(body, endpoint)
    assert (translator.done, translator.usage, translator.model) == (True, usage, body["model"])
    assert usage.completion_tokens > 0
    for choice in answer["choices"]:
        parts = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
        deltas = [part.get("delta", part) for part in parts]
        text = "".join(delta.get("content") or delta.get("text") or "" for delta in deltas)
        calls = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas if "tool_calls" in delta]
        message = choice.get("message", choice)
        expected = (
            message["tool_calls"][0]["function"]["arguments"]
            if "tool_calls" in message
            else message.get("content") or message["text"]
        )
        assert text + "".join(calls) == expected


async def test_it_shows_usage_in_a_stream_only_when_asked():
    shown, _ = await streamed(body_of(stream_options={"include_usage": True}))
    assert shown[-1]["choices"] == []
    assert shown[-1]["usage"]["total_tokens"] > 0
    hidden, translator = await streamed(body_of("mock-nousage"))
    assert translator.usage is None
    assert all("usage" not in chunk for chunk in hidden)
    assert "usage" not in (await whole(body_of("mock-nousage")))[0]


async def test_it_reads_parts_and_tool_results():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}]
    answer, _ = await whole(body_of("mock-echo", parts))
    assert answer["choices"][0]["message"]["content"] == "a\nb"
    messages = [{"role": "user", "content": "q"}, {"role": "tool", "tool_call_id": "1", "content": "result"}]
    answer, _ = await whole({"model": "mock-tool-echo", "messages": messages, "tools": TOOLS})
    assert answer["choices"][0]["message"]["content"] == "result"
    answer, _ = await whole({"model": "mock-echo", "messages": [{"role": "system", "content": "s"}]})
    assert answer["choices"][0]["message"]["content"] == ""


async def test_long_questions_are_quoted_short():
    answer, _ = await whole(body_of(text="word " * 100))
    assert answer["choices"][0]["message"]["content"].endswith("word ...")


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({"tool_choice": "required"}, "weather"),
        ({"tool_choice": {"type": "function", "function": {"name": "now"}}}, "now"),
        ({"tool_choice": {"type": "function", "function": {"name": "absent"}}}, None),
        ({"tool_choice": "none", "model": "mock-tool"}, None),
        ({"model": "mock-tool"}, "weather"),
        ({}, None),
    ],
)
async def test_it_calls_tools_when_it_must(extra, name):
    answer, _ = await whole({**body_of(tools=TOOLS), **extra})
    choice = answer["choices"][0]
    called = [call["function"]["name"] for call in choice["message"].get("tool_calls", [])]
    assert called == ([name] if name else [])
    assert choice["finish_reason"] == ("tool_calls" if name else "stop")


async def test_it_answers_in_json():
    answer, _ = await whole(body_of("mock-echo", response_format={"type": "json_object"}))
    assert orjson.loads(answer["choices"][0]["message"]["content"]) == {"answer": "Hi there"}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    answer, _ = await whole(body_of(response_format={"type": "json_schema", "json_schema": {"schema": schema}}))
    assert orjson.loads(answer["choices"][0]["message"]["content"]) == {"n": 1}


async def test_embeddings_of_like_texts_are_alike():
    answer, usage = await whole(
        {"model": "mock", "input": ["red fox runs", "red fox sleeps", "blue sky", ""]}, Endpoint.EMBEDDINGS
    )
    one, two, three, _ = [item["embedding"] for item in answer["data"]]
    dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
    assert len(one) == 256
    assert dot(one, one) == pytest.approx(1)
    assert dot(one, two) > 0.4 > dot(one, three)
    assert usage.prompt_tokens == 8


async def test_an_embedding_is_never_zero():
    for text in (f"word{number}" for number in range(40)):
        answer, _ = await whole({"model": "mock", "input": text, "dimensions": 1}, Endpoint.EMBEDDINGS)
        assert abs(answer["data"][0]["embedding"][0]) == pytest.approx(1)


async def test_embeddings_come_as_base64_and_in_any_size():
    body = {"model": "mock", "input": [[1, 2], [3]], "dimensions": 8}
    plain, _ = await whole(body, Endpoint.EMBEDDINGS)
    packed, _ = await whole({**body, "encoding_format": "base64"}, Endpoint.EMBEDDINGS)
    for index in range(2):
        vector = struct.unpack("<8f", base64.b64decode(packed["data"][index]["embedding"]))
        assert vector == pytest.approx(plain["data"][index]["embedding"])


async def test_it_lists_its_models():
    response = await mock.respond(UpstreamRequest(url="mock://local/v1/models", headers={}, body=b"", method="GET"))
    assert [model["id"] for model in orjson.loads(await response.read())["data"]] == list(ROW.models)


# --- faults ---


@pytest.mark.parametrize(
    ("model", "seen"),
    [("mock-chunks-9-cut-3", 3), ("mock-chunks-9-cut-0", 0), ("mock-chunks-9-eof-2", 2), ("mock-chunks-9-error-event-4", 4)],
)
async def test_a_stream_fails_after_some_chunks(model, seen):
    response, call = await send(body_of(model, stream=True))
    translator = ROW.dialect.stream(call, TARGET)
    out = []

    async def read():
        async for piece in response.chunks():
            out.append(translator.feed(piece))  # noqa: PERF401 - what came before the fault counts

    expected = {"cut": StreamBroken, "error": ProviderError}.get(model.split("-")[3])
    if expected is None:
        await read()
    else:
        with pytest.raises(expected):
            await read()
    assert b"".join(out).count(b"word") == seen
    assert not translator.done


@pytest.mark.parametrize("model", ["mock-garbage", "mock-html", "mock-empty", "mock-eof-1", "mock-error-event-1"])
async def test_a_whole_answer_that_is_none(model):
    with pytest.raises(UpstreamInvalid):
        await whole(body_of(model))


@pytest.mark.parametrize("model", ["mock-garbage", "mock-html"])
async def test_a_stream_that_is_none(model):
    response, call = await send(body_of(model, stream=True))
    with pytest.raises(UpstreamInvalid):
        ROW.dialect.stream(call, TARGET).feed(await response.read())


async def test_a_whole_answer_can_be_cut():
    response, _ = await send(body_of("mock-cut-5"))
    with pytest.raises(StreamBroken):
        await response.read()


async def test_it_refuses_connections():
    with pytest.raises(UpstreamUnreachable):
        await send(body_of("mock-refuse"))


async def test_it_fails_with_a_status_and_a_wish():
    response, _ = await send(body_of("mock-status-429-retry-after-7"))
    assert (response.status, response.headers["retry-after"]) == (429, "7")
    assert orjson.loads(await response.read())["error"]["type"] == "rate_limit_error"


async def test_it_fails_some_times_and_then_answers():
    transport = MockTransport()
    statuses = [(await send(body_of("mock-fail-2"), transport=transport))[0].status for _ in range(4)]
    assert statuses == [503, 503, 200, 503]
    assert (await send(body_of("mock-fail-1-status-500"), transport=transport))[0].status == 500
    with pytest.raises(UpstreamUnreachable):
        await send(body_of("mock-fail-1-refuse"), transport=transport)
    assert (await send(body_of("mock-fail-1-refuse"), transport=transport))[0].status == 200


async def test_it_forgets_the_oldest_failures(monkeypatch):
    monkeypatch.setattr("routing.providers.mock.transport._MAX_TRACES", 1)
    transport = MockTransport()
    for model in ("mock-fail-1", "mock-fail-1-echo", "mock-fail-1"):
        assert (await send(body_of(model), transport=transport))[0].status == 503


async def test_it_waits_before_the_answer_and_between_chunks():
    begin = time.perf_counter()
    await whole(body_of("mock-delay-30"))
    await streamed(body_of("mock-chunks-4-10"))
    assert time.perf_counter() - begin >= 0.06


@pytest.mark.parametrize(
    ("model", "stream"), [("mock-hang", False), ("mock-hang", True), ("mock-hang-2", False), ("mock-hang-2", True)]
)
async def test_it_hangs_until_it_is_cancelled(model, stream):
    async def run():
        response, _ = await send(body_of(model, stream=stream))
        await response.read()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(), 0.02)


@pytest.mark.parametrize("model", ["mock-hang-2", "mock-chunks-9-60000"])
async def test_closing_ends_a_waiting_stream(model):
    response, _ = await send(body_of(model, stream=True))
    reading = asyncio.ensure_future(response.read())
    await asyncio.sleep(0.01)
    assert not reading.done()
    await response.close()
    await response.close()
    assert b"[DONE]" not in await asyncio.wait_for(reading, 1)


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        ("mock://local/v1/chat/completions", b"{", 400),
        ("mock://local/v1/chat/completions", b"[]", 400),
        ("mock://local/v1/chat/completions", b'{"model": "mock"}', 400),
        ("mock://local/v1/chat/completions", b'{"model": "mock", "messages": [{"role": "user", "content": "x"}], "n": 0}', 400),
        ("mock://local/v1/chat/completions", b'{"model": "mock", "messages": ["x"], "stream": true, "stream_options": 7}', 400),
        ("mock://local/v1/chat/completions", b'{"model": "mock", "messages": ["x"], "tools": 7}', 400),
        ("mock://local/v1/embeddings", b'{"model": "mock", "input": []}', 400),
        ("mock://local/v1/embeddings", b'{"model": "mock", "input": [{}]}', 400),
        ("mock://local/v1/embeddings", b'{"model": "mock", "input": "x", "dimensions": true}', 400),
        ("mock://local/v1/embeddings", b'{"model": "mock-nonsense", "input": "x"}', 404),
        ("mock://local/v1/images", b'{"model": "mock"}', 404),
    ],
)
async def test_it_refuses_what_it_does_not_understand(url, body, status):
    response = await mock.respond(UpstreamRequest(url=url, headers={}, body=body))
    assert response.status == status
    assert orjson.loads(await response.read())["error"]["message"]


# --- names ---


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        ("mock", Behaviour()),
        ("gpt-4o-mini", Behaviour()),
        ("mockingbird-7b", Behaviour()),
        ("mock-echo-delay-5", Behaviour(echo=True, delay=5)),
        ("mock-chunks-5", Behaviour(chunks=5)),
        ("mock-chunks-5-20-tool", Behaviour(chunks=5, gap=20, tool=True)),
        ("mock-hang", Behaviour(hang=0)),
        ("mock-hang-3-name-eu", Behaviour(hang=3, name="eu")),
        ("mock-error-event-2-retry-after-9", Behaviour(error_event=2, retry_after=9)),
    ],
)
def test_names_are_read(model, behaviour):
    assert parse_model(model) == behaviour


@pytest.mark.parametrize(
    "model",
    [
        "mock-",
        "mock-nonsense",
        "mock-delay",
        "mock-delay-x",
        "mock-status-200",
        "mock-cut-99999999999",
        "mock-error-3",
        "mock-name",
        "mock-delay-²",
    ],
)
def test_names_that_make_no_sense_are_refused(model):
    with pytest.raises(UnknownModel):
        parse_model(model)


def test_every_word_is_documented():
    documented = set(re.findall(r"^\| `([a-z-]+?)(?:-[A-Z].*?)?` ", DOCS.read_text(), re.MULTILINE))
    assert documented == set(known_words())


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "minLength": "x"}, "text"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"type": []}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 0}, 0),
        ({"default": 3, "type": "integer"}, 3),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "integer"}}}, {"a": 1}),
        ({"$ref": "other.json"}, "text"),
        ({"$ref": "#/absent/x"}, None),
        ({"type": "object"}, {}),
        (None, None),
    ],
)
def test_a_sample_fits_its_schema(schema, value):
    assert sample(schema) == value


def test_a_schema_that_holds_itself_comes_to_an_end():
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]}
    value = sample(schema)
    for _ in range(4):
        value = value["child"]
    assert value == {"n": 1}
