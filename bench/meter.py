"""CPU time and memory of process trees, from the kernel's own counters. Linux only.

CPU time is what this bench compares first: it holds on a machine whose other tenants come and go, where rates do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# CPUCLOCK_SCHED of linux/posix-timers.h: the clock that clock_getcpuclockid(3) makes from a process id.
_CPUCLOCK_SCHED = 2


def tree(root: int) -> list[int]:
    """`root` and all that descend from it."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                todo += [int(child) for child in children.read_text(encoding="ascii").split()]
            except OSError:  # ended meanwhile
                continue
    return found


def _cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and the children it has buried have used; nanoseconds count, unlike in /proc's ticks."""
    try:
        own = time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return own + (int(fields[13]) + int(fields[14])) / _TICKS


def cpu_seconds(root: int) -> float:
    return sum(_cpu_of(pid) for pid in tree(root))


def cpu_by_role(roots: Mapping[str, int]) -> dict[str, float]:
    return {role: cpu_seconds(root) for role, root in roots.items()}


def _pss_of(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def pss_by_role(roots: Mapping[str, int]) -> dict[str, int]:
    """Proportional set size in bytes: shared pages are split among those that share them, so that sums are true."""
    return {role: sum(_pss_of(pid) for pid in tree(root)) for role, root in roots.items()}


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """This process, and what it starts meanwhile, on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
