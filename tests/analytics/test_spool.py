from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest

from analytics import frames
from analytics.spool import LOCK, Spool


def stored(spool):
    """The records on disk, as a reader of the files sees them."""
    data = b"".join(path.read_bytes() for path in sorted(spool.directory.glob("*.spool")))
    return frames.payloads(data)


@pytest.fixture
def small_files():
    """Files may not grow past 1,000 bytes: the kernel then writes a part, and after that nothing."""
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old_limit[1]))

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)

    yield lift
    lift()
    signal.signal(signal.SIGXFSZ, old_handler)


def test_a_record_is_on_disk_when_append_returns(spool):
    spool.append(b"one")
    spool.append(b"two")
    assert stored(spool) == [b"one", b"two"]


def test_the_lock_is_held_while_the_spool_lives(tmp_path):
    spool = Spool(tmp_path, 10**9)
    with (spool.directory / LOCK).open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    spool.append(b"kept")
    spool.close()
    with (spool.directory / LOCK).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_empty_spool_leaves_nothing_behind(tmp_path):
    spool = Spool(tmp_path, 10**9)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_segments_roll_by_size(tmp_path):
    spool = Spool(tmp_path, 10**9, segment_bytes=100)
    for number in range(20):
        spool.append(b"%050d" % number)
    assert len(spool.segments) == 11
    assert [segment.sealed for segment in spool.segments] == [True] * 10 + [False]
    assert len(stored(spool)) == 20
    spool.close()


def test_a_segment_rolls_by_age_only_when_it_holds_something(spool):
    spool.roll()
    assert len(spool.segments) == 1
    spool.append(b"one")
    spool.roll(min_age_s=3600)
    assert len(spool.segments) == 1
    spool.roll()
    assert len(spool.segments) == 2


def test_the_sleeper_is_woken_once(spool):
    calls = []
    spool.wake = lambda: calls.append(1)
    spool.append(b"one")
    spool.append(b"two")
    assert calls == [1]


def test_a_full_disk_keeps_records_in_memory_and_writes_them_later(spool, small_files, caplog):
    for number in range(5):
        spool.append(b"%0300d" % number)
    state = spool.state()
    assert state.in_memory == 2
    assert state.disk_error is not None
    assert state.lost == 0
    assert spool.sheds_content
    # The record that was cut short left no torn end behind.
    assert [int(payload) for payload in stored(spool)] == [0, 1, 2]
    assert sum("cannot write" in message for message in caplog.messages) == 1

    spool.retry_memory()
    assert spool.state().in_memory == 2
    small_files()
    spool.retry_memory()
    assert [int(payload) for payload in stored(spool)] == [0, 1, 2, 3, 4]
    assert spool.state().disk_error is None
    spool.measure()
    assert not spool.sheds_content


def test_memory_is_bounded_and_losses_are_counted(tmp_path, small_files, caplog):
    spool = Spool(tmp_path, 10**9, memory_bytes=1000)
    for number in range(8):
        spool.append(b"%0300d" % number)
    assert spool.state().in_memory == 3
    assert spool.state().lost == 2
    assert any("lost" in message for message in caplog.messages)
    small_files()
    spool.close()


def test_a_file_that_cannot_be_cut_is_left_for_a_new_one(spool, small_files, monkeypatch):
    spool.append(b"%0300d" % 0)

    def refuse(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    for number in range(1, 5):
        spool.append(b"%0300d" % number)
    small_files()
    spool.retry_memory()
    assert len(spool.segments) == 2
    read = [
        int(span.payload)
        for segment in spool.segments
        for span in frames.spans(segment.path.read_bytes())
        if span.payload is not None
    ]
    assert read == [0, 1, 2, 3, 4]


def test_past_the_bound_bodies_are_shed_and_records_kept(tmp_path, caplog):
    spool = Spool(tmp_path, 2000, segment_bytes=500)
    for number in range(10):
        spool.append(b"%0300d" % number)
    assert spool.sheds_content
    assert len(stored(spool)) == 10
    assert sum("are left out of the log" in message for message in caplog.messages) == 1
    for segment in [segment for segment in spool.segments if segment.sealed]:
        segment.shipped = segment.size
        spool.forget(segment)
    assert not spool.sheds_content
    assert any("has room again" in message for message in caplog.messages)
    spool.close()


def test_a_siblings_bytes_count_towards_the_bound(tmp_path):
    one, two = Spool(tmp_path, 1000), Spool(tmp_path, 1000)
    one.append(b"x" * 2000)
    assert not two.sheds_content
    two.measure()
    assert two.sheds_content
    one.close()
    two.close()


def test_a_kill_after_append_loses_nothing(tmp_path):
    """The writer says each number once append has returned, and is killed in the middle of it."""
    program = textwrap.dedent("""
        import pathlib, sys
        from analytics.spool import Spool
        spool = Spool(pathlib.Path(sys.argv[1]), 10**9, segment_bytes=100_000)
        number = 0
        while True:
            spool.append(b"%0500d" % number)
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()
            number += 1
    """)
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        said: list[int] = []
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):
                said.append(int(line))
            if len(said) == 3000:
                process.kill()
    directory = next(path for path in tmp_path.iterdir())
    read = []
    for path in sorted(directory.glob("*.spool")):
        read += [int(span.payload) for span in frames.spans(path.read_bytes()) if span.payload is not None]
    assert read == list(range(len(read)))
    assert len(read) >= len(said)
