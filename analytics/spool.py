"""The spool: where a process keeps the records of finished calls until the database has them.

`Spool.append` runs on the event loop just before the caller gets the last bytes of an answer, so it must cost microseconds and
still survive what kills a process: it makes one `write` into a file opened for appending. The kernel has the record then, and
a `kill -9` cannot take it back; only the machine's own crash could, and an fsync per call against that would cost a thousand
times as much. All else (shipping, rolling by age, retrying) is the background thread's (analytics/shipper.py).

    <root>/<process>/lock            held (flock) while the process lives; the kernel frees it when it dies
    <root>/<process>/<number>.spool  segments, oldest first; the last one is being appended to
    <root>/damaged/                  stretches of segments that could not be read, kept for people to look at

A disk that is full never fails a call: the torn end of the file is cut off and the record waits in memory, within bounds, until
the background thread can write it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from analytics import frames

logger = logging.getLogger(__name__)

LOCK = "lock"
SUFFIX = ".spool"
DAMAGED = "damaged"
# A directory has this prefix until its lock is held, so that nobody takes it for a dead process's.
NEWBORN = ".new-"
SEGMENT_BYTES = 8 * 1024 * 1024
MEMORY_BYTES = 32 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Segment:
    """One file of frames. `size` counts its whole frames; a sealed one grows no more.

    `shipped` is how far the shipper has read, `waiting` how many of its batches the database has not confirmed yet.
    """

    path: Path
    size: int = 0
    sealed: bool = False
    shipped: int = 0
    waiting: int = 0
    opened: float = field(default_factory=time.monotonic)

    @property
    def finished(self) -> bool:
        """Whether the database has all of it."""
        return self.sealed and self.shipped >= self.size and self.waiting == 0


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What /ready and metrics show. `used_bytes` counts the whole spool directory, siblings included.

    `in_memory` records wait for the disk; `lost` ones did not fit into memory either. `shed` counts the records that went
    without their bodies because the spool was full.
    """

    used_bytes: int
    max_bytes: int
    sheds_content: bool
    disk_error: str | None
    in_memory: int
    lost: int
    shed: int


class Spool:
    """The spool of one process. `append` belongs to the event loop, everything else to the background thread."""

    def __init__(
        self, root: Path, max_bytes: int, segment_bytes: int = SEGMENT_BYTES, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._memory_bytes = memory_bytes
        self.directory, self._lock_fd = _claim(root)
        # Guards what append and the background thread both touch: the file in use, its size and the records in memory.
        self._mutex = threading.Lock()
        self._number = 0
        self._fd = -1
        self._own_bytes = 0
        self._other_bytes = 0
        self._memory: deque[bytes] = deque()
        self._memory_used = 0
        self._disk_error: str | None = None
        self._lost = 0
        self._closed = False
        self._shed = 0
        self.segments: list[Segment] = []
        # True past the bound, or while the disk refuses: the recorder then leaves bodies out.
        self.sheds_content = False
        # Set by the background thread before it sleeps; called once by the next append.
        self.wake: Callable[[], None] | None = None
        self._open()

    def append(self, record: bytes) -> None:
        """Keeps one record. Never raises for a disk's sake and never waits for one."""
        framed = frames.frame(record)
        with self._mutex:
            if self._memory or not self._write(framed):
                self._remember(framed)
            elif self.segments[-1].size >= self._segment_bytes:
                self._roll()
        wake = self.wake
        if wake is not None:
            self.wake = None
            wake()

    def count_shed(self) -> None:
        """Notes that a record went without its bodies."""
        self._shed += 1

    def roll(self, min_age_s: float = 0.0) -> None:
        """Seals the segment in use when it holds something and is at least so old."""
        with self._mutex:
            segment = self.segments[-1]
            if self._closed:
                return
            if segment.size and time.monotonic() - segment.opened >= min_age_s:
                self._roll()

    def retry_memory(self) -> None:
        """Writes the records that wait in memory, as many as the disk takes."""
        while self._memory:
            with self._mutex:
                if self._closed:
                    return
                if self._fd < 0:
                    self._reopen()
                if self._fd < 0 or not self._write(self._memory[0]):
                    return
                self._memory_used -= len(self._memory.popleft())
                if self.segments[-1].size >= self._segment_bytes:
                    self._roll()
        if self._disk_error is not None:
            logger.warning("the spool's disk works again: no record waits in memory any more")
            self._disk_error = None

    def measure(self) -> None:
        """Looks at how full the whole spool directory is. Run it now and then: siblings write there too."""
        self._other_bytes = directory_bytes(self.root) - directory_bytes(self.directory)
        with self._mutex:
            self._judge()

    def forget(self, segment: Segment) -> None:
        """Deletes a finished segment's file."""
        segment.path.unlink(missing_ok=True)
        with self._mutex:
            self.segments.remove(segment)
            self._own_bytes -= segment.size
            self._judge()

    @property
    def has_memory(self) -> bool:
        """Whether records wait for the disk."""
        return bool(self._memory)

    def state(self) -> SpoolState:
        return SpoolState(
            used_bytes=self._own_bytes + self._other_bytes,
            max_bytes=self._max_bytes,
            sheds_content=self.sheds_content,
            disk_error=self._disk_error,
            in_memory=len(self._memory),
            lost=self._lost,
            shed=self._shed,
        )

    def close(self) -> None:
        """Ends the spool. What is left in its files is shipped by a sibling, or after the next start."""
        self.retry_memory()
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            if self._memory:
                logger.critical("%d log records are lost: the disk does not take them and the process ends", len(self._memory))
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
        for segment in [segment for segment in self.segments if not segment.size]:
            segment.path.unlink(missing_ok=True)
            self.segments.remove(segment)
        if not self.segments:
            remove_directory(self.directory)
        os.close(self._lock_fd)

    def _write(self, framed: bytes) -> bool:
        """One frame into the file, whole or not at all. Needs the mutex."""
        if self._fd < 0:
            return False
        segment = self.segments[-1]
        try:
            written = os.write(self._fd, framed)
        except OSError as error:
            self._complain(error.strerror or str(error))
            return False
        if written != len(framed):
            self._complain(f"only {written} of {len(framed)} bytes were written")
            self._cut(segment)
            return False
        segment.size += written
        self._own_bytes += written
        if self._own_bytes + self._other_bytes > self._max_bytes and not self.sheds_content:
            self._judge()
        return True

    def _cut(self, segment: Segment) -> None:
        """Takes the torn end off; where even that fails, nothing more may follow it in this file."""
        try:
            os.ftruncate(self._fd, segment.size)
        except OSError as error:
            self._complain(f"a torn record could not be cut off: {error.strerror}")
            os.close(self._fd)
            self._fd = -1
            segment.sealed = True

    def _remember(self, framed: bytes) -> None:
        if self._memory_used + len(framed) > self._memory_bytes:
            self._lost += 1
            if self._lost == 1 or self._lost % 1000 == 0:
                logger.critical("%d log records are lost: the disk takes none and the memory kept for them is full", self._lost)
            return
        self._memory.append(framed)
        self._memory_used += len(framed)
        self._judge()

    def _complain(self, reason: str) -> None:
        """Says once that the disk has begun to refuse."""
        if self._disk_error is None:
            logger.error("the spool cannot write to %s (%s): records wait in memory", self.directory, reason)
        self._disk_error = reason

    def _judge(self) -> None:
        """Decides whether bodies are left out, and says so when that changes."""
        used = self._own_bytes + self._other_bytes
        full = used > self._max_bytes or bool(self._memory)
        if full and not self.sheds_content:
            logger.error(
                "the spool holds %d of %d bytes%s: requests and answers are left out of the log until it empties",
                used,
                self._max_bytes,
                " and the disk refuses more" if self._memory else "",
            )
        elif not full and self.sheds_content:
            logger.warning("the spool has room again: requests and answers are logged")
        self.sheds_content = full

    def _roll(self) -> None:
        """Seals the file in use and opens the next. Where that fails the old one goes on. Needs the mutex."""
        old = self._fd
        try:
            self._open()
        except OSError as error:
            self._complain(error.strerror or str(error))
            return
        self.segments[-2].sealed = True
        os.close(old)

    def _reopen(self) -> None:
        try:
            self._open()
        except OSError as error:
            self._complain(error.strerror or str(error))

    def _open(self) -> None:
        path = self.directory / f"{self._number + 1:08d}{SUFFIX}"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have cleared the spool away
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._number += 1
        self.segments.append(Segment(path))


def _claim(root: Path) -> tuple[Path, int]:
    """A new directory of our own, its lock held."""
    name = str(uuid.uuid4())
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    newborn = root / f"{NEWBORN}{name}"
    newborn.mkdir(mode=0o700)
    lock_fd = os.open(newborn / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock_fd, fcntl.LOCK_EX)
    newborn.rename(root / name)
    return root / name, lock_fd


def directory_bytes(directory: Path) -> int:
    """The bytes of all files below; what vanishes meanwhile counts as nothing."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # a sibling has just shipped it
    return total


def remove_directory(directory: Path) -> None:
    """Removes a process's directory, which must be locked by us and hold nothing that is not yet in the database.

    The lock file goes last: a directory with segments has one.
    """
    for path in sorted(directory.iterdir(), key=lambda path: path.name == LOCK):
        path.unlink(missing_ok=True)
    directory.rmdir()
