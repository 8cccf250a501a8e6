"""What can be measured: somewhere that calls go in, the processes behind it, and a way to let its background work finish."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Door
from bench.meter import pinned

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(__file__).resolve().parent / ".cache"
# The process whose cost is compared; all other roles of a contestant are reported beside it.
GATEWAY = "gateway"
_STOP_SECONDS = 60


class Missing(Exception):
    """A contestant cannot take part; the message says why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """`roots` maps a role to the process at the top of its tree. Nothing of direct calls has a cost of its own."""

    name: str
    door: Door
    roots: Mapping[str, int] = field(default_factory=dict)
    # Waits until what it does after its answers is done; told how many calls it has been sent so far.
    settle: Callable[[int], None] = lambda _sent: None
    # What is said about it at the end, such as whether every call was recorded.
    remarks: Callable[[int], list[str]] = lambda _sent: []


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the gateway under test, the others for everything else, the load included."""

    gateway: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        first, *others = sorted(os.sched_getaffinity(0))
        if not others:
            raise Missing("the bench needs two cores: one for the gateway, one for the load")
        return cls(frozenset({first}), frozenset(others))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(
    argv: list[str], log: Path, cores: frozenset[int], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program pinned to `cores`, its output in `log`, stopped at the end."""
    with log.open("ab") as output, pinned(set(cores)):
        child = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for_port(port: int, child: subprocess.Popen[bytes], log: Path, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise Missing(f"did not start:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def upstream(directory: Path, cores: Cores) -> Iterator[int]:
    """The mock provider; yields its port."""
    port, log = free_port(), directory / "upstream.log"
    with process([sys.executable, "-m", "bench.upstream", str(port)], log, cores.others) as child:
        wait_for_port(port, child, log)
        yield port


def direct(upstream_port: int) -> Contestant:
    """Calls that go to the provider without a gateway in between."""
    return Contestant("direct", Door(upstream_port, {"authorization": "Bearer sk-bench"}))
