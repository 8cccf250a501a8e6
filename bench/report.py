"""What the bench prints, and what it writes as JSON."""

from __future__ import annotations

import dataclasses
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.contestant import GATEWAY, Contestant
from bench.rounds import Plan, Results, loop_phase

_OURS, _PEER, _DIRECT = "Gatehouse", "Portkey", "direct"
_LABEL, _CELL = 30, 11


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Everything that a run of the bench found out. Memory is in bytes, by contestant and role."""

    plan: Plan
    contestants: Sequence[Contestant]
    results: Results
    idle: Mapping[str, Mapping[str, int]]
    loaded: Mapping[str, Mapping[str, int]]

    @property
    def names(self) -> list[str]:
        return [contestant.name for contestant in self.contestants]

    def figure(self, phase: str, figure: str) -> dict[str, float | None]:
        return {name: self.results.figure(phase, name, figure) for name in self.names}

    def cost(self, phase: str) -> dict[str, float | None]:
        return {name: self.results.cost(phase, name) for name in self.names}

    def remarks(self) -> list[str]:
        return [f"{one.name}: {remark}" for one in self.contestants for remark in one.remarks(self.results.sent[one.name])]


def machine() -> dict[str, Any]:
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-".rjust(_CELL)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".rjust(_CELL)


def _ratio(over: float | None, under: float | None) -> str:
    if over is None or not under or math.isnan(over) or math.isnan(under):
        return "-".rjust(_CELL)
    return f"{over / under:.2f}".rjust(_CELL)


class Table:
    """Rows of one figure for each contestant, with the two ratios that matter."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        heads = [*names, f"/ {_PEER}", f"/ {_DIRECT}"]
        self.lines = [f"{_OURS} divided by others in the last two columns".rjust(_LABEL + _CELL * len(heads))]
        self.lines.append("".rjust(_LABEL) + "".join(head.rjust(_CELL) for head in heads))

    def title(self, text: str) -> None:
        self.lines += ["", text]

    def row(self, label: str, values: Mapping[str, float | None]) -> None:
        cells = "".join(_cell(values.get(name)) for name in self._names)
        ours = values.get(_OURS)
        ratios = "".join(_ratio(ours, values.get(other)) for other in (_PEER, _DIRECT))
        self.lines.append(f"  {label}".ljust(_LABEL) + cells + ratios)


def text(run: Run) -> str:
    table = Table(run.names)
    for concurrency, _seconds in run.plan.loops:
        _loop_rows(table, run, concurrency)
    for shape in run.plan.streams:
        table.title(str(shape))
        table.row("gateway CPU us/chunk", run.cost(str(shape)))
        for figure in ("first chunk late p50 ms", "first chunk late p99 ms", "end late p50 ms", "end late p99 ms"):
            table.row(figure, run.figure(str(shape), figure))
    table.title("memory, proportional set size")
    table.row("gateway MB, idle", {name: _megabytes(run.idle, name) for name in run.names})
    table.row("gateway MB, after load", {name: _megabytes(run.loaded, name) for name in run.names})
    beside = [line for contestant in run.contestants for line in _beside(run, contestant)]
    return "\n".join([*table.lines, *beside, "", *run.remarks()]).rstrip()


def _loop_rows(table: Table, run: Run, concurrency: int) -> None:
    phase = loop_phase(concurrency)
    table.title("one caller" if concurrency == 1 else f"{concurrency} callers")
    table.row("gateway CPU us/request", run.cost(phase))
    for figure in ("requests/s", "p50 ms", "p99 ms"):
        table.row(figure, run.figure(phase, figure))
    if concurrency == 1:
        p50 = run.figure(phase, "p50 ms")
        direct = p50.pop(_DIRECT)
        table.row("added to direct, p50 ms", {name: value - direct for name, value in p50.items() if value and direct})


def _megabytes(memory: Mapping[str, Mapping[str, int]], name: str, role: str = GATEWAY) -> float | None:
    by_role = memory.get(name, {})
    return by_role[role] / 1e6 if role in by_role else None


def _beside(run: Run, contestant: Contestant) -> list[str]:
    """The cost of the processes behind the gateway, which run on other cores or machines."""
    roles = [role for role in contestant.roots if role != GATEWAY]
    if not roles:
        return []
    phases = [*(loop_phase(concurrency) for concurrency, _ in run.plan.loops), *(str(shape) for shape in run.plan.streams)]
    heads = [
        *(f"c={concurrency}" for concurrency, _ in run.plan.loops),
        *(f"{shape.streams} str." for shape in run.plan.streams),
    ]
    lines = ["", f"behind {contestant.name}'s gateway: CPU us per request (c=) or chunk (str.), and memory"]
    lines.append("".ljust(_LABEL) + "".join(head.rjust(_CELL) for head in [*heads, "MB idle", "MB after"]))
    for role in roles:
        cells = [_cell(run.results.cost(phase, contestant.name, role)) for phase in phases]
        cells += [_cell(_megabytes(memory, contestant.name, role)) for memory in (run.idle, run.loaded)]
        lines.append(f"  {role}".ljust(_LABEL) + "".join(cells))
    return lines


def as_json(run: Run) -> dict[str, Any]:
    """Every sample, not only the medians, so that the spread can be judged."""
    return {
        "machine": machine(),
        "plan": {**dataclasses.asdict(run.plan), "streams": [str(shape) for shape in run.plan.streams]},
        "samples": {
            phase: {name: [dataclasses.asdict(sample) for sample in samples] for name, samples in by_name.items()}
            for phase, by_name in run.results.samples.items()
        },
        "memory_bytes": {"idle": run.idle, "after_load": run.loaded},
        "sent": dict(run.results.sent),
        "remarks": run.remarks(),
    }
