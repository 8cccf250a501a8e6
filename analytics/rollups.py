"""Sums of the log by minute and by hour: what every chart reads, so that ten million calls cost a page what ten thousand do.

They are written by the ingest in the transaction that adds the records, for the records that are new: a batch that comes twice
counts once, and the sums always agree with the log. Rows go in in the order of their keys, so that two workers never wait for
each other in a circle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from django.db import connection

from analytics import histogram
from analytics.models import RequestLog, RollupMetadata
from analytics.record import Record

MINUTE, HOUR, METADATA = "analytics_rollupminute", "analytics_rolluphour", "analytics_rollupmetadata"
# In place of what a call has none of: a key's columns cannot be null.
NOBODY = "00000000-0000-0000-0000-000000000000"
# More keys than this of one call are left out of the sums by metadata, and longer values are cut.
METADATA_KEYS = 16
METADATA_TEXT = 200
FAILED = 400

_DIMENSIONS = (
    *("bucket", "workspace_id", "api_key_id", "virtual_key_id", "config_id"),
    *("endpoint", "provider", "model", "status", "cache_status"),
)
_SUMS = (
    *("calls", "failed", "retried", "cancelled", "unpriced"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "audio_input_tokens"),
    *("output_tokens", "reasoning_tokens", "audio_output_tokens"),
    *("cost_usd", "duration_ms_sum"),
)
_HISTOGRAMS = ("duration_counts", "ttft_counts")
_METADATA_DIMENSIONS = ("bucket", "workspace_id", "key", "value")
_METADATA_SUMS = ("calls", "failed", "tokens", "cost_usd", "duration_ms_sum")
_TYPES = {
    "bucket": "timestamptz",
    **dict.fromkeys(("workspace_id", "api_key_id", "virtual_key_id", "config_id"), "uuid"),
    **dict.fromkeys(("endpoint", "provider", "model", "cache_status", "key", "value"), "text"),
    **dict.fromkeys(("status",), "integer"),
    **dict.fromkeys(_SUMS, "bigint"),
    "tokens": "bigint",
    "cost_usd": "numeric",
    "duration_ms_sum": "double precision",
    # Arrays of arrays cannot be unnested by row: each travels as a text.
    **dict.fromkeys(_HISTOGRAMS, "text"),
}


@dataclass(slots=True)
class _Sum:
    numbers: list[Any]
    durations: list[int] = field(default_factory=lambda: [0] * histogram.BUCKETS)
    ttfts: list[int] = field(default_factory=lambda: [0] * histogram.BUCKETS)

    def add(self, numbers: Sequence[Any]) -> None:
        self.numbers = [old + new for old, new in zip(self.numbers, numbers, strict=True)]


def add(records: Iterable[tuple[Record, dt.datetime]]) -> None:
    """Adds new records of the log, with their starts, to all sums, in the caller's transaction."""
    minutes: dict[tuple[Any, ...], _Sum] = {}
    metadata: dict[tuple[Any, ...], _Sum] = {}
    for record, started in records:
        minute = started.replace(second=0, microsecond=0)
        numbers = _numbers(record)
        found = _of(minutes, (minute, *_dimensions(record)), len(_SUMS))
        found.add(numbers)
        found.durations[histogram.bucket(record.duration_ms)] += 1
        if record.ttft_ms is not None:
            found.ttfts[histogram.bucket(record.ttft_ms)] += 1
        few = _few_numbers(numbers)
        for key, value in sorted(record.metadata.items())[:METADATA_KEYS]:
            named = (minute.replace(minute=0), record.workspace_id or NOBODY, _text(key), _text(value))
            _of(metadata, named, len(_METADATA_SUMS)).add(few)
    hours: dict[tuple[Any, ...], _Sum] = {}
    for (minute, *rest), part in minutes.items():
        whole = _of(hours, (minute.replace(minute=0), *rest), len(_SUMS))
        whole.add(part.numbers)
        whole.durations = histogram.merged((whole.durations, part.durations))
        whole.ttfts = histogram.merged((whole.ttfts, part.ttfts))
    _upsert(MINUTE, _DIMENSIONS, _SUMS, minutes, with_histograms=True)
    _upsert(HOUR, _DIMENSIONS, _SUMS, hours, with_histograms=True)
    _upsert(METADATA, _METADATA_DIMENSIONS, _METADATA_SUMS, metadata, with_histograms=False)


def correct(changes: Iterable[tuple[RequestLog, Decimal, int]]) -> None:
    """Adds to the sums what calls cost more (USD, negative for less) and how many fewer are unpriced, in the caller's
    transaction. Sums by minute that are gone already stay gone."""
    minutes: dict[tuple[Any, ...], _Sum] = {}
    hours: dict[tuple[Any, ...], _Sum] = {}
    metadata: dict[tuple[Any, ...], _Sum] = {}
    for log, cost_usd, unpriced in changes:
        minute = log.started_at.replace(second=0, microsecond=0)
        for found, bucket in ((minutes, minute), (hours, minute.replace(minute=0))):
            _of(found, (bucket, *_dimensions(log)), 2).add((cost_usd, unpriced))
        for key, value in sorted(log.metadata.items())[:METADATA_KEYS]:
            named = (minute.replace(minute=0), log.workspace_id or NOBODY, _text(key), _text(value))
            _of(metadata, named, 1).add((cost_usd,))
    _add(MINUTE, _DIMENSIONS, ("cost_usd", "unpriced"), minutes)
    _add(HOUR, _DIMENSIONS, ("cost_usd", "unpriced"), hours)
    _add(METADATA, _METADATA_DIMENSIONS, ("cost_usd",), metadata)


def forget(logs: Iterable[RequestLog]) -> None:
    """Takes calls out of the sums by metadata, all their pairs, in the caller's transaction."""
    metadata: dict[tuple[Any, ...], _Sum] = {}
    buckets = set()
    for log in logs:
        bucket = log.started_at.replace(minute=0, second=0, microsecond=0)
        few = [-number for number in _few_numbers(_numbers(log))]
        for key, value in sorted(log.metadata.items())[:METADATA_KEYS]:
            named = (bucket, log.workspace_id or NOBODY, _text(key), _text(value))
            _of(metadata, named, len(_METADATA_SUMS)).add(few)
            buckets.add(bucket)
    _add(METADATA, _METADATA_DIMENSIONS, _METADATA_SUMS, metadata)
    RollupMetadata.objects.filter(bucket__in=buckets, calls__lte=0).delete()


def _add(table: str, dimensions: tuple[str, ...], sums: tuple[str, ...], found: dict[tuple[Any, ...], _Sum]) -> None:
    """Adds to rows that are there. All names in the statement are constants of this module."""
    if not found:
        return
    rows = [(*key, *value.numbers) for key, value in sorted(found.items(), key=lambda item: tuple(map(str, item[0])))]
    names = (*dimensions, *sums)
    statement = (
        f"UPDATE {table} AS kept SET {', '.join(f'{name} = kept.{name} + more.{name}' for name in sums)}"  # noqa: S608
        f" FROM unnest({', '.join(f'%s::{_TYPES[name]}[]' for name in names)}) AS more({', '.join(names)})"
        f" WHERE {' AND '.join(f'kept.{name} = more.{name}' for name in dimensions)}"
    )
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])


def _of(sums: dict[tuple[Any, ...], _Sum], key: tuple[Any, ...], width: int) -> _Sum:
    found = sums.get(key)
    if found is None:
        found = sums[key] = _Sum([0] * width)
    return found


def drop_minutes_before(moment: dt.datetime) -> int:
    """Deletes the sums by minute that are older; those by hour stay. Tells how many."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {MINUTE} WHERE bucket < %s", [moment])  # noqa: S608 - a name of ours
        return int(cursor.rowcount)


def _dimensions(record: Record | RequestLog) -> tuple[Any, ...]:
    return (
        record.workspace_id or NOBODY,
        record.api_key_id or NOBODY,
        record.virtual_key_id or NOBODY,
        record.config_id or NOBODY,
        _text(record.endpoint),
        _text(record.provider),
        _text(record.model),
        record.status,
        _text(record.cache_status),
    )


def _numbers(record: Record | RequestLog) -> tuple[Any, ...]:
    """The values of `_SUMS` for one call."""
    return (
        1,
        int(record.status >= FAILED),
        int(record.retry_count != 0 or len(record.attempts) > 1),
        int(record.cancelled),
        int(record.unpriced),
        record.input_tokens,
        record.cache_read_tokens,
        record.cache_write_tokens,
        record.audio_input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.audio_output_tokens,
        Decimal(record.cost_usd or 0),
        record.duration_ms,
    )


def _few_numbers(numbers: Sequence[Any]) -> tuple[Any, ...]:
    """The values of `_METADATA_SUMS`, from those of `_SUMS`."""
    calls, failed, *_, cost_usd, duration_ms = numbers
    return (calls, failed, sum(numbers[5:12]), cost_usd, duration_ms)


def _text(value: str) -> str:
    return value.replace("\0", "\ufffd")[:METADATA_TEXT]


def _upsert(
    table: str, dimensions: tuple[str, ...], sums: tuple[str, ...], found: dict[tuple[Any, ...], _Sum], *, with_histograms: bool
) -> None:
    if not found:
        return
    histograms = _HISTOGRAMS if with_histograms else ()
    rows = [
        (*key, *value.numbers, *((_array(value.durations), _array(value.ttfts)) if with_histograms else ()))
        for key, value in sorted(found.items(), key=lambda item: tuple(map(str, item[0])))
    ]
    # Not Django's cursor, which would write the values into the statement's text.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_statement(table, dimensions, sums, histograms), [list(column) for column in zip(*rows, strict=True)])


def _array(counts: Sequence[int]) -> str:
    return "{" + ",".join(map(str, counts)) + "}"


def _statement(table: str, dimensions: tuple[str, ...], sums: tuple[str, ...], histograms: tuple[str, ...]) -> Any:
    """All names in it are constants of this module."""
    columns = (*dimensions, *sums, *histograms)
    values = [*dimensions, *sums, *(f"{name}::bigint[]" for name in histograms)]
    added = [f"{name} = {table}.{name} + excluded.{name}" for name in sums]
    added += [
        f"{name} = (SELECT array_agg(one + two ORDER BY place)"  # noqa: S608
        f" FROM unnest({table}.{name}, excluded.{name}) WITH ORDINALITY AS pair(one, two, place))"
        for name in histograms
    ]
    return (
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {', '.join(values)} FROM unnest({', '.join(f'%s::{_TYPES[name]}[]' for name in columns)})"
        f" AS batch({', '.join(columns)})"
        f" ON CONFLICT ({', '.join(dimensions)}) DO UPDATE SET {', '.join(added)}"
    )
