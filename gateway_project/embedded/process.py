"""One child process: its start, its end, and what it leaves behind for the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway_project.embedded import liveness
from gateway_project.embedded.relay import Relay

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that a program runs as, in the words of `launch.py`; `owner` is who its files must belong to."""

    text: str = "same"
    owner: int = field(default_factory=os.geteuid)


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything needed to start one program."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    pass_fds: tuple[int, ...] = ()
    identity: Identity = field(default_factory=Identity)
    # Called before each start, when it is certain that no earlier process of that name lives.
    before_start: Callable[[], None] | None = None


def launch(
    spec: Spec, *, lock: int = -1, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Starts the program through `launch.py`, in a session of its own, so that the terminal's Ctrl-C does not reach it.

    From the main thread only: the kernel ties a child's death signal to the thread that started it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread")
    python = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    return subprocess.Popen(
        [*python, str(os.getpid()), str(int(spec.stop_signal)), str(lock), spec.identity.text, *spec.argv],
        env=dict(spec.env),
        cwd=spec.cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout == subprocess.PIPE else subprocess.PIPE,
        pass_fds=(*spec.pass_fds, lock) if lock >= 0 else spec.pass_fds,
        start_new_session=True,
    )


class Child:
    """A program that is meant to keep running. It can be started again after it has ended."""

    def __init__(self, spec: Spec, pids: Path, relay: Relay) -> None:
        self.spec = spec
        self._pids = pids
        self._relay = relay
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int:
        """The process id; raises RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    def start(self) -> None:
        """Raises BlockingIOError while what is left of an earlier process of that name has not ended."""
        lock = liveness.take(self._pids / self.name)
        try:
            if self.spec.before_start is not None:
                self.spec.before_start()
            self._process = launch(self.spec, lock=lock)
        finally:
            os.close(lock)
        if self._process.stdout is None:
            raise RuntimeError("started without a pipe")
        self._reader = self._relay.attach(self.name, self._process.stdout)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ending(self) -> str:
        """How the process ended, in words."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "is running"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def signal(self, number: signal.Signals) -> None:
        """To a running process; nothing happens when it has ended already."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time, its last lines read."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._reader is not None:
            self._reader.join(1.0)
        return True

    def stop(self) -> None:
        """Asks the process to end, and kills it where it does not within its time."""
        stop_all([self])

    def tail(self, count: int = 20) -> list[str]:
        return self._relay.tail(self.name, count)


def stop_all(children: list[Child], hurry: Callable[[], bool] = bool) -> None:
    """Asks all of them to end, then waits; one that takes too long is killed, and every one as soon as `hurry` says so."""
    for child in children:
        child.signal(child.spec.stop_signal)
    for child in children:
        deadline = time.monotonic() + child.spec.stop_seconds
        while not child.wait(0.1):
            if hurry() or time.monotonic() > deadline:
                child.signal(signal.SIGKILL)
                child.wait(10.0)
                break
