"""The measuring: every contestant in turn, in rounds, so that a machine that drifts drifts for all of them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from bench.contestant import GATEWAY, Contestant
from bench.load import Requests, Streams, StreamShape, run_requests, run_streams
from bench.meter import cpu_by_role

_Measured = TypeVar("_Measured", Requests, Streams)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    loops: tuple[tuple[int, float], ...]  # concurrency, seconds
    streams: tuple[StreamShape, ...]
    warm_up_seconds: float


FULL = Plan(5, ((1, 1.5), (32, 2.0)), (StreamShape(100, 100, 20), StreamShape(20, 300, 4)), 2.0)
QUICK = Plan(2, ((1, 0.8), (32, 1.0)), (StreamShape(100, 40, 20), StreamShape(20, 150, 4)), 1.0)


@dataclass(slots=True)
class Sample:
    """One contestant in one phase of one round. `costs` are CPU microseconds per request or chunk, by role."""

    figures: dict[str, float]
    costs: dict[str, float]
    sent: int
    errors: int
    first_error: str


@dataclass(slots=True)
class Results:
    """Samples by phase and contestant, and how many calls each contestant has been sent, warm-up included."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def figure(self, phase: str, contestant: str, name: str) -> float | None:
        values = [sample.figures[name] for sample in self.samples[phase][contestant] if name in sample.figures]
        return statistics.median(values) if values else None

    def cost(self, phase: str, contestant: str, role: str = GATEWAY) -> float | None:
        values = [sample.costs[role] for sample in self.samples[phase][contestant] if role in sample.costs]
        return statistics.median(values) if values else None

    def errors(self) -> list[str]:
        return [
            f"{contestant}, {phase}: {sample.errors} of {sample.sent} failed; the first: {sample.first_error.strip()}"
            for phase, by_contestant in self.samples.items()
            for contestant, samples in by_contestant.items()
            for sample in samples
            if sample.errors
        ]


def loop_phase(concurrency: int) -> str:
    return f"concurrency {concurrency}"


def run(plan: Plan, contestants: Sequence[Contestant], say: Callable[[str], None]) -> Results:
    results = Results()
    for contestant in contestants:
        warm_up(plan, contestant, results)
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        turn = number % len(contestants)
        order = [*contestants[turn:], *contestants[:turn]]
        for concurrency, seconds in plan.loops:
            for contestant in order:
                measured = _metered(results, contestant, partial(run_requests, contestant.door, concurrency, seconds))
                results.samples[loop_phase(concurrency)][contestant.name].append(_loop_sample(*measured))
        for shape in plan.streams:
            for contestant in order:
                streamed = _metered(results, contestant, partial(run_streams, contestant.door, shape))
                results.samples[str(shape)][contestant.name].append(_stream_sample(*streamed))
    return results


def warm_up(plan: Plan, contestant: Contestant, results: Results) -> None:
    """Compilers, pools and caches get what they need before anything counts."""
    _metered(results, contestant, partial(run_requests, contestant.door, 8, plan.warm_up_seconds))
    _metered(results, contestant, partial(run_streams, contestant.door, StreamShape(10, 50, 4)))


def _metered(results: Results, contestant: Contestant, load: Callable[[], _Measured]) -> tuple[_Measured, dict[str, float]]:
    """The load's result and the CPU seconds of each role, what it does after the last answer included."""
    before = cpu_by_role(contestant.roots)
    measured = load()
    results.sent[contestant.name] += measured.sent
    contestant.settle(results.sent[contestant.name])
    after = cpu_by_role(contestant.roots)
    return measured, {role: after[role] - before[role] for role in before}


def _loop_sample(measured: Requests, cpu: dict[str, float]) -> Sample:
    ordered = sorted(measured.latencies) or [float("nan")]
    figures = {
        "requests/s": len(measured.latencies) / measured.seconds,
        "p50 ms": quantile(ordered, 0.5) * 1000,
        "p99 ms": quantile(ordered, 0.99) * 1000,
    }
    return _sample(figures, cpu, len(measured.latencies), measured)


def _stream_sample(measured: Streams, cpu: dict[str, float]) -> Sample:
    first, lags = sorted(measured.first_token) or [float("nan")], sorted(measured.lags) or [float("nan")]
    figures = {
        "first chunk late p50 ms": quantile(first, 0.5) * 1000,
        "first chunk late p99 ms": quantile(first, 0.99) * 1000,
        "end late p50 ms": quantile(lags, 0.5) * 1000,
        "end late p99 ms": quantile(lags, 0.99) * 1000,
    }
    return _sample(figures, cpu, measured.chunks, measured)


def _sample(figures: dict[str, float], cpu: dict[str, float], units: int, measured: Requests | Streams) -> Sample:
    costs = {role: seconds / max(units, 1) * 1e6 for role, seconds in cpu.items()}
    return Sample(figures, costs, measured.sent, measured.errors, measured.first_error)


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
