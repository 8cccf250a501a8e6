"""What the processes write: kept in log files of bounded size, and shown on the terminal with the process's name."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, BinaryIO

from gateway_project.env import env_str

_ROTATE_BYTES = 5 * 1024 * 1024
_LONGEST_LINE = 64 * 1024
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)


class LogFile:
    """One log file that becomes ``<name>.1`` when it is full, so that a name never takes more than twice the limit."""

    def __init__(self, path: Path, limit: int = _ROTATE_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115 - lives as long as the process it belongs to

    def write(self, line: bytes) -> None:
        if self._file.tell() + len(line) > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        self._file.write(line)

    def close(self) -> None:
        self._file.close()


class Terminal:
    """Standard output behind a bounded queue: a terminal that stands still (Ctrl-S, a full pipe) must not stop a gateway
    that wants to write a log line. What does not fit is counted, and is in the log files anyway."""

    def __init__(self, *, visible: bool = True) -> None:
        self._visible = visible
        self._colour = visible and sys.stdout.isatty() and env_str("NO_COLOR") is None
        self._codes: dict[str, int] = {}
        self._lines: queue.Queue[str] = queue.Queue(maxsize=5000)
        self._missed = 0
        if visible:
            threading.Thread(target=self._print, name="terminal", daemon=True).start()

    def line(self, name: str, text: str) -> None:
        """A line with the name of who wrote it."""
        self.block(self._prefix(name) + text)

    def block(self, text: str) -> None:
        """Text that stands for itself, without a name before its lines."""
        if not self._visible:
            return
        try:
            self._lines.put_nowait(text + "\n")
        except queue.Full:
            self._missed += 1

    def flush(self, seconds: float = 2.0) -> None:
        """Waits until everything is written, but not for a terminal that stands still."""
        deadline = time.monotonic() + seconds
        while self._visible and self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _prefix(self, name: str) -> str:
        label = f"{name:<10} | "
        if not self._colour:
            return label
        code = self._codes.setdefault(name, _COLOURS[len(self._codes) % len(_COLOURS)])
        return f"\033[{code}m{label}\033[0m"

    def _print(self) -> None:
        while True:
            text = self._lines.get()
            missed, self._missed = self._missed, 0
            if missed:
                text = f"... {missed} lines not shown: see the log files\n{text}"
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except (OSError, ValueError):
                # The reader of our output went away (`make up | head`). The product goes on; the log files have it all.
                self._visible = False
                return
            finally:
                self._lines.task_done()


class Relay:
    """Reads a child's output to its end, in a thread of its own for each child."""

    def __init__(self, directory: Path, terminal: Terminal) -> None:
        self._directory = directory
        self._terminal = terminal
        self._tails: dict[str, deque[str]] = {}

    def attach(self, name: str, pipe: IO[bytes], *, until: str | None = None) -> threading.Thread:
        """`until`: from the line that begins so, nothing is shown on the terminal any more."""
        tail = self._tails.setdefault(name, deque(maxlen=40))
        thread = threading.Thread(target=self._read, args=(name, pipe, tail, until), name=f"relay {name}", daemon=True)
        thread.start()
        return thread

    def tail(self, name: str, count: int = 20) -> list[str]:
        """The last lines of a process, also after it has ended."""
        return list(self._tails.get(name, ()))[-count:]

    def _read(self, name: str, pipe: IO[bytes], tail: deque[str], until: str | None) -> None:
        log = LogFile(self._directory / f"{name}.log")
        broken, shown = False, True
        with pipe:
            while line := pipe.readline(_LONGEST_LINE):
                try:
                    log.write(time.strftime("%Y-%m-%dT%H:%M:%S ").encode() + line.rstrip(b"\n") + b"\n")
                except OSError as error:
                    # A full disk must not end the reading: the child would block on its pipe.
                    if not broken:
                        self._terminal.line(name, f"cannot write the log file: {error.strerror}")
                    broken = True
                text = line.decode(errors="replace").rstrip()
                tail.append(text)
                shown = shown and not (until is not None and text.startswith(until))
                if shown:
                    self._terminal.line(name, text)
        log.close()
