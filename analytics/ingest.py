"""Puts a batch of records into the database: all of it in one transaction, and each record once however often it comes.

Records are copied into a temporary table and inserted from there; those whose key (started_at, id) the log already has are
left out. The bodies of the new ones follow, without the detour: they are large; and the new ones are added to the sums that
charts read (analytics/rollups.py). A record that cannot be read, or that the
database refuses, is put aside in `DeadRecord` and does not hold up the others.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from django.db import Error, connection, transaction

from analytics import partitions, rollups, rows
from analytics import record as records
from analytics.models import DeadRecord
from analytics.record import Record

if TYPE_CHECKING:
    import datetime as dt

logger = logging.getLogger(__name__)

# SQLSTATE classes that blame the data: 22 data exception, 54 program limit exceeded (such as a key too long for an index).
_POISON = ("22", "54")
_LOG_COLUMNS = ", ".join(rows.LOG_COLUMNS)
_BODY_COLUMNS = ", ".join(rows.BODY_COLUMNS)
# Lives as long as the connection and is empty between transactions, so a batch does not write to the system catalogue.
_STAGE = f"CREATE TEMPORARY TABLE IF NOT EXISTS log_stage (LIKE {partitions.LOG}) ON COMMIT DELETE ROWS"
_COPY_LOG = f"COPY log_stage ({_LOG_COLUMNS}) FROM STDIN"
# Both statements are put together from constants of ours.
_INSERT_LOG = f"""
    INSERT INTO {partitions.LOG} ({_LOG_COLUMNS}) SELECT {_LOG_COLUMNS} FROM log_stage
    ON CONFLICT (started_at, id) DO NOTHING RETURNING id, started_at
"""  # noqa: S608
_INSERT_BODY = f"""
    INSERT INTO {partitions.BODY} ({_BODY_COLUMNS})
    SELECT * FROM unnest(%b::uuid[], %b::timestamptz[], %b::text[], %b::text[], %b::boolean[])
    ON CONFLICT (started_at, id) DO NOTHING
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: records that are in the log now and were not before, known ones, and ones put aside."""

    new: int
    known: int
    dead: int


@dataclass(frozen=True, slots=True)
class _Item:
    payload: bytes
    record: Record
    started: dt.datetime
    row: tuple[Any, ...]


def ingest(payloads: Sequence[bytes]) -> Outcome:
    """Stores a batch. Raises a database error when the database is away or not migrated; then nothing is stored."""
    items, dead = _read(payloads)
    with transaction.atomic():
        with connection.cursor() as cursor:
            partitions.ensure(cursor, {item.started.date() for item in items})
            cursor.execute(_STAGE)
        new, refused = _store(items)
        dead += refused
        _bury(dead)
    return Outcome(new=len(new), known=len(payloads) - len(new) - len(dead), dead=len(dead))


def _read(payloads: Sequence[bytes]) -> tuple[list[_Item], list[tuple[bytes, str]]]:
    """The records that can be read, each once, and the payloads that cannot, with the reason."""
    items: dict[tuple[str, dt.datetime], _Item] = {}
    dead: list[tuple[bytes, str]] = []
    for payload in payloads:
        try:
            record = records.decode(payload)
            started = rows.started_at(record)
            row = rows.log_row(record, started)
            items[row[0], started] = _Item(payload, record, started, row)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            dead.append((payload, f"cannot be read: {error}"))
    return list(items.values()), dead


def _store(items: list[_Item]) -> tuple[list[_Item], list[tuple[bytes, str]]]:
    """The items that are new in the log, and those that the database refuses, found by halving."""
    if not items:
        return [], []
    try:
        with transaction.atomic():
            return _copy(items), []
    except (Error, psycopg.Error) as error:
        if not _is_poison(error):
            raise
        if len(items) == 1:
            return [], [(items[0].payload, f"the database refuses it: {error}")]
    half = len(items) // 2
    first_new, first_dead = _store(items[:half])
    second_new, second_dead = _store(items[half:])
    return first_new + second_new, first_dead + second_dead


def _copy(items: list[_Item]) -> list[_Item]:
    with connection.cursor() as cursor:
        with cursor.copy(_COPY_LOG) as copy:
            for item in items:
                copy.write_row(item.row)
        # In a batch that was halved the stage still holds the first half: known by now, and thus left out.
        cursor.execute(_INSERT_LOG)
        fresh = {(str(identity), started) for identity, started in cursor.fetchall()}
        new = [item for item in items if (item.row[0], item.started) in fresh]
        bodies = [rows.body_row(item.record, item.started) for item in new if item.record.request or item.record.response]
        if bodies:
            _insert_bodies(bodies)
        rollups.add((item.record, item.started) for item in new)
    return new


def _insert_bodies(bodies: list[tuple[Any, ...]]) -> None:
    # Not Django's cursor: it would write the values into the statement's text, which takes three times as long as all the rest.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_INSERT_BODY, [list(column) for column in zip(*bodies, strict=True)])


def _bury(dead: list[tuple[bytes, str]]) -> None:
    if not dead:
        return
    logger.error("%d log records are put aside (table %s): %s", len(dead), DeadRecord._meta.db_table, dead[0][1])
    DeadRecord.objects.bulk_create(
        [DeadRecord(digest=hashlib.sha256(payload).digest(), payload=payload, reason=reason) for payload, reason in dead],
        ignore_conflicts=True,
    )


def _is_poison(error: BaseException) -> bool:
    """Whether the error blames the data. Django wraps psycopg's errors, except those of COPY."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    return isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith(_POISON)
