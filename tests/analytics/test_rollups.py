"""The sums that charts read always say what the log says."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal

import pytest
from django.db.models import Sum

from analytics import histogram, rollups
from analytics import record as records
from analytics.ingest import ingest
from analytics.models import RequestLog, RollupHour, RollupMetadata, RollupMinute
from tests.analytics.conftest import WORKSPACE

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 2, 2, 12, tzinfo=dt.UTC)


def at(minutes: float) -> int:
    return int((NOON + dt.timedelta(minutes=minutes)).timestamp() * 1_000_000)


def test_calls_that_agree_in_every_dimension_are_one_row(encoded):
    ingest(
        [
            encoded(
                started_at_us=at(0.1), duration_ms=100, ttft_ms=10, input_tokens=5, output_tokens=7, cost_usd="0.0000000001"
            ),
            encoded(started_at_us=at(0.9), duration_ms=900, output_tokens=1, cost_usd="0.25", unpriced=True, cancelled=True),
        ]
    )
    [row] = RollupMinute.objects.all()
    assert (row.bucket, str(row.workspace_id), str(row.api_key_id)) == (NOON, WORKSPACE, rollups.NOBODY)
    assert (row.endpoint, row.provider, row.model, row.status) == ("chat/completions", "openai", "gpt-4o", 200)
    assert (row.calls, row.failed, row.unpriced, row.cancelled) == (2, 0, 1, 1)
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (5, 8, Decimal("0.2500000001"))
    assert row.duration_ms_sum == 1000
    assert row.duration_counts[histogram.bucket(100)] == row.duration_counts[histogram.bucket(900)] == 1
    assert (sum(row.duration_counts), sum(row.ttft_counts)) == (2, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"status": 500},
        {"provider": "anthropic"},
        {"cache_status": "HIT"},
        {"workspace_id": "0193b1f0-0000-7000-8000-000000000009"},
        {"api_key_id": "0193b1f0-0000-7000-8000-000000000009"},
        {"started_at_us": at(1.5)},
    ],
)
def test_calls_that_differ_in_a_dimension_are_rows_of_their_own(encoded, other):
    ingest([encoded(started_at_us=at(0)), encoded(**{"started_at_us": at(0), **other})])
    assert [row.calls for row in RollupMinute.objects.all()] == [1, 1]


def test_minutes_add_up_to_hours(encoded):
    ingest([encoded(started_at_us=at(minute), duration_ms=minute, cost_usd="0.1") for minute in (0, 1, 1.5, 59, 61)])
    hours = RollupHour.objects.order_by("bucket")
    assert [(row.bucket, row.calls, row.cost_usd) for row in hours] == [
        (NOON, 4, Decimal("0.4")),
        (NOON + dt.timedelta(hours=1), 1, Decimal("0.1")),
    ]
    assert RollupMinute.objects.count() == 4


def test_later_batches_are_added(encoded):
    for cost in ("0.1", "0.2"):
        ingest([encoded(started_at_us=at(0), cost_usd=cost, duration_ms=5, metadata={"user": "a"})])
    [row] = RollupHour.objects.all()
    assert (row.calls, row.cost_usd, row.duration_counts[histogram.bucket(5)]) == (2, Decimal("0.3"), 2)
    [named] = RollupMetadata.objects.all()
    assert (named.calls, named.cost_usd) == (2, Decimal("0.3"))


def test_a_batch_that_comes_twice_counts_once(encoded):
    first, second = encoded(started_at_us=at(0), metadata={"user": "a"}), encoded(started_at_us=at(0))
    ingest([first])
    ingest([first, second])
    assert RollupMinute.objects.get().calls == RollupHour.objects.get().calls == 2
    assert RollupMetadata.objects.get().calls == 1


def test_a_record_that_is_put_aside_counts_nowhere(encoded):
    ingest([encoded(started_at_us=at(0)), encoded(started_at_us=at(0), status=2**40)])
    assert RollupMinute.objects.get().calls == 1


def test_each_pair_of_metadata_has_its_own_sums(encoded):
    pairs = {"user": "zoë", "env": "prod"}
    ingest([encoded(started_at_us=at(0), metadata=pairs, input_tokens=3, output_tokens=4, status=429, duration_ms=8)])
    rows = {(row.key, row.value): row for row in RollupMetadata.objects.all()}
    assert rows.keys() == {("user", "zoë"), ("env", "prod")}
    row = rows["user", "zoë"]
    assert (row.calls, row.failed, row.tokens, row.duration_ms_sum) == (1, 1, 7, 8)


def test_metadata_beyond_all_bounds_neither_fails_nor_fills_the_table(encoded):
    ingest([encoded(metadata={f"k{number:03}": "x\0" * 5000 for number in range(60)})])
    assert RollupMetadata.objects.count() == rollups.METADATA_KEYS
    assert max(len(row.value) for row in RollupMetadata.objects.all()) == rollups.METADATA_TEXT


def test_any_mix_of_calls_sums_up_to_the_log(make_record):
    fields = [
        {
            "started_at_us": at(number * 0.7),
            "status": (200, 429, 500)[number % 3],
            "model": f"m{number % 5}",
            "cost_usd": None if number % 7 == 0 else f"0.{number:09d}1",
            "input_tokens": number,
            "duration_ms": number * 3.5,
            "retry_count": number % 4 - 1,
        }
        for number in range(300)
    ]
    batch = [records.encode(make_record(**one)) for one in fields]
    for start in range(0, 300, 37):
        ingest(batch[start : start + 50])  # they overlap
    expected = RequestLog.objects.aggregate(cost=Sum("cost_usd"), tokens=Sum("input_tokens"))
    for table in (RollupMinute, RollupHour):
        found = table.objects.aggregate(calls=Sum("calls"), cost=Sum("cost_usd"), tokens=Sum("input_tokens"))
        assert found == {"calls": 300, **expected}
        counts: defaultdict[str, int] = defaultdict(int)
        for row in table.objects.all():
            counts[row.model] += sum(row.duration_counts)
        assert set(counts.values()) == {60}


def test_old_minutes_go_and_hours_stay(encoded):
    ingest([encoded(started_at_us=at(0)), encoded(started_at_us=at(90))])
    assert rollups.drop_minutes_before(NOON + dt.timedelta(hours=1)) == 1
    assert (RollupMinute.objects.count(), RollupHour.objects.count()) == (1, 2)
