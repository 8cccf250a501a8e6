"""Ships the spool's records to the ingest task, until the database has them.

One background thread a process. Every 100 ms it sends what is new in batches (analytics/stretches.py), and looks which earlier
batches the ingest has confirmed. A batch is confirmed only once its transaction is committed; without that it is sent again, so
a broker that forgets costs time and not records (the ingest ignores what it already has). A segment file goes when it grows no
more and every record of it is confirmed. The thread also adopts the directories of dead processes, whose locks it can take.

While there is nothing to do it sleeps until the next append wakes it.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from analytics import frames
from analytics.adoption import Orphans
from analytics.ids import uuid7
from analytics.stretches import SegmentGoneError, next_stretch, read, set_aside

if TYPE_CHECKING:
    from analytics.spool import Segment, Spool, SpoolState

logger = logging.getLogger(__name__)

TICK_S = 0.1
# How many batches may be on their way at once: what bounds the broker's memory while no worker runs.
WINDOW = 32
RESEND_S = 10.0
RESEND_MAX_S = 300.0
BACK_OFF_MAX_S = 10.0
# An idle spool's segment is sealed after this, so that its file can go.
SEGMENT_AGE_S = 30.0
PATROL_S = 15.0
CLOSE_S = 2.0


class CourierError(Exception):
    """The broker, or the place where confirmations lie, does not answer."""


class Courier(Protocol):
    """The way to the ingest and back. Every method may take seconds and raises `CourierError` when the other side is away."""

    def publish(self, batch_id: str, payload: str) -> None: ...
    def confirmed(self, batch_ids: list[str]) -> set[str]: ...
    def backlog(self) -> int: ...
    def announce(self, process: str, state: SpoolState) -> None: ...
    def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class Batch:
    """A stretch of a segment on its way to the database. It is read again from the file when it must be sent again."""

    id: str
    segment: Segment
    start: int
    end: int
    patience_s: float
    sent_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ShipperState:
    """What /ready and metrics show. `in_flight` counts batches without confirmation, `error` is what the broker said last.

    `silent_s` is how long nothing was confirmed although something is on its way: high when no worker runs.
    """

    in_flight: int
    error: str | None
    silent_s: float
    adopted: int


def pack(data: bytes) -> str:
    """A batch as a task carries it: whole frames, compressed, as text."""
    return base64.b64encode(zlib.compress(data, 1)).decode("ascii")


def unpack(payload: str) -> list[bytes]:
    """The records of a batch. Raises ValueError when it is not one."""
    try:
        data = zlib.decompress(base64.b64decode(payload, validate=True))
    except zlib.error as error:
        raise ValueError(f"the batch cannot be decompressed: {error}") from error
    return frames.payloads(data)


class Shipper:
    """Ships one spool. `start` and `close` belong to the process; all else happens on the thread between them."""

    def __init__(self, spool: Spool, courier: Courier | None = None) -> None:
        self._spool = spool
        self._courier = courier
        self._orphans = Orphans(spool.root, own=spool.directory)
        self._batches: list[Batch] = []
        self._awake = threading.Event()
        self._closing = False
        self._close_by = 0.0
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)
        self._error: str | None = None
        self._back_off_s = 0.0
        self._retry_at = 0.0
        self._heard_at = time.monotonic()
        self._next_patrol = 0.0
        self._is_told = False

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Ships what it can in that time and ends the spool; the rest is shipped by a sibling or after the next start."""
        if self._closing:
            return
        self._close_by = time.monotonic() + timeout_s
        self._closing = True
        self._awake.set()
        if self._thread.ident is not None:
            # Past the deadline only a call to the broker that hangs can hold it; its socket time-out ends that.
            self._thread.join(timeout_s + 1.0)
        self._orphans.release()
        self._spool.close()

    def state(self) -> ShipperState:
        waiting = len(self._batches)
        silent = time.monotonic() - self._heard_at if waiting else 0.0
        return ShipperState(in_flight=waiting, error=self._error, silent_s=silent, adopted=self._orphans.adopted)

    def _run(self) -> None:
        courier = self._courier or _celery_courier()
        try:
            while not self._closing:
                self._guarded_step(courier)
                self._sleep()
            self._finish(courier)
        finally:
            courier.close()

    def _finish(self, courier: Courier) -> None:
        """The last seconds: everything is sent, and its confirmation waited for."""
        self._spool.roll()
        self._retry_at = 0.0
        while time.monotonic() < self._close_by:
            self._guarded_step(courier)
            if self._error is not None or not self._pending():
                return
            time.sleep(TICK_S / 2)

    def _guarded_step(self, courier: Courier) -> None:
        """A step that outlives every failure: a dead shipper would fill the disk without a word."""
        try:
            self._step(courier)
        except Exception as error:  # noqa: BLE001 - said loudly, and tried again
            self._stumble(error)

    def _step(self, courier: Courier) -> None:
        self._spool.retry_memory()
        self._patrol()
        if time.monotonic() < self._retry_at:
            return
        self._tell(courier)
        self._confirm(courier)
        self._resend(courier)
        for segment in self._segments():
            self._ship(segment, courier)
        if self._error is not None:
            logger.warning("log records are shipped again")
            self._error, self._back_off_s = None, 0.0
        self._clean()

    def _tell(self, courier: Courier) -> None:
        """After each patrol everybody may know how full the spool is: alerts read it."""
        if not self._is_told:
            courier.announce(self._spool.directory.name, self._spool.state())
            self._is_told = True

    def _ship(self, segment: Segment, courier: Courier) -> None:
        """Sends what is new in a segment, as long as the window has room."""
        while segment.shipped < segment.size and len(self._batches) < WINDOW:
            try:
                stretch = next_stretch(segment)
            except SegmentGoneError as error:
                logger.critical("log records are lost: %s", error)
                self._spool.roll()  # if it was the one in use, at least what comes now is safe
                segment.shipped = segment.size
                return
            if stretch.damaged:
                set_aside(segment, stretch)
            else:
                batch = Batch(uuid7(), segment, stretch.start, stretch.end, RESEND_S)
                self._publish(batch, stretch.data, courier)
                self._batches.append(batch)
                segment.waiting += 1
            segment.shipped = stretch.end

    def _publish(self, batch: Batch, data: bytes, courier: Courier) -> None:
        if not self._batches:
            self._heard_at = time.monotonic()
        courier.publish(batch.id, pack(data))
        batch.sent_at = time.monotonic()

    def _confirm(self, courier: Courier) -> None:
        if not self._batches:
            return
        done = courier.confirmed([batch.id for batch in self._batches])
        if not done:
            return
        self._heard_at = time.monotonic()
        for batch in [batch for batch in self._batches if batch.id in done]:
            self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        batch.segment.waiting -= 1
        self._batches.remove(batch)

    def _resend(self, courier: Courier) -> None:
        """Sends again what was not confirmed in time, unless the broker still holds so much that it is only waiting there."""
        now = time.monotonic()
        late = [batch for batch in self._batches if now - batch.sent_at > batch.patience_s]
        if not late or courier.backlog() > WINDOW:
            return
        logger.warning("%d batches of log records were not confirmed in time and are sent again", len(late))
        for batch in late:
            try:
                data = read(batch.segment, batch.start, batch.end)
            except SegmentGoneError as error:
                logger.critical("log records may be lost, their batch was not confirmed: %s", error)
                self._drop(batch)
                continue
            self._publish(batch, data, courier)
            batch.patience_s = min(batch.patience_s * 2, RESEND_MAX_S)

    def _patrol(self) -> None:
        """Now and then: how full is the spool, does an idle segment lie around, did a sibling die."""
        now = time.monotonic()
        if now < self._next_patrol:
            return
        self._next_patrol = now + PATROL_S
        self._spool.measure()
        self._spool.roll(SEGMENT_AGE_S)
        self._orphans.adopt()
        self._is_told = False

    def _clean(self) -> None:
        for segment in [segment for segment in self._spool.segments if segment.finished]:
            self._spool.forget(segment)
        self._orphans.clean()

    def _segments(self) -> list[Segment]:
        # One's own first: what an ended process left is old already.
        return [*self._spool.segments, *self._orphans.segments()]

    def _pending(self) -> bool:
        return any(segment.waiting or segment.shipped < segment.size for segment in self._segments())

    def _stumble(self, error: Exception) -> None:
        """Says a failure, once until it is over, and notes when to try again."""
        if self._error is None:
            trace = None if isinstance(error, CourierError) else error
            logger.error("log records cannot be shipped and stay in the spool: %s", error, exc_info=trace)
        self._error = str(error) or type(error).__name__
        self._back_off_s = min(max(self._back_off_s * 2, TICK_S * 2), BACK_OFF_MAX_S)
        self._retry_at = time.monotonic() + self._back_off_s

    def _sleep(self) -> None:
        """Until the next tick while something is under way, else until the next append or patrol."""
        if self._error is not None:
            self._awake.wait(max(self._retry_at - time.monotonic(), TICK_S))
            return
        if self._pending() or self._spool.has_memory:
            self._awake.wait(TICK_S)
            return
        self._spool.wake = self._awake.set
        if not self._pending():  # an append may have come before `wake` was set
            self._awake.wait(max(self._next_patrol - time.monotonic(), TICK_S))
        self._spool.wake = None
        if not self._closing:
            self._awake.clear()
            if self._pending():
                # Woken by the first record of a burst: the tick lets the others join its batch.
                self._awake.wait(TICK_S)


def _celery_courier() -> Courier:
    # Imported here, on the thread: Celery takes a third of a second to import, and tests of the shipper do without it.
    from analytics.courier import CeleryCourier

    return CeleryCourier()
