"""Real servers and the real product, for tests.

`EmbeddedServers` is a PostgreSQL and a Valkey in a directory of its own, which a test may kill. `Servers` is the pair that the
whole test run shares (fixture `servers`). `Gatehouse` is the product as users run it: bootstrap, gateway processes, worker.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from gateway_project.embedded import identity, ports
from gateway_project.embedded.bootstrap import Bootstrap
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.postgres import FAST_SETTINGS, Postgres
from gateway_project.embedded.process import Child, Identity, Spec, stop_all
from gateway_project.embedded.programs import Programs
from gateway_project.embedded.readiness import probe
from gateway_project.embedded.relay import Relay, Terminal
from gateway_project.embedded.valkey import Valkey
from gateway_project.env import environment

# Redis databases 0 to 31 belong to the run itself (one for each pytest-xdist worker); `new_redis_url` gives the others.
REDIS_DATABASES = 512
_FIRST_NEW = 32


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = 20.0) -> None:
    """Polls until `condition` is true. Raises AssertionError, with `what` was missing, when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:.0f} s: {what}")
        time.sleep(0.02)


class Servers:
    """A running PostgreSQL and Valkey, and how to get an empty place in them."""

    def __init__(self, directory: Path, *, root_choices: tuple[Callable[[], Identity], ...] = identity.ROOT_CHOICES) -> None:
        self.paths = Paths(directory)
        self.postgres = Postgres(self.paths, settings=FAST_SETTINGS, root_choices=root_choices)

    @property
    def database_url(self) -> str:
        return self.paths.database_url

    @property
    def redis_url(self) -> str:
        return self.paths.redis_url

    def new_database_url(self, name: str) -> str:
        """An empty database with the extension `vector`; one that a test left under that name is dropped."""
        self.postgres.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);\nCREATE DATABASE "{name}";\n')
        self.postgres.sql("SET client_min_messages = error; CREATE EXTENSION vector;", database=name)
        return self.database_url.replace("/gatehouse?", f"/{name}?")

    def new_redis_url(self) -> str:
        """An empty Redis database that nobody else in this run uses."""
        with redis.Redis.from_url(self.redis_url) as client:
            number = _FIRST_NEW + client.incr("tests:databases") % (REDIS_DATABASES - _FIRST_NEW)
        url = self.redis_url.replace("?db=0", f"?db={number}")
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


class EmbeddedServers(Servers):
    """Servers of one's own. Start them with `start` or `with`; from the main thread only."""

    def __init__(self, directory: Path, *, root_choices: tuple[Callable[[], Identity], ...] = identity.ROOT_CHOICES) -> None:
        super().__init__(directory, root_choices=root_choices)
        self._valkey = Valkey(self.paths, databases=REDIS_DATABASES)
        self._children: dict[str, Child] = {}

    def start(self) -> Self:
        self.paths.create()
        relay = Relay(self.paths.logs, Terminal(visible=False))
        try:
            for spec in (self._valkey.prepare(), self.postgres.prepare()):
                self._children[spec.name] = Child(spec, self.paths.pids, relay)
                self._children[spec.name].start()
            self._wait_ready()
            self.postgres.create_database()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        stop_all(list(self._children.values()))

    def kill(self, name: str) -> None:
        """SIGKILL to "postgres" or "valkey"; returns when it is gone."""
        self._children[name].signal(signal.SIGKILL)
        self._children[name].wait(10)

    def pause(self, name: str) -> None:
        """SIGSTOP to the server process: it keeps its connections and answers nothing, until `resume`."""
        self._children[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._children[name].signal(signal.SIGCONT)

    def restart(self, name: str) -> None:
        """Starts it again, after `kill` or without; returns when it accepts connections."""
        _start_again(self._children[name])
        self._wait_ready()

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def _wait_ready(self) -> None:
        logs = {name: child.tail() for name, child in self._children.items()}
        wait_until(lambda: self.postgres.ready() and self._valkey.ready(), f"the servers are not ready: {logs}", seconds=60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class Gatehouse:
    """The product, with a database and a data directory of its own. Start it with `start` or `with`.

    Its processes have the names "gateway.1" ..., "worker" and "beat". Nothing restarts one that dies, so that a test decides
    when it comes back.
    """

    def __init__(
        self,
        directory: Path,
        servers: Servers,
        *,
        gateways: int = 1,
        worker: bool = True,
        beat: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.paths = Paths(directory)
        self.paths.create()
        self._listener = ports.listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        database = f"product_{os.getpid()}_{self.port}"
        self.env = {
            **environment(),
            "GATEHOUSE_HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": servers.new_database_url(database),
            "REDIS_URL": servers.new_redis_url(),
            "GATEHOUSE_ADMIN_EMAIL": "admin@example.com",
            "GATEHOUSE_ADMIN_PASSWORD": "correct horse battery staple",
            **(env or {}),
        }
        self.admin_email = self.env["GATEHOUSE_ADMIN_EMAIL"]
        self.admin_password = self.env["GATEHOUSE_ADMIN_PASSWORD"]
        self.api_key = self.env.get("GATEHOUSE_API_KEY", "")
        self._relay = Relay(self.paths.logs, Terminal(visible=False))
        self._programs = Programs.of(self.paths, self.env)
        specs = [self._programs.gateway(number, self._listener) for number in range(1, gateways + 1)]
        specs += [self._programs.worker()] if worker else []
        specs += [self._programs.beat()] if beat else []
        self._children = {spec.name: self._child(spec) for spec in specs}

    def start(self) -> Self:
        """Migrates and starts everything; returns when GET /ready answers 200."""
        try:
            facts = self._bootstrap()
            self.api_key = self.api_key or facts["api_key"]["key"]
            for child in self._children.values():
                child.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, *, seconds: float = 60.0) -> None:
        try:
            wait_until(lambda: probe(self.url).ready, "not ready", seconds=seconds)
        except AssertionError as error:
            logs = "\n".join(f"{name}: {line}" for name in self._children for line in self.tail(name))
            raise AssertionError(f"{error} {probe(self.url).detail}\n{logs}") from None

    def stop(self) -> None:
        """As `manage.py up` stops: first who takes calls, then who works them off."""
        gateways = [child for name, child in self._children.items() if name.startswith("gateway")]
        stop_all(gateways)
        stop_all([child for child in self._children.values() if child not in gateways])
        self._listener.close()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends the signal and returns when the process is gone."""
        self._children[name].signal(number)
        if not self._children[name].wait(30):
            raise AssertionError(f"{name} did not end on {number.name}")

    def restart(self, name: str) -> None:
        """Starts it again, after `kill` or without; `wait_ready` tells when it serves."""
        _start_again(self._children[name])

    def pause(self, name: str) -> None:
        self._children[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._children[name].signal(signal.SIGCONT)

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def tail(self, name: str, count: int = 20) -> list[str]:
        """The last lines that the process wrote."""
        return self._children[name].tail(count)

    def _child(self, spec: Spec) -> Child:
        return Child(spec, self.paths.pids, self._relay)

    def _bootstrap(self) -> dict[str, Any]:
        bootstrap = Bootstrap(self._programs.bootstrap(), self._relay)
        try:
            bootstrap.go()
            wait_until(bootstrap.done, "bootstrap did not end", seconds=60)
            return bootstrap.result()
        finally:
            bootstrap.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _start_again(child: Child) -> None:
    if child.running():
        stop_all([child])

    def started() -> bool:
        try:
            child.start()
        except BlockingIOError:  # what is left of the killed process is still ending
            return False
        return True

    wait_until(started, f"{child.name} cannot be started again")
