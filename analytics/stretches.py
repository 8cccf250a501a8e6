"""Reading a segment: the next stretch of whole frames that makes a batch, or of bytes that no frame can be read from."""

from __future__ import annotations

import logging
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics import frames
from analytics.spool import DAMAGED

if TYPE_CHECKING:
    from analytics.spool import Segment

logger = logging.getLogger(__name__)

BATCH_RECORDS = 500
BATCH_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes `start` to `end` of a segment."""

    start: int
    end: int
    data: bytes
    damaged: bool = False


class SegmentGoneError(Exception):
    """A segment's file is not there any more, or shorter than what was written to it."""


def next_stretch(segment: Segment) -> Stretch:
    """What comes after the part already shipped: at most a batch, and at least one record or one damaged stretch.

    Raises `SegmentGoneError`.
    """
    start = end = segment.shipped
    size = segment.size  # read once: it grows while we look
    _check(segment, size)
    with segment.path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
        for number, span in enumerate(frames.spans(data, start, size)):
            if number and (span.payload is None or number >= BATCH_RECORDS or span.end - start > BATCH_BYTES):
                break
            end = span.end
            if span.payload is None:
                return Stretch(start, end, data[start:end], damaged=True)
        return Stretch(start, end, data[start:end])


def read(segment: Segment, start: int, end: int) -> bytes:
    """Raises `SegmentGoneError`."""
    _check(segment, end)
    with segment.path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _check(segment: Segment, expected: int) -> None:
    try:
        size = segment.path.stat().st_size
    except FileNotFoundError as error:
        raise SegmentGoneError(f"{segment.path} was deleted by somebody else") from error
    if size < expected:
        raise SegmentGoneError(f"{segment.path} was cut to {size} bytes by somebody else")


def set_aside(segment: Segment, stretch: Stretch) -> None:
    """Keeps damaged bytes for people to look at. At a segment's end they are the record that a killed process was writing.

    No caller has got the answer that such a torn record was about: it is written whole before the answer's last bytes leave.
    """
    if stretch.end == segment.size:
        logger.warning("%s ends in %d bytes of a record that was never finished", segment.path, len(stretch.data))
    else:
        logger.error("%s is damaged: bytes %d to %d hold no record", segment.path, stretch.start, stretch.end)
    directory = segment.path.parent.parent / DAMAGED
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / f"{segment.path.parent.name}-{segment.path.stem}-{stretch.start}").write_bytes(stretch.data)
