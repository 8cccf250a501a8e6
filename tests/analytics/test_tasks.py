from __future__ import annotations

import pytest
import redis
from django.conf import settings
from kombu.connection import Connection

from analytics import courier, tasks
from analytics import ingest as ingestion
from analytics.courier import CeleryCourier
from analytics.frames import frame
from analytics.ids import uuid7
from analytics.models import RequestLog
from analytics.shipper import CourierError, pack
from gateway_project.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(encoded):
    return uuid7(), pack(frame(encoded()) + frame(encoded()))


@pytest.fixture
def carrier():
    made = CeleryCourier()
    yield made
    made.close()


@pytest.fixture
def nowhere(settings, tmp_path, monkeypatch):
    """Redis does not listen here."""
    url = f"unix://{tmp_path}/none.sock?db=0"
    monkeypatch.setattr(tasks, "_redis", lambda: redis.Redis.from_url(url))
    settings.REDIS_URL = url


def test_a_batch_is_confirmed_once_it_is_stored(batch, carrier):
    assert carrier.confirmed([batch[0]]) == set()
    tasks.ingest(*batch)
    assert carrier.confirmed([batch[0], uuid7()]) == {batch[0]}
    assert RequestLog.objects.count() == 2


def test_a_batch_that_is_delivered_twice_is_stored_once(batch):
    tasks.ingest(*batch)
    tasks.ingest(*batch)
    tasks.ingest(uuid7(), batch[1])  # the same records under another name, as an heir sends them
    assert RequestLog.objects.count() == 2


def test_a_batch_that_cannot_be_stored_is_not_confirmed(batch, carrier, monkeypatch):
    def refuse(_):
        raise OSError("away")

    monkeypatch.setattr(ingestion, "ingest", refuse)
    with pytest.raises(OSError, match="away"):
        tasks.ingest(*batch)
    assert carrier.confirmed([batch[0]]) == set()


def test_a_batch_damaged_on_its_way_is_refused_as_a_whole(batch, carrier):
    with pytest.raises(ValueError, match=r".+"):
        tasks.ingest(batch[0], batch[1][:-8])
    assert carrier.confirmed([batch[0]]) == set()


def test_records_are_stored_also_when_they_cannot_be_confirmed(batch, nowhere):
    with pytest.raises(redis.ConnectionError):
        tasks.ingest(*batch)
    assert RequestLog.objects.count() == 2


def test_the_courier_brings_a_task_to_the_queue(batch, carrier):
    before = carrier.backlog()
    carrier.publish(*batch)
    assert carrier.backlog() == before + 1
    with app.connection_for_read() as connection, connection.channel() as channel:
        message = channel.basic_get(app.conf.task_default_queue, no_ack=True)
    assert message.headers["task"] == courier.TASK
    assert message.decode()[0] == list(batch)


def test_a_courier_without_a_broker_says_so_and_does_not_hang(batch, nowhere, monkeypatch):
    url = settings.REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    lost = CeleryCourier()
    monkeypatch.setattr(app, "connection_for_write", lambda: Connection(url, transport_options={"socket_timeout": 1}))
    for attempt in (lambda: lost.publish(*batch), lambda: lost.confirmed(["x"]), lost.backlog):
        with pytest.raises(CourierError):
            attempt()
    lost.close()
