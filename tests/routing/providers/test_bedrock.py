"""Bedrock's dialect: what AWS's own client makes of it, what is refused, and the odd cases that no captured pair holds."""

import base64
import copy
from urllib.parse import unquote

import botocore.eventstream
import botocore.session
import orjson
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.call import Endpoint, Usage
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.bedrock.frames import FrameDecoder
from routing.providers.table import find
from tests.routing.providers import aws
from tests.routing.providers.pairs import PAIRS, make_call, make_target

DIALECT = find("bedrock").dialect
USER = {"role": "user", "content": "Hi"}
CLAUDE, NOVA = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}]
BEDROCK = [pair for pair in PAIRS if pair.provider == "bedrock" and "request" in pair.data]


def request(messages=None, *, model=CLAUDE, endpoint=Endpoint.CHAT, target=None, **body):
    call = make_call({"model": model, "messages": [USER] if messages is None else messages, **body}, endpoint)
    return DIALECT.request(call, make_target("bedrock", **(target or {})))


def sent(messages=None, **body):
    return orjson.loads(request(messages, **body).body)


def blocks(*parts):
    return sent([{"role": "user", "content": list(parts)}])["messages"][0]["content"]


def url(data, kind="image/png"):
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}


# --- AWS's own client ---


@pytest.fixture(scope="module")
def client():
    session = botocore.session.get_session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    return session.create_client(
        "bedrock-runtime", region_name="eu-central-1", config=Config(retries={"total_max_attempts": 1})
    )


class Sent(Exception):
    """Ends the client's work once it knows what it would send."""


def with_bytes(value):
    """The blobs of a request as the client takes them."""
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if isinstance(value, dict):
        return {key: base64.b64decode(item) if key == "bytes" else with_bytes(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("pair", [pair for pair in BEDROCK if pair.call.endpoint == Endpoint.CHAT], ids=str)
def test_awss_own_client_sends_the_same(client, pair):
    """It checks each parameter against the service's model, and writes the same body to the same path."""
    kept = []

    def look(request, **_):
        kept.append(request)
        raise Sent

    ours = pair.target.provider.dialect.request(pair.call, pair.target)
    operation = client.converse_stream if pair.call.stream else client.converse
    client.meta.events.register_first("before-send", look)
    try:
        with pytest.raises(Sent):
            operation(modelId=pair.call.model, **with_bytes(orjson.loads(ours.body)))
    finally:
        client.meta.events.unregister("before-send", look)
    [theirs] = kept
    assert unquote(theirs.url.partition(".com")[2]) == unquote(ours.url.partition(".com")[2])
    assert orjson.loads(theirs.body) == orjson.loads(ours.body)


# --- the binary stream ---

STREAMS = [pair for pair in BEDROCK if "stream" in pair.data]


@pytest.mark.parametrize("pair", STREAMS, ids=str)
def test_awss_own_decoder_reads_the_same(pair):
    theirs = botocore.eventstream.EventStreamBuffer()
    theirs.add_data(pair.stream)
    ours = list(FrameDecoder().feed(pair.stream))
    assert [(m.headers, m.payload) for m in ours] == [(m.headers, m.payload) for m in theirs]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 200), min_size=1))
def test_messages_are_the_same_for_every_cut(lengths):
    stream, expected = STREAMS[0].stream, list(FrameDecoder().feed(STREAMS[0].stream))
    decoder, found, at = FrameDecoder(), [], 0
    while at < len(stream):
        length = lengths[at % len(lengths)]
        found += decoder.feed(stream[at : at + length])
        at += length
    assert found == expected


def test_headers_of_every_type_are_read_over():
    """One of each type: only texts are of use."""
    head = (
        b"\x01a\x00"
        + b"\x01b\x01"
        + b"\x01c\x02\x07"
        + b"\x01d\x03\x00\x07"
        + b"\x01e\x04"
        + bytes(4)
        + b"\x01f\x05"
        + bytes(8)
    )
    head += b"\x01g\x06\x00\x02xy" + b"\x01h\x08" + bytes(8) + b"\x01i\x09" + bytes(16) + b"\x01j\x07\x00\x02hi"
    [found] = FrameDecoder().feed(aws.framed(head, b"{}"))
    assert found == ({"j": "hi"}, b"{}")


GOOD = aws.event("messageStart", {"role": "assistant"})


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b'{"message":"no"}',
        b"data: {}\n\n",
        b"\xff\xff\xff\xff",
        GOOD[:20] + bytes((GOOD[20] ^ 1,)) + GOOD[21:],
        GOOD[:3] + bytes((GOOD[3] ^ 1,)) + GOOD[4:],
        GOOD[:-1] + bytes((GOOD[-1] ^ 1,)),
        aws.framed(b"\x01a", b"{}"),
        aws.framed(b"\x01a\x2a", b"{}"),
        aws.framed(b"\x01a\x07\xff\xffx", b"{}"),
        aws.framed(b"\x01\xff\x07\x00\x01x", b"{}"),
        aws.message({":event-type": "messageStart", ":message-type": "event"}, b"no json"),
        aws.message({":event-type": "messageStart", ":message-type": "event"}, b"[]"),
    ],
)
@pytest.mark.parametrize("bytewise", [True, False])
def test_bytes_that_are_no_such_stream_are_invalid(data, bytewise):
    translator = DIALECT.stream(make_call({"model": CLAUDE, "stream": True}), make_target("bedrock"))
    with pytest.raises(UpstreamInvalid) as caught:
        b"".join(map(translator.feed, [bytes((byte,)) for byte in data] if bytewise else [data]))
    assert caught.value.provider == "bedrock"
    assert not translator.done


def test_a_length_that_no_message_has_is_refused_at_once():
    with pytest.raises(UpstreamInvalid, match="impossible length"):
        list(FrameDecoder().feed(aws.framed(b"", b"", length=25 * 1024 * 1024)[:12]))


# --- errors ---


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttlingException", 429),
        ("internalServerException", 500),
        ("modelStreamErrorException", 424),
        ("validationException", 400),
        ("serviceUnavailableException", 503),
        ("modelTimeoutException", 408),
        ("brandNewException", 502),
    ],
)
def test_an_exception_inside_a_stream_is_raised_with_its_status(kind, status):
    translator = DIALECT.stream(make_call({"model": CLAUDE, "stream": True}), make_target("bedrock"))
    translator.feed(GOOD)
    with pytest.raises(ProviderError, match="bedrock error: Slow down") as caught:
        translator.feed(aws.exception(kind, "Slow down"))
    assert (caught.value.status, caught.value.error_type) == (status, kind)
    assert not translator.done


def test_an_error_message_of_the_stream_itself_is_raised():
    translator = DIALECT.stream(make_call({"model": CLAUDE, "stream": True}), make_target("bedrock"))
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "It broke"}
    with pytest.raises(ProviderError, match="bedrock error: It broke"):
        translator.feed(aws.message(headers, b""))


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        ({"message": "No"}, "No", None),
        ({"Message": "Not authorized"}, "Not authorized", None),
        ({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "No"}, "No", "AccessDeniedException"),
        ({"message": "It is wrong. The Canonical String for this request should have been 'x-amz-security-token:t'"},
         "It is wrong.", None),
    ],
)  # fmt: skip
def test_errors(body, message, kind):
    error = DIALECT.error(make_target("bedrock"), 403, orjson.dumps(body))
    assert (error.status, error.message, error.error_type) == (403, f"bedrock error: {message}", kind)


def test_no_option_that_is_a_credential_is_in_an_error():
    options = {"aws_secret_access_key": "abc/def", "aws_session_token": "tok+en", "aws_region": "us-east-1"}
    target = make_target("bedrock", options=options)
    error = DIALECT.error(target, 403, b'{"message": "abc/def and tok+en are wrong"}')
    assert error.message == "bedrock error: [redacted] and [redacted] are wrong"


# --- refused by name ---


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"temperature": 1.5}, "temperature"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"tools": TOOLS, "parallel_tool_calls": False, "model": NOVA}, "parallel_tool_calls"),
    ],
)
def test_what_converse_cannot_say_is_refused_or_left_out_and_named(body, param):
    with pytest.raises(Unsupported) as caught:
        request(**body)
    assert caught.value.param == param
    assert "AWS Bedrock" in caught.value.message
    without = request(**body, target={"drop_unsupported": True})
    assert without.dropped == (param,)
    kept = {key: value for key, value in body.items() if key in ("tools", "model")}
    assert orjson.loads(without.body) == sent(**kept)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "critic", "content": "x"}, "role"),
        ({"role": "user", "content": 7}, "content"),
        ({"role": "user", "content": ["x"]}, "content[0]"),
        ({"role": "user", "content": [{"type": "hologram"}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]},
         "content[0].image_url.url"),
        ({"role": "user", "content": [url("no base64!")]}, "content[0].image_url.url"),
        ({"role": "user", "content": [url("AAAA", "image/tiff")]}, "content[0].image_url.url"),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}, "content[0].file.file_id"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "content[0].file"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "content[0].text"),
        ({"role": "system", "content": [url("AAAA")]}, "content"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, "function_call"),
        ({"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]},
         "tool_calls[0].function.arguments"),
        ({"role": "assistant", "content": None, "tool_calls": [{"type": "custom"}]}, "tool_calls[0]"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("drop", [True, False])
def test_a_message_that_cannot_be_said_is_refused_with_its_path(message, param, drop):
    """Leaving out a part of the question would change it, so that is never done."""
    with pytest.raises(InvalidRequest) as caught:
        request([USER, message], target={"drop_unsupported": drop})
    assert caught.value.param == f"messages[1].{param}"


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ("x", None, "tools"),
        (["x"], None, "tools[0]"),
        ([{"type": "custom", "custom": {"name": "c"}}], None, "tools[0].type"),
        ([{"type": "function", "function": {}}], None, "tools[0].function.name"),
        (TOOLS, "sometimes", "tool_choice"),
        (TOOLS, {"type": "allowed_tools"}, "tool_choice"),
    ],
)
def test_tools_that_cannot_be_said_are_refused(tools, choice, param):
    with pytest.raises(InvalidRequest) as caught:
        request(tools=tools, tool_choice=choice)
    assert caught.value.param == param


# --- how things are said ---


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 5}, {"inferenceConfig": {"maxTokens": 5}}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"inferenceConfig": {"maxTokens": 6}}),
        ({"stop": ["a", "b"]}, {"inferenceConfig": {"stopSequences": ["a", "b"]}}),
        ({"stop": None, "n": 1, "seed": 3, "store": True, "logprobs": False, "presence_penalty": 0, "user": None}, {}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
        ({"reasoning_effort": "minimal"}, {"outputConfig": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"additionalModelRequestFields": {"thinking": {"type": "disabled"}}}),
        ({"reasoning_effort": "high", "model": "openai.gpt-oss-120b-1:0"},
         {"additionalModelRequestFields": {"reasoning_effort": "high"}}),
        ({"top_k": 5, "model": "us.amazon.nova-lite-v1:0"}, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5}}}),
        ({"top_k": 5, "model": "cohere.command-r-v1:0"}, {"additionalModelRequestFields": {"k": 5}}),
        ({"frequency_penalty": 0.5, "n": 2, "model": "ai21.jamba-1-5-large-v1:0"},
         {"additionalModelRequestFields": {"frequency_penalty": 0.5, "n": 2}}),
        ({"user": "u", "model": NOVA}, {}),
        ({"anthropic_beta": "a, b"}, {"additionalModelRequestFields": {"anthropic_beta": ["a", "b"]}}),
        ({"additionalModelRequestFields": {"x": 1}, "y": 2}, {"additionalModelRequestFields": {"x": 1, "y": 2}}),
        ({"performanceConfig": {"latency": "optimized"}}, {"performanceConfig": {"latency": "optimized"}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
         {"outputConfig": {"textFormat": {"type": "json_schema", "structure":
             {"jsonSchema": {"name": "a", "schema": '{"type":"object"}'}}}}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"tools": [], "tool_choice": "auto"}, {}),
        ({"tools": TOOLS, "tool_choice": "none"}, {}),
    ],
)  # fmt: skip
def test_parameters(body, expected):
    assert sent(**body) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], **expected}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
        ({"tool": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_choices(choice, expected):
    assert sent(tools=TOOLS, tool_choice=choice)["toolConfig"]["toolChoice"] == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_one_call_at_a_time_is_said_in_anthropics_words(choice, expected):
    body = sent(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert "toolChoice" not in body["toolConfig"]
    assert body["additionalModelRequestFields"] == {"tool_choice": {**expected, "disable_parallel_tool_use": True}}


def test_calls_cannot_be_forbidden_in_the_midst_of_some():
    history = [USER, {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}]
    with pytest.raises(Unsupported) as caught:
        request(history, tools=TOOLS, tool_choice="none")
    assert caught.value.param == "tool_choice"


def test_json_mode_is_a_sentence_of_the_system():
    body = sent([{"role": "system", "content": "S"}, USER], response_format={"type": "json_object"})
    assert body["system"][0] == {"text": "S"}
    assert "JSON" in body["system"][1]["text"]


def test_options_of_anthropics_models_are_fields_for_those_alone():
    target = {"options": {"aws_region": "us-east-1", "anthropic_beta": "a,b"}}
    assert sent(target=target)["additionalModelRequestFields"] == {"anthropic_beta": ["a", "b"]}
    assert "additionalModelRequestFields" not in sent(target=target, model=NOVA)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (url("AAAA", "image/jpg"), {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}}),
        (url("AAAA", "video/mp4"), {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}),
        ({"type": "image_url", "image_url": "s3://bucket/a.webp"},
         {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}}),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
         {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}),
        ({"type": "file", "file": {"file_data": "AAAA", "filename": "a_b.csv"}},
         {"document": {"format": "csv", "name": "a b", "source": {"bytes": "AAAA"}}}),
        ({"type": "file", "file": {"file_data": "AAAA"}},
         {"document": {"format": "pdf", "name": "document", "source": {"bytes": "AAAA"}}}),
        ({"guardContent": {"text": {"text": "x"}}}, {"guardContent": {"text": {"text": "x"}}}),
        ({"type": "thinking", "thinking": "t", "signature": "s"},
         {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}}),
        ({"type": "redacted_thinking", "data": "AAAA"}, {"reasoningContent": {"redactedContent": "AAAA"}}),
    ],
)  # fmt: skip
def test_parts(part, block):
    assert blocks(part) == [block]


def test_each_document_has_a_name_of_its_own():
    part = {"type": "file", "file": {"file_data": "AAAA", "filename": "r.pdf"}}
    assert [block["document"]["name"] for block in blocks(part, part, part)] == ["r", "r (2)", "r (3)"]


def test_a_cache_point_stands_behind_what_asks_for_it():
    control = {"cache_control": {"type": "ephemeral"}}
    point = {"cachePoint": {"type": "default"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "a", **control}, {"type": "text", "text": "b"}]}]
    messages += [{"role": "assistant", "content": "c", **control}]
    turns = sent(messages)["messages"]
    assert turns[0]["content"] == [{"text": "a"}, point, {"text": "b"}]
    assert turns[1]["content"] == [{"text": "c"}, point]


def test_an_empty_text_gives_no_block():
    turns = sent([USER, {"role": "user", "content": ""}, {"role": "assistant", "content": ""}])["messages"]
    assert turns == [{"role": "user", "content": [{"text": "Hi"}]}, {"role": "assistant", "content": []}]


def test_what_a_lenient_answer_gave_can_be_sent_back():
    message = {
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "AAAA"}},
            {"text": "a"},
            {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"x": 1}}},
        ]
    }
    body = orjson.dumps({"output": {"message": message}, "stopReason": "tool_use"})
    answer = DIALECT.reply(make_call({"model": CLAUDE}), make_target("bedrock", strict=False), body)
    said = orjson.loads(answer.body)["choices"][0]["message"]
    expected = copy.deepcopy(message["content"])
    assert sent([USER, said])["messages"][1]["content"] == expected


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("brand_new", "stop"),
        (None, "stop"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_reasons_to_finish(reason, finish, strict):
    body = orjson.dumps({"output": {"message": {"content": []}}, "stopReason": reason})
    answer = DIALECT.reply(make_call({"model": CLAUDE}), make_target("bedrock", strict=strict), body)
    shown = orjson.loads(answer.body)["choices"][0]["finish_reason"]
    assert shown == (finish if strict or reason is None else reason)
    assert answer.usage is None


def test_usage_of_a_stream_equals_the_unstreamed():
    usage = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 2, "cacheWriteInputTokens": 1}
    body = orjson.dumps({"output": {"message": {"content": []}}, "usage": usage})
    whole = DIALECT.reply(make_call({"model": CLAUDE}), make_target("bedrock"), body).usage
    translator = DIALECT.stream(make_call({"model": CLAUDE, "stream": True}), make_target("bedrock"))
    translator.feed(aws.events(("messageStart", {"role": "assistant"}), ("metadata", {"usage": usage})))
    assert translator.usage == whole == Usage(3, 2, 1, 0, 5)


def test_a_tool_on_the_vendors_side_is_no_call_of_the_callers():
    translator = DIALECT.stream(make_call({"model": NOVA, "stream": True}), make_target("bedrock"))
    start = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "s", "name": "search", "type": "server_tool_use"}}}
    out = translator.feed(
        aws.events(
            ("contentBlockStart", start),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
            ("brandNew", {}),
        )
    )
    assert out == b""


# --- embeddings ---


def embed(model, given, target=None, **body):
    call = make_call({"model": model, "input": given, **body}, Endpoint.EMBEDDINGS)
    return orjson.loads(DIALECT.request(call, make_target("bedrock", **(target or {}))).body)


@pytest.mark.parametrize(
    ("model", "given", "body", "expected"),
    [
        ("amazon.titan-embed-text-v1", "a", {}, {"inputText": "a"}),
        ("amazon.titan-embed-text-v2:0", ["a"], {"dimensions": 256, "encoding_format": "base64"},
         {"inputText": "a", "dimensions": 256}),
        ("amazon.titan-embed-image-v1", [{"text": "a", "image": "data:image/png;base64,AAAA"}], {"dimensions": 384},
         {"inputText": "a", "inputImage": "AAAA", "embeddingConfig": {"outputEmbeddingLength": 384}}),
        ("amazon.titan-embed-image-v1", "a", {}, {"inputText": "a"}),
        ("cohere.embed-english-v3", ["a", "b"], {"truncate": "END"},
         {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"], "truncate": "END"}),
        ("us.cohere.embed-v4:0", "a", {"input_type": "search_query", "dimensions": 512},
         {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 512}),
        ("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-english-v3", [{"image": "data:image/png;base64,AA"}], {},
         {"images": ["data:image/png;base64,AA"], "input_type": "search_document", "embedding_types": ["float"]}),
    ],
)  # fmt: skip
def test_embeddings_are_asked_in_each_makers_words(model, given, body, expected):
    assert embed(model, given, **body) == expected


@pytest.mark.parametrize(
    ("model", "given", "body", "param"),
    [
        ("amazon.titan-embed-text-v2:0", ["a", "b"], {}, "input"),
        ("amazon.titan-embed-text-v2:0", [[1, 2]], {}, "input[0]"),
        ("amazon.titan-embed-text-v2:0", [], {}, "input"),
        ("amazon.titan-embed-text-v1", "a", {"dimensions": 8}, "dimensions"),
        ("amazon.titan-embed-image-v1", [{"image": "https://x.example/a.png"}], {}, "input[0].image"),
        ("amazon.nova-2-multimodal-embeddings-v1:0", "a", {}, "model"),
        ("cohere.embed-english-v3", "a", {"embedding_types": ["float", "int8"]}, "embedding_types"),
        ("cohere.embed-english-v3", "a", {"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_embeddings_that_cannot_be_asked_for_are_refused(model, given, body, param):
    with pytest.raises(InvalidRequest) as caught:
        embed(model, given, **body)
    assert caught.value.param == param


@pytest.mark.parametrize("answer", [{"embeddings": [[0.5, 1]]}, {"embeddings": {"float": [[0.5, 1]]}}])
def test_vectors_come_packed_as_openai_packs_them(answer):
    call = make_call(
        {"model": "cohere.embed-v4:0", "input": "four words of text", "encoding_format": "base64"}, Endpoint.EMBEDDINGS
    )
    found = DIALECT.reply(call, make_target("bedrock"), orjson.dumps(answer))
    shown = orjson.loads(found.body)
    assert base64.b64decode(shown["data"][0]["embedding"]) == b"\x00\x00\x00\x3f\x00\x00\x80\x3f"
    # The vendor counts in a header only: the caller is shown an estimate, and the record makes its own.
    assert found.usage is None
    assert shown["usage"]["prompt_tokens"] == 5


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_tools_that_it_cannot_express_are_left_out_where_the_target_allows_it(body, param):
    with pytest.raises(Unsupported):
        request(**body)
    made = request(target={"drop_unsupported": True}, **body)
    assert made.dropped == (param,)
    assert orjson.loads(made.body) == (sent(tools=TOOLS) if param == "tool_choice" else sent())


@pytest.mark.parametrize("content", ["", None, [], [{"type": "text", "text": ""}]])
def test_a_message_of_the_assistant_that_says_nothing_is_not_sent(content):
    turns = sent([USER, {"role": "assistant", "content": content}, USER])["messages"]
    assert turns == [{"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]}]
