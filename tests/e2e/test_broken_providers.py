"""Providers that refuse, hang, send garbage or cut their streams: what the caller gets, and what the log keeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pytest
from portkey_ai._vendor import openai as bundled

from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace, sse
from tests.fakes import (
    Behaviour,
    Fault,
    Lane,
    Refusing,
    answer,
    cut_in_event,
    end_early,
    error_event,
    garbage_event,
    half_json,
    html_page,
    no_http,
    redirect,
    resets,
    sends,
    status,
    too_short,
)

Client = Callable[..., openai.OpenAI]
STREAM = {**HELLO, "stream": True}


@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (html_page(), "upstream_invalid_response"),
        (sends(b""), "upstream_invalid_response"),
        (half_json(), "upstream_invalid_response"),
        (sends(b"\x00\xff garbage"), "upstream_invalid_response"),
        (sends(b'{"object": "chat.completion"}'), "upstream_invalid_response"),
        (sends(b"[]"), "upstream_invalid_response"),
        (redirect("http://169.254.169.254/"), "upstream_invalid_response"),
        (too_short(), "upstream_stream_broken"),
        (no_http(), "upstream_unreachable"),
        (resets(), "upstream_unreachable"),
    ],
    ids=[
        "an HTML page",
        "an empty body",
        "half of a JSON",
        "garbage",
        "an object of another kind",
        "a list",
        "a redirect",
        "a body shorter than announced",
        "no HTTP",
        "a broken connection",
    ],
)
def test_a_bad_answer_is_a_502(
    product: Product, lane: Lane, virtual_key: str, behaviour: Behaviour, code: str, body: dict[str, Any]
) -> None:
    lane.will(behaviour)
    trace_id = new_trace()

    answered = product.call(body, virtual_key=virtual_key, trace_id=trace_id)

    assert answered.status_code == 502, answered.text
    error = answered.json()["error"]
    # How a body that stops short shows itself depends on what was to come: as an end of the stream or as no stream at all.
    assert error["code"] in ({code, "upstream_invalid_response", "upstream_stream_broken"} if body is STREAM else {code})
    assert error["type"] == "upstream_error"
    assert "Traceback" not in answered.text
    assert STORED_KEY not in answered.text
    record = product.record(trace_id)
    assert (record["status"], record["error_code"]) == (502, error["code"])
    assert [one["status"] for one in record["attempts"]] == [502]
    assert len(lane.received) == 1


def test_a_refused_connection_is_a_502_without_the_port(product: Product) -> None:
    with Refusing() as gone:
        answered = product.call(virtual_key=product.virtual_key(gone))

    assert answered.status_code == 502
    assert answered.json()["error"]["code"] == "upstream_unreachable"


def test_a_host_name_that_does_not_exist_is_a_502(product: Product) -> None:
    answered = product.call(virtual_key=product.virtual_key("https://no-such-host.invalid/v1"))

    assert answered.status_code == 502
    assert "no-such-host.invalid" in answered.json()["error"]["message"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 429, 500, 503, 529])
def test_an_error_status_is_kept(product: Product, lane: Lane, virtual_key: str, code: int) -> None:
    lane.will(status(code, "Not today."))
    trace_id = new_trace()

    answered = product.call(virtual_key=virtual_key, trace_id=trace_id)

    assert answered.status_code == code
    assert answered.json()["error"]["message"] == "openai error: Not today."
    assert answered.json()["provider"] == "openai"
    assert "x-portkey-gateway-exception" not in answered.headers
    record = product.record(trace_id)
    assert (record["status"], record["cost_usd"]) == (code, 0)


def test_an_error_page_is_told_in_words(product: Product, lane: Lane, virtual_key: str) -> None:
    page = b"<html><head><style>b{}</style></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"
    lane.will(sends(page, code=502, headers={"content-type": "text/html"}))

    assert product.call(virtual_key=virtual_key).json()["error"]["message"] == "openai error: 502 Bad Gateway nginx"


def test_an_error_that_echoes_the_key_is_redacted(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(status(401, f"Incorrect API key provided: {STORED_KEY}. Also sk-pro**********xyz9."))
    trace_id = new_trace()

    answered = product.call(virtual_key=virtual_key, trace_id=trace_id)

    assert answered.status_code == 401
    assert STORED_KEY not in answered.text
    assert "sk-pro" not in answered.text
    record = product.record(trace_id)
    assert STORED_KEY not in str(record)


# --- Streams that break ----------------------------------------------------------------------------------------------

BREAKS = {
    "cut in an event": cut_in_event(3),
    "ended at the border of an event": end_early(3),
    "ended before [DONE]": end_early(7),
    "an error event": error_event(3, "The model fell over."),
    "garbage": garbage_event(3),
}


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_broken_stream_ends_with_an_error_and_never_with_done(
    product: Product, lane: Lane, virtual_key: str, fault: Fault
) -> None:
    read = threading.Event()
    lane.will(answer(fault=replace(fault, hold=read)))
    trace_id = new_trace()

    answered = ""
    for piece in product.pieces(virtual_key, trace_id):
        answered += piece
        if " from" in answered:
            read.set()

    assert "[DONE]" not in answered
    assert answered.endswith("\n\n")
    *chunks, last = [json.loads(event) for event in sse(answered)]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks][:3] == ["", "Hello", " from"]
    assert {"message", "type", "param", "code"} <= last["error"].keys()
    record = product.record(trace_id)
    assert record["error_code"]
    assert record["status"] >= 500
    assert record["error_message"] == last["error"]["message"]
    assert record["estimated"]
    assert record["output_tokens"] >= 2
    assert not record["cancelled"]


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_the_openai_sdk_raises_on_a_broken_stream(openai_client: Client, lane: Lane, virtual_key: str, fault: Fault) -> None:
    lane.will(answer(fault=fault))

    with pytest.raises(openai.APIError):
        list(openai_client(virtual_key=virtual_key).chat.completions.create(**HELLO, stream=True))


def test_the_portkey_sdk_raises_on_a_broken_stream(portkey_client: Callable[..., Any], lane: Lane, virtual_key: str) -> None:
    lane.will(answer(fault=cut_in_event(3)))

    with pytest.raises(bundled.APIError):
        list(portkey_client(virtual_key=virtual_key).chat.completions.create(**HELLO, stream=True))


def test_a_cut_anthropic_stream_ends_with_an_error(product: Product, other_lane: Lane, anthropic_key: str) -> None:
    other_lane.will(answer(fault=end_early(6)))

    answered = product.call({**STREAM, "model": "claude-sonnet-4-5"}, virtual_key=anthropic_key)

    assert "[DONE]" not in answered.text
    assert json.loads(sse(answered.text)[-1])["error"]["code"] == "upstream_stream_broken"


def test_a_stream_is_not_repeated_after_its_first_event(product: Product, lane: Lane, virtual_key: str) -> None:
    """The caller has read a part already: a second answer would be glued to it."""
    lane.will(answer(fault=cut_in_event(3)))
    config = {
        "strategy": "fallback",
        "retry": {"attempts": 2, "initial_delay_ms": 1},
        "targets": [{"virtual_key": virtual_key}, {"virtual_key": "mock"}],
    }

    answered = product.call(STREAM, config=json.dumps(config))

    assert "error" in json.loads(sse(answered.text)[-1])
    assert len(lane.received) == 1


def test_who_wants_more_than_openais_shape_gets_the_providers_own_error(product: Product, lane: Lane, virtual_key: str) -> None:
    own = {"error": {"message": "No", "type": "t", "metadata": {"key": STORED_KEY, "raw": [1, None]}}, "request_id": "r1"}
    lane.will(sends(json.dumps(own).encode(), code=429))

    strict = product.call(virtual_key=virtual_key)
    loose = product.call(virtual_key=virtual_key, headers={"x-portkey-strict-open-ai-compliance": "false"})

    assert (strict.status_code, loose.status_code) == (429, 429)
    assert "provider_error" not in strict.json()
    assert loose.json()["error"]["message"] == "openai error: No"
    own["error"]["metadata"]["key"] = "[redacted]"  # type: ignore[index]
    assert loose.json()["provider_error"] == own
