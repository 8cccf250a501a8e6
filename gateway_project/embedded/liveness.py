"""Who is alive: locks that the kernel releases when their holder dies.

A process id alone proves nothing: after a crash it may belong to somebody else. A lock on an open file does, because it goes
when the last process that holds the file goes. So every child inherits its locked file ``pids/<name>``, and the supervisor
holds ``up.lock``.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from gateway_project.embedded.errors import StartError


def _lock(path: Path) -> int | None:
    """An open descriptor with the lock on `path`, or None while another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take(path: Path) -> int:
    """The descriptor to hand to a child; the lock lives as long as the child and its own children.

    Raises BlockingIOError while an earlier process of that name still has it.
    """
    descriptor = _lock(path)
    if descriptor is None:
        raise BlockingIOError(f"{path.name} is still held by process {_pid(path) or 'unknown'}")
    return descriptor


def _pid(path: Path) -> int | None:
    text = path.read_text(encoding="ascii").strip()
    return int(text) if text.isdigit() else None


def _free(path: Path) -> bool:
    descriptor = _lock(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def leftovers(directory: Path) -> list[tuple[str, int | None]]:
    """Name and pid of the processes of an earlier supervisor that still live."""
    return [(path.name, _pid(path)) for path in sorted(directory.iterdir()) if not _free(path)]


def end_leftovers(directory: Path, *, seconds: float = 10.0) -> list[str]:
    """Ends what an earlier, killed supervisor left running, and says whom. Raises StartError for one that does not go."""
    found = [name for name, _ in leftovers(directory)]
    for number in (signal.SIGINT, signal.SIGKILL):  # SIGINT is PostgreSQL's fast shutdown; the others stop on it too
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        while time.monotonic() < deadline:
            alive = leftovers(directory)
            if not alive:
                return found
            for _, pid in alive:
                if pid is not None and pid not in told:
                    told.add(pid)
                    _signal(pid, number)
            time.sleep(0.05)
    stuck = ", ".join(f"{name} (pid {pid})" for name, pid in leftovers(directory))
    raise StartError(f"processes of an earlier start do not end: {stuck}")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it went by itself; its own children may hold the lock a moment longer


class UpLock:
    """The right to run the data directory, held by one supervisor at a time."""

    def __init__(self, path: Path, address: str) -> None:
        """Raises StartError, naming the holder, when another supervisor has it."""
        self._path = path
        descriptor = _lock(path)
        if descriptor is None:
            raise StartError(f"another `make up` ({self._describe()}) holds {path.parent}")
        self._descriptor = descriptor
        facts = {"pid": os.getpid(), "address": address, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)

    def _describe(self) -> str:
        try:
            facts: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError:
            return "it is just starting"
        return f"pid {facts['pid']}, {facts['address']}, since {facts['since']}"

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
