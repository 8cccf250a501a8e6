from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection

from analytics import partitions
from analytics import record as records
from analytics.ingest import ingest
from analytics.models import DeadRecord, RequestBody, RequestLog
from analytics.record import AttemptRecord, MediaRecord

pytestmark = pytest.mark.django_db


def test_every_field_comes_back(make_record):
    record = make_record(
        started_at_us=1_770_000_000_123_456,
        api_key_id="0193b1f0-0000-7000-8000-000000000002",
        virtual_key_id="0193b1f0-0000-7000-8000-000000000003",
        config_id="0193b1f0-0000-7000-8000-000000000004",
        config_version=7,
        response_model="gpt-4o-2024-08-06",
        option_path="config.targets[1]",
        status=502,
        error_code="upstream_error",
        error_message="no",
        is_stream=True,
        cancelled=True,
        cache_status="MISS",
        retry_count=2,
        duration_ms=12.5,
        ttft_ms=3.25,
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_tokens=3,
        audio_input_tokens=4,
        output_tokens=5,
        reasoning_tokens=6,
        audio_output_tokens=7,
        usage_estimated=True,
        cost_usd="0.0000001234",
        unpriced=True,
        metadata={"user": "zoë"},
        attempts=[AttemptRecord("config", "openai", "gpt-4o", None, 1.5, "reset")],
        request=b'{"a":1}',
        response=b"data: x\n\n",
        response_is_stream=True,
        content_truncated=True,
        span_id="child",
        parent_span_id="parent",
        span_name="look it up",
        media=MediaRecord(images=2, size="512x512", quality="hd"),
    )
    assert ingest([records.encode(record)]).new == 1
    row = RequestLog.objects.get(id=record.id)
    assert row.started_at == dt.datetime(2026, 2, 2, 2, 40, 0, 123456, dt.UTC)
    assert row.cost_usd == Decimal("0.0000001234")
    assert row.metadata == {"user": "zoë"}
    expected = {"path": "config", "provider": "openai", "model": "gpt-4o", "status": None, "duration_ms": 1.5, "error": "reset"}
    expected["started_ms"] = 0.0
    assert row.attempts == [expected]
    assert (row.span_id, row.parent_span_id, row.span_name) == ("child", "parent", "look it up")
    assert row.media == {"images": 2, "size": "512x512", "quality": "hd", "seconds": "0", "characters": 0}
    skipped = {"started_at_us", "cost_usd", "metadata", "media", "attempts", "request", "response", "response_is_stream"}
    for name in set(record.__struct_fields__) - skipped:
        value = getattr(row, name)
        assert (str(value) if name == "id" or name.endswith("_id") else value) == getattr(record, name), name
    body = RequestBody.objects.get(pk=(row.started_at, row.id))
    assert (body.request, body.response, body.response_is_stream) == ('{"a":1}', "data: x\n\n", True)


def test_a_batch_that_comes_twice_is_stored_once(encoded):
    batch = [encoded(request=b"a"), encoded(request=b"b"), encoded(request=b"c")]
    assert ingest(batch[:2]).new == 2
    outcome = ingest([*batch, batch[2]])
    assert (outcome.new, outcome.known, outcome.dead) == (1, 3, 0)
    assert RequestLog.objects.count() == RequestBody.objects.count() == 3


def test_a_record_without_bodies_has_no_body_row(encoded):
    ingest([encoded()])
    assert RequestBody.objects.count() == 0


def test_text_that_postgres_cannot_keep_is_changed_and_not_refused(make_record):
    record = make_record(
        trace_id="a\0b" + "x" * 5000,
        metadata={"k\0": "v\0", "plain": "\\u0000"},
        request=b"nul \0, bad \xff\xfe",
        response="half a character: é".encode()[:-1],
        attempts=[AttemptRecord("p", "x", "y", 500, 1.0, "\0")],
    )
    assert ingest([records.encode(record)]).dead == 0
    row, body = RequestLog.objects.get(), RequestBody.objects.get()
    assert row.trace_id.startswith("a\ufffdbx")
    assert len(row.trace_id) == 256
    assert row.metadata == {"k\ufffd": "v\ufffd", "plain": "\\u0000"}
    assert row.attempts[0]["error"] == "\ufffd"
    assert body.request == "nul \ufffd, bad \ufffd\ufffd"
    assert body.response == "half a character: \ufffd"


@pytest.mark.parametrize(
    "fields",
    [
        {"input_tokens": 2**63},
        {"cost_usd": "100000000000"},
        {"cost_usd": "many"},
        {"status": 2**40},
        {"workspace_id": "not a uuid"},
        {"started_at_us": 0},
        {"started_at_us": 2**62},
        {"started_at_us": 2**56},
    ],
)
def test_a_poisonous_record_is_put_aside_and_the_others_go_in(encoded, fields, caplog):
    poison = encoded(**fields)
    batch = [encoded() for _ in range(5)] + [poison] + [encoded() for _ in range(5)]
    outcome = ingest(batch)
    assert (outcome.new, outcome.dead) == (10, 1)
    assert RequestLog.objects.count() == 10
    assert bytes(DeadRecord.objects.get().payload) == poison
    assert any("put aside" in message for message in caplog.messages)
    assert ingest(batch).new == 0
    assert DeadRecord.objects.count() == 1


def test_bytes_that_are_no_record_are_put_aside(encoded):
    assert ingest([b"\xc1", encoded(), b""]).dead == 2
    assert RequestLog.objects.count() == 1


def test_missing_partitions_are_made(make_record):
    days = [dt.datetime(2026, 1, 1, 0, 0, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 23, 59, 59, 999999, dt.UTC)]
    days.append(dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    ingest([records.encode(make_record(started_at_us=round(day.timestamp() * 1e6))) for day in days])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partitions.name(partitions.LOG, days[0].date())}")
        assert cursor.fetchone()[0] == 2
        cursor.execute(f"SELECT count(*) FROM {partitions.name(partitions.LOG, days[2].date())}")
        assert cursor.fetchone()[0] == 1


def test_an_error_that_is_not_the_datas_fault_is_raised(encoded):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE analytics_requestlog RENAME COLUMN provider TO vendor")
    with pytest.raises(Exception, match="provider"):
        ingest([encoded()])
