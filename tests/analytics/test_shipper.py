from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from analytics import shipper as shipping
from analytics.shipper import CourierError, Shipper, pack, unpack
from analytics.spool import Spool, SpoolState
from analytics.stretches import next_stretch
from tests.stack import wait_until


class Desk:
    """Plays broker, ingest and database: what it confirms it has stored. It can be away, forget, or take without confirming."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stored: list[bytes] = []
        self.batches: list[str] = []
        self.known: set[str] = set()
        self.away = False
        self.confirms = True
        self.waiting = 0
        self.closed = False

    def publish(self, batch_id: str, payload: str) -> None:
        self._answer()
        with self.lock:
            self.batches.append(batch_id)
            if self.confirms and batch_id not in self.known:
                self.stored += unpack(payload)
                self.known.add(batch_id)

    def confirmed(self, batch_ids: list[str]) -> set[str]:
        self._answer()
        return self.known & set(batch_ids)

    def backlog(self) -> int:
        self._answer()
        return self.waiting

    def announce(self, process: str, state: SpoolState) -> None:
        self._answer()
        self.told = (process, state)

    def close(self) -> None:
        self.closed = True

    def _answer(self) -> None:
        if self.away:
            raise CourierError("connection refused")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same order of things in a tenth of the time."""
    for name in ("TICK_S", "RESEND_S", "RESEND_MAX_S", "BACK_OFF_MAX_S", "PATROL_S"):
        monkeypatch.setattr(shipping, name, getattr(shipping, name) / 50)


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def begin(tmp_path, desk):
    """Starts a spool with its shipper; ends them with the test."""
    running = []

    def start(courier=desk, **spool_options):
        spool = Spool(tmp_path, 10**9, **spool_options)
        shipper = Shipper(spool, courier)
        shipper.start()
        running.append(shipper)
        return spool, shipper

    yield start
    for shipper in running:
        shipper.close()


def files(directory):
    return sorted(path.name for path in directory.rglob("*.spool"))


def test_what_is_appended_arrives_once_and_its_file_goes(begin, desk, tmp_path):
    spool, shipper = begin(segment_bytes=10_000)
    records = [b"%0100d" % number for number in range(1500)]
    for record in records:
        spool.append(record)
    wait_until(lambda: len(desk.stored) >= 1500, "not all records arrived")
    wait_until(lambda: shipper.state().in_flight == 0 and len(files(tmp_path)) == 1, "files of finished segments stay")
    assert desk.stored == records
    assert spool.state().used_bytes < 10_200


def test_an_idle_shipper_sleeps_and_the_next_record_wakes_it(begin, desk, monkeypatch):
    monkeypatch.setattr(shipping, "PATROL_S", 3600.0)
    spool, _ = begin()
    for number in range(3):
        wait_until(lambda: spool.wake is not None, "it does not go to sleep")
        spool.append(b"%d" % number)
        wait_until(lambda: desk.stored[-1:] == [b"%d" % number], "the record did not wake it")  # noqa: B023 - called at once


def test_a_batch_is_bounded(begin, desk):
    desk.away = True
    spool, _ = begin()
    for _ in range(1200):
        spool.append(b"x")
    spool.append(b"y" * 5_000_000)
    spool.append(b"z" * 1_500_000)
    spool.append(b"z" * 1_500_000)
    desk.away = False
    wait_until(lambda: len(desk.stored) == 1203, "not all arrived")
    assert len(desk.batches) == 6  # 500, 500, 200, and one for each of the large ones


def test_a_batch_without_confirmation_is_sent_again(begin, desk, caplog):
    desk.confirms = False
    spool, shipper = begin()
    spool.append(b"one")
    wait_until(lambda: len(desk.batches) >= 2, "it was not sent again")
    assert set(desk.batches) == {desk.batches[0]}
    desk.confirms = True
    wait_until(lambda: desk.stored == [b"one"] and shipper.state().in_flight == 0, "it was given up")
    assert any("sent again" in message for message in caplog.messages)


def test_nothing_is_sent_again_while_the_broker_still_holds_plenty(begin, desk, monkeypatch):
    desk.confirms, desk.waiting = False, shipping.WINDOW + 1
    spool, shipper = begin()
    spool.append(b"one")
    wait_until(lambda: shipper.state().silent_s > 5 * shipping.RESEND_S, "time does not pass")
    assert len(desk.batches) == 1
    desk.waiting = 0
    wait_until(lambda: len(desk.batches) >= 2, "it was not sent again once the queue was short")


def test_the_number_of_batches_under_way_is_bounded(begin, desk, monkeypatch):
    monkeypatch.setattr(shipping, "RESEND_S", 3600.0)
    desk.confirms = False
    spool, shipper = begin()
    for _ in range(500 * (shipping.WINDOW + 8)):
        spool.append(b"x")
    wait_until(lambda: shipper.state().in_flight == shipping.WINDOW, "the window does not fill")
    wait_until(lambda: shipper.state().silent_s > 5 * shipping.TICK_S, "time does not pass")
    assert len(set(desk.batches)) == shipping.WINDOW


def test_a_broker_that_is_away_costs_nothing_but_time(begin, desk, caplog):
    desk.away = True
    spool, shipper = begin(segment_bytes=1000)
    for number in range(100):
        spool.append(b"%0100d" % number)
    wait_until(lambda: shipper.state().error is not None, "it does not notice")
    desk.away = False
    wait_until(lambda: len(desk.stored) == 100, "it does not recover")
    wait_until(lambda: shipper.state().error is None, "it still complains")
    assert sum("cannot be shipped" in message for message in caplog.messages) == 1
    assert sum("are shipped again" in message for message in caplog.messages) == 1


def test_a_bug_in_the_courier_does_not_end_the_thread(begin, desk):
    broken = Desk()
    broken.publish = None  # type: ignore[assignment, method-assign]
    spool, shipper = begin(broken)
    spool.append(b"one")
    wait_until(lambda: shipper.state().error is not None, "it does not notice")
    del broken.publish
    wait_until(lambda: broken.stored == [b"one"], "the thread is gone")


def test_closing_ships_the_rest_and_leaves_nothing(begin, desk, tmp_path):
    spool, shipper = begin()
    for number in range(700):
        spool.append(b"%d" % number)
    shipper.close()
    assert len(desk.stored) == 700
    assert list(tmp_path.iterdir()) == []
    assert desk.closed


def test_what_closing_cannot_ship_is_shipped_after_the_next_start(begin, desk, tmp_path):
    desk.away = True
    spool, shipper = begin()
    spool.append(b"one")
    shipper.close(timeout_s=0.2)
    assert len(files(tmp_path)) == 1
    desk.away = False
    _, second = begin()
    wait_until(lambda: desk.stored == [b"one"], "what was left is not shipped")
    wait_until(lambda: not spool.directory.exists(), "the old directory stays")
    assert second.state().adopted == 1


def test_only_one_sibling_adopts(begin, desk, tmp_path):
    dead = Spool(tmp_path, 10**9)
    for number in range(2000):
        dead.append(b"%d" % number)
    os.close(dead._lock_fd)  # what the kernel does for a killed process
    shippers = [begin()[1] for _ in range(4)]
    wait_until(lambda: len(desk.stored) >= 2000, "not shipped")
    wait_until(lambda: not dead.directory.exists(), "the directory stays")
    assert len(desk.stored) == 2000
    assert sum(shipper.state().adopted for shipper in shippers) == 1


def test_a_live_siblings_directory_is_left_alone(begin, desk, tmp_path):
    alive = Spool(tmp_path, 10**9)
    alive.append(b"mine")
    _, shipper = begin()
    begin()[0].append(b"other")
    wait_until(lambda: desk.stored == [b"other"], "not shipped")
    assert shipper.state().adopted == 0
    alive.close()


def test_a_torn_tail_and_a_damaged_middle_are_put_aside(begin, desk, tmp_path, caplog):
    dead = Spool(tmp_path, 10**9)
    for number in range(3):
        dead.append(b"%0100d" % number)
    path = dead.segments[0].path
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data[:-20])
    os.close(dead._lock_fd)
    begin()
    wait_until(lambda: not dead.directory.exists(), "the directory stays")
    assert desk.stored == [b"%0100d" % 0]
    kept = b"".join(path.read_bytes() for path in sorted((tmp_path / "damaged").iterdir()))
    assert kept == bytes(data[112:-20])


def test_a_segment_that_somebody_deleted_holds_nothing_up(begin, desk, tmp_path, caplog):
    desk.away = True
    spool, _ = begin(segment_bytes=1000)
    for number in range(20):
        spool.append(b"%0100d" % number)
    spool.segments[0].path.unlink()
    desk.away = False
    wait_until(lambda: len(desk.stored) == 11, "the others are not shipped")
    assert any("are lost" in message for message in caplog.messages)


def test_a_batch_survives_packing():
    from analytics.frames import frame

    data = frame(b"one") + frame(b"two")
    assert unpack(pack(data)) == [b"one", b"two"]


@pytest.mark.parametrize("payload", ["", "not base64!", "AAAA", pack(b"no frame")])
def test_what_is_no_batch_is_refused(payload):
    with pytest.raises(ValueError, match=r".+"):
        unpack(payload)


def test_after_somebody_clears_the_spool_away_new_records_are_safe(begin, desk, tmp_path, caplog):
    spool, _ = begin()
    spool.append(b"one")
    wait_until(lambda: desk.stored == [b"one"], "not shipped")
    shutil.rmtree(spool.directory)
    spool.append(b"lost")
    wait_until(lambda: any("are lost" in message for message in caplog.messages), "the loss is not said")
    wait_until(lambda: len(spool.segments) == 1 and spool.segments[0].path.exists(), "there is no new file")
    spool.append(b"two")
    wait_until(lambda: desk.stored == [b"one", b"two"], "not shipped")


def test_a_segment_that_grows_while_it_is_read_is_not_taken_for_a_damaged_one(tmp_path, monkeypatch):
    """Between the look at the file and the look at the size that it should have, the event loop may append."""
    spool = Spool(tmp_path, 10**9)
    spool.append(b"one")
    segment, stat = spool.segments[0], Path.stat

    def append_meanwhile(path, **options):
        found = stat(path, **options)
        spool.append(b"two")
        return found

    monkeypatch.setattr(Path, "stat", append_meanwhile)
    assert unpack(pack(next_stretch(segment).data)) == [b"one"]
    monkeypatch.undo()
    spool.close()
