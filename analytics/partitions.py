"""The daily partitions of the log tables: made before they are needed, dropped when they are too old.

Neither holds up a table in use. A partition is made apart and then attached, which keeps neither readers nor writers of the
table waiting (CREATE TABLE ... PARTITION OF would); it is detached concurrently before it is dropped. Days are days in UTC.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

logger = logging.getLogger(__name__)

LOG, BODY = "analytics_requestlog", "analytics_requestbody"
TABLES = (LOG, BODY)
# Advisory locks, unique within the database: one process at a time makes partitions, one drops them.
_MAKING, _DROPPING = 7_105_001, 7_105_002
_NAME = re.compile(r"(?P<table>[a-z_]+)_p(?P<day>\d{8})")


def name(table: str, day: dt.date) -> str:
    return f"{table}_p{day:%Y%m%d}"


def ensure(cursor: CursorWrapper, days: Iterable[dt.date]) -> None:
    """Makes what is missing for these days, in the caller's transaction. Call it before the transaction locks a log table."""
    wanted = {name(table, day): (table, day) for day in days for table in TABLES}
    missing = _missing(cursor, list(wanted))
    if not missing:
        return
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING])
    for partition in _missing(cursor, missing):  # somebody may have made it while we waited
        table, day = wanted[partition]
        cursor.execute(f"CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM (%s) TO (%s)",
            [_midnight(day), _midnight(day + dt.timedelta(days=1))],
        )


def drop_before(first_kept: dt.date) -> list[str]:
    """Drops all partitions of earlier days and tells their names. Runs outside a transaction; it may wait for long readers.

    A run that was broken off leaves a partition detached in part or whole: the next run ends that first.
    """
    dropped: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_DROPPING])
        if not cursor.fetchone()[0]:
            return dropped
        try:
            # Bodies first: a record that is ingested anew while its day goes must not meet its own old body.
            for table in (BODY, LOG):
                for partition, attached, pending in _older(cursor, table, first_kept):
                    if attached:
                        how = "FINALIZE" if pending else "CONCURRENTLY"
                        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {partition} {how}")
                    cursor.execute(f"DROP TABLE {partition}")
                    dropped.append(partition)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_DROPPING])
    return dropped


def _missing(cursor: CursorWrapper, partitions: list[str]) -> list[str]:
    """Those that do not exist, sorted, so that everybody makes them in the same order.

    It reads the catalogue's table, because to_regclass would answer from this session's cache of names, which does not hear
    of other sessions' tables until it next locks one.
    """
    cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s) AND pg_table_is_visible(oid)", [partitions])
    return sorted(set(partitions) - {row[0] for row in cursor.fetchall()})


def _older(cursor: CursorWrapper, table: str, first_kept: dt.date) -> list[tuple[str, bool, bool]]:
    """Partitions of earlier days: name, whether it is attached, whether its detaching was broken off."""
    cursor.execute(
        """
        SELECT child.relname, inherits.inhrelid IS NOT NULL, coalesce(inherits.inhdetachpending, false)
        FROM pg_class AS child
        LEFT JOIN pg_inherits AS inherits ON inherits.inhrelid = child.oid
        WHERE child.relkind = 'r' AND child.relname ^@ %s AND pg_table_is_visible(child.oid)
        ORDER BY child.relname
        """,
        [f"{table}_p"],
    )
    rows = []
    for partition, attached, pending in cursor.fetchall():
        match = _NAME.fullmatch(partition)
        if match and match["table"] == table and dt.datetime.strptime(match["day"], "%Y%m%d").date() < first_kept:  # noqa: DTZ007
            rows.append((partition, attached, pending))
    return rows


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
