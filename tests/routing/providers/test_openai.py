"""OpenAI's dialect: bytes that pass through, and the little that does not."""

import itertools
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.call import Endpoint, Usage
from routing.errors import InvalidRequest, ProviderError, UpstreamInvalid
from routing.providers.openai import OpenAIDialect
from routing.providers.openai.stream import PassThrough
from routing.providers.openai.usage import read_usage, usage_classes
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

ROW = find("openai")
MESSAGES = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "Hi"}]


def sent(body, dialect=None, endpoint=Endpoint.CHAT, **settings):
    call = make_call(body, endpoint)
    return call, (dialect or ROW.dialect).request(call, make_target("openai", **settings))


def event(**fields):
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def chunk(content="x", **fields):
    return event(model="m-1", choices=[{"index": 0, "delta": {"content": content}}], **fields)


# --- requests ---


@pytest.mark.parametrize(
    "extra",
    [{}, {"stream": False}, {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True, "stream_options": 7}],
)
def test_the_callers_bytes_go_out_where_nothing_changes(extra):
    call, request = sent({"model": "m", "messages": MESSAGES, **extra})
    assert request.body is call.raw


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False, "other": 1}])
def test_it_asks_for_the_usage_of_a_stream(options):
    body = {"model": "m", "messages": MESSAGES, "stream": True} | ({} if options is None else {"stream_options": options})
    call, request = sent(body)
    assert orjson.loads(request.body)["stream_options"] == {**(options or {}), "include_usage": True}
    assert call.body.get("stream_options") == options


def test_it_does_not_ask_a_vendor_that_knows_no_such_option():
    call = make_call({"model": "m", "messages": MESSAGES, "stream": True})
    target = replace(make_target("openai"), provider=replace(ROW, stream_usage=False))
    assert ROW.dialect.request(call, target).body is call.raw


def test_it_needs_an_address():
    with pytest.raises(InvalidRequest) as caught:
        sent({"model": "m", "messages": MESSAGES}, base_url="")
    assert caught.value.param == "custom_host"


def test_the_settings_of_the_dialect():
    dialect = OpenAIDialect(
        paths={Endpoint.CHAT: "v1/chat"},
        renames={"max_completion_tokens": "max_tokens"},
        developer_role=False,
        trace_header="x-trace",
    )
    call, request = sent({"model": "m", "messages": MESSAGES, "max_completion_tokens": 5}, dialect)
    body = orjson.loads(request.body)
    assert request.url == "https://api.openai.com/v1/v1/chat"
    assert request.headers["x-trace"] == "trace-1"
    assert body == {"model": "m", "messages": [{"role": "system", "content": "Be brief"}, MESSAGES[1]], "max_tokens": 5}
    assert call.body["messages"] == MESSAGES
    _, request = sent({"model": "m", "messages": [], "max_completion_tokens": 5, "max_tokens": 3}, dialect)
    assert orjson.loads(request.body)["max_tokens"] == 3


# --- streams ---


@pytest.mark.parametrize("drop", [True, False])
def test_only_the_chunk_we_asked_for_is_held_back(drop):
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    stream = PassThrough(make_target("openai"), drop_usage=drop)
    filters = event(model="m-1", choices=[], prompt_filter_results=[])
    with_both = chunk(usage=usage)
    last = event(model="m-1", choices=[], usage=usage)
    out = stream.feed(filters + with_both + last + b"data: [DONE]\n\n")
    assert out == filters + with_both + (b"" if drop else last) + b"data: [DONE]\n\n"
    assert (stream.usage, stream.model, stream.deltas) == (Usage(input_tokens=1, output_tokens=2), "m-1", 1)


def test_it_ends_with_a_last_line_that_has_no_blank_line_behind_it():
    stream = PassThrough(make_target("openai"), drop_usage=True)
    assert stream.feed(chunk() + b"data: [DONE]") == chunk() + b"data: [DONE]\n\n"
    assert stream.done
    assert stream.feed(b"\n\n") == b""


def test_nothing_follows_the_end():
    stream = PassThrough(make_target("openai"), drop_usage=True)
    assert stream.feed(chunk() + b"data: [DONE]\n\n" + chunk()) == chunk() + b"data: [DONE]\n\n"
    assert stream.feed(chunk()) == b""


def test_odd_choices_are_passed_on():
    stream = PassThrough(make_target("openai"), drop_usage=True)
    odd = event(choices=["x"]) + event(choices={"a": 1}, error={})
    assert stream.feed(odd) == odd


def test_the_words_of_a_model_are_not_taken_for_marks():
    content = '"error" "usage": { data: [DONE] event: error \n\n'
    stream = PassThrough(make_target("openai"), drop_usage=True)
    out = stream.feed(chunk("a")) + stream.feed(chunk(content, error=None, usage=None))
    assert out == chunk("a") + chunk(content, error=None, usage=None)
    assert not stream.done


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"error": {"message": "Busy", "code": 503}}, 503),
        ({"error": {"message": "Busy", "type": "rate_limit_error"}}, 429),
        ({"error": {"message": "Busy", "code": "rate_limit_exceeded"}}, 429),
        ({"error": "Busy"}, 502),
        ({"choices": [], "error": {"message": "Busy", "code": 7}}, 502),
    ],
)
def test_an_error_inside_a_stream_has_the_status_it_names(data, status):
    stream = PassThrough(make_target("openai"), drop_usage=True)
    stream.feed(chunk())
    with pytest.raises(ProviderError, match="openai error: Busy") as caught:
        stream.feed(event(**data))
    assert caught.value.status == status


@pytest.mark.parametrize("data", [b"event: error\ndata: plain words\n\n", b'event: error\ndata: "plain words"\n\n'])
def test_an_error_event_may_hold_plain_words(data):
    with pytest.raises(ProviderError, match="plain words"):
        PassThrough(make_target("openai"), drop_usage=True).feed(chunk() + data)


def test_a_line_that_is_no_field_is_no_stream():
    with pytest.raises(UpstreamInvalid):
        PassThrough(make_target("openai"), drop_usage=True).feed(b"error: something went wrong\n\n")


def test_comments_and_empty_fields_may_come_first():
    stream = PassThrough(make_target("openai"), drop_usage=True)
    head = b"\xef\xbb\xbf: wait\n\nretry: 3\n\n"
    assert stream.feed(head + chunk()) == head + chunk()


choices = st.one_of(
    st.builds(lambda text: [{"index": 0, "delta": {"content": text}, "finish_reason": None}], st.text(max_size=6)),
    st.just([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    st.just([{"index": 0, "text": "t"}]),
    st.just([]),
)
usages = st.one_of(
    st.none(), st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)})
)
events = st.one_of(
    st.builds(lambda choices, usage: event(model="m", choices=choices, usage=usage), choices, usages),
    st.sampled_from([b": ping\n\n", b"id: 1\ndata: {}\n\n", b"event: x\ndata: {}\n\n"]),
)


@given(st.lists(events, max_size=8), st.booleans(), st.booleans(), st.booleans(), st.lists(st.integers(0, 9999), max_size=12))
def test_a_stream_is_the_same_for_every_cut(events, crlf, ends, drop, places):
    data = b"".join(events) + (b"data: [DONE]\n\nrest" if ends else b"")
    if crlf:
        data = data.replace(b"\n", b"\r\n")
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    whole, pieces = (PassThrough(make_target("openai"), drop_usage=drop) for _ in range(2))
    expected = whole.feed(data)
    out = b"".join(pieces.feed(data[start:end]) for start, end in itertools.pairwise(bounds))
    assert out == expected
    assert (
        (pieces.usage, pieces.model, pieces.done) == (whole.usage, whole.model, whole.done) == (whole.usage, whole.model, ends)
    )


# --- usage ---


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "total_tokens": 5}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 2}, Usage(input_tokens=3, cache_read_tokens=2)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
            Usage(input_tokens=2, cache_read_tokens=4, cache_write_tokens=3),
        ),
        # Details that exceed their total never make a class negative.
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9, "audio_tokens": 9}, "completion_tokens": -1},
            Usage(cache_read_tokens=3),
        ),
        # Reasoning inside the completion, and on top of it.
        (
            {
                "prompt_tokens": 1,
                "completion_tokens": 9,
                "total_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 8},
            },
            Usage(input_tokens=1, output_tokens=1, reasoning_tokens=8),
        ),
        (
            {
                "prompt_tokens": 1,
                "completion_tokens": 9,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 8},
            },
            Usage(input_tokens=1, output_tokens=9, reasoning_tokens=8),
        ),
        ({"prompt_tokens": "7", "completion_tokens": True, "prompt_tokens_details": None}, Usage()),
        ({"total_tokens": 7}, None),
    ],
)
def test_usage_is_taken_apart(usage, expected):
    assert usage_classes(usage) == expected


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"usage": {"prompt_tokens": 5}}, True),
        ({"x_groq": {"usage": {"prompt_tokens": 5}}}, True),
        ({"choices": [{"usage": {"prompt_tokens": 5}}]}, True),
        ({"usage": None, "x_groq": 1, "choices": ["x"]}, False),
        ({"usage": {}}, False),
        ({"usage": 3}, False),
    ],
)
def test_usage_is_found_where_vendors_put_it(data, found):
    assert (read_usage(data) == Usage(input_tokens=5)) is found


@pytest.mark.parametrize("absurd", [10**18, 10**40, 1.5e300, float("inf")])
def test_a_count_that_no_model_reaches_is_none(absurd):
    usage = usage_classes({"prompt_tokens": absurd, "completion_tokens": 3})
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (0, 3)


@pytest.mark.parametrize(
    ("endpoint", "beside"),
    [
        (Endpoint.CHAT, {"choices": []}),
        (Endpoint.CHAT, {"choices": [{"message": {"role": "assistant", "content": ""}}]}),
        (Endpoint.EMBEDDINGS, {"data": []}),
        (Endpoint.IMAGES, {"data": []}),
        (Endpoint.TRANSCRIPTIONS, {"text": ""}),
    ],
)
def test_an_error_is_no_answer_whatever_stands_beside_it(endpoint, beside):
    target = make_target("openai")
    body = orjson.dumps({"error": {"message": "Busy", "code": 503}, **beside})
    with pytest.raises(UpstreamInvalid, match="the answer is an error"):
        ROW.dialect.reply(make_call({"model": "m"}, endpoint), target, body)
    fine = orjson.dumps({"error": None, **beside})
    assert ROW.dialect.reply(make_call({"model": "m"}, endpoint), target, fine).body == fine


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (Endpoint.RESPONSES, {"id": "resp_1", "output": [], "status": "failed", "error": {"code": "server_error"}}),
        (Endpoint.FINE_TUNING, {"id": "ftjob-1", "status": "failed", "error": {"code": "invalid_training_file"}}),
    ],
)
def test_an_object_may_tell_of_an_error_of_its_own(endpoint, body):
    sent_back = orjson.dumps(body)
    assert ROW.dialect.reply(make_call({"model": "m"}, endpoint), make_target("openai"), sent_back).body == sent_back
