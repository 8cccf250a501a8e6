from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from analytics import partitions, tasks

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.date(2026, 1, 5)


@pytest.fixture(autouse=True)
def no_partitions():
    def drop():
        with connection.cursor() as cursor:
            for table in partitions.TABLES:
                for name, _, _ in partitions._older(cursor, table, dt.date(9999, 1, 1)):
                    cursor.execute(f"DROP TABLE {name}")

    drop()
    yield
    drop()


def make(*days):
    with transaction.atomic(), connection.cursor() as cursor:
        partitions.ensure(cursor, days)


def names(table):
    with connection.cursor() as cursor:
        return [name for name, attached, _ in partitions._older(cursor, table, dt.date(9999, 1, 1)) if attached]


def test_a_partition_has_the_tables_indexes():
    make(DAY)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid = %s::regclass",
            [partitions.name(partitions.LOG, DAY)],
        )
        assert cursor.fetchone()[0] == 5


def test_many_at_once_make_each_partition_once():
    barrier = threading.Barrier(6)

    def work():
        try:
            barrier.wait(10)
            make(DAY, DAY + dt.timedelta(days=1))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        for running in [pool.submit(work) for _ in range(6)]:
            running.result(30)
    assert len(names(partitions.LOG)) == len(names(partitions.BODY)) == 2


def test_a_reader_in_the_middle_holds_nothing_up():
    make(DAY)
    reading, done = threading.Event(), threading.Event()

    def read():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM analytics_requestlog")
            reading.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    try:
        make(DAY + dt.timedelta(days=1))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
        done.set()
        thread.join(30)
    assert len(names(partitions.LOG)) == 2


def test_old_partitions_are_dropped():
    make(*(DAY + dt.timedelta(days=number) for number in range(4)))
    dropped = partitions.drop_before(DAY + dt.timedelta(days=2))
    assert len(dropped) == 4
    assert names(partitions.LOG) == ["analytics_requestlog_p20260107", "analytics_requestlog_p20260108"]
    assert names(partitions.BODY) == ["analytics_requestbody_p20260107", "analytics_requestbody_p20260108"]


def test_a_run_that_was_broken_off_is_ended_by_the_next():
    make(DAY)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE analytics_requestlog DETACH PARTITION analytics_requestlog_p20260105 CONCURRENTLY")
    assert partitions.drop_before(DAY + dt.timedelta(days=1)) == [
        "analytics_requestbody_p20260105",
        "analytics_requestlog_p20260105",
    ]


def test_only_one_drops_at_a_time():
    make(DAY)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [partitions._DROPPING])
            holding.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    try:
        assert partitions.drop_before(DAY + dt.timedelta(days=1)) == []
    finally:
        done.set()
        thread.join(30)


def test_the_tasks_make_days_ahead_and_keep_to_the_retention(settings):
    today = dt.datetime.now(dt.UTC).date()
    settings.LOG_RETENTION_DAYS = 30
    make(today - dt.timedelta(days=30), today - dt.timedelta(days=31))
    tasks.create_partitions()
    tasks.drop_old_logs()
    kept = [today - dt.timedelta(days=30), *(today + dt.timedelta(days=ahead) for ahead in range(3))]
    assert names(partitions.LOG) == [partitions.name(partitions.LOG, day) for day in kept]
