"""How targets have done of late: how long their answers take to begin, and how many calls they are working on.

Each process measures for itself, and only what a strategy asked for. A measurement ages: a target that nobody has tried for a
while is unknown again, so that it is tried again, by one call at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# A measurement without a newer one beside it is not believed for longer than this.
AGES_AFTER_S = 30.0
# The newest measurement counts this much against the average of those before it.
NEWEST = 0.3
# What a failure counts as, at least: it may have come fast, but it was no answer.
FAILURE_MS = 10_000.0
MAX_SUBJECTS = 10_000


class _Measure:
    __slots__ = ("at", "average_ms", "busy")

    def __init__(self) -> None:
        self.average_ms: float | None = None
        self.at = 0.0
        self.busy = 0


class Measures:
    """By the name of a target, which says too whether its answers are streams."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measures: dict[str, _Measure] = {}

    def latency_ms(self, name: str) -> float | None:
        measure = self._measures.get(name)
        if measure is None or measure.average_ms is None or self._clock() - measure.at > AGES_AFTER_S:
            return None
        return measure.average_ms

    def busy(self, name: str) -> int:
        measure = self._measures.get(name)
        return 0 if measure is None else measure.busy

    def begin(self, name: str) -> Measuring:
        measure = self._measures.get(name)
        if measure is None:
            if len(self._measures) >= MAX_SUBJECTS:
                self._measures = {key: value for key, value in self._measures.items() if value.busy}
            measure = self._measures[name] = _Measure()
        measure.busy += 1
        return Measuring(measure, self._clock)


class Measuring:
    """One try: `began` once with how it went, if that says anything, and then `ended`."""

    __slots__ = ("_clock", "_measure", "_started")

    def __init__(self, measure: _Measure, clock: Callable[[], float]) -> None:
        self._measure = measure
        self._clock = clock
        self._started = clock()

    def began(self, *, failed: bool) -> None:
        now, measure = self._clock(), self._measure
        took_ms = (now - self._started) * 1000
        if failed:
            took_ms = max(took_ms, FAILURE_MS)
        if measure.average_ms is None or now - measure.at > AGES_AFTER_S:
            measure.average_ms = took_ms
        else:
            measure.average_ms += NEWEST * (took_ms - measure.average_ms)
        measure.at = now

    def ended(self) -> None:
        self._measure.busy -= 1
