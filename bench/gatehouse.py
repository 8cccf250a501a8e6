"""Gatehouse as ``make up`` runs it, with everything on: keys, limits, a budget, content in the log, the real record path.

One gateway process, moved to its core; the worker, PostgreSQL, Valkey, beat and the supervisor run on the other cores and are
reported beside it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import psycopg

from bench.contestant import GATEWAY, Contestant, Cores, Missing, free_port, process, tail
from bench.load import Door
from bench.meter import tree
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.readiness import probe
from gateway_project.env import environment

_ADMIN_KEY = "gatehouse-bench-admin-key"
_START_SECONDS = 120.0
_SETTLE_SECONDS = 20.0
_POLL_SECONDS = 0.2
_REST_SECONDS = 2.0
_ROLES = {GATEWAY: "gateway.1", "worker": "worker", "beat": "beat", "postgres": "postgres", "valkey": "valkey"}
# High enough that no call is refused, so that every call pays for the check.
_LIMITS = {
    "rate_limits": [
        {"type": "requests", "unit": "rpm", "value": 100_000_000},
        {"type": "tokens", "unit": "rpm", "value": 100_000_000_000},
    ],
    "usage_limits": {"credit_limit": 100_000_000, "periodic_reset": "monthly"},
}


@dataclass(slots=True)
class _Log:
    """The request log, asked whether it has every call."""

    connection: psycopg.Connection[Any]

    def rows(self) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM analytics_requestlog")
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def at_rest(self) -> int:
        """The rows, when no more come: the first calls have been made and are on their way."""
        rows, last = self.rows(), -1
        while rows != last:
            time.sleep(_REST_SECONDS)
            rows, last = self.rows(), rows
        return rows

    def wait_for(self, sent: int) -> None:
        """Until the log has all calls, for a bounded time: what is missing then is said at the end."""
        until = time.monotonic() + _SETTLE_SECONDS
        while self.rows() < sent and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def remarks(self, sent: int) -> list[str]:
        rows = self.rows()
        return [f"{rows:,} of {sent:,} calls are in the request log" + ("" if rows == sent else ": NOT THE SAME")]


@contextlib.contextmanager
def gatehouse(upstream_port: int, directory: Path, cores: Cores) -> Iterator[Contestant]:
    paths, port, log = Paths(directory / "data"), free_port(), directory / "gatehouse.log"
    command = [sys.executable, "manage.py", "up"]
    with process(command, log, cores.others, _environment(paths, port)) as supervisor:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, supervisor, log)
        roots = {role: _pid(paths, name) for role, name in _ROLES.items()}
        _move(roots[GATEWAY], cores.gateway)
        headers = {"x-portkey-api-key": _make_keys(url, upstream_port), "x-portkey-virtual-key": "bench"}
        _wait_for_keys(url, headers)
        with psycopg.connect(paths.database_url, autocommit=True) as connection:
            request_log = _Log(connection)
            before = request_log.at_rest()
            yield Contestant(
                "Gatehouse",
                Door(port, headers),
                roots,
                settle=lambda sent: request_log.wait_for(before + sent),
                remarks=lambda sent: request_log.remarks(before + sent),
            )


def _environment(paths: Paths, port: int) -> dict[str, str]:
    """The developer's own settings stay out of it."""
    inherited = {
        name: value
        for name, value in environment().items()
        if not name.startswith("GATEHOUSE_") and name.removesuffix("_FILE") not in {"PORT", "DATABASE_URL", "REDIS_URL"}
    }
    return inherited | {
        "PORT": str(port),
        "GATEHOUSE_DATA_DIR": str(paths.data_dir),
        "GATEHOUSE_WORKERS": "1",
        "GATEHOUSE_REQUIRE_API_KEY": "true",
        "GATEHOUSE_LOG_CONTENT": "true",
        "GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1",
        "GATEHOUSE_API_KEY": _ADMIN_KEY,
    }


def _wait_until_ready(url: str, supervisor: Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while not probe(url).ready:
        if supervisor.poll() is not None or time.monotonic() > until:
            raise Missing(f"did not start:\n{tail(log)}")
        time.sleep(0.1)


def _pid(paths: Paths, name: str) -> int:
    return int((paths.pids / name).read_text(encoding="ascii"))


def _move(root: int, cores: frozenset[int]) -> None:
    """Every thread of the tree; threads that are started later follow the one that starts them."""
    for pid in tree(root):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def _make_keys(url: str, upstream_port: int) -> str:
    """A virtual key whose provider is the mock, and an API key with limits, through the admin REST API."""
    with httpx.Client(base_url=f"{url}/v1", headers={"x-portkey-api-key": _ADMIN_KEY}, timeout=30, trust_env=False) as client:
        custom_host = f"http://127.0.0.1:{upstream_port}/v1"
        _post(client, "/virtual-keys", name="bench", slug="bench", provider="openai", key="sk-bench", custom_host=custom_host)
        made = _post(client, "/api-keys/workspace/service", name="bench", scopes=["completions.write"], **_LIMITS)
    return str(made["key"])


def _post(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    answer = client.post(path, json=body)
    if answer.is_error:
        raise Missing(f"POST /v1{path} answered {answer.status_code}: {answer.text[:400]}")
    document: dict[str, Any] = answer.json()
    return document


def _wait_for_keys(url: str, headers: dict[str, str]) -> None:
    """Until the gateway's snapshot knows the new keys."""
    until = time.monotonic() + 10
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Are you there?"}]}
    while True:
        answer = httpx.post(f"{url}/v1/chat/completions", headers=headers, json=body, trust_env=False, timeout=10)
        if answer.status_code == httpx.codes.OK:
            return
        if time.monotonic() > until:
            raise Missing(f"a first call answered {answer.status_code}: {answer.text[:400]}")
        time.sleep(0.2)
