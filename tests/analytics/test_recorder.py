from __future__ import annotations

import time
from decimal import Decimal
from types import SimpleNamespace

import pytest

from analytics import frames
from analytics import record as records
from analytics.recorder import Recorder
from keys.auth import Caller
from routing.call import Attempt, Call, Endpoint, Usage
from routing.errors import InvalidRequest, StreamBroken
from routing.exchange import Exchange
from routing.metering import Bill
from routing.plan import Plan

SECRET = "sk-very-secret"
BILL = Bill(Usage(1, 2, 3, 4, 5, 6, 7), "gpt-4o-2024-08-06", Decimal("0.00012"), unpriced=False)


@pytest.fixture
def exchange():
    call = Call(
        id="0193b1f0-0000-7000-8000-000000000009",
        endpoint=Endpoint.CHAT,
        body={"model": "gpt-4o", "stream": False},
        raw=b'{"model":"gpt-4o"}',
        headers={"authorization": f"Bearer {SECRET}", "x-portkey-api-key": SECRET},
        trace_id="trace",
        metadata={"user": "u1"},
        started=time.monotonic() - 1.0,
        started_at_us=time.time_ns() // 1000,
    )
    return Exchange(call, Caller("w", "k"))


@pytest.fixture
def recorded(spool):
    """Records an exchange and gives what is then in the spool."""

    def run(exchange, content=b"", bill=BILL, **options):
        recorder = Recorder(spool, **{"log_content": True, "max_content_bytes": 100, **options})
        recorder.record(exchange, bill, content)
        payload = frames.payloads(spool.segments[0].path.read_bytes())[-1]
        assert SECRET.encode() not in payload
        return records.decode(payload)

    return run


def answered(exchange, *, translator=None):
    exchange.plan = Plan(root=None, config_id="c", config_version=3)  # type: ignore[arg-type]
    exchange.target = SimpleNamespace(
        provider=SimpleNamespace(id="openai"), path="config.targets[1]", virtual_key_id="v", model=None, api_key=SECRET
    )
    exchange.attempts = [
        Attempt("config.targets[0]", "groq", "x", 500, 3.0, "oops"),
        Attempt("config.targets[1]", "openai", "gpt-4o", 200, 9.0),
    ]
    exchange.reply = SimpleNamespace(status=200, headers={}, translator=translator)
    return exchange


def test_an_answered_call(exchange, recorded):
    record = recorded(answered(exchange), b'{"ok":true}')
    assert (record.id, record.workspace_id, record.api_key_id) == (exchange.call.id, "w", "k")
    assert (record.config_id, record.config_version, record.virtual_key_id) == ("c", 3, "v")
    assert (record.provider, record.model, record.response_model) == ("openai", "gpt-4o", "gpt-4o-2024-08-06")
    assert (record.option_path, record.status, record.endpoint) == ("config.targets[1]", 200, "chat/completions")
    assert (record.input_tokens, record.cache_read_tokens, record.reasoning_tokens) == (1, 2, 6)
    assert record.cost_usd == "0.00012"
    assert record.metadata == {"user": "u1"}
    assert [attempt.status for attempt in record.attempts] == [500, 200]
    assert (record.request, record.response) == (b'{"model":"gpt-4o"}', b'{"ok":true}')
    assert not record.content_truncated
    assert 1000 <= record.duration_ms < 60_000


def test_a_call_refused_before_it_had_a_plan(exchange, recorded):
    exchange.error = InvalidRequest("No.", param="x")
    record = recorded(exchange)
    assert (record.status, record.error_code, record.error_message) == (400, "invalid_request", "No.")
    assert record.config_id is None
    assert record.response == b'{"error":{"message":"No.","type":"invalid_request_error","param":"x","code":"invalid_request"}}'


def test_a_stream_that_broke_is_logged_as_the_failure_it_was(exchange, recorded):
    answered(exchange, translator=object())
    exchange.error = StreamBroken("It broke.")
    exchange.first_byte = exchange.call.started + 0.25
    record = recorded(exchange, b"data: {}\n\n")
    assert (record.status, record.error_code, record.response_is_stream) == (502, "upstream_stream_broken", True)
    assert record.response == b"data: {}\n\n"
    assert record.ttft_ms == pytest.approx(250)


def test_a_caller_that_hung_up(exchange, recorded):
    exchange.cancelled = True
    record = recorded(exchange)
    assert (record.status, record.cancelled) == (499, True)


def test_no_price_is_no_cost(exchange, recorded):
    record = recorded(answered(exchange), bill=Bill(Usage(input_tokens=1), "x", None, unpriced=True))
    assert (record.cost_usd, record.unpriced) == (None, True)


def test_content_is_cut_at_the_limit(exchange, recorded):
    record = recorded(answered(exchange), b"x" * 101)
    assert record.response == b"x" * 100
    assert record.content_truncated


def test_content_can_stay_out(exchange, recorded):
    record = recorded(answered(exchange), b"x", log_content=False)
    assert (record.request, record.response, record.content_truncated) == (b"", b"", False)


def test_a_full_spool_costs_the_bodies_only(exchange, recorded, spool):
    spool.sheds_content = True
    record = recorded(answered(exchange), b"x")
    assert (record.request, record.response, record.content_truncated) == (b"", b"", True)
    assert spool.state().shed == 1


def test_half_a_surrogate_pair_does_not_lose_the_record(exchange, recorded):
    exchange.error = InvalidRequest("bad \ud800 text")
    exchange.attempts = [Attempt("p", "x", "\udc00", None, 1.0)]
    record = recorded(exchange, b"content")
    assert record.error_message == "bad ? text"
    assert record.attempts[0].model == "?"
    assert record.response == b"content"


def test_a_keeper_keeps_what_the_log_can_take(spool):
    keeper = Recorder(spool, log_content=True, max_content_bytes=10).keeper()
    for _ in range(1000):
        keeper.append(b"12345678")
    assert keeper.content() == b"12345678" * 2
    nothing = Recorder(spool, log_content=False, max_content_bytes=10).keeper()
    nothing.append(b"x")
    assert nothing.content() == b""
