"""What every row of the table must do, whatever its dialect."""

import re

import anthropic.types
import orjson
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from routing import sse
from routing.call import Endpoint
from routing.errors import InvalidRequest, ProviderError, UpstreamInvalid
from routing.providers.auth import no_auth
from routing.providers.table import PROVIDERS
from tests.routing.providers.pairs import HERE, KEY, PAIRS, having, make_call, make_target, sample_call

SHAPES = {
    Endpoint.CHAT: ChatCompletion,
    Endpoint.COMPLETIONS: Completion,
    Endpoint.EMBEDDINGS: CreateEmbeddingResponse,
    Endpoint.IMAGES: ImagesResponse,
}
# The rows whose streams are no event streams; the errors in them are in their own tests.
OTHER_STREAMS = frozenset({"bedrock", "ollama"})
rows = pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.id)
# Pictures may have a vendor's own default.
NEEDS_A_MODEL = {Endpoint.CHAT, Endpoint.EMBEDDINGS}
TALKERS = [row for row in PROVIDERS.values() if Endpoint.CHAT in row.supports]
talkers = pytest.mark.parametrize("row", TALKERS, ids=lambda row: row.id)


def pairs(key):
    return pytest.mark.parametrize("pair", having(key), ids=str)


def translate(pair, pieces):
    """A stream through the pair's translator."""
    translator = pair.target.provider.dialect.stream(pair.call, pair.target)
    return b"".join(translator.feed(piece) for piece in pieces), translator


def in_openai_words(reply, pair):
    """What a target that is not strict gives on purpose is the vendor's own word for the end."""
    if not pair.target.strict:
        for choice in reply["choices"]:
            choice["finish_reason"] = choice["finish_reason"] and "stop"
    return reply


# --- the captured pairs ---


@rows
def test_every_row_has_a_captured_pair(row):
    wanted = {"request", "answer"} if row.supports - {Endpoint.PROXY} else {"request"}
    assert any(pair.provider == row.id and wanted <= pair.data.keys() for pair in PAIRS)


def test_every_folder_of_pairs_has_a_row():
    assert {path.name for path in HERE.iterdir() if any(path.glob("*.json"))} <= PROVIDERS.keys()


@pairs("request")
def test_it_sends_what_was_captured(pair):
    request = pair.dialect.request(pair.call, pair.target)
    expected = pair.data["request"]
    assert (request.method, request.url) == ("POST", expected["url"])
    assert request.headers == expected["headers"]
    assert orjson.loads(request.body) == expected.get("body", pair.data["call"])


@pairs("answer")
def test_it_answers_as_captured(pair):
    call, target = pair.call, pair.target
    answer = target.provider.dialect.reply(call, target, orjson.dumps(pair.data["answer"]))
    reply = orjson.loads(answer.body)
    assert reply == pair.data.get("reply", pair.data["answer"])
    assert answer.usage == pair.usage
    assert answer.model == pair.data["model"]
    SHAPES[call.endpoint].model_validate(in_openai_words(reply, pair))


@pairs("stream")
def test_it_streams_as_captured(pair):
    out, translator = translate(pair, [pair.stream])
    assert out.decode() == pair.file("out.sse").decode()
    assert (translator.done, translator.model, translator.deltas) == (True, pair.data["model"], pair.data["stream"]["deltas"])
    assert translator.usage == pair.usage


@pairs("stream")
def test_a_stream_has_the_shape_of_openai(pair):
    shape = Completion if pair.call.endpoint == Endpoint.COMPLETIONS else ChatCompletionChunk
    *events, last = [event.data for event in sse.Decoder().feed(pair.file("out.sse"))]
    assert last == b"[DONE]"
    for event in events:
        shape.model_validate(in_openai_words(orjson.loads(event), pair))


@pairs("stream")
def test_a_stream_is_the_same_for_every_cut(pair):
    stream = pair.stream
    whole, expected = translate(pair, [stream])
    for place in range(len(stream)):
        out, translator = translate(pair, [stream[:place], stream[place:]])
        assert (out, translator.usage, translator.deltas) == (whole, expected.usage, expected.deltas), place
    out, translator = translate(pair, [bytes([byte]) for byte in stream])
    assert (out, translator.usage, translator.deltas, translator.done) == (whole, expected.usage, expected.deltas, True)


@pairs("stream")
def test_a_stream_gives_only_whole_events_and_ends_once(pair):
    translator = pair.target.provider.dialect.stream(pair.call, pair.target)
    for byte in pair.stream:
        out = translator.feed(bytes([byte]))
        assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))
    assert translator.done
    assert translator.feed(b"data: {}\n\n") == b""


@pairs("stream")
def test_a_cut_stream_is_not_done(pair):
    stream = pair.stream
    _, translator = translate(pair, [stream[: len(stream) // 2]])
    assert not translator.done


@pairs("failure")
def test_it_fails_as_captured(pair):
    failure = pair.data["failure"]
    error = pair.target.provider.dialect.error(pair.target, failure["status"], orjson.dumps(failure["body"]))
    assert error.status == failure["status"]
    assert error.body() == pair.data["error"]


# --- the anthropic pairs are what that vendor's own client takes for its requests, answers and events ---


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.provider == "anthropic"], ids=str)
def test_the_pairs_of_anthropic_are_in_its_own_shape(pair):
    if "request" in pair.data:
        params = anthropic.types.message_create_params
        shape = params.MessageCreateParamsStreaming if pair.call.stream else params.MessageCreateParamsNonStreaming
        TypeAdapter(shape).validate_python(pair.data["request"]["body"])
    if "answer" in pair.data:
        anthropic.types.Message.model_validate(pair.data["answer"])
    if "stream" in pair.data:
        for event in sse.Decoder().feed(pair.stream):
            if event.name != "ping":
                TypeAdapter(anthropic.types.RawMessageStreamEvent).validate_json(event.data)


# --- rules for all rows ---


@rows
def test_it_puts_one_slash_behind_the_base(row):
    target = make_target(row.id, base_url="https://example.org/v9/")
    request = row.dialect.request(sample_call(row), target)
    assert request.url.startswith("https://example.org/v9/")
    assert "//" not in request.url.removeprefix("https://")


@pytest.mark.parametrize("row", [row for row in PROVIDERS.values() if NEEDS_A_MODEL & row.supports], ids=lambda row: row.id)
@pytest.mark.parametrize("model", ["", None, "portkey-default", 7])
def test_it_refuses_a_call_without_a_model(row, model):
    with pytest.raises(InvalidRequest) as caught:
        row.dialect.request(sample_call(row, {"model": model}), make_target(row.id))
    assert caught.value.param == "model"


@talkers
def test_an_override_wins_and_can_give_the_model(row):
    target = make_target(row.id, override_params={"model": "right", "temperature": 0.5})
    call = sample_call(row, {"model": "portkey-default", "temperature": 1})
    request = row.dialect.request(call, target)
    body = orjson.loads(request.body)
    # Some vendors have the model in the address, and the parameters below a name.
    settings = body | body.get("generationConfig", {}) | body.get("inferenceConfig", {}) | body.get("options", {})
    assert body.get("model") == "right" or re.search(r"\bright\b", request.url)
    assert settings["temperature"] == 0.5
    assert call.body["model"] == "portkey-default"


@rows
def test_it_passes_no_client_header_but_those_asked_for(row):
    headers = {"x-tenant": "t", "authorization": "Bearer caller", "cookie": "c", "host": "h", "x-portkey-api-key": "gateway"}
    call = sample_call(row, headers=headers)
    sent = row.dialect.request(call, make_target(row.id)).headers
    assert not {"x-tenant", "cookie", "host"} & sent.keys()
    assert "Bearer caller" not in sent.values()
    names = ("X-Tenant", "Authorization", "Host", "X-Portkey-Api-Key", "absent")
    sent = row.dialect.request(call, make_target(row.id, forward_headers=names)).headers
    assert (sent["x-tenant"], sent["authorization"]) == ("t", "Bearer caller")
    assert not {"host", "x-portkey-api-key", "absent"} & sent.keys()


@rows
def test_it_sends_the_key_only_as_the_row_says(row):
    call = sample_call(row)
    assert any(KEY in value for value in row.dialect.request(call, make_target(row.id)).headers.values()) is (
        row.auth is not no_auth
    )
    without = row.dialect.request(call, make_target(row.id, api_key=None)).headers
    assert not {"authorization", "x-api-key", "api-key"} & without.keys()


@rows
def test_it_refuses_an_option_that_would_write_headers(row):
    for option in (option.name for option in row.options if option.sent_as):
        with pytest.raises(InvalidRequest):
            row.dialect.request(sample_call(row), make_target(row.id, options={option: "a\r\nx-evil: 1"}))


@rows
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"<html>Bad Gateway</html>",
        b'{"choices": [',
        b"[]",
        b"null",
        b"{}",
        b'{"error": {"message": "no"}}',
        b"\xff",
    ],
)
def test_a_success_that_is_none_is_invalid(row, body):
    with pytest.raises(UpstreamInvalid) as caught:
        row.dialect.reply(sample_call(row), make_target(row.id), body)
    assert caught.value.status == 502


@talkers
@pytest.mark.parametrize(
    "body", [b"<html>\n\n</html>\n\n", b'{"error": {"message": "no"}}', b"\xff\xfe", b"data: nonsense\n\n", b"data: []\n\n"]
)
@pytest.mark.parametrize("bytewise", [True, False])
def test_a_stream_that_is_none_is_invalid(row, body, bytewise):
    translator = row.dialect.stream(make_call({"model": "m", "stream": True}), make_target(row.id))
    pieces = [bytes([byte]) for byte in body] if bytewise else [body]
    with pytest.raises(UpstreamInvalid):
        b"".join(map(translator.feed, pieces))


@pytest.mark.parametrize("row", [row for row in TALKERS if row.id not in OTHER_STREAMS], ids=lambda row: row.id)
@pytest.mark.parametrize("cut", [None, 1])
def test_an_error_inside_a_stream_is_raised(row, cut):
    event = (
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Busy '
        + KEY.encode()
        + b'"}}\n\n'
    )
    translator = row.dialect.stream(make_call({"model": "m", "stream": True}), make_target(row.id))
    with pytest.raises(ProviderError) as caught:
        b"".join(map(translator.feed, [event] if cut is None else [event[:cut], event[cut:]]))
    assert (caught.value.status, caught.value.error_type) == (529, "overloaded_error")
    assert caught.value.message == f"{row.id} error: Busy [redacted]"
    assert not translator.done


@rows
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "Key %s is wrong", "type": "%s", "param": "%s", "code": "%s"}}',
        b'{"error": "%s"}',
        b'{"detail": [{"loc": ["%s"], "msg": "%s"}]}',
        b'{"strange": "%s"}',
        b"<html>%s</html>",
        b"%s",
    ],
)
def test_the_key_is_never_in_an_error(row, body):
    error = row.dialect.error(make_target(row.id), 401, body.replace(b"%s", KEY.encode()))
    assert KEY not in orjson.dumps(error.body()).decode()
    assert error.status == 401
    assert error.body()["provider"] == row.id
