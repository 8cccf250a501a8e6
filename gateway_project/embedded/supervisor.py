"""`manage.py up`: starts the whole product in one terminal, keeps it running, and stops it on one Ctrl-C.

This process stays small: it does not import Django. Everything that needs Django is a child.
"""

from __future__ import annotations

import argparse
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gateway_project.embedded import banner, liveness, ports, secret_files
from gateway_project.embedded.bootstrap import Bootstrap
from gateway_project.embedded.errors import StartError
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.postgres import Postgres
from gateway_project.embedded.process import Child, Spec, stop_all
from gateway_project.embedded.programs import BASE_DIR, Programs
from gateway_project.embedded.readiness import probe
from gateway_project.embedded.relay import Relay, Terminal
from gateway_project.embedded.valkey import Valkey
from gateway_project.embedded.watch import Watch
from gateway_project.env import EnvError, env_int, env_str, environment

_NAME = "gatehouse"
# A child that died this often before the product was ready will not get better by itself.
_HOPELESS_DEATHS = 4
_STILL_EVERY = 5.0
_OPEN_FILES = 65_536


class _StopRequested(Exception):
    """SIGINT, SIGTERM or SIGHUP came."""


class Supervisor:
    """One run of `manage.py up`."""

    def __init__(self, paths: Paths, terminal: Terminal) -> None:
        self._paths = paths
        self._terminal = terminal
        self._relay = Relay(paths.logs, terminal)
        self._watch = Watch(self.say)
        self._groups: list[list[Child]] = []  # in the order of their start; they stop in the opposite order
        self._bootstrap: Bootstrap | None = None
        self._signals: list[int] = []
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector = selectors.DefaultSelector()

    def say(self, text: str) -> None:
        self._terminal.line(_NAME, text)

    def run(self, listener: socket.socket, url: str, gateways: int) -> int:
        """Returns the exit code. Raises StartError where the start fails; everything has stopped then."""
        self._catch_signals()
        try:
            self._start(listener, url, gateways)
            self._wait(lambda: False, "")
        except _StopRequested:
            self.say("stopping; once more to stop at once")
        finally:
            self._stop()
        return 0

    def _start(self, listener: socket.socket, url: str, gateways: int) -> None:
        began = time.monotonic()
        secret_files.create_missing(self._paths)
        programs = Programs.of(self._paths, environment())
        # Together with the servers, because its imports take as long as they do, and because it finds bad settings early.
        self._bootstrap = Bootstrap(programs.bootstrap(), self._relay)
        self._start_servers()
        self._bootstrap.go()
        self._wait(self._bootstrap.done, "the database's set-up")
        facts = self._bootstrap.result()
        self.say(f"starting {gateways} gateway processes, worker and beat")
        self._start_group([programs.worker(), programs.beat()])
        self._start_group([programs.gateway(number, listener) for number in range(1, gateways + 1)])
        self._wait(lambda: probe(url).ready, "the gateway", lambda: probe(url).detail)
        self.say(f"ready after {time.monotonic() - began:.1f} s")
        self._terminal.block(banner.render(url, self._paths, facts))

    def _start_servers(self) -> None:
        if env_str("REDIS_URL") is None:
            valkey = Valkey(self._paths)
            self._start_group([valkey.prepare()])
            self._wait(valkey.ready, "Valkey")
        if env_str("DATABASE_URL") is None:
            postgres = Postgres(self._paths)
            if postgres.is_new():
                self.say("first start: PostgreSQL makes its data directory (some seconds)")
            self._start_group([postgres.prepare()])
            self._wait(postgres.ready, "PostgreSQL")
            postgres.create_database()

    def _start_group(self, specs: list[Spec]) -> None:
        group = [Child(spec, self._paths.pids, self._relay) for spec in specs]
        self._groups.append(group)
        for child in group:
            self._watch.start(child)

    def _wait(self, done: Callable[[], bool], what: str, detail: Callable[[], str] = str) -> None:
        """Until `done`: restarts what dies, and says what it is waiting for where that takes long.

        Raises _StopRequested, and StartError when a child keeps dying before the product was ready.
        """
        began = said = time.monotonic()
        while True:
            pause = self._watch.tick()
            if self._signals:
                raise _StopRequested
            if done():
                return
            if what:
                self._give_up_if_hopeless()
                pause = min(pause, 0.05)
                if time.monotonic() - said > _STILL_EVERY:
                    said = time.monotonic()
                    self.say(f"still waiting for {what} ({said - began:.0f} s) {detail()}".rstrip())
            self._sleep(pause)

    def _give_up_if_hopeless(self) -> None:
        if self._bootstrap is not None and self._bootstrap.done():
            self._bootstrap.result()
        worst = self._watch.worst()
        if worst is not None and worst[1] >= _HOPELESS_DEATHS:
            child = worst[0]
            raise StartError(banner.failure(child.name, child.tail()))

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, SIGCHLD included."""
        if self._selector.select(max(seconds, 0.0)):
            self._wake_reader.recv(4096)

    def _catch_signals(self) -> None:
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # it only has to wake the loop

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _stop(self) -> None:
        """Clients before servers: gateways, then worker and beat, then PostgreSQL, then Valkey."""
        self._watch.forget([child for group in self._groups for child in group])
        if self._bootstrap is not None:
            self._bootstrap.kill()
        for group in reversed(self._groups):
            stop_all(group, hurry=lambda: len(self._signals) > 1)
        self.say("stopped")


def _parse(argv: list[str]) -> None:
    argparse.ArgumentParser(
        prog="manage.py up",
        description="Start PostgreSQL, Valkey, the gateway, the worker and the scheduler; Ctrl-C stops them. "
        "Settings come from the environment: see README.md.",
    ).parse_args(argv)


def _raise_file_limit() -> None:
    """Each connection is a file, and many systems allow a process 1,024 unless it asks for more. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run(terminal: Terminal) -> int:
    data_dir = Path(env_str("GATEHOUSE_DATA_DIR", str(BASE_DIR / ".gatehouse"))).expanduser().resolve()
    host = env_str("GATEHOUSE_HOST", "127.0.0.1")
    port = env_int("PORT", 8787, minimum=1, maximum=65535)
    gateways = env_int("GATEHOUSE_WORKERS", 2, minimum=1, maximum=64)
    paths = Paths(data_dir)
    paths.create()
    url = ports.url(host, port)
    lock = liveness.UpLock(paths.lock, url)
    try:
        ended = liveness.end_leftovers(paths.pids)
        if ended:
            terminal.line(_NAME, f"ended what an earlier start left running: {', '.join(ended)}")
        listener = ports.listen(host, port)
        terminal.line(_NAME, f"starting in {data_dir}")
        return Supervisor(paths, terminal).run(listener, url, gateways)
    finally:
        lock.release()


def main(argv: list[str]) -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM, 1 where the start failed (the reason is the last thing printed)."""
    _parse(argv)
    os.umask(0o077)
    _raise_file_limit()
    terminal = Terminal()
    try:
        return _run(terminal)
    except (StartError, EnvError) as error:
        terminal.block(str(error))
        return 1
    finally:
        terminal.flush()
