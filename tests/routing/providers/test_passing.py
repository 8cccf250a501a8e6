"""What passes through: headers by what is known good, bytes as they are, usage read on the way."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import orjson
import pytest

from routing.call import Endpoint, Usage
from routing.errors import UpstreamInvalid
from routing.providers import passed_on, raw
from routing.providers.body import Bytes
from routing.providers.openai.events import TypedEvents
from tests.routing.providers.pairs import make_target


@pytest.fixture
def target():
    return make_target("openai")


# --- headers ---


def kept(**headers):
    return passed_on.headers({name.replace("_", "-"): value for name, value in headers.items()}, "fireworks-ai")


def test_headers_about_the_answer_pass():
    assert kept(X_Request_Id="1", x_ratelimit_limit="2", openai_version="3", fireworks_prompt_tokens="4", ETag="5") == {
        "x-request-id": "1",
        "x-ratelimit-limit": "2",
        "openai-version": "3",
        "fireworks-prompt-tokens": "4",
        "etag": "5",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("location", "refresh", "link", "clear-site-data", "set-cookie", "content-security-policy", "alt-svc", "server"),
        *("access-control-allow-origin", "www-authenticate", "x-frame-options", "x-accel-redirect", "x-sendfile"),
        *("x-portkey-trace-id", "x-gatehouse-breaker", "content-encoding", "transfer-encoding", "sourcemap", "nobody-knows"),
    ],
)
def test_headers_that_somebody_obeys_do_not(name):
    assert passed_on.headers({name.title(): "x"}, "openai") == {}


@pytest.mark.parametrize("value", ["é", "a\tb", "a\x7f"])
def test_values_that_are_no_plain_text_do_not(value):
    assert kept(x_name=value) == {}


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", "1e400", "", "1_0"])
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"])
def test_a_wish_to_wait_that_is_no_time_is_not_relayed(name, value):
    assert passed_on.headers({name: value}, "openai") == {}


def test_a_wish_to_wait_is_relayed_as_a_number():
    assert kept(retry_after="7.5", retry_after_ms="0") == {"retry-after": "7.5", "retry-after-ms": "0"}
    seconds = int(kept(retry_after=formatdate(time() + 30, usegmt=True))["retry-after"])
    assert 28 <= seconds <= 31


# --- bytes ---


@pytest.mark.parametrize(
    "begins", [b"<!DOCTYPE html><html>", b"  <HTML>", b'{"error": {"message": "no"}}', b'{ "message":"no"}']
)
def test_a_page_or_an_error_is_no_audio(target, begins):
    translator = Bytes(target, typed=True, needed=True)
    translator.begin({"content-type": "audio/mpeg"})
    with pytest.raises(UpstreamInvalid):
        translator.feed(begins)


def test_a_body_describes_itself(target):
    translator = Bytes(target, typed=True, needed=False)
    assert translator.begin({"content-type": "audio/wav", "content-length": "4"}) == {
        "content-type": "audio/wav",
        "content-length": "4",
    }
    assert translator.begin({"content-length": "4", "content-encoding": "gzip"}) == {"content-type": "application/octet-stream"}


def watched(target, kind, *pieces):
    translator = raw.DIALECT.stream(None, target)
    translator.begin({"content-type": kind})
    assert b"".join(map(translator.feed, pieces)) == b"".join(pieces)
    return translator


def test_the_usage_of_an_answer_in_pieces_is_read(target):
    body = orjson.dumps({"model": "m", "note": "}", "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    for cut in range(len(body)):
        seen = watched(target, "application/json; charset=utf-8", body[:cut], body[cut:])
        assert (seen.model, seen.usage) == ("m", Usage(input_tokens=3, output_tokens=2))


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3},
            Usage(input_tokens=5, cache_read_tokens=4, output_tokens=3),
        ),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1, "output_tokens": 3},
            Usage(input_tokens=9, cache_read_tokens=4, cache_write_tokens=1, output_tokens=3),
        ),
        ({"type": "duration", "seconds": 9}, Usage()),
        ("none", Usage()),
    ],
)
def test_usage_is_read_in_all_its_spellings(target, usage, read):
    assert watched(target, "application/json", orjson.dumps({"usage": usage})).usage == read


def test_the_usage_of_events_is_read_and_what_cannot_be_read_passes(target):
    events = [
        b'data: {"usage": broken\n\n',
        b'data: {"type": "x", "response": {"model": "m", "usage": {"input_tokens": 7}}}\n\n',
    ]
    seen = watched(target, "text/event-stream", *events, b"data: [DONE]")
    assert (seen.model, seen.usage) == ("m", Usage(input_tokens=7))


@pytest.mark.parametrize("body", [b"[" * 5000, b'"text"', b"{", b'{"usage": []}', b'{"usage": null, "model": 5}'])
def test_odd_json_passes_unread(target, body):
    assert watched(target, "application/json", body).usage == Usage()


# --- events with types ---


def event(kind, **fields):
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


RESPONSE = (
    event("response.created", response={"model": "gpt-x", "usage": None})
    + event("response.output_text.delta", delta='{"type":"error"} "usage"')
    + event("response.completed", response={"model": "gpt-x", "usage": {"input_tokens": 5, "output_tokens": 2}})
)


def test_a_stream_of_a_response_is_the_same_for_every_cut(target):
    for cut in range(len(RESPONSE)):
        translator = TypedEvents(target)
        assert translator.feed(RESPONSE[:cut]) + translator.feed(RESPONSE[cut:]) == RESPONSE
        assert (translator.done, translator.model, translator.deltas) == (True, "gpt-x", 1)
        assert translator.usage == Usage(input_tokens=5, output_tokens=2)


def test_a_stream_of_two_images_ends_with_the_second(target):
    translator = TypedEvents(target, parts=2)
    done = event("image_generation.completed", b64_json="")
    assert (translator.feed(done), translator.done) == (done, False)
    assert (translator.feed(done), translator.done) == (done, True)


def test_an_error_event_is_raised(target):
    with pytest.raises(Exception, match="overloaded"):
        TypedEvents(target).feed(event("error", code="server_error", message="overloaded"))


def test_the_mock_takes_no_other_routes():
    assert Endpoint.PROXY not in make_target("mock").provider.supports
