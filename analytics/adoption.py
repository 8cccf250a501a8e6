"""What dead processes left in the spool directory, taken over by a live one.

A directory whose lock can be taken has no owner any more. Whoever holds the lock ships its segments and then removes it; of
several live processes only one gets it, and should that one die as well, the lock is free again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from analytics.spool import DAMAGED, LOCK, NEWBORN, SUFFIX, Segment, remove_directory

logger = logging.getLogger(__name__)

# A process that dies within the microseconds of its directory's birth leaves an empty one behind.
_STILLBORN_S = 3600.0


@dataclass(eq=False, slots=True)
class _Orphan:
    directory: Path
    lock_fd: int
    segments: list[Segment] = field(default_factory=list)


class Orphans:
    """The directories that this process has adopted. `adopted` counts them over its life."""

    def __init__(self, root: Path, own: Path) -> None:
        self._root = root
        self._own = own
        self._held: dict[Path, _Orphan] = {}
        self._refused: set[Path] = set()
        self.adopted = 0

    def adopt(self) -> None:
        """Takes every directory that nobody holds."""
        for directory in sorted(self._root.iterdir()):
            if directory == self._own or directory in self._held or directory.name == DAMAGED or not directory.is_dir():
                continue
            try:
                self._adopt(directory)
            except OSError as error:
                if directory not in self._refused:
                    logger.error("the log records left in %s cannot be shipped: %s", directory, error)
                self._refused.add(directory)

    def segments(self) -> list[Segment]:
        return [segment for orphan in self._held.values() for segment in orphan.segments]

    def clean(self) -> None:
        """Deletes what the database has, and a directory with its last segment."""
        for orphan in list(self._held.values()):
            for segment in [segment for segment in orphan.segments if segment.finished]:
                segment.path.unlink(missing_ok=True)
                orphan.segments.remove(segment)
            if not orphan.segments:
                remove_directory(orphan.directory)
                os.close(orphan.lock_fd)
                del self._held[orphan.directory]
                logger.info("all log records of the ended process %s are in the database", orphan.directory.name)

    def release(self) -> None:
        """Lets go of what is not shipped yet, for a sibling or the next start."""
        for orphan in self._held.values():
            os.close(orphan.lock_fd)
        self._held.clear()

    def _adopt(self, directory: Path) -> None:
        if directory.name.startswith(NEWBORN):
            if time.time() - directory.stat().st_mtime > _STILLBORN_S:
                remove_directory(directory)
            return
        lock_fd = _lock(directory)
        if lock_fd is None:
            return
        segments = [Segment(path, path.stat().st_size, sealed=True) for path in sorted(directory.glob(f"*{SUFFIX}"))]
        self._held[directory] = _Orphan(directory, lock_fd, segments)
        self.adopted += 1
        logger.info("shipping what the ended process %s left: %d files", directory.name, len(segments))


def _lock(directory: Path) -> int | None:
    """The directory's lock, or None where its owner lives or a sibling was faster."""
    path = directory / LOCK
    try:
        # Somebody may have deleted the lock file of a directory that still holds records.
        flags = os.O_RDWR | (os.O_CREAT if any(directory.glob(f"*{SUFFIX}")) else 0)
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        return None  # a sibling is removing it this moment
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # alive, or removed by a sibling between the two calls above
    os.close(descriptor)
    return None
