from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics import record as records
from analytics.filters import parse
from analytics.ids import uuid7
from analytics.ingest import ingest
from analytics.queries import FilterError, LogFilters, get_log, list_logs
from tests.analytics.conftest import WORKSPACE

pytestmark = pytest.mark.django_db

MINE = uuid.UUID(WORKSPACE)
NOON = int(dt.datetime(2026, 2, 3, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000
KEY = "0193b1f0-0000-7000-8000-00000000000a"


@pytest.fixture
def store(make_record):
    def put(*rows):
        made = [make_record(**{"started_at_us": NOON, **row}) for row in rows]
        ingest([records.encode(record) for record in made])
        return [record.id for record in made]

    return put


def ids(filters=None, **options):
    return [str(row.id) for row in list_logs(MINE, filters or LogFilters(), **options).rows]


def test_the_newest_come_first_and_another_workspace_sees_nothing(store):
    stored = store(*({"started_at_us": NOON + number * HOUR} for number in range(30)))
    assert ids() == stored[::-1]
    assert list_logs(uuid.uuid4(), LogFilters()).rows == []


def test_pages_follow_one_another_without_gap_or_repeat(store):
    stored = store(*({"started_at_us": NOON + number // 7} for number in range(50)))
    seen, cursor = [], None
    while True:
        page = list_logs(MINE, LogFilters(), cursor, limit=8)
        seen += [str(row.id) for row in page.rows]
        cursor = page.next_cursor
        store({"started_at_us": NOON + HOUR})  # what comes in meanwhile changes no later page
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 50
    assert set(seen) == set(stored)


def test_the_last_page_says_so_also_when_it_is_full(store):
    store(*({} for _ in range(4)))
    page = list_logs(MINE, LogFilters(), limit=4)
    assert len(page.rows) == 4
    assert page.next_cursor is None


@pytest.mark.parametrize(
    ("given", "match", "other"),
    [
        ({"trace_id": "t1"}, {"trace_id": "t1"}, {"trace_id": "t2"}),
        ({"status": "429"}, {"status": 429}, {"status": 430}),
        ({"status": "4xx"}, {"status": 499}, {"status": 500}),
        ({"provider": "groq"}, {"provider": "groq"}, {}),
        ({"model": "m1"}, {"model": "m1"}, {}),
        ({"api_key_id": KEY}, {"api_key_id": KEY}, {}),
        ({"virtual_key_id": KEY}, {"virtual_key_id": KEY}, {}),
        ({"config_id": KEY}, {"config_id": KEY}, {}),
        ({"endpoint": "embeddings"}, {"endpoint": "embeddings"}, {}),
        ({"cache_status": "HIT"}, {"cache_status": "HIT"}, {}),
        ({"is_stream": "true"}, {"is_stream": True}, {}),
        ({"is_stream": "false"}, {}, {"is_stream": True}),
        ({"started_from": "2026-02-03T13:00:00Z"}, {"started_at_us": NOON + HOUR}, {"started_at_us": NOON + HOUR - 1}),
        ({"started_to": "2026-02-03T14:00:00+01:00"}, {"started_at_us": NOON + HOUR - 1}, {"started_at_us": NOON + HOUR}),
        ({"min_cost": "0.5"}, {"cost_usd": "0.5"}, {"cost_usd": "0.4999"}),
        ({"max_cost": "0.5"}, {"cost_usd": "0.5"}, {"cost_usd": "0.5001"}),
        ({"min_duration_ms": "100"}, {"duration_ms": 100.0}, {"duration_ms": 99.9}),
        ({"max_duration_ms": "100"}, {"duration_ms": 100.0}, {"duration_ms": 100.1}),
        ({"metadata.user": "u1"}, {"metadata": {"user": "u1", "a": "b"}}, {"metadata": {"user": "u2"}}),
        ({"metadata.a": "1", "metadata.b": "2"}, {"metadata": {"a": "1", "b": "2"}}, {"metadata": {"a": "1"}}),
        ({"trace_id": "", "model": ""}, {}, None),
    ],
)
def test_each_filter(store, given, match, other):
    (wanted,) = store(match)
    if other is not None:
        store(other)
    assert ids(parse(given)) == [wanted]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("status", "abc"),
        ("status", "99"),
        ("status", "9xx"),
        ("api_key_id", "1"),
        ("is_stream", "yes"),
        ("started_from", "yesterday"),
        ("started_from", "2026-02-03T13:00:00"),
        ("started_to", "2026-13-03T13:00:00Z"),
        ("min_cost", "cheap"),
        ("max_cost", "NaN"),
        ("min_duration_ms", "1e400"),
        ("trace_id", "a\0b"),
        ("model", "x" * 2000),
        ("metadata.", "x"),
        ("workspace_id", WORKSPACE),
        ("order_by", "id"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_by_name(name, text):
    with pytest.raises(FilterError) as caught:
        parse({name: text})
    assert caught.value.field == name


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AAAA", "A" * 33, "é", "_" * 32])
def test_a_cursor_of_somebody_else_is_refused(cursor):
    with pytest.raises(FilterError) as caught:
        list_logs(MINE, LogFilters(), cursor)
    assert caught.value.field == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_limit_out_of_range_is_refused(limit):
    with pytest.raises(FilterError):
        list_logs(MINE, LogFilters(), limit=limit)


def test_a_list_never_touches_the_bodies(store):
    store({"request": b"secret"})
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ids()
    assert len(queries) == 1
    assert "requestbody" not in queries[0]["sql"]


def test_the_detail_has_the_bodies_and_the_stream_put_together(make_record):
    sse = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
    record = make_record(id=uuid7(), request=b"{}", response=sse, response_is_stream=True, cost_usd="0.1")
    ingest([records.encode(record)])
    detail = get_log(MINE, record.id)
    assert detail is not None
    assert (detail.request, detail.response) == ("{}", sse.decode())
    assert detail.answer is not None
    assert detail.answer["choices"][0]["message"]["content"] == "hi"
    assert detail.log.cost_usd == Decimal("0.1")


def test_a_detail_without_bodies(make_record):
    record = make_record()
    ingest([records.encode(record)])
    detail = get_log(MINE, record.id)
    assert detail is not None
    assert (detail.request, detail.response, detail.answer) == ("", "", None)


def test_the_detail_of_another_workspace_or_of_nothing(make_record):
    record = make_record()
    ingest([records.encode(record)])
    assert get_log(uuid.uuid4(), record.id) is None
    for identity in (uuid7(), str(uuid.uuid4()), "nonsense", ""):
        assert get_log(MINE, identity) is None


def test_other_days_are_not_looked_at(store, make_record):
    store(*({"started_at_us": NOON + day * 24 * HOUR} for day in range(5)))
    record = make_record()
    ingest([records.encode(record)])
    with CaptureQueriesContext(connection) as queries:
        get_log(MINE, record.id)
        ids(parse({"started_from": "2026-02-04T00:00:00Z", "started_to": "2026-02-05T00:00:00Z"}))
    for query in (queries[0], queries[-1]):
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert len({word for word in plan.split() if word.startswith("analytics_requestlog_p")}) <= 2, plan
